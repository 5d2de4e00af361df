//! Bearer tokens for outgoing requests: cached, shared, refreshed before a request has to wait.
//!
//! A [`TokenSource`] mints tokens. A [`TokenProvider`] keeps the last one and serves it to any number of requests,
//! through an adapter: [`tower-bearer`](https://docs.rs/tower-bearer) for tower stacks, hyper and tonic,
//! [`reqwest-bearer`](https://docs.rs/reqwest-bearer) for reqwest, or [`TokenProvider::authorize`] for a client of
//! your own.
//!
//! ```
//! use bearer_token::{AccessToken, Authorized, FetchContext, TokenProvider};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Any async closure is a source; `jwt` and `oauth` have the usual ones.
//! let provider = TokenProvider::builder(async |_cx: FetchContext| {
//!     Ok(AccessToken::new("2YotnFZFEjr1zCsicMWpAA").expires_in(Duration::from_secs(3600)))
//! })
//! .allow_origin("https://api.example.com")
//! .build()?;
//!
//! let mut request = http::Request::get("https://api.example.com/orders").body(())?;
//! // Cold: nothing is there yet, so wait once.
//! assert_eq!(provider.authorize(&mut request)?, Authorized::NotReady);
//! provider.token().await?;
//! // Warm, from now on: one read that never waits for a lock, one header insert.
//! let Authorized::Inserted(ticket) = provider.authorize(&mut request)? else { panic!("there is a token") };
//! assert_eq!(request.headers()["authorization"], "Bearer 2YotnFZFEjr1zCsicMWpAA");
//! // And if the API responds with 401:
//! ticket.reject(&http::HeaderMap::new());
//! # Ok(()) }
//! ```
//!
//! # Sources
//!
//! | source | tokens come from |
//! |---|---|
//! | `jwt::SelfSigned` | a JWT signed here, used as the token itself (feature `jwt`) |
//! | `oauth::TokenEndpoint` | an OAuth 2.0 authorization server: `client_credentials`, `jwt-bearer`, token exchange, `refresh_token` from a `store`, a grant of your own, or a request in another form (feature `oauth`) |
//! | `oauth::ProtectedResource` | one of the authorization servers that you trust, chosen by the API's metadata (RFC 9728; feature `oauth`) |
//! | `FileToken` | a file that another program keeps fresh, such as Kubernetes (feature `jwt` or `oauth`) |
//! | [`StaticToken`] | you |
//! | `HotSwap` | a source whose credential is replaced while it is in use (feature `jwt` or `oauth`) |
//! | [`Fallback`] | one source, and [another](TokenSource::or_else) when that fails for good |
//! | an `async` closure, a [`TokenProvider`], or any [`TokenSource`] of yours | wherever you like |
//!
//! [`bearer-token-config`](https://docs.rs/bearer-token-config) builds all of it from TOML, JSON or the environment.
//!
//! # Life of a token
//!
//! A token is *fresh* at first: it is served. Then it is *stale*: it is served, and the first request to notice starts
//! a refresh in the background. In its last seconds it is *expired*: it is not sent any more, and requests wait for the
//! one fetch in progress. A failed fetch is followed by a *cool-down* in which no other starts. A 401, or gRPC status
//! 16, *rejects* the token that the request carried, and no other. The source is told [what the API asked
//! for](FetchContext::challenges). [`Policy`] has the numbers.
//!
//! # What is where
//!
//! | you need | look at |
//! |---|---|
//! | a provider, and what it does with a request | [`TokenProvider`], [`TokenProviderBuilder`] |
//! | one for each tenant, user or host | [`KeyedProviders`] |
//! | the numbers behind refreshing and backing off | [`Policy`] |
//! | another header, another scheme, other refusals | [`Sending`] |
//! | what failed, and what to do | [`Error`], [`ErrorKind`], [`Retry`] |
//! | a source of your own | [`TokenSource`], [`FetchContext`], [`AccessToken`] |
//! | an adapter of your own | [`adapter`], [`Ticket`], [`Destination`] |
//! | metrics, events, a readiness probe | [`observe`], [`TokenProvider::probe`] |
//! | a clock of your own, in tests | [`platform`], and the crate `bearer-token-testing` |
//!
//! # Guide
//!
//! [`guide`] has a chapter for each question. They are about sources, providers, keys, stacks, whole programs to copy,
//! tenants, fleets, the life of a token, metrics, production, errors, and more.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `jwt` | yes | signing: self-signed JWTs and, with `oauth`, assertions |
//! | `encrypted-keys` | | private keys that are encrypted with a passphrase |
//! | `ml-dsa` | | keys for ML-DSA, whose signatures withstand quantum computers (RFC 9964) |
//! | `oauth` | yes | token requests to an OAuth 2.0 authorization server |
//! | `shared` | | one token for all replicas, through a store that they share |
//! | `http-transport` | yes | the default transport of token requests: hyper and rustls |
//! | `rustls-aws-lc-rs` | yes | aws-lc-rs as the cryptography of that transport; without it, what the process has installed in rustls |
//! | `tower` | | any tower service as that transport |
//! | `tracing` | | events of the token life cycle, for `tracing` |
//! | `metrics` | | metrics of the token life cycle, for any recorder of the `metrics` facade |
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod adapter;
mod error;
#[cfg(feature = "_json")]
mod files;
// Its snippets use the adapters. So the package of the tests compiles them.
#[cfg(all(doc, not(doctest)))]
pub mod guide;
pub mod observe;
pub mod platform;
mod problem;
mod provider;
mod resource;
pub mod secret;
mod source;
mod sync;
#[cfg(test)]
mod test_support;
mod token;
pub mod transport;
#[cfg(feature = "_json")]
mod value;

#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(feature = "oauth")]
pub mod oauth;
#[cfg(feature = "shared")]
#[cfg_attr(docsrs, doc(cfg(feature = "shared")))]
pub mod shared;
#[cfg(feature = "oauth")]
pub mod store;

pub use self::{
    error::{Error, ErrorKind, Retry},
    problem::{Advice, Problem, Setting},
    provider::{
        Authorized, Backoff, Bearer, KeyedProviders, KeyedProvidersBuilder, KeyedStatus, Policy, ProviderState,
        ProviderStatus, Readiness, Select, Selected, Ticket, TokenFuture, TokenProvider, TokenProviderBuilder,
    },
    resource::{Destination, RequestHead, ResponseHead, Sending},
    source::{Challenge, ChallengeTest, CredentialInUse, Fallback, FetchContext, Identity, StaticToken, TokenSource},
    token::{AccessToken, FetchReason, Rejection},
};
#[cfg(feature = "_json")]
#[cfg_attr(docsrs, doc(cfg(any(feature = "jwt", feature = "oauth"))))]
pub use self::{
    secret::encoding::Encoding,
    source::{FileToken, HotSwap},
    value::Value,
};

/// A request extension: this request is sent as it is, without a token.
///
/// Token requests carry it. So a transport that uses the same stack as the API client does not wait for its own token.
/// Set it on requests of your own that must go out unauthenticated. Adapters for clients without `http::Extensions`
/// document where to put it.
///
/// ```
/// use bearer_token::{Authorized, PassThrough, StaticToken, TokenProvider};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let provider = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA"))
///     .allow_origin("https://api.example.com")
///     .build()?;
/// provider.token().await?;
/// let mut request = http::Request::get("https://api.example.com/health").extension(PassThrough).body(())?;
/// assert_eq!(provider.authorize(&mut request)?, Authorized::Passed);
/// assert!(request.headers().is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassThrough;
