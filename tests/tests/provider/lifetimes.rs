//! How long a token is sent.

use bearer_token::platform::{BoxFuture, Clock, Moment};
use bearer_token_testing::Outcome;

use super::*;

/// Asks once a second for this long, as a busy service does. Returns the number of fetches.
async fn busy(bench: &Bench, time: Duration) -> u64 {
    let before = bench.started();
    for _ in 0..time.as_secs() {
        let token = bench.provider.token().await;
        assert_eq!(bench.sent(), secret(token).ok(), "what may be waited for is what is sent");
        settle().await;
        bench.clock.advance(SECOND);
    }
    bench.started() - before
}

#[tokio::test]
async fn l08_a_repeated_token_causes_no_loop() {
    let bench = Bench::new();
    let expires = bench.clock.now().wall() + HOUR;
    bench.source.otherwise(Outcome::token("same").expires_at(expires));
    assert_eq!(busy(&bench, STALE).await, 1);
    // At 1, 3, 7, 15, 31, 63 s, then once a minute.
    let refreshes = busy(&bench, HOUR - STALE - 10 * SECOND).await;
    assert!((6..=20).contains(&refreshes), "{refreshes}");
    // The last ten seconds, in which the source repeats itself.
    busy(&bench, 11 * SECOND).await;
    // After its expiry it is not sent, however often the source returns it.
    let later = bench.started();
    for _ in 0..600 {
        assert_eq!(bench.sent(), None);
        assert_eq!(secret(bench.provider.token().await), Err(ErrorKind::Source));
        bench.clock.advance(SECOND);
    }
    assert!(bench.started() - later <= 20, "{}", bench.started() - later);
    bench.source.otherwise(Outcome::numbered());
    bench.clock.advance(MINUTE);
    assert!(bench.provider.token().await.is_ok());
}

#[tokio::test]
async fn l08_new_tokens_of_the_same_expiry_cause_no_loop() {
    let bench = Bench::new();
    let expires = bench.clock.now().wall() + HOUR;
    bench.source.otherwise(Outcome::numbered().expires_at(expires));
    assert_eq!(busy(&bench, STALE).await, 1);
    let refreshes = busy(&bench, HOUR - STALE - 10 * SECOND).await;
    assert!(refreshes <= 40, "{refreshes}");
}

#[tokio::test]
async fn l08_tokens_stale_on_arrival_are_fetched_once_a_second() {
    let bench = Bench::new();
    let clock = bench.clock.clone();
    bench.source.otherwise(Outcome::call(move |cx| {
        // A new token each time, which the source says was issued most of an hour ago.
        let issued =
            Moment::new(clock.now().monotonic().saturating_sub(STALE + MINUTE), clock.now().wall() - STALE - MINUTE);
        let token = format!("{:?}", cx.started().monotonic());
        Ok(bearer_token::AccessToken::new(token).expires_in(HOUR).issued(issued))
    }));
    bench.provider.token().await.unwrap();
    for _ in 0..100 {
        assert!(bench.sent().is_some());
        settle().await;
    }
    assert_eq!(bench.started(), 1);
    bench.clock.advance(SECOND);
    for _ in 0..100 {
        assert!(bench.sent().is_some());
        settle().await;
    }
    assert_eq!(bench.started(), 2);
}

#[tokio::test]
async fn l09_an_expired_token_is_an_error_and_never_sent() {
    let bench = Bench::serving().await;
    bench.source.otherwise(Outcome::error(Error::new(ErrorKind::Transport, "no route")));
    bench.clock.advance(EXPIRED - Duration::from_nanos(1));
    assert_eq!(bench.sent().as_deref(), Some("token-1"));
    settle().await;
    bench.clock.advance(Duration::from_nanos(1));
    assert!(bench.provider.cached().is_none());
    for _ in 0..10 {
        assert_eq!(bench.sent(), None);
        assert_eq!(secret(bench.provider.token().await), Err(ErrorKind::Transport));
        bench.clock.advance(10 * SECOND);
    }
}

#[tokio::test]
async fn l09_only_waiters_get_a_bearer_born_too_short() {
    let bench = Bench::new();
    bench.source.otherwise(Outcome::numbered().expires_in(Duration::ZERO));
    for round in 1..=3 {
        let gate = bench.source.hold();
        let callers = [bench.waiting(), bench.waiting(), waiting(bench.provider.refresh_now())];
        bench.source.wait_for_fetches(round).await;
        gate.release();
        for caller in callers {
            assert_eq!(secret(caller.await), Ok(format!("token-{round}")));
        }
        assert_eq!(bench.sent(), None);
        assert!(bench.provider.cached().is_none());
    }
    assert_eq!(bench.started(), 3);
}

#[tokio::test]
async fn l09_a_waiter_waking_late_gets_no_expired_bearer() {
    let bench = Bench::new();
    let asleep = bench.waiting();
    assert_eq!(secret(bench.provider.token().await), Ok("token-1".into()));
    bench.clock.advance_wall(8 * HOUR);
    assert_eq!(secret(asleep.await), Ok("token-2".into()));
}

#[tokio::test]
async fn l09_a_waiter_waking_after_a_rejection_gets_the_next_bearer() {
    let bench = Bench::new();
    let slow = bench.waiting();
    let prompt = bench.provider.token().await.unwrap();
    assert!(prompt.ticket().reject(&HeaderMap::new()).is_replay_useful());
    assert_eq!(secret(slow.await), Ok("token-2".into()));
}

#[tokio::test]
async fn l13_after_a_long_sleep_the_token_is_renewed_first() {
    let bench = Bench::serving().await;
    bench.clock.advance_wall(HOUR);
    assert_eq!(bench.sent(), None);
    assert_eq!(secret(bench.provider.token().await), Ok("token-2".into()));
    // A shorter sleep: the token is valid, but due for a refresh.
    bench.clock.advance_wall(STALE);
    assert_eq!(bench.sent().as_deref(), Some("token-2"));
    settle().await;
    assert_eq!(bench.sent().as_deref(), Some("token-3"));
}

#[tokio::test]
async fn l13_a_wall_clock_set_back_makes_no_token_immortal() {
    let bench = Bench::serving().await;
    bench.clock.rewind_wall(HOUR);
    bench.clock.advance(STALE);
    assert_eq!(bench.sent().as_deref(), Some("token-1"));
    settle().await;
    assert_eq!(bench.sent().as_deref(), Some("token-2"), "stale after as long as ever");
    bench.clock.rewind_wall(HOUR);
    bench.clock.advance(EXPIRED);
    assert_eq!(bench.sent(), None, "and expired");
}

#[tokio::test]
async fn l13_a_wall_clock_set_forward_starts_no_second_fetch() {
    let bench = Bench::new();
    let gate = bench.source.hold();
    let first = bench.waiting();
    bench.source.wait_for_fetches(1).await;
    bench.clock.advance_wall(HOUR / 2);
    let second = bench.waiting();
    gate.release();
    assert_eq!(secret(first.await), Ok("token-1".into()));
    assert_eq!(secret(second.await), Ok("token-1".into()));
    assert_eq!(bench.source.count().peak, 1);
    assert_eq!(bench.started(), 1);
}

#[tokio::test]
async fn l13_a_wall_clock_step_does_not_change_the_cool_down() {
    let bench = Bench::new();
    bench.source.push(Outcome::error(Error::new(ErrorKind::Refused, "no")));
    assert!(bench.provider.token().await.is_err());
    bench.clock.advance_wall(HOUR);
    assert!(bench.provider.token().await.is_err());
    bench.clock.rewind_wall(3 * HOUR);
    bench.clock.advance(5 * SECOND);
    assert_eq!(secret(bench.provider.token().await), Ok("token-2".into()));
}

#[tokio::test]
async fn a_slow_response_counts_from_before_the_request() {
    let bench = Bench::new();
    let start = bench.clock.now();
    bench.source.push(Outcome::numbered().after(8 * SECOND));
    let caller = bench.waiting();
    bench.advance_with(3, 8 * SECOND).await;
    assert_eq!(caller.await.unwrap().expires_at(), Some(start.wall() + HOUR));
}

#[test]
fn a_waiter_ends_even_at_the_clocks_last_moment() {
    /// Readings of a clock that is broken or not set.
    struct Last;
    impl Clock for Last {
        fn now(&self) -> Moment {
            Moment::new(Duration::MAX, std::time::UNIX_EPOCH + Duration::from_secs(u32::MAX.into()))
        }

        fn sleep_until(&self, _deadline: Duration) -> BoxFuture<()> {
            Box::pin(std::future::pending())
        }
    }
    let source = ScriptedSource::new();
    source.push(Outcome::numbered());
    source.otherwise(Outcome::error(Error::new(ErrorKind::Transport, "no route")));
    let platform = Platform::system().with_clock(Last);
    let provider = TokenProvider::builder(source.clone()).platform(platform).build().unwrap();
    for expected in [Ok("token-1".into()), Err(ErrorKind::Transport)] {
        assert_eq!(secret(block_on(provider.token())), expected);
    }
    assert_eq!(source.count().started, 2);
}

#[tokio::test]
async fn l09_a_waited_for_bearer_is_sent_while_valid_or_new() {
    for (lifetime, seconds, may) in [(HOUR, MINUTE, true), (HOUR, HOUR, false), (Duration::ZERO, MINUTE, false)] {
        let bench = Bench::new();
        bench.source.otherwise(Outcome::token("waited-for").expires_in(lifetime));
        let bearer = bench.provider.token().await.unwrap();
        assert!(bench.provider.may_send(&bearer));
        bench.clock.advance(seconds);
        assert_eq!(bench.provider.may_send(&bearer), may, "{lifetime:?} after {seconds:?}");
    }
}
