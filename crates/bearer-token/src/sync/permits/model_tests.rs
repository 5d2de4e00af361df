//! Every interleaving of callers that want one permit; `provider/flight/model_tests.rs` says how to run it. The checker
//! sees the lock and the wakes, and takes each step of tokio's `Notify` as a whole.

use std::time::UNIX_EPOCH;

use loom::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::*;
use crate::{
    platform::{BoxFuture, Clock, Moment},
    provider::flight::model_tests::{block_on, check},
};

/// A clock that stands still. Its timers never fire, so a permit is only had from a holder that releases it.
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Moment {
        Moment::new(Duration::ZERO, UNIX_EPOCH)
    }

    fn sleep_until(&self, _: Duration) -> BoxFuture<()> {
        Box::pin(future::pending())
    }
}

fn acquire(permits: &Arc<Permits<()>>) -> Permit<()> {
    let platform = Platform::system().with_clock(Stopped);
    block_on(permits.acquire(&platform, Duration::from_secs(1))).expect("its time is not over")
}

#[test]
fn one_permit_serves_all_callers_one_by_one() {
    check(|| {
        let (permits, holders) = (Permits::new(1), Arc::new(AtomicUsize::new(0)));
        let work = |permits: &Arc<Permits<()>>, holders: &AtomicUsize| {
            let permit = acquire(permits);
            assert_eq!(holders.fetch_add(1, Ordering::Relaxed), 0, "two holders");
            holders.fetch_sub(1, Ordering::Relaxed);
            drop(permit);
        };
        let rivals = [0, 1].map(|_| {
            let (permits, holders) = (permits.clone(), holders.clone());
            thread::spawn(move || work(&permits, &holders))
        });
        work(&permits, &holders);
        rivals.map(|rival| rival.join().unwrap());
    });
}

#[test]
fn a_caller_that_leaves_passes_its_wake_on() {
    check(|| {
        let permits = Permits::new(1);
        let first = acquire(&permits);
        let rivals = [false, true].map(|leaves| {
            let permits = permits.clone();
            thread::spawn(move || {
                if leaves {
                    let platform = Platform::system().with_clock(Stopped);
                    let mut leaving = pin!(permits.acquire(&platform, Duration::from_secs(1)));
                    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                    drop(leaving.as_mut().poll(&mut cx));
                } else {
                    drop(acquire(&permits));
                }
            })
        });
        drop(first);
        rivals.map(|rival| rival.join().unwrap());
    });
}
