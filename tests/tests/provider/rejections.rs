//! Rejections reported by the API.

use bearer_token::{FetchReason, Rejection};
use bearer_token_testing::Outcome;

use super::*;

#[tokio::test]
async fn l28_a_hundred_late_rejections_cause_one_fetch() {
    let bench = Bench::serving().await;
    let tickets: Vec<Ticket> = (0..200).map(|_| bench.request().unwrap().1).collect();
    let gate = bench.source.hold();
    for ticket in &tickets[..100] {
        assert_eq!(ticket.reject(&HeaderMap::new()), Rejection::Renewing);
    }
    assert_eq!(bench.sent(), None, "new requests wait for the new one");
    let caller = bench.waiting();
    gate.release();
    assert_eq!(secret(caller.await), Ok("token-2".into()));
    // Even later rejections leave the new bearer alone.
    for ticket in &tickets[100..] {
        assert_eq!(ticket.reject(&HeaderMap::new()), Rejection::Superseded);
        assert_eq!(bench.provider.reject(*ticket, &HeaderMap::new()), Rejection::Superseded);
    }
    settle().await;
    assert_eq!(bench.sent().as_deref(), Some("token-2"));
    assert_eq!(bench.source.reasons(), [FetchReason::Missing, FetchReason::Rejected]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l28_rejections_from_many_threads_cause_one_fetch() {
    let bench = Bench::serving().await;
    let (_, ticket) = bench.request().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let provider = bench.provider.clone();
        tasks.spawn(async move {
            assert!(ticket.reject(&HeaderMap::new()).is_replay_useful());
            // The replay never carries the rejected bearer.
            assert_eq!(secret(provider.token().await), Ok("token-2".into()));
        });
    }
    assert_eq!(tasks.join_all().await.len(), 1_000);
    assert_eq!(bench.started(), 2);
}

#[tokio::test]
async fn l29_a_token_rejected_twice_stays_in_service() {
    let bench = Bench::serving().await;
    assert_eq!(bench.request().unwrap().1.reject(&HeaderMap::new()), Rejection::Renewing);
    assert_eq!(secret(bench.provider.token().await), Ok("token-2".into()));
    for _ in 0..4 {
        let (token, ticket) = bench.request().unwrap();
        assert_eq!(token, "token-2");
        let rejection = ticket.reject(&HeaderMap::new());
        assert!(rejection == Rejection::Declined && !rejection.is_replay_useful());
        bench.clock.advance(SECOND);
    }
    assert_eq!(bench.started(), 2);
    bench.clock.advance(SECOND);
    assert_eq!(bench.request().unwrap().1.reject(&HeaderMap::new()), Rejection::Renewing, "five seconds are over");
}

/// Rejects every token once a second for this long. Returns the number of fetches.
async fn rejected(bench: &Bench, time: Duration) -> u64 {
    let before = bench.started();
    for _ in 0..time.as_secs() {
        // No caller gets an error, because there is a token.
        let bearer = bench.provider.token().await.unwrap();
        bearer.ticket().reject(&HeaderMap::new());
        settle().await;
        bench.clock.advance(SECOND);
    }
    bench.started() - before
}

// shows: 9110/15.5.2
#[tokio::test]
async fn l29_an_api_rejecting_everything_causes_no_storm() {
    let bench = Bench::serving().await;
    // At 0, 5, 15, 35, 75, 155, 315 s, and every five minutes from 615 s on.
    assert_eq!(rejected(&bench, 600 * SECOND).await, 7);
    assert_eq!(rejected(&bench, 900 * SECOND).await, 3);
}

#[tokio::test]
async fn l29_a_rejected_token_minted_again_causes_no_storm() {
    let bench = Bench::new();
    bench.source.otherwise(Outcome::token("static").never_expires());
    bench.provider.token().await.unwrap();
    bench.clock.advance(HOUR);
    assert_eq!(rejected(&bench, 600 * SECOND).await, 7);
    assert_eq!(bench.sent().as_deref(), Some("static"));
}

#[tokio::test]
async fn l29_rejections_during_an_outage_leave_the_suspect_in_service() {
    let bench = Bench::serving().await;
    bench.source.otherwise(Outcome::error(Error::new(ErrorKind::Unavailable, "the server rests")));
    for _ in 0..600 {
        // Each request gets a token, whether it waits for the renewal or not.
        assert_eq!(secret(bench.provider.token().await), Ok("token-1".into()));
        let (token, ticket) = bench.request().unwrap();
        assert_eq!(token, "token-1");
        ticket.reject(&HeaderMap::new());
        assert_eq!(secret(bench.provider.token().await), Ok("token-1".into()));
        bench.clock.advance(SECOND);
    }
    assert!(bench.started() <= 12, "{}", bench.started());
    // Afterwards the next rejection renews the token.
    bench.source.otherwise(Outcome::numbered());
    bench.clock.advance(5 * MINUTE);
    assert_eq!(bench.request().unwrap().1.reject(&HeaderMap::new()), Rejection::Renewing);
    assert_ne!(secret(bench.provider.token().await), Ok("token-1".into()));
}

#[tokio::test]
async fn l29_beside_a_hung_server_requests_are_mostly_served() {
    let bench = Bench::serving().await;
    bench.source.otherwise(Outcome::hang());
    let mut waited = 0;
    for _ in 0..600 {
        match bench.request() {
            Some((_, ticket)) => drop(ticket.reject(&HeaderMap::new())),
            None => waited += 1,
        }
        settle().await;
        bench.clock.advance(SECOND);
        settle().await;
    }
    assert!(waited <= 80, "{waited} of 600 requests had to wait");
}

#[tokio::test]
async fn a_rejection_during_a_background_refresh_joins_it() {
    let bench = Bench::serving().await;
    bench.clock.advance(STALE);
    let gate = bench.source.hold();
    let (_, ticket) = bench.request().unwrap();
    bench.source.wait_for_fetches(2).await;
    assert_eq!(ticket.reject(&HeaderMap::new()), Rejection::Renewing);
    let caller = bench.waiting();
    gate.release();
    assert_eq!(secret(caller.await), Ok("token-2".into()));
    assert_eq!(bench.started(), 2);
}

#[tokio::test]
async fn tickets_of_another_provider_change_nothing_there() {
    let (mine, other) = (Bench::serving().await, Bench::serving().await);
    let (_, ticket) = other.request().unwrap();
    assert_eq!(mine.provider.reject(ticket, &HeaderMap::new()), Rejection::Declined);
    assert!(mine.sent().is_some() && other.sent().is_some());
    // It recovers without help.
    assert_eq!(ticket.reject(&HeaderMap::new()), Rejection::Renewing);
    assert!(mine.sent().is_some() && other.sent().is_none());
}

#[tokio::test]
async fn a_ticket_outlives_its_provider() {
    let bench = Bench::serving().await;
    let (_, ticket) = bench.request().unwrap();
    let clone = bench.provider.clone();
    drop(bench.provider);
    assert_eq!(ticket.reject(&HeaderMap::new()), Rejection::Renewing, "a clone is left");
    drop(clone);
    settle().await;
    assert_eq!(ticket.reject(&HeaderMap::new()), Rejection::Declined);
}

#[test]
fn the_next_caller_handles_a_rejection_outside_a_runtime() {
    let bench = Bench::new();
    let first = block_on(bench.provider.token()).unwrap();
    assert_eq!(first.ticket().reject(&HeaderMap::new()), Rejection::Renewing);
    assert_eq!(bench.sent(), None);
    assert_eq!(secret(block_on(bench.provider.token())), Ok("token-2".into()));
    assert_eq!(bench.source.reasons(), [FetchReason::Missing, FetchReason::Rejected]);
}
