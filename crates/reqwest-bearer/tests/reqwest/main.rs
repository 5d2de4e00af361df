//! The adapter over real sockets on loopback, with TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed helper must end the test")]
#![allow(clippy::disallowed_methods, reason = "tests spawn servers, and guard themselves against hanging")]

mod redirects;
mod server;
#[cfg(feature = "transport")]
mod transport;
#[cfg(feature = "transport-tls")]
mod transport_builder;
