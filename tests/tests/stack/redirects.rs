//! Redirects between two origins on loopback.

use bearer_token::{ErrorKind, TokenProvider};
use bearer_token_testing::{AuthorizationServer, Fault};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header::AUTHORIZATION};
use http_body_util::Full;
use hyper::body::Incoming;
use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_bearer::{BearerLayer, BoxError};
use tower_http::follow_redirect::{FollowRedirectLayer, RequestUri};

use crate::support::{Setup, authorizations, hyper, within};

/// The part of the client that follows redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follower {
    /// reqwest, below the middleware.
    Reqwest,
    /// tower-http's layer around ours, which sees each hop.
    Around,
    /// tower-http's layer inside ours, with the hook for the final URI.
    Under,
}

impl Follower {
    const ALL: [Follower; 3] = [Follower::Reqwest, Follower::Around, Follower::Under];

    fn client(self, provider: &TokenProvider) -> Client {
        let bearer = BearerLayer::new(provider.clone());
        match self {
            Follower::Reqwest => {
                let client =
                    crate::support::reqwest_builder().redirect(reqwest_bearer::redirect_policy()).build().unwrap();
                Client::Reqwest(crate::support::with_middleware(client, provider))
            }
            Follower::Around => {
                let service = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(bearer).service(hyper());
                Client::Tower(BoxCloneSyncService::new(service))
            }
            Follower::Under => {
                let bearer = bearer.final_uri(|extensions| extensions.get::<RequestUri>().map(|uri| &uri.0));
                let service = ServiceBuilder::new()
                    .layer(bearer)
                    .layer(FollowRedirectLayer::new())
                    .map_err(BoxError::from)
                    .service(hyper());
                Client::Tower(BoxCloneSyncService::new(service))
            }
        }
    }
}

enum Client {
    Tower(BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, BoxError>),
    Reqwest(reqwest_middleware::ClientWithMiddleware),
}

impl Client {
    async fn get(&self, url: &str) -> Result<StatusCode, BoxError> {
        within(async {
            Ok(match self {
                Client::Tower(service) => {
                    service.clone().oneshot(Request::get(url).body(Full::default())?).await?.status()
                }
                Client::Reqwest(client) => client.get(url).send().await?.status(),
            })
        })
        .await
    }
}

/// Another origin, which does not know the first origin's tokens.
fn foreign() -> AuthorizationServer {
    AuthorizationServer::start().unwrap()
}

fn carried(setup: &Setup) -> Vec<bool> {
    setup.authorizations().iter().map(Option::is_some).collect()
}

// shows: 6750/5.3a 9110/15.4
#[tokio::test]
async fn l33_l42_another_port_gets_no_token_and_rejects_nothing() {
    for follower in Follower::ALL {
        let (setup, foreign) = (Setup::start(), foreign());
        let provider = setup.provider();
        let client = follower.client(&provider);
        setup.server.api().next(Fault::redirect(foreign.api_url()));
        assert_eq!(client.get(&setup.api("orders")).await.unwrap(), 401, "{follower:?}: followed");
        assert_eq!(carried(&setup), [true]);
        assert_eq!(authorizations(&foreign), [None], "{follower:?}");
        // L42: the other origin refused the request, which did not carry our token.
        assert!(provider.cached().is_some(), "{follower:?}");
        assert_eq!(client.get(&setup.api("orders")).await.unwrap(), 200);
        assert_eq!(setup.token_requests(), 1, "{follower:?}");
    }
}

#[tokio::test]
async fn l42_a_foreign_invalid_token_rejects_nothing() {
    for follower in Follower::ALL {
        let (setup, foreign) = (Setup::start(), foreign());
        let provider = setup.provider();
        let client = follower.client(&provider);
        setup.server.api().next(Fault::redirect(foreign.api_url()));
        foreign.api().always(Fault::invalid_token());
        assert_eq!(client.get(&setup.api("orders")).await.unwrap(), 401);
        assert!(provider.cached().is_some(), "{follower:?}");
        // A 401 from the origin itself does reject it, also after a redirect within the origin.
        setup.server.api().next(Fault::redirect(setup.api("moved")));
        setup.server.api().next(Fault::invalid_token());
        assert_eq!(client.get(&setup.api("orders")).await.unwrap(), 401);
        assert_eq!(client.get(&setup.api("orders")).await.unwrap(), 200);
        assert_eq!(setup.token_requests(), 2, "{follower:?}");
    }
}

// shows: 9700/4.9.1
#[tokio::test]
async fn l33_another_name_of_the_host_gets_no_token() {
    for follower in Follower::ALL {
        let setup = Setup::start();
        let provider = setup.provider();
        let client = follower.client(&provider);
        let port = setup.server.address().port();
        setup.server.api().next(Fault::redirect(format!("http://localhost:{port}/api/orders")));
        assert_eq!(client.get(&setup.api("orders")).await.unwrap(), 401, "{follower:?}: followed");
        assert_eq!(carried(&setup), [true, false], "{follower:?}");
        assert!(provider.cached().is_some());
    }
}

#[tokio::test]
async fn l33_a_second_redirect_within_another_origin_carries_no_token() {
    for follower in Follower::ALL {
        let (setup, foreign) = (Setup::start(), foreign());
        let provider = setup.provider();
        let client = follower.client(&provider);
        setup.server.api().next(Fault::redirect(foreign.api_url()));
        foreign.api().next(Fault::redirect(format!("{}/again", foreign.api_url())));
        let result = client.get(&setup.api("orders")).await;
        // reqwest would restore the token at that hop, so the policy must stop before it.
        let expected: &[_] = if follower == Follower::Reqwest { &[None] } else { &[None, None] };
        assert_eq!(authorizations(&foreign), expected, "{follower:?}");
        assert_eq!(result.is_err(), follower == Follower::Reqwest);
        assert!(provider.cached().is_some(), "{follower:?}");
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_keeps_the_token() {
    for follower in Follower::ALL {
        let setup = Setup::start();
        let client = follower.client(&setup.provider());
        setup.server.api().next(Fault::redirect(setup.api("moved")));
        setup.server.api().next(Fault::redirect("/api/moved/again"));
        assert_eq!(client.get(&setup.api("orders")).await.unwrap(), 200, "{follower:?}");
        assert_eq!(carried(&setup), [true, true, true], "{follower:?}");
    }
}

#[tokio::test]
async fn a_redirect_back_to_the_origin_carries_the_token() {
    for follower in Follower::ALL {
        let (setup, foreign) = (Setup::start(), foreign());
        let provider = setup.provider();
        let client = follower.client(&provider);
        setup.server.api().next(Fault::redirect(foreign.api_url()));
        foreign.api().next(Fault::redirect(setup.api("back")));
        let seen = follower == Follower::Around;
        assert_eq!(client.get(&setup.api("orders")).await.unwrap(), if seen { 200 } else { 401 }, "{follower:?}");
        assert_eq!(carried(&setup), [true, seen], "{follower:?}");
        assert_eq!(authorizations(&foreign), [None], "{follower:?}");
    }
}

// shows: 9110/15.4
#[tokio::test]
async fn l33_a_redirect_to_another_scheme_carries_no_token() {
    for (from, to) in [
        ("https://api.example.com/x", "http://api.example.com/x"),
        ("http://127.0.0.1:8080/x", "https://127.0.0.1:8080/x"),
    ] {
        let setup = Setup::start();
        let uri: Uri = from.parse().unwrap();
        let origin = format!("{}://{}", uri.scheme().unwrap(), uri.authority().unwrap());
        let provider = setup.builder(setup.endpoint().build().unwrap()).allow_origin(origin).build().unwrap();
        // Redirects the first request, and records for each request whether it carried a token.
        let (seen, carried) = std::sync::mpsc::channel();
        let inner = tower::service_fn(move |request: Request<Full<Bytes>>| {
            seen.send((request.uri().to_string(), request.headers().contains_key(AUTHORIZATION))).unwrap();
            let first = request.uri() == from;
            let response = Response::builder().status(if first { 307 } else { 200 }).header("location", to);
            std::future::ready(response.body(Full::<Bytes>::default()).map_err(BoxError::from))
        });
        let request = || Request::get(from).body(Full::default()).unwrap();
        let bearer = BearerLayer::new(provider.clone());

        let under = ServiceBuilder::new().layer(bearer.clone()).layer(FollowRedirectLayer::new());
        within(under.service(inner.clone()).oneshot(request())).await.unwrap();
        assert_eq!(carried.recv().unwrap(), (from.to_owned(), true));
        assert_eq!(carried.recv().unwrap(), (to.to_owned(), false));

        let around = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(bearer);
        let result = within(around.service(inner).oneshot(request())).await;
        assert_eq!(carried.recv().unwrap(), (from.to_owned(), true));
        if to.starts_with("https") {
            result.unwrap();
            assert_eq!(carried.recv().unwrap(), (to.to_owned(), false));
        } else {
            // If the layer sees the downgrade, it does not send the request at all.
            let error = result.unwrap_err();
            assert_eq!(error.downcast_ref::<bearer_token::Error>().unwrap().kind(), ErrorKind::Origin);
            assert!(carried.try_recv().is_err());
        }
    }
}
