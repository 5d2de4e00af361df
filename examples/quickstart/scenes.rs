//! The scenes: events in the life of a provider in production.

use std::{io::Write, time::Duration};

use anyhow::{Context, bail};
use bearer_token::{ErrorKind, TokenProvider};
use bearer_token_testing::Fault;

use crate::{
    clients::{self, ApiClient, Outcome},
    seen::Seen,
    stage::Stage,
    transcript::Transcript,
};

const MINUTE: Duration = Duration::from_secs(60);

/// After this time a token with a lifetime of an hour is stale, but not expired.
const UNTIL_STALE: Duration = Duration::from_secs(50 * 60);

/// The number of requests; each client sends half of them.
const EACH: usize = 50;
const BOTH: usize = 2 * EACH;

/// Sends requests at once, and compares the observation with the claim.
pub(crate) async fn send(
    stage: &Stage,
    transcript: &mut Transcript<impl Write>,
    claim: &str,
    clients: &[ApiClient],
    each: usize,
    expected: Seen,
) -> anyhow::Result<Vec<Outcome>> {
    let watch = stage.watch();
    // Holds token requests until the last caller has asked for a token.
    let gate = stage.server.token_endpoint().hold();
    let crowd = stage.crowd(clients, each).await;
    gate.release();
    let outcomes = crowd.outcomes().await?;
    transcript.claim(claim, watch.see(&outcomes, expected).await, expected);
    Ok(outcomes)
}

/// A token is refreshed before it expires, and requests use the current one meanwhile.
pub(crate) async fn refresh(
    stage: &Stage,
    transcript: &mut Transcript<impl Write>,
    provider: &TokenProvider,
    clients: &[ApiClient],
) -> anyhow::Result<()> {
    transcript.scene("A refresh delays no request");
    let first = Seen::served(BOTH).token_requests(1).new_bearer();
    send(stage, transcript, "a token for one hour is fetched", clients, EACH, first).await?;

    stage.clock.advance(UNTIL_STALE);
    let watch = stage.watch();
    let gate = stage.server.token_endpoint().hold();
    // A request that waited for the refresh would never end, because the gate holds the refresh.
    let outcomes = stage.crowd(clients, EACH).await.outcomes().await?;
    let expected = Seen::served(BOTH).token_requests(1).hanging(1);
    transcript.claim("50 minutes later a refresh hangs", watch.see(&outcomes, expected).await, expected);

    // Joins the fetch in progress, then opens the gate.
    let (renewed, ()) = tokio::join!(biased; provider.refresh_now(), async { gate.release() });
    renewed.context("the refresh failed")?;
    let renewed = Seen::served(BOTH).new_bearer();
    send(stage, transcript, "it ends: a new token is in use", clients, EACH, renewed).await?;
    Ok(())
}

/// A token that the API refuses is replaced once for all refused requests.
pub(crate) async fn revoked(
    stage: &Stage,
    transcript: &mut Transcript<impl Write>,
    clients: &[ApiClient],
) -> anyhow::Result<()> {
    transcript.scene("A revoked token is replaced");
    for ((name, _), client) in clients::BOTH.iter().zip(clients) {
        stage.clock.advance(10 * MINUTE);
        stage.server.revoke_all();
        let watch = stage.watch();
        // Holds the API until all requests were sent with the revoked token.
        let gate = stage.server.api().hold();
        let crowd = stage.crowd(std::slice::from_ref(client), BOTH).await;
        watch.arrived(BOTH as u64).await;
        gate.release();
        let outcomes = crowd.outcomes().await?;
        let expected = Seen::rejected(BOTH).token_requests(1);
        transcript.claim(&format!("{name}: all are rejected"), watch.see(&outcomes, expected).await, expected);

        let recovered = Seen::served(BOTH).new_bearer();
        send(stage, transcript, &format!("{name}: the next, through both"), clients, EACH, recovered).await?;
    }
    Ok(())
}

/// During an outage of the authorization server, a valid token is used until it expires. Then there are clear errors,
/// and always few token requests. No restart is needed afterwards.
pub(crate) async fn outage(
    stage: &Stage,
    transcript: &mut Transcript<impl Write>,
    provider: &TokenProvider,
    clients: &[ApiClient],
) -> anyhow::Result<()> {
    transcript.scene("An outage is ridden out");
    stage.server.token_endpoint().always(Fault::status(503));
    stage.clock.advance(UNTIL_STALE);
    let watch = stage.watch();
    let mut outcomes = Vec::new();
    for _ in 0..108 {
        outcomes.extend(stage.crowd(clients, 5).await.outcomes().await?);
        stage.clock.advance(Duration::from_secs(5));
    }
    let expected = Seen::served(1_080);
    let seen = watch.see(&outcomes, expected.token_requests(1)).await;
    // The pauses double, from about one second to about one minute: at most 23 requests.
    let expected = expected.token_requests(seen.token_requests.clamp(1, 23));
    transcript.claim("9 minutes of 503, with a token", seen, expected);

    let Err(error) = provider.refresh_now().await else { bail!("there was a token in spite of the outage") };
    let stays = provider.cached().is_some();
    let observed = format!("{:?}; the token stays in service: {stays}", error.kind());
    transcript.fact("refresh_now() does not wait", observed, stays && error.kind() == ErrorKind::Unavailable);

    stage.clock.advance(10 * MINUTE);
    let none = Seen::not_sent(BOTH);
    let claim = "the token has expired: errors";
    let outcomes = send(stage, transcript, claim, clients, EACH, none.token_requests(1)).await?;
    if let Some(Outcome::NoToken(error)) = outcomes.first() {
        transcript.line(format_args!("      {error}"));
    }
    send(stage, transcript, "the cool-down: errors at once", clients, EACH, none).await?;

    stage.server.token_endpoint().recover();
    stage.clock.advance(MINUTE);
    let fixed = Seen::served(BOTH).token_requests(1).new_bearer();
    send(stage, transcript, "fixed, a minute later", clients, EACH, fixed).await?;
    Ok(())
}
