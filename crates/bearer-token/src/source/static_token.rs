//! A token that never changes.
//!
//! For tests, for personal access tokens, and for what a console hands out. It has no lifetime, so it is used until the
//! API rejects it. Then each fetch returns the same token again: the provider notices, puts the rejected one back into
//! service, and renews ever more rarely. No request waits for something that cannot come.

use std::{borrow::Cow, fmt};

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    secret::string,
    source::{FetchContext, TokenSource},
    token::{AccessToken, check_token},
};

/// A token that was made elsewhere, used as it is until the API rejects it.
///
/// Spaces, newlines and a byte order mark around it are not part of it. Quotes around it are an error. A path in its
/// place is an error too: use `FileToken` for a file.
///
/// ```
/// use bearer_token::{StaticToken, TokenProvider};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let provider = TokenProvider::builder(StaticToken::new("a-token-from-the-console"))
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

    /// Checks that the token can be used, without waiting for the first fetch.
    ///
    /// # Errors
    ///
    /// Of kind [`Token`](ErrorKind::Token).
    pub fn check(&self) -> Result<(), Error> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<&str, Error> {
        let token = string::read_token(self.0.as_bytes())
            .map_err(|problem| Error::new(ErrorKind::Token, format!("the static token cannot be used: {problem}")))?;
        check_token(token)?;
        Ok(token)
    }
}

impl TokenSource for StaticToken {
    async fn fetch(&self, _cx: FetchContext) -> Result<AccessToken, Error> {
        // A further fetch returns the same token.
        let token = self.read().map_err(|error| error.with_retry(Retry::AfterChange))?;
        Ok(AccessToken::new(token).never_expires())
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("static token")
    }
}

impl fmt::Debug for StaticToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{platform::Platform, token::FetchReason};

    #[tokio::test]
    async fn l49_what_surrounds_the_token_is_removed_or_named() {
        for (given, expected) in [
            ("MARKER", Ok("MARKER")),
            ("MARKER\n", Ok("MARKER")),
            ("\u{feff}MARKER\r\n", Ok("MARKER")),
            (" MARKER ", Ok("MARKER")),
            ("/9j4AAQSkZJRgABAQ==", Ok("/9j4AAQSkZJRgABAQ==")),
            ("\"MARKER\"", Err("quotes around")),
            ("MARKER\nMARKER", Err("a newline inside")),
            ("/run/secrets/MARKER", Err("the path of a file")),
            ("MARKER.txt", Err("the path of a file")),
            ("MARKER MARKER", Err("byte 7 of 13")),
            ("", Err("an empty string")),
        ] {
            let source = StaticToken::new(given);
            let cx = FetchContext::new(Platform::system(), Duration::from_secs(10), FetchReason::Missing);
            match (source.fetch(cx).await, expected) {
                (Ok(token), Ok(expected)) => assert_eq!(token.secret(), expected),
                (Err(error), Err(expected)) => {
                    assert_eq!((error.kind(), error.retry()), (ErrorKind::Token, Retry::AfterChange));
                    assert!(error.to_string().contains(expected), "{error}");
                    assert!(!format!("{error} {error:?} {source:?}").contains("MARKER"), "{error:?}");
                }
                (fetched, _) => panic!("{given:?}: {fetched:?}"),
            }
        }
    }
}
