//! A token that never changes.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    error::{Error, Retry},
    source::{FetchContext, TokenSource},
    token::{AccessToken, check_token},
};

/// A token that somebody else made, used as it is until the API rejects it.
///
/// ```
/// use bearer_token::{StaticToken, TokenProvider};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let provider = TokenProvider::builder(StaticToken::new("a token from the console"))
///     .allow_origin("https://api.example.com")
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct StaticToken(Zeroizing<String>);

impl StaticToken {
    /// Uses this token.
    pub fn new(token: impl Into<String>) -> Self {
        StaticToken(Zeroizing::new(token.into()))
    }
}

impl TokenSource for StaticToken {
    async fn fetch(&self, _cx: FetchContext) -> Result<AccessToken, Error> {
        // Asking again brings the same.
        check_token(&self.0).map_err(|error| error.with_retry(Retry::AfterChange))?;
        Ok(AccessToken::new(self.0.as_str()).never_expires())
    }
}

impl fmt::Debug for StaticToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticToken([redacted])")
    }
}
