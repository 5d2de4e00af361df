//! Single flight: one fetch, shared by all of its waiters.
//!
//! There are three parts. A [`Flight`] has the shared outcome and the list of waiters. A [`Driver`] is the one task
//! that polls the fetch; it ends the flight, and abandons it if it is dropped before. A [`Waiter`] is one waiter's
//! place.
//!
//! Nothing here depends on a runtime being alive. Each waiter has a deadline of its own, set by its owner, and abandons
//! a flight whose driver is no longer driven.
//!
//! ```text
//!                         Flight
//!                  outcome: none | Done | Abandoned
//!                  waiters: [waker, -, waker, waker]      `-`: a place that is free again
//!                    ^                        |
//!   end, once        |                        |  wakes each, outside of the lock
//!                    |                        v
//!  Driver -- polls the fetch, then ends    Waiter, Waiter, Waiter
//!     |                                       | dropped: its place is free, no other waiter is affected
//!     | dropped: Abandoned                    | overdue: Abandoned
//! ```
//!
//! It is generic over its result, so it can be tested, and modelled, without tokens. It takes no clock: its owner says
//! when it is overdue.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    observe::{self, EventKind},
    platform::{BoxFuture, Moment},
    sync::{Mutex, lock},
};

/// The one fetch in progress.
pub(crate) struct Flight<T> {
    overdue: Duration,
    state: Mutex<FlightState<T>>,
}

/// Locked for moments only: no waker is called, cloned or dropped under it.
struct FlightState<T> {
    outcome: Option<Outcome<T>>,
    // A vacant place is `None`, and is listed in `vacant`.
    waiters: Vec<Option<Waker>>,
    vacant: Vec<usize>,
}

/// How a flight ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome<T> {
    Done(T),
    /// Its driver was dropped, or is no longer driven. Another flight may start.
    Abandoned,
}

impl<T: Clone> Flight<T> {
    /// A flight that should have ended by `overdue`, on the monotonic clock.
    pub(crate) fn new(overdue: Duration) -> Arc<Self> {
        let state = FlightState { outcome: None, waiters: Vec::new(), vacant: Vec::new() };
        Arc::new(Flight { overdue, state: Mutex::new(state) })
    }

    /// The time after which no waiter trusts the driver, on the monotonic clock.
    pub(crate) fn overdue(&self) -> Duration {
        self.overdue
    }

    /// Whether the flight should have ended by now. Only the monotonic clock counts, because the driver aborts its
    /// fetch by that clock. Otherwise a step of the wall clock would start a second fetch beside the first.
    pub(crate) fn is_overdue(&self, now: Moment) -> bool {
        now.monotonic() >= self.overdue
    }

    /// Ends the flight and wakes all waiters. Only the first end counts.
    pub(crate) fn end(&self, outcome: Outcome<T>) {
        let waiters = {
            let mut state = lock(&self.state);
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some(outcome);
            std::mem::take(&mut state.waiters)
        };
        // Woken outside the lock, and each one separately: wakers are user code, and if one panics, the others must
        // still be woken.
        for waker in waiters.into_iter().flatten() {
            if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
                observe::tell(EventKind::WakerPanicked {});
            }
        }
    }

    /// A place among the waiters.
    pub(crate) fn subscribe(self: &Arc<Self>) -> Waiter<T> {
        Waiter { flight: self.clone(), place: None }
    }
}

/// One waiter's place in a flight. Dropping it does not affect the flight or the other waiters.
pub(crate) struct Waiter<T> {
    flight: Arc<Flight<T>>,
    place: Option<usize>,
}

impl<T: Clone> Waiter<T> {
    /// The flight that it waits for.
    pub(crate) fn flight(&self) -> &Arc<Flight<T>> {
        &self.flight
    }

    /// Returns the outcome, or stores the waker of this poll in the list of waiters. A waiter that moved to another
    /// task is woken where it was polled last.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome<T>> {
        // Wakers are user code: clone and drop them outside the lock.
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
        if let Some(waiter) = state.waiters.get_mut(place) {
            std::mem::swap(waiter, &mut waker);
        }
        drop(state);
        Poll::Pending
    }
}

impl<T> Drop for Waiter<T> {
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
pub(crate) enum Interruption {
    /// The source panicked.
    Panicked,
    /// The clock panicked.
    PlatformPanicked,
    /// The deadline was reached first.
    TimedOut,
    /// The driver was dropped: its task was cancelled, or its runtime shut down.
    Dropped,
}

/// The one task that polls the fetch of a flight, and reports exactly once how it went.
pub(crate) struct Driver<R, F: FnOnce(Result<R, Interruption>)> {
    fetch: Option<BoxFuture<R>>,
    deadline: BoxFuture<()>,
    report: Option<F>,
}

impl<R, F: FnOnce(Result<R, Interruption>)> Driver<R, F> {
    /// A driver that was not polled yet. Dropping it reports [`Interruption::Dropped`].
    pub(crate) fn new(fetch: BoxFuture<R>, deadline: BoxFuture<()>, report: F) -> Self {
        Driver { fetch: Some(fetch), deadline, report: Some(report) }
    }

    /// Reports, once.
    fn finish(&mut self, result: Result<R, Interruption>) {
        // The fetch is dropped first, to close its connection before another fetch starts. Its drop is user code.
        let fetch = self.fetch.take();
        drop(catch_unwind(AssertUnwindSafe(|| drop(fetch))));
        if let Some(report) = self.report.take() {
            report(result);
        }
    }
}

impl<R, F: FnOnce(Result<R, Interruption>) + Unpin> Future for Driver<R, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        let Some(fetch) = &mut driver.fetch else { return Poll::Ready(()) };
        match catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(cx))) {
            Ok(Poll::Ready(result)) => driver.finish(Ok(result)),
            Err(_panic) => driver.finish(Err(Interruption::Panicked)),
            Ok(Poll::Pending) => {
                // The clock is user code, too.
                match catch_unwind(AssertUnwindSafe(|| driver.deadline.as_mut().poll(cx))) {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(())) => driver.finish(Err(Interruption::TimedOut)),
                    Err(_panic) => driver.finish(Err(Interruption::PlatformPanicked)),
                }
            }
        }
        Poll::Ready(())
    }
}

impl<R, F: FnOnce(Result<R, Interruption>)> Drop for Driver<R, F> {
    fn drop(&mut self) {
        self.finish(Err(Interruption::Dropped));
    }
}

#[cfg(test)]
#[cfg(bearer_loom)]
pub(crate) mod model_tests;

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use std::{
        future,
        panic::resume_unwind,
        sync::{
            Mutex as StdMutex,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
        time::UNIX_EPOCH,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Count {
        fn get(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    fn flight() -> Arc<Flight<u8>> {
        Flight::new(Duration::from_secs(11))
    }

    fn poll(waiter: &mut Waiter<u8>, count: &Arc<Count>) -> Poll<Outcome<u8>> {
        waiter.poll(&mut Context::from_waker(&Waker::from(count.clone())))
    }

    /// Waiter that have been polled once, each with its own counter of wakes.
    fn subscribed(flight: &Arc<Flight<u8>>, number: usize) -> Vec<Option<(Waiter<u8>, Arc<Count>)>> {
        let waiter = |_| {
            let (mut waiter, count) = (flight.subscribe(), Arc::default());
            assert!(poll(&mut waiter, &count).is_pending());
            Some((waiter, count))
        };
        (0..number).map(waiter).collect()
    }

    #[test]
    fn exactly_the_waiters_that_stayed_are_woken() {
        for gone in 0..1_u32 << 4 {
            for backwards in [false, true] {
                let flight = flight();
                let mut waiters = subscribed(&flight, 4);
                let mut counts: Vec<_> = waiters.iter().flatten().map(|(_, count)| count.clone()).collect();
                let order: Vec<usize> = if backwards { (0..4).rev().collect() } else { (0..4).collect() };
                for place in order.into_iter().filter(|place| gone & (1 << place) != 0) {
                    waiters[place] = None;
                }
                // Later waiters reuse the free places.
                let later = subscribed(&flight, 2);
                counts.extend(later.iter().flatten().map(|(_, count)| count.clone()));
                assert!(lock(&flight.state).waiters.len() <= 6 - (gone.count_ones() as usize).min(2));

                flight.end(Outcome::Done(7));
                let expected: Vec<usize> =
                    (0..4).map(|place| usize::from(gone & (1 << place) == 0)).chain([1, 1]).collect();
                let woken: Vec<usize> = counts.iter().map(|count| count.get()).collect();
                assert_eq!(woken, expected, "gone {gone:04b}, backwards {backwards}");
                for (mut waiter, count) in waiters.into_iter().chain(later).flatten() {
                    assert_eq!(poll(&mut waiter, &count), Poll::Ready(Outcome::Done(7)));
                    // Asking again gives the same.
                    assert_eq!(poll(&mut waiter, &count), Poll::Ready(Outcome::Done(7)));
                }
            }
        }
    }

    #[test]
    fn a_moved_waiter_is_woken_where_polled_last() {
        let flight = flight();
        let (first, second) = (Arc::default(), Arc::default());
        let mut waiter = flight.subscribe();
        assert!(poll(&mut waiter, &first).is_pending());
        assert!(poll(&mut waiter, &second).is_pending());
        assert_eq!(lock(&flight.state).waiters.len(), 1);
        flight.end(Outcome::Abandoned);
        assert_eq!((first.get(), second.get()), (0, 1));
        assert_eq!(Arc::strong_count(&first), 1, "no waker is kept");
    }

    #[test]
    fn only_the_first_end_of_a_flight_counts() {
        let flight = flight();
        flight.end(Outcome::Done(1));
        flight.end(Outcome::Abandoned);
        flight.end(Outcome::Done(2));
        assert_eq!(poll(&mut flight.subscribe(), &Arc::default()), Poll::Ready(Outcome::Done(1)));
        // A waiter that was never polled holds no place.
        drop(flight.subscribe());
    }

    #[test]
    fn a_waker_that_panics_costs_the_others_nothing() {
        struct Faulty;
        impl Wake for Faulty {
            fn wake(self: Arc<Self>) {
                resume_unwind(Box::new("woken"));
            }
        }
        let flight = flight();
        let mut before = subscribed(&flight, 1);
        let mut faulty = flight.subscribe();
        assert!(faulty.poll(&mut Context::from_waker(&Arc::new(Faulty).into())).is_pending());
        let mut after = subscribed(&flight, 1);
        flight.end(Outcome::Done(7));
        for (waiter, count) in before.iter_mut().chain(&mut after).flatten() {
            assert_eq!(count.get(), 1);
            assert_eq!(poll(waiter, count), Poll::Ready(Outcome::Done(7)));
        }
    }

    #[test]
    fn a_waker_may_use_the_flight_that_wakes_it() {
        struct Curious(StdMutex<Option<Waiter<u8>>>, Arc<Flight<u8>>, AtomicUsize);
        impl Wake for Curious {
            fn wake(self: Arc<Self>) {
                self.1.end(Outcome::Abandoned);
                drop(self.0.lock().unwrap().take());
                let mut waiter = self.1.subscribe();
                assert_eq!(poll(&mut waiter, &Arc::default()), Poll::Ready(Outcome::Done(3)));
                self.2.fetch_add(1, Ordering::SeqCst);
            }
        }
        let flight = flight();
        let waker = Arc::new(Curious(StdMutex::new(None), flight.clone(), AtomicUsize::new(0)));
        let mut waiter = flight.subscribe();
        assert!(waiter.poll(&mut Context::from_waker(&waker.clone().into())).is_pending());
        *waker.0.lock().unwrap() = Some(waiter);
        flight.end(Outcome::Done(3));
        assert_eq!(waker.2.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn l13_a_flight_is_overdue_by_the_monotonic_clock_alone() {
        let flight = flight();
        let at = |monotonic, wall| Moment::new(Duration::from_secs(monotonic), UNIX_EPOCH + Duration::from_secs(wall));
        assert!(!flight.is_overdue(at(10, 1_000_000)));
        assert!(flight.is_overdue(at(11, 0)));
    }

    type Reports = Arc<StdMutex<Vec<Result<u8, Interruption>>>>;

    /// What a driver with this fetch and deadline reports, after this many polls and then its drop.
    fn drive(fetch: BoxFuture<u8>, deadline: BoxFuture<()>, polls: usize) -> Vec<Result<u8, Interruption>> {
        let reports = Reports::default();
        let told = reports.clone();
        let mut driver = Driver::new(fetch, deadline, move |result| told.lock().unwrap().push(result));
        for _ in 0..polls {
            let ready = Pin::new(&mut driver).poll(&mut Context::from_waker(Waker::noop())).is_ready();
            assert_eq!(ready, !reports.lock().unwrap().is_empty(), "it is done when it has reported");
        }
        drop(driver);
        reports.lock().unwrap().clone()
    }

    /// Panics when it is dropped, as a fetch may whose destructor fails.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                resume_unwind(Box::new("dropped"));
            }
        }
    }

    #[test]
    fn a_driver_reports_exactly_once() {
        let pending = || Box::pin(future::pending()) as BoxFuture<u8>;
        let never = || Box::pin(future::pending()) as BoxFuture<()>;
        let over = || Box::pin(future::ready(())) as BoxFuture<()>;
        let second_poll = || {
            let mut polled = false;
            Box::pin(future::poll_fn(move |_| match std::mem::replace(&mut polled, true) {
                true => Poll::Ready(5_u8),
                false => Poll::Pending,
            })) as BoxFuture<u8>
        };
        let panicking = || Box::pin(future::poll_fn(|_| resume_unwind(Box::new("fetch")))) as BoxFuture<u8>;
        let bomb = || {
            let bomb = Bomb;
            Box::pin(future::poll_fn(move |_| {
                let _bomb = &bomb;
                Poll::Pending
            })) as BoxFuture<u8>
        };
        let table = [
            ("ready at once", drive(Box::pin(future::ready(4)), never(), 1), Ok(4)),
            ("ready at once, past the deadline", drive(Box::pin(future::ready(4)), over(), 3), Ok(4)),
            ("ready later", drive(second_poll(), never(), 2), Ok(5)),
            ("panic", drive(panicking(), never(), 2), Err(Interruption::Panicked)),
            ("timeout", drive(pending(), over(), 2), Err(Interruption::TimedOut)),
            (
                "a timer that panics",
                drive(pending(), Box::pin(future::poll_fn(|_| resume_unwind(Box::new("timer")))), 2),
                Err(Interruption::PlatformPanicked),
            ),
            ("dropped in flight", drive(pending(), never(), 1), Err(Interruption::Dropped)),
            ("never polled", drive(pending(), never(), 0), Err(Interruption::Dropped)),
            ("timeout, then a panic when dropped", drive(bomb(), over(), 1), Err(Interruption::TimedOut)),
            ("dropped, and a panic with it", drive(bomb(), never(), 1), Err(Interruption::Dropped)),
        ];
        for (case, reports, expected) in table {
            assert_eq!(reports, [expected], "{case}");
        }
    }

    #[test]
    fn l04_the_fetch_is_gone_before_anybody_hears_of_its_end() {
        let alive = Arc::new(());
        let held = alive.clone();
        let fetch: BoxFuture<u8> = Box::pin(async move {
            let _held = held;
            future::pending().await
        });
        let seen = Arc::new(AtomicUsize::new(0));
        let (told, watched) = (seen.clone(), Arc::downgrade(&alive));
        let mut driver = Driver::new(fetch, Box::pin(future::ready(())), move |_| {
            told.store(watched.strong_count(), Ordering::SeqCst);
        });
        assert!(Pin::new(&mut driver).poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert_eq!(seen.load(Ordering::SeqCst), 1, "only the test itself holds it");
    }
}
