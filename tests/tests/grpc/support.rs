//! Shared setup: a server that checks tokens, a scripted source, and a manual clock.

use std::{future::Future, net::SocketAddr, sync::Arc};

use bearer_token::{
    Error, Policy, TokenProvider, TokenProviderBuilder, TokenSource,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    platform::Platform,
};
use bearer_token_testing::{AuthorizationServer, Client, ManualClock, ScriptedSource};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tower::Layer;
use tower_bearer::{BearerLayer, BearerService, grpc::TrailersService};

use crate::echo::{Door, EchoClient, serve};

/// An API on loopback, and a provider whose source mints `token-1`, `token-2` and so on, each valid for an hour.
pub(crate) struct Setup {
    pub(crate) clock: ManualClock,
    pub(crate) source: ScriptedSource,
    pub(crate) provider: TokenProvider,
    pub(crate) door: Door,
    pub(crate) address: SocketAddr,
}

impl Setup {
    pub(crate) async fn start() -> Self {
        let (clock, source, door) = (ManualClock::new(), ScriptedSource::new(), Door::default());
        let provider = builder(&clock, source.clone()).build().unwrap();
        let address = serve(door.clone(), None).await;
        Setup { clock, source, provider, door, address }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        endpoint(self.address)
    }

    pub(crate) fn channel(&self) -> Channel {
        self.endpoint().connect_lazy()
    }

    /// A client with the plain layer.
    pub(crate) fn client(&self) -> EchoClient<BearerService<Channel>> {
        EchoClient::new(layer(&self.provider).layer(self.channel()))
    }

    /// A client that watches the trailers.
    pub(crate) fn watching_client(&self) -> EchoClient<TrailersService<Channel>> {
        EchoClient::new(layer(&self.provider).watch_trailers().layer(self.channel()))
    }
}

pub(crate) fn builder(clock: &ManualClock, source: impl TokenSource) -> TokenProviderBuilder {
    TokenProvider::builder(source)
        .policy(Policy::default().jitter(false))
        .platform(Platform::system().with_clock(clock.clone()))
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

/// The layer with the mapping that the documentation recommends.
pub(crate) fn layer(provider: &TokenProvider) -> BearerLayer {
    BearerLayer::new(provider.clone()).map_error(|error| as_status(error).into())
}

pub(crate) fn as_status(error: Error) -> Status {
    let mut status = Status::new(Code::from(error.grpc_code()), error.to_string());
    status.set_source(Arc::new(error));
    status
}

/// An authorization server in a box on this clock, and a provider that fetches from it.
pub(crate) fn boxed(clock: &ManualClock, secret: &str) -> (AuthorizationServer, TokenProvider) {
    let server = AuthorizationServer::builder().clock(clock.clone()).start().unwrap();
    server.register(Client::secret("reports", "a secret of the test's own"));
    let source = TokenEndpoint::builder(server.token_url(), ClientCredentials::new())
        .client_auth(ClientAuth::basic("reports", secret))
        .build()
        .unwrap();
    let provider = builder(clock, source).build().unwrap();
    (server, provider)
}

/// The token error behind a status, found as users find it.
pub(crate) fn token_error(status: &Status) -> Option<&Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(status);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Ends a test that hangs. A passing test never reaches this limit.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(std::time::Duration::from_secs(60), future).await.expect("the test hangs")
}

/// Completes once other tasks of this runtime have made the condition true.
pub(crate) async fn until(mut reached: impl FnMut() -> bool) {
    while !reached() {
        tokio::task::yield_now().await;
    }
}
