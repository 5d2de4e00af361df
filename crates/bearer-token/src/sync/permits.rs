//! Permits that end by themselves.
//!
//! This is neither a mutex nor a semaphore, because a holder may be stuck in a runtime that exists and is no longer
//! driven. When its time is over, the next waiter gets its place, together with what the holder kept there.
//!
//! Two rooms use it. The limit on concurrent fetches of a map of providers has permits that keep nothing. The lease on
//! a refresh token has one that keeps what its holder had not yet saved.
//!
//! ```text
//! acquire --- a place is free -----------------------------> Permit
//!    |        a holder's time is over ---------------------> Permit, with what that holder kept
//!    +------- none: wait for a release, or for the next end
//!             own deadline reached ------------------------> None, and a wake that was received is passed on
//! ```

use std::{
    collections::BTreeMap,
    future::{self, Future},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    platform::Platform,
    sync::{Mutex, lock},
};

/// A limited number of permits, in the order in which they were asked for.
pub(crate) struct Permits<T> {
    most: usize,
    held: Mutex<Held<T>>,
    released: Notify,
}

/// The holders of the permits. An overdue holder stays in the map until a waiter takes its place.
struct Held<T> {
    last_id: u64,
    holders: BTreeMap<u64, Holder<T>>,
}

struct Holder<T> {
    /// When the permit ends by itself, on the monotonic clock.
    until: Duration,
    kept: T,
}

/// One permit. Dropping it releases it, with what it keeps.
pub(crate) struct Permit<T> {
    permits: Arc<Permits<T>>,
    id: u64,
}

impl<T: Default> Permits<T> {
    /// So many permits, all of them free.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let held = Held { last_id: 0, holders: BTreeMap::new() };
        Arc::new(Permits { most, held: Mutex::new(held), released: Notify::new() })
    }

    /// Waits for a permit that ends at `until`, on the monotonic clock. Returns `None` if no permit is free before
    /// that.
    pub(crate) async fn acquire(self: &Arc<Self>, platform: &Platform, until: Duration) -> Option<Permit<T>> {
        let mut was_woken = false;
        loop {
            // Registered before the attempt, so no release is missed in between.
            let mut released = pin!(self.released.notified());
            released.as_mut().enable();
            let now = platform.now().monotonic();
            if now >= until {
                if was_woken {
                    // The permit that became free belongs to the next waiter.
                    self.released.notify_one();
                }
                return None;
            }
            let next_end = match self.try_acquire(now, until) {
                Ok(permit) => return Some(permit),
                Err(next_end) => next_end,
            };
            let mut over = platform.sleep_until(next_end.min(until));
            was_woken = future::poll_fn(|cx| match released.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => over.as_mut().poll(cx).map(|()| false),
            })
            .await;
        }
    }

    /// Takes a free permit, or one whose time is over. Otherwise returns when the next one ends.
    fn try_acquire(self: &Arc<Self>, now: Duration, until: Duration) -> Result<Permit<T>, Duration> {
        let mut held = lock(&self.held);
        let mut kept = T::default();
        if held.holders.len() >= self.most {
            let overdue = held.holders.iter().find(|(_, holder)| holder.until <= now).map(|(id, _)| *id);
            match overdue.and_then(|id| held.holders.remove(&id)) {
                Some(holder) => kept = holder.kept,
                None => return Err(held.holders.values().map(|holder| holder.until).min().unwrap_or(until)),
            }
        }
        held.last_id += 1;
        let id = held.last_id;
        held.holders.insert(id, Holder { until, kept });
        Ok(Permit { permits: Arc::clone(self), id })
    }
}

impl<T> Permit<T> {
    /// Looks at the value that the permit keeps. If an overdue holder had the permit before, it is that holder's value.
    ///
    /// Returns `None` if this permit was overdue and another waiter has it now.
    #[cfg(feature = "oauth")]
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.with_holder(|holder| act(&mut holder.kept))
    }

    /// Lets the permit last until another moment, on the monotonic clock. It has no effect on a permit that was taken
    /// away.
    #[cfg(feature = "oauth")]
    pub(crate) fn extend(&self, until: Duration) {
        self.with_holder(|holder| holder.until = until);
    }

    #[cfg(feature = "oauth")]
    fn with_holder<R>(&self, act: impl FnOnce(&mut Holder<T>) -> R) -> Option<R> {
        lock(&self.permits.held).holders.get_mut(&self.id).map(act)
    }
}

impl<T> Drop for Permit<T> {
    fn drop(&mut self) {
        // Dropped outside the lock, because the drop may run user code.
        let ended = lock(&self.permits.held).holders.remove(&self.id);
        if ended.is_some() {
            drop(ended);
            self.permits.released.notify_one();
        }
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Waker},
    };

    use super::*;
    use crate::test_support::ManualClock;

    type Waiting<'a, T> = Pin<Box<dyn Future<Output = Option<Permit<T>>> + 'a>>;

    /// The permits, and what waits for one of them.
    struct Scene<T> {
        clock: ManualClock,
        platform: Platform,
        permits: Arc<Permits<T>>,
    }

    impl<T: Default> Scene<T> {
        fn new(most: usize) -> Self {
            let clock = ManualClock::default();
            Scene { platform: clock.platform(), permits: Permits::new(most), clock }
        }

        fn after(&self, seconds: u64) -> Duration {
            self.platform.now().after(Duration::from_secs(seconds)).monotonic()
        }

        /// Asks for a permit that ends after this many seconds.
        fn ask(&self, seconds: u64) -> Waiting<'_, T> {
            let until = self.after(seconds);
            Box::pin(self.permits.acquire(&self.platform, until))
        }

        fn advance(&self, seconds: u64) {
            self.clock.advance(Duration::from_secs(seconds));
        }
    }

    fn poll<T>(waiting: &mut Waiting<'_, T>) -> Poll<Option<Permit<T>>> {
        waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn now<T>(waiting: &mut Waiting<'_, T>) -> Permit<T> {
        match poll(waiting) {
            Poll::Ready(Some(permit)) => permit,
            Poll::Ready(None) => panic!("its time is over"),
            Poll::Pending => panic!("no permit is free"),
        }
    }

    #[test]
    fn permits_follow_each_other_even_if_a_waiter_leaves() {
        let scene = Scene::<()>::new(1);
        let first = now(&mut scene.ask(10));
        let [mut second, mut third, mut fourth] = [scene.ask(10), scene.ask(10), scene.ask(10)];
        for waiting in [&mut second, &mut third, &mut fourth] {
            assert!(poll(waiting).is_pending());
        }
        drop(first);
        // The waiter that was woken leaves, so the next one is woken.
        drop(second);
        let third = now(&mut third);
        assert!(poll(&mut fourth).is_pending());
        drop(third);
        now(&mut fourth);
    }

    #[test]
    fn a_waiter_past_its_deadline_passes_its_permit_on() {
        let scene = Scene::<()>::new(1);
        let first = now(&mut scene.ask(100));
        let [mut early, mut late] = [scene.ask(5), scene.ask(90)];
        assert!(poll(&mut early).is_pending() && poll(&mut late).is_pending());
        drop(first);
        scene.advance(6);
        assert!(matches!(poll(&mut early), Poll::Ready(None)));
        now(&mut late);
    }

    #[test]
    fn as_many_are_held_as_there_are() {
        let scene = Scene::<()>::new(2);
        let [first, _second] = [now(&mut scene.ask(10)), now(&mut scene.ask(10))];
        let mut third = scene.ask(10);
        assert!(poll(&mut third).is_pending());
        drop(first);
        now(&mut third);
    }

    #[cfg(feature = "oauth")]
    #[test]
    fn l11_an_overdue_permit_passes_on_with_what_it_keeps() {
        let scene = Scene::<Option<Arc<()>>>::new(1);
        let kept = Arc::new(());
        let frozen = now(&mut scene.ask(1));
        frozen.with(|kept_there| *kept_there = Some(Arc::clone(&kept)));
        scene.advance(1);
        let next = now(&mut scene.ask(10));
        assert_eq!(next.with(|kept| kept.is_some()), Some(true));
        // A permit whose time was over has no effect.
        assert_eq!(frozen.with(|kept| kept.is_some()), None);
        frozen.extend(scene.after(90));
        drop(frozen);
        assert_eq!(Arc::strong_count(&kept), 2);
        let mut waiting = scene.ask(10);
        assert!(poll(&mut waiting).is_pending());
        drop(next);
        assert_eq!(Arc::strong_count(&kept), 1);
        now(&mut waiting);
    }

    #[cfg(feature = "oauth")]
    #[test]
    fn an_extended_permit_is_not_overdue() {
        let scene = Scene::<()>::new(1);
        let first = now(&mut scene.ask(1));
        first.extend(scene.after(60));
        scene.advance(59);
        let mut waiting = scene.ask(10);
        assert!(poll(&mut waiting).is_pending());
        scene.advance(1);
        now(&mut waiting);
    }
}

#[cfg(test)]
#[cfg(bearer_loom)]
mod model_tests;
