//! gRPC with tonic's own clients, channels and servers on loopback, and the authorization server in a box.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed helper must end the test")]
#![allow(clippy::disallowed_methods, reason = "tests spawn servers and callers, and end when they hang")]

mod calls;
mod challenges;
mod crowds;
mod echo;
mod errors;
mod interceptor;
mod origins;
mod rejections;
mod support;
