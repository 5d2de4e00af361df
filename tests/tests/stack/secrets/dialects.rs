//! Values that are looked up, request and response formats, other headers, and certificates from files.

use std::fs;

use bearer_token::{
    Encoding, Error, FetchContext, Sending, TokenProvider, Value,
    oauth::{BodyFormat, ClientCredentials, ParameterValue, ResponseFormat, TokenEndpoint, TokenEndpointBuilder},
    transport::{HttpTransport, Transport},
};
use bearer_token_testing::Fault;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::json;

use super::{
    CLIENT_SECRET, HEADER, PARAMETER, QUERY, SERVER_TEXT, STATIC, life::client, markers::Markers, shown::Shown,
};
use crate::support::{Adapter, Setup, within};

/// Every way to put a secret into a token request and into a request to the API.
pub(super) async fn dialects(shown: &mut Shown, secrets: &mut Markers) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("account.json");
    fs::write(&path, json!({ "secret": CLIENT_SECRET, "half": format!("id:{PARAMETER}") }).to_string()).unwrap();
    let secret = || Value::file(&path).member("/secret");
    let tree = || {
        ParameterValue::object([
            ("deep", ParameterValue::list([secret(), Value::from(PARAMETER)])),
            ("half", Value::file(&path).member("/half").after(":").into()),
        ])
    };
    for value in [secret(), Value::from(CLIENT_SECRET).prefix(PARAMETER), Value::env("PATH")] {
        shown.value("Value", &value);
    }
    shown.value("ParameterValue", &tree());
    let setup = Setup::start();
    let request = |method: Method, body: BodyFormat| {
        let url = format!("{}?account={QUERY}", setup.server.token_url());
        let builder = TokenEndpoint::builder(url, ClientCredentials::new()).method(method).body(body);
        builder.no_grant_type().header("x-api-key", Value::from(HEADER)).header("x-secret", secret().prefix("Key "))
    };
    let formats: [TokenEndpointBuilder; 4] = [
        request(Method::POST, BodyFormat::Json).parameter("tree", tree()),
        request(Method::GET, BodyFormat::Query).parameter("key", secret()),
        request(Method::PUT, BodyFormat::Form).parameter("key", secret()).parameter("key", PARAMETER),
        request(Method::POST, BodyFormat::None),
    ];
    for builder in formats {
        let builder = builder.response(ResponseFormat::oauth().token("/deep/token").expires_in("/life"));
        shown.value("TokenEndpointBuilder", &builder);
        let endpoint = builder.build().unwrap();
        shown.value("TokenEndpoint", &endpoint);
        let sending = Sending::new().header("x-key").scheme("").fixed_header("x-second", secret());
        shown.value("Sending", &sending);
        let provider = setup.builder(endpoint).sending(sending).build().unwrap();
        for (what, fault) in replies() {
            setup.server.token_endpoint().always(fault);
            match within(provider.refresh_now()).await {
                Ok(bearer) => shown.value(what, &bearer),
                Err(error) => refused(shown, what, &error),
            }
        }
        let reply = json!({ "deep": { "token": STATIC }, "life": 3600, "note": SERVER_TEXT });
        setup.server.token_endpoint().always(Fault::json(200, &reply));
        shown.result("a bearer", within(provider.refresh_now()).await);
        setup.server.api().next(Fault::status(401).body(SERVER_TEXT));
        drop(within(client(Adapter::Tower, &provider, false).get(&setup.api("orders"))).await.unwrap());
        shown.value("a provider", &(&provider, provider.status()));
    }
    secrets.plant(STATIC);
    damaged(shown, &setup, directory.path()).await;
}

/// What a server may send that looks like a secret of ours.
fn replies() -> Vec<(&'static str, Fault)> {
    let says = |text: &str| Fault::json(400, &json!({ "error": "invalid_request", "error_description": text }));
    vec![
        ("a description that repeats a secret", says(&format!("no such key: {CLIENT_SECRET}"))),
        ("a description that repeats a header", says(&format!("no such key: {HEADER}"))),
        ("a description of the server's own", says(SERVER_TEXT)),
        ("no token at its place", Fault::json(200, &json!({ "token": STATIC, "life": SERVER_TEXT }))),
        ("a token that is a list", Fault::json(200, &json!({ "deep": { "token": [STATIC, CLIENT_SECRET] } }))),
        ("another lifetime", Fault::json(200, &json!({ "deep": { "token": STATIC }, "life": [SERVER_TEXT] }))),
        ("a redirect", Fault::redirect(format!("https://{SERVER_TEXT}.example.com/{CLIENT_SECRET}"))),
    ]
}

/// The description is there on request, unless it repeats what was sent; the error shows it nowhere.
fn refused(shown: &mut Shown, what: &str, error: &Error) {
    shown.error(what, error);
    let description = error.server_description();
    assert_eq!(description, (what == "a description of the server's own").then_some(SERVER_TEXT), "{what}");
}

/// Values that are missing or unusable, a chain that fails, and certificates that are none.
async fn damaged(shown: &mut Shown, setup: &Setup, directory: &std::path::Path) {
    let path = directory.join("damaged.json");
    let with = |value: Value| setup.endpoint().parameter("login", value).build();
    for (content, value) in [
        (format!("{{\"secret\":\"{CLIENT_SECRET}"), Value::file(&path).member("/secret")),
        (json!({ "other": CLIENT_SECRET }).to_string(), Value::file(&path).member("/secret")),
        (CLIENT_SECRET.to_owned(), Value::file(&path).after("|")),
        (CLIENT_SECRET.to_owned(), Value::file(&path).encoding(Encoding::Hex)),
        (format!("{CLIENT_SECRET}\n{CLIENT_SECRET}"), Value::file(&path)),
    ] {
        fs::write(&path, content).unwrap();
        shown.refusal("a value", with(value));
    }
    let careless = TokenProvider::builder(async |_: FetchContext| Err(Error::other(format!("no token for {PANEL}"))));
    let careless = setup.builder(with(Value::from(careless.name(PANEL).build().unwrap())).unwrap()).build().unwrap();
    let error = within(careless.token()).await.unwrap_err();
    assert!(error.to_string().contains(PANEL), "a name and a user's own words are shown: {error}");
    shown.error("a chain", &error);

    let key = rcgen::generate_simple_self_signed(["client.example.com".to_owned()]).unwrap();
    let (certificate, tls) = (key.cert.pem(), directory.join("tls.pem"));
    fs::write(&tls, format!("{certificate}{}", key.signing_key.serialize_pem())).unwrap();
    let builder = HttpTransport::builder().ca(certificate.as_str()).certificate(Value::file(&tls)).no_proxy();
    shown.value("HttpTransportBuilder", &builder);
    let transport = builder.build().unwrap();
    shown.value("HttpTransport", &transport);
    // The event names the file, and nothing in it.
    fs::write(&tls, format!("{certificate}-----BEGIN PRIVATE KEY-----\n{CLIENT_SECRET}\n")).unwrap();
    let url = setup.server.token_url().replace("http://", "https://");
    let request = Request::post(format!("{url}?{QUERY}")).body(Bytes::from_static(CLIENT_SECRET.as_bytes())).unwrap();
    shown.refusal("TLS to a port without it", within(transport.send(request)).await);
    for wrong in [CLIENT_SECRET.to_owned(), format!("-----BEGIN CERTIFICATE-----\n{CLIENT_SECRET}\n")] {
        shown.refusal("a CA", HttpTransport::builder().ca(wrong.as_str()).certificate(wrong.as_str()).build());
    }
}

/// A name that a user gave.
const PANEL: &str = "tenant-of-the-user";
