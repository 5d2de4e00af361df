//! Replicas that share the token of a protected resource.

use super::*;
use crate::{
    TokenProvider,
    shared::{Fleet, SealingKeys, Shared},
    store::MemorySharedStore,
};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn fleet(site: &Site) -> Fleet {
    let store = MemorySharedStore::on(site.clock.platform());
    Fleet::builder(store, SealingKeys::new(KEY)).build().unwrap()
}

fn provider(site: &Site, source: Shared) -> TokenProvider {
    let builder = TokenProvider::builder(source).platform(site.clock.platform());
    builder.allow_origin("https://api.example.com").build().unwrap()
}

/// The number of token requests since the last call.
fn token_requests(site: &Site) -> usize {
    site.take().iter().filter(|request| request.starts_with("grant_type=")).count()
}

#[tokio::test]
async fn costs_one_token_request_for_two_replicas() {
    let site = Site::new();
    // The probe tells the scope, and with it the record.
    site.page(RESOURCE, 401, r#"Bearer scope="write read""#, "");
    let fleet = fleet(&site);
    for _ in 0..2 {
        let replica = provider(&site, fleet.share(site.builder().build().unwrap()).unwrap());
        assert_eq!(replica.token().await.unwrap().secret(), "t");
    }
    assert_eq!(token_requests(&site), 1);
}

#[tokio::test]
async fn ends_where_the_scope_or_the_server_differs() {
    let site = Site::new();
    let other = "https://as2.example.com";
    site.page(
        "https://as2.example.com/.well-known/oauth-authorization-server",
        200,
        "",
        &format!(r#"{{"issuer":"{other}","token_endpoint":"{TOKEN_URL}"}}"#),
    );
    let fleet = fleet(&site);
    let registrations = || {
        let second = TokenEndpoint::discover(other, ClientCredentials::new());
        site.builder().authorization_server(second.client_auth(ClientAuth::post("id", "planted-secret")))
    };
    let share = |builder: ProtectedResourceBuilder| fleet.share(builder.build().unwrap()).unwrap();
    provider(&site, share(registrations())).token().await.unwrap();
    assert_eq!(token_requests(&site), 1);

    // The metadata now names the other one.
    let body = format!(r#"{{"resource":"{RESOURCE}","authorization_servers":["{other}"]}}"#);
    site.page(WELL_KNOWN, 200, "", &body);
    provider(&site, share(registrations())).token().await.unwrap();
    assert_eq!(token_requests(&site), 1, "the token of another server is not used");

    site.page(RESOURCE, 401, r#"Bearer scope="admin""#, "");
    provider(&site, share(registrations())).token().await.unwrap();
    assert_eq!(token_requests(&site), 1, "a token with another scope is not used");
}

#[tokio::test]
async fn reads_named_metadata_once_for_each_rejection() {
    let site = Site::new();
    let replica = provider(&site, fleet(&site).share(site.builder().build().unwrap()).unwrap());
    let ticket = replica.token().await.unwrap().ticket();
    site.metadata(CUSTOM, "");
    site.take();
    site.clock.advance(Duration::from_secs(60));
    let challenge = format!(r#"Bearer resource_metadata="{CUSTOM}""#);
    assert_eq!(ticket.reject(&response(&challenge)), Rejection::Renewing);
    replica.token().await.unwrap();
    let reads = site.take().iter().filter(|request| request.ends_with(CUSTOM)).count();
    assert_eq!(reads, 1);
}

#[tokio::test]
async fn needs_a_name_if_a_function_knows_the_servers() {
    let site = Site::new();
    let registration = site.registration();
    let builder = ProtectedResource::builder(RESOURCE).transport(site.clone());
    let registration = Mutex::new(Some(registration));
    let source = builder.authorization_servers(move |_| lock(&registration).take()).build().unwrap();
    let error = fleet(&site).share(source.clone()).unwrap_err();
    assert!(error.to_string().contains("authorization_servers"), "{error}");
    let replica = provider(&site, fleet(&site).share_as("mcp", source));
    assert_eq!(replica.token().await.unwrap().secret(), "t");
}

#[tokio::test]
async fn shows_no_secret_in_the_identity() {
    let mut identity = Identity::default();
    TokenSource::identity(&Site::new().builder().build().unwrap(), &mut identity);
    assert!(!format!("{identity:?}").contains("planted"));
}
