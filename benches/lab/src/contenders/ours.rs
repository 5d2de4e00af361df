//! Our layer and middleware.

use std::{
    convert::Infallible,
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

use bearer_token::{
    Authorized, KeyedProviders, Selected, TokenProvider, TokenProviderBuilder,
    adapter::Authorize,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    observe::{Event, EventKind, Observer},
    shared::{Fleet, SealingKeys},
    store::MemorySharedStore,
};
use http::Request;
use tower::{Layer, Service};
use tower_bearer::{BearerLayer, BearerService, Replay};
use tracing::{Metadata, Subscriber, span};

use super::Through;
use crate::{
    drive::{Attach, Failed},
    endpoint::Endpoint,
    warm::{self, Noop, ORIGIN, Reply},
};

pub(super) fn layer(endpoint: &Endpoint) -> Through<BearerService<Noop>> {
    around_noop(builder(endpoint))
}

fn around_noop(builder: TokenProviderBuilder) -> Through<BearerService<Noop>> {
    Through(BearerLayer::new(builder.build().expect("a valid provider")).layer(Noop::new()))
}

/// With another setting.
pub(super) fn with(
    endpoint: &Endpoint,
    set: impl FnOnce(TokenProviderBuilder) -> TokenProviderBuilder,
) -> Through<BearerService<Noop>> {
    around_noop(set(builder(endpoint)))
}

/// With a source whose tokens replicas share.
pub(super) fn in_a_fleet(endpoint: &Endpoint) -> Through<BearerService<Noop>> {
    let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
    let fleet = Fleet::builder(MemorySharedStore::new(), keys).build().expect("a valid fleet");
    let shared = fleet.share_as("the lab's token", source(endpoint));
    around_noop(TokenProvider::builder(shared).allow_origin(ORIGIN))
}

pub(super) fn any_https(endpoint: &Endpoint) -> Through<BearerService<Noop>> {
    around_noop(TokenProvider::builder(source(endpoint)).allow_any_https_origin())
}

pub(super) fn port_allowed(endpoint: &Endpoint) -> Through<BearerService<Noop>> {
    around_noop(TokenProvider::builder(source(endpoint)).allow_origin(format!("{ORIGIN}:443")))
}

/// Without an allowed origin, only loopback gets the token.
pub(super) fn loopback(endpoint: &Endpoint) -> Through<BearerService<Noop>> {
    around_noop(TokenProvider::builder(source(endpoint)))
}

pub(super) const WITH_PORT: &str = "https://api.example.com:443/v1/projects/example/things?page_size=100";
pub(super) const ON_LOOPBACK: &str = "http://127.0.0.1:8080/v1/projects/example/things?page_size=100";

/// A contender whose requests go to another URI.
#[derive(Clone)]
pub(super) struct To<A>(pub(super) A, pub(super) &'static str);

impl<A: Attach> Attach for To<A> {
    #[inline]
    fn send(&mut self, request: Request<()>) -> impl Future<Output = Result<Reply, Failed>> + Send {
        self.0.send(request)
    }

    #[inline(never)]
    fn request(&self) -> Request<()> {
        warm::request_to(self.1)
    }
}

/// With a look at the trailers, too.
#[derive(Clone)]
pub(super) struct Trailing<S>(S);

pub(super) fn trailers(endpoint: &Endpoint) -> impl Attach {
    Trailing(BearerLayer::new(provider(endpoint)).watch_trailers().layer(Noop::<Infallible>::new()))
}

impl<S> Attach for Trailing<S>
where
    S: Service<
            Request<()>,
            Response = http::Response<tower_bearer::grpc::TrailersBody<()>>,
            Error: std::fmt::Display,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    #[inline]
    async fn send(&mut self, request: Request<()>) -> Result<Reply, Failed> {
        std::future::poll_fn(|cx| self.0.poll_ready(cx)).await.map_err(Failed::new)?;
        let response = self.0.call(request).await.map_err(Failed::new)?;
        Ok(response.map(|body| body.into_inner()))
    }
}

/// In tower's retry layer, with a clone of each request.
pub(super) fn replay(endpoint: &Endpoint) -> impl Attach {
    let layer = BearerLayer::new(provider(endpoint)).layer(Noop::<Infallible>::new());
    Through(tower::retry::RetryLayer::new(Replay::cloning()).layer(layer))
}

/// An observer that does not ask for reads.
pub(super) struct Silent;

impl Observer for Silent {
    fn on_event(&self, event: &Event<'_>) {
        black_box(event);
    }
}

/// An observer that counts reads, as one for metrics does.
#[derive(Default)]
pub(super) struct Counting(AtomicU64);

impl Observer for Counting {
    fn on_event(&self, event: &Event<'_>) {
        if matches!(event.kind, EventKind::CacheRead { .. }) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counts_reads(&self) -> bool {
        true
    }
}

/// A subscriber of `tracing` that wants everything and writes nothing.
struct Listening;

/// Makes it the subscriber of the process.
pub(super) fn listen() {
    // The second contender of a process finds it set.
    let _ = tracing::subscriber::set_global_default(Listening);
}

impl Subscriber for Listening {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _attributes: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        black_box(event);
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
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
    TokenProvider::builder(source(endpoint)).allow_origin(ORIGIN)
}

fn source(endpoint: &Endpoint) -> TokenEndpoint {
    TokenEndpoint::builder(endpoint.url(), ClientCredentials::new())
        .client_auth(ClientAuth::basic("client-id", "client-secret"))
        .build()
        .expect("a valid token endpoint")
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
