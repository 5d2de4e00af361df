//! Every interleaving of the flight's threads, as far as the model checker goes:
//!
//! ```text
//! RUSTFLAGS="--cfg bearer_loom" cargo test -p bearer-token --no-default-features --lib model_tests --release --target-dir target/loom
//! ```

use std::{future, pin::pin, sync::Arc, task::Wake};

use loom::{sync::Notify, thread};

use super::*;

/// Wakes a thread of the model.
pub(crate) struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Waits in a waiter until the flight ends.
pub(crate) fn sit<T: Clone>(waiter: &mut Waiter<T>) -> Outcome<T> {
    block_on(future::poll_fn(|cx| waiter.poll(cx)))
}

/// Waits for a future. A wake that is lost is a deadlock, which the model checker reports.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let bell = Arc::new(Bell(Notify::new()));
    let waker = Waker::from(bell.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        bell.0.wait();
    }
}

/// Looks at up to three preemptions for each thread, which takes seconds and finds nearly every mistake. More are set
/// with `LOOM_MAX_PREEMPTIONS`; without any bound the largest model takes more than five minutes.
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(model);
}

fn flight() -> Arc<Flight<u8>> {
    Flight::new(Duration::from_secs(11))
}

#[test]
fn no_wake_is_lost_and_all_see_the_outcome() {
    check(|| {
        let flight = flight();
        let waiters = [0, 1].map(|_| {
            let mut waiter = flight.subscribe();
            thread::spawn(move || sit(&mut waiter))
        });
        flight.end(Outcome::Done(7));
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Outcome::Done(7));
        }
    });
}

#[test]
fn a_waiter_that_leaves_costs_the_other_nothing() {
    check(|| {
        let flight = flight();
        let mut leaving = flight.subscribe();
        let leaver = thread::spawn(move || {
            let _ = leaving.poll(&mut Context::from_waker(Waker::noop()));
            drop(leaving);
        });
        let mut staying = flight.subscribe();
        let stayer = thread::spawn(move || sit(&mut staying));
        flight.end(Outcome::Done(7));
        leaver.join().unwrap();
        assert_eq!(stayer.join().unwrap(), Outcome::Done(7));
    });
}

#[test]
fn a_flight_ends_without_any_waiters() {
    check(|| {
        let flight = flight();
        let leavers = [0, 1].map(|_| {
            let mut waiter = flight.subscribe();
            thread::spawn(move || {
                let _ = waiter.poll(&mut Context::from_waker(Waker::noop()));
            })
        });
        flight.end(Outcome::Done(7));
        for leaver in leavers {
            leaver.join().unwrap();
        }
        assert_eq!(sit(&mut flight.subscribe()), Outcome::Done(7));
    });
}

#[test]
fn of_two_ends_all_waiters_see_one() {
    check(|| {
        let flight = flight();
        let waiters = [0, 1].map(|_| {
            let mut waiter = flight.subscribe();
            thread::spawn(move || sit(&mut waiter))
        });
        let rival = flight.clone();
        let rival = thread::spawn(move || rival.end(Outcome::Abandoned));
        flight.end(Outcome::Done(7));
        rival.join().unwrap();
        let [first, second] = waiters.map(|waiter| waiter.join().unwrap());
        assert_eq!(first, second);
    });
}
