//! The whole stack over real sockets: hyper and reqwest clients, token endpoints, and the authorization server in a
//! box.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    reason = "a failed helper must end the test"
)]
#![allow(clippy::disallowed_methods, reason = "tests spawn callers, and guard themselves against hanging")]

mod born_expired;
mod boundaries;
mod chains;
mod challenges;
mod clocks;
mod composition;
mod configured_credentials;
mod configured_keys;
mod connections;
mod crowds;
mod dropped;
mod errors;
mod failures;
mod keys;
mod redirects;
mod refresh;
mod responses;
mod secrets;
mod support;
mod ways;
