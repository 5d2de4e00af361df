//! Token exchange, and requests in other forms.

use bearer_token_testing::{AuthorizationServer, Client, Issuer, TestKey, Tokens};
use serde_json::{Value, json};

use crate::{JWT_BEARER, call, claims, post};

const EXCHANGE: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
const ID_TOKEN: (&str, &str) = ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token");
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A server that trusts an issuer of identities, and an identity of alice.
fn start() -> (AuthorizationServer, String) {
    let server = AuthorizationServer::start().unwrap();
    let key = TestKey::es256().unwrap();
    server.trust(Issuer::new("https://idp.example.com", key.verifying_key()));
    let mut identity = claims(&server, "https://idp.example.com", "1");
    identity["sub"] = "alice".into();
    let identity = key.sign(&identity).unwrap();
    (server, identity)
}

#[tokio::test]
async fn an_identity_is_exchanged_for_an_access_token() {
    let (server, identity) = start();
    for requested in [None, Some(ACCESS_TOKEN)] {
        let mut form = vec![EXCHANGE, ID_TOKEN, ("subject_token", identity.as_str())];
        form.extend(requested.map(|requested| ("requested_token_type", requested)));
        let (status, response) = post(&server, &form).await;
        assert_eq!(status, 200, "{response}");
        assert_eq!((&response["issued_token_type"], &response["token_type"]), (&json!(ACCESS_TOKEN), &json!("Bearer")));
        let echo: Value = call(&server, response["access_token"].as_str().unwrap()).await.json().await.unwrap();
        assert_eq!(echo["subject"], "alice");
    }
}

#[tokio::test]
async fn an_access_token_of_the_server_is_exchanged() {
    let (server, identity) = start();
    server.register(Client::secret("reports", "a secret"));
    for tokens in [Tokens::jwt(), Tokens::opaque()] {
        server.issue(tokens);
        let first = [("grant_type", "client_credentials"), ("client_id", "reports"), ("client_secret", "a secret")];
        let form = [&first[..], &[("scope", "read")]].concat();
        let (_, response) = post(&server, &form).await;
        let first = response["access_token"].as_str().unwrap().to_owned();
        let exchange =
            |token, scope| [EXCHANGE, ("subject_token_type", ACCESS_TOKEN), ("subject_token", token), ("scope", scope)];

        let (status, response) = post(&server, &exchange(&first, "read")).await;
        assert_eq!(status, 200, "{response}");
        let echo: Value = call(&server, response["access_token"].as_str().unwrap()).await.json().await.unwrap();
        assert_eq!((&echo["subject"], &echo["scope"]), (&json!("reports"), &json!("read")));

        let (status, response) = post(&server, &exchange(&first, "write")).await;
        assert_eq!((status.as_u16(), &response["error"]), (400, &json!("invalid_scope")));
        let (status, response) = post(&server, &exchange(&identity, "read")).await;
        assert_eq!((status.as_u16(), &response["error"]), (400, &json!("invalid_grant")), "of another issuer");
        server.revoke_all();
        let (status, response) = post(&server, &exchange(&first, "read")).await;
        assert_eq!((status.as_u16(), &response["error"]), (400, &json!("invalid_grant")), "revoked");
    }
}

#[tokio::test]
async fn an_id_jag_is_accepted_where_it_names() {
    let (home, identity) = start();
    let abroad = AuthorizationServer::start().unwrap();
    abroad.trust(home.as_issuer());
    let issuer = abroad.issuer();
    let form = |audience| {
        let wanted = [("requested_token_type", ID_JAG), ("audience", audience)];
        [EXCHANGE, ID_TOKEN, ("subject_token", identity.as_str()), wanted[0], wanted[1]]
    };
    for (audience, accepted) in [(issuer.as_str(), 200), ("https://other.example.com", 400)] {
        let (status, response) = post(&home, &form(audience)).await;
        assert_eq!(status, 200, "{response}");
        assert_eq!((&response["issued_token_type"], &response["token_type"]), (&json!(ID_JAG), &json!("N_A")));
        let assertion = response["access_token"].as_str().unwrap();
        assert_eq!(call(&home, assertion).await.status(), 401, "it is not for an API");
        let (status, response) = post(&abroad, &[("grant_type", JWT_BEARER), ("assertion", assertion)]).await;
        assert_eq!(status, accepted, "{response}");
    }
}

#[tokio::test]
async fn an_exchange_that_lacks_something_is_refused() {
    let (server, identity) = start();
    let subject = ("subject_token", identity.as_str());
    for (form, code) in [
        (vec![EXCHANGE, ID_TOKEN], "invalid_request"),
        (vec![EXCHANGE, subject], "invalid_request"),
        (vec![EXCHANGE, ID_TOKEN, ("subject_token", "opaque")], "invalid_grant"),
        (vec![EXCHANGE, ID_TOKEN, subject, ("requested_token_type", ID_JAG)], "invalid_target"),
        (
            vec![EXCHANGE, ID_TOKEN, subject, ("requested_token_type", ID_JAG), ("audience", "a"), ("audience", "b")],
            "invalid_target",
        ),
        (vec![EXCHANGE, ID_TOKEN, subject, ("requested_token_type", "urn:example:other")], "invalid_request"),
    ] {
        let (status, response) = post(&server, &form).await;
        assert_eq!((status.as_u16(), &response["error"]), (400, &json!(code)), "{form:?}");
    }
}

#[tokio::test]
async fn other_forms_of_requests_are_accepted_on_demand() {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::secret("reports", "a secret"));
    let http = crate::http();
    let send = async || {
        let url = server.token_url();
        let body = json!({ "client_id": "reports", "client_secret": "a secret", "audience": ["a", "b"] });
        let query = "client_id=reports&client_secret=a%20secret";
        let requests =
            [http.post(&url).json(&body), http.get(format!("{url}?{query}")), http.put(format!("{url}?{query}"))];
        let mut statuses = Vec::new();
        for request in requests {
            statuses.push(request.send().await.unwrap().status().as_u16());
        }
        statuses
    };
    assert_eq!(send().await, [415, 405, 405]);
    server.accept_other_requests();
    assert_eq!(send().await, [200, 200, 200]);
    let refused = http.post(server.token_url()).json(&json!(["client_id"])).send().await.unwrap();
    assert_eq!(refused.status(), 400);
}
