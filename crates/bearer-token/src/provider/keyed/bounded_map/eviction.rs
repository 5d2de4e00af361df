//! A place for a new entry, and which entries make room: those that were not read lately and are not in use.

use std::hash::Hash;

use super::{BoundedMap, Pinned, Shard};
use crate::{
    platform::Moment,
    sync::{AtomicU64, Ordering, lock},
};

/// Places of the map that are counted but hold no entry. They are free again when this is dropped, unless one was filled.
pub(crate) struct Reservation<'a> {
    len: &'a AtomicU64,
    places: u64,
}

impl<'a> Reservation<'a> {
    /// The places of entries that have just been taken out of a table.
    pub(super) fn of(len: &'a AtomicU64, places: usize) -> Self {
        Reservation { len, places: places as u64 }
    }

    /// One of the places. The others are free from now on.
    fn one(mut self) -> Option<Self> {
        let others = self.places.checked_sub(1)?;
        self.len.fetch_sub(others, Ordering::Relaxed);
        self.places = 1;
        Some(self)
    }

    /// An entry is in the place now.
    pub(super) fn fill(mut self) {
        self.places = 0;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.len.fetch_sub(self.places, Ordering::Relaxed);
    }
}

/// Every entry of a full map is in use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<K, V, F> BoundedMap<K, V, F>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Pinned + Send + Sync + 'static,
{
    /// Reserves a place for a key. In a full map, unused entries are evicted. Those that were read lately are spared if
    /// others can be found (CLOCK).
    pub(crate) fn reserve(
        &self,
        key: &K,
        now: Moment,
        last_words: impl Fn(&V) -> Option<F>,
    ) -> Result<Reservation<'_>, Full> {
        let shard = self.shard(self.hash(key));
        if shard.len() >= self.table_bound {
            drop(self.sweep(shard, now, 1, false, &last_words));
            if shard.len() >= self.table_bound {
                return Err(Full);
            }
        }
        // The second round evicts what was spared in the first; the third, what was read again meanwhile.
        let mut visits = 3 * self.shards.len();
        loop {
            let len = self.len.load(Ordering::Relaxed);
            if len < self.bound {
                // Counted now, so no other thread takes the same place.
                if self.len.compare_exchange(len, len + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    return Ok(Reservation::of(&self.len, 1));
                }
                continue;
            }
            if visits == 0 {
                return Err(Full);
            }
            let spare_touched = visits > self.shards.len();
            visits -= 1;
            // A place that was freed here stays counted: no other thread can take it first.
            if let Some(place) = self.sweep(self.next_shard(), now, 1, spare_touched, &last_words).one() {
                return Ok(place);
            }
        }
    }

    /// Evicts what was not read for the idle time, in as many shards as are due. Each one is due twice in that time.
    pub(crate) fn sweep_due(&self, now: Moment, last_words: impl Fn(&V) -> Option<F>) {
        let Some(limit) = self.max_idle else { return };
        let all = self.shards.len() as u64;
        let step = (u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX) / (2 * all)).max(1);
        let (now_nanos, swept) = (now.monotonic_nanos(), self.swept.load(Ordering::Relaxed));
        let due = now_nanos.saturating_sub(swept) / step;
        let until = if due < all { swept + due * step } else { now_nanos };
        // Of several callers, one sweeps.
        if due == 0 || self.swept.compare_exchange(swept, until, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        for _ in 0..due.min(all) {
            drop(self.sweep(self.next_shard(), now, 0, true, &last_words));
        }
    }

    /// Evicts everything that was not read for the idle time.
    pub(crate) fn sweep_all(&self, now: Moment, last_words: impl Fn(&V) -> Option<F>) {
        for shard in &self.shards {
            drop(self.sweep(shard, now, 0, true, &last_words));
        }
    }

    /// The shards in turn, for all threads together: the hand of the clock.
    fn next_shard(&self) -> &Shard<K, V, F> {
        &self.shards[self.hand.fetch_add(1, Ordering::Relaxed) as usize & (self.shards.len() - 1)]
    }

    /// Evicts the idle entries of a shard and, beyond them, up to `wanted` that were not read since the last sweep.
    /// Returns their places.
    fn sweep(
        &self,
        shard: &Shard<K, V, F>,
        now: Moment,
        wanted: u64,
        spare_touched: bool,
        last_words: &impl Fn(&V) -> Option<F>,
    ) -> Reservation<'_> {
        let none = Reservation::of(&self.len, 0);
        // Dropped after the lock is released: dropping user values is user code.
        let (mut spared, mut dropped, mut outdated) = (Vec::new(), Vec::new(), Vec::new());
        let mut writer = lock(&shard.writer);
        let Some(old) = shard.table.get() else { return none };
        let mut unused = Vec::new();
        for entry in old.iter() {
            if entry.take_touch(now) && spare_touched {
                continue;
            }
            let is_idle = self.max_idle.is_some_and(|limit| entry.idle(now) >= limit);
            if (is_idle || (unused.len() as u64) < wanted) && !entry.value().is_in_use(now) {
                // A clone of a key is user code, which may panic: nothing is evicted yet.
                unused.push((entry.key.clone(), entry.clone()));
            }
        }
        let mut evicted = Vec::with_capacity(unused.len());
        for (key, entry) in unused {
            if entry.evict(now) { evicted.push((key, entry)) } else { spared.push((key, entry)) }
        }
        if evicted.is_empty() {
            return none;
        }
        let places = self.replace(shard, &old, |entry| !entry.is_evicted());
        for (key, entry) in evicted {
            self.fronts.forget(&entry);
            let words = last_words(entry.value());
            dropped.push(entry);
            // Comparing keys and dropping them is user code too. By now the table is whole.
            if let Some(what) = words {
                outdated.extend(writer.forgotten.put(key, what));
            }
        }
        places
    }
}
