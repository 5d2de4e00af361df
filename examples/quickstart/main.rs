//! Three ways to a bearer token, two HTTP clients, and the failures of production.
//!
//! `cargo run --example quickstart` needs nothing: the authorization server, and the API that it protects, run inside
//! this process. Every printed number was observed, and the exit status is 0 only if every claim holds.
//!
//! Read `ways.rs` to build a provider, `clients.rs` to use it in a client, `scenes.rs` for its behaviour.

use std::io::{self, Write};

use anyhow::ensure;

use crate::{clients::ApiClient, seen::Seen, stage::Stage, transcript::Transcript};

mod clients;
mod crowd;
mod scenes;
mod seen;
mod stage;
mod transcript;
mod ways;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let missed = play(io::stdout()).await?;
    ensure!(missed.is_empty(), "not observed: {}", missed.join("; "));
    Ok(())
}

/// The claims that did not hold.
async fn play(out: impl Write) -> anyhow::Result<Vec<String>> {
    let stage = Stage::set()?;
    let mut transcript = Transcript::new(out);
    story(&stage, &mut transcript).await?;
    Ok(transcript.end())
}

async fn story(stage: &Stage, transcript: &mut Transcript<impl Write>) -> anyhow::Result<()> {
    let server = stage.server.issuer();
    transcript.line(format_args!("An authorization server and an API run inside this process, at {server}."));
    transcript.line("The clock that they and the providers go by stands still unless it is moved.");

    transcript.scene("1,000 requests at once, no token yet");
    for (way, provider, token_requests) in ways::ALL {
        for (name, client) in clients::BOTH {
            let client = client(provider(stage)?)?;
            let expected = Seen::served(1_000).token_requests(token_requests).new_bearer();
            scenes::send(stage, transcript, &format!("{way}, {name}"), &[client], 1_000, expected).await?;
        }
    }

    // From here on both clients share one provider and its token.
    let provider = ways::client_credentials(stage)?;
    let clients = [ApiClient::hyper(provider.clone())?, ApiClient::reqwest(provider.clone())?];
    scenes::refresh(stage, transcript, &provider, &clients).await?;
    scenes::revoked(stage, transcript, &clients).await?;
    scenes::outage(stage, transcript, &provider, &clients).await
}

#[cfg(test)]
#[tokio::test(flavor = "multi_thread")]
async fn everything_that_it_claims_is_observed() {
    let mut out = Vec::new();
    let missed = play(&mut out).await.unwrap();
    assert!(missed.is_empty(), "{}", String::from_utf8_lossy(&out));
}
