//! One after the other, and nobody for ever.
//!
//! Not a mutex: a fetch may lie in a runtime that lives and is no longer driven. After its time its turn is taken over,
//! together with the store's.

use std::{
    future::{self, Future},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::sync::Notify;

use crate::{
    platform::{Moment, Platform},
    store::Lease,
    sync::{Mutex, lock},
};

#[derive(Default)]
pub(super) struct LeaseQueue {
    line: Mutex<Line>,
    given_back: Notify,
}

#[derive(Default)]
struct Line {
    last: u64,
    holder: Option<Holder>,
}

struct Holder {
    id: u64,
    until: Moment,
    stores: Option<Lease>,
}

/// Somebody's turn. Dropping it gives it back.
pub(super) struct Place {
    turns: Arc<LeaseQueue>,
    id: u64,
}

impl LeaseQueue {
    /// Waits for a turn that lasts until then, by the monotonic clock.
    pub(super) async fn take(self: &Arc<Self>, platform: &Platform, until: Moment) -> Place {
        loop {
            // Registered before the look, so that nothing is missed between the two.
            let mut given_back = pin!(self.given_back.notified());
            given_back.as_mut().enable();
            let taken_until = match self.try_take(platform.now(), until) {
                Ok(place) => return place,
                Err(taken_until) => taken_until,
            };
            let mut over = platform.sleep_until(taken_until.monotonic());
            future::poll_fn(|cx| match given_back.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => over.as_mut().poll(cx),
            })
            .await;
        }
    }

    fn try_take(self: &Arc<Self>, now: Moment, until: Moment) -> Result<Place, Moment> {
        let mut line = lock(&self.line);
        if let Some(holder) = &line.holder
            && now.monotonic() < holder.until.monotonic()
        {
            return Err(holder.until);
        }
        line.last += 1;
        let id = line.last;
        let stores = line.holder.take().and_then(|holder| holder.stores);
        line.holder = Some(Holder { id, until, stores });
        Ok(Place { turns: Arc::clone(self), id })
    }
}

impl Place {
    /// Whether there is a turn of the store already, from somebody whose time was over.
    pub(super) fn has_stores_turn(&self) -> bool {
        self.with_holder(|holder| holder.stores.is_some()).unwrap_or(false)
    }

    /// Holds a turn of the store as well.
    pub(super) fn hold(&self, lease: Lease) {
        // If it was taken over meanwhile, it is dropped.
        self.with_holder(|holder| holder.stores = Some(lease));
    }

    /// It takes longer.
    pub(super) fn extend(&self, until: Moment) {
        self.with_holder(|holder| holder.until = until);
    }

    fn with_holder<R>(&self, act: impl FnOnce(&mut Holder) -> R) -> Option<R> {
        lock(&self.turns.line).holder.as_mut().filter(|holder| holder.id == self.id).map(act)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The store's turn goes outside the lock: it is a stranger's code.
        let over = lock(&self.turns.line).holder.take_if(|holder| holder.id == self.id);
        if over.is_some() {
            drop(over);
            self.turns.given_back.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Waker},
        time::Duration,
    };

    use super::*;
    use crate::test_support::platform_at;

    fn poll<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Poll<T> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn turns_are_taken_one_after_the_other_whoever_goes_away() {
        let turns = Arc::new(LeaseQueue::default());
        let platform = platform_at(0);
        let after = |seconds| platform.now().after(Duration::from_secs(seconds));
        let take = || Box::pin(turns.take(&platform, after(10)));
        let Poll::Ready(first) = poll(&mut take()) else { panic!("nobody was there") };
        let [mut second, mut third, mut fourth] = [take(), take(), take()];
        for waiting in [&mut second, &mut third, &mut fourth] {
            assert!(poll(waiting).is_pending());
        }
        drop(first);
        // It was woken, and goes away: the next one is.
        drop(second);
        let Poll::Ready(third) = poll(&mut third) else { panic!("it is its turn") };
        assert!(poll(&mut fourth).is_pending());
        drop(third);
        assert!(poll(&mut fourth).is_ready());
    }

    #[test]
    fn l11_a_turn_whose_time_is_over_is_taken_over_with_the_stores_turn() {
        let turns = Arc::new(LeaseQueue::default());
        let platform = platform_at(0);
        let after = |seconds| platform.now().after(Duration::from_secs(seconds));
        let stores = Arc::new(());
        let Poll::Ready(frozen) = poll(&mut Box::pin(turns.take(&platform, after(0)))) else { panic!() };
        frozen.hold(Lease::holding(Arc::clone(&stores)));
        let Poll::Ready(next) = poll(&mut Box::pin(turns.take(&platform, after(10)))) else {
            panic!("its time is over")
        };
        assert!(next.has_stores_turn() && !frozen.has_stores_turn());
        // Who has lost its turn changes nothing any more.
        frozen.extend(after(90));
        drop(frozen);
        assert_eq!(Arc::strong_count(&stores), 2);
        let mut waiting = Box::pin(turns.take(&platform, after(10)));
        assert!(poll(&mut waiting).is_pending());
        drop(next);
        assert_eq!(Arc::strong_count(&stores), 1);
        assert!(poll(&mut waiting).is_ready());
    }
}
