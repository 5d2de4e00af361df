//! Our layer and middleware.

use std::convert::Infallible;

use bearer_token::{
    Authorized, KeyedProviders, Selected, TokenProvider, TokenProviderBuilder,
    adapter::Authorize,
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

/// The tenant of every request.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Tenant(String);

/// A service whose requests name their tenant among their extensions.
#[derive(Clone)]
pub(super) struct Tenanted<S>(Through<S>);

impl<S> Tenanted<S> {
    pub(super) fn new(service: S) -> Self {
        Tenanted(Through(service))
    }
}

impl<S> Attach for Tenanted<S>
where
    Through<S>: Attach,
    S: Clone + Send + Sync + 'static,
{
    #[inline]
    async fn send(&mut self, mut request: Request<()>) -> Result<Reply, Failed> {
        request.extensions_mut().insert(Tenant("tenant-000007".to_owned()));
        self.0.send(request).await
    }
}

/// Our layer with a provider for each tenant.
pub(super) fn keyed(endpoint: &Endpoint) -> BearerService<Noop, impl Authorize> {
    let endpoint = endpoint.clone();
    let tenants = KeyedProviders::builder(move |_: &Tenant| Ok(builder(&endpoint))).build().expect("a valid map");
    let by_tenant = tenants.select(|head| Ok(Selected::key_or_none(head.extension::<Tenant>())));
    BearerLayer::new(by_tenant).layer(Noop::new())
}

/// A provider of tokens from an authorization server, as the README shows it.
pub(super) fn provider(endpoint: &Endpoint) -> TokenProvider {
    builder(endpoint).build().expect("a valid provider")
}

fn builder(endpoint: &Endpoint) -> TokenProviderBuilder {
    let source = TokenEndpoint::builder(endpoint.url(), ClientCredentials::new())
        .client_auth(ClientAuth::basic("client-id", "client-secret"))
        .build()
        .expect("a valid token endpoint");
    TokenProvider::builder(source).allow_origin(ORIGIN)
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
