//! One entry, and the rules for its eviction.
//!
//! Readers and evictions meet in one number, `pins`. It is twice the number of readers that are about to clone the
//! value, plus one once it was evicted. An eviction succeeds only from zero to one, so it never happens between a
//! reader's decision to clone and its clone. A reader that comes later sees the one, and finds nothing.
//!
//! A warm request that only looks at the value in place pins nothing. The table that it reads keeps the entry alive.

use std::{
    ops::DerefMut,
    sync::{Arc, Weak},
    time::Duration,
};

use super::fronts::Fronts;
use crate::{
    platform::Moment,
    provider::cache::Copies,
    sync::{AtomicU64, Ordering, TryLock},
};

/// A value that the map must not drop while it is in use, since a second one would be made for its key.
pub(crate) trait Pinned: Clone {
    /// What the map may copy of it, to be quicker than the value.
    type Copied: Default + Send;

    /// Tells the value where copies are kept, before there are any.
    fn copied_by(&self, copies: Weak<dyn Copies>);

    /// Whether a clone exists outside of the map, or work is in progress.
    fn is_in_use(&self, now: Moment) -> bool;

    /// Ends the life of the value, unless it is in use. Afterwards it begins no work, also if it is found by another
    /// way than through the map.
    fn retire(&self, now: Moment) -> bool;
}

/// A key with its value. Both are fixed. The numbers change, and the copy.
///
/// What a warm request reads is side by side. Of many tenants, each line is a miss, and each step from one place to
/// another waits for it. So the copy is here, and not behind the pointer to the provider.
#[repr(C, align(64))]
pub(crate) struct Entry<K, V: Pinned> {
    pub(super) hash: u64,
    pub(super) key: K,
    pub(super) value: V,
    /// 1 since the last sweep saw the entry, if it was read.
    touched: AtomicU64,
    /// Twice the number of readers that are about to clone the value, plus one once it was evicted.
    pins: AtomicU64,
    copied: TryLock<V::Copied>,
    /// When a sweep last found it touched, in monotonic nanoseconds.
    seen: AtomicU64,
    /// Where further copies may be.
    fronts: Weak<Fronts<K, V>>,
}

const EVICTED: u64 = 1;
const PIN: u64 = 2;

impl<K, V: Pinned> Entry<K, V> {
    /// A new entry. It counts as read at `now`.
    pub(super) fn new(hash: u64, key: K, value: V, now: Moment, fronts: &Arc<Fronts<K, V>>) -> Self {
        Entry {
            hash,
            key,
            value,
            touched: AtomicU64::new(1),
            seen: AtomicU64::new(now.monotonic_nanos()),
            pins: AtomicU64::new(0),
            copied: TryLock::new(V::Copied::default()),
            fronts: Arc::downgrade(fronts),
        }
    }

    /// The value, in place.
    #[inline]
    pub(crate) fn value(&self) -> &V {
        &self.value
    }

    /// What is copied of the value, unless another thread has it at this moment.
    #[inline]
    pub(crate) fn copied(&self) -> Option<impl DerefMut<Target = V::Copied> + '_> {
        self.copied.try_lock()
    }

    /// Notes that the entry was read. A line that many threads read is written once per sweep.
    #[inline]
    pub(super) fn touch(&self) {
        if self.touched.load(Ordering::Relaxed) == 0 {
            self.touched.store(1, Ordering::Relaxed);
        }
    }

    /// Whether the entry was read since the last call, for a sweep.
    pub(super) fn take_touch(&self, now: Moment) -> bool {
        let was_touched = self.touched.swap(0, Ordering::Relaxed) == 1;
        if was_touched {
            self.seen.store(now.monotonic_nanos(), Ordering::Relaxed);
        }
        was_touched
    }

    /// How long ago a sweep last found the entry touched.
    pub(super) fn idle(&self, now: Moment) -> Duration {
        Duration::from_nanos(now.monotonic_nanos().saturating_sub(self.seen.load(Ordering::Relaxed)))
    }

    /// Whether an eviction has succeeded. The table without the entry may not be in place yet.
    pub(super) fn is_evicted(&self) -> bool {
        self.pins.load(Ordering::Relaxed) & EVICTED != 0
    }

    /// The same, in one order with everything that an eviction does before and after.
    pub(super) fn is_evicted_for_certain(&self) -> bool {
        self.pins.fetch_or(0, Ordering::AcqRel) & EVICTED != 0
    }

    /// Marks the entry as one that has left the map, whether or not it is in use.
    pub(super) fn remove(&self) {
        self.pins.fetch_or(EVICTED, Ordering::AcqRel);
    }

    /// Clones the value, unless it was evicted.
    pub(crate) fn pin(&self) -> Option<V> {
        // Acquire and release: an eviction comes either before this one, and is seen here, or after the clone was made,
        // and sees that.
        let before = self.pins.fetch_add(PIN, Ordering::AcqRel);
        let value = (before & EVICTED == 0).then(|| self.value.clone());
        self.pins.fetch_sub(PIN, Ordering::AcqRel);
        value
    }

    /// Marks the entry as evicted, unless it is in use.
    pub(super) fn evict(&self, now: Moment) -> bool {
        if self.pins.compare_exchange(0, EVICTED, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        let is_retired = self.value.retire(now);
        if !is_retired {
            self.pins.fetch_sub(EVICTED, Ordering::AcqRel);
        }
        is_retired
    }
}

impl<K: Send + Sync, V: Pinned + Send + Sync> Copies for Entry<K, V> {
    fn forget(&self) {
        if let Some(mut copied) = self.copied.try_lock() {
            *copied = V::Copied::default();
        }
        if let Some(fronts) = self.fronts.upgrade() {
            fronts.forget_copies(self);
        }
    }
}
