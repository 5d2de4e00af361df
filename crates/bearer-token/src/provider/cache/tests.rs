//! The transitions, one at a time, with moments made by hand.

use super::{test_support::*, *};
use crate::{
    error::{ErrorKind, Retry},
    provider::backoff::Backoff,
};

mod challenges;
mod rejections;
mod rows;

const MINUTE: u64 = 60;
/// An hour's bearer is stale from here on.
const STALE: u64 = 48 * MINUTE;

fn outage() -> Error {
    Error::new(ErrorKind::Unavailable, "the authorization server rests")
}

fn waits(entry: &Decision, for_flight: &Arc<TokenFlight>) -> bool {
    matches!(entry, Decision::Wait(flight) if Arc::ptr_eq(flight, for_flight))
}

impl Cache {
    fn fail(&self, flight: &Arc<TokenFlight>, error: Error, seconds: u64) {
        self.complete(flight, Err(error), at(seconds), Draw::MAX);
    }

    fn bring(&self, flight: &Arc<TokenFlight>, bearer: &Bearer, seconds: u64) {
        self.complete(flight, Ok(bearer.clone()), at(seconds), Draw::MAX);
    }

    /// The result for a caller that wants a token and may not have to wait.
    fn ask(&self, seconds: u64) -> Result<Generation, ErrorKind> {
        match self.decide(Want::Token, at(seconds)) {
            Decision::Serve(bearer) => Ok(bearer.generation()),
            Decision::Refuse(error) => Err(error.kind()),
            other => panic!("{other:?}"),
        }
    }

    fn refused(&self, bearer: &Bearer, seconds: u64) -> Rejection {
        self.reject(bearer.generation(), at(seconds), silence).0
    }

    /// Rejects a bearer that has to be renewed for it.
    fn renew(&self, bearer: &Bearer, seconds: u64) -> StartFetch {
        let (rejection, start) = self.reject(bearer.generation(), at(seconds), silence);
        assert_eq!(rejection, Rejection::Renewing);
        start.expect("a flight")
    }

    /// The result of this flight for one of its waiters.
    fn heard(&self, want: Want, flight: &Arc<TokenFlight>, seconds: u64) -> Option<Result<Generation, ErrorKind>> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(Outcome::Done(fetched)) = flight.subscribe().poll(&mut cx) else {
            panic!("not ended");
        };
        let settled = self.settle(want, fetched, at(seconds))?;
        Some(settled.map(|bearer| bearer.generation()).map_err(|error| error.kind()))
    }
}

#[test]
fn l01_one_of_many_begins_and_the_others_wait() {
    let cache = cache();
    let flight = cache.begin(Want::Token, 0).flight;
    for want in [Want::Token, Want::Renewal].repeat(50) {
        assert!(waits(&cache.decide(want, at(3)), &flight));
    }
    assert!(matches!(cache.decide(Want::Refresh, at(3)), Decision::Nothing));
    let first = bearer("first", 0, HOUR);
    cache.bring(&flight, &first, 4);
    assert_eq!(cache.ask(4), Ok(first.generation()));
    assert_eq!(cache.heard(Want::Token, &flight, 4), Some(Ok(first.generation())));
}

#[test]
fn reason_and_timeout_of_a_fetch_follow_the_want() {
    let cache = cache();
    let found = |start: StartFetch| (start.reason, start.timeout.as_secs());
    assert_eq!(found(cache.begin(Want::Token, 0)), (FetchReason::Missing, 10));
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    assert_eq!(found(cache.begin(Want::Refresh, STALE)), (FetchReason::Stale, 10));
    let cache = Cache::serving(&first);
    assert_eq!(found(cache.begin(Want::Refresh, HOUR - 10 - 12)), (FetchReason::Stale, 6));
    let cache = Cache::serving(&first);
    assert_eq!(found(cache.begin(Want::Renewal, 1)), (FetchReason::Requested, 10));
    let cache = Cache::serving(&first);
    assert_eq!(found(cache.renew(&first, 1)), (FetchReason::Rejected, 10));
}

#[test]
fn l02_all_callers_share_a_failure_during_the_cool_down() {
    let cache = cache();
    let flight = cache.begin(Want::Token, 0).flight;
    cache.fail(&flight, outage(), 5);
    for _ in 0..200 {
        assert_eq!(cache.heard(Want::Token, &flight, 5), Some(Err(ErrorKind::Unavailable)));
        assert_eq!(cache.ask(5), Err(ErrorKind::Unavailable));
    }
    // One second, then two: each begins with one flight.
    let flight = cache.begin(Want::Token, 6).flight;
    cache.fail(&flight, outage(), 6);
    assert_eq!(cache.ask(7), Err(ErrorKind::Unavailable));
    let flight = cache.begin(Want::Token, 8).flight;
    cache.bring(&flight, &bearer("first", 8, HOUR), 8);
    assert!(cache.failure().is_none(), "a success is the end of it");
}

#[test]
fn l05_refresh_now_ignores_and_never_shortens_the_cool_down() {
    let cache = cache();
    let flight = cache.begin(Want::Token, 0).flight;
    let patience = outage().with_retry(Retry::Later { after: Some(Duration::from_secs(100)) });
    cache.fail(&flight, patience, 0);
    let flight = cache.begin(Want::Renewal, 10).flight;
    assert!(waits(&cache.decide(Want::Token, at(10)), &flight), "others profit from it");
    cache.fail(&flight, Error::new(ErrorKind::Transport, ""), 10);
    assert_eq!(cache.heard(Want::Renewal, &flight, 10), Some(Err(ErrorKind::Transport)));
    assert_eq!(cache.ask(99), Err(ErrorKind::Transport));
    cache.begin(Want::Token, 100);
}

#[test]
fn l24_a_forgiven_failure_ends_only_its_own_cool_down() {
    let cache = cache();
    let refused = || Error::new(ErrorKind::Refused, "");
    let (old, new) = (refused(), refused());
    let flight = cache.begin(Want::Token, 0).flight;
    cache.fail(&flight, old.clone(), 0);
    assert_eq!(cache.ask(1), Err(ErrorKind::Refused));
    cache.forgive(&old, at(1));
    let flight = cache.begin(Want::Token, 1).flight;
    // Twice five seconds: it is the second failure in a row.
    cache.fail(&flight, new.clone(), 1);
    // A caller that still holds the old one is late.
    cache.forgive(&old, at(2));
    assert_eq!(cache.ask(10), Err(ErrorKind::Refused));
    cache.forgive(&new, at(10));
    cache.begin(Want::Token, 10);
}

#[test]
fn l06_a_failed_refresh_is_retried_after_the_cool_down() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    let flight = cache.begin(Want::Refresh, STALE).flight;
    cache.fail(&flight, Error::new(ErrorKind::Refused, ""), STALE);
    assert_eq!(cache.ask(STALE), Ok(first.generation()));
    assert!(!cache.wants_refresh(at(STALE + 4)));
    assert!(matches!(cache.decide(Want::Refresh, at(STALE + 4)), Decision::Nothing));
    assert!(cache.wants_refresh(at(STALE + 5)));
    cache.begin(Want::Refresh, STALE + 5);
}

#[test]
fn l06_the_cool_down_ends_with_the_bearer_in_service() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    let end = HOUR - 10;
    // The failures of an outage, one after the other, until the next wait would be longer than the bearer serves.
    let mut now = end - 130;
    for wait in [1, 2, 4, 8, 16, 32, 60] {
        let flight = cache.begin(Want::Refresh, now).flight;
        cache.fail(&flight, outage(), now);
        now += wait;
    }
    let flight = cache.begin(Want::Refresh, now).flight;
    assert!(end - now < 60);
    cache.fail(&flight, outage(), now);
    assert_eq!(cache.ask(end - 1), Ok(first.generation()));
    // The outage may be over: the first request without a bearer tries again, and does not fail.
    let flight = cache.begin(Want::Token, end).flight;
    cache.fail(&flight, outage(), end);
    assert_eq!(cache.ask(end + 59), Err(ErrorKind::Unavailable), "without a bearer the whole wait counts");
    cache.begin(Want::Token, end + 60);
}

#[test]
fn the_gate_opens_exactly_when_a_refresh_may_start() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    assert!(cache.wants_refresh(at(STALE)));
    let flight = cache.begin(Want::Refresh, STALE).flight;
    assert!(!cache.wants_refresh(at(STALE + 10)), "one is in progress");
    assert!(cache.wants_refresh(at(STALE + 11)), "it is overdue");
    cache.abandon(&flight, at(STALE + 11));
    assert!(!cache.wants_refresh(at(STALE + 11)), "where drivers are dropped there is no hurry");
    assert!(cache.wants_refresh(at(STALE + 12)));
    let flight = cache.begin(Want::Refresh, STALE + 12).flight;
    cache.bring(&flight, &bearer("second", STALE + 12, HOUR), STALE + 12);
    assert!(cache.wants_refresh(at(STALE + 12)), "nothing speaks against it");
}

#[test]
fn l01_a_late_reader_of_a_stale_bearer_begins_nothing() {
    let first = bearer("first", 0, HOUR);
    // Renewed, rejected, expired meanwhile.
    let cache = Cache::serving(&first);
    cache.fetch(Want::Refresh, &bearer("second", STALE, HOUR), STALE);
    assert!(matches!(cache.decide(Want::Refresh, at(STALE)), Decision::Nothing));
    let cache = Cache::serving(&first);
    let flight = cache.renew(&first, STALE).flight;
    cache.abandon(&flight, at(STALE));
    assert!(matches!(cache.decide(Want::Refresh, at(STALE + 2)), Decision::Nothing));
    let cache = Cache::serving(&first);
    assert!(matches!(cache.decide(Want::Refresh, at(HOUR)), Decision::Nothing));
}

#[test]
fn the_late_outcome_of_a_replaced_flight_changes_nothing() {
    let cache = cache();
    let stuck = cache.begin(Want::Token, 0).flight;
    assert!(waits(&cache.decide(Want::Token, at(10)), &stuck));
    let next = cache.begin(Want::Token, 11).flight;
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let abandoned = stuck.subscribe().poll(&mut cx);
    assert!(matches!(abandoned, std::task::Poll::Ready(Outcome::Abandoned)), "its waiter is told");

    cache.bring(&stuck, &bearer("late", 0, HOUR), 12);
    assert_eq!(cache.in_service(12), None);
    cache.abandon(&stuck, at(12));
    assert!(waits(&cache.decide(Want::Token, at(12)), &next));
    let first = bearer("first", 11, HOUR);
    cache.bring(&next, &first, 13);
    cache.fail(&stuck, outage(), 14);
    assert_eq!(cache.ask(14), Ok(first.generation()));
    assert!(cache.failure().is_none());
}

#[test]
fn an_abandoned_flight_is_not_a_failure() {
    let cache = cache();
    let flight = cache.begin(Want::Token, 0).flight;
    cache.abandon(&flight, at(1));
    cache.begin(Want::Token, 1);
    assert!(cache.failure().is_none());
}

#[test]
fn l13_a_step_of_the_wall_clock_changes_no_flight() {
    let ahead = |seconds| Moment::new(at(seconds).monotonic(), at(seconds + 2 * HOUR).wall());
    let cache = cache();
    let flight = cache.begin(Want::Token, 0).flight;
    assert!(waits(&cache.decide(Want::Token, ahead(5)), &flight));
    cache.fail(&flight, outage(), 5);
    assert!(matches!(cache.decide(Want::Token, ahead(5)), Decision::Refuse(_)));
}

#[test]
fn l08_the_same_token_again_is_extended_kept_or_refused() {
    let first = bearer("first", 0, HOUR);
    // Later: the deadlines move, the generation stays, so a rejection of it still finds it.
    let cache = Cache::serving(&first);
    cache.fetch(Want::Refresh, &bearer("first", STALE, HOUR), STALE);
    assert_eq!(cache.ask(STALE + HOUR - 11), Ok(first.generation()));
    assert_eq!(cache.refused(&first, STALE + 1), Rejection::Renewing);

    // Not later, and good: nothing moves, and there is a pause before the next look, longer each time.
    let cache = Cache::serving(&first);
    let mut seconds = STALE;
    for pause in [1, 2, 4, 8] {
        cache.fetch(Want::Refresh, &first, seconds);
        assert!(!cache.wants_refresh(at(seconds + pause - 1)));
        assert!(matches!(cache.decide(Want::Refresh, at(seconds + pause - 1)), Decision::Nothing));
        assert!(cache.failure().is_none());
        seconds += pause;
    }
    cache.fetch(Want::Refresh, &bearer("second", seconds, HOUR), seconds);
    assert!(cache.wants_refresh(at(seconds)), "something new ends it");

    // Expired: an error with a cool-down, not a loop.
    let cache = Cache::serving(&first);
    let flight = cache.begin(Want::Token, HOUR).flight;
    cache.bring(&flight, &first, HOUR);
    assert_eq!(cache.heard(Want::Token, &flight, HOUR), Some(Err(ErrorKind::Source)));
    assert_eq!(cache.ask(HOUR), Err(ErrorKind::Source));
}

#[test]
fn l08_a_rejected_token_returned_after_expiry_is_an_error() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    let flight = cache.renew(&first, HOUR - 11).flight;
    cache.bring(&flight, &first, HOUR);
    assert_eq!(cache.ask(HOUR), Err(ErrorKind::Source));
    let flight = cache.begin(Want::Token, HOUR + 1).flight;
    cache.bring(&flight, &first, HOUR + 1);
    assert_eq!(cache.ask(HOUR + 1), Err(ErrorKind::Source));
}

#[test]
fn l08_tokens_that_arrive_stale_are_fetched_with_pauses() {
    let cache = cache();
    for seconds in [0, 1, 2, 3] {
        let want = if seconds == 0 { Want::Token } else { Want::Refresh };
        let flight = cache.begin(want, HOUR + seconds).flight;
        // Issued long ago, and a little later each time.
        cache.bring(&flight, &bearer(&format!("{seconds}"), STALE + 60 + seconds, HOUR - STALE), HOUR + seconds);
        assert!(!cache.wants_refresh(at(HOUR + seconds)));
        assert!(matches!(cache.decide(Want::Refresh, at(HOUR + seconds)), Decision::Nothing));
    }
}

#[test]
fn l09_a_too_short_bearer_serves_its_waiters_only() {
    let cache = cache();
    let flight = cache.begin(Want::Token, 0).flight;
    let short = bearer("short", 0, 0);
    cache.bring(&flight, &short, 1);
    assert_eq!(cache.heard(Want::Token, &flight, 1), Some(Ok(short.generation())));
    assert_eq!(cache.in_service(1), None);
    assert!(cache.failure().is_none());
    cache.begin(Want::Token, 1);
    // Its rejection changes nothing: the next one is fetched anyway.
    assert_eq!(cache.refused(&short, 1), Rejection::Renewing);
    // Hours later it is unusable.
    assert_eq!(cache.heard(Want::Token, &flight, HOUR), None);
}

#[test]
fn l09_a_waited_for_bearer_is_sent_while_valid_or_new() {
    let cache = cache();
    let (hour, short) = (bearer("hour", 0, HOUR), bearer("short", 0, 0));
    for (bearer, seconds, may) in [(&hour, 60, true), (&hour, HOUR, false), (&short, 1, true), (&short, 60, false)] {
        assert_eq!(cache.may_send(bearer, at(seconds)), may, "{seconds} s");
    }
}

#[test]
fn l06_an_expired_token_does_not_replace_a_good_one() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    cache.fetch(Want::Refresh, &bearer("dead", STALE - 60, 60), STALE);
    assert_eq!(cache.ask(STALE), Ok(first.generation()));
    assert!(matches!(cache.decide(Want::Refresh, at(STALE)), Decision::Nothing), "and there is a pause");
    // A rejected one is not kept for that.
    let cache = Cache::serving(&first);
    let flight = cache.renew(&first, 5).flight;
    cache.bring(&flight, &bearer("dead", 5, 0), 5);
    assert_eq!(cache.in_service(5), None);
}

#[test]
fn a_late_waiter_gets_the_bearer_in_service() {
    let (first, second) = (bearer("first", 0, HOUR), bearer("second", 20, HOUR));
    // It was rejected since, and a newer one is there, or on its way.
    let cache = cache();
    let flight = cache.begin(Want::Token, 0).flight;
    cache.bring(&flight, &first, 0);
    let renewal = cache.renew(&first, 1).flight;
    assert_eq!(cache.heard(Want::Token, &flight, 1), None);
    cache.bring(&renewal, &second, 2);
    assert_eq!(cache.heard(Want::Token, &flight, 2), Some(Ok(second.generation())));
    // It expired since.
    assert_eq!(cache.heard(Want::Token, &renewal, 2 * HOUR), None);

    // The failure has been fixed since, or is old.
    let cache = test_support::cache();
    let flight = cache.begin(Want::Token, 0).flight;
    cache.fail(&flight, outage(), 0);
    assert_eq!(cache.heard(Want::Token, &flight, 60), None);
    cache.fetch(Want::Token, &second, 60);
    assert_eq!(cache.heard(Want::Token, &flight, 60), Some(Ok(second.generation())));
}

#[test]
fn an_errors_cause_may_use_the_cache_when_dropped() {
    #[derive(Debug)]
    struct Meddler(Weak<Cache>);
    impl std::fmt::Display for Meddler {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("meddler")
        }
    }
    impl std::error::Error for Meddler {}
    impl Drop for Meddler {
        fn drop(&mut self) {
            // Would wait for itself under the lock.
            if let Some(cache) = self.0.upgrade() {
                drop(cache.decide(Want::Token, at(10)));
            }
        }
    }
    let cache = Arc::new(cache());
    let flight = cache.begin(Want::Token, 0).flight;
    cache.fail(&flight, outage().with_source(Meddler(Arc::downgrade(&cache))), 0);
    drop(flight);
    let next = cache.begin(Want::Token, 5).flight;
    cache.bring(&next, &bearer("first", 5, HOUR), 5);
    assert!(cache.in_service(5).is_some());
}

#[test]
fn numbers_of_the_policy_are_used() {
    let backoff = Backoff::new(Duration::from_secs(3), Duration::from_secs(6));
    let policy = Policy::default().jitter(false).rejection_backoff(backoff).transient_backoff(backoff);
    let cache = Cache::new(policy.fetch_timeout(Duration::from_secs(2)));
    let first = bearer("first", 0, HOUR);
    let start = cache.begin(Want::Token, 0);
    assert_eq!(start.timeout, Duration::from_secs(2));
    cache.fail(&start.flight, outage(), 0);
    assert_eq!(cache.ask(2), Err(ErrorKind::Unavailable));
    cache.fetch(Want::Token, &first, 3);
    let flight = cache.renew(&first, 3).flight;
    let second = bearer("second", 3, HOUR);
    cache.bring(&flight, &second, 3);
    assert_eq!(cache.refused(&second, 5), Rejection::Declined);
    assert_eq!(cache.refused(&second, 6), Rejection::Renewing);
}

#[test]
fn no_flight_begins_after_an_eviction() {
    let cache = cache();
    let flight = cache.begin(Want::Token, 0).flight;
    assert!(!cache.retire(at(1)), "a fetch is in progress");
    cache.bring(&flight, &bearer("first", 0, HOUR), 2);
    assert!(cache.retire(at(3)));
    // As after a look at the credential, which had begun before.
    for want in [Want::Renewal, Want::Refresh] {
        assert!(matches!(cache.decide(want, at(STALE + 1)), Decision::Nothing));
    }
    assert!(matches!(cache.decide(Want::Token, at(HOUR)), Decision::Nothing));
}
