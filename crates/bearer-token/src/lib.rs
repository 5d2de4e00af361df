//! Bearer tokens for outgoing requests: cached, shared, refreshed before anybody has to wait.

mod bearer;
mod cache;
mod challenge;
mod error;
mod events;
mod flight;
mod origin;
pub mod platform;
mod policy;
mod provider;
#[cfg(any(feature = "jwt", feature = "token-endpoint"))]
mod secret;
mod source;
mod sync;
mod ticket;
pub mod transport;

#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(feature = "token-endpoint")]
pub mod token_endpoint;

pub use self::{
    bearer::Bearer,
    cache::Rejection,
    challenge::is_rejection,
    error::{Error, ErrorKind, Problem, Retry},
    origin::Destination,
    policy::{Backoff, Policy},
    provider::{Authorized, ProviderState, ProviderStatus, TokenFuture, TokenProvider, TokenProviderBuilder},
    source::{AccessToken, FetchContext, FetchReason, StaticToken, TokenSource},
    ticket::Ticket,
};

/// A request extension: this request is sent as it is, without a token.
///
/// Token requests carry it, so that a transport built on the same stack as the API client does not wait for itself.
/// Set it on requests of your own that must go out unauthenticated.
/// Adapters for clients without `http::Extensions` of their own look for it in the place that their users can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassThrough;
