//! The life of a token in each caller: one for many requests, refresh, expiry, revocation, outage.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bearer_token::{Error, ErrorKind, TokenProvider};
use http::StatusCode;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    api::Mode,
    caller::{Caller, NAMES},
    profile::Expect,
    results::{PASSED, Table, UNSEEN},
    run::{Run, described},
};

const ONE: &str = "one token for 20 requests at once";
const REFRESH: &str = "refreshed while in use, without a failed request";
const EXPIRY: &str = "renewed after it expired";
const REVOKED: &str = "revoked: refused once, renewed, the request sent again";
const IN_SERVICE: &str = "server stopped: the token stays in service";
const OUTAGE: &str = "server stopped, token expired: a transport error";
const RECOVERY: &str = "server started again: recovered without a restart";

pub(crate) async fn all(run: &Run) -> Result<()> {
    let (tower, reqwest) = tokio::join!(life(run, NAMES[0]), life(run, NAMES[1]));
    tower?;
    reqwest?;
    for name in NAMES {
        // One after the other: the API's mode is for both.
        let outcome = revocation(run, name).await;
        run.note(table(name), REVOKED, outcome);
    }
    outage(run).await
}

fn table(name: &str) -> Table {
    if name == NAMES[0] { Table::Tower } else { Table::Reqwest }
}

fn new(run: &Run, name: &str) -> Result<(TokenProvider, Caller)> {
    let provider = run.provider(run.credentials(run.client()?.auth()?).build()?)?;
    let caller = Caller::new(name, provider.clone())?;
    Ok((provider, caller))
}

/// One call that must succeed.
async fn call(run: &Run, name: &str, caller: &Caller) -> Result<()> {
    match caller.get(&run.api.url(name)).await? {
        Ok((StatusCode::OK, _)) => Ok(()),
        Ok((status, about)) => bail!("the API responded with {status}: {about}"),
        Err(error) => Err(described(&error)),
    }
}

async fn life(run: &Run, name: &str) -> Result<()> {
    let (_provider, caller) = new(run, name)?;
    run.note(table(name), ONE, one_token(run, name, &caller).await);
    run.note(table(name), REFRESH, refresh(run, name, &caller).await);
    run.note(table(name), EXPIRY, expiry(run, name, &caller).await);
    Ok(())
}

async fn one_token(run: &Run, name: &str, caller: &Caller) -> Result<String> {
    let mut requests = JoinSet::new();
    for _ in 0..20 {
        let (caller, url) = (caller.clone(), run.api.url(name));
        requests.spawn(async move { caller.get(&url).await });
    }
    while let Some(called) = requests.join_next().await {
        let (status, about) = called??.map_err(|error| described(&error))?;
        ensure!(status == StatusCode::OK, "the API responded with {status}: {about}");
    }
    let seen = run.api.take(name);
    run.markers.extend(seen.tokens.clone());
    ensure!((seen.accepted, seen.refused) == (20, 0), "the API saw {} and refused {}", seen.accepted, seen.refused);
    ensure!(seen.tokens.len() == 1, "the API saw {} tokens", seen.tokens.len());
    Ok(PASSED.to_owned())
}

/// Calls for two lifetimes.
async fn refresh(run: &Run, name: &str, caller: &Caller) -> Result<String> {
    let end = Instant::now() + 2 * Duration::from_secs(run.profile.lifetime);
    while Instant::now() < end {
        call(run, name, caller).await?;
        sleep(Duration::from_millis(100)).await;
    }
    let seen = run.api.take(name);
    run.markers.extend(seen.tokens.clone());
    ensure!(seen.refused == 0, "the API refused {} requests", seen.refused);
    // A refresh happens in the second half of a lifetime.
    ensure!((2..=5).contains(&seen.tokens.len()), "the API saw {} tokens", seen.tokens.len());
    Ok(PASSED.to_owned())
}

async fn expiry(run: &Run, name: &str, caller: &Caller) -> Result<String> {
    call(run, name, caller).await?;
    let before = run.api.take(name);
    sleep(Duration::from_secs(run.profile.lifetime + 1)).await;
    call(run, name, caller).await?;
    let after = run.api.take(name);
    run.markers.extend(after.tokens.clone());
    ensure!(after.refused == 0, "the API refused an expired token");
    ensure!(before.tokens.is_disjoint(&after.tokens), "the API saw an old token");
    Ok(PASSED.to_owned())
}

async fn revocation(run: &Run, name: &str) -> Result<String> {
    if let Expect::Absent(why) = run.profile.expect(REVOKED, Expect::Token) {
        return Ok(format!("not offered: {why}"));
    }
    ensure!(run.api.has_introspection(), "the server has no introspection");
    let (provider, caller) = new(run, name)?;
    run.api.set_mode(Mode::Introspection);
    let outcome = async {
        call(run, name, &caller).await?;
        let token = provider.cached();
        let Some(token) = token else { bail!("there is no token in service") };
        run.api.take(name);
        run.revoke(run.client()?, token.secret()).await?;
        call(run, name, &caller).await?;
        let seen = run.api.take(name);
        run.markers.extend(seen.tokens.clone());
        ensure!(
            (seen.refused, seen.accepted) == (1, 1),
            "the API refused {} and accepted {}",
            seen.refused,
            seen.accepted
        );
        ensure!(!seen.tokens.contains(token.secret()), "the API accepted the revoked token");
        Ok(PASSED.to_owned())
    };
    let outcome = outcome.await;
    run.api.set_mode(Mode::Either);
    outcome
}

/// Both callers during one outage.
async fn outage(run: &Run) -> Result<()> {
    run.api.set_mode(Mode::Remembered);
    let mut callers = Vec::new();
    for name in NAMES {
        let (_provider, caller) = new(run, name)?;
        call(run, name, &caller).await?;
        callers.push((name, caller));
    }
    let expires = Instant::now() + Duration::from_secs(run.profile.lifetime);
    run.process.lock().await.stop().await?;
    for (name, caller) in &callers {
        let outcome = match Instant::now() < expires {
            true => call(run, name, caller).await.map(|()| PASSED.to_owned()),
            false => Ok(format!("{UNSEEN}: the server took longer to stop than its tokens live")),
        };
        run.note(table(name), IN_SERVICE, outcome);
    }
    sleep(expires - Instant::now() + Duration::from_secs(1)).await;
    for (name, caller) in &callers {
        let outcome = match caller.get(&run.api.url(name)).await? {
            Ok((status, about)) => Err(anyhow::anyhow!("the API responded with {status}: {about}")),
            Err(error) => down(run, &error).map(|()| PASSED.to_owned()),
        };
        run.note(table(name), OUTAGE, outcome);
    }
    run.process.lock().await.start().await?;
    // The longest cool-down after some failures, and a start that takes a while.
    let limit = Instant::now() + Duration::from_secs(70);
    for (name, caller) in &callers {
        let outcome = loop {
            let called = caller.get(&run.api.url(name)).await?;
            match called {
                Ok((StatusCode::OK, _)) => break Ok(PASSED.to_owned()),
                Err(error) if Instant::now() > limit => break Err(described(&error)),
                Err(error) if !error.is_transient() => break Err(described(&error)),
                Ok((status, about)) if Instant::now() > limit => {
                    break Err(anyhow::anyhow!("the API responded with {status}: {about}"));
                }
                _ => sleep(Duration::from_millis(200)).await,
            }
        };
        run.note(table(name), RECOVERY, outcome);
    }
    run.api.set_mode(Mode::Either);
    Ok(())
}

/// The error while the server is down.
fn down(run: &Run, error: &Error) -> Result<()> {
    ensure!(error.kind() == ErrorKind::Transport, "the kind is {:?}: {error}", error.kind());
    ensure!(error.is_transient(), "the error is not transient: {error}");
    ensure!(error.to_string().contains(&run.origin), "the message does not name the server: {error}");
    run.markers.check(error)?;
    run.show("server stopped", error);
    Ok(())
}
