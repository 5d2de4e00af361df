//! Challenges of an API, and a source that meets them.

use std::sync::{Arc, Mutex};

use base64::{Engine, engine::general_purpose::STANDARD};
use bearer_token::{
    AccessToken, Challenge, Error, FetchContext, Rejection, TokenSource,
    oauth::{ClientAuth, Grant, Parameters, TokenEndpoint},
};
use bearer_token_testing::Fault;
use http::{HeaderMap, Request};
use http_body_util::Full;
use reqwest_bearer::BearerMiddleware;
use tower::ServiceExt;
use tower_bearer::{BearerLayer, Replay};

use crate::support::{
    Adapter, CLIENT, LayerExt, SECOND, SECRET, Setup, hyper, poll_once, reqwest, token_requests, within,
};

const CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}"#;
const OTHERS: &str = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;

/// Client credentials, with the claims that the API wants (OpenID Connect Core section 5.5).
#[derive(Clone, Default)]
struct WithClaims {
    // The API will want the same claims of later tokens too.
    wanted: Arc<Mutex<Option<String>>>,
}

impl Grant for WithClaims {
    async fn parameters(&self, cx: &FetchContext) -> Result<Parameters, Error> {
        let mut wanted = self.wanted.lock().unwrap();
        if let Some(claims) = cx.challenges().iter().find_map(claims) {
            *wanted = Some(claims);
        }
        Ok(Parameters::new("client_credentials").with("claims", wanted.clone().unwrap_or_default()))
    }
}

fn claims(challenge: &Challenge) -> Option<String> {
    let wanted = challenge.is_scheme("Bearer") && challenge.parameter("error") == Some("insufficient_claims");
    let json = STANDARD.decode(challenge.parameter("claims").filter(|_| wanted)?).ok()?;
    String::from_utf8(json).ok()
}

fn endpoint(setup: &Setup) -> TokenEndpoint {
    TokenEndpoint::builder(setup.server.token_url(), WithClaims::default())
        .client_auth(ClientAuth::basic(CLIENT, SECRET))
        .build()
        .unwrap()
}

/// The claims of each token request.
fn asked(setup: &Setup) -> Vec<Option<String>> {
    token_requests(&setup.server).iter().map(|request| request.parameter("claims")).collect()
}

#[tokio::test]
async fn a_source_that_meets_the_challenge_is_accepted() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let provider = setup.builder(endpoint(&setup)).build().unwrap();
        let client = adapter.client(&provider);
        within(client.succeed(&setup.api("orders"))).await;
        setup.server.demand_claims(CLAIMS);
        assert_eq!(within(client.get(&setup.api("orders"))).await.unwrap().status, 401);
        within(client.succeed(&setup.api("orders"))).await;
        assert_eq!(asked(&setup), [None, Some(CLAIMS.to_owned())]);
        // The next fetch has no rejection and no challenge: the source remembers the claims.
        within(provider.refresh_now()).await.unwrap();
        within(client.succeed(&setup.api("orders"))).await;
        // The API now wants other claims.
        setup.clock.advance(10 * SECOND);
        setup.server.demand_claims(OTHERS);
        assert_eq!(within(client.get(&setup.api("orders"))).await.unwrap().status, 401);
        within(client.succeed(&setup.api("orders"))).await;
        assert_eq!(asked(&setup)[2..], [Some(CLAIMS.to_owned()), Some(OTHERS.to_owned())]);
    }
}

// shows: 9110/11.4
#[tokio::test]
async fn a_replay_carries_the_token_that_the_api_wants() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        setup.server.demand_claims(CLAIMS);
        let provider = setup.builder(endpoint(&setup)).build().unwrap();
        let url = setup.api("orders");
        let status = match adapter {
            Adapter::Tower => {
                let service = tower::ServiceBuilder::new()
                    .retry(Replay::cloning())
                    .service(LayerExt::layer(&BearerLayer::new(provider), hyper()));
                let request = Request::get(url).body(Full::default()).unwrap();
                within(service.oneshot(request)).await.unwrap().status()
            }
            Adapter::Reqwest => {
                let bearer = BearerMiddleware::new(provider).replay_once();
                let client = reqwest_middleware::ClientBuilder::new(reqwest()).with(bearer).build();
                within(client.get(url).send()).await.unwrap().status()
            }
        };
        assert_eq!(status, 200, "{adapter:?}");
        assert_eq!(asked(&setup), [None, Some(CLAIMS.to_owned())]);
    }
}

#[tokio::test]
async fn l29_a_refusal_during_a_fetch_costs_one_more_refusal() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let provider = setup.builder(endpoint(&setup)).build().unwrap();
        let client = adapter.client(&provider);
        within(client.succeed(&setup.api("orders"))).await;
        let gate = setup.server.token_endpoint().hold();
        let mut refresh = provider.refresh_now();
        assert!(poll_once(&mut refresh).await.is_pending());
        // The fetch in progress was not told of this challenge.
        within(setup.server.wait_for_token_requests(2)).await;
        setup.server.demand_claims(CLAIMS);
        assert_eq!(within(client.get(&setup.api("orders"))).await.unwrap().status, 401);
        gate.release();
        within(refresh).await.unwrap();
        // The clock does not move, so the renewal backoff cannot end.
        assert_eq!(within(client.get(&setup.api("orders"))).await.unwrap().status, 401);
        within(client.succeed(&setup.api("orders"))).await;
        assert_eq!(asked(&setup), [None, None, Some(CLAIMS.to_owned())]);
    }
}

/// A source that records its challenges.
#[derive(Clone, Default)]
struct Noting(Arc<Mutex<Vec<Vec<Challenge>>>>);

impl TokenSource for Noting {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let mut told = self.0.lock().unwrap();
        told.push(cx.challenges().to_vec());
        Ok(AccessToken::new(format!("token-{}", told.len())))
    }
}

#[tokio::test]
async fn hostile_challenges_are_bounded_and_harmless() {
    let many = |fault: Fault| (0..60).fold(fault, |fault, _| fault.header("www-authenticate", "Bearer a=b, Basic c"));
    let line = |text: &str| Fault::status(401).header("www-authenticate", text);
    let huge = format!(r#"Bearer claims="{}""#, "x".repeat(100_000));
    let crowded = format!("Bearer {}", "a=b, ".repeat(10_000));
    let table = [
        ("nothing", Fault::status(401), 0),
        ("huge", line(&huge), 0),
        ("something, then huge", line(&format!("Bearer realm=\"x\", Basic realm=\"y\", {huge}")), 2),
        ("many lines", many(Fault::status(401)), 16),
        ("many in a line", line(&"Bearer a=b, ".repeat(600)), 16),
        ("many parameters, which are cut off", line(&crowded), 0),
        ("no challenge", line(r#"=,=,"","#), 0),
        ("quotes", line(r#"Bearer realm="\"\"\", claims="e30="#), 1),
        ("only commas", line(&",".repeat(5_000)), 0),
        ("long ago", line(&format!("{}Bearer", " ,".repeat(5_000))), 0),
    ];
    for adapter in Adapter::BOTH {
        for (what, fault, expected) in table.clone() {
            let setup = Setup::start();
            setup.server.api().next(fault);
            let source = Noting::default();
            let provider = setup.builder(source.clone()).build().unwrap();
            let client = adapter.client(&provider);
            assert_eq!(within(client.get(&setup.api("orders"))).await.unwrap().status, 401, "{what}");
            // The next request carries a new token, which this API does not know.
            setup.server.api().next(Fault::status(204));
            assert_eq!(within(client.get(&setup.api("orders"))).await.unwrap().status, 204, "{what}");
            let told = source.0.lock().unwrap();
            let told: Vec<usize> = told.iter().map(Vec::len).collect();
            assert_eq!(told, [0, expected], "{what}");
        }
    }
}

#[tokio::test]
async fn challenges_reach_both_fallback_sources_but_no_inner_provider() {
    let setup = Setup::start();
    let reply: HeaderMap =
        [(http::header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer claims=e30"))].into_iter().collect();
    let (first, other) = (Noting::default(), Noting::default());
    let refuses = {
        let first = first.clone();
        move |cx: FetchContext| {
            let first = first.clone();
            async move {
                first.fetch(cx).await?;
                Err(Error::new(bearer_token::ErrorKind::Refused, "it is closed"))
            }
        }
    };
    let provider = setup.builder(refuses.or_else(other.clone())).build().unwrap();
    let outer = setup.builder(provider.clone()).build().unwrap();
    let rejected = within(provider.token()).await.unwrap().ticket().reject(&reply);
    assert_eq!(rejected, Rejection::Renewing);
    within(outer.token()).await.unwrap();
    for source in [&first, &other] {
        let told = source.0.lock().unwrap();
        let told: Vec<usize> = told.iter().map(Vec::len).collect();
        assert_eq!(told, [0, 1]);
    }
    // A rejection of the outer provider's token does not reject the inner provider's.
    let rejected = within(outer.token()).await.unwrap().ticket().reject(&reply);
    assert_eq!(rejected, Rejection::Renewing);
    within(outer.token()).await.unwrap();
    assert_eq!(first.0.lock().unwrap().len(), 2);
}
