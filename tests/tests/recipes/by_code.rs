//! The rows that need code, with the code that they take: `examples/providers/*.rs`.

use std::{collections::BTreeMap, time::Duration};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bearer_token::{
    Sending, TokenProvider,
    jwt::{Algorithm, SigningKey},
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    platform::{Clock, Platform},
};
use bearer_token_testing::ManualClock;
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};

use crate::{
    decoded,
    expected::{at, directory},
    recorder::Recorder,
    run::Ones,
    signature::{Keys, der},
};

/// Code for others: not all of it is used here, and its items are public.
macro_rules! examples {
    ($($name:ident $path:literal)*) => {
        $(#[path = $path]
        #[allow(dead_code, unreachable_pub, reason = "an example for others")]
        mod $name;)*
    };
}

examples! {
    atlassian_connect "../../../examples/providers/atlassian_connect.rs"
    coinbase_wallet "../../../examples/providers/coinbase_wallet.rs"
    dpop "../../../examples/providers/dpop.rs"
    firebase_custom_token "../../../examples/providers/firebase_custom_token.rs"
    google_from_aws "../../../examples/providers/google_from_aws.rs"
    mux_playback "../../../examples/providers/mux_playback.rs"
}

fn platform(clock: &ManualClock) -> Platform {
    Platform::system().with_clock(clock.clone()).with_entropy(Ones)
}

fn key(algorithm: Algorithm, name: &str) -> SigningKey {
    SigningKey::from_pem(algorithm, std::fs::read_to_string(directory().join("keys").join(name)).unwrap()).unwrap()
}

/// The decoded JWT, after its signature was verified.
fn jwt(text: &str, secret: Option<&str>) -> Value {
    let secret = secret.map(|secret| BTreeMap::from([("text".to_owned(), secret.to_owned())]));
    decoded::text(text, &Keys::new(secret.as_ref()))
}

fn now(value: &Value) -> Value {
    at(value, ManualClock::new().now().wall())
}

const JTI: &str = "11111111-1111-4111-9111-111111111111";

fn json_response(body: &Value) -> Response<Bytes> {
    Response::builder().header("content-type", "application/json").body(body.to_string().into()).unwrap()
}

#[tokio::test]
async fn coinbase_gets_a_hash_of_the_body() {
    let url = "https://api.cdp.coinbase.com/platform/v2/evm/accounts?x=1".parse().unwrap();
    let body = json!({ "name": "a", "accounts": [{ "z": 1, "b": 2 }] });
    let (key, clock) = (key(Algorithm::ES256, "p256.pem"), ManualClock::new());
    let wallet = coinbase_wallet::Wallet::new(key, platform(&clock)).unwrap();
    let header = wallet.auth(&Method::POST, &url, Some(&body)).await.unwrap();
    // printf '{"accounts":[{"b":2,"z":1}],"name":"a"}' | sha256sum
    let hash = "3b0db1ceff97256043419210802e2657564baa53d95323515696d6239b68d316";
    let expected = json!({ "jwt": {
        "header": { "alg": "ES256", "typ": "JWT" },
        "claims": {
            "uris": ["POST api.cdp.coinbase.com/platform/v2/evm/accounts"],
            "reqHash": hash, "jti": JTI, "iat": "now", "nbf": "now",
        },
    }});
    assert_eq!(jwt(header.to_str().unwrap(), None), now(&expected));
}

#[tokio::test]
async fn atlassian_gets_a_hash_of_the_request() {
    let secret = "a shared secret of 32 bytes, or more";
    let key = SigningKey::hmac(Algorithm::HS256, secret).unwrap();
    let platform = platform(&ManualClock::new());
    let connect = atlassian_connect::Connect::new("com.example.app", key, "/wiki", platform).unwrap();
    let url = "https://acme.atlassian.net/wiki/rest/a&b/?z=a+b&jwt=x&A=2&z=1%2C~*";
    let mut request = Request::get(url).body(()).unwrap();
    let canonical = "GET&/rest/a%26b&A=2&z=1%2C~%2A,a%20b";
    assert_eq!(connect.canonical(request.method(), request.uri()), canonical);
    assert_eq!(connect.canonical(&Method::PUT, &"https://acme.atlassian.net/wiki/".parse().unwrap()), "PUT&/&");

    connect.sign(&mut request).await.unwrap();
    let expected = json!({ "prefix": "JWT ", "jwt": {
        "header": { "alg": "HS256", "typ": "JWT" },
        "claims": { "iss": "com.example.app", "qsh": "42c20e39386c10f013ff572bb8bd6709e1330d124512c088c7428590193c8ac6", "iat": "now - 10", "exp": "now + 170" },
    }});
    assert_eq!(jwt(request.headers()["authorization"].to_str().unwrap(), Some(secret)), now(&expected));
}

#[tokio::test]
async fn firebase_takes_a_token_that_a_client_brings() {
    let (key, clock) = (key(Algorithm::RS256, "rsa.pem"), ManualClock::new());
    let account = "reports@example.iam.gserviceaccount.com";
    let claims = json!({ "premium": true });
    let tokens = firebase_custom_token::CustomTokens::new(key, account, platform(&clock)).unwrap();
    let token = tokens.sign("user-1", &claims).await.unwrap();
    let expected = json!({ "jwt": {
        "header": { "alg": "RS256", "typ": "JWT" },
        "claims": {
            "iss": account, "sub": account, "uid": "user-1", "claims": { "premium": true },
            "aud": "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit",
            "iat": "now - 10", "exp": "now + 3590",
        },
    }});
    assert_eq!(jwt(&token, None), now(&expected));
}

#[tokio::test]
async fn mux_takes_a_token_in_the_url() {
    let (key, clock) = (key(Algorithm::RS256, "rsa.pem"), ManualClock::new());
    let hour = Duration::from_secs(3600);
    let playback = mux_playback::Playback::new(key, "mux-key", hour, platform(&clock)).unwrap();
    let url = playback.url("video-1").await.unwrap();
    let (url, token) = url.split_once("?token=").unwrap();
    assert_eq!(url, "https://stream.mux.com/video-1.m3u8");
    let expected = json!({ "jwt": {
        "header": { "alg": "RS256", "typ": "JWT", "kid": "mux-key" },
        "claims": { "sub": "video-1", "aud": "v", "exp": "now + 3590" },
    }});
    assert_eq!(jwt(token, None), now(&expected));
}

#[tokio::test]
async fn dpop_proves_the_key_beside_each_request() {
    let public = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der("p256.pem")).unwrap();
    let (x, y) = public.public_key().as_ref()[1..].split_at(32);
    let [x, y] = [x, y].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
    let clock = ManualClock::new();
    let dpop = dpop::Dpop::new(key(Algorithm::ES256, "p256.pem"), &jwk, platform(&clock)).unwrap();

    // The server wants a nonce first.
    let refused = Response::builder().status(400).header("dpop-nonce", "nonce-1");
    let refused = refused.body(Bytes::from(r#"{"error":"use_dpop_nonce"}"#)).unwrap();
    let token = json!({ "access_token": "bound-token", "token_type": "DPoP", "expires_in": 3600 });
    let recorder = Recorder::new([refused, json_response(&token)]);
    let transport = dpop::DpopTransport { inner: recorder.clone(), dpop: dpop.clone() };
    let endpoint = TokenEndpoint::builder("https://as.example.com/token?tenant=1", ClientCredentials::new())
        .client_auth(ClientAuth::basic("client", "secret"))
        .response_with(dpop::bound_token)
        .transport(transport)
        .build()
        .unwrap();
    let provider = TokenProvider::builder(endpoint)
        .allow_origin("https://api.example.com")
        .sending(Sending::new().scheme("DPoP"))
        .platform(platform(&clock))
        .build()
        .unwrap();
    provider.token().await.unwrap();

    let proof = |request: &http::HeaderMap| jwt(request["dpop"].to_str().unwrap(), None);
    let expected = |claims: Value| {
        let mut claims = now(&claims);
        claims["jti"] = JTI.into();
        json!({ "jwt": { "header": { "alg": "ES256", "typ": "dpop+jwt", "jwk": jwk }, "claims": claims } })
    };
    let proofs: Vec<Value> = recorder.requests().iter().map(|request| proof(request.headers())).collect();
    let url = "https://as.example.com/token";
    assert_eq!(proofs[0], expected(json!({ "htm": "POST", "htu": url, "iat": "now" })));
    assert_eq!(proofs[1], expected(json!({ "htm": "POST", "htu": url, "iat": "now", "nonce": "nonce-1" })));
    assert_eq!(proofs.len(), 2);

    // The API request has the token's hash in its proof.
    let mut request = Request::get("https://api.example.com/orders?page=2").body(()).unwrap();
    let _ = provider.authorize(&mut request).unwrap();
    dpop.sign(&mut request).await.unwrap();
    assert_eq!(request.headers()["authorization"], "DPoP bound-token");
    // printf bound-token | openssl dgst -sha256 -binary | basenc --base64url
    let claims = json!({ "htm": "GET", "htu": "https://api.example.com/orders", "iat": "now", "ath": "1UZzyLKzndbtZN8OcOiPRvW7SJ-rr1VMAPv_rM0MfgE" });
    assert_eq!(proof(request.headers()), expected(claims));
}

#[tokio::test]
async fn google_takes_a_request_to_aws_as_the_subject() {
    let audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/aws";
    let identity = google_from_aws::CallerIdentity {
        region: "eu-west-1".to_owned(),
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "a secret".to_owned(),
        audience: audience.to_owned(),
    };
    let recorder = Recorder::new([json_response(&json!({
        "access_token": "token-of-the-server", "token_type": "Bearer", "expires_in": 3600,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }))]);
    let endpoint = google_from_aws::token_endpoint(identity).unwrap().transport(recorder.clone()).build().unwrap();
    let clock = ManualClock::new();
    let provider = TokenProvider::builder(endpoint).platform(platform(&clock)).build().unwrap();
    assert_eq!(provider.token().await.unwrap().secret(), "token-of-the-server");

    let mut request = decoded::request(&recorder.requests()[0], &Keys::new(None));
    let subject = request["form"]["subject_token"].take();
    assert_eq!(
        request["form"],
        json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": audience,
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token": null,
            "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        })
    );
    let subject: String = form_urlencoded::parse(subject.as_str().unwrap().as_bytes()).map(|(text, _)| text).collect();
    let subject: Value = serde_json::from_str(&subject).unwrap();
    assert_eq!(subject["url"], "https://sts.eu-west-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(subject["headers"][2], json!({ "key": "x-goog-cloud-target-resource", "value": audience }));
    let authorization = subject["headers"][3]["value"].as_str().unwrap();
    assert!(authorization.contains("/sts/aws4_request, SignedHeaders=host;x-amz-date;x-goog-cloud-target-resource, "));
}
