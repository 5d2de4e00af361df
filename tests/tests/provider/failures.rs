//! Failures are shared, followed by a cool-down, and never permanent.

use bearer_token::{AccessToken, FetchContext, ProviderState, Retry, TokenSource};
use bearer_token_testing::Outcome;

use super::*;

fn outage() -> Error {
    Error::new(ErrorKind::Unavailable, "the authorization server rests")
}

fn asks_for(seconds: u64) -> Outcome {
    Outcome::error(outage().with_retry(Retry::Later { after: Some(Duration::from_secs(seconds)) }))
}

#[tokio::test]
async fn l05_no_fetch_starts_before_the_retry_after_time() {
    let bench = Bench::new();
    bench.source.push(asks_for(100));
    let sharers = [bench.waiting(), bench.waiting(), bench.waiting()];
    for sharer in sharers {
        assert_eq!(secret(sharer.await), Err(ErrorKind::Unavailable));
    }
    for second in 0..100 {
        assert_eq!(secret(bench.provider.token().await), Err(ErrorKind::Unavailable), "second {second}");
        assert_eq!(bench.started(), 1, "second {second}");
        bench.clock.advance(SECOND);
    }
    assert_eq!(secret(bench.provider.token().await), Ok("token-2".into()));
}

#[tokio::test]
async fn l05_a_background_refresh_waits_for_retry_after_too() {
    let bench = Bench::serving().await;
    bench.clock.advance(STALE);
    bench.source.push(asks_for(60));
    for _ in 0..60 {
        assert_eq!(bench.sent().as_deref(), Some("token-1"));
        settle().await;
        assert_eq!(bench.started(), 2);
        bench.clock.advance(SECOND);
    }
    assert_eq!(bench.sent().as_deref(), Some("token-1"));
    settle().await;
    assert_eq!(bench.sent().as_deref(), Some("token-3"));
}

#[tokio::test]
async fn l05_refresh_now_may_try_earlier_for_itself_only() {
    let bench = Bench::new();
    bench.source.push(asks_for(100));
    bench.source.push(Outcome::error(Error::new(ErrorKind::Transport, "no route")));
    assert_eq!(secret(bench.provider.token().await), Err(ErrorKind::Unavailable));
    bench.clock.advance(10 * SECOND);
    assert_eq!(secret(bench.provider.refresh_now().await), Err(ErrorKind::Transport));
    bench.clock.advance(89 * SECOND);
    assert_eq!(secret(bench.provider.token().await), Err(ErrorKind::Transport));
    assert_eq!(bench.started(), 2);
    bench.clock.advance(SECOND);
    assert_eq!(secret(bench.provider.token().await), Ok("token-3".into()));
}

#[tokio::test]
async fn l05_a_wait_reads_the_cache_again_when_it_ends() {
    let bench = Bench::new();
    bench.source.push(Outcome::error(outage()));
    let slow = bench.waiting();
    let prompt = bench.waiting();
    assert_eq!(secret(prompt.await), Err(ErrorKind::Unavailable));
    bench.clock.advance(SECOND);
    assert_eq!(secret(bench.provider.token().await), Ok("token-2".into()));
    // Its task is polled only now.
    assert_eq!(secret(slow.await), Ok("token-2".into()));
    assert_eq!(bench.started(), 2);
}

#[tokio::test]
async fn l06_a_failed_refresh_neither_surfaces_nor_disturbs_a_valid_token() {
    let bench = Bench::serving().await;
    bench.source.otherwise(Outcome::error(outage()));
    bench.clock.advance(STALE);
    let mut seconds = STALE;
    while seconds < EXPIRED {
        assert_eq!(bench.sent().as_deref(), Some("token-1"));
        assert_eq!(secret(bench.provider.token().await), Ok("token-1".into()));
        settle().await;
        bench.clock.advance(SECOND);
        seconds += SECOND;
    }
    // It retries with growing pauses: at 1, 3, 7, 15, 31, 63 s, then once a minute.
    let status = bench.provider.status();
    assert!((12..=20).contains(&bench.started()), "{}", bench.started());
    assert_eq!(u64::from(status.failures_in_a_row), bench.started() - 1);
    // There is no usable token any more. The first caller who finds none tries once.
    assert_eq!(bench.sent(), None);
    let before = bench.started();
    for _ in 0..2 {
        assert_eq!(secret(bench.provider.token().await), Err(ErrorKind::Unavailable));
    }
    assert_eq!(bench.started(), before + 1);
    bench.source.otherwise(Outcome::numbered());
    bench.clock.advance(bench.provider.status().cool_down);
    assert!(bench.provider.token().await.is_ok());
}

#[tokio::test]
async fn l06_a_hung_refresh_is_aborted_and_delays_no_caller() {
    let bench = Bench::serving().await;
    bench.source.push(Outcome::hang());
    bench.clock.advance(STALE);
    for _ in 0..10 {
        assert_eq!(bench.sent().as_deref(), Some("token-1"));
        settle().await;
        bench.clock.advance(SECOND);
    }
    settle().await;
    assert_eq!(bench.source.count().aborted, 1);
    bench.clock.advance(SECOND);
    assert_eq!(bench.sent().as_deref(), Some("token-1"));
    settle().await;
    assert_eq!(bench.sent().as_deref(), Some("token-3"));
}

#[tokio::test]
async fn l07_no_failure_is_permanent_or_needs_a_restart() {
    let kinds = [
        ErrorKind::Config,
        ErrorKind::Signing,
        ErrorKind::Transport,
        ErrorKind::Timeout,
        ErrorKind::Unavailable,
        ErrorKind::Refused,
        ErrorKind::Response,
        ErrorKind::Token,
        ErrorKind::Source,
        ErrorKind::Abandoned,
    ];
    let mut table: Vec<_> = kinds.map(|kind| (Outcome::error(Error::new(kind, "")), kind)).into();
    table.extend([
        (Outcome::error(Error::new(ErrorKind::Refused, "").with_oauth_code("invalid_client")), ErrorKind::Refused),
        (Outcome::token(""), ErrorKind::Token),
        (Outcome::token("two lines\r\nx: y"), ErrorKind::Token),
        (Outcome::panic(), ErrorKind::Panicked),
    ]);
    for (outcome, kind) in table {
        let bench = Bench::new();
        // Even after a hundred failures, the next attempt is at most minutes away.
        let mut longest = Duration::ZERO;
        for _ in 0..100 {
            bench.source.push(outcome.clone());
            assert_eq!(secret(bench.provider.token().await), Err(kind));
            let status = bench.provider.status();
            assert_eq!(status.state, ProviderState::CoolingDown);
            longest = longest.max(status.cool_down);
            bench.clock.advance(status.cool_down);
        }
        assert!(longest >= MINUTE && longest <= 5 * MINUTE, "{outcome:?}: {longest:?}");
        assert_eq!(bench.started(), 100);
        assert_eq!(secret(bench.provider.token().await), Ok("token-101".into()), "{outcome:?}");
        assert_eq!(bench.provider.status().failures_in_a_row, 0);
    }
}

#[tokio::test]
async fn l07_refresh_now_after_a_fix_does_not_wait() {
    let bench = Bench::new();
    bench.source.push(Outcome::error(Error::new(ErrorKind::Refused, "").with_oauth_code("invalid_client")));
    assert_eq!(secret(bench.provider.token().await), Err(ErrorKind::Refused));
    assert_eq!(secret(bench.provider.refresh_now().await), Ok("token-2".into()));
    assert_eq!(secret(bench.provider.token().await), Ok("token-2".into()));
}

#[tokio::test]
async fn l12_a_panicking_source_fails_only_that_flight() {
    for held in [false, true] {
        let bench = Bench::new();
        bench.source.push(Outcome::panic());
        // A held source panics after its first wait.
        let gate = held.then(|| bench.source.hold());
        let callers = [bench.waiting(), bench.waiting()];
        bench.source.wait_for_fetches(1).await;
        drop(gate);
        for caller in callers {
            assert_eq!(secret(caller.await), Err(ErrorKind::Panicked));
        }
        bench.clock.advance(SECOND);
        assert_eq!(secret(bench.provider.token().await), Ok("token-2".into()));
    }
}

#[tokio::test]
async fn l12_a_panic_before_the_sources_future_is_caught() {
    struct Torn(std::sync::atomic::AtomicBool);
    impl TokenSource for Torn {
        #[allow(clippy::manual_async_fn, reason = "the panic is to come before the future")]
        fn fetch(&self, _cx: FetchContext) -> impl Future<Output = Result<AccessToken, Error>> + Send {
            if !self.0.swap(true, std::sync::atomic::Ordering::SeqCst) {
                std::panic::resume_unwind(Box::new("torn"));
            }
            async { Ok(AccessToken::new("whole")) }
        }
    }
    let clock = ManualClock::new();
    let provider = TokenProvider::builder(Torn(false.into()))
        .platform(Platform::system().with_clock(clock.clone()))
        .build()
        .unwrap();
    assert_eq!(secret(provider.token().await), Err(ErrorKind::Panicked));
    clock.advance(SECOND);
    assert_eq!(secret(provider.token().await), Ok("whole".into()));
}

#[tokio::test]
async fn l12_a_panic_in_a_background_refresh_stays_unseen() {
    let bench = Bench::serving().await;
    bench.source.push(Outcome::panic());
    bench.clock.advance(STALE);
    assert_eq!(bench.sent().as_deref(), Some("token-1"));
    settle().await;
    assert_eq!(bench.sent().as_deref(), Some("token-1"));
    bench.clock.advance(SECOND);
    assert_eq!(bench.sent().as_deref(), Some("token-1"));
    settle().await;
    assert_eq!(bench.sent().as_deref(), Some("token-3"));
}

#[tokio::test]
async fn l37_without_a_token_there_is_nothing_to_send() {
    let bench = Bench::new();
    bench.source.otherwise(Outcome::error(outage()));
    let uri = Uri::from_static("https://api.example.com/orders");
    for _ in 0..3 {
        let mut headers = HeaderMap::new();
        // `Passed` would be a request without a token.
        assert_eq!(bench.provider.authorize_headers((&uri).into(), &mut headers).unwrap(), Authorized::NotReady);
        assert!(headers.is_empty());
        assert_eq!(secret(bench.provider.token().await), Err(ErrorKind::Unavailable));
    }
    assert_eq!(bench.started(), 1);
}

#[tokio::test]
async fn the_status_tells_how_it_stands() {
    let bench = Bench::new();
    let state = || bench.provider.status().state;
    assert_eq!(state(), ProviderState::Empty);
    bench.source.push(Outcome::error(outage()));
    assert!(bench.provider.token().await.is_err());
    let status = bench.provider.status();
    assert_eq!((status.state, status.is_ready()), (ProviderState::CoolingDown, false));
    assert_eq!(status.last_error.map(|error| error.kind()), Some(ErrorKind::Unavailable));
    assert_eq!((status.failures_in_a_row, status.cool_down, status.expires_at), (1, SECOND, None));

    bench.clock.advance(SECOND);
    assert_eq!(state(), ProviderState::Empty);
    bench.provider.token().await.unwrap();
    let status = bench.provider.status();
    assert_eq!((status.state, status.is_ready(), status.failures_in_a_row), (ProviderState::Fresh, true, 0));
    let now = bearer_token::platform::Clock::now(&bench.clock);
    assert_eq!(status.expires_at, Some(now.wall() + HOUR));
    assert!(status.last_error.is_none());

    bench.clock.advance(STALE);
    assert_eq!(state(), ProviderState::Stale);
    bench.source.push(Outcome::error(outage()));
    assert!(bench.sent().is_some());
    settle().await;
    let status = bench.provider.status();
    assert_eq!((status.state, status.is_ready(), status.failures_in_a_row), (ProviderState::Stale, true, 1));

    bench.clock.advance(HOUR);
    let status = bench.provider.status();
    assert_eq!((status.state, status.is_ready(), status.expires_at), (ProviderState::Empty, false, None));
    assert_eq!(bench.started(), 3, "looking starts nothing");
}
