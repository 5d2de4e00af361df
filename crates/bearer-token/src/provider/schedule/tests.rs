//! The arithmetic of the policy, with lifetimes and moments made by hand.

use std::time::UNIX_EPOCH;

use super::*;
use crate::{
    error::{Error, ErrorKind, Retry},
    platform::Moment,
    token::Expiry,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

const MILLI: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const MIN: Draw = Draw(0);
const HALF: Draw = Draw(u32::MAX / 2);

fn issued() -> Moment {
    Moment::new(5_000 * SECOND, UNIX_EPOCH + Duration::from_secs(1_767_225_600))
}

fn since_issued(moment: Moment) -> Duration {
    let monotonic = moment.monotonic() - issued().monotonic();
    assert_eq!(monotonic, moment.since_epoch() - issued().since_epoch(), "both clocks count alike");
    monotonic
}

fn lifetimes() -> impl Iterator<Item = Duration> {
    let odd = [0, 1, 2, 9, 10, 11, 999].map(Duration::from_nanos);
    let seconds = [1, 2, 3, 7, 10, 59, 60, 99, 100, 101, 150, 299, 300, 301, 3_599, 3_600, 4_500, 86_400];
    let huge = [30 * DAY, 31 * DAY, Duration::from_secs(1 << 40), Duration::from_secs(u64::MAX), Duration::MAX];
    odd.into_iter().chain(seconds.map(Duration::from_secs)).chain(huge)
}

#[test]
fn deadlines_of_many_lifetimes() {
    // Without the draw: when it is refreshed, when it is no longer sent, when it expires.
    let table = [
        (Duration::ZERO, Duration::ZERO, Duration::ZERO, Duration::ZERO),
        (Duration::from_nanos(1), Duration::from_nanos(1), Duration::from_nanos(1), Duration::from_nanos(1)),
        (SECOND, 700 * MILLI, 900 * MILLI, SECOND),
        (MINUTE, 42 * SECOND, 54 * SECOND, MINUTE),
        (100 * SECOND, 70 * SECOND, 90 * SECOND, 100 * SECOND),
        (300 * SECOND, 240 * SECOND, 290 * SECOND, 300 * SECOND),
        (HOUR, HOUR - 12 * MINUTE, HOUR - 10 * SECOND, HOUR),
        (30 * DAY, 30 * DAY - 15 * MINUTE, 30 * DAY - 10 * SECOND, 30 * DAY),
        // What claims to live longer is renewed after 30 days.
        (Duration::from_secs(1 << 40), 30 * DAY - 15 * MINUTE, 30 * DAY - 10 * SECOND, 30 * DAY),
        (Duration::MAX, 30 * DAY - 15 * MINUTE, 30 * DAY - 10 * SECOND, 30 * DAY),
    ];
    for (lifetime, refresh, reserve, expires) in table {
        let found = Policy::default().deadlines(issued(), Expiry::In(lifetime), MIN);
        assert_eq!(since_issued(found.refresh), refresh, "refresh of {lifetime:?}");
        assert_eq!(since_issued(found.reserve), reserve, "reserve of {lifetime:?}");
        assert_eq!(since_issued(found.expires.unwrap()), expires, "expiry of {lifetime:?}");
    }
}

#[test]
fn absolute_and_unknown_expiries_count_from_the_issue() {
    let policy = Policy::default();
    let of = |expiry| policy.deadlines(issued(), expiry, HALF);
    assert_eq!(of(Expiry::At(issued().wall() + HOUR)), of(Expiry::In(HOUR)));
    assert_eq!(of(Expiry::Unknown), of(Expiry::In(5 * MINUTE)));

    let never = of(Expiry::Never);
    assert_eq!(never.expires, None);
    assert_eq!(never.freshness(issued().after(1_000 * 365 * DAY / 2)), Freshness::Fresh);

    // One that had expired when it came is no later than it was while it was good, nor when it comes again.
    for past in [issued().wall(), issued().wall() - HOUR] {
        let dead = of(Expiry::At(past));
        assert_eq!(dead.freshness(issued()), Freshness::Expired);
        assert_eq!(dead.expires.map(Moment::wall), Some(past));
        let alive = policy.deadlines(Moment::new(SECOND, past - HOUR), Expiry::At(past), HALF);
        let again = policy.deadlines(issued().after(MINUTE), Expiry::At(past), HALF);
        assert!(!dead.is_later_than(&alive) && !again.is_later_than(&dead));
        assert!(of(Expiry::In(SECOND)).is_later_than(&dead));
    }
}

#[test]
fn l14_margins_never_exceed_half_the_lifetime() {
    let greedy = Policy::default().reserve(Duration::MAX).refresh_ahead(Duration::MAX).max_lifetime(500 * 365 * DAY);
    let bare = Policy::default().reserve(Duration::ZERO).refresh_ahead(Duration::ZERO);
    for policy in [Policy::default(), greedy, bare] {
        for (lifetime, draw) in lifetimes().flat_map(|lifetime| [MIN, HALF, Draw::MAX].map(|draw| (lifetime, draw))) {
            let found = policy.deadlines(issued(), Expiry::In(lifetime), draw);
            let half = lifetime.min(policy.max_lifetime) / 2;
            assert!(since_issued(found.refresh) >= half, "{lifetime:?} {draw:?}");
            assert!(since_issued(found.refresh) <= since_issued(found.reserve), "{lifetime:?} {draw:?}");
            assert!(since_issued(found.reserve) <= since_issued(found.expires.unwrap()), "{lifetime:?} {draw:?}");
        }
    }
    // No number overflows.
    let endless = Policy::default().max_lifetime(Duration::MAX).reserve(Duration::MAX);
    let found = endless.deadlines(issued(), Expiry::In(Duration::MAX), HALF);
    assert_eq!(found.freshness(issued().after(100 * 365 * DAY)), Freshness::Fresh);
}

#[test]
fn the_draw_moves_the_refresh_by_a_fifth_at_most() {
    let policy = Policy::default();
    for lifetime in lifetimes() {
        let refresh = |draw| since_issued(policy.deadlines(issued(), Expiry::In(lifetime), draw).refresh);
        let whole = lifetime.min(30 * DAY);
        assert!(refresh(MIN) >= refresh(HALF) && refresh(HALF) >= refresh(Draw::MAX));
        assert_eq!(refresh(MIN) - refresh(Draw::MAX), whole / 5, "{lifetime:?}");
    }
    let steady = Policy::default().jitter(false);
    let of = |draw| steady.deadlines(issued(), Expiry::In(HOUR), draw);
    assert_eq!(of(Draw::MAX), of(MIN));
}

#[test]
fn a_hint_brings_the_refresh_forward_and_nothing_else() {
    let policy = Policy::default();
    for (expiry, hint, draw, refresh) in [
        // The policy refreshes an hour's token after 48 minutes, or after 36 with the highest draw.
        (Expiry::In(HOUR), 30 * MINUTE, MIN, 30 * MINUTE),
        (Expiry::In(HOUR), 30 * MINUTE, Draw::MAX, 24 * MINUTE),
        (Expiry::In(HOUR), 48 * MINUTE, MIN, 48 * MINUTE),
        (Expiry::In(HOUR), 50 * MINUTE, MIN, 48 * MINUTE),
        (Expiry::In(HOUR), HOUR, Draw::MAX, 36 * MINUTE),
        (Expiry::In(HOUR), Duration::MAX, Draw::MAX, 36 * MINUTE),
        // A hint at less than a minute would cost a fetch for each request.
        (Expiry::In(HOUR), Duration::ZERO, MIN, MINUTE),
        (Expiry::In(HOUR), MINUTE, Draw::MAX, MINUTE),
        (Expiry::In(MINUTE), Duration::ZERO, MIN, 42 * SECOND),
        (Expiry::In(Duration::ZERO), Duration::ZERO, MIN, Duration::ZERO),
        (Expiry::In(DAY), DAY / 2, MIN, DAY / 2),
        (Expiry::Unknown, 2 * MINUTE, MIN, 2 * MINUTE),
        (Expiry::Never, DAY, MIN, DAY),
    ] {
        let without = policy.deadlines(issued(), expiry, draw);
        let found = policy.hinted(without, issued(), hint, draw);
        assert_eq!(since_issued(found.refresh), refresh, "{expiry:?} {hint:?} {draw:?}");
        assert_eq!((found.reserve, found.expires), (without.reserve, without.expires));
    }
    let steady = Policy::default().jitter(false);
    let hinted = |draw| steady.hinted(steady.deadlines(issued(), Expiry::In(HOUR), draw), issued(), 30 * MINUTE, draw);
    assert_eq!(hinted(Draw::MAX), hinted(MIN));
    // A token that had expired when it came.
    let dead = policy.deadlines(issued(), Expiry::At(issued().wall() - HOUR), MIN);
    assert_eq!(policy.hinted(dead, issued(), MINUTE, MIN), dead);
}

#[test]
fn l13_a_bearer_grows_old_on_whichever_clock_is_ahead() {
    let deadlines = Policy::default().deadlines(issued(), Expiry::In(HOUR), MIN);
    let at = |monotonic: Duration, wall: i64| {
        let wall = issued().since_epoch().as_secs().saturating_add_signed(wall);
        deadlines.freshness(Moment::new(issued().monotonic() + monotonic, UNIX_EPOCH + Duration::from_secs(wall)))
    };
    let table = [
        (Duration::ZERO, 0, Freshness::Fresh),
        (47 * MINUTE, 47 * 60, Freshness::Fresh),
        (48 * MINUTE, 48 * 60, Freshness::Stale),
        (HOUR - 10 * SECOND, 3_590, Freshness::Expired),
        // The machine slept: the monotonic clock stood still.
        (Duration::ZERO, 48 * 60, Freshness::Stale),
        (Duration::ZERO, 3_600, Freshness::Expired),
        // The time of day was set back.
        (47 * MINUTE, -3_600, Freshness::Fresh),
        (48 * MINUTE, -3_600, Freshness::Stale),
        (HOUR, -3_600, Freshness::Expired),
    ];
    for (monotonic, wall, expected) in table {
        assert_eq!(at(monotonic, wall), expected, "monotonic {monotonic:?}, wall {wall} s");
    }
}

#[test]
fn l05_the_user_limits_the_servers_retry_after() {
    let asked = Error::new(ErrorKind::Unavailable, "").with_retry(Retry::Later { after: Some(HOUR) });
    assert_eq!(Policy::default().retry_after_limit(MINUTE).cool_down(&asked, 1, MIN), MINUTE);
    let own = Policy::default().cool_down(&Error::new(ErrorKind::Unavailable, ""), 1, MIN);
    assert_eq!(Policy::default().retry_after_limit(Duration::ZERO).cool_down(&asked, 1, MIN), own);
}

#[test]
fn l06_beside_a_bearer_the_cool_down_ends_with_it() {
    let outage = |after| Error::new(ErrorKind::Unavailable, "").with_retry(Retry::Later { after });
    let terminal = Error::new(ErrorKind::Refused, "");
    for (error, failures, left, expected) in [
        // The wait would be a minute.
        (outage(None), 9, 2 * MINUTE, MINUTE),
        (outage(None), 9, 20 * SECOND, 20 * SECOND),
        // Never shorter than after a first failure,
        (outage(None), 9, MILLI, SECOND),
        (terminal.clone(), 9, MILLI, 5 * SECOND),
        (terminal, 9, MINUTE, MINUTE),
        // nor than the server asks for.
        (outage(Some(40 * SECOND)), 9, 20 * SECOND, 40 * SECOND),
        (outage(Some(HOUR)), 1, 20 * SECOND, HOUR),
    ] {
        let found = Policy::default().cool_down_beside(&error, failures, Draw::MAX, left);
        assert_eq!(found, expected, "{error:?} after {failures}, {left:?} left");
    }
}

#[test]
fn margins_of_zero_are_allowed() {
    let policy = Policy::default().reserve(Duration::ZERO).refresh_ahead(Duration::ZERO);
    for (lifetime, refresh) in [(MINUTE, 42 * SECOND), (HOUR, HOUR - 30 * SECOND)] {
        let found = policy.deadlines(issued(), Expiry::In(lifetime), MIN);
        assert_eq!(since_issued(found.refresh), refresh, "refresh of {lifetime:?}");
        assert_eq!(since_issued(found.reserve), lifetime, "reserve of {lifetime:?}");
    }
}

#[test]
fn l05_the_cool_down_doubles_and_honours_retry_after() {
    let transient = |after| Error::new(ErrorKind::Unavailable, "").with_retry(Retry::Later { after });
    let terminal = Error::new(ErrorKind::Refused, "");
    let asked = |seconds| transient(Some(Duration::from_secs(seconds)));
    let table = [
        // The draw makes it between one half and the whole.
        (transient(None), 1, MIN, 500 * MILLI),
        (transient(None), 1, Draw::MAX, SECOND),
        (transient(None), 2, Draw::MAX, 2 * SECOND),
        (transient(None), 6, Draw::MAX, 32 * SECOND),
        (transient(None), 7, MIN, 30 * SECOND),
        (transient(None), 7, Draw::MAX, MINUTE),
        (transient(None), u32::MAX, Draw::MAX, MINUTE),
        // The later of the two, and no more than an hour.
        (asked(0), 1, MIN, 500 * MILLI),
        (asked(7), 1, Draw::MAX, 7 * SECOND),
        (asked(7), 5, Draw::MAX, 16 * SECOND),
        (asked(3_600), 1, MIN, HOUR),
        (asked(u64::MAX), 1, MIN, HOUR),
        // Needs a change: slower, and the same for every provider.
        (terminal.clone(), 0, MIN, 5 * SECOND),
        (terminal.clone(), 1, MIN, 5 * SECOND),
        (terminal.clone(), 2, Draw::MAX, 10 * SECOND),
        (terminal.clone(), 6, MIN, 160 * SECOND),
        (terminal.clone(), 7, MIN, 5 * MINUTE),
        (terminal, u32::MAX, MIN, 5 * MINUTE),
    ];
    for (error, failures, draw, expected) in table {
        let found = Policy::default().cool_down(&error, failures, draw);
        assert_eq!(found, expected, "{error:?} after {failures} in a row, {draw:?}");
    }
    let half = Policy::default().cool_down(&transient(None), 1, HALF);
    assert!(half.abs_diff(750 * MILLI) < MILLI, "{half:?}");
}

#[test]
fn a_refresh_leaves_time_for_another_one() {
    let policy = Policy::default().fetch_timeout(8 * SECOND);
    let table = [
        (None, 8 * SECOND),
        (Some(HOUR), 10 * SECOND),
        (Some(20 * SECOND), 10 * SECOND),
        (Some(14 * SECOND), 7 * SECOND),
        (Some(10 * SECOND), 5 * SECOND),
        (Some(Duration::ZERO), 5 * SECOND),
    ];
    for (left, expected) in table {
        assert_eq!(policy.timeout(left), expected, "{left:?}");
    }
    assert_eq!(policy.refresh_timeout(2 * SECOND).timeout(Some(HOUR)), 2 * SECOND);
}
