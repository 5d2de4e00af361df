//! A wrong client clock, and a server that judges assertions by its own.

use std::time::Duration;

use bearer_token::{
    Error, ErrorKind, Policy, Retry, TokenProvider,
    jwt::{Algorithm, JwtTemplate, SigningKey},
    oauth::{ClientAuth, ClientCredentials, ClockOffset, JwtBearer, TokenEndpoint, TokenEndpointBuilder},
    platform::Platform,
};
use bearer_token_config::ProviderConfig;
use bearer_token_testing::{
    AuthorizationServer, Client as Registered, Fault, Issuer, ManualClock, RecordedRequest, TestKey,
};

use crate::support::{SECOND, token_requests};

const ME: &str = "reports@example.com";
const MINUTE: Duration = Duration::from_secs(60);

/// A server and a client with separate clocks.
struct Clocks {
    server: AuthorizationServer,
    servers: ManualClock,
    clients: ManualClock,
}

impl Clocks {
    /// The client's clock is ahead by this many seconds.
    fn new(ahead: i64) -> Self {
        let (servers, clients) = (ManualClock::new(), ManualClock::new());
        let server = AuthorizationServer::builder().clock(servers.clone()).start().unwrap();
        let key = TestKey::es256().unwrap().verifying_key();
        server.trust(Issuer::new(ME, key.clone()));
        server.register(Registered::private_key_jwt(ME, key));
        let clocks = Clocks { server, servers, clients };
        clocks.step(ahead);
        clocks
    }

    fn key() -> SigningKey {
        SigningKey::from_pem(Algorithm::ES256, TestKey::es256().unwrap().private_pem()).unwrap()
    }

    /// Sets the client's clock right, as NTP does.
    fn step(&self, seconds: i64) {
        let time = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { self.clients.rewind_wall(time) } else { self.clients.advance_wall(time) }
    }

    fn advance(&self, time: Duration) {
        self.servers.advance(time);
        self.clients.advance(time);
    }

    fn with_grant(&self) -> TokenEndpointBuilder {
        let template = JwtTemplate::builder(Clocks::key()).issuer(ME).subject(ME).audience(self.server.token_url());
        TokenEndpoint::builder(self.server.token_url(), JwtBearer::new(template.build().unwrap()))
    }

    fn with_client(&self) -> TokenEndpointBuilder {
        TokenEndpoint::builder(self.server.token_url(), ClientCredentials::new())
            .client_auth(ClientAuth::private_key_jwt(ME, Clocks::key()))
    }

    fn provider(&self, endpoint: &TokenEndpoint) -> TokenProvider {
        let builder = TokenProvider::builder(endpoint.clone()).allow_origin(self.server.issuer());
        let platform = Platform::system().with_clock(self.clients.clone());
        builder.policy(Policy::default().jitter(false)).platform(platform).build().unwrap()
    }

    fn token_requests(&self) -> u64 {
        self.server.count().token_requests
    }
}

fn assertion(request: &RecordedRequest) -> String {
    request.parameter("assertion").or_else(|| request.parameter("client_assertion")).unwrap()
}

type Endpoint = fn(&Clocks) -> TokenEndpointBuilder;
const BOTH: [Endpoint; 2] = [Clocks::with_grant, Clocks::with_client];

#[tokio::test]
async fn l22_a_clock_minutes_off_costs_one_extra_request_once() {
    for endpoint in BOTH {
        for (ahead, expected) in [
            (-300, ClockOffset::Behind(Duration::from_secs(300))),
            (300, ClockOffset::Ahead(Duration::from_secs(300))),
            (3_590, ClockOffset::Ahead(Duration::from_secs(3_590))),
        ] {
            let clocks = Clocks::new(ahead);
            let endpoint = endpoint(&clocks).build().unwrap();
            let provider = clocks.provider(&endpoint);
            assert_eq!(endpoint.clock_offset(), None);
            let bearer = provider.token().await.unwrap();
            assert_eq!(clocks.token_requests(), 2, "{ahead}");
            let near = |one: Duration, other: Duration| one.abs_diff(other) < SECOND;
            match (endpoint.clock_offset().unwrap(), expected) {
                (ClockOffset::Behind(found), ClockOffset::Behind(expected)) => assert!(near(found, expected)),
                (ClockOffset::Ahead(found), ClockOffset::Ahead(expected)) => assert!(near(found, expected)),
                found => panic!("{found:?}"),
            }
            // The client's clock counts the token's lifetime.
            let now = Platform::system().with_clock(clocks.clients.clone()).now().wall();
            assert_eq!(bearer.expires_at().unwrap().duration_since(now).unwrap(), 60 * MINUTE);
            let requests = token_requests(&clocks.server);
            assert_ne!(assertion(&requests[0]), assertion(&requests[1]), "signed anew");

            clocks.advance(60 * MINUTE);
            provider.token().await.unwrap();
            assert_eq!(clocks.token_requests(), 3, "the offset is remembered");
        }
    }
}

#[tokio::test]
async fn l22_a_corrected_clock_forgets_the_offset_in_one_fetch() {
    for endpoint in BOTH {
        for ahead in [-300, 300] {
            let clocks = Clocks::new(ahead);
            let endpoint = endpoint(&clocks).build().unwrap();
            let provider = clocks.provider(&endpoint);
            provider.token().await.unwrap();
            clocks.step(-ahead);
            provider.refresh_now().await.unwrap();
            assert_eq!((clocks.token_requests(), endpoint.clock_offset()), (4, None), "{ahead}");
            // Now wrong in the other direction.
            clocks.step(-ahead);
            provider.refresh_now().await.unwrap();
            assert_eq!(clocks.token_requests(), 6);
            assert!(endpoint.clock_offset().is_some());
            provider.refresh_now().await.unwrap();
            assert_eq!(clocks.token_requests(), 7);
        }
    }
}

#[tokio::test]
async fn l22_an_offset_beyond_the_limit_is_reported() {
    let hour = Duration::from_secs(3_600);
    for endpoint in BOTH {
        for (ahead, limit, says) in [
            (-7_200, hour, "the clock of this machine is 7200 s behind the server's, more than the 3600 s"),
            (4_000, hour, "the clock of this machine is 4000 s ahead of the server's, more than the 3600 s"),
            (-300, MINUTE, "300 s behind the server's, more than the 60 s"),
            (-300, Duration::ZERO, "300 s behind the server's, and the correction is turned off"),
        ] {
            let clocks = Clocks::new(ahead);
            let endpoint = endpoint(&clocks).max_clock_offset(limit).build().unwrap();
            let error: Error = clocks.provider(&endpoint).token().await.unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Refused, Retry::AfterChange));
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.oauth_code().is_some());
            assert_eq!((clocks.token_requests(), endpoint.clock_offset()), (1, None));
        }
    }
}

#[tokio::test]
async fn l22_a_correct_clock_never_causes_a_second_request() {
    for endpoint in BOTH {
        for ahead in [-4, 0, 4] {
            let clocks = Clocks::new(ahead);
            let endpoint = endpoint(&clocks).build().unwrap();
            let provider = clocks.provider(&endpoint);
            for (number, code) in ["invalid_grant", "invalid_client", "invalid_request"].into_iter().enumerate() {
                clocks.server.token_endpoint().next(Fault::oauth_error(400, code));
                let error = provider.refresh_now().await.unwrap_err();
                assert!(!error.to_string().contains("clock of this machine is"), "{error}");
                assert_eq!(clocks.token_requests(), number as u64 + 1, "{code}");
            }
            assert_eq!(endpoint.clock_offset(), None);
        }
    }
}

#[tokio::test]
async fn l22_a_wrong_clock_matters_only_for_refused_assertions() {
    // Neither an outage nor a scope error is a verdict on an assertion.
    for (status, code) in
        [(503, "invalid_grant"), (429, "invalid_grant"), (400, "invalid_scope"), (404, "invalid_grant")]
    {
        let clocks = Clocks::new(-300);
        clocks.server.token_endpoint().next(Fault::oauth_error(status, code));
        let provider = clocks.provider(&clocks.with_grant().build().unwrap());
        provider.token().await.unwrap_err();
        assert_eq!(clocks.token_requests(), 1, "{status} {code}");
    }
    // A secret does not depend on the time.
    let clocks = Clocks::new(-300);
    clocks.server.register(Registered::secret("app", "right"));
    let auth = ClientAuth::basic("app", "wrong");
    let endpoint = TokenEndpoint::builder(clocks.server.token_url(), ClientCredentials::new()).client_auth(auth);
    let error = clocks.provider(&endpoint.build().unwrap()).token().await.unwrap_err();
    assert_eq!((error.oauth_code(), clocks.token_requests()), (Some("invalid_client"), 1));
    assert!(!error.to_string().contains("clock of this machine is"), "{error}");
}

#[tokio::test]
async fn l22_a_second_refusal_names_the_clock_and_is_final() {
    let clocks = Clocks::new(-300);
    let endpoint = clocks.with_grant().build().unwrap();
    let provider = clocks.provider(&endpoint);
    for sent in [2, 4] {
        for _ in 0..2 {
            clocks.server.token_endpoint().next(Fault::oauth_error(400, "invalid_grant"));
        }
        let error = provider.refresh_now().await.unwrap_err();
        let says = "300 s behind the server's, and an assertion that was signed with the server's time was refused";
        assert!(error.to_string().contains(says), "{error}");
        // An offset that did not help is not kept, because either the `Date` or the key may be wrong.
        assert_eq!((clocks.token_requests(), endpoint.clock_offset()), (sent, None));
    }
    provider.refresh_now().await.unwrap();
    assert_eq!(clocks.token_requests(), 6);
}

/// A gateway with a wrong clock in front of a server with the right one.
#[tokio::test]
async fn l22_a_false_offset_ends_with_the_next_refusal() {
    let clocks = Clocks::new(0);
    let endpoint = clocks.with_grant().build().unwrap();
    let provider = clocks.provider(&endpoint);
    let lie = || Fault::oauth_error(400, "invalid_grant").header("date", "Thu, 01 Jan 2026 00:10:00 GMT");
    // A server that ignores the times accepts it, so the false offset is kept.
    clocks.server.token_endpoint().next(lie());
    clocks.server.token_endpoint().next(Fault::status(200).body(r#"{"access_token":"t","expires_in":60}"#));
    provider.token().await.unwrap();
    assert_eq!(endpoint.clock_offset().unwrap().to_string(), "600 s behind");
    provider.refresh_now().await.unwrap();
    assert_eq!((clocks.token_requests(), endpoint.clock_offset()), (4, None));
}

#[tokio::test]
async fn l22_hostile_dates_change_nothing_and_panic_nowhere() {
    for date in [
        "",
        "soon",
        "-1",
        "Thu, 01 Jan 1960 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Thu, 32 Jan 2026 25:61:61 GMT",
        "\u{fc}\u{fc}",
    ] {
        for endpoint in BOTH {
            let clocks = Clocks::new(0);
            let endpoint = endpoint(&clocks).build().unwrap();
            let provider = clocks.provider(&endpoint);
            clocks.server.token_endpoint().next(Fault::oauth_error(401, "invalid_client").header("date", date));
            let error = provider.token().await.unwrap_err();
            assert_eq!((clocks.token_requests(), endpoint.clock_offset()), (1, None), "{date:?}: {error}");
            provider.refresh_now().await.unwrap();
            assert_eq!(clocks.token_requests(), 2);
        }
    }
}

#[tokio::test]
async fn l22_a_configuration_sets_the_limit() {
    for (limit, requests) in [("", 2), ("max_clock_offset_seconds = 0", 1), ("max_clock_offset_seconds = 299.5", 1)] {
        let clocks = Clocks::new(-300);
        let (url, pem) = (clocks.server.token_url(), TestKey::es256().unwrap().private_pem().to_owned());
        let toml = format!(
            "[token_endpoint]\nurl = \"{url}\"\n{limit}\n[token_endpoint.client]\nid = \"{ME}\"\n\
             jwt.algorithm = \"ES256\"\njwt.key = \"\"\"\n{pem}\"\"\""
        );
        let builder = ProviderConfig::from_toml(&toml).unwrap().builder();
        let provider = builder.platform(Platform::system().with_clock(clocks.clients.clone())).build().unwrap();
        assert_eq!(provider.token().await.is_ok(), requests == 2, "{limit}");
        assert_eq!(clocks.token_requests(), requests, "{limit}");
    }
}

#[tokio::test]
async fn l05_a_refusal_with_retry_after_is_not_resent() {
    let clocks = Clocks::new(-300);
    for endpoint in [clocks.with_grant(), clocks.with_client()] {
        let asked_already = clocks.token_requests();
        let provider = clocks.provider(&endpoint.build().unwrap());
        let refusal = Fault::oauth_error(400, "invalid_client").header("retry-after", "60");
        clocks.server.token_endpoint().next(refusal);
        let error = provider.token().await.unwrap_err();
        assert_eq!(error.retry(), Retry::Later { after: Some(MINUTE) });
        assert_eq!(clocks.token_requests(), asked_already + 1);
        clocks.advance(MINUTE);
        provider.token().await.unwrap();
    }
}
