//! The two questions that an error answers in one word: which part failed, and whether waiting helps.

use std::time::Duration;

#[cfg(doc)]
use std::error::Error as StdError;

#[cfg(doc)]
use super::Error;

/// The part that failed.
///
/// The advice in the last column is the usual one. A response can change it: a refusal with `Retry-After` is worth a
/// retry, and a mapped status may not be.
///
/// | kind | typical cause | first thing to look at | usual retry |
/// |---|---|---|---|
/// | [`Config`](Self::Config) | a builder got a wrong value | [`Error::problems`] | after a change |
/// | [`Origin`](Self::Origin) | a request to an address that was not allowed | `allow_origin` of the provider | after a change |
/// | [`Signing`](Self::Signing) | the key cannot sign with this algorithm, or its file vanished | the key's file | after a change |
/// | [`Transport`](Self::Transport) | DNS, connection, TLS or proxy | network, CA certificates | later |
/// | [`Timeout`](Self::Timeout) | a slow server, or a store that is locked | the server's latency | later |
/// | [`Unavailable`](Self::Unavailable) | HTTP 5xx, or 429 with a limit | quotas of the server | later |
/// | [`Refused`](Self::Refused) | wrong secret, unknown key, consent that is missing | [`Error::oauth_code`] | after a change |
/// | [`Response`](Self::Response) | a login page, or another format | the URL, the response's format | later |
/// | [`Token`](Self::Token) | spaces or control characters in the token | the field that the token is read from | later |
/// | [`Source`](Self::Source) | the source's own | [`source`](StdError::source) | later |
/// | [`Panicked`](Self::Panicked) | a bug in a source or selector | the panic's message in the log | later |
/// | [`Abandoned`](Self::Abandoned) | a runtime that ended during the fetch | the code that shuts it down | later |
///
/// New kinds may be added, so a `match` needs a last arm. Most callers need none: they follow [`Error::retry`].
///
/// ```
/// use bearer_token::{Error, ErrorKind};
///
/// /// The label of a counter. It has a bounded number of values, unlike the message.
/// fn label(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::Transport | ErrorKind::Timeout | ErrorKind::Unavailable => "outage",
///         other => other.as_str(),
///     }
/// }
///
/// assert_eq!(label(&Error::new(ErrorKind::Timeout, "no response within 10 s")), "outage");
/// assert_eq!(label(&Error::new(ErrorKind::Refused, "the server refused the client")), "refused");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot work. [`Error::problems`] lists everything that is wrong with it.
    Config,
    /// The request goes to an origin that this provider's tokens must not be sent to.
    Origin,
    /// A JWT could not be signed.
    Signing,
    /// The authorization server could not be reached, or the connection broke.
    Transport,
    /// No response arrived before the deadline.
    Timeout,
    /// The authorization server is in trouble or asks for patience: HTTP 5xx or 429.
    Unavailable,
    /// The authorization server refused the token request, with or without an OAuth error code.
    Refused,
    /// The authorization server's response was a success, but without a readable token.
    Response,
    /// The token itself cannot be used as a bearer token.
    Token,
    /// The source failed in a way of its own.
    Source,
    /// The source, or a function of a keyed provider, panicked. The panic ended that fetch or request only.
    Panicked,
    /// The fetch ended without a result, for example because its runtime was shut down.
    Abandoned,
}

impl ErrorKind {
    /// The kind as events and labels show it: one word in lower case.
    ///
    /// The strings are stable: they are values of metrics' labels and of the field `kind` in `tracing` events.
    /// Dashboards may compare them.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Config => "config",
            ErrorKind::Origin => "origin",
            ErrorKind::Signing => "signing",
            ErrorKind::Transport => "transport",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Refused => "refused",
            ErrorKind::Response => "response",
            ErrorKind::Token => "token",
            ErrorKind::Source => "source",
            ErrorKind::Panicked => "panicked",
            ErrorKind::Abandoned => "abandoned",
        }
    }
}

/// Whether a retry can help.
///
/// ```
/// use std::time::Duration;
/// use bearer_token::{Error, ErrorKind, Retry};
///
/// /// How long a worker should sleep before it takes the next job; `None` if an operator has to act first.
/// fn pause(error: &Error) -> Option<Duration> {
///     match error.retry() {
///         Retry::Later { after } => Some(after.unwrap_or(Duration::from_secs(1))),
///         _ => None,
///     }
/// }
///
/// let busy = Error::new(ErrorKind::Unavailable, "the server responded with status 429");
/// assert_eq!(pause(&busy), Some(Duration::from_secs(1)));
/// let asked_to_wait = busy.with_retry(Retry::Later { after: Some(Duration::from_secs(30)) });
/// assert_eq!(pause(&asked_to_wait), Some(Duration::from_secs(30)));
/// assert_eq!(pause(&Error::new(ErrorKind::Refused, "the server refused the client")), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// The cause may pass by itself. If the server named a time (RFC 9110 section 10.2.3), it will not pass before
    /// `after`.
    Later {
        /// The shortest wait, counted from the response.
        after: Option<Duration>,
    },
    /// The same request fails again until a key, a permission or the configuration changes.
    ///
    /// Providers still retry, rarely, so no restart is needed after the fix.
    AfterChange,
}
