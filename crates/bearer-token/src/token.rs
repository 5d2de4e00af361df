//! What a source gives to a provider: a token, its lifetime, and the reason of the fetch.
//!
//! A source returns an [`AccessToken`]. The provider turns it into a `Bearer`, which has deadlines on both clocks and a
//! finished header value:
//!
//! ```text
//! TokenSource::fetch -> AccessToken -> check_token -> schedule -> Bearer
//!                       token, expiry,  legal in a     refresh and
//!                       hint, scope,    header?        expiry times
//!                       extras
//! ```
//!
//! A source states what it knows and nothing more. A lifetime that is unknown stays unknown here, because only the
//! provider's [`Policy`](crate::Policy) says what to assume. The folder has what reads tokens and responses: the fields
//! of a JSON document, JSON pointers, and the times inside a JWT.

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
mod last;
#[cfg(feature = "_json")]
pub(crate) mod pointer;
mod rejection;

pub(crate) use self::last::{Adopted, Inherited, LastToken, Recorded};
pub use self::rejection::Rejection;

/// The reason why a token is fetched.
///
/// Sources find it in [`FetchContext::reason`](crate::FetchContext::reason); events and metrics show it as a label. A
/// source that keeps a credential of its own, such as a session, can use it to decide whether to keep that:
///
/// ```
/// use bearer_token::{AccessToken, Error, FetchContext, FetchReason, TokenProvider};
///
/// async fn log_in(_keep_session: bool) -> Result<String, Error> {
///     Ok("a token".to_owned())
/// }
///
/// let provider = TokenProvider::builder(async |cx: FetchContext| {
///     // The API has refused what the session gave us last: begin a new one.
///     let keep_session = cx.reason() != FetchReason::Rejected;
///     Ok(AccessToken::new(log_in(keep_session).await?))
/// });
/// # let _ = provider;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchReason {
    /// There is no usable token, and callers wait.
    /// The reason of the first fetch, of the first one after an idle time, and of each retry while no bearer
    /// is in service.
    Missing,
    /// The token is still usable, and is renewed early in the background.
    /// Callers notice nothing, whether it succeeds or fails: the current bearer is served until it expires.
    Stale,
    /// The API rejected the last token of this source.
    /// [`FetchContext::challenges`](crate::FetchContext::challenges) has what the API asked for (RFC 6750 section 3).
    Rejected,
    /// The application called `refresh_now`.
    Requested,
    /// What the source is made of has changed, such as the file of a secret, and
    /// [`refresh_when_changed`](crate::TokenProvider::refresh_when_changed) noticed it.
    /// A source whose tokens replicas share then also takes a token that another one got with the new secret.
    Changed,
}

impl FetchReason {
    /// Every reason.
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [FetchReason; 5] =
        [FetchReason::Missing, FetchReason::Stale, FetchReason::Rejected, FetchReason::Requested, FetchReason::Changed];

    /// Whether a cause outside of the source ended what it remembers of refusals: a person or a new credential.
    #[allow(dead_code, reason = "asked with the feature `oauth`")]
    pub(crate) fn begins_anew(self) -> bool {
        matches!(self, FetchReason::Requested | FetchReason::Changed)
    }

    /// The reason as events and labels show it.
    pub fn as_str(self) -> &'static str {
        match self {
            FetchReason::Missing => "missing",
            FetchReason::Stale => "stale",
            FetchReason::Rejected => "rejected",
            FetchReason::Requested => "requested",
            FetchReason::Changed => "changed",
        }
    }
}

/// A token as a source returns it.
///
/// `Debug` shows neither the token nor other strings from the server.
///
/// # Which lifetime to set
///
/// Set what the server said, and nothing if it said nothing:
///
/// | the source knows | call |
/// |---|---|
/// | seconds from now, as in `expires_in` (RFC 6749 section 5.1) | [`expires_in`](Self::expires_in) |
/// | a time of day, as in GitHub's `expires_at` | [`expires_at`](Self::expires_at) |
/// | that it works until it is revoked | [`never_expires`](Self::never_expires) |
/// | nothing | none of them: the provider's default lifetime applies |
///
/// A lifetime is better than a time of day: it depends on one clock. If both are known, pass the lifetime.
///
/// ```
/// use std::time::Duration;
/// use bearer_token::{AccessToken, FetchContext, TokenProvider};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
/// let provider = TokenProvider::builder(async |cx: FetchContext| {
///     let sent = cx.platform().now();
///     // .. call the server here ..
///     Ok(AccessToken::new("2YotnFZFEjr1zCsicMWpAA")
///         .expires_in(Duration::from_secs(3600))
///         .issued(sent)
///         .scope("orders:read")
///         .extra("instance_url", "https://eu1.example.com"))
/// })
/// .build()?;
///
/// let bearer = provider.token().await?;
/// assert_eq!(bearer.scope(), Some("orders:read"));
/// assert_eq!(bearer.extra("instance_url"), Some("https://eu1.example.com"));
/// # Ok(()) }
/// ```
///
/// # What a token may contain
///
/// 1 to 65,536 visible ASCII characters. RFC 6750 section 2.1 allows fewer characters, but real tokens use more. A
/// space, a newline or a control character could change the meaning of the header. So the fetch fails with kind
/// [`Token`](crate::ErrorKind::Token) and names the position of the byte. The commonest mistake is a token that begins
/// with `Bearer `: the provider adds the scheme itself.
pub struct AccessToken {
    /// The token itself. Wiped on drop. The provider copies it once, into the header value, which is wiped too.
    token: Zeroizing<String>,
    expiry: Expiry,
    refresh_in: Option<Duration>,
    /// The moment from which the lifetime counts. A moment has both clocks. So deadlines hold while the machine sleeps,
    /// and when its clock is set.
    issued: Option<Moment>,
    /// What it brings with it, if replicas share it.
    // Most have none, and tokens are moved through many futures.
    inherited: Option<Box<Inherited>>,
    /// Whether only the replica that got it uses it.
    #[cfg_attr(not(feature = "shared"), allow(dead_code, reason = "asked by shared sources"))]
    is_not_shared: bool,
    scope: Option<String>,
    extras: BTreeMap<String, String>,
}

/// The lifetime of a token, as far as its source knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Unknown: the provider's default lifetime applies.
    Unknown,
    /// Until it is rejected.
    /// It has no refresh point either. Only a rejection, or `refresh_now`, causes the next fetch.
    Never,
    /// Counted from when it was issued.
    In(Duration),
    /// By the time of day.
    /// It is converted to a remaining time once, when the bearer is made.
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
            is_not_shared: false,
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
    /// The time is compared with this machine's clock. So a clock that is a minute off makes the lifetime a minute too
    /// short or too long. Prefer [`expires_in`](Self::expires_in) if the response has both.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use bearer_token::AccessToken;
    ///
    /// // `"expireTime": "2030-01-01T00:00:00Z"`, as parsed by the date library of your choice.
    /// let expire_time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    /// let token = AccessToken::new("ya29.c.b0AXv0zTM").expires_at(expire_time);
    /// # let _ = token;
    /// ```
    #[must_use]
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expiry = Expiry::At(time);
        self
    }

    /// Keeps the token in use until the API rejects it.
    ///
    /// For API keys and personal access tokens. [`Policy::max_lifetime`](crate::Policy::max_lifetime) does not apply:
    /// there is no claim to distrust. Do not use it for a token whose lifetime is merely unknown. The API would have to
    /// refuse a request before the provider learns of the end.
    #[must_use]
    pub fn never_expires(mut self) -> Self {
        self.expiry = Expiry::Never;
        self
    }

    /// Hints at when to get the next token, counted from [`issued`](Self::issued).
    ///
    /// For servers that recommend a time, and for sources that know when a new token is useful.
    ///
    /// The provider refreshes the token then, or at the refresh point of its [`Policy`](crate::Policy) if that is
    /// earlier. A hint never makes a token live longer or shorter. With jitter, each bearer is refreshed up to a fifth
    /// of the hint earlier. A hint of less than a minute counts as one minute: otherwise each request could cause a
    /// fetch.
    ///
    /// Entra ID may send `refresh_in` with long-lived tokens. Token endpoints read it only if they are told where it
    /// is.
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
    ///
    /// Do not repeat the scope that was requested. A missing scope means that all of it was granted, and the caller can
    /// tell the two cases apart.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Adds another field of the response that callers need, such as Salesforce's `instance_url`.
    ///
    /// The bearer returns it from [`Bearer::extra`](crate::Bearer::extra). Extras live as long as the bearer and are
    /// not wiped, so do not put secrets here. A second call with the same name replaces the first value.
    #[must_use]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extras.insert(name.into(), value.into());
        self
    }

    /// The token itself. It is a secret.
    ///
    /// For sources that wrap another source, and for tests. `Debug` never shows it; a `println!` of this would.
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

    /// Sets what the token brings with it from the record that replicas share.
    #[cfg(feature = "shared")]
    pub(crate) fn with_inherited(self, inherited: Inherited) -> Self {
        AccessToken { inherited: Some(Box::new(inherited)), ..self }
    }

    /// Keeps the token from other replicas: it is not what its source is asked for now.
    #[allow(dead_code, reason = "used by `HotSwap`, which is behind a feature")]
    pub(crate) fn not_shared(self) -> Self {
        AccessToken { is_not_shared: true, ..self }
    }

    #[cfg(feature = "shared")]
    pub(crate) fn is_not_shared(&self) -> bool {
        self.is_not_shared
    }

    pub(crate) fn inherited(&self) -> Option<&Inherited> {
        self.inherited.as_deref()
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
///
/// The limit bounds memory, not use: the header value is copied for each group of threads.
const TOKEN_LIMIT: usize = 64 * 1024;

/// Checks that a token is a legal part of a header value.
///
/// The error names the kind of the offending byte and its position, never its neighbours: those are parts of a secret.
/// It recognises a token that already begins with the scheme, and says so.
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
