//! Redirects that reqwest follows below the middleware.

use std::{cell::Cell, error::Error as StdError, fmt};

use bearer_token::Destination;
use reqwest::{Url, redirect::Policy};

/// A redirect policy for the client below the middleware, under which no redirect takes the token to another origin.
///
/// It follows redirects as [`Policy::default`] does, and ends with an error where reqwest alone would not be safe:
///
/// - A redirect from `https` to `http` is never followed. Up to 0.13.3, reqwest keeps `Authorization` if the port stays
///   the same, so that the token would travel in the clear.
/// - A second redirect within an origin that is not the first is not followed. reqwest, up to 0.13.5 at least, removes
///   `Authorization` at the first hop to that origin, and restores it at the second.
///
/// ```
/// # fn main() -> reqwest::Result<()> {
/// let client = reqwest::Client::builder().redirect(reqwest_bearer::redirect_policy()).no_proxy().build()?;
/// # let _ = client; Ok(()) }
/// ```
pub fn redirect_policy() -> Policy {
    let default = Policy::default();
    Policy::custom(move |attempt| {
        let (url, journey) = (attempt.url(), attempt.previous());
        let at = |place: Option<&Url>| place.is_some_and(|place| same_origin(place, url));
        if url.scheme() != "https" && journey.last().is_some_and(|last| last.scheme() == "https") {
            attempt.error(Refused::Downgrade)
        } else if at(journey.last()) && !at(journey.first()) {
            attempt.error(Refused::SecondRedirect)
        } else {
            default.redirect(attempt)
        }
    })
}

thread_local! {
    /// Whether a policy that notes redirects was asked during the current poll.
    static ASKED: Cell<bool> = const { Cell::new(false) };
    /// Whether the request that is being polled has headers that reqwest does not remove when the origin changes.
    static IS_BOUND: Cell<bool> = const { Cell::new(false) };
}

/// Wraps a policy, so that [`noting`] learns when it was asked, and so that no redirect takes a bound request to
/// another origin.
pub(crate) fn noted(policy: Policy) -> Policy {
    Policy::custom(move |attempt| {
        ASKED.set(true);
        let leaves = attempt.previous().first().is_none_or(|first| !same_origin(first, attempt.url()));
        if IS_BOUND.get() && leaves { attempt.error(Refused::OtherHeaders) } else { policy.redirect(attempt) }
    })
}

/// Returns the outcome of a poll, and whether a [`noted`] policy was asked meanwhile. A bound request stays within its
/// origin.
///
/// reqwest asks its policy on the thread that polls the request. Nothing between reqwest and the middleware can be
/// polled elsewhere, because `Next` is borrowed.
pub(crate) fn noting<T>(is_bound: bool, poll: impl FnOnce() -> T) -> (T, bool) {
    /// Passes the note on to a middleware of ours around this one.
    struct Restore {
        asked: bool,
        bound: bool,
    }
    impl Drop for Restore {
        fn drop(&mut self) {
            ASKED.set(self.asked || ASKED.get());
            IS_BOUND.set(self.bound);
        }
    }
    let _restore = Restore { asked: ASKED.replace(false), bound: IS_BOUND.get() };
    IS_BOUND.set(is_bound || IS_BOUND.get());
    let outcome = poll();
    (outcome, ASKED.get())
}

fn same_origin(one: &Url, other: &Url) -> bool {
    let destination = |url| Destination::new(Url::scheme(url), Url::authority(url));
    destination(one).is_same_origin(destination(other))
}

/// Shows no URL: redirects often contain signed ones.
#[derive(Debug)]
enum Refused {
    Downgrade,
    SecondRedirect,
    OtherHeaders,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Downgrade => {
                "found a redirect from `https` to `http`, which is not followed: the request would travel in the clear"
            }
            Refused::SecondRedirect => {
                "found a second redirect within another origin, which is not followed: reqwest would send the token \
                 there"
            }
            Refused::OtherHeaders => {
                "found a redirect to another origin, which is not followed: the token is in another header than \
                 `authorization`, which reqwest would send there"
            }
        })
    }
}

impl StdError for Refused {}
