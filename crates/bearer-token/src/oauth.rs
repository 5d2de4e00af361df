//! Tokens from an OAuth 2.0 authorization server.
//!
//! A [`TokenEndpoint`] is a [`TokenSource`](crate::TokenSource): it sends a token request (RFC 6749 section 3.2) and
//! reads the response. Three parts make the request. The [`Grant`] is what the client presents, the [`ClientAuth`]
//! identifies the client, and the [`Transport`](crate::transport::Transport) carries the request.

mod client_auth;
mod client_secret;
mod discovery;
mod endpoint;
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
