//! User code that panics: the clock, the randomness, the spawner. The flight ends at once, and others do not wait for
//! it.
#![allow(clippy::panic, reason = "user code that panics")]

use std::{
    future::{self, Future as _},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{KeyedProviders, ProviderState, TokenFuture, TokenProvider};
use crate::{
    error::{Error, ErrorKind},
    platform::{BoxFuture, Clock, Entropy, Moment, Platform, Spawn},
    provider::bearer::Bearer,
    source::{CredentialInUse, FetchContext, StaticToken, TokenSource},
    test_support::ManualClock,
    token::AccessToken,
};

/// A clock that panics at its nth call from when it is armed, once.
#[derive(Clone)]
struct Faulty {
    clock: ManualClock,
    /// Calls until the panic; zero: never.
    now: Arc<AtomicUsize>,
    sleep: Arc<AtomicUsize>,
    timer: Arc<AtomicUsize>,
}

fn tick(left: &AtomicUsize, what: &str) {
    let before = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
    assert!(before != Ok(1), "told to panic: {what}");
}

impl Clock for Faulty {
    fn now(&self) -> Moment {
        tick(&self.now, "now");
        self.clock.now()
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        tick(&self.sleep, "sleep_until");
        let (timer, mut sleep) = (self.timer.clone(), self.clock.sleep_until(deadline));
        Box::pin(future::poll_fn(move |cx| {
            tick(&timer, "the timer");
            sleep.as_mut().poll(cx)
        }))
    }
}

fn faulty() -> Faulty {
    let [now, sleep, timer] = [(); 3].map(|()| Arc::default());
    Faulty { clock: ManualClock::default(), now, sleep, timer }
}

struct NoRandomness;

impl Entropy for NoRandomness {
    fn fill(&self, _: &mut [u8]) -> Result<(), Error> {
        panic!("told to panic");
    }
}

struct NoSpawn;

impl Spawn for NoSpawn {
    fn spawn(&self, _task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        panic!("told to panic");
    }
}

fn poll(future: Pin<&mut TokenFuture>) -> Poll<Result<Bearer, Error>> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Two callers, the second of which only waits. The first may be taken down by the panic.
fn two_callers(provider: &TokenProvider) -> [Option<Poll<Result<Bearer, Error>>>; 2] {
    let (first, second) = (provider.token(), provider.token());
    let (mut first, mut second) = (pin!(first), pin!(second));
    let first = super::contained::contained(|| poll(first.as_mut()));
    let second = super::contained::contained(|| poll(second.as_mut()));
    [first, second]
}

#[test]
fn a_clock_that_panics_ends_its_flight_at_once() {
    // The calls of the first caller: its entry, the context of the fetch, the start of the task, its report, its end.
    for nth in 1..=5 {
        let clock = faulty();
        let source = async |_cx: FetchContext| Ok(AccessToken::new("token"));
        let provider =
            TokenProvider::builder(source).platform(Platform::system().with_clock(clock.clone())).build().unwrap();
        clock.now.store(nth, SeqCst);
        let [first, second] = two_callers(&provider);
        assert!(matches!(second, Some(Poll::Ready(_))), "call {nth}: {first:?} {second:?}");
    }
}

#[test]
fn a_timer_that_panics_is_the_error_of_every_waiter() {
    for which in [0, 1] {
        let clock = faulty();
        let source = async |_cx: FetchContext| future::pending().await;
        let provider =
            TokenProvider::builder(source).platform(Platform::system().with_clock(clock.clone())).build().unwrap();
        [&clock.sleep, &clock.timer][which].store(1, SeqCst);
        for caller in two_callers(&provider) {
            let Some(Poll::Ready(Err(error))) = caller else { panic!("{which}: {caller:?}") };
            assert_eq!(error.kind(), ErrorKind::Panicked);
            assert!(error.to_string().contains("clock panicked"), "{error}");
        }
        assert_eq!(provider.status().failures_in_a_row, 1);
    }
}

#[test]
fn randomness_that_panics_costs_no_token() {
    let source = async |_cx: FetchContext| Ok(AccessToken::new("token"));
    let provider =
        TokenProvider::builder(source).platform(Platform::system().with_entropy(NoRandomness)).build().unwrap();
    for caller in two_callers(&provider) {
        let Some(Poll::Ready(Ok(bearer))) = caller else { panic!("{caller:?}") };
        assert_eq!(bearer.secret(), "token");
    }
}

#[test]
fn a_spawner_that_panics_leaves_the_fetch_to_the_callers() {
    let source = async |_cx: FetchContext| Ok(AccessToken::new("token"));
    let provider = TokenProvider::builder(source).platform(Platform::system().with_spawn(NoSpawn)).build().unwrap();
    for caller in two_callers(&provider) {
        let Some(Poll::Ready(Ok(bearer))) = caller else { panic!("{caller:?}") };
        assert_eq!(bearer.secret(), "token");
    }
}

#[tokio::test]
async fn a_spawner_that_panics_costs_no_request_its_stale_token() {
    let clock = ManualClock::default();
    let platform = clock.platform().with_spawn(NoSpawn);
    let source = async |_cx: FetchContext| Ok(AccessToken::new("token").expires_in(Duration::from_secs(100)));
    let provider = TokenProvider::builder(source).platform(platform).build().unwrap();
    provider.token().await.unwrap();
    clock.advance(Duration::from_secs(80));
    assert_eq!(provider.token().await.unwrap().secret(), "token");
}

/// A source that panics when it is asked for its credential.
struct Speechless;

impl TokenSource for Speechless {
    async fn fetch(&self, _cx: FetchContext) -> Result<AccessToken, Error> {
        Ok(AccessToken::new("token"))
    }

    fn credential_in_use(&self) -> Option<CredentialInUse> {
        panic!("told to panic");
    }
}

#[tokio::test]
async fn a_panic_in_credential_in_use_leaves_the_rest_of_the_status() {
    let providers = KeyedProviders::builder(|name: &&str| match *name {
        "fine" => Ok(TokenProvider::builder(StaticToken::new("t"))),
        _ => Ok(TokenProvider::builder(Speechless)),
    });
    let providers = providers.build().unwrap();
    for name in ["fine", "speechless"] {
        providers.get(&name).unwrap().token().await.unwrap();
    }
    let speechless = providers.get(&"speechless").unwrap();
    let status = speechless.probe();
    assert_eq!((status.state, status.credential.is_none()), (ProviderState::Fresh, true));
    assert!(format!("{speechless:?}").contains("Fresh"), "{speechless:?}");
    assert_eq!(providers.status(9).fresh, 2);
    let mut kept = 0;
    providers.retain(|_, _| {
        kept += 1;
        true
    });
    assert_eq!(kept, 2);
}
