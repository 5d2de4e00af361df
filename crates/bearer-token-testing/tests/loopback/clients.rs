//! Client authentication, and the form of token requests.

use bearer_token_testing::{Algorithm, AuthorizationServer, Client, TestKey, TestSecret, Tokens};
use serde_json::{Value, json};

use crate::{CLIENT_ASSERTION, call, claims, post};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

async fn basic(server: &AuthorizationServer, credentials: &str, form: &[(&str, &str)]) -> (u16, Value, bool) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let response = crate::http()
        .post(server.token_url())
        .header("authorization", format!("Basic {}", STANDARD.encode(credentials)))
        .form(form)
        .send()
        .await
        .unwrap();
    let challenged = response.headers().contains_key("www-authenticate");
    (response.status().as_u16(), response.json().await.unwrap(), challenged)
}

#[tokio::test]
async fn every_client_authentication_leads_to_an_accepted_token() {
    let server = AuthorizationServer::start().unwrap();
    let (key, secret) = (TestKey::rs256().unwrap(), TestSecret::hs256().unwrap());
    server.register(Client::secret("shared", "a secret"));
    server.register(Client::private_key_jwt("signing", key.verifying_key()));
    server.register(Client::client_secret_jwt("hashing", Algorithm::HS256, secret.text()));
    server.register(Client::public("public"));

    let signed = key.sign(&claims(&server, "signing", "1")).unwrap();
    let hashed = crate::assertions::sign_hs256(&secret, &claims(&server, "hashing", "1"));
    let mut responses = vec![
        post(&server, &[GRANT, ("client_id", "shared"), ("client_secret", "a secret")]).await,
        post(&server, &[GRANT, ("client_id", "public")]).await,
    ];
    for assertion in [signed, hashed] {
        let form = [GRANT, ("client_assertion_type", CLIENT_ASSERTION), ("client_assertion", &assertion)];
        responses.push(post(&server, &form).await);
    }
    let (status, response, _) = basic(&server, "shared:a+secret", &[GRANT]).await;
    responses.push((status.try_into().unwrap(), response));

    for ((status, response), client) in responses.iter().zip(["shared", "public", "signing", "hashing", "shared"]) {
        assert_eq!(*status, 200, "{client}: {response}");
        assert_eq!((&response["token_type"], &response["expires_in"]), (&json!("Bearer"), &json!(3600)));
        let echo: Value = call(&server, response["access_token"].as_str().unwrap())
            .await
            .error_for_status()
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!((&echo["subject"], &echo["client_id"]), (&json!(client), &json!(client)));
    }
    let counts = server.count();
    assert_eq!((counts.token_requests, counts.tokens_issued, counts.api_accepted), (5, 5, 5));
}

#[tokio::test]
async fn l26_basic_credentials_are_form_decoded_by_default() {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::secret("urn:app", "p&%+: ä"));
    server.register(Client::secret("raw:not", "unused"));
    server.register(Client::secret("raw", "p%+:").raw_basic());
    server.register(Client::secret("plain", "same").raw_basic());
    for (credentials, expected) in [
        ("urn%3Aapp:p%26%25%2B%3A+%C3%A4", 200),
        ("urn:app:p&%+: ä", 401),
        ("urn%3Aapp:p%26%25%2B%3A%20%C3%A4", 200),
        ("raw:p%+:", 200),
        ("raw:p%25%2B%3A", 401),
        ("plain:same", 200),
        ("pl%61in:same", 401),
        ("no colon", 401),
    ] {
        let (status, response, challenged) = basic(&server, credentials, &[GRANT]).await;
        assert_eq!(status, expected, "{credentials}: {response}");
        assert_eq!(challenged, expected == 401, "RFC 6749 section 5.2");
    }
}

#[tokio::test]
async fn wrong_token_requests_get_the_specified_error_code() {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::secret("shared", "right").scopes(["read", "write"]));
    server.register(Client::private_key_jwt("signing", TestKey::es256().unwrap().verifying_key()));
    server.register(Client::public("public"));
    let shared = [("client_id", "shared"), ("client_secret", "right")];
    let type_only = ("client_assertion_type", CLIENT_ASSERTION);
    type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);
    let cases: &[Case<'_>] = &[
        (&[], 400, "invalid_request"),
        (&[("grant_type", "")], 400, "invalid_request"),
        (&[("grant_type", "password")], 400, "unsupported_grant_type"),
        (&[GRANT], 401, "invalid_client"),
        (&[GRANT, GRANT], 400, "invalid_request"),
        (&[GRANT, ("client_id", "nobody")], 401, "invalid_client"),
        (&[GRANT, ("client_id", "shared")], 401, "invalid_client"),
        (&[GRANT, ("client_id", "shared"), ("client_secret", "wrong")], 401, "invalid_client"),
        (&[GRANT, ("client_secret", "right")], 400, "invalid_request"),
        (&[GRANT, ("client_id", "public"), ("client_secret", "any")], 401, "invalid_client"),
        (&[GRANT, ("client_id", "signing")], 401, "invalid_client"),
        (&[GRANT, type_only, ("client_assertion", "x.y.z")], 401, "invalid_client"),
        (&[GRANT, ("client_assertion", "x.y.z")], 400, "invalid_request"),
        (&[GRANT, shared[0], shared[1], type_only, ("client_assertion", "x.y.z")], 400, "invalid_request"),
        (&[GRANT, shared[0], shared[1], ("scope", "read admin")], 400, "invalid_scope"),
    ];
    for (form, status, code) in cases {
        let (found, response) = post(&server, form).await;
        assert_eq!((found.as_u16(), response["error"].as_str()), (*status, Some(*code)), "{form:?}: {response}");
    }
    let counts = server.count();
    assert_eq!((counts.token_requests_refused, counts.tokens_issued), (cases.len() as u64, 0));

    let (_, response) = post(&server, &[GRANT, shared[0], shared[1]]).await;
    assert_eq!(response["scope"], "read write", "what it may have, when it asks for nothing");
    let (_, response) = post(&server, &[GRANT, shared[0], shared[1], ("scope", "write"), ("resource", "")]).await;
    assert_eq!(response["scope"], "write");
    let (status, _, _) = basic(&server, "shared:right", &[GRANT, ("client_id", "other")]).await;
    assert_eq!(status, 400);
    let (status, _, _) = basic(&server, "shared:right", &[GRANT, ("client_secret", "right")]).await;
    assert_eq!(status, 400, "two ways at once");
}

#[tokio::test]
async fn other_methods_and_content_types_are_refused() {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::public("public"));
    let http = crate::http();
    let response = http.get(server.token_url()).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, "POST"));
    let response = http.post(server.token_url()).json(&json!({ "grant_type": "client_credentials" })).send().await;
    assert_eq!(response.unwrap().status(), 415);
    let response = http
        .post(server.token_url())
        .header("content-type", "Application/X-WWW-Form-Urlencoded; charset=utf-8")
        .body("grant_type=client_credentials&client_id=public")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn l36_token_requests_with_a_bearer_token_are_refused() {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::public("public"));
    let form = [GRANT, ("client_id", "public")];
    let request = crate::http().post(server.token_url()).bearer_auth("misplaced").form(&form);
    assert_eq!(request.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn the_token_response_is_configurable() {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::public("public"));
    let ask = async || post(&server, &[GRANT, ("client_id", "public")]).await.1;
    server.issue(Tokens::opaque().expires_in("3599").token_type("bearer"));
    let response = ask().await;
    assert_eq!((&response["expires_in"], &response["token_type"]), (&json!("3599"), &json!("bearer")));
    assert_eq!(response["access_token"].as_str().unwrap().split('.').count(), 1);
    server.issue(Tokens::jwt().without_expires_in());
    let response = ask().await;
    assert!(response.get("expires_in").is_none());
    assert_eq!(response["access_token"].as_str().unwrap().split('.').count(), 3);
}
