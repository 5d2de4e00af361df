//! The three ways to a token, with every method of client authentication and every family of algorithms, through both
//! adapters to an API that verifies what it is sent.

use bearer_token::{
    TokenProvider, TokenSource,
    jwt::{Algorithm, JwtTemplate, JwtTemplateBuilder, SelfSigned, SigningKey},
    oauth::{ClientAuth, ClientCredentials, JwtBearer, TokenEndpoint},
};
use bearer_token_testing::{
    Algorithm as Verified, AssertionRules, Client as Registered, Issuer, TestKey, TestSecret, Tokens, VerifyingKey,
};

use crate::support::{Adapter, CLIENT, SECRET, Setup, within};

/// One algorithm of each family and of each hash.
const ALGORITHMS: [Verified; 7] = [
    Verified::RS256,
    Verified::PS384,
    Verified::ES256,
    Verified::ES384,
    Verified::ES512,
    Verified::EdDSA,
    Verified::HS512,
];

/// A signing key, and its verifying key for the server.
fn keys(algorithm: Verified) -> (SigningKey, VerifyingKey) {
    let ours: Algorithm = algorithm.name().parse().unwrap();
    if ours.is_hmac() {
        let secret = TestSecret::generate(algorithm).unwrap();
        (SigningKey::hmac(ours, secret.text()).unwrap(), VerifyingKey::hmac(algorithm, secret.text()))
    } else {
        let key = TestKey::shared(algorithm).unwrap();
        (SigningKey::from_pem(ours, key.private_pem()).unwrap(), key.verifying_key())
    }
}

const ISSUER: &str = "reports@example.com";
const AUDIENCE: &str = "https://api.example.com/";

fn template(key: SigningKey, audience: &str) -> JwtTemplateBuilder {
    JwtTemplate::builder(key).issuer(ISSUER).subject("alice").audience(audience)
}

/// Makes two calls that the API must accept, and returns the one token that both carried.
async fn calls(setup: &Setup, adapter: Adapter, source: impl TokenSource, subject: &str) -> String {
    let provider: TokenProvider = setup.builder(source).build().unwrap();
    let client = adapter.client(&provider);
    for path in ["orders", "orders/7"] {
        let reply = within(client.succeed(&setup.api(path))).await;
        assert_eq!(reply.json()["subject"], subject, "{adapter:?}");
    }
    let authorizations = setup.authorizations();
    let [Some(first), Some(second)] = authorizations.as_slice() else { panic!("{authorizations:?}") };
    assert_eq!(first, second, "{adapter:?}: the token is cached");
    assert_eq!(setup.server.count().api_accepted, 2);
    first.strip_prefix("Bearer ").unwrap().to_owned()
}

#[tokio::test]
async fn self_signed_jwts_of_every_algorithm_are_accepted() {
    for (algorithm, adapter) in matrix() {
        let setup = Setup::start();
        let (key, verifying) = keys(algorithm);
        setup.server.trust(Issuer::new(ISSUER, verifying).subject("alice").self_signed_audience(AUDIENCE));
        let source = SelfSigned::new(template(key, AUDIENCE).build().unwrap());
        let token = calls(&setup, adapter, source, "alice").await;
        assert_eq!(token.split('.').count(), 3);
        assert_eq!(setup.token_requests(), 0, "{algorithm:?}");
        assert_eq!(setup.server.count().connections, 1, "{algorithm:?}: to the API only");
    }
}

#[tokio::test]
async fn assertions_of_every_algorithm_are_exchanged() {
    for (algorithm, adapter) in matrix() {
        let setup = Setup::start();
        let (key, verifying) = keys(algorithm);
        let strict = AssertionRules::new().require_jti().max_lifetime(std::time::Duration::from_secs(60));
        setup.server.trust(Issuer::new(ISSUER, verifying).subject("alice").rules(strict));
        let url = setup.server.token_url();
        let grant = JwtBearer::new(template(key, &url).build().unwrap());
        let source = TokenEndpoint::builder(&url, grant).scope("read").build().unwrap();
        calls(&setup, adapter, source, "alice").await;
        assert_eq!(setup.token_requests(), 1, "{algorithm:?}");
        let request = &crate::support::token_requests(&setup.server)[0];
        assert_eq!(request.parameter("grant_type").unwrap(), "urn:ietf:params:oauth:grant-type:jwt-bearer");
        assert_eq!(request.parameter("scope").unwrap(), "read");
        assert_eq!(request.header("authorization"), None);
        // Only the token endpoint received the assertion.
        let assertion = request.parameter("assertion").unwrap();
        assert!(setup.authorizations().iter().flatten().all(|value| !value.contains(&assertion)));
    }
}

fn matrix() -> impl Iterator<Item = (Verified, Adapter)> {
    ALGORITHMS.into_iter().flat_map(|algorithm| Adapter::BOTH.map(|adapter| (algorithm, adapter)))
}

// shows: 6749/3.2.1a 6749/4.4.2b 9700/2.5a
#[tokio::test]
async fn client_credentials_work_with_every_method_of_client_authentication() {
    let (private, public) = keys(Verified::ES256);
    let text = TestSecret::generate(Verified::HS512).unwrap().text().to_owned();
    let secret = SigningKey::hmac(Algorithm::HS512, &text).unwrap();
    let secret_jwt = Registered::client_secret_jwt(CLIENT, Verified::HS512, text);
    let methods: [(&str, ClientAuth, Registered); 5] = [
        ("none", ClientAuth::public(CLIENT), Registered::public(CLIENT)),
        ("basic", ClientAuth::basic(CLIENT, SECRET), Registered::secret(CLIENT, SECRET)),
        ("post", ClientAuth::post(CLIENT, SECRET), Registered::secret(CLIENT, SECRET)),
        ("client_secret_jwt", ClientAuth::client_secret_jwt(CLIENT, secret), secret_jwt),
        ("private_key_jwt", ClientAuth::private_key_jwt(CLIENT, private), Registered::private_key_jwt(CLIENT, public)),
    ];
    for (name, auth, registered) in methods {
        for adapter in Adapter::BOTH {
            let setup = Setup::start();
            // Opaque tokens state nothing about themselves.
            setup.server.issue(Tokens::opaque());
            setup.server.register(registered.clone().rules(AssertionRules::new().require_jti()));
            let source = TokenEndpoint::builder(setup.server.token_url(), ClientCredentials::new())
                .client_auth(auth.clone())
                .build()
                .unwrap();
            calls(&setup, adapter, source, CLIENT).await;
            assert_eq!(setup.token_requests(), 1, "{name}");
            let request = &crate::support::token_requests(&setup.server)[0];
            assert_eq!(request.parameter("grant_type").as_deref(), Some("client_credentials"));
            assert_eq!(request.header("authorization").is_some(), name == "basic", "{name}");
            assert_eq!(request.parameter("client_secret").is_some(), name == "post", "{name}");
            assert_eq!(request.parameter("client_assertion").is_some(), name.ends_with("_jwt"), "{name}");
        }
    }
}

#[tokio::test]
async fn an_unknown_key_is_refused_before_the_api() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let unknown = TestKey::generate(Verified::ES256).unwrap();
        setup.server.trust(Issuer::new(ISSUER, unknown.verifying_key()));
        let (key, _) = keys(Verified::ES256);
        let url = setup.server.token_url();
        let grant = JwtBearer::new(template(key, &url).build().unwrap());
        let provider = setup.builder(TokenEndpoint::builder(&url, grant).build().unwrap()).build().unwrap();
        let error = within(adapter.client(&provider).refused(&setup.api("orders"))).await;
        assert_eq!((error.kind(), error.oauth_code()), (bearer_token::ErrorKind::Refused, Some("invalid_grant")));
        assert_eq!(setup.server.count().api_requests, 0);
    }
}
