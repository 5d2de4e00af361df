//! One request to the API, and its response.

use std::{future::Future, io::Write, pin::Pin, time::Duration};

use bearer_token::TokenProvider;
use http::{Extensions, HeaderMap, HeaderValue};
use reqwest::{Client, Request, Response, Url, redirect};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::{ClientBuilder, Next};

use super::redaction::Redaction;

/// The number of bytes of a body that are shown.
const BODY_LIMIT: usize = 64 * 1024;

/// Sends a GET request. Returns whether the status is below 400.
pub(super) async fn send(
    provider: TokenProvider,
    url: Url,
    redaction: Redaction,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let bearer = BearerMiddleware::new(provider);
    let redirects = bearer.watch_redirects(redirect::Policy::none());
    let client = ClientBuilder::new(http_client(&url, redirects)?).with(bearer).with(remember).build();
    let request = client.get(url).build()?;
    let request_line = format!("{} {}", request.method(), request.url());
    let mut extensions = Extensions::new();
    let result = client.execute_with_extensions(request, &mut extensions).await;

    // Without a token nothing was recorded.
    let sent = extensions.remove::<Sent>();
    if let Some(Sent(headers)) = &sent {
        writeln!(out, "> {request_line}")?;
        for (name, value) in headers {
            writeln!(out, "> {name}: {}", redaction.authorization(value))?;
        }
        if headers.is_empty() {
            writeln!(out, "> (no token: the configuration does not allow this origin)")?;
        }
    }
    let secrets = sent.map(|Sent(headers)| secrets(&headers)).unwrap_or_default();

    let mut response = result?;
    writeln!(out, "\n< {:?} {}", response.version(), response.status())?;
    for (name, value) in response.headers() {
        writeln!(out, "< {name}: {}", redaction.text(&String::from_utf8_lossy(value.as_bytes()), &secrets))?;
    }
    // Longer by the length of a token, because one that is cut would not be recognised.
    let longest = secrets.first().map_or(0, String::len);
    let (body, result) = read(&mut response, BODY_LIMIT + longest).await;
    let text = redaction.text(&String::from_utf8_lossy(&body), &secrets);
    let shown = match text.char_indices().find(|(index, character)| index + character.len_utf8() > BODY_LIMIT) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => &text,
    };
    if !shown.is_empty() {
        writeln!(out, "\n{}", shown.trim_end_matches('\n'))?;
    }
    if shown.len() < text.len() {
        writeln!(out, "[The body is longer than 64 KiB; this is its beginning.]")?;
    }
    result?;
    Ok(response.status().as_u16() < 400)
}

fn http_client(url: &Url, redirects: redirect::Policy) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .user_agent("bearer-token-example")
        .redirect(redirects)
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(60));
    // A proxy would see a token in the clear. Plain http needs no CA certificates.
    let builder = if url.scheme() == "http" { builder.no_proxy().tls_certs_only([]) } else { builder };
    builder.build()
}

/// The headers that the provider added.
#[derive(Clone)]
struct Sent(HeaderMap);

/// What is secret in these headers: the token, and whatever else the configuration sends. The longest is first.
fn secrets(headers: &HeaderMap) -> Vec<String> {
    let credential = |value: &HeaderValue| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        value.split_once(' ').map_or(value.clone(), |(_scheme, credential)| credential.to_owned())
    };
    let mut secrets: Vec<String> = headers.values().map(credential).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// A middleware inside the one that sets the headers.
fn remember<'a>(
    request: Request,
    extensions: &'a mut Extensions,
    next: Next<'a>,
) -> Pin<Box<dyn Future<Output = reqwest_middleware::Result<Response>> + Send + 'a>> {
    extensions.insert(Sent(request.headers().clone()));
    Box::pin(next.run(request, extensions))
}

/// The body up to the limit, and the error if it ended early.
async fn read(response: &mut Response, limit: usize) -> (Vec<u8>, reqwest::Result<()>) {
    let mut body = Vec::new();
    while body.len() <= limit {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, Ok(())),
            Err(error) => return (body, Err(error)),
        }
    }
    (body, Ok(()))
}
