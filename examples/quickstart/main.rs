//! Three ways to a bearer token, through two HTTP clients, on good days and bad ones.
//!
//! `cargo run --example quickstart` needs nothing: the authorization server, and the API that it protects, run inside
//! this process. Every number that is printed was observed, and the exit status is 0 only if all were as claimed.
//!
//! Read `ways.rs` for how a provider is made, `clients.rs` for how a client gets one, `scenes.rs` for what happens then.

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

/// What was claimed and not observed.
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

    // From here on both clients share one provider, and with it one token.
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
