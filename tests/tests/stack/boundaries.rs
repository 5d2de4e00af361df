//! The origins to which a token is sent, and those to which it is not.

use std::sync::{Arc, OnceLock};

use bearer_token::{Error, ErrorKind, PassThrough, TokenProvider, oauth::ClientAuth, transport, transport::Transport};
use bearer_token_testing::{Client as Registered, Fault};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use reqwest_bearer::MiddlewareTransport;
use tower::{ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer};
use tower_bearer::{BearerLayer, BearerService};

use crate::support::{
    Adapter, CLIENT, Client, SECOND, Setup, hyper, own_authorization, reqwest, token_requests, with_middleware, within,
};

// shows: 6749/10.3b 6750/5.3c
#[tokio::test]
async fn l34_plaintext_and_unknown_origins_cause_no_fetch() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let source = || setup.endpoint().build().unwrap();
        let undecided = TokenProvider::builder(source()).build().unwrap();
        let decided = TokenProvider::builder(source()).allow_origin("https://api.example.com").build().unwrap();
        for (provider, url, says) in [
            (&undecided, "https://api.example.com/orders", r#".allow_origin("https://api.example.com")"#),
            (&undecided, "http://api.example.com/orders", r#".allow_plaintext_origin("http://api.example.com")"#),
            (&decided, "http://api.example.com/orders", r#".allow_plaintext_origin("http://api.example.com")"#),
            (&decided, "http://198.51.100.7:8080/", "in the clear"),
        ] {
            let error = within(adapter.client(provider).refused(url)).await;
            assert_eq!(error.kind(), ErrorKind::Origin, "{adapter:?} {url}");
            assert!(error.to_string().contains(says), "{adapter:?} {url}: {error}");
        }
        assert_eq!(setup.token_requests(), 0);
    }
}

#[tokio::test]
async fn l34_loopback_is_authorized_until_an_origin_is_named() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let undecided = TokenProvider::builder(setup.endpoint().build().unwrap()).platform(setup.platform()).build();
        within(adapter.client(&undecided.unwrap()).succeed(&setup.api("orders"))).await;
        // Loopback has no exception once an origin is allowed.
        let elsewhere = TokenProvider::builder(setup.endpoint().build().unwrap())
            .allow_origin("https://api.example.com")
            .platform(setup.platform())
            .build();
        let reply = within(adapter.client(&elsewhere.unwrap()).get(&setup.api("orders"))).await.unwrap();
        assert_eq!(reply.status, 401);
        assert_eq!(setup.authorizations().iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
        assert_eq!(setup.token_requests(), 1, "{adapter:?}: no token is fetched for a request that carries none");
    }
}

#[tokio::test]
async fn l34_the_declared_connection_judges_uris_without_authority() {
    for declared in [false, true] {
        let setup = Setup::start();
        let mut builder = setup.builder(setup.endpoint().build().unwrap());
        if declared {
            builder = builder.connection_origin(setup.server.issuer());
        }
        // As with tonic's channel, the authority is added inside the layer.
        let issuer = setup.server.issuer();
        let service = ServiceBuilder::new()
            .layer(BearerLayer::new(builder.build().unwrap()))
            .map_request(move |mut request: Request<Full<Bytes>>| {
                assert!(request.uri().authority().is_none());
                *request.uri_mut() = format!("{issuer}{}", request.uri().path()).parse().unwrap();
                request
            })
            .service(hyper());
        let result = within(service.oneshot(Request::get("/api/orders").body(Full::default()).unwrap())).await;
        match result {
            Ok(response) => assert!(declared && response.status() == 200),
            Err(error) => {
                let error = error.downcast_ref::<Error>().unwrap();
                assert!(!declared && error.to_string().contains(".connection_origin("), "{error}");
            }
        }
    }
    // With another connection origin, every call would go out without a token, for no visible reason.
    let setup = Setup::start();
    let builder = setup.builder(setup.endpoint().build().unwrap()).connection_origin("https://other.example.com");
    let error = builder.build().unwrap_err();
    assert_eq!(error.problems()[0].path(), "connection_origin", "{error}");
    assert!(error.to_string().contains("`https://other.example.com`"), "{error}");
}

#[tokio::test]
async fn l35_the_callers_authorization_wins_and_owns_its_401() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let provider = setup.provider();
        let client = adapter.client(&provider);
        let url = setup.api("orders");
        let own = "Bearer a-token-of-the-caller";
        // A cold provider fetches nothing for it, and a warm one is not rejected by it.
        for fetched in [0, 1] {
            let reply = within(client.send(&url, own_authorization(own))).await.unwrap();
            assert_eq!((reply.status.as_u16(), setup.token_requests()), (401, fetched), "{adapter:?}");
            assert_eq!(setup.authorizations().pop().unwrap().as_deref(), Some(own), "{adapter:?}");
            within(client.succeed(&url)).await;
        }
        assert_eq!(setup.token_requests(), 1, "{adapter:?}");
    }
}

/// A transport that is made after the provider which it serves: the stack that carries token requests is the one that
/// the provider is a part of.
#[derive(Clone)]
struct Late<T>(Arc<OnceLock<T>>);

impl<T> Late<T> {
    fn new() -> Self {
        Late(Arc::default())
    }

    fn set(&self, transport: T) {
        assert!(self.0.set(transport).is_ok());
    }
}

impl<T: Transport> Transport for Late<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        let transport = self.0.get().ok_or_else(|| Error::new(ErrorKind::Transport, "the stack is not there yet"))?;
        transport.send(request).await
    }
}

#[tokio::test]
async fn l36_token_requests_over_the_same_stack_do_not_wait() {
    // The tower stack also handles one request at a time.
    let setup = Setup::start();
    let late = Late::new();
    let provider = setup.builder(setup.endpoint().transport(late.clone()).build().unwrap()).build().unwrap();
    let stack: BearerService<_> = ServiceBuilder::new()
        .layer(BearerLayer::new(provider.clone()))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(hyper());
    late.set(transport::service::<_, Full<Bytes>>(stack.clone()));
    let request = |url: &str| Request::get(url).body(Full::default()).unwrap();
    let response = within(stack.clone().oneshot(request(&setup.api("orders")))).await.unwrap();
    assert_eq!(response.status(), 200);
    check(&setup);
    // The same holds for a renewal while the old token is valid.
    setup.clock.advance(3_000 * SECOND);
    within(provider.refresh_now()).await.unwrap();
    assert_eq!(within(stack.oneshot(request(&setup.api("orders")))).await.unwrap().status(), 200);
    assert_eq!(setup.token_requests(), 2);
    check(&setup);

    let setup = Setup::start();
    let late = Late::new();
    let provider = setup.builder(setup.endpoint().transport(late.clone()).build().unwrap()).build().unwrap();
    let no_redirects = crate::support::reqwest_builder().redirect(reqwest::redirect::Policy::none()).build();
    let client = with_middleware(no_redirects.unwrap(), &provider);
    late.set(MiddlewareTransport::new(client.clone()));
    let client = Client::Reqwest(client);
    within(client.succeed(&setup.api("orders"))).await;
    check(&setup);
    setup.clock.advance(3_000 * SECOND);
    within(provider.refresh_now()).await.unwrap();
    within(client.succeed(&setup.api("orders"))).await;
    assert_eq!(setup.token_requests(), 2);
    check(&setup);
}

/// Token requests carry the client's own credential, and never a bearer.
fn check(setup: &Setup) {
    for request in token_requests(&setup.server) {
        assert!(request.header("authorization").unwrap().starts_with("Basic "));
    }
    assert!(setup.authorizations().iter().flatten().all(|value| value.starts_with("Bearer ")));
}

#[tokio::test]
async fn l36_a_token_request_without_credentials_gets_no_bearer() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        setup.server.register(Registered::public(CLIENT));
        let (tower, middleware) = (Late::new(), Late::new());
        let endpoint = setup.endpoint().client_auth(ClientAuth::public(CLIENT));
        let endpoint = match adapter {
            Adapter::Tower => endpoint.transport(tower.clone()),
            Adapter::Reqwest => endpoint.transport(middleware.clone()),
        };
        let provider = setup.builder(endpoint.build().unwrap()).build().unwrap();
        tower.set(transport::service::<_, Full<Bytes>>(BearerService::new(hyper(), provider.clone())));
        middleware.set(MiddlewareTransport::new(with_middleware(reqwest(), &provider)));
        // Without a token, where a request would wait, and with one, which would be inserted.
        for _ in 0..2 {
            within(provider.refresh_now()).await.unwrap();
        }
        let requests = token_requests(&setup.server);
        assert_eq!(requests.len(), 2);
        assert!(requests.iter().all(|request| request.header("authorization").is_none()), "{adapter:?}");
    }
}

#[tokio::test]
async fn a_request_marked_pass_through_is_unchanged() {
    let setup = Setup::start();
    let provider = setup.provider();
    let mut request = Request::get(setup.api("orders")).body(Full::default()).unwrap();
    request.extensions_mut().insert(PassThrough);
    let service = BearerService::new(hyper(), provider.clone());
    assert_eq!(within(service.oneshot(request)).await.unwrap().status(), 401);
    let client = with_middleware(reqwest(), &provider);
    let request = client.get(setup.api("orders")).with_extension(PassThrough);
    assert_eq!(within(request.send()).await.unwrap().status(), 401);
    assert_eq!((setup.authorizations(), setup.token_requests()), (vec![None, None], 0));
}

#[tokio::test]
async fn l37_without_a_token_the_request_is_not_sent() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        setup.server.token_endpoint().always(Fault::oauth_error(400, "invalid_grant"));
        let client = adapter.client(&setup.provider());
        for _ in 0..3 {
            assert_eq!(within(client.refused(&setup.api("orders"))).await.kind(), ErrorKind::Refused);
        }
        let count = setup.server.count();
        assert_eq!((count.api_requests, count.token_requests), (0, 1), "{adapter:?}");
    }
}
