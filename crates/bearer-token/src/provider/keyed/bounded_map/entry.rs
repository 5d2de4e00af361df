//! One entry, and the rules for its eviction.
//!
//! Readers and evictions meet in one number, `pins`: twice the number of readers that are about to clone the value,
//! plus one once it was evicted. An eviction succeeds only from zero to one, so it never happens between a reader's
//! decision to clone and its clone. A reader that comes later sees the one, and finds nothing.
//!
//! A warm request that only looks at the value in place pins nothing. The table that it reads keeps the entry alive.

use std::time::Duration;

use crate::{
    platform::Moment,
    sync::{AtomicU64, Ordering},
};

/// A value that the map must not drop while it is in use, since a second one would be made for its key.
pub(crate) trait Pinned: Clone {
    /// Whether a clone exists outside of the map, or work is in progress.
    fn is_in_use(&self, now: Moment) -> bool;
}

/// A key with its value. Both are fixed; only the three numbers change.
///
/// With a key of three words, such as a `String`, it is one cache line: of many tenants, each line is a miss.
#[repr(align(64))]
pub(crate) struct Entry<K, V> {
    pub(super) hash: u64,
    pub(super) key: K,
    pub(super) value: V,
    /// 1 since the last sweep saw the entry, if it was read.
    touched: AtomicU64,
    /// When a sweep last found it touched, in monotonic nanoseconds.
    seen: AtomicU64,
    /// Twice the number of readers that are about to clone the value, plus one once it was evicted.
    pins: AtomicU64,
}

const EVICTED: u64 = 1;
const PIN: u64 = 2;

impl<K, V: Pinned> Entry<K, V> {
    /// A new entry. It counts as read at `now`.
    pub(super) fn new(hash: u64, key: K, value: V, now: Moment) -> Self {
        Entry {
            hash,
            key,
            value,
            touched: AtomicU64::new(1),
            seen: AtomicU64::new(now.monotonic_nanos()),
            pins: AtomicU64::new(0),
        }
    }

    /// The value, in place.
    #[inline]
    pub(crate) fn value(&self) -> &V {
        &self.value
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
        let is_free = !self.value.is_in_use(now);
        if !is_free {
            self.pins.fetch_sub(EVICTED, Ordering::AcqRel);
        }
        is_free
    }
}
