//! Requests that get no token, or may not get one.

use std::sync::Arc;

use bearer_token::{StaticToken, TokenProvider, TokenProviderBuilder};
use http::Request;

use crate::{
    events::events,
    row::{PROVIDER, Row, Told},
    world::run,
};

/// What is told about one request, with a provider that has a token.
fn request(builder: impl FnOnce(TokenProviderBuilder) -> TokenProviderBuilder, url: &str) -> Told {
    let (result, events) = events(|| {
        let provider =
            Arc::new(builder(TokenProvider::builder(StaticToken::new("planted-token")).name(PROVIDER)).build()?);
        run(async { provider.token().await })?;
        let mut request = Request::get(url).body(()).unwrap();
        provider.authorize(&mut request)
    });
    Told::result(result).with_event(&events)
}

pub(crate) fn rows() -> Vec<Row> {
    let ours = |builder: TokenProviderBuilder| builder.allow_origin("https://api.example.com");
    vec![
        Row::new(
            "40",
            "no allowed origin",
            request(|builder| builder, "https://api.example.com/"),
            ["no origin is allowed"],
            ["https://api.example.com"],
            ["allow_origin", "INFO", ".allow_origin(..)"],
        ),
        Row::new(
            "42",
            "an origin that is not the API's",
            request(ours, "https://api.exmaple.com/orders"),
            ["https://api.exmaple.com", "WARN"],
            ["without a token"],
            ["allow_origin"],
        ),
        Row::new(
            "45",
            "the API in the clear",
            request(ours, "http://api.example.com/"),
            ["http://api.example.com"],
            ["allowed origins"],
            ["allow_plaintext_origin"],
        ),
        Row::new(
            "own: refused",
            "another origin, and others are refused",
            request(|builder| ours(builder).refuse_other_origins(), "https://files.example.net/"),
            ["https://files.example.net"],
            ["among the allowed origins"],
            ["allow_origin"],
        ),
        Row::new(
            "8",
            "a token that cannot be in a header",
            Told::result(run(async {
                TokenProvider::builder(StaticToken::new("planted token")).name(PROVIDER).build()?.token().await
            })),
            ["a space", "byte 8 of 13"],
            ["RFC 6750"],
            ["check what the source reads as the token"],
        ),
    ]
}
