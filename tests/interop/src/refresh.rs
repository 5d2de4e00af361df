//! Refresh tokens: rotation, and the detection of reuse.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bearer_token::{TokenProvider, oauth::RefreshToken, store::MemoryStore};

use crate::{
    profile::Expect,
    results::{PASSED, Table},
    run::{Run, described},
};

const ROTATION: &str = "refresh token, rotated";
const REUSE: &str = "refresh token: used again after its rotation";
const FAMILY: &str = "refresh token: its successor, after the reuse";
const UNKNOWN: &str = "refresh token: unknown";

pub(crate) async fn all(run: &Run) -> Result<()> {
    let Some(consent) = run.profile.consent else {
        for (table, case) in [(Table::Flows, ROTATION), (Table::Failures, REUSE), (Table::Failures, FAMILY)] {
            run.note(table, case, Ok("not offered".to_owned()));
        }
        return Ok(());
    };
    let unknown = provider(run, MemoryStore::new("unknown-refresh-token"))?;
    run.mistake(UNKNOWN, "invalid_grant", &["refresh token"], Ok(unknown)).await;

    let first = consent(run).await.context("nobody consented")?;
    run.markers.extend([first.clone()]);
    let store = MemoryStore::new(&first);
    let rotated = rotation(run, &store, &first).await;
    let worked = rotated.is_ok();
    run.note(Table::Flows, ROTATION, rotated);
    if worked && run.profile.expect(ROTATION, Expect::Token) == Expect::Token {
        // The first one again: the server takes it for stolen.
        run.mistake(REUSE, "invalid_grant", &["consent"], provider(run, MemoryStore::new(&first))).await;
        let latest = store.get().context("the store has a refresh token")?;
        run.mistake(FAMILY, "invalid_grant", &["consent"], provider(run, MemoryStore::new(latest.secret()))).await;
    }
    Ok(())
}

fn provider(run: &Run, store: MemoryStore) -> Result<TokenProvider> {
    let auth = run.clients.get("refresh")?.auth()?;
    run.provider(run.endpoint(RefreshToken::new(store)).client_auth(auth).build()?)
}

/// Two refreshes: each time the API accepts the token, and the store has a new refresh token.
async fn rotation(run: &Run, store: &MemoryStore, first: &str) -> Result<String> {
    let provider = provider(run, store.clone())?;
    let mut previous = first.to_owned();
    let mut about = serde_json::Value::Null;
    for _ in 0..2 {
        provider.refresh_now().await.map_err(|error| described(&error))?;
        about = run.call_both(&provider).await?.map_err(|error| described(&error))?;
        let latest = store.get().context("the store has a refresh token")?.secret().to_owned();
        run.markers.extend([latest.clone()]);
        ensure!(latest != previous, "the server did not rotate the refresh token");
        previous = latest;
        // Keycloak notices the reuse of a refresh token by times in whole seconds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    Ok(format!("{PASSED}, by {}", about["verified"].as_str().unwrap_or_default()))
}
