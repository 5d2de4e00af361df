//! Servers that cannot be reached, each for another reason.

use bearer_token::{
    TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};

use crate::{
    events::events,
    row::{Row, Told},
    world::run,
};

/// What is told about the first token from this URL.
fn url(url: &str) -> Told {
    let (error, events) = events(|| {
        let auth = ClientAuth::basic("reports", "planted-secret");
        let source = TokenEndpoint::builder(url, ClientCredentials::new()).client_auth(auth).build().unwrap();
        let provider = TokenProvider::builder(source).allow_origin("https://api.example.com").build().unwrap();
        run(async { provider.token().await.unwrap_err() })
    });
    Told::error(&error).with_event(&events)
}

pub(crate) fn rows() -> Vec<Row> {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plain = bearer_token_testing::AuthorizationServer::start().unwrap();
    let plain_port = plain.address().port();
    vec![
        Row::new(
            "22",
            "a port where nothing listens",
            url(&format!("http://127.0.0.1:{free}/token")),
            ["http://127.0.0.1", "refused"],
            [],
            ["port"],
        ),
        Row::new(
            "23",
            "a host that does not exist",
            url("https://as.invalid/token"),
            ["https://as.invalid", "resolved"],
            [],
            ["DNS"],
        ),
        Row::new(
            "26",
            "https on a port of http",
            url(&format!("https://127.0.0.1:{plain_port}/token")),
            ["TLS"],
            ["https"],
            ["http://"],
        ),
    ]
}
