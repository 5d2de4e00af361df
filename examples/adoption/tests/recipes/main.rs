//! Every recipe, run against a server on loopback.
//!
//! Tests that need a whole product are ignored unless it is there: `.ci/adoption` runs them.

mod grpc;
#[cfg(feature = "kafka")]
mod kafka;
mod redis;

use std::{sync::Arc, time::Duration};

use bearer_token::{Policy, TokenProvider, platform::Platform};
use bearer_token_testing::{AuthorizationServer, ManualClock, Outcome, ScriptedSource};
use tokio::runtime::{Handle, Runtime};

/// A server whose API accepts the tokens of this provider.
fn api() -> (AuthorizationServer, TokenProvider) {
    let server = AuthorizationServer::start().unwrap();
    let provider = provider(&server, Platform::system());
    (server, provider)
}

fn provider(server: &AuthorizationServer, platform: Platform) -> TokenProvider {
    use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
    server.register(bearer_token_testing::Client::secret("app", "secret"));
    let source = TokenEndpoint::builder(server.token_url(), ClientCredentials::new());
    let source = source.client_auth(ClientAuth::basic("app", "secret")).build().unwrap();
    TokenProvider::builder(source).allow_origin(server.issuer()).platform(platform).build().unwrap()
}

/// Counts tokens as `token-1`, `token-2`.
fn numbered(clock: &ManualClock) -> TokenProvider {
    let source = ScriptedSource::new();
    source.otherwise(Outcome::numbered().expires_in(Duration::from_secs(100)));
    let platform = Platform::system().with_clock(clock.clone());
    TokenProvider::builder(source)
        .allow_origin("https://api.example.com")
        .policy(Policy::default().jitter(false))
        .platform(platform)
        .build()
        .unwrap()
}

/// The platform of programs that block: token requests run in a small runtime.
fn blocking_platform() -> (Runtime, Platform) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let platform = Platform::system().with_spawn(runtime.handle().clone());
    (runtime, platform)
}

#[test]
fn reqwest_blocking_renews_a_rejected_token() {
    let server = AuthorizationServer::start().unwrap();
    let (_runtime, platform) = blocking_platform();
    let provider = provider(&server, platform);
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let send = || {
        let request = client.get(server.api_url()).build().unwrap();
        adoption::blocking::send(&client, &provider, request).unwrap().status().as_u16()
    };
    assert_eq!(send(), 200);
    server.revoke_all();
    assert_eq!((send(), send()), (401, 200));
}

#[test]
fn ureq_renews_a_rejected_token() {
    let server = AuthorizationServer::start().unwrap();
    let (_runtime, platform) = blocking_platform();
    let provider = provider(&server, platform);
    let config = ureq::Agent::config_builder().middleware(adoption::ureq::Bearer(provider));
    let agent: ureq::Agent = config.http_status_as_error(false).proxy(None).build().into();
    let send = || agent.get(server.api_url()).call().unwrap().status().as_u16();
    assert_eq!(send(), 200);
    server.revoke_all();
    assert_eq!((send(), send()), (401, 200));
}

#[tokio::test]
async fn reqwest_0_12_renews_a_rejected_token() {
    let (server, provider) = api();
    let policy = reqwest012::redirect::Policy::none();
    let client = reqwest012::Client::builder().redirect(policy).no_proxy().build().unwrap();
    let send = async || {
        let request = client.get(server.api_url()).build().unwrap();
        adoption::reqwest_0_12::send(&client, &provider, request).await.unwrap().status().as_u16()
    };
    assert_eq!(send().await, 200);
    server.revoke_all();
    assert_eq!((send().await, send().await), (401, 200));
}

#[tokio::test]
async fn object_store_sends_the_token_to_its_endpoint() {
    use object_store::{ObjectStoreExt, azure::MicrosoftAzureBuilder};
    let (server, provider) = api();
    let store = MicrosoftAzureBuilder::new()
        .with_account("account")
        .with_container_name("container")
        .with_endpoint(server.api_url())
        .with_allow_http(true)
        .with_credentials(Arc::new(adoption::object_store::Azure(provider.clone())))
        .build()
        .unwrap();
    // The server in a box has no blobs; what counts is the request.
    drop(store.get(&"orders.csv".into()).await);
    let token = provider.token().await.unwrap();
    let requests = server.requests();
    let request = requests.iter().find(|request| request.uri().path().ends_with("orders.csv")).unwrap();
    assert_eq!(request.header("authorization"), Some(format!("Bearer {}", token.secret()).as_str()));
}

#[tokio::test]
async fn object_store_gets_a_credential_for_google() {
    use object_store::CredentialProvider;
    let (_server, provider) = api();
    let credential = adoption::object_store::Google(provider.clone()).get_credential().await.unwrap();
    assert_eq!(credential.bearer, provider.token().await.unwrap().secret());
}

#[test]
fn the_page_shows_the_callback_for_kafka_as_it_is() {
    let page = include_str!("../../../../docs/ADOPTION.md");
    let shown = page.split("```rust,ignore\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(include_str!("../../src/kafka.rs").contains(shown), "{shown}");
}
