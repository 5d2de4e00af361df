//! Events of the token life cycle. They are flat values: this module knows no source, no provider and none of its
//! parts. An event never contains a token, a key, or text that a server sent.
//!
//! Every event has the target `bearer_token`, in every module. The name is stable, so filters can use it.
#![cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, clippy::if_same_then_else, reason = "without the feature, events are no-ops")
)]

use std::{fmt, time::Duration};

use crate::error::{Error, ProviderName};

mod first_time;
mod shim;

pub(crate) use self::first_time::FirstTimes;
use self::shim::{event, span};

/// Whether events are recorded. If not, values that only events need are not computed.
pub(crate) const IS_ON: bool = cfg!(feature = "tracing");

// The life of a token.

/// Runs a poll of a fetch inside a span. So events of the source name the provider too.
pub(crate) struct FetchSpan(shim::Span);

impl FetchSpan {
    pub(crate) fn new(provider: &ProviderName, reason: &str) -> Self {
        FetchSpan(span!("fetch", %provider, reason))
    }

    pub(crate) fn run<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.0.in_scope(poll)
    }
}

pub(crate) fn fetching(provider: &ProviderName, reason: &str) {
    event!(debug, %provider, reason, "fetching a token");
}

pub(crate) fn fetched(provider: &ProviderName, took: Duration, expires_in: Option<Duration>) {
    event!(debug, %provider, ?took, ?expires_in, "fetched a token");
}

/// The token serves only the requests that waited for it. Each such token costs another fetch.
pub(crate) fn born_expired(provider: &ProviderName, lifetime: Option<Duration>) {
    event!(
        warn, %provider, ?lifetime,
        "fetched a token that has expired or is about to; it serves the waiting requests only: check the clocks and \
         the token's lifetime"
    );
}

pub(crate) fn failed(provider: &ProviderName, error: &Error, in_a_row: u32, next_attempt_in: Duration) {
    event!(warn, %provider, kind = ?error.kind(), %error, failures_in_a_row = in_a_row, ?next_attempt_in, "could not fetch a token");
}

pub(crate) fn abandoned(provider: &ProviderName) {
    event!(
        warn, %provider,
        "a fetch was abandoned without a result: its task was dropped, or its runtime is not driven"
    );
}

/// A caller gets this error and no fetch failed: every one was abandoned.
pub(crate) fn gave_up(provider: &ProviderName, error: &Error) {
    event!(warn, %provider, kind = ?error.kind(), %error, "a caller gave up waiting for a token");
}

pub(crate) fn too_late(provider: &ProviderName) {
    event!(debug, %provider, "ignoring the result of a fetch that was given up before");
}

pub(crate) fn rejected(provider: &ProviderName, outcome: &str) {
    event!(debug, %provider, outcome, "the API rejected a bearer");
}

// What a server may refuse.

#[cfg(all(feature = "jwt", feature = "oauth"))]
pub(crate) fn incomplete_assertion(missing: &[&str]) {
    event!(
        warn,
        ?missing,
        "the assertion does not have all claims that RFC 7523 section 3 requires; only some servers accept it: set \
         them on the template"
    );
    let _ = missing;
}

// Where a token may go.

pub(crate) fn no_origin_allowed(provider: &ProviderName) {
    event!(
        info, %provider,
        "no origin is allowed: only loopback and URIs without authority get a token; if requests use this provider \
         directly, call .allow_origin(..) on its builder"
    );
}

pub(crate) fn passed(provider: &ProviderName, origin: &dyn fmt::Display, is_first: bool) {
    if is_first {
        event!(
            warn, %provider, %origin,
            "a request goes out without a token: its origin is not allowed; if the token is meant for it, call \
             .allow_origin(..) on the provider's builder (further ones are logged at debug level)"
        );
    } else {
        event!(debug, %provider, %origin, "a request goes out without a token: its origin is not allowed");
    }
}

pub(crate) fn refused(provider: &ProviderName, error: &Error) {
    event!(debug, %provider, %error, "a request was not authorized");
}

// User code that failed.

pub(crate) fn no_randomness(provider: &ProviderName) {
    event!(warn, %provider, "the platform gave no randomness; refreshes and retries of this provider are not spread");
}

pub(crate) fn has_changed_panicked(provider: &ProviderName) {
    event!(warn, %provider, "TokenSource::has_changed panicked; assuming that nothing has changed");
}

pub(crate) fn waker_panicked() {
    event!(warn, "the waker of a task that waits for a token panicked; the other tasks are woken all the same");
}

// Sources.

/// A file that changed is unusable, so its previous contents stay in use.
#[cfg(feature = "_json")]
pub(crate) fn kept(file: &std::path::Path, problem: &str) {
    event!(warn, file = %file.display(), problem, "ignoring the changed file; its previous contents stay in use");
}

/// A file with certificates or the client's key changed, and its new content is unusable.
#[cfg(feature = "http-transport")]
pub(crate) fn certificates_kept(problems: &str) {
    event!(
        warn,
        problems,
        "ignoring changed certificates for token requests; the previous ones stay in use until a file changes again"
    );
}

#[cfg(feature = "http-transport")]
pub(crate) fn certificates_changed() {
    event!(info, "new connections for token requests use the changed certificates");
}

/// A key that changed is missing or unusable, so the previous one signs.
#[cfg(feature = "jwt")]
pub(crate) fn kept_key(place: &str, problem: &str) {
    event!(warn, place, problem, "ignoring the changed key; the previous one stays in use");
}

/// A key and a certificate do not match, so the last pair that matched stays in use.
#[cfg(feature = "jwt")]
pub(crate) fn kept_pair(problem: &str) {
    event!(warn, problem, "ignoring a key or its certificate; the previous pair stays in use");
}

pub(crate) fn fell_back(error: &Error) {
    event!(warn, kind = ?error.kind(), %error, "the primary source failed permanently; using the fallback");
}

#[cfg(feature = "oauth")]
pub(crate) fn clock_offset(offset: impl fmt::Display) {
    event!(warn, %offset, "this machine's clock is off; signing again by the authorization server's clock");
}

#[cfg(feature = "oauth")]
pub(crate) fn refresh_token_saved() {
    event!(debug, "saved a new refresh token");
}

#[cfg(feature = "oauth")]
pub(crate) fn refresh_token_not_saved(error: &Error) {
    event!(error, kind = ?error.kind(), %error, "could not save a new refresh token; it is kept in memory only");
}

/// This machine's clock differs from the authorization server's. Lifetimes do not depend on it.
#[cfg(feature = "oauth")]
pub(crate) fn clock_differs(origin: &str, offset: impl fmt::Display) {
    event!(
        warn, authorization_server = origin, %offset,
        "the clock of this machine differs from the authorization server's: set the clock"
    );
}

/// A token had already expired when its response arrived.
#[cfg(feature = "oauth")]
pub(crate) fn expired_on_arrival(origin: &str, ago: Duration) {
    event!(
        warn, authorization_server = origin, expired_ago = ?ago,
        "the authorization server sent a token that had already expired: check the token lifetime at the server, and \
         the clock of this machine"
    );
}

/// The granted scope lacks words of the requested one.
#[cfg(feature = "oauth")]
pub(crate) fn narrower_scope(origin: &str, missing: &str) {
    event!(warn, authorization_server = origin, missing, "the granted scope is narrower than the requested one");
}

/// The metadata of a protected resource cannot be read again, so the previous one stays in use.
#[cfg(feature = "oauth")]
pub(crate) fn metadata_kept(resource: &str, error: &Error) {
    event!(warn, resource, kind = ?error.kind(), %error, "using the previous metadata of the resource");
}

/// The authorization server refused the wider scope that the API asked for.
#[cfg(feature = "oauth")]
pub(crate) fn step_refused(origin: &str, error: &Error) {
    event!(
        warn, authorization_server = origin, kind = ?error.kind(), %error,
        "the authorization server refused the wider scope that the API asks for; asking for the previous one again: \
         give the client more rights, then call refresh_now"
    );
}

#[cfg(feature = "oauth")]
pub(crate) fn refresh_token_recovered() {
    event!(info, "recovered a refresh token that a crashed process had written");
}
