//! cf-gears-toolkit-auth: a tower layer, for services with its own error type.

use http::Request;
use toolkit_auth::{OAuthClientConfig, SecretString, TokenProvider, oauth2::BearerAuthLayer};
use toolkit_http::{HttpClientConfig, HttpError};
use tower::Layer;

use crate::{
    contenders::{Through, peers::bearer, with_header},
    drive::{Attach, Failed},
    endpoint::Endpoint,
    warm::{Noop, Reply},
};

pub(crate) fn new(endpoint: &Endpoint) -> impl Attach {
    Through(BearerAuthLayer::new(provider(endpoint)).layer(Noop::<HttpError>::new()))
}

/// Used without its layer.
#[derive(Clone)]
pub(crate) struct Alone(pub(crate) TokenProvider);

impl Attach for Alone {
    #[inline]
    async fn send(&mut self, request: Request<()>) -> Result<Reply, Failed> {
        let token = self.0.get().await.map_err(Failed::new)?;
        let value = bearer(token.expose())?;
        drop(token);
        with_header(request, value).await.map_err(Failed::new)
    }
}

pub(crate) fn provider(endpoint: &Endpoint) -> TokenProvider {
    let provider = TokenProvider::new(OAuthClientConfig {
        token_endpoint: Some(endpoint.url().parse().expect("a URL")),
        client_id: "client-id".into(),
        client_secret: SecretString::new("client-secret"),
        http_config: Some(HttpClientConfig::for_testing()),
        ..OAuthClientConfig::default()
    });
    provider.expect("a valid configuration")
}
