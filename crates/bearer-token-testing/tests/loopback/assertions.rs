//! Assertions that another library signs.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bearer_token_testing::{
    Algorithm, AssertionRules, AuthorizationServer, Client, Issuer, ManualClock, TestKey, TestSecret, VerifyingKey,
};
use jsonwebtoken::{Algorithm as Backend, EncodingKey, crypto::aws_lc::DEFAULT_PROVIDER};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

use crate::{CLIENT_ASSERTION, JWT_BEARER, call, claims, now, post};

/// Signs with jsonwebtoken and an explicit backend.
fn sign(algorithm: Backend, key: &EncodingKey, claims: &Value) -> String {
    let name = json!(algorithm);
    let header = json!({ "alg": name, "typ": "JWT", "kid": "of no importance" });
    let signed = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, key).unwrap();
    let signature = signer.try_sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(crate) fn sign_hs256(secret: &TestSecret, claims: &Value) -> String {
    sign(Backend::HS256, &EncodingKey::from_secret(secret.text().as_bytes()), claims)
}

fn backend(algorithm: Algorithm) -> Backend {
    algorithm.name().parse().unwrap()
}

/// The private key in jsonwebtoken's format, taken from the PEM.
fn encoding_key(key: &TestKey) -> EncodingKey {
    let text: String = key.private_pem().lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(text).unwrap();
    match key.algorithm() {
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_der(&der),
        Algorithm::EdDSA => EncodingKey::from_ed_der(&der),
        // PKCS#8 puts 26 bytes before the PKCS#1 key of this size.
        _ => EncodingKey::from_rsa_der(&der[26..]),
    }
}

async fn exchange(server: &AuthorizationServer, assertion: &str) -> (u16, Value) {
    let (status, response) = post(server, &[("grant_type", JWT_BEARER), ("assertion", assertion)]).await;
    (status.as_u16(), response)
}

// shows: 7521/4.1a 7523/2.1a 7523/2.1b
#[tokio::test]
async fn assertions_of_every_algorithm_are_exchanged() {
    let server = AuthorizationServer::start().unwrap();
    for algorithm in Algorithm::ALL {
        let name = algorithm.name();
        let claims = claims(&server, name, "1");
        let (verifying, assertion) = match TestKey::shared(algorithm) {
            // jsonwebtoken has no ES512.
            Ok(key) if algorithm == Algorithm::ES512 => (key.verifying_key(), key.sign(&claims).unwrap()),
            Ok(key) => (key.verifying_key(), sign(backend(algorithm), &encoding_key(&key), &claims)),
            Err(_) => {
                let secret = TestSecret::generate(algorithm).unwrap();
                let signing = EncodingKey::from_secret(secret.text().as_bytes());
                (secret.verifying_key(), sign(backend(algorithm), &signing, &claims))
            }
        };
        server.trust(Issuer::new(name, verifying));
        let (status, response) = exchange(&server, &assertion).await;
        assert_eq!(status, 200, "{name}: {response}");
        let echo: Value = call(&server, response["access_token"].as_str().unwrap()).await.json().await.unwrap();
        assert_eq!((&echo["subject"], &echo["client_id"]), (&json!(name), &Value::Null));
    }
}

#[tokio::test]
async fn each_error_in_an_assertion_is_refused() {
    let server = AuthorizationServer::start().unwrap();
    let key = TestKey::es256().unwrap();
    let signing = encoding_key(&key);
    server.trust(Issuer::new("app", key.verifying_key()).subject("alice").subject("bob"));
    let good = |id: &str| {
        let mut claims = claims(&server, "app", id);
        claims["sub"] = json!("alice");
        claims
    };
    let now = now();
    let wrong = [
        ("iss", json!("other")),
        ("iss", json!(7)),
        ("iss", Value::Null),
        ("sub", json!("mallory")),
        ("sub", Value::Null),
        ("aud", json!(format!("{}/", server.issuer()))),
        ("aud", json!([server.token_url()])),
        ("aud", Value::Null),
        ("exp", json!(now - 1)),
        ("exp", json!(now + 2 * 3600)),
        ("exp", Value::Null),
        ("iat", json!(now + 600)),
        ("nbf", json!(now + 600)),
        ("jti", json!(7)),
    ];
    for (name, value) in wrong {
        let mut claims = good("unused");
        claims[name] = value.clone();
        let (status, response) = exchange(&server, &sign(Backend::ES256, &signing, &claims)).await;
        assert_eq!((status, &response["error"]), (400, &json!("invalid_grant")), "{name} = {value}: {response}");
        let text = response["error_description"].as_str().unwrap();
        assert!(text.contains(name) || name == "iss" || text.contains("exp"), "{name}: {text}");
    }
    let other_key = TestKey::generate(Algorithm::ES256).unwrap();
    let (status, _) = exchange(&server, &sign(Backend::ES256, &encoding_key(&other_key), &good("unused"))).await;
    assert_eq!(status, 400, "another key");
    let rsa = encoding_key(&TestKey::rs256().unwrap());
    let (status, _) = exchange(&server, &sign(Backend::RS256, &rsa, &good("unused"))).await;
    assert_eq!(status, 400, "another algorithm");
    let (status, response) = post(&server, &[("grant_type", JWT_BEARER)]).await;
    assert_eq!((status.as_u16(), &response["error"]), (400, &json!("invalid_request")), "no assertion");

    // None of these used up the `jti`.
    let assertion = sign(Backend::ES256, &signing, &good("unused"));
    assert_eq!(exchange(&server, &assertion).await.0, 200);
    let (status, response) = exchange(&server, &assertion).await;
    assert_eq!((status, &response["error_description"]), (400, &json!("its jti was used before")));
}

#[tokio::test]
async fn issuers_have_rules_and_rotate_their_keys() {
    let server = AuthorizationServer::start().unwrap();
    let (old, new) = (TestKey::ed25519().unwrap(), TestKey::generate(Algorithm::EdDSA).unwrap());
    let rules = AssertionRules::new().audience("login.example.com").require_jti().allow_audience_array();
    server.trust(Issuer::new("app", old.verifying_key()).rules(rules.clone()).scopes(["a", "b"]));
    let with = |audience: Value, id: Value| {
        let mut claims = claims(&server, "app", "");
        claims["aud"] = audience;
        claims["jti"] = id;
        claims
    };
    let status = async |key: &TestKey, claims: &Value| exchange(&server, &key.sign(claims).unwrap()).await;
    assert_eq!(status(&old, &with(json!(server.token_url()), json!("1"))).await.0, 400);
    assert_eq!(status(&old, &with(json!("login.example.com"), Value::Null)).await.0, 400);
    let (found, response) = status(&old, &with(json!(["login.example.com", "x"]), json!("2"))).await;
    assert_eq!((found, &response["scope"]), (200, &json!("a b")));

    let pem = VerifyingKey::from_public_pem(Algorithm::EdDSA, new.public_pem()).unwrap();
    server.trust(Issuer::new("app", pem).rules(rules));
    assert_eq!(status(&old, &with(json!("login.example.com"), json!("3"))).await.0, 400);
    assert_eq!(status(&new, &with(json!("login.example.com"), json!("3"))).await.0, 200);
}

#[tokio::test]
async fn the_grant_can_have_another_name() {
    let server = AuthorizationServer::start().unwrap();
    let key = TestKey::es256().unwrap();
    server.trust(Issuer::new("app", key.verifying_key()));
    server.register(Client::secret("client", "right"));
    let request = async |grant: &str, id: &str, secret: &str| {
        let assertion = key.sign(&claims(&server, "app", id)).unwrap();
        let mut form = vec![("grant_type", grant), ("assertion", &assertion)];
        if !secret.is_empty() {
            form.extend([("client_id", "client"), ("client_secret", secret)]);
        }
        let (status, response) = post(&server, &form).await;
        (status.as_u16(), response["error"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(request("urn:example:custom", "1", "").await, (400, "unsupported_grant_type".to_owned()));
    server.name_jwt_bearer("urn:example:custom");
    assert_eq!(request("urn:example:custom", "1", "").await.0, 200);
    assert_eq!(request(JWT_BEARER, "2", "right").await.0, 200);
    assert_eq!(request(JWT_BEARER, "3", "wrong").await, (401, "invalid_client".to_owned()));
}

#[tokio::test]
async fn client_assertions_are_checked_and_bound_to_the_client() {
    let server = AuthorizationServer::start().unwrap();
    let (key, other) = (TestKey::es256().unwrap(), TestKey::generate(Algorithm::ES256).unwrap());
    server.register(Client::private_key_jwt("one", key.verifying_key()));
    server.register(Client::private_key_jwt("two", other.verifying_key()));
    let request = async |claims: &Value, id: Option<&str>| {
        let assertion = key.sign(claims).unwrap();
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_assertion_type", CLIENT_ASSERTION),
            ("client_assertion", &assertion),
        ];
        form.extend(id.map(|id| ("client_id", id)));
        let (status, response) = post(&server, &form).await;
        assert!(status == 200 || response["error"] == "invalid_client", "{response}");
        status.as_u16()
    };
    let with = |changes: &[(&str, Value)]| {
        let mut claims = claims(&server, "one", "1");
        for (name, value) in changes {
            claims[name] = value.clone();
        }
        claims
    };
    assert_eq!(request(&with(&[("sub", json!("two"))]), None).await, 401);
    assert_eq!(request(&with(&[("iss", json!("two"))]), None).await, 401);
    assert_eq!(request(&with(&[("iss", json!("two")), ("sub", json!("two"))]), None).await, 401, "another's key");
    assert_eq!(request(&with(&[("aud", json!("https://elsewhere.example.com"))]), None).await, 401);
    assert_eq!(request(&with(&[]), Some("two")).await, 401);
    assert_eq!(request(&with(&[("aud", json!(server.issuer()))]), Some("one")).await, 200);
    assert_eq!(request(&with(&[]), None).await, 401, "its jti was used before");
}

#[tokio::test]
async fn the_server_uses_the_given_clock() {
    let clock = ManualClock::at(UNIX_EPOCH + Duration::from_secs(5_000_000));
    let server = AuthorizationServer::builder().clock(clock.clone()).start().unwrap();
    let key = TestKey::es256().unwrap();
    server.trust(Issuer::new("app", key.verifying_key()));
    let assertion = |iat: u64, id: &str| {
        let claims = json!({
            "iss": "app", "sub": "app", "aud": server.issuer(), "iat": iat, "exp": iat + 60, "jti": id,
        });
        key.sign(&claims).unwrap()
    };
    assert_eq!(exchange(&server, &assertion(now(), "1")).await.0, 400, "the system's time is of no importance");
    let (status, response) = exchange(&server, &assertion(5_000_000, "2")).await;
    assert_eq!(status, 200);
    let token = response["access_token"].as_str().unwrap();
    clock.advance(Duration::from_secs(3599));
    assert_eq!(call(&server, token).await.status(), 200);
    clock.advance(Duration::from_secs(1));
    let response = call(&server, token).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["date"], "Fri, 27 Feb 1970 21:53:20 GMT");
    clock.rewind_wall(Duration::from_secs(1));
    assert_eq!(call(&server, token).await.status(), 200);
}
