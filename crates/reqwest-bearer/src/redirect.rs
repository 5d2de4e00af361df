//! Redirects that reqwest follows below the middleware.

use std::{
    cell::Cell,
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
};

use bearer_token::Destination;
use reqwest::{Url, redirect::Policy};

/// A redirect policy for the client below the middleware, under which no redirect takes the token to another origin.
///
/// reqwest, up to 0.13.5 at the least, takes `Authorization` off when a redirect leads to another origin, and puts it
/// back when the next one stays there: whoever may redirect twice gets the token. This policy follows redirects as
/// [`Policy::default`] does, and fails at a second one within an origin that is not the first.
///
/// ```
/// # fn main() -> reqwest::Result<()> {
/// let client = reqwest::Client::builder().redirect(reqwest_bearer::redirect_policy()).build()?;
/// # let _ = client; Ok(()) }
/// ```
pub fn redirect_policy() -> Policy {
    let default = Policy::default();
    Policy::custom(move |attempt| {
        let (url, journey) = (attempt.url(), attempt.previous());
        let at = |place: Option<&Url>| place.is_some_and(|place| same_origin(place, url));
        let puts_back = at(journey.last()) && !at(journey.first());
        if puts_back { attempt.error(SecondRedirect) } else { default.redirect(attempt) }
    })
}

thread_local! {
    /// Whether a policy that notes redirects was asked, in the poll that is going on.
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// The same policy; whoever polls the request under [`noting`] learns that it was asked.
pub(crate) fn noted(policy: Policy) -> Policy {
    Policy::custom(move |attempt| {
        ASKED.set(true);
        policy.redirect(attempt)
    })
}

/// What the future gives, and whether it met a redirect under a [`noted`] policy.
///
/// reqwest asks its policy where it polls the request, and nothing between it and the middleware can be polled
/// elsewhere: `Next` is borrowed.
pub(crate) async fn noting<F: Future>(future: F) -> (F::Output, bool) {
    /// Gives what was noted on to a middleware of ours around this one.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ASKED.set(self.0 || ASKED.get());
        }
    }
    let mut future = pin!(future);
    let mut redirected = false;
    let output = poll_fn(|cx| {
        let _restore = Restore(ASKED.replace(false));
        let poll = future.as_mut().poll(cx);
        redirected |= ASKED.get();
        poll
    })
    .await;
    (output, redirected)
}

fn same_origin(one: &Url, other: &Url) -> bool {
    let destination = |url| Destination::new(Url::scheme(url), Url::authority(url));
    destination(one).is_same_origin(destination(other))
}

/// Says no URL: redirects are where signed ones turn up.
#[derive(Debug)]
struct SecondRedirect;

impl fmt::Display for SecondRedirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another origin redirected a second time, which would have sent the token there")
    }
}

impl StdError for SecondRedirect {}
