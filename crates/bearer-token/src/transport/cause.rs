//! Why a connection failed, without quoting untrusted input.
//!
//! "error sending request" is what most clients say when a certificate has expired, a name is misspelt or a proxy wants
//! a password. The cause is somewhere in the chain of sources, as a type of rustls, an `io::Error` or only as words.
//! This file finds it there, and gives it the same sentence whatever client it came from.
//!
//! ```text
//! error of the client
//!   └─ source ─ source ─ .. (at most 64, and those inside of io::Error)
//!        ├─ a rustls error        -> tls.rs
//!        ├─ an io::Error          -> by its kind
//!        └─ nothing of these      -> text.rs compares words
//!                                      │
//!                                    Cause -> kind.rs has its sentence, and whether the request was sent
//! ```

use std::{error::Error as StdError, io};

use http::Uri;

use crate::error::{Error, ErrorKind};

mod kind;
mod text;
#[cfg(feature = "http-transport")]
mod tls;

pub(crate) use self::kind::Cause;

/// A marker among the sources of an error: the server sent more than any token response may have.
///
/// It is an error type because it has to pass through hyper, as the source of an IO error.
#[derive(Debug)]
pub(crate) struct TooMuch;

impl std::fmt::Display for TooMuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server sent too much for one response")
    }
}

impl StdError for TooMuch {}

impl Cause {
    /// The most specific cause in a chain of errors.
    ///
    /// The types of the errors are checked first. Their messages are the last resort, because libraries have no types
    /// for some causes. Messages are compared and never repeated, because a server may choose their words.
    ///
    /// A reset or an early end is remembered while the search goes on: below it there may be the reason, such as an
    /// alert.
    pub(crate) fn find(error: &(dyn StdError + 'static)) -> Option<Cause> {
        let mut found = None;
        for error in chain(error) {
            if let Some(cause) = Self::of_type(error) {
                // A reset below a TLS error is the TLS error's to explain.
                found = found.or(Some(cause));
                if !matches!(cause, Cause::Closed | Cause::Reset) {
                    return Some(cause);
                }
            }
        }
        found.or_else(|| chain(error).find_map(text::find))
    }

    /// The cause that the type of one error shows.
    fn of_type(error: &(dyn StdError + 'static)) -> Option<Cause> {
        if error.is::<TooMuch>() {
            return Some(Cause::TooMuch);
        }
        of_tls(error).or_else(|| Self::of_io(error.downcast_ref::<io::Error>()?))
    }

    /// The cause that the kind of an IO error shows. Kinds that say nothing about a connection are skipped.
    fn of_io(error: &io::Error) -> Option<Cause> {
        Some(match error.kind() {
            io::ErrorKind::ConnectionRefused => Cause::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Cause::Reset
            }
            io::ErrorKind::UnexpectedEof => Cause::Closed,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
                Cause::Unreachable
            }
            io::ErrorKind::PermissionDenied => Cause::NotPermitted,
            io::ErrorKind::TimedOut => Cause::TimedOut,
            _ => return None,
        })
    }
}

#[cfg(feature = "http-transport")]
fn of_tls(error: &(dyn StdError + 'static)) -> Option<Cause> {
    error.downcast_ref().map(tls::cause)
}

#[cfg(not(feature = "http-transport"))]
fn of_tls(_: &(dyn StdError + 'static)) -> Option<Cause> {
    None
}

/// The error for a token request that an HTTP client could not send, or whose response could not be read.
///
/// For transports of your own. The message names the cause, as far as the error and its sources show it: the host name,
/// the port, the proxy, the certificate. The error is neither quoted nor used as the source, because other libraries
/// put URLs and server responses into their errors. `uri` is the URL of the token request; only its origin is shown.
///
/// ```
/// use std::io;
/// use bearer_token::{ErrorKind, adapter::client_error};
/// use http::Uri;
///
/// let uri = Uri::from_static("https://as.example.com/token?key=s3cret");
/// let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
/// let error = client_error(&uri, &refused);
/// assert_eq!(error.kind(), ErrorKind::Transport);
/// let sentence = "no connection for the token request to https://as.example.com: connection refused; check the port, \
///                 and that the server is running";
/// assert_eq!(error.to_string(), sentence);
/// ```
pub fn client_error(uri: &Uri, error: &(dyn StdError + 'static)) -> Error {
    let origin = origin(uri);
    let Some(cause) = Cause::find(error) else {
        let message = format!(
            "the connection to {origin} broke before a response to the token request arrived: check the server, and the \
             proxies on the way"
        );
        return with_io_source(Error::new(ErrorKind::Transport, message), error);
    };
    let (found, change) = cause.words();
    let (kind, what) = match cause {
        Cause::TooMuch => (ErrorKind::Response, "no token response from"),
        Cause::Reset | Cause::Closed => (ErrorKind::Transport, "no response to the token request from"),
        Cause::TimedOut => (ErrorKind::Timeout, "no response to the token request from"),
        _ => (ErrorKind::Transport, "no connection for the token request to"),
    };
    let failed = with_io_source(Error::new(kind, format!("{what} {origin}: {found}; {change}")), error);
    if cause.is_before_the_request() { failed.unsent() } else { failed }
}

/// Adds the operating system's own error as the source, and nothing else of the chain.
pub(super) fn with_io_source(failed: Error, error: &(dyn StdError + 'static)) -> Error {
    let code = chain(error).find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error());
    match code {
        Some(code) => failed.with_source(io::Error::from_raw_os_error(code)),
        None => failed,
    }
}

/// An error and its sources, including the error inside an [`io::Error`], which its own `source` skips.
pub(super) fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    /// A limit for chains of errors that never end. Real ones are short.
    const LONGEST: usize = 64;
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        let error: &'a (dyn StdError + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
    .take(LONGEST)
}

/// The origin of a URL. Messages show no more of it, because a query can contain account numbers and secrets.
///
/// Without user information too, which the authority may have.
pub(super) fn origin(uri: &Uri) -> String {
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default())
}
