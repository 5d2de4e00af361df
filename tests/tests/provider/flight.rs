//! One fetch for any number of callers, even if they are dropped.

use std::future::pending;

use bearer_token::{AccessToken, FetchContext, FetchReason, StaticToken};
use bearer_token_testing::Outcome;
use tokio::{runtime, task::JoinSet};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l01_a_thousand_stale_tasks_cause_one_fetch_without_delay() {
    let bench = Arc::new(Bench::serving().await);
    bench.clock.advance(STALE);
    let gate = bench.source.hold();
    let mut tasks = JoinSet::new();
    for task in 0..1_000 {
        let bench = bench.clone();
        tasks.spawn(async move {
            // Neither way to ask for a token waits.
            if task % 2 == 0 { bench.sent() } else { secret(bench.provider.token().await).ok() }
        });
    }
    for token in tasks.join_all().await {
        assert_eq!(token.as_deref(), Some("token-1"));
    }
    bench.source.wait_for_fetches(2).await;
    let mut done = waiting(bench.provider.refresh_now());
    gate.release();
    assert_eq!(secret((&mut done).await), Ok("token-2".into()));
    assert_eq!(bench.sent().as_deref(), Some("token-2"));
    assert_eq!(bench.started(), 2);
    assert_eq!(bench.source.reasons(), [FetchReason::Missing, FetchReason::Stale]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l01_a_thousand_cold_tasks_cause_one_fetch() {
    for expired in [false, true] {
        let bench = Arc::new(Bench::new());
        let mut before = 0;
        if expired {
            bench.provider.token().await.unwrap();
            bench.clock.advance(EXPIRED);
            before = 1;
        }
        let gate = bench.source.hold();
        let mut tasks = JoinSet::new();
        for _ in 0..1_000 {
            let bench = bench.clone();
            tasks.spawn(async move {
                assert_eq!(bench.sent(), None);
                let token = secret(bench.provider.token().await).unwrap();
                (token, bench.sent().unwrap())
            });
        }
        // Each caller, and the driver.
        bench.clock.wait_for_sleepers(1_001).await;
        gate.release();
        let expected = format!("token-{}", before + 1);
        for (token, sent) in tasks.join_all().await {
            assert_eq!((token, sent), (expected.clone(), expected.clone()));
        }
        assert_eq!(bench.started(), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_waiters_share_one_fetch() {
    let bench = Bench::new();
    let gate = bench.source.hold();
    let mut tasks = JoinSet::new();
    for _ in 0..10_000 {
        tasks.spawn(bench.provider.token());
    }
    bench.clock.wait_for_sleepers(10_001).await;
    gate.release();
    for token in tasks.join_all().await {
        assert_eq!(secret(token), Ok("token-1".into()));
    }
    assert_eq!(bench.started(), 1);
    assert_eq!(bench.clock.sleepers(), 0, "no future waits any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l02_two_hundred_callers_share_one_failing_fetch() {
    for dropped in [0, 1, 100] {
        let bench = Bench::new();
        bench.source.otherwise(Outcome::error(Error::new(ErrorKind::Unavailable, "the server rests")));
        let gate = bench.source.hold();
        let mut starter = Some(bench.waiting());
        bench.source.wait_for_fetches(1).await;
        let mut others: Vec<_> = (1..200).map(|_| Some(bench.waiting())).collect();
        if dropped > 0 {
            starter = None;
        }
        others.iter_mut().take(dropped.max(1) - 1).for_each(|other| *other = None);
        gate.release();
        for waiter in others.into_iter().flatten().chain(starter) {
            assert_eq!(secret(waiter.await), Err(ErrorKind::Unavailable));
        }
        // The clock has not moved, so one fetch took all the time. A new caller neither waits nor causes another fetch.
        for _ in 0..200 {
            assert_eq!(secret(bench.provider.token().await), Err(ErrorKind::Unavailable));
        }
        assert_eq!(bench.started(), 1, "{dropped} dropped");
    }
}

/// Runs a test on either kind of runtime.
fn on_both_runtimes<F: Future>(test: impl Fn() -> F) {
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
    runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test());
}

#[test]
fn l03_dropping_the_first_caller_changes_nothing_for_others() {
    on_both_runtimes(async || {
        let bench = Bench::new();
        let gate = bench.source.hold();
        let starter = bench.waiting();
        bench.source.wait_for_fetches(1).await;
        let other = bench.waiting();
        drop(starter);
        gate.release();
        assert_eq!(secret(other.await), Ok("token-1".into()));
        let counts = bench.source.count();
        assert_eq!((counts.started, counts.aborted), (1, 0));
    });
}

#[test]
fn l03_dropping_all_callers_still_caches_the_token() {
    on_both_runtimes(async || {
        let bench = Bench::new();
        let gate = bench.source.hold();
        let callers = [bench.waiting(), bench.waiting()];
        bench.source.wait_for_fetches(1).await;
        drop(callers);
        gate.release();
        bench.source.wait_for(|counts| counts.finished == 1).await;
        // The token is cached by now, or is about to be.
        assert_eq!(secret(bench.provider.token().await), Ok("token-1".into()));
        assert_eq!(bench.started(), 1);
    });
}

#[test]
fn l03_impatient_callers_still_leave_a_cached_token() {
    on_both_runtimes(async || {
        let bench = Bench::new();
        bench.source.push(Outcome::numbered().after(5 * SECOND));
        for _ in 0..5 {
            let impatient = bench.waiting();
            bench.source.wait_for_fetches(1).await;
            // The driver's deadline, the delay of the script, this caller.
            bench.advance_with(3, SECOND).await;
            drop(impatient);
        }
        assert_eq!(secret(bench.provider.token().await), Ok("token-1".into()));
        assert_eq!(bench.sent().as_deref(), Some("token-1"));
        assert_eq!(bench.started(), 1);
    });
}

#[tokio::test]
async fn l04_a_hung_fetch_is_aborted_and_tried_anew() {
    let bench = Bench::new();
    bench.source.push(Outcome::hang());
    let callers = [bench.waiting(), bench.waiting()];
    bench.advance_with(3, 10 * SECOND - Duration::from_nanos(1)).await;
    settle().await;
    assert_eq!(bench.source.count().running, 1);
    bench.clock.advance(Duration::from_nanos(1));
    for caller in callers {
        assert_eq!(secret(caller.await), Err(ErrorKind::Timeout));
    }
    let counts = bench.source.count();
    assert_eq!((counts.running, counts.aborted), (0, 1));
    bench.clock.advance(SECOND);
    assert_eq!(secret(bench.provider.token().await), Ok("token-2".into()));
}

#[tokio::test]
async fn l04_a_hung_source_delays_no_other_provider() {
    let (hung, other) = (Bench::new(), Bench::new());
    hung.source.otherwise(Outcome::hang());
    let _callers = [hung.waiting(), hung.waiting()];
    hung.source.wait_for_fetches(1).await;
    // No clock has moved.
    assert_eq!(secret(other.provider.token().await), Ok("token-1".into()));
}

#[tokio::test]
async fn l10_the_fetch_has_its_own_deadline() {
    let bench = Bench::with(steady().fetch_timeout(3 * SECOND), |platform| platform);
    bench.source.push(Outcome::numbered().after(4 * SECOND));
    bench.source.push(Outcome::numbered().after(2 * SECOND));
    // A caller without a deadline does not wait for ever.
    let patient = bench.waiting();
    bench.advance_with(3, 3 * SECOND).await;
    assert_eq!(secret(patient.await), Err(ErrorKind::Timeout));
    assert_eq!(bench.source.count().aborted, 1);

    // A caller with a deadline of one second does not end the fetch.
    bench.clock.advance(SECOND);
    let hasty = bench.waiting();
    bench.advance_with(3, SECOND).await;
    drop(hasty);
    bench.clock.advance(SECOND);
    assert_eq!(secret(bench.provider.token().await), Ok("token-2".into()));
    assert_eq!(bench.source.count().aborted, 1);
}

#[tokio::test]
async fn a_background_refresh_delays_no_caller_and_is_joined() {
    let bench = Bench::serving().await;
    bench.clock.advance(STALE);
    let gate = bench.source.hold();
    for _ in 0..100 {
        assert_eq!(bench.sent().as_deref(), Some("token-1"));
        assert_eq!(secret(bench.provider.token().await), Ok("token-1".into()));
        settle().await;
    }
    let asked = waiting(bench.provider.refresh_now());
    gate.release();
    assert_eq!(secret(asked.await), Ok("token-2".into()));
    assert_eq!(bench.sent().as_deref(), Some("token-2"));
    assert_eq!(bench.started(), 2);
}

#[tokio::test]
async fn waiting_callers_get_background_refreshes_too() {
    let bench = Bench::serving().await;
    bench.clock.advance(STALE);
    assert_eq!(secret(bench.provider.token().await), Ok("token-1".into()));
    settle().await;
    assert_eq!(secret(bench.provider.token().await), Ok("token-2".into()));
    assert_eq!(bench.source.reasons(), [FetchReason::Missing, FetchReason::Stale]);
}

#[tokio::test]
async fn an_idle_provider_fetches_nothing() {
    let bench = Bench::serving().await;
    bench.clock.advance(100 * HOUR);
    settle().await;
    assert!(bench.provider.cached().is_none());
    assert!(!bench.provider.status().is_ready());
    drop(bench.provider.token());
    drop(bench.provider.refresh_now());
    settle().await;
    assert_eq!((bench.started(), bench.clock.sleepers()), (1, 0));
}

#[tokio::test]
async fn a_provider_dropped_mid_flight_leaks_nothing() {
    let bench = Bench::new();
    let gate = bench.source.hold();
    let caller = bench.waiting();
    bench.source.wait_for_fetches(1).await;
    let Bench { provider, source, clock } = bench;
    // A waiter keeps the provider alive.
    drop(provider);
    gate.release();
    let bearer = caller.await.unwrap();
    assert_eq!(bearer.secret(), "token-1");
    assert_eq!(bearer.ticket().reject(&HeaderMap::new()), bearer_token::Rejection::Declined, "it is gone by now");

    let second = Bench::new();
    let gate = second.source.hold();
    drop(second.waiting());
    second.source.wait_for_fetches(1).await;
    drop(second.provider);
    gate.release();
    second.source.wait_for(|counts| counts.running == 0).await;
    settle().await;
    assert_eq!((clock.sleepers(), second.clock.sleepers()), (0, 0));
    assert_eq!(source.count().running, 0);
}

#[tokio::test]
async fn a_static_token_is_fetched_once_and_never_expires() {
    let clock = ManualClock::new();
    let provider = TokenProvider::builder(StaticToken::new("from-the-console"))
        .allow_origin("https://api.example.com")
        .platform(Platform::system().with_clock(clock.clone()))
        .build()
        .unwrap();
    let bearer = provider.token().await.unwrap();
    assert_eq!(bearer.expires_at(), None);
    clock.advance(100 * 365 * 24 * HOUR);
    let (token, ticket) = request(&provider).unwrap();
    assert_eq!(token, "from-the-console");
    // Without a successor, the rejected bearer soon returns.
    assert!(ticket.reject(&HeaderMap::new()).is_replay_useful());
    assert_eq!(provider.token().await.unwrap().ticket(), ticket);
    assert_eq!(ticket.reject(&HeaderMap::new()), bearer_token::Rejection::Declined);
}

#[tokio::test]
async fn a_provider_as_a_source_passes_on_the_expiry() {
    let inner = Bench::new();
    let outer = TokenProvider::builder(inner.provider.clone())
        .allow_origin("https://api.example.com")
        .policy(steady())
        .platform(Platform::system().with_clock(inner.clock.clone()))
        .build()
        .unwrap();
    let bearer = outer.token().await.unwrap();
    assert_eq!(bearer.secret(), "token-1");
    assert_eq!(bearer.expires_at(), inner.provider.status().expires_at);
    inner.source.push(Outcome::error(Error::new(ErrorKind::Refused, "no").with_oauth_code("invalid_grant")));
    inner.clock.advance(HOUR);
    let error = outer.token().await.unwrap_err();
    assert_eq!((error.kind(), error.oauth_code()), (ErrorKind::Refused, Some("invalid_grant")));
}

#[test]
fn the_futures_go_anywhere_and_print_nothing() {
    fn anywhere<T: Send + 'static>(_: &T) {}
    let bench = Bench::new();
    let future = bench.provider.token();
    anywhere(&future);
    anywhere(&bench.provider);
    bench.source.push(Outcome::token("planted-marker"));
    let bearer = block_on(bench.provider.token()).unwrap();
    let printed = format!("{future:?} {:?} {bearer:?} {:?}", bench.provider, bench.provider.status());
    assert!(!printed.contains("planted-marker"), "{printed}");
}

#[tokio::test]
async fn a_source_waiting_for_its_own_provider_is_aborted() {
    let clock = ManualClock::new();
    let itself: Arc<std::sync::OnceLock<TokenProvider>> = Arc::default();
    let known = itself.clone();
    let source = move |_cx: FetchContext| {
        let provider = known.get().cloned();
        async move {
            match provider {
                Some(provider) => provider.token().await.map(|bearer| AccessToken::new(bearer.secret())),
                None => pending().await,
            }
        }
    };
    let provider =
        TokenProvider::builder(source).platform(Platform::system().with_clock(clock.clone())).build().unwrap();
    itself.set(provider.clone()).unwrap();
    let caller = waiting(provider.token());
    // The caller, the driver, and the source as a caller.
    clock.wait_for_sleepers(3).await;
    clock.advance(10 * SECOND);
    assert_eq!(secret(caller.await), Err(ErrorKind::Timeout));
}
