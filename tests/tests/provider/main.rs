//! The provider under a manual clock, with a scripted source. No test waits for real time.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::async_yields_async, reason = "that futures move between tasks and runtimes is what is tested")]

mod failures;
mod flight;
mod lifetimes;
mod rejections;
mod runtimes;
mod sending;
mod storm;

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use bearer_token::{
    Authorized, Bearer, Error, ErrorKind, Policy, Ticket, TokenFuture, TokenProvider,
    platform::{Entropy, Platform},
};
use bearer_token_testing::{ManualClock, ScriptedSource};
use http::{HeaderMap, Uri, header::AUTHORIZATION};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// When a token with a lifetime of an hour becomes stale and expired under the policy of [`Bench::new`].
const STALE: Duration = Duration::from_secs(48 * 60);
const EXPIRED: Duration = Duration::from_secs(3_590);

/// A provider whose surroundings the test controls.
struct Bench {
    clock: ManualClock,
    source: ScriptedSource,
    provider: TokenProvider,
}

impl Bench {
    fn new() -> Self {
        Bench::with(steady(), |platform| platform)
    }

    fn with(policy: Policy, platform: impl FnOnce(Platform) -> Platform) -> Self {
        let (clock, source) = (ManualClock::new(), ScriptedSource::new());
        let platform = platform(Platform::system().with_clock(clock.clone()).with_entropy(Highest));
        let provider = TokenProvider::builder(source.clone())
            .allow_origin("https://api.example.com")
            .policy(policy)
            .platform(platform)
            .build()
            .unwrap();
        Bench { clock, source, provider }
    }

    /// A bench whose provider has just fetched `token-1`.
    async fn serving() -> Self {
        let bench = Bench::new();
        assert_eq!(secret(bench.provider.token().await), Ok("token-1".into()));
        bench
    }

    fn started(&self) -> u64 {
        self.source.count().started
    }

    /// The headers of a request to the API, if it may be sent.
    fn request(&self) -> Option<(String, Ticket)> {
        request(&self.provider)
    }

    /// The token of a request to the API, if it may be sent.
    fn sent(&self) -> Option<String> {
        self.request().map(|(token, _)| token)
    }

    /// Advances the clock once this many futures wait for it: the waiters, and the driver of each flight.
    async fn advance_with(&self, sleepers: usize, time: Duration) {
        self.clock.wait_for_sleepers(sleepers).await;
        self.clock.advance(time);
    }

    /// A future that has been polled once and waits.
    fn waiting(&self) -> TokenFuture {
        waiting(self.provider.token())
    }
}

/// A policy that refreshes at a predictable moment.
fn steady() -> Policy {
    Policy::default().jitter(false)
}

/// Randomness that always draws the highest number, so cool-downs have their full length.
struct Highest;

impl Entropy for Highest {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        bytes.fill(0xff);
        Ok(())
    }
}

fn request(provider: &TokenProvider) -> Option<(String, Ticket)> {
    let uri = Uri::from_static("https://api.example.com/orders");
    let mut headers = HeaderMap::new();
    match provider.authorize_headers((&uri).into(), &mut headers).unwrap() {
        Authorized::Inserted(ticket) => {
            let value = headers[AUTHORIZATION].to_str().unwrap();
            Some((value.strip_prefix("Bearer ").unwrap().to_owned(), ticket))
        }
        Authorized::NotReady => {
            assert!(headers.is_empty());
            None
        }
        other => panic!("the origin is allowed, found {other:?}"),
    }
}

fn secret(result: Result<Bearer, Error>) -> Result<String, ErrorKind> {
    result.map(|bearer| bearer.secret().to_owned()).map_err(|error| error.kind())
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn waiting(mut future: TokenFuture) -> TokenFuture {
    assert!(poll_once(&mut future).is_pending());
    future
}

/// Runs every other task of this thread's runtime until it waits.
async fn settle() {
    for _ in 0..20 {
        let mut yielded = false;
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        tokio::task::yield_now().await;
    }
}

/// An executor without a runtime: polls one future on this thread, and parks.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}
