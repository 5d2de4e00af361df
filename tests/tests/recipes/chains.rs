//! Chains by configuration, over real connections: each stage is asked once per lifetime of its tokens.

use std::time::Duration;

use bearer_token::{
    Error,
    platform::{Entropy, Platform},
};
use bearer_token_config::ProviderConfig;
use bearer_token_testing::{
    Algorithm, AssertionRules, AuthorizationServer, Client, Issuer, ManualClock, TestKey, Tokens,
};
use reqwest_bearer::{
    BearerMiddleware,
    reqwest_middleware::{ClientBuilder, ClientWithMiddleware},
};

const IDENTITY_PROVIDER: &str = "https://idp.example.com";

/// Randomness that always draws the same.
#[derive(Clone, Copy)]
struct Always(u8);

impl Entropy for Always {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        bytes.fill(self.0);
        Ok(())
    }
}

/// Draws the latest refresh, as without jitter.
const LATEST: Always = Always(0);
/// Draws the earliest refresh.
const EARLIEST: Always = Always(0xFF);

/// A server whose tokens live for this long, and which accepts assertions of an issuer more than once.
fn server(clock: &ManualClock, seconds: u64, trusted: Issuer) -> AuthorizationServer {
    let server = AuthorizationServer::builder().clock(clock.clone()).start().unwrap();
    server.register(Client::secret("client", "a secret"));
    server.trust(trusted.rules(AssertionRules::new().allow_reuse()));
    server.issue(Tokens::jwt().lifetime(Duration::from_secs(seconds)));
    server
}

fn identity(key: &TestKey, audience: &AuthorizationServer) -> String {
    format!(
        r#"
        [sources.identity.jwt]
        algorithm = "ES256"
        key = '''{}'''
        issuer = "{IDENTITY_PROVIDER}"
        subject = "workload"
        audience = "{}"
        expiry_seconds = 3600
        "#,
        key.private_pem(),
        audience.issuer()
    )
}

/// A stage that exchanges a token of another one for an assertion that a server accepts.
fn exchange(name: &str, subject: &str, at: &AuthorizationServer, audience: &AuthorizationServer) -> String {
    format!(
        r#"
        [sources.{name}.token_exchange]
        subject_token = {{ source = "{subject}" }}
        subject_token_type = "jwt"
        requested_token_type = "id_jag"
        [sources.{name}.token_endpoint]
        url = "{}"
        parameters = {{ audience = "{}" }}
        client = {{ method = "basic", id = "client", secret = "a secret" }}
        "#,
        at.token_url(),
        audience.issuer()
    )
}

fn last(assertion: &str, at: &AuthorizationServer) -> String {
    format!(
        r#"
        [token_endpoint]
        url = "{}"
        assertion = {{ source = "{assertion}" }}
        client = {{ method = "post", id = "client", secret = "a secret" }}
        "#,
        at.token_url()
    )
}

/// A client of the API beside the last server. `stages` come after the origins.
///
/// Each stage has its own jitter, so the randomness is given: a random draw would refresh a stage early in some runs.
fn client(clock: &ManualClock, entropy: Always, api: &AuthorizationServer, stages: &[String]) -> ClientWithMiddleware {
    let config = format!("allow_plaintext_origins = [\"{}\"]\n{}", api.issuer(), stages.concat());
    let config = ProviderConfig::from_toml(&config).unwrap();
    let provider = config.platform(Platform::system().with_clock(clock.clone()).with_entropy(entropy)).build();
    let provider = provider.unwrap_or_else(|error| panic!("{:#?}", error.problems()));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    ClientBuilder::new(http).with(BearerMiddleware::new(provider)).build()
}

/// Calls the API ten times at once, now and after each of four waits of 101 s.
async fn call(clock: &ManualClock, client: &ClientWithMiddleware, api: &AuthorizationServer) {
    call_and(clock, client, api, async |_| {}).await;
}

/// The same, and something else after the calls of each period.
async fn call_and(
    clock: &ManualClock,
    client: &ClientWithMiddleware,
    api: &AuthorizationServer,
    then: impl AsyncFn(usize),
) {
    for period in 0..5 {
        if period > 0 {
            clock.advance(Duration::from_secs(101));
        }
        let url = format!("{}/orders", api.api_url());
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (client, url) = (client.clone(), url.clone());
            calls.spawn(async move { client.get(url).send().await.unwrap().status().as_u16() });
        }
        assert_eq!(calls.join_all().await, [200; 10], "period {period}");
        then(period).await;
    }
    assert_eq!(api.count().api_accepted, 50);
}

#[tokio::test]
async fn two_stages_cost_a_request_per_lifetime_each() {
    let (clock, key) = (ManualClock::new(), TestKey::generate(Algorithm::ES256).unwrap());
    let home = server(&clock, 200, Issuer::new(IDENTITY_PROVIDER, key.verifying_key()));
    let abroad = server(&clock, 100, home.as_issuer());
    let stages = [identity(&key, &home), exchange("home", "identity", &home, &abroad), last("home", &abroad)];
    call(&clock, &client(&clock, LATEST, &abroad, &stages), &abroad).await;
    // Abroad at 0, 101, 202, 303 and 404 s; at home at 0, 202 and 404 s.
    assert_eq!([home, abroad].map(|server| server.count().token_requests), [3, 5]);
}

struct Three {
    clock: ManualClock,
    servers: [AuthorizationServer; 3],
    stages: [String; 4],
}

/// Three servers, whose tokens live for 300, 200 and 100 s.
fn three() -> Three {
    let (clock, key) = (ManualClock::new(), TestKey::generate(Algorithm::ES256).unwrap());
    let first = server(&clock, 300, Issuer::new(IDENTITY_PROVIDER, key.verifying_key()));
    let second = server(&clock, 200, first.as_issuer());
    let third = server(&clock, 100, second.as_issuer());
    let stages = [
        identity(&key, &first),
        exchange("first", "identity", &first, &second),
        exchange("second", "first", &second, &third),
        last("second", &third),
    ];
    Three { clock, servers: [first, second, third], stages }
}

impl Three {
    fn client(&self, entropy: Always) -> ClientWithMiddleware {
        client(&self.clock, entropy, &self.servers[2], &self.stages)
    }

    fn token_requests(&self) -> [u64; 3] {
        self.servers.each_ref().map(|server| server.count().token_requests)
    }
}

#[tokio::test]
async fn three_stages_cost_a_request_per_lifetime_each() {
    let three = three();
    call(&three.clock, &three.client(LATEST), &three.servers[2]).await;
    // The first at 0 and 404 s, the second at 0, 202 and 404 s, the third in each period.
    assert_eq!(three.token_requests(), [2, 3, 5]);
}

#[tokio::test]
async fn jitter_refreshes_an_early_stage_while_a_later_one_asks() {
    let three = three();
    let client = three.client(EARLIEST);
    call_and(&three.clock, &client, &three.servers[2], async |period| {
        // The first token is refreshed from 180 s on, so it is at 202 s, in the background.
        let expected = [1, 1, 2, 2, 3][period];
        let is_refreshed = async {
            while three.token_requests()[0] < expected || three.clock.sleepers() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), is_refreshed).await.unwrap();
    })
    .await;
    // At 404 s the new token of the first is 202 s old, so it is refreshed again.
    assert_eq!(three.token_requests(), [3, 3, 5]);
}

/// Each stage hangs in turn: the call ends, and the error names the stage.
#[tokio::test]
async fn a_stage_that_hangs_is_bounded_and_named() {
    for hanging in ["first", "second"] {
        let three = three();
        let (clock, [first, second, third]) = (&three.clock, &three.servers);
        let server = if hanging == "first" { first } else { second };
        server.token_endpoint().always(bearer_token_testing::Fault::hang());
        let (client, url) = (three.client(LATEST), format!("{}/orders", third.api_url()));
        let sent = tokio::spawn(async move { client.get(url).send().await });
        let arrived = async {
            while server.count().token_requests_running == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), arrived).await.unwrap();
        // The fetch's time limit is 10 s for all of them together. Time passes whenever a stage waits for it.
        let passes = async {
            while !sent.is_finished() {
                if clock.sleepers() > 0 {
                    clock.advance(Duration::from_secs(11));
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), passes).await.unwrap();
        let error = sent.await.unwrap().unwrap_err();
        let error = format!("{:?}", anyhow::Error::from(error));
        assert!(error.contains(hanging) && error.contains("within 10s"), "{error}");
        assert_eq!(third.count().token_requests, 0);
    }
}
