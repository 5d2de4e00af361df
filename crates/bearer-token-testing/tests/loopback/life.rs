//! Starting, stopping and recording.

use std::net::TcpStream;

use bearer_token_testing::{Algorithm, AuthorizationServer, Client, Fault, Issuer, TestKey, TestSecret, VerifyingKey};

use crate::{call, post, token};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn it_starts_outside_a_runtime_and_serves_several() {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::public("public"));
    let token = runtime().block_on(token(&server));
    assert_eq!(runtime().block_on(call(&server, &token)).status(), 200);
    // Waiting needs no runtime at all.
    let mut arrived = std::pin::pin!(server.wait_for_token_requests(1));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(arrived.as_mut().poll(&mut cx).is_ready());
}

#[tokio::test]
async fn it_stops_with_its_last_handle_and_frees_the_port() {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::public("public"));
    let address = server.address();
    let clone = server.clone();
    drop(server);
    token(&clone).await;
    // A hanging request does not keep the server alive.
    clone.token_endpoint().next(Fault::hang());
    let hanging = tokio::task::JoinSet::from_iter([{
        let (http, url) = (crate::http(), clone.token_url());
        async move { http.post(url).send().await.is_err() }
    }]);
    clone.wait_for_token_requests(2).await;
    drop(clone);
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(hanging.join_all().await, [true]);

    let second = AuthorizationServer::builder().port(address.port()).start().unwrap();
    assert_eq!(second.address(), address);
    second.register(Client::public("public"));
    token(&second).await;
    assert!(AuthorizationServer::builder().port(address.port()).start().is_err(), "the port is taken");
    second.stop();
    second.stop();
    second.close_connections();
    assert!(TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn l44_closed_connections_are_replaced_by_new_ones() {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::public("public"));
    let http = crate::http();
    let ask = async || {
        let form = [("grant_type", "client_credentials"), ("client_id", "public")];
        http.post(server.token_url()).form(&form).send().await.map(|response| response.status().as_u16())
    };
    assert_eq!(ask().await.unwrap(), 200);
    assert_eq!(ask().await.unwrap(), 200);
    assert_eq!(server.count().connections, 1, "kept alive");
    server.close_connections();
    // The client's first request may use a pooled connection that is closed, and fail.
    while ask().await.is_err() {}
    assert_eq!(server.count().connections, 2);
}

#[tokio::test]
async fn requests_are_recorded_and_can_be_forgotten() {
    let server = AuthorizationServer::start().unwrap();
    let form = [("grant_type", "client_credentials"), ("scope", "a b"), ("resource", "1"), ("resource", "2")];
    post(&server, &form).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].form(), form.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(requests[0].parameter("scope").as_deref(), Some("a b"));
    assert_eq!(requests[0].uri().path(), "/token");
    assert_eq!(requests[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    server.forget_requests();
    assert!(server.requests().is_empty());
    assert_eq!(server.count().token_requests, 1);
}

#[tokio::test]
async fn l38_no_secret_is_printed() {
    let server = AuthorizationServer::start().unwrap();
    let client = Client::secret("client", "planted-secret");
    let key = TestKey::es256().unwrap();
    let secret = TestSecret::hs256().unwrap();
    server.register(client.clone());
    let form = [("grant_type", "client_credentials"), ("client_id", "client"), ("client_secret", "planted-secret")];
    let (_, response) = post(&server, &form).await;
    let token = response["access_token"].as_str().unwrap().to_owned();
    call(&server, &token).await;
    let hmac = VerifyingKey::hmac(Algorithm::HS256, "planted-secret");
    let fault = Fault::json(200, &serde_json::json!({ "access_token": "planted-secret" }));
    server.api().always(fault.clone());
    let printed = format!(
        "{server:?} {client:?} {:?} {key:?} {secret:?} {hmac:?} {fault:?} {:?} {:?}",
        server.requests(),
        server.api(),
        Issuer::new("app", hmac.clone()),
    );
    let private = key.private_pem().lines().nth(1).unwrap();
    for marker in ["planted-secret", &token, secret.text(), private] {
        assert!(!printed.contains(marker), "{printed}");
    }
    let error = VerifyingKey::from_public_pem(Algorithm::ES256, key.private_pem()).unwrap_err();
    assert!(!format!("{error:?} {error}").contains(private));
    assert!(VerifyingKey::from_public_pem(Algorithm::HS256, key.public_pem()).is_err());
}
