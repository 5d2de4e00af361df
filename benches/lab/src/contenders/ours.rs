//! Ours.

use bearer_token::{
    TokenProvider,
    token_endpoint::{ClientAuth, ClientCredentials, TokenEndpoint},
};
use tower::Layer;
use tower_bearer::{BearerLayer, BearerService};

use super::Through;
use crate::{
    endpoint::Endpoint,
    warm::{Noop, ORIGIN},
};

pub(super) fn layer(endpoint: &Endpoint) -> Through<BearerService<Noop>> {
    Through(BearerLayer::new(provider(endpoint)).layer(Noop::new()))
}

/// A provider of tokens from an authorization server, as the README shows it.
pub(super) fn provider(endpoint: &Endpoint) -> TokenProvider {
    let source = TokenEndpoint::builder(endpoint.url(), ClientCredentials::new())
        .client_auth(ClientAuth::basic("client-id", "client-secret"))
        .build()
        .expect("a valid token endpoint");
    TokenProvider::builder(source).allow_origin(ORIGIN).build().expect("a valid provider")
}
