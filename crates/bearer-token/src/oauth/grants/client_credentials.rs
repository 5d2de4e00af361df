//! The client credentials grant.

use crate::{
    error::Error,
    oauth::{Grant, Parameters},
    source::{FetchContext, Identity},
};

/// A token for the client itself: `grant_type=client_credentials` (RFC 6749 section 4.4).
///
/// The endpoint's [`ClientAuth`](crate::oauth::ClientAuth) identifies the client. A refresh token in the response is
/// ignored, as section 4.4.3 advises.
///
/// ```no_run
/// use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
/// use bearer_token::{TokenProvider, Value};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # #[cfg(feature = "http-transport")] {
/// let source = TokenEndpoint::builder("https://tenant.eu.auth0.com/oauth/token", ClientCredentials::new())
///     .client_auth(ClientAuth::post("client-id", Value::file("/run/secrets/client-secret")))
///     // Auth0 wants to know which API the token is for.
///     .parameter("audience", "https://api.example.com/")
///     .build()?;
/// let provider = TokenProvider::builder(source).allow_origin("https://api.example.com").build()?;
/// # let _ = provider; }
/// # Ok(()) }
/// ```
///
/// It is also the grant for servers with a protocol of their own: together with
/// [`no_grant_type`](crate::oauth::TokenEndpointBuilder::no_grant_type) it adds nothing to the request.
///
/// | the server responds with | usual cause |
/// |---|---|
/// | `invalid_client` or 401 | a wrong secret or key, or another way of client authentication |
/// | `unauthorized_client` | the grant is not allowed for this client |
/// | `invalid_scope` | a scope that the client was not given; at Entra ID, one without `/.default` |
/// | `invalid_request` | a parameter that this server requires, such as `audience` or `resource` |
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClientCredentials {}

impl ClientCredentials {
    /// Creates the grant, which has no settings.
    pub fn new() -> Self {
        ClientCredentials::default()
    }
}

impl Grant for ClientCredentials {
    async fn parameters(&self, _cx: &FetchContext) -> Result<Parameters, Error> {
        Ok(Parameters::new("client_credentials"))
    }

    fn identity(&self, identity: &mut Identity) {
        // The client is all there is.
        identity.text("grant", "client_credentials");
    }
}
