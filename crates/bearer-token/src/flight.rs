//! Single flight: one fetch, shared by all who wait for it.
//!
//! Three parts. A [`Flight`] is the shared outcome and the list of those who wait. A [`Pilot`] is the one task that
//! polls the fetch; it lands the flight, and abandons it if it is dropped before. A [`Seat`] is one waiter's place.
//!
//! Nothing here depends on a runtime being alive: whoever waits has a deadline of its own, set by its owner, and
//! abandons a flight whose pilot is no longer driven.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    platform::{BoxFuture, Now},
    sync::{Mutex, lock},
};

/// The one fetch in progress.
pub(crate) struct Flight<T> {
    overdue: Duration,
    state: Mutex<State<T>>,
}

struct State<T> {
    outcome: Option<Outcome<T>>,
    // A vacant place is `None`, and is listed in `vacant`.
    waiters: Vec<Option<Waker>>,
    vacant: Vec<usize>,
}

/// How a flight ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome<T> {
    Landed(T),
    /// Its pilot is gone, or is not driven any more. Another flight may start.
    Abandoned,
}

impl<T: Clone> Flight<T> {
    /// A flight that should have landed by `overdue`, of the monotonic clock.
    pub(crate) fn new(overdue: Duration) -> Arc<Self> {
        let state = State { outcome: None, waiters: Vec::new(), vacant: Vec::new() };
        Arc::new(Flight { overdue, state: Mutex::new(state) })
    }

    /// When nobody needs to wait for the pilot any longer, by the monotonic clock.
    pub(crate) fn overdue(&self) -> Duration {
        self.overdue
    }

    /// Whether that time has come. A step of the wall clock does not count: the pilot aborts its fetch by the monotonic
    /// clock, and a source is never to be asked twice at a time.
    pub(crate) fn is_overdue(&self, now: Now) -> bool {
        now.monotonic() >= self.overdue
    }

    /// Ends the flight and wakes everybody. Only the first end counts.
    pub(crate) fn end(&self, outcome: Outcome<T>) {
        let waiters = {
            let mut state = lock(&self.state);
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some(outcome);
            std::mem::take(&mut state.waiters)
        };
        // Outside the lock: a waker is a stranger's code.
        for waker in waiters.into_iter().flatten() {
            waker.wake();
        }
    }

    /// A place among those who wait.
    pub(crate) fn board(self: &Arc<Self>) -> Seat<T> {
        Seat { flight: self.clone(), place: None }
    }
}

/// One waiter's place in a flight. Dropping it leaves the flight, and changes nothing for the others.
pub(crate) struct Seat<T> {
    flight: Arc<Flight<T>>,
    place: Option<usize>,
}

impl<T: Clone> Seat<T> {
    pub(crate) fn flight(&self) -> &Arc<Flight<T>> {
        &self.flight
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome<T>> {
        // Clone and drop wakers outside the lock: they are a stranger's code.
        let mut waker = Some(cx.waker().clone());
        let mut state = lock(&self.flight.state);
        if let Some(outcome) = &state.outcome {
            let outcome = outcome.clone();
            drop(state);
            return Poll::Ready(outcome);
        }
        let place = match self.place {
            Some(place) => place,
            None => state.vacant.pop().unwrap_or_else(|| {
                state.waiters.push(None);
                state.waiters.len() - 1
            }),
        };
        self.place = Some(place);
        if let Some(seat) = state.waiters.get_mut(place) {
            std::mem::swap(seat, &mut waker);
        }
        drop(state);
        Poll::Pending
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let waker = {
            let mut state = lock(&self.flight.state);
            // After the end the list is gone.
            let waker = state.waiters.get_mut(place).and_then(Option::take);
            if state.outcome.is_none() {
                state.vacant.push(place);
            }
            waker
        };
        drop(waker);
    }
}

/// Why a fetch gave no result of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accident {
    Panicked,
    TimedOut,
    /// The pilot was dropped: its task was cancelled, or its runtime shut down.
    Dropped,
}

/// The one task that polls the fetch of a flight, and reports exactly once how it went.
pub(crate) struct Pilot<R, F: FnOnce(Result<R, Accident>)> {
    fetch: Option<BoxFuture<R>>,
    deadline: BoxFuture<()>,
    report: Option<F>,
}

impl<R, F: FnOnce(Result<R, Accident>)> Pilot<R, F> {
    pub(crate) fn new(fetch: BoxFuture<R>, deadline: BoxFuture<()>, report: F) -> Self {
        Pilot { fetch: Some(fetch), deadline, report: Some(report) }
    }

    fn finish(&mut self, result: Result<R, Accident>) {
        // The fetch goes first: its connection is closed before anybody starts another. Its drop is a stranger's code.
        let fetch = self.fetch.take();
        drop(catch_unwind(AssertUnwindSafe(|| drop(fetch))));
        if let Some(report) = self.report.take() {
            report(result);
        }
    }
}

impl<R, F: FnOnce(Result<R, Accident>) + Unpin> Future for Pilot<R, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let pilot = &mut *self;
        let Some(fetch) = &mut pilot.fetch else { return Poll::Ready(()) };
        match catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(cx))) {
            Ok(Poll::Ready(result)) => pilot.finish(Ok(result)),
            Err(_panic) => pilot.finish(Err(Accident::Panicked)),
            Ok(Poll::Pending) => {
                if pilot.deadline.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                pilot.finish(Err(Accident::TimedOut));
            }
        }
        Poll::Ready(())
    }
}

impl<R, F: FnOnce(Result<R, Accident>)> Drop for Pilot<R, F> {
    fn drop(&mut self) {
        self.finish(Err(Accident::Dropped));
    }
}
