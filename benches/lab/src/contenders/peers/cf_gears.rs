//! cf-gears-toolkit-auth: a tower layer, for services with its own error type.

use toolkit_auth::{OAuthClientConfig, SecretString, TokenProvider, oauth2::BearerAuthLayer};
use toolkit_http::{HttpClientConfig, HttpError};
use tower::Layer;

use crate::{contenders::Through, drive::Attach, endpoint::Endpoint, warm::Noop};

pub(crate) fn new(endpoint: &Endpoint) -> impl Attach {
    let provider = TokenProvider::new(OAuthClientConfig {
        token_endpoint: Some(endpoint.url().parse().expect("a URL")),
        client_id: "client-id".into(),
        client_secret: SecretString::new("client-secret"),
        http_config: Some(HttpClientConfig::for_testing()),
        ..OAuthClientConfig::default()
    });
    let layer = BearerAuthLayer::new(provider.expect("a valid configuration"));
    Through(layer.layer(Noop::<HttpError>::new()))
}
