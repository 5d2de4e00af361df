//! Tests of the question whether a source has changed.
#![allow(clippy::disallowed_methods, reason = "callers of a test are tasks")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use super::TokenProvider;
use crate::{
    error::{Error, ErrorKind},
    source::{FetchContext, TokenSource},
    test_support::ManualClock,
    token::AccessToken,
};

/// Fails as it is told, and says whether it has changed as it is told.
#[derive(Clone, Default)]
struct Source(Arc<State>);

#[derive(Default)]
struct State {
    fails: Mutex<Option<ErrorKind>>,
    changed: AtomicBool,
    panics: AtomicBool,
    fetches: AtomicUsize,
    asked: AtomicUsize,
}

impl Source {
    fn counts(&self) -> (usize, usize) {
        (self.0.fetches.load(Relaxed), self.0.asked.load(Relaxed))
    }
}

impl TokenSource for Source {
    async fn fetch(&self, _cx: FetchContext) -> Result<AccessToken, Error> {
        self.0.fetches.fetch_add(1, Relaxed);
        match *self.0.fails.lock().unwrap() {
            Some(kind) => Err(Error::new(kind, "told to fail")),
            None => Ok(AccessToken::new("token").expires_in(Duration::from_secs(3_600))),
        }
    }

    fn has_changed(&self) -> bool {
        self.0.asked.fetch_add(1, Relaxed);
        assert!(!self.0.panics.load(Relaxed), "told to panic");
        self.0.changed.load(Relaxed)
    }
}

fn provider(fails: ErrorKind) -> (Source, ManualClock, TokenProvider) {
    let (source, clock) = (Source::default(), ManualClock::default());
    *source.0.fails.lock().unwrap() = Some(fails);
    let provider = TokenProvider::builder(source.clone()).platform(clock.platform()).build().unwrap();
    (source, clock, provider)
}

#[tokio::test]
async fn l24_a_change_ends_the_cool_down_after_a_terminal_failure() {
    let (source, clock, provider) = provider(ErrorKind::Refused);
    let first = provider.token().await.unwrap_err();
    assert_eq!(source.counts(), (1, 0));
    assert!(provider.token().await.unwrap_err().is(&first));
    assert_eq!(source.counts(), (1, 1), "asked, and nothing has changed");
    source.0.changed.store(true, Relaxed);
    assert!(provider.token().await.unwrap_err().is(&first));
    assert_eq!(source.counts(), (1, 1), "asked at most once a second");

    clock.advance(Duration::from_millis(1_000));
    *source.0.fails.lock().unwrap() = None;
    assert_eq!(provider.token().await.unwrap().secret(), "token");
    assert_eq!(source.counts(), (2, 2));
    provider.token().await.unwrap();
    assert_eq!(source.counts(), (2, 2), "never on the warm path");
}

#[tokio::test]
async fn a_useless_change_costs_one_fetch_a_second() {
    let (source, clock, provider) = provider(ErrorKind::Refused);
    provider.token().await.unwrap_err();
    source.0.changed.store(true, Relaxed);
    for round in 1..=10 {
        clock.advance(Duration::from_millis(1_000));
        let callers: Vec<_> = (0..20).map(|_| tokio::spawn(provider.token())).collect();
        for caller in callers {
            caller.await.unwrap().unwrap_err();
        }
        assert_eq!(source.counts(), (1 + round, round));
    }
    // The failures still count as failures in a row: without a change the wait is long by now.
    source.0.changed.store(false, Relaxed);
    clock.advance(Duration::from_millis(30_000));
    provider.token().await.unwrap_err();
    assert_eq!(source.counts().0, 11);
}

#[tokio::test]
async fn after_a_transient_failure_the_source_is_not_asked() {
    let (source, clock, provider) = provider(ErrorKind::Unavailable);
    source.0.changed.store(true, Relaxed);
    provider.token().await.unwrap_err();
    clock.advance(Duration::from_millis(200));
    provider.token().await.unwrap_err();
    assert_eq!(source.counts(), (1, 0));
}

#[tokio::test]
async fn l12_a_panic_in_has_changed_is_a_no() {
    let (source, _clock, provider) = provider(ErrorKind::Refused);
    provider.token().await.unwrap_err();
    source.0.panics.store(true, Relaxed);
    assert_eq!(provider.token().await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(source.counts(), (1, 1));
}

#[tokio::test]
async fn a_provider_passes_the_question_on_to_its_source() {
    let (source, clock, inner) = provider(ErrorKind::Refused);
    let platform = clock.platform();
    let outer = TokenProvider::builder(inner).platform(platform).build().unwrap();
    outer.token().await.unwrap_err();
    *source.0.fails.lock().unwrap() = None;
    source.0.changed.store(true, Relaxed);
    assert_eq!(outer.token().await.unwrap().secret(), "token");
}

/// A file looks unchanged as soon as it was read, although the server was not reached with its content.
#[tokio::test]
async fn a_change_that_was_read_in_an_outage_is_fetched_after_it() {
    let (source, clock, provider) = provider(ErrorKind::Unavailable);
    *source.0.fails.lock().unwrap() = None;
    provider.token().await.unwrap();
    *source.0.fails.lock().unwrap() = Some(ErrorKind::Unavailable);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(provider.refresh_when_changed(Duration::from_secs(1)));
    let pass = async |seconds: u32| {
        for _ in 0..seconds {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            clock.advance(Duration::from_secs(1));
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    };
    source.0.changed.store(true, Relaxed);
    pass(1).await;
    assert_eq!(source.counts().0, 2);
    source.0.changed.store(false, Relaxed);
    *source.0.fails.lock().unwrap() = None;
    pass(30).await;
    assert_eq!(source.counts().0, 3, "once more, and then no more");
}
