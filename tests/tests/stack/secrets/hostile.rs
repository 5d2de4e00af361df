//! Servers, sources and middlewares that are hostile, broken or careless.

use std::{
    error::Error as StdError,
    fmt::{self, Display},
    panic::resume_unwind,
};

use bearer_token::{
    AccessToken, Error, FetchContext,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    transport,
};
use bearer_token_testing::{Client as Registered, Fault, Tokens};
use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body_util::Full;
use reqwest_bearer::MiddlewareTransport;
use reqwest_middleware::{Middleware, Next};
use serde_json::{Value, json};
use tower_bearer::BoxError;

use super::{
    CLIENT_SECRET, PANIC, QUERY, SERVER_TEXT, STATIC,
    life::{client, plant_what_was_sent},
    markers::Markers,
    shown::Shown,
};
use crate::support::{Adapter, CLIENT, SECOND, Setup, hyper, reqwest, within};

/// The responses of a hostile or broken server.
fn hostile() -> Vec<(&'static str, Fault)> {
    let text =
        |status| Fault::status(status).body(SERVER_TEXT).header("x-trace", SERVER_TEXT).header("server", SERVER_TEXT);
    let says = |status: u16, members: Value| Fault::json(status, &members).header("www-authenticate", SERVER_TEXT);
    let token = |members: Value| {
        let mut reply = json!({ "access_token": STATIC, "token_type": "Bearer" });
        reply.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Fault::json(200, &reply)
    };
    vec![
        ("500", text(500)),
        ("503", text(503).header("retry-after", SERVER_TEXT)),
        ("429", text(429)),
        ("404", text(404)),
        ("401", text(401)),
        ("a redirect", text(302).header("location", format!("https://{SERVER_TEXT}.example.com/{SERVER_TEXT}"))),
        ("HTML", Fault::html().body(format!("<p>{SERVER_TEXT}")).header("content-type", format!("text/{SERVER_TEXT}"))),
        (
            "an error",
            says(400, json!({ "error": "invalid_grant", "error_description": SERVER_TEXT, "error_uri": SERVER_TEXT })),
        ),
        ("an error code of its own", says(400, json!({ "error": SERVER_TEXT, "error_description": CLIENT_SECRET }))),
        ("a secret as an error code", says(401, json!({ "error": CLIENT_SECRET }))),
        ("an error that is not a string", says(400, json!({ "error": { "message": SERVER_TEXT } }))),
        ("an error with 200", says(200, json!({ "error": SERVER_TEXT, "access_token": STATIC }))),
        ("no token", says(200, json!({ "token": STATIC, "id_token": STATIC }))),
        ("a token that is no text", says(200, json!({ "access_token": [STATIC] }))),
        ("a token with a newline", token(json!({ "access_token": format!("{STATIC}\n{STATIC}") }))),
        ("a token with a space", token(json!({ "access_token": format!("{STATIC} {STATIC}") }))),
        ("another token type", token(json!({ "token_type": SERVER_TEXT }))),
        ("a token type that is not a string", token(json!({ "token_type": [SERVER_TEXT] }))),
        ("a negative lifetime", token(json!({ "expires_in": -1, "scope": SERVER_TEXT }))),
        ("broken JSON", Fault::status(200).body(format!("{{\"access_token\":\"{STATIC}\",\"{SERVER_TEXT}"))),
        ("no JSON", Fault::status(200).body(format!("access_token={STATIC}&scope={SERVER_TEXT}"))),
        ("no UTF-8", Fault::status(200).body([SERVER_TEXT.as_bytes(), b"\xff"].concat())),
        ("nothing", Fault::status(200)),
        ("a flood", Fault::flood(2 * 1024 * 1024)),
        ("no response", Fault::disconnect()),
        ("half a response", Fault::cut_off()),
    ]
}

pub(super) async fn failures(shown: &mut Shown, secrets: &mut Markers, adapter: Adapter) {
    for (what, fault) in hostile() {
        let setup = Setup::start();
        setup.server.register(Registered::secret(CLIENT, CLIENT_SECRET));
        setup.server.issue(Tokens::opaque());
        let url = format!("{}?account={QUERY}", setup.server.token_url());
        let auth = [ClientAuth::basic(CLIENT, CLIENT_SECRET), ClientAuth::post(CLIENT, CLIENT_SECRET)];
        for (index, auth) in auth.into_iter().enumerate() {
            let endpoint = TokenEndpoint::builder(&url, ClientCredentials::new()).client_auth(auth);
            let endpoint = match (adapter, index) {
                (Adapter::Tower, 0) => endpoint.transport(transport::service(hyper())),
                (Adapter::Tower, _) => endpoint.transport(transport::service::<_, Full<Bytes>>(hyper()).with_causes()),
                (Adapter::Reqwest, 0) => endpoint,
                (Adapter::Reqwest, _) => endpoint.transport(MiddlewareTransport::new(reqwest().into())),
            };
            let provider = setup.builder(endpoint.build().unwrap()).build().unwrap();
            let client = client(adapter, &provider, false);
            setup.server.token_endpoint().always(fault.clone());
            let error = within(client.get(&setup.api("orders"))).await.unwrap_err();
            shown.error(what, &*error);
            shown.value("a provider that fails", &provider);
            shown.value("its status", &provider.status());
            setup.server.token_endpoint().recover();
            setup.clock.advance(3_600 * SECOND);
            within(client.succeed(&setup.api("orders"))).await;
            // A background refresh that fails, and a rejection without a renewal.
            setup.server.token_endpoint().always(fault.clone());
            shown.result(what, within(provider.refresh_now()).await);
            shown.value("a provider with an old token", &provider);
            setup.server.token_endpoint().recover();
        }
        plant_what_was_sent(secrets, &setup);
    }
    // No server at all.
    let setup = Setup::start();
    let endpoint = TokenEndpoint::builder(format!("{}?{QUERY}", setup.server.token_url()), ClientCredentials::new())
        .client_auth(ClientAuth::post(CLIENT, CLIENT_SECRET));
    let endpoint = match adapter {
        Adapter::Tower => endpoint.transport(transport::service::<_, Full<Bytes>>(hyper()).with_causes()),
        Adapter::Reqwest => endpoint,
    };
    let provider = setup.builder(endpoint.build().unwrap()).build().unwrap();
    let url = setup.api("orders");
    setup.server.stop();
    shown.error("no server", &*within(client(adapter, &provider, false).get(&url)).await.unwrap_err());
}

pub(super) async fn panics(shown: &mut Shown, adapter: Adapter) {
    let setup = Setup::start();
    // Without the standard library's report on standard error.
    let source = async |_: FetchContext| -> Result<AccessToken, Error> { resume_unwind(Box::new(PANIC.to_owned())) };
    let provider = setup.builder(source).build().unwrap();
    let error = within(client(adapter, &provider, false).get(&setup.api("orders"))).await.unwrap_err();
    shown.error("a source that panics", &*error);
    shown.value("a provider whose source panics", &provider);

    // A middleware of the token transport whose error shows too much.
    let careless = reqwest_middleware::ClientBuilder::new(reqwest()).with(Careless).build();
    let endpoint = setup.endpoint().transport(MiddlewareTransport::new(careless)).build().unwrap();
    let provider = setup.builder(endpoint).build().unwrap();
    let error = within(client(adapter, &provider, false).get(&setup.api("orders"))).await.unwrap_err();
    shown.error("a careless middleware", &*error);
    let careless = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Full<Bytes>>, _>(BoxError::from(Shout(CLIENT_SECRET)))
    });
    let endpoint = setup.endpoint().transport(transport::service(careless)).build().unwrap();
    let provider = setup.builder(endpoint).build().unwrap();
    let error = within(client(adapter, &provider, false).get(&setup.api("orders"))).await.unwrap_err();
    shown.error("a careless service", &*error);
}

#[derive(Clone, Copy)]
struct Careless;

#[derive(Debug)]
struct Shout(&'static str);

impl Display for Shout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for Shout {}

#[async_trait::async_trait]
impl Middleware for Careless {
    async fn handle(
        &self,
        _: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        Err(reqwest_middleware::Error::middleware(Shout(CLIENT_SECRET)))
    }
}
