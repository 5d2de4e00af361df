//! The turns of a grant's clones: one after the other, each for a limited time.
//!
//! This is not a mutex, because a fetch may be stuck in a runtime that exists and is no longer driven. When its time is
//! over, the next clone takes its turn, together with the store's lease.

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
    head: Mutex<Head>,
    released: Notify,
}

#[derive(Default)]
struct Head {
    last_id: u64,
    holder: Option<Holder>,
}

struct Holder {
    id: u64,
    until: Moment,
    store_lease: Option<Lease>,
}

/// The turn of one clone, with the store's lease. Dropping it releases both.
pub(super) struct GrantLease {
    queue: Arc<LeaseQueue>,
    id: u64,
}

impl LeaseQueue {
    /// Waits for a turn, which lasts until the given moment on the monotonic clock.
    pub(super) async fn acquire(self: &Arc<Self>, platform: &Platform, until: Moment) -> GrantLease {
        loop {
            // Registered before the attempt, so that no release is missed in between.
            let mut released = pin!(self.released.notified());
            released.as_mut().enable();
            let held_until = match self.try_acquire(platform.now(), until) {
                Ok(lease) => return lease,
                Err(held_until) => held_until,
            };
            let mut over = platform.sleep_until(held_until.monotonic());
            future::poll_fn(|cx| match released.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => over.as_mut().poll(cx),
            })
            .await;
        }
    }

    /// Takes the turn if there is no holder, or if the holder's time is over. Else returns when it will be.
    fn try_acquire(self: &Arc<Self>, now: Moment, until: Moment) -> Result<GrantLease, Moment> {
        let mut head = lock(&self.head);
        if let Some(holder) = &head.holder
            && now.monotonic() < holder.until.monotonic()
        {
            return Err(holder.until);
        }
        head.last_id += 1;
        let id = head.last_id;
        let store_lease = head.holder.take().and_then(|holder| holder.store_lease);
        head.holder = Some(Holder { id, until, store_lease });
        Ok(GrantLease { queue: Arc::clone(self), id })
    }
}

impl GrantLease {
    /// Whether the store's lease came with the turn, from a holder whose time was over.
    pub(super) fn has_store_lease(&self) -> bool {
        self.with_holder(|holder| holder.store_lease.is_some()).unwrap_or(false)
    }

    /// Holds the store's lease as well. If the turn was lost meanwhile, the lease is dropped.
    pub(super) fn hold(&self, lease: Lease) {
        self.with_holder(|holder| holder.store_lease = Some(lease));
    }

    /// Lets the turn last until another moment.
    pub(super) fn extend(&self, until: Moment) {
        self.with_holder(|holder| holder.until = until);
    }

    fn with_holder<R>(&self, act: impl FnOnce(&mut Holder) -> R) -> Option<R> {
        lock(&self.queue.head).holder.as_mut().filter(|holder| holder.id == self.id).map(act)
    }
}

impl Drop for GrantLease {
    fn drop(&mut self) {
        // The store's lease is dropped outside the lock, because it is user code.
        let ended = lock(&self.queue.head).holder.take_if(|holder| holder.id == self.id);
        if ended.is_some() {
            drop(ended);
            self.queue.released.notify_one();
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
    fn turns_follow_each_other_even_if_a_waiter_leaves() {
        let queue = Arc::new(LeaseQueue::default());
        let platform = platform_at(0);
        let after = |seconds| platform.now().after(Duration::from_secs(seconds));
        let acquire = || Box::pin(queue.acquire(&platform, after(10)));
        let Poll::Ready(first) = poll(&mut acquire()) else { panic!("there is no holder") };
        let [mut second, mut third, mut fourth] = [acquire(), acquire(), acquire()];
        for waiting in [&mut second, &mut third, &mut fourth] {
            assert!(poll(waiting).is_pending());
        }
        drop(first);
        // The waiter that was woken leaves, so the next one is woken.
        drop(second);
        let Poll::Ready(third) = poll(&mut third) else { panic!("the third was not woken") };
        assert!(poll(&mut fourth).is_pending());
        drop(third);
        assert!(poll(&mut fourth).is_ready());
    }

    #[test]
    fn l11_an_overdue_turn_passes_on_with_the_stores_lease() {
        let queue = Arc::new(LeaseQueue::default());
        let platform = platform_at(0);
        let after = |seconds| platform.now().after(Duration::from_secs(seconds));
        let stores = Arc::new(());
        let Poll::Ready(frozen) = poll(&mut Box::pin(queue.acquire(&platform, after(0)))) else { panic!() };
        frozen.hold(Lease::holding(Arc::clone(&stores)));
        let Poll::Ready(next) = poll(&mut Box::pin(queue.acquire(&platform, after(10)))) else {
            panic!("its time is over")
        };
        assert!(next.has_store_lease() && !frozen.has_store_lease());
        // A lease that has lost its turn has no effect.
        frozen.extend(after(90));
        drop(frozen);
        assert_eq!(Arc::strong_count(&stores), 2);
        let mut waiting = Box::pin(queue.acquire(&platform, after(10)));
        assert!(poll(&mut waiting).is_pending());
        drop(next);
        assert_eq!(Arc::strong_count(&stores), 1);
        assert!(poll(&mut waiting).is_ready());
    }
}
