//! Chains of token requests, and requests in other forms, over real connections.

use std::time::Duration;

use bearer_token::{
    ErrorKind, TokenProvider, Value,
    jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey},
    oauth::{BodyFormat, ClientAuth, ClientCredentials, JwtBearer, TokenEndpoint, TokenExchange, TokenType},
};
use bearer_token_testing::{
    Algorithm as TestAlgorithm, AssertionRules, AuthorizationServer, Client as Registered, Fault, Issuer, TestKey,
    Tokens,
};
use http::Method;
use serde_json::json;

use crate::support::{Adapter, CLIENT, SECOND, SECRET, Setup, token_requests};

const IDENTITY_PROVIDER: &str = "https://idp.example.com";

/// The server of the workload's own domain, and the other one, whose API it calls.
struct Domains {
    home: Setup,
    abroad: AuthorizationServer,
    identity: TokenProvider,
}

impl Domains {
    fn start(rules: AssertionRules) -> Self {
        let home = Setup::start();
        let abroad = AuthorizationServer::builder().clock(home.clock.clone()).start().unwrap();
        abroad.trust(home.server.as_issuer().rules(rules));
        abroad.issue(Tokens::jwt().lifetime(100 * SECOND));
        home.server.issue(Tokens::jwt().lifetime(300 * SECOND));
        let key = TestKey::generate(TestAlgorithm::ES256).unwrap();
        home.server.trust(Issuer::new(IDENTITY_PROVIDER, key.verifying_key()));
        let template = JwtTemplate::builder(SigningKey::from_pem(Algorithm::ES256, key.private_pem()).unwrap())
            .issuer(IDENTITY_PROVIDER)
            .subject("workload")
            .audience(home.server.issuer())
            .lifetime(Duration::from_secs(3000));
        let identity = home.builder(SelfSigned::new(template.build().unwrap())).name("identity").build().unwrap();
        Domains { home, abroad, identity }
    }

    /// The exchange of the identity for an assertion that the other server accepts.
    fn exchange(&self) -> TokenProvider {
        let grant = TokenExchange::new(self.identity.clone(), TokenType::ID_TOKEN)
            .requested_token_type(TokenType::ID_JAG)
            .audience(self.abroad.issuer().as_str());
        let endpoint = TokenEndpoint::builder(self.home.server.token_url(), grant)
            .client_auth(ClientAuth::basic(CLIENT, SECRET))
            .build()
            .unwrap();
        self.home.builder(endpoint).name("exchange").build().unwrap()
    }

    fn provider(&self, assertion: Value) -> TokenProvider {
        let endpoint =
            TokenEndpoint::builder(self.abroad.token_url(), JwtBearer::from_value(assertion)).build().unwrap();
        self.home.builder(endpoint).name("abroad").allow_origin(self.abroad.issuer()).build().unwrap()
    }

    /// Calls the API of the other domain three times in each of three lifetimes of its tokens.
    async fn call(&self, provider: &TokenProvider) {
        let client = Adapter::Reqwest.client(provider);
        for wait in [101, 301, 0] {
            for _ in 0..3 {
                client.succeed(&format!("{}/orders", self.abroad.api_url())).await;
            }
            self.home.clock.advance(wait * SECOND);
        }
    }

    fn requests(&self) -> (usize, usize) {
        (token_requests(&self.home.server).len(), token_requests(&self.abroad).len())
    }
}

#[tokio::test]
async fn an_identity_chain_costs_a_request_per_stage() {
    let domains = Domains::start(AssertionRules::new().allow_reuse());
    let exchange = domains.exchange();
    domains.call(&domains.provider(exchange.clone().into())).await;
    assert_eq!(domains.requests(), (2, 3));
    assert_eq!(domains.abroad.count().api_accepted, 9);

    // One identity for both exchanges, one assertion for the first two requests abroad.
    let parameter = |server: &AuthorizationServer, name: &str| {
        let values = token_requests(server).into_iter().map(move |request| request.parameter(name).unwrap());
        values.collect::<Vec<_>>()
    };
    let subjects = parameter(&domains.home.server, "subject_token");
    assert_eq!(subjects[0], subjects[1]);
    assert_eq!(parameter(&domains.home.server, "audience"), [domains.abroad.issuer(), domains.abroad.issuer()]);
    let assertions = parameter(&domains.abroad, "assertion");
    assert!(assertions[0] == assertions[1] && assertions[1] != assertions[2]);
    let issued = exchange.token().await.unwrap();
    assert_eq!(issued.extra("issued_token_type"), Some(TokenType::ID_JAG.as_str()));
}

#[tokio::test]
async fn a_single_use_assertion_is_new_each_time() {
    let domains = Domains::start(AssertionRules::new().require_jti());
    domains.call(&domains.provider(Value::token_of(domains.exchange()).fresh())).await;
    assert_eq!(domains.requests(), (3, 3));
}

#[tokio::test]
async fn a_stage_that_fails_is_named_and_keeps_its_advice() {
    for (fault, kind, transient) in [
        (Fault::status(503), ErrorKind::Unavailable, true),
        (Fault::oauth_error(400, "invalid_target"), ErrorKind::Refused, false),
        (Fault::disconnect(), ErrorKind::Transport, true),
        // The response of another stage.
        (
            Fault::json(200, &json!({ "access_token": "t", "issued_token_type": TokenType::JWT.as_str() })),
            ErrorKind::Response,
            false,
        ),
    ] {
        let domains = Domains::start(AssertionRules::new());
        domains.home.server.token_endpoint().always(fault);
        let error = domains.provider(domains.exchange().into()).token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{error}");
        assert_eq!(error.provider(), Some("exchange"));
        let words = "the parameter `assertion` is missing: the token of another provider is missing: exchange: ";
        assert!(error.to_string().starts_with(words), "{error}");
        assert_eq!(domains.requests().1, 0);
    }
}

#[tokio::test]
async fn a_server_gets_requests_in_the_form_that_it_expects() {
    for (method, body, content_type) in [
        (Method::POST, BodyFormat::Form, Some("application/x-www-form-urlencoded")),
        (Method::POST, BodyFormat::Json, Some("application/json")),
        (Method::PUT, BodyFormat::Json, Some("application/json")),
        (Method::GET, BodyFormat::Query, None),
        (Method::POST, BodyFormat::Query, None),
        (Method::GET, BodyFormat::None, None),
        (Method::PUT, BodyFormat::None, None),
    ] {
        let setup = Setup::start();
        setup.server.register(Registered::secret("id with spaces", SECRET));
        setup.server.accept_other_requests();
        let auth = match body {
            BodyFormat::None => ClientAuth::basic("id with spaces", SECRET),
            _ => ClientAuth::post("id with spaces", SECRET),
        };
        let endpoint = TokenEndpoint::builder(setup.server.token_url(), ClientCredentials::new())
            .client_auth(auth)
            .method(method.clone())
            .body(body)
            .no_grant_type()
            .build()
            .unwrap();
        let provider = setup.builder(endpoint).build().unwrap();
        Adapter::Tower.client(&provider).succeed(&setup.api("orders")).await;
        let requests = token_requests(&setup.server);
        assert_eq!((requests.len(), requests[0].method()), (1, &method));
        assert_eq!(requests[0].header("content-type"), content_type, "{method} {body:?}");
        let has_query = body == BodyFormat::Query;
        assert_eq!(requests[0].uri().query().is_some(), has_query);
        assert_eq!(requests[0].body().is_empty(), content_type.is_none());
        // A body of no length must be told as one, except for methods without a body (RFC 9110 section 8.6).
        assert_eq!(requests[0].header("content-length").is_some(), method != Method::GET, "{method} {body:?}");
    }
}
