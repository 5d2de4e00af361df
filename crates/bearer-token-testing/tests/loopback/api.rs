//! The protected API.

use bearer_token_testing::{Algorithm, AuthorizationServer, Client, Endpoint, Issuer, TestKey, Tokens};
use serde_json::{Value, json};

use crate::{call, now, token};

fn challenge(response: &reqwest::Response) -> &str {
    response.headers()["www-authenticate"].to_str().unwrap()
}

#[tokio::test]
async fn the_api_echoes_the_request() {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::public("public"));
    let token = token(&server).await;
    let echo: Value = crate::http()
        .put(format!("{}/orders/7?full=1", server.api_url()))
        .bearer_auth(&token)
        .json(&json!({ "n": [1] }))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let expected = json!({
        "method": "PUT", "path": "/api/orders/7", "query": "full=1", "body": { "n": [1] },
        "subject": "public", "client_id": "public", "scope": null,
    });
    assert_eq!(echo, expected);
    let request = server.requests().pop().unwrap();
    assert_eq!((request.endpoint(), request.method().as_str()), (Endpoint::Api, "PUT"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {token}").as_str()));
    assert_eq!(&request.body()[..], br#"{"n":[1]}"#);
}

#[tokio::test]
async fn l30_missing_and_invalid_tokens_are_challenged_differently() {
    let server = AuthorizationServer::start().unwrap();
    let http = crate::http();
    let missing = http.get(server.api_url()).send().await.unwrap();
    assert_eq!((missing.status().as_u16(), challenge(&missing)), (401, r#"Bearer realm="api""#));
    let other = http.get(server.api_url()).basic_auth("a", Some("b")).send().await.unwrap();
    assert_eq!((other.status().as_u16(), challenge(&other)), (401, r#"Bearer realm="api""#));
    let bad = call(&server, "unknown").await;
    assert_eq!(bad.status(), 401);
    assert!(challenge(&bad).contains(r#"error="invalid_token""#), "{}", challenge(&bad));
    let twice = http.get(server.api_url()).header("authorization", "Bearer a").header("authorization", "Bearer b");
    let twice = twice.send().await.unwrap();
    assert_eq!(twice.status(), 400);
    assert!(challenge(&twice).contains(r#"error="invalid_request""#));
    let counts = server.count();
    assert_eq!((counts.api_requests, counts.api_accepted, counts.api_rejected), (4, 0, 4));
}

#[tokio::test]
async fn revocation_spares_other_and_later_tokens() {
    for tokens in [Tokens::jwt(), Tokens::opaque()] {
        let server = AuthorizationServer::start().unwrap();
        server.register(Client::public("public"));
        server.issue(tokens);
        let (first, second) = (token(&server).await, token(&server).await);
        server.revoke(&first);
        assert_eq!(call(&server, &first).await.status(), 401);
        assert_eq!(call(&server, &second).await.status(), 200);
        server.revoke_all();
        assert_eq!(call(&server, &second).await.status(), 401);
        assert_eq!(call(&server, &token(&server).await).await.status(), 200);
    }
}

#[tokio::test]
async fn self_signed_tokens_are_accepted_for_their_audience() {
    let server = AuthorizationServer::start().unwrap();
    let key = TestKey::generate(Algorithm::ES384).unwrap();
    let sign = |audience: &str, id: u32| {
        let now = now();
        let claims =
            json!({ "iss": "app", "sub": "me", "aud": audience, "iat": now, "exp": now + 600, "jti": id.to_string() });
        key.sign(&claims).unwrap()
    };
    let token = sign("https://api.example.com/", 1);
    assert_eq!(call(&server, &token).await.status(), 401);
    server.trust(Issuer::new("app", key.verifying_key()));
    assert_eq!(call(&server, &token).await.status(), 401);
    server.trust(Issuer::new("app", key.verifying_key()).self_signed_audience("https://api.example.com/"));
    for _ in 0..3 {
        assert_eq!(call(&server, &token).await.status(), 200);
    }
    assert_eq!(call(&server, &sign("https://api.example.com", 2)).await.status(), 401);
    server.revoke_all();
    assert_eq!(call(&server, &token).await.status(), 401);
    assert_eq!(call(&server, &sign("https://api.example.com/", 3)).await.status(), 200);
}
