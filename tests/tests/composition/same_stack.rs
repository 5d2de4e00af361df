//! Token requests over the stack that contains the provider.

use std::sync::{Arc, OnceLock, Weak};

use bearer_token::{
    AccessToken, Error, ErrorKind, FetchContext, TokenProvider, TokenSource,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    transport::{self, ServiceTransport, Transport},
};
use bytes::Bytes;
use http::{Request, Response};
use tower::{ServiceBuilder, ServiceExt};
use tower_bearer::{BearerLayer, BearerService};

use crate::support::{Body, HyperClient, LIFETIME, Setup, hyper, within};

type Stack = BearerService<HyperClient>;
type Bound = OnceLock<ServiceTransport<Stack, Body>>;

/// The documented transport: it reaches the stack without keeping it alive.
struct Late(Weak<Bound>);

impl Transport for Late {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let bound = self.0.upgrade();
        let Some(transport) = bound.as_ref().and_then(|bound| bound.get()) else {
            return Err(Error::new(ErrorKind::Transport, "the client that carries token requests is gone"));
        };
        transport.send(request).await
    }
}

/// A source that reports when it is freed.
struct Observed(TokenEndpoint, #[expect(dead_code, reason = "it is dropped with the source")] Arc<()>);

impl TokenSource for Observed {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        self.0.fetch(cx).await
    }
}

#[tokio::test]
async fn l36_a_weak_transport_on_the_same_stack_is_freed() {
    let setup = Setup::cold();
    let bound = Arc::new(Bound::new());
    let alive = Arc::new(());
    let endpoint = TokenEndpoint::builder(setup.server.token_url(), ClientCredentials::new())
        .client_auth(ClientAuth::basic("app", "a secret"))
        .transport(Late(Arc::downgrade(&bound)))
        .build()
        .unwrap();
    let provider = TokenProvider::builder(Observed(endpoint, Arc::clone(&alive)))
        .allow_origin(setup.server.issuer())
        .platform(bearer_token::platform::Platform::system().with_clock(setup.clock.clone()))
        .build()
        .unwrap();
    let stack: Stack = ServiceBuilder::new().layer(BearerLayer::new(provider.clone())).service(hyper());
    assert!(bound.set(transport::service(stack.clone())).is_ok());

    assert_eq!(within(stack.clone().oneshot(setup.get("/orders"))).await.unwrap().status(), 200);
    setup.clock.advance(LIFETIME);
    assert_eq!(within(stack.clone().oneshot(setup.get("/orders"))).await.unwrap().status(), 200);
    assert_eq!(setup.token_requests(), 2);

    // Without the cell, token requests fail and say why.
    drop(bound);
    let error = within(provider.refresh_now()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    drop((stack, provider));
    // The driver of the last fetch may still be ending.
    within(async {
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
