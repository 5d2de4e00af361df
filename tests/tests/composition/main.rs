//! Our layer and middleware together with others: real clients, real sockets, and the server in a box.
//!
//! `docs/COMPOSITION.md` has a line for each of these tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    reason = "a failed helper must end the test"
)]
#![allow(clippy::disallowed_methods, reason = "tests guard themselves against hanging")]

mod support;

mod headers;
mod limits;
mod redirects;
mod replay;
mod replay_events;
mod reqwest_bodies;
mod reqwest_replay;
mod reqwest_retry;
mod reqwest_settings;
mod retry;
mod same_stack;
mod sending;
mod stack;
mod table;
