//! Tokens from an OAuth 2.0 authorization server.
//!
//! A [`TokenEndpoint`] is a [`TokenSource`](crate::TokenSource): it sends a token request (RFC 6749 section 3.2) and
//! reads the response. Three parts make the request. The [`Grant`] is what the client presents, the [`ClientAuth`]
//! identifies the client, and the [`Transport`](crate::transport::Transport) carries the request.
//!
//! ```text
//!            TokenEndpoint::fetch                                      one fetch, usually one request
//!  ┌───────────────────────────────────────────────────────────────────────────────────────────────────────────┐
//!  │ location       grant            client auth         request              response                          │
//!  │ URL, or the -> parameters   ->  id, secret or   ->  form, JSON or    ->  token, lifetime, scope, extras    │
//!  │ issuer's       and headers      fresh assertion     query; headers       or an error with retry advice     │
//!  │ metadata                                               │  Transport  ▲                                     │
//!  └────────────────────────────────────────────────────────┴─────────────┴─────────────────────────────────────┘
//! ```
//!
//! Everything that could be the same in each request is checked and prepared by [`build`](TokenEndpointBuilder::build).
//! What must be fresh is made for each request: assertions, values from files, the tokens of other providers.
//!
//! # Which grant
//!
//! | the program has | grant | specification |
//! |---|---|---|
//! | a client id with a secret, a key or a certificate | [`ClientCredentials`] | RFC 6749 section 4.4 |
//! | a private key that the server knows as a user or a service account | `JwtBearer` (feature `jwt`) | RFC 7523 section 2.1 |
//! | a token of another issuer: of Kubernetes, a CI, a user | [`TokenExchange`] | RFC 8693 |
//! | the consent of a person, given once | [`RefreshToken`] | RFC 6749 section 6 |
//! | an API that names its authorization server itself | [`ProtectedResource`] around one of the above | RFC 9728 |
//! | something else that one request exchanges for a token | [`Grant`], implemented by you | RFC 6749 section 4.5 |
//!
//! # What this module does not do
//!
//! It opens no browser and receives no redirect: the authorization code grant (RFC 6749 section 4.1) ends with a
//! refresh token, which [`RefreshToken`] uses. It creates no DPoP proofs (RFC 9449); a response with
//! `token_type: DPoP` is an error that says so. It does not register clients.

mod client_auth;
mod client_secret;
mod discovery;
mod endpoint;
mod endpoint_url;
mod grant;
mod grants;
mod protected_resource;
mod refresh_token;
mod request;
mod response;
mod scope;
mod step_up;

#[cfg(test)]
mod tests;

#[cfg(feature = "jwt")]
pub use self::grants::JwtBearer;
pub use self::{
    client_auth::ClientAuth,
    client_secret::ClientSecret,
    endpoint::{TokenEndpoint, TokenEndpointBuilder},
    grant::Grant,
    grants::{ClientCredentials, TokenExchange, TokenType},
    protected_resource::{ProtectedResource, ProtectedResourceBuilder},
    refresh_token::RefreshToken,
    request::{BodyFormat, ParameterValue, Parameters},
    response::{ClockOffset, ResponseFields, ResponseFormat},
    step_up::StepUp,
};
