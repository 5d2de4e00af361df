//! What passes from a source to a provider: a token, how long it lives, and why it was fetched.

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

#[cfg(any(feature = "jwt", feature = "oauth"))]
pub(crate) mod jwt_expiry;

/// Why a token is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchReason {
    /// There is no usable token; callers wait.
    Missing,
    /// The token is still good, and is renewed early in the background.
    Stale,
    /// The API refused the token that the source gave last.
    Rejected,
    /// The application asked for it, with `refresh_now`.
    Requested,
}

/// A token as a source hands it over.
///
/// `Debug` shows neither the token nor what a server said beside it.
pub struct AccessToken {
    token: Zeroizing<String>,
    expiry: Expiry,
    issued: Option<Moment>,
    scope: Option<String>,
    extras: BTreeMap<String, String>,
}

/// How long a token lives, as far as its source knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Nobody said: the provider's default lifetime holds.
    Unknown,
    /// Until it is rejected.
    Never,
    /// Counted from when it was issued.
    In(Duration),
    /// By the time of day.
    At(SystemTime),
}

impl AccessToken {
    /// A token of unknown lifetime: the provider's default lifetime holds for it
    /// ([`Policy::default_lifetime`](crate::Policy::default_lifetime)).
    pub fn new(token: impl Into<String>) -> Self {
        AccessToken {
            token: Zeroizing::new(token.into()),
            expiry: Expiry::Unknown,
            issued: None,
            scope: None,
            extras: BTreeMap::new(),
        }
    }

    /// It lives this long, counted from [`issued`](Self::issued). Zero is legal: such a token serves the requests that
    /// waited for it, and is not kept. The same token once more, after it has expired, is an error: it would be asked for
    /// without end.
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.expiry = Expiry::In(lifetime);
        self
    }

    /// It lives until this time of day. One that is past already is as a lifetime of zero.
    #[must_use]
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expiry = Expiry::At(time);
        self
    }

    /// It lives until it is rejected.
    #[must_use]
    pub fn never_expires(mut self) -> Self {
        self.expiry = Expiry::Never;
        self
    }

    /// The moment before the request for it was sent: the server's clock for it started no earlier and no later than
    /// its answer. Without this, lifetimes count from the start of the fetch.
    #[must_use]
    pub fn issued(mut self, moment: Moment) -> Self {
        self.issued = Some(moment);
        self
    }

    /// The scope that was granted, if the answer names it (RFC 6749 section 5.1).
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// A further member of the answer that callers want to read, such as Salesforce's `instance_url`.
    #[must_use]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extras.insert(name.into(), value.into());
        self
    }

    /// The token. Handle with care.
    pub fn secret(&self) -> &str {
        &self.token
    }

    pub(crate) fn expiry(&self) -> Expiry {
        self.expiry
    }

    pub(crate) fn issued_moment(&self) -> Option<Moment> {
        self.issued
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
            // What the server said beside it, scope and extras, may hold anything.
            .finish_non_exhaustive()
    }
}

/// Whether a token can stand in a header.
pub(crate) fn check_token(token: &str) -> Result<(), Error> {
    if token.is_empty() {
        return Err(Error::new(ErrorKind::Token, "the source gave an empty token; expected a bearer token"));
    }
    // RFC 6750 allows fewer characters, but real tokens use more (a `!` at Salesforce). What is left out here could
    // change the meaning of the header: blanks, control characters, and bytes beyond ASCII.
    if let Some(position) = token.bytes().position(|byte| !byte.is_ascii_graphic()) {
        return Err(Error::new(
            ErrorKind::Token,
            format!(
                "the source gave a token that cannot stand in a header: byte {position} of {} is not a visible ASCII \
                 character; expected a bearer token (RFC 6750 section 2.1), without blanks or line ends",
                token.len(),
            ),
        ));
    }
    Ok(())
}
