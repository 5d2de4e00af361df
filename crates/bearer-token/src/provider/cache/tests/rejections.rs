//! What a rejection by the API changes.

use super::*;

#[test]
fn l28_late_rejections_of_one_generation_cause_one_renewal() {
    let (first, second) = (bearer("first", 0, HOUR), bearer("second", 5, HOUR));
    let cache = Cache::serving(&first);
    let flight = cache.renew(&first, 5).flight;
    assert_eq!(cache.in_service(5), None);
    assert!(waits(&cache.decide(Want::Token, at(5)), &flight));
    for _ in 0..100 {
        assert!(matches!(cache.reject(first.generation(), at(5), silence), (Rejection::Renewing, None)));
    }
    cache.bring(&flight, &second, 6);
    for _ in 0..100 {
        assert!(matches!(cache.reject(first.generation(), at(6), silence), (Rejection::Superseded, None)));
    }
    assert_eq!(cache.ask(6), Ok(second.generation()));
}

#[test]
fn a_rejection_during_a_refresh_joins_it() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    let flight = cache.begin(Want::Refresh, STALE).flight;
    assert!(matches!(cache.reject(first.generation(), at(STALE), silence), (Rejection::Renewing, None)));
    assert!(waits(&cache.decide(Want::Token, at(STALE)), &flight));
    // Another generation is not meant.
    let (rejection, start) = cache.reject(bearer("other", 0, HOUR).generation(), at(STALE), silence);
    assert!(rejection == Rejection::Superseded && start.is_none());
    cache.fail(&flight, outage(), STALE + 1);
    assert_eq!(cache.heard(Want::Token, &flight, STALE + 1), Some(Ok(first.generation())), "rather it than none");
    assert_eq!(cache.heard(Want::Renewal, &flight, STALE + 1), Some(Err(ErrorKind::Unavailable)));
}

#[test]
fn l29_a_refresh_that_a_rejection_joined_counts_as_the_renewal() {
    let (first, second) = (bearer("first", 0, HOUR), bearer("second", STALE, HOUR));
    let cache = Cache::serving(&first);
    let flight = cache.begin(Want::Refresh, STALE).flight;
    assert_eq!(cache.refused(&first, STALE), Rejection::Renewing);
    cache.bring(&flight, &second, STALE + 1);
    assert_eq!(cache.refused(&second, STALE + 2), Rejection::Declined);
    assert_eq!(cache.ask(STALE + 2), Ok(second.generation()));
}

#[test]
fn l29_a_rejection_during_an_outage_leaves_the_suspect_in_service() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    let flight = cache.renew(&first, 5).flight;
    cache.fail(&flight, Error::new(ErrorKind::Refused, ""), 15);
    assert_eq!(cache.ask(15), Ok(first.generation()));
    for seconds in 15..20 {
        assert_eq!(cache.refused(&first, seconds), Rejection::Declined, "cool-down, at {seconds} s");
    }
    // The next renewal, which takes long again: from then on it is served for longer, each time.
    let mut seconds = 20;
    for (serves, kind) in [(10, ErrorKind::Timeout), (20, ErrorKind::Timeout), (40, ErrorKind::Timeout)] {
        let flight = cache.renew(&first, seconds).flight;
        cache.fail(&flight, Error::new(kind, ""), seconds + 10);
        assert_eq!(cache.refused(&first, seconds + 10 + serves - 1), Rejection::Declined, "{serves}");
        assert_eq!(cache.ask(seconds + 10 + serves - 1), Ok(first.generation()));
        seconds += 10 + serves;
    }
}

#[test]
fn l29_renewals_back_off_while_renewed_bearers_are_rejected_young() {
    let mut current = bearer("0", 0, 24 * HOUR);
    let cache = Cache::serving(&current);
    let mut seconds = 100;
    for (round, pause) in [5, 10, 20, 40, 80, 160, 300, 300, 300].into_iter().enumerate() {
        let flight = cache.renew(&current, seconds).flight;
        current = bearer(&format!("{}", round + 1), seconds, 24 * HOUR);
        cache.bring(&flight, &current, seconds);
        for early in [0, pause - 1] {
            assert_eq!(cache.refused(&current, seconds + early), Rejection::Declined, "round {round}");
            assert_eq!(cache.ask(seconds + early), Ok(current.generation()));
        }
        seconds += pause;
    }
    let flight = cache.renew(&current, seconds).flight;
    let held = bearer("held", seconds, 24 * HOUR);
    cache.bring(&flight, &held, seconds);
    // It is not rejected for five minutes: the next rejection is the first of its kind again.
    let flight = cache.renew(&held, seconds + 300).flight;
    let next = bearer("next", seconds + 300, 24 * HOUR);
    cache.bring(&flight, &next, seconds + 300);
    assert_eq!(cache.refused(&next, seconds + 304), Rejection::Declined);
    assert_eq!(cache.refused(&next, seconds + 305), Rejection::Renewing);
}

#[test]
fn l29_a_rejected_token_returned_again_is_renewed_less_often() {
    let old = bearer("static", 0, 24 * HOUR);
    let cache = Cache::serving(&old);
    // Issued long ago, which makes it no better.
    let mut seconds = HOUR;
    for pause in [5, 10, 20, 40] {
        let flight = cache.renew(&old, seconds).flight;
        cache.bring(&flight, &old, seconds);
        assert_eq!(cache.refused(&old, seconds + pause - 1), Rejection::Declined, "pause of {pause} s");
        seconds += pause;
    }
}

#[test]
fn a_refresh_in_between_restarts_the_backoff() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    let flight = cache.renew(&first, 0).flight;
    let second = bearer("second", 0, HOUR);
    cache.bring(&flight, &second, 0);
    let third = bearer("third", 100, HOUR);
    cache.fetch(Want::Renewal, &third, 100);
    let flight = cache.renew(&third, 101).flight;
    let fourth = bearer("fourth", 101, HOUR);
    cache.bring(&flight, &fourth, 101);
    assert_eq!(cache.refused(&fourth, 105), Rejection::Declined);
    assert_eq!(cache.refused(&fourth, 106), Rejection::Renewing);
}

#[test]
fn the_next_caller_renews_a_withdrawn_suspect() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    let flight = cache.renew(&first, 5).flight;
    cache.abandon(&flight, at(5));
    assert_eq!(cache.refused(&first, 5), Rejection::Renewing);
    let start = cache.begin(Want::Token, 5);
    assert_eq!(start.reason, FetchReason::Rejected);
    cache.fail(&start.flight, outage(), 6);
    assert_eq!(cache.ask(6), Ok(first.generation()));
}

#[test]
fn a_cool_down_puts_a_withdrawn_suspect_back() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    let flight = cache.begin(Want::Renewal, 5).flight;
    cache.fail(&flight, Error::new(ErrorKind::Refused, ""), 5);
    let flight = cache.begin(Want::Renewal, 6).flight;
    assert_eq!(cache.refused(&first, 6), Rejection::Renewing);
    cache.abandon(&flight, at(6));
    assert_eq!(cache.ask(7), Ok(first.generation()));
    assert_eq!(cache.in_service(7), Some(first.generation()), "readers without the lock see it too");
    assert_eq!(cache.refused(&first, 7), Rejection::Declined);
}

#[test]
fn rejecting_an_expired_or_unknown_bearer_starts_nothing() {
    let first = bearer("first", 0, HOUR);
    let cache = Cache::serving(&first);
    assert!(matches!(cache.reject(first.generation(), at(HOUR), silence), (Rejection::Renewing, None)));
    assert!(matches!(test_support::cache().reject(first.generation(), at(0), silence), (Rejection::Superseded, None)));
}
