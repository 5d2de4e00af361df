//! Events of the token life cycle, for `tracing`. Never a secret: what is shown here is what `Error` and `Bearer` show.
#![cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "without the feature nothing is told"))]

use crate::{
    error::Error,
    provider::{bearer::Bearer, ticket::Rejection},
    token::FetchReason,
};

pub(crate) fn fetching(reason: FetchReason) {
    #[cfg(feature = "tracing")]
    tracing::debug!(?reason, "fetching a token");
}

pub(crate) fn fetched(bearer: &Bearer) {
    #[cfg(feature = "tracing")]
    tracing::debug!(?bearer, "fetched a token");
}

pub(crate) fn failed(error: &Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!(kind = ?error.kind(), %error, "could not fetch a token");
}

pub(crate) fn abandoned() {
    #[cfg(feature = "tracing")]
    tracing::warn!("a fetch was dropped before it had a result");
}

/// A file that changed could not be used; what it held before still is.
#[cfg(any(feature = "jwt", feature = "oauth"))]
pub(crate) fn kept(file: &std::path::Path, problem: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(file = %file.display(), problem, "a file was not taken over; what it held before stays in use");
}

pub(crate) fn rejected(rejection: Rejection) {
    #[cfg(feature = "tracing")]
    tracing::debug!(?rejection, "the API rejected a bearer");
}

pub(crate) fn fell_back(error: &Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!(kind = ?error.kind(), %error, "the first source failed for good; asking the other one");
}

#[cfg(feature = "oauth")]
pub(crate) fn clock_offset(offset: crate::oauth::ClockOffset) {
    #[cfg(feature = "tracing")]
    tracing::warn!(%offset, "the clock of this machine is off; signing again by the authorization server's");
}

#[cfg(feature = "oauth")]
pub(crate) fn refresh_token_saved() {
    #[cfg(feature = "tracing")]
    tracing::debug!("saved a new refresh token");
}

#[cfg(feature = "oauth")]
pub(crate) fn refresh_token_not_saved(error: &Error) {
    #[cfg(feature = "tracing")]
    tracing::error!(kind = ?error.kind(), %error, "could not save a new refresh token; it is kept in memory only");
}

/// The clock of this machine differs from the authorization server's. Lifetimes do not depend on it.
#[cfg(feature = "oauth")]
pub(crate) fn clock_differs(origin: &str, offset: crate::oauth::ClockOffset) {
    #[cfg(feature = "tracing")]
    tracing::warn!(authorization_server = origin, %offset, "the clock of this machine differs from the authorization server's: set the clock");
}

/// A token had already expired when its response arrived.
#[cfg(feature = "oauth")]
pub(crate) fn expired_on_arrival(origin: &str, ago: std::time::Duration) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        authorization_server = origin,
        expired_seconds_ago = ago.as_secs(),
        "the authorization server sent a token that had already expired: check the token lifetime at the server and the \
         clock of this machine"
    );
}

/// The granted scope lacks words of the requested one.
#[cfg(feature = "oauth")]
pub(crate) fn narrower_scope(origin: &str, missing: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(authorization_server = origin, missing, "the granted scope is narrower than the requested one");
}

#[cfg(feature = "oauth")]
pub(crate) fn refresh_token_recovered() {
    #[cfg(feature = "tracing")]
    tracing::info!("found a refresh token that a crashed process had written, and put it in its place");
}
