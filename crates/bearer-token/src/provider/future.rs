//! Waiting for a token.
//!
//! The future goes around a loop until it has a result:
//!
//! ```text
//! enter --- a bearer, or an error in a cool-down -----------------------> ready
//!   |  `--- a flight of another caller: a place in it
//!   |  `--- none: begin one; spawn its driver, or carry it in this future
//!   v
//! wait ---- done, and it is what this caller wants ----------------------> ready
//!   ^  `--- done, too late or withdrawn: enter again
//!   |  `--- abandoned: enter again; after five of them -----------------> an error
//!   `------ overdue: abandon it, enter again
//! ```
//!
//! It is `Unpin`, has no lock of its own and no state that a drop would have to undo. A caller may go away at any
//! point.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{Inner, contained::contained};
use crate::{
    error::{Error, ErrorKind},
    observe::{EventKind, WaitOutcome},
    platform::BoxFuture,
    provider::{
        bearer::Bearer,
        cache::{Decision, Fetched, TokenFlight, Want},
        constants::MOST_ABANDONED,
        flight::{Outcome, Waiter},
    },
};

/// Waits for a token; made by [`TokenProvider::token`](super::TokenProvider::token) and
/// [`refresh_now`](super::TokenProvider::refresh_now).
///
/// It may be polled in any runtime or outside of one, and dropped at any time.
///
/// ```
/// use bearer_token::{StaticToken, TokenProvider};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let provider = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA")).build()?;
/// // A limit of the caller's own. The fetch continues for others, and for the next request.
/// let bearer = tokio::time::timeout(Duration::from_secs(2), provider.token()).await??;
/// # let _ = bearer; Ok(()) }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct TokenFuture {
    provider: Arc<Inner>,
    want: Want,
    waiting: Option<Waiting>,
    abandoned: u32,
    /// Whether the spawner has let a flight down.
    distrust: bool,
    /// When it began to wait, on the monotonic clock, if an observer wants to know.
    waits_since: Option<Duration>,
}

struct Waiting {
    waiter: Waiter<Fetched>,
    /// The time at which this waiter gives up the flight. The waiter has its own timer, because the driver's runtime
    /// may no longer be driven.
    overdue: BoxFuture<()>,
    /// The fetch itself, if no task could be spawned for it. Dropping it abandons the flight.
    driver: Option<BoxFuture<()>>,
    /// Whether this waiter began the flight, or has lost its patience with it.
    counts: bool,
}

impl TokenFuture {
    pub(super) fn new(provider: Arc<Inner>, want: Want) -> Self {
        TokenFuture { provider, want, waiting: None, abandoned: 0, distrust: false, waits_since: None }
    }

    /// A place in a flight, with a timer for its end.
    fn subscribe(&self, flight: &Arc<TokenFlight>, driver: Option<BoxFuture<()>>, counts: bool) -> Waiting {
        let overdue = self.provider.platform.sleep_until(flight.overdue());
        Waiting { waiter: flight.subscribe(), overdue, driver, counts }
    }

    /// The bearer in service, where that is all that is wanted.
    pub(super) fn served(&self) -> Option<Bearer> {
        if self.want == Want::Token { self.provider.serve(self.provider.platform.now()) } else { None }
    }

    /// Takes a waiter in a flight, or learns that none is needed.
    fn enter(&mut self) -> Result<Waiting, Result<Bearer, Error>> {
        let now = self.provider.platform.now();
        if self.want == Want::Token
            && let Some(bearer) = self.provider.serve(now)
        {
            return Err(Ok(bearer));
        }
        let mut entry = self.provider.cache.decide(self.want, now);
        if let Decision::Refuse(error) = &entry
            && self.provider.has_cause_changed(error, now)
        {
            self.provider.cache.forgive(error, now);
            entry = self.provider.cache.decide(self.want, now);
        }
        match entry {
            Decision::Serve(bearer) => Err(Ok(bearer)),
            Decision::Refuse(error) => Err(Err(error)),
            Decision::Wait(flight) => Ok(self.subscribe(&flight, None, false)),
            Decision::Begin(start) => {
                let flight = start.flight.clone();
                let driver = self.provider.driver(start);
                // A runtime that drops what it is given has had its chance.
                let driver = if self.distrust {
                    Some(driver)
                } else {
                    // A spawner that panics has dropped the driver, and so ended the flight.
                    contained(|| self.provider.platform.spawn_awaited(driver)).and_then(Result::err)
                };
                Ok(self.subscribe(&flight, driver, true))
            }
            // Only refreshes in the background get this, and a look at the credential of an evicted provider.
            Decision::Nothing => Err(Err(self.gave_up())),
        }
    }

    /// Reports a wait that has ended.
    fn waited(&mut self, outcome: WaitOutcome) {
        if let Some(since) = self.waits_since.take() {
            let now = contained(|| self.provider.platform.now().monotonic()).unwrap_or(since);
            let duration = now.saturating_sub(since);
            self.provider.observers.tell(EventKind::Waited { outcome, duration });
        }
    }

    /// Reports that the caller gets an error without a wait. One that has waited is reported by
    /// [`waited`](Self::waited).
    #[cold]
    fn refused(&self, error: &Error) {
        if self.waits_since.is_none() {
            self.provider.observers.tell(EventKind::CallerRefused { error });
        }
    }

    /// The error after too many abandoned flights.
    fn gave_up(&self) -> Error {
        let error = Error::new(
            ErrorKind::Abandoned,
            "the fetch ended without a result, again and again: the runtime that carried it was shut down or is not \
             driven; keep a runtime running, or give the provider one with Platform::with_spawn",
        )
        .with_provider(&self.provider.name);
        self.provider.observers.tell(EventKind::GaveUp { error: &error });
        error
    }
}

impl Future for TokenFuture {
    type Output = Result<Bearer, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.poll_result(cx));
        self.waited(if result.is_ok() { WaitOutcome::Served } else { WaitOutcome::Failed });
        Poll::Ready(result)
    }
}

impl Drop for TokenFuture {
    fn drop(&mut self) {
        self.waited(WaitOutcome::Dropped);
    }
}

impl TokenFuture {
    /// The loop of the module's picture.
    fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bearer, Error>> {
        let this = self;
        loop {
            let waiting = match &mut this.waiting {
                Some(waiting) => waiting,
                None => match this.enter() {
                    Ok(waiting) => {
                        if this.waits_since.is_none() && this.provider.observers.is_on() {
                            this.waits_since = Some(this.provider.platform.now().monotonic());
                        }
                        this.waiting.insert(waiting)
                    }
                    Err(result) => return Poll::Ready(result.inspect_err(|error| this.refused(error))),
                },
            };
            if let Some(driver) = &mut waiting.driver
                && driver.as_mut().poll(cx).is_ready()
            {
                waiting.driver = None;
            }
            match waiting.waiter.poll(cx) {
                Poll::Ready(Outcome::Done(fetched)) => {
                    this.waiting = None;
                    let now = this.provider.platform.now();
                    if let Some(result) = this.provider.cache.settle(this.want, fetched, now) {
                        return Poll::Ready(result);
                    }
                }
                Poll::Ready(Outcome::Abandoned) => {
                    this.distrust = true;
                    this.abandoned += u32::from(waiting.counts);
                    this.waiting = None;
                    if this.abandoned >= MOST_ABANDONED {
                        return Poll::Ready(Err(this.gave_up()));
                    }
                }
                Poll::Pending => {
                    if waiting.overdue.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    waiting.counts = true;
                    // Wakes this one too, with `Abandoned`.
                    this.provider.abandon(waiting.waiter.flight(), this.provider.platform.now());
                }
            }
        }
    }
}

impl fmt::Debug for TokenFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFuture").field("want", &self.want).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use std::{
        future::poll_fn,
        pin::pin,
        sync::atomic::{AtomicBool, Ordering},
        task::Waker,
    };

    use super::*;
    use crate::{AccessToken, FetchContext, TokenProvider};

    fn poll(future: &mut TokenFuture) -> Poll<Result<Bearer, Error>> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn l03_callers_that_go_away_cost_a_patient_one_nothing() {
        let open = Arc::new(AtomicBool::new(false));
        let gate = open.clone();
        let source = move |_cx: FetchContext| {
            let gate = gate.clone();
            poll_fn(move |_| match gate.load(Ordering::Relaxed) {
                true => Poll::Ready(Ok(AccessToken::new("token"))),
                false => Poll::Pending,
            })
        };
        let provider = TokenProvider::builder(source).build().unwrap();
        let mut patient = provider.token();
        for _ in 0..3 * MOST_ABANDONED {
            // It carries the fetch, the patient one waits for it, and it goes.
            let mut impatient = provider.token();
            assert!(poll(&mut impatient).is_pending());
            assert!(poll(&mut patient).is_pending());
            drop(impatient);
            let mut other = provider.token();
            assert!(poll(&mut other).is_pending());
            assert!(poll(&mut patient).is_pending());
        }
        open.store(true, Ordering::Relaxed);
        assert_eq!(
            poll(&mut patient).map(|result| result.unwrap().secret().to_owned()),
            Poll::Ready("token".to_owned())
        );
    }
}
