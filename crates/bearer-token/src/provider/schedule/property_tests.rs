//! What the arithmetic holds for whatever numbers it is given.

use std::time::{SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::{
    error::{Error, ErrorKind, Retry},
    platform::Moment,
    provider::backoff::Backoff,
    token::Expiry,
};

/// Times of every size, the least and the greatest among them.
fn times() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0..100_u64).prop_map(Duration::from_nanos),
        (0..100_000_000_u64).prop_map(Duration::from_millis),
        any::<u64>().prop_map(Duration::from_nanos),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
    ]
}

fn wall_times() -> impl Strategy<Value = SystemTime> {
    (times(), any::<bool>()).prop_map(|(time, before)| {
        let shifted = if before { UNIX_EPOCH.checked_sub(time) } else { UNIX_EPOCH.checked_add(time) };
        shifted.unwrap_or(UNIX_EPOCH)
    })
}

fn moments() -> impl Strategy<Value = Moment> {
    (times(), wall_times()).prop_map(|(monotonic, wall)| Moment::new(monotonic, wall))
}

fn expiries() -> impl Strategy<Value = Expiry> {
    prop_oneof![
        Just(Expiry::Never),
        Just(Expiry::Unknown),
        times().prop_map(Expiry::In),
        wall_times().prop_map(Expiry::At),
    ]
}

fn backoffs() -> impl Strategy<Value = Backoff> {
    (times(), times()).prop_map(|(first, limit)| Backoff::new(first, limit))
}

prop_compose! {
    fn policies()(
        (reserve, ahead, jitter) in (times(), times(), any::<bool>()),
        (fetch, refresh, asked) in (times(), times(), times()),
        (default, max) in (times(), times()),
        (transient, terminal) in (backoffs(), backoffs()),
    ) -> Policy {
        Policy::default()
            .reserve(reserve)
            .refresh_ahead(ahead)
            .jitter(jitter)
            .fetch_timeout(fetch)
            .refresh_timeout(refresh)
            .retry_after_limit(asked)
            .default_lifetime(default)
            .max_lifetime(max)
            .transient_backoff(transient)
            .terminal_backoff(terminal)
    }
}

fn rank(freshness: Freshness) -> u8 {
    match freshness {
        Freshness::Fresh => 0,
        Freshness::Stale => 1,
        Freshness::Expired => 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deadlines_are_ordered_and_margins_take_at_most_half(
        policy in policies(), issued in moments(), expiry in expiries(), draw in any::<u32>(),
    ) {
        let found = policy.deadlines(issued, expiry, Draw(draw));
        for read in [Moment::monotonic, Moment::since_epoch] {
            prop_assert!(read(found.refresh) <= read(found.reserve));
            if let Some(expires) = found.expires {
                prop_assert!(read(found.reserve) <= read(expires));
            }
        }
        let lifetime = match expiry {
            Expiry::Never => Duration::MAX,
            Expiry::Unknown => policy.default_lifetime,
            Expiry::In(lifetime) => lifetime,
            Expiry::At(time) => time.duration_since(issued.wall()).unwrap_or_default(),
        };
        let lifetime = lifetime.min(policy.max_lifetime);
        if let Some(expires) = found.expires.filter(|_| found.refresh.since_epoch() > Duration::ZERO) {
            prop_assert!(expires.monotonic() - found.refresh.monotonic() <= lifetime / 2 + Duration::from_nanos(1));
            prop_assert!(expires.monotonic() - issued.monotonic() <= lifetime);
        }
    }

    #[test]
    fn a_hint_never_moves_a_refresh_back(
        policy in policies(), issued in moments(), expiry in expiries(), draw in any::<u32>(), hint in times(),
    ) {
        let without = policy.deadlines(issued, expiry, Draw(draw));
        let found = policy.hinted(without, issued, hint, Draw(draw));
        for read in [Moment::monotonic, Moment::since_epoch] {
            prop_assert!(read(found.refresh) <= read(without.refresh));
            prop_assert!(read(found.refresh) >= read(issued.after(Duration::from_secs(60))).min(read(without.refresh)));
        }
        prop_assert_eq!((found.reserve, found.expires), (without.reserve, without.expires));
    }

    #[test]
    fn l09_past_its_expiry_on_either_clock_a_bearer_is_expired(
        policy in policies(), issued in moments(), expiry in expiries(), draw in any::<u32>(), now in moments(),
    ) {
        let found = policy.deadlines(issued, expiry, Draw(draw));
        if found.expires.is_some_and(|expires| expires.is_past(now)) {
            prop_assert_eq!(found.freshness(now), Freshness::Expired);
        }
        // What the token itself says counts as well.
        if let Expiry::At(time) = expiry && now.wall() >= time {
            prop_assert_eq!(found.freshness(now), Freshness::Expired);
        }
    }

    #[test]
    fn no_bearer_grows_younger(
        policy in policies(), issued in moments(), expiry in expiries(), draw in any::<u32>(),
        now in moments(), later in times(),
    ) {
        let found = policy.deadlines(issued, expiry, Draw(draw));
        prop_assert!(rank(found.freshness(now)) <= rank(found.freshness(now.after(later))));
    }

    #[test]
    fn cool_downs_keep_to_their_limits(
        policy in policies(), failures in any::<u32>(), draw in any::<u32>(), asked in proptest::option::of(times()),
    ) {
        let passing = Error::new(ErrorKind::Unavailable, "x").with_retry(Retry::Later { after: asked });
        let wait = policy.cool_down(&passing, failures, Draw(draw));
        let believed = asked.unwrap_or_default().min(policy.retry_after_limit);
        prop_assert!(wait >= believed && wait <= policy.transient_backoff.limit().max(believed));
        let whole = policy.transient_backoff.after(failures);
        prop_assert!(wait >= whole / 2, "no draw takes more than half");
        let lasting = policy.cool_down(&Error::new(ErrorKind::Refused, "x"), failures, Draw(draw));
        prop_assert_eq!(lasting, policy.terminal_backoff.after(failures));
        prop_assert!(lasting <= policy.terminal_backoff.limit());
        prop_assert!(policy.nothing_new(failures, Draw(draw)) <= policy.transient_backoff.limit());
    }

    #[test]
    fn no_fetch_takes_longer_than_its_limit(policy in policies(), left in proptest::option::of(times())) {
        let limit = if left.is_some() { policy.refresh_timeout } else { policy.fetch_timeout };
        prop_assert!(policy.timeout(left) <= limit);
    }
}
