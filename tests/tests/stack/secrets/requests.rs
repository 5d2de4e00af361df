//! Values, and token requests in other forms than the usual one.

use std::fs;

use bearer_token::{
    Encoding, FetchContext, FetchReason, StaticToken, TokenProvider, TokenSource, Value,
    oauth::{
        BodyFormat, ClientAuth, ClientCredentials, JwtBearer, ParameterValue, TokenEndpoint, TokenExchange, TokenType,
    },
    platform::Platform,
};
use bearer_token_testing::{Client as Registered, Fault};
use http::Method;
use serde_json::json;

use super::{CLIENT_SECRET, HEADER, PARAMETER, QUERY, SERVER_TEXT, STATIC, shown::Shown};
use crate::support::{CLIENT, SECOND, Setup};

/// Successes and failures of requests whose secrets are in the query, in JSON, and in headers.
pub(super) async fn requests(shown: &mut Shown) {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        Value::file(path)
    };
    let document = json!({ "id": PARAMETER, "key": STATIC, "list": [1] }).to_string();
    let values = || {
        let provider = TokenProvider::builder(StaticToken::new(STATIC)).name("another").build().unwrap();
        [
            Value::from(PARAMETER).prefix(HEADER).suffix(HEADER),
            file("secret", STATIC),
            file("document", &document).member("/id"),
            Value::from(provider).prefix(HEADER),
        ]
    };
    let context = || FetchContext::new(Platform::system(), 30 * SECOND, FetchReason::Missing);
    for value in values() {
        shown.value("Value", &value);
        shown.value("a tree", &ParameterValue::list([ParameterValue::object([(PARAMETER.len().to_string(), value)])]));
    }
    for (what, value) in [
        ("a member that is missing", file("document", &document).member("/key/x")),
        ("a member that is a list", file("document", &document).member("/list")),
        ("a document that is none", file("secret", STATIC).member("/key")),
        ("a part that is missing", file("secret", STATIC).after("#")),
        ("another encoding", file("secret", STATIC).encoding(Encoding::Hex)),
        ("a newline", file("lines", &format!("{STATIC}\n{STATIC}"))),
        ("another encoding of a token", values()[3].clone().encoding(Encoding::Hex)),
    ] {
        shown.refusal(what, value.read(&context()).await);
        shown
            .refusal(what, TokenEndpoint::builder("http://[::1]:9/", JwtBearer::from_value(value)).scope("\n").build());
    }

    let setup = Setup::start();
    setup.server.register(Registered::secret(CLIENT, CLIENT_SECRET));
    setup.server.accept_other_requests();
    let echo = json!({ "error": "invalid_request", "error_description": format!("{SERVER_TEXT} {CLIENT_SECRET}") });
    for (method, body) in
        [(Method::POST, BodyFormat::Form), (Method::POST, BodyFormat::Json), (Method::GET, BodyFormat::Query)]
    {
        let [prefixed, from_file, member, token] = values();
        let builder =
            TokenEndpoint::builder(format!("{}?own={QUERY}", setup.server.token_url()), ClientCredentials::new())
                .client_auth(ClientAuth::post(CLIENT, CLIENT_SECRET))
                .method(method)
                .body(body)
                .parameter("resource", ParameterValue::list([prefixed, from_file]))
                .parameter("audience", member)
                .header("x-token", token);
        shown.value("TokenEndpointBuilder", &builder);
        let endpoint = builder.build().unwrap();
        shown.value("TokenEndpoint", &endpoint);
        shown.value("a token", &endpoint.fetch(context()).await.unwrap());
        for fault in
            [Fault::disconnect(), Fault::json(400, &echo), Fault::status(500).body(CLIENT_SECRET), Fault::html()]
        {
            setup.server.token_endpoint().always(fault);
            shown.refusal("a failure", endpoint.fetch(context()).await);
        }
        setup.server.token_endpoint().recover();
    }
    let exchange = TokenExchange::new(STATIC, TokenType::from(SERVER_TEXT)).requested_token_type(TokenType::ID_JAG);
    let issued = json!({ "access_token": STATIC, "token_type": "N_A", "issued_token_type": SERVER_TEXT });
    setup.server.token_endpoint().always(Fault::json(200, &issued));
    let endpoint = TokenEndpoint::builder(setup.server.token_url(), exchange).build().unwrap();
    shown.refusal("an issued token of another type", endpoint.fetch(context()).await);
}
