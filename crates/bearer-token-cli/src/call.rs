//! One request to the API, and its response.

use std::{io::Write, time::Duration};

use bearer_token::{TokenProvider, platform::Platform};
use bearer_token_config::Transcript;
use http::{HeaderMap, StatusCode};
use reqwest::{Client, Response, Url, redirect::Policy};

use crate::{
    arguments::Access,
    failure::Exit,
    print::authorized,
    redaction::{Redaction, secrets},
};

/// The number of bytes of a body that are shown.
const BODY_LIMIT: usize = 64 * 1024;

/// The response of the API.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Whether the request had a token.
    pub(crate) had_token: bool,
    is_empty: bool,
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        self.status.as_u16() < 400
    }

    /// What to change, unless all is well.
    pub(crate) fn advice(&self, transcript: &Transcript<'_>) -> Option<&'static str> {
        transcript.advice_on_response(self.status, &self.headers, self.is_empty)
    }
}

pub(crate) async fn run(access: &Access, url: Url, out: &mut impl Write) -> anyhow::Result<Exit> {
    let reply = send(access.source.provider()?, url, Redaction { shows: access.show_token }, out).await?;
    let transcript = Transcript::new(&[], Platform::system().now().wall());
    // A body says itself what is wrong.
    if let Some(advice) = reply.advice(&transcript).filter(|_| reply.had_token && reply.is_empty) {
        writeln!(out, "\nnote: {advice}")?;
    }
    Ok(Exit::success_if(reply.is_success()))
}

/// Sends a GET request, and shows it with its response.
pub(crate) async fn send(
    provider: TokenProvider,
    url: Url,
    redaction: Redaction,
    out: &mut impl Write,
) -> anyhow::Result<Reply> {
    let headers = authorized(&provider, &url).await?;
    writeln!(out, "> GET {url}")?;
    for (name, value) in &headers {
        writeln!(out, "> {name}: {}", redaction.authorization(value))?;
    }
    if headers.is_empty() {
        writeln!(out, "> (no token: the configuration does not allow this origin)")?;
    }
    let (had_token, secrets) = (!headers.is_empty(), secrets(&headers));
    let mut response = http_client(&url)?.get(url).headers(headers).send().await?;
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
    Ok(Reply { status: response.status(), headers: response.headers().clone(), had_token, is_empty: body.is_empty() })
}

fn http_client(url: &Url) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .user_agent(concat!("bearer-token-cli/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(60));
    // A proxy would see a token in the clear. Plain http needs no CA certificates.
    let builder = if url.scheme() == "http" { builder.no_proxy().tls_certs_only([]) } else { builder };
    builder.build()
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
