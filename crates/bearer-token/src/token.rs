//! What a source gives to a provider: a token, its lifetime, and the reason of the fetch.
//!
//! This is the border between the two halves of the crate. Above it nobody knows where a token comes from; below it
//! nobody knows who waits for it. What passes is small: a string, four ways to say when it ends, a hint, and what the
//! response had besides.
//!
//! The room also reads what tokens and responses have inside, as far as it is needed: the fields of a JSON document,
//! and the times of a JWT. Nothing here verifies a token.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind},
    platform::Moment,
};

#[cfg(feature = "oauth")]
pub(crate) mod fields;
#[cfg(feature = "_json")]
pub(crate) mod json;
#[cfg(feature = "_json")]
pub(crate) mod jwt_times;
#[cfg(feature = "_json")]
pub(crate) mod pointer;
mod rejection;

pub use self::rejection::Rejection;

/// The reason why a token is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchReason {
    /// There is no usable token, and callers wait.
    Missing,
    /// The token is still usable, and is renewed early in the background.
    Stale,
    /// The API rejected the last token of this source.
    Rejected,
    /// The application called `refresh_now`.
    Requested,
}

impl FetchReason {
    /// The reason as events and labels show it.
    pub fn as_str(self) -> &'static str {
        match self {
            FetchReason::Missing => "missing",
            FetchReason::Stale => "stale",
            FetchReason::Rejected => "rejected",
            FetchReason::Requested => "requested",
        }
    }
}

/// A token as a source returns it.
///
/// `Debug` shows neither the token nor other strings from the server.
///
/// ```
/// use bearer_token::AccessToken;
/// use std::time::{Duration, SystemTime};
///
/// // The server said how long it lives ...
/// let token = AccessToken::new("2YotnFZFEjr1zCsicMWpAA").expires_in(Duration::from_secs(3600));
/// // ... or until when, and that a new one is useful after half an hour.
/// let end = SystemTime::now() + Duration::from_secs(3600);
/// let token = AccessToken::new("2YotnFZFEjr1zCsicMWpAA").expires_at(end).refresh_in(Duration::from_secs(1800));
/// // It has none, and is used until the API rejects it.
/// let token = AccessToken::new("2YotnFZFEjr1zCsicMWpAA").never_expires();
/// assert!(!format!("{token:?}").contains("2YotnFZFEjr1zCsicMWpAA"));
/// ```
pub struct AccessToken {
    token: Zeroizing<String>,
    expiry: Expiry,
    refresh_in: Option<Duration>,
    issued: Option<Moment>,
    /// The age of a token that another replica got, and its draw for the refresh, as a share of `u32::MAX`.
    inherited: Option<(Duration, u32)>,
    scope: Option<String>,
    extras: BTreeMap<String, String>,
}

/// The lifetime of a token, as far as its source knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Unknown: the provider's default lifetime applies.
    Unknown,
    /// Until it is rejected.
    Never,
    /// Counted from when it was issued.
    In(Duration),
    /// By the time of day.
    At(SystemTime),
}

impl AccessToken {
    /// A token of unknown lifetime. It gets the provider's
    /// [`default_lifetime`](crate::Policy::default_lifetime).
    pub fn new(token: impl Into<String>) -> Self {
        AccessToken {
            token: Zeroizing::new(token.into()),
            expiry: Expiry::Unknown,
            refresh_in: None,
            issued: None,
            inherited: None,
            scope: None,
            extras: BTreeMap::new(),
        }
    }

    /// Sets the lifetime, counted from [`issued`](Self::issued).
    ///
    /// Zero is allowed: such a token serves the requests that waited for it, and is not kept. If the source returns the
    /// same token again after it has expired, the fetch fails. Otherwise every request would cause a fetch.
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.expiry = Expiry::In(lifetime);
        self
    }

    /// Sets the end of the lifetime as a time of day. A time in the past means a lifetime of zero.
    ///
    /// It is judged by this machine's clock. Where the server says how long a token lives,
    /// [`expires_in`](Self::expires_in) is better: a duration is right even if the clocks differ.
    #[must_use]
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expiry = Expiry::At(time);
        self
    }

    /// Keeps the token in use until the API rejects it.
    #[must_use]
    pub fn never_expires(mut self) -> Self {
        self.expiry = Expiry::Never;
        self
    }

    /// Hints at when to get the next token, counted from [`issued`](Self::issued): the server recommends it, or the
    /// source knows that a new token is useful then.
    ///
    /// The provider refreshes the token then, or at the refresh point of its [`Policy`](crate::Policy) if that is
    /// earlier. A hint never makes a token live longer or shorter. With jitter, each bearer is refreshed up to a fifth
    /// of the hint earlier. A hint of less than a minute counts as one minute: otherwise each request could cause a
    /// fetch.
    #[must_use]
    pub fn refresh_in(mut self, time: Duration) -> Self {
        self.refresh_in = Some(time);
        self
    }

    /// Sets the moment from which the lifetime counts: just before the request for the token was sent.
    ///
    /// The server cannot have issued the token earlier. Default: the start of the fetch.
    #[must_use]
    pub fn issued(mut self, moment: Moment) -> Self {
        self.issued = Some(moment);
        self
    }

    /// Sets the granted scope, if the response names it (RFC 6749 section 5.1).
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Adds another field of the response that callers need, such as Salesforce's `instance_url`.
    #[must_use]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extras.insert(name.into(), value.into());
        self
    }

    /// The token itself. It is a secret.
    pub fn secret(&self) -> &str {
        &self.token
    }

    #[cfg(feature = "oauth")]
    pub(crate) fn with_expiry(self, expiry: Expiry) -> Self {
        AccessToken { expiry, ..self }
    }

    pub(crate) fn expiry(&self) -> Expiry {
        self.expiry
    }

    pub(crate) fn refresh_hint(&self) -> Option<Duration> {
        self.refresh_in
    }

    #[cfg(feature = "oauth")]
    pub(crate) fn granted_scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    pub(crate) fn issued_moment(&self) -> Option<Moment> {
        self.issued
    }

    /// Sets the age that the token has at its [`issued`](Self::issued) moment, and the draw for its refresh. Its
    /// lifetime and its hint count from before that age.
    #[cfg(feature = "shared")]
    pub(crate) fn with_inherited(self, age: Duration, draw: u32) -> Self {
        AccessToken { inherited: Some((age, draw)), ..self }
    }

    pub(crate) fn inherited(&self) -> Option<(Duration, u32)> {
        self.inherited
    }

    #[cfg(feature = "shared")]
    pub(crate) fn details(&self) -> (Option<&str>, &BTreeMap<String, String>) {
        (self.scope.as_deref(), &self.extras)
    }

    pub(crate) fn into_details(self) -> (Option<String>, BTreeMap<String, String>) {
        (self.scope, self.extras)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("token", &"[redacted]")
            .field("expiry", &self.expiry)
            // Scope and extras are text from the server, which may echo a secret.
            .finish_non_exhaustive()
    }
}

/// The largest token that is used, in bytes: 64 KiB. HTTP servers accept far smaller headers.
const TOKEN_LIMIT: usize = 64 * 1024;

/// Checks that a token is a legal part of a header value.
pub(crate) fn check_token(token: &str) -> Result<(), Error> {
    let expected = "expected a bearer token (RFC 6750 section 2.1)";
    let found = if token.is_empty() {
        "an empty token".to_owned()
    } else if token.len() > TOKEN_LIMIT {
        let length = token.len();
        format!("a token of {length} bytes, which is more than the {TOKEN_LIMIT} that are allowed (64 KiB)")
    } else if let Some(position) = token.bytes().position(|byte| !byte.is_ascii_graphic()) {
        // RFC 6750 allows fewer characters, but real tokens use more, such as the `!` of Salesforce. The characters
        // that are refused here could change the meaning of the header.
        let (place, length) = (position + 1, token.len());
        format!("a token with {} as byte {place} of {length}", name_of(token.as_bytes().get(position)))
    } else {
        return Ok(());
    };
    let has_scheme = token.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    let change = if has_scheme {
        "remove `Bearer` and the space, which are added to the token when it is sent"
    } else {
        "check what the source reads as the token"
    };
    Err(Error::new(ErrorKind::Token, format!("the source returned {found}; {expected}: {change}")))
}

/// The kind of a byte that no token may have.
fn name_of(byte: Option<&u8>) -> &'static str {
    match byte {
        Some(b'\r' | b'\n') => "a newline",
        Some(b' ') => "a space",
        Some(b'\t') => "a tab",
        Some(0x80..) => "a character beyond ASCII",
        _ => "a control character",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows: 6749/5.1d
    #[test]
    fn l18_an_unusable_token_is_named_without_showing_it() {
        let large = "x".repeat(TOKEN_LIMIT + 1);
        for (token, part) in [
            ("", "an empty token"),
            ("planted \n", "a space as byte 8 of 9"),
            ("Bearer planted", "remove `Bearer`"),
            ("planted\n", "a newline as byte 8 of 8"),
            ("planted\r\nx: y", "a newline"),
            ("\tplanted", "a tab as byte 1"),
            ("planted\u{0}", "a control character"),
            ("planted\u{7f}", "a control character"),
            ("planted\u{e4}", "beyond ASCII"),
            (&large, "65537 bytes, which is more than the 65536"),
        ] {
            let error = check_token(token).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Token);
            let text = error.to_string();
            assert!(text.contains(part) && !text.contains("planted") && text.len() < 250, "{text}");
        }
        for token in ["00D!AQ.x_~+/==", "eyJ.eyJ.sig", &large[1..]] {
            assert!(check_token(token).is_ok());
        }
    }
}
