//! Our layer and middleware.

use std::convert::Infallible;

use bearer_token::{
    Authorized, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};
use http::Request;
use tower::{Layer, Service};
use tower_bearer::{BearerLayer, BearerService};

use super::Through;
use crate::{
    drive::{Attach, Failed},
    endpoint::Endpoint,
    warm::{Noop, ORIGIN, Reply},
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

/// The provider's share of the cost: the layer's calls, made by hand.
#[derive(Clone)]
pub(super) struct Alone(pub(super) TokenProvider);

impl Attach for Alone {
    #[inline]
    async fn send(&mut self, mut request: Request<()>) -> Result<Reply, Failed> {
        if self.0.authorize(&mut request).map_err(Failed::new)? == Authorized::NotReady {
            self.0.token().await.map_err(Failed::new)?.attach(request.headers_mut());
        }
        Noop::<Infallible>::new().call(request).await.map_err(Failed::new)
    }
}
