//! A bounded map that many threads read at the same time and that seldom changes.
//!
//! Keys are spread over small tables. A table never changes: a writer replaces it by a changed copy. So a reader takes no
//! lock and counts no reference, and one hot key costs two threads no more than two keys. `docs/DECISIONS.md` has the
//! figures that decided against the caches on crates.io.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
    time::Duration,
};

use hashbrown::HashTable;

use crate::{
    platform::Moment,
    provider::keyed::forgotten::Forgotten,
    sync::{AtomicU64, Mutex, Ordering, Slot, SlotGuard, lock},
};

/// How many entries a table has on average when the map is full: what a writer copies.
const ENTRIES_PER_TABLE: usize = 32;

/// The largest number of tables; beyond it they grow.
const MAX_TABLES: usize = 1 << 14;

/// A value that the map must not drop while it is in use: otherwise a second one would be made for the same key.
pub(crate) trait Pinned: Clone {
    /// Whether a clone exists outside of the map, or work is in progress.
    fn is_in_use(&self, now: Moment) -> bool;
}

pub(crate) struct BoundedMap<K, V, F> {
    hasher: RandomState,
    /// A power of two of them.
    shards: Box<[Shard<K, V, F>]>,
    bound: u64,
    max_idle: Option<Duration>,
    len: AtomicU64,
    /// Which shard the next search for an entry to evict begins with.
    hand: AtomicU64,
}

struct Shard<K, V, F> {
    table: Slot<Table<K, V>>,
    /// Held while the table is replaced. It contains what is remembered about keys that are not in the table.
    writer: Mutex<Forgotten<K, F>>,
}

type Table<K, V> = HashTable<Arc<Entry<K, V>>>;

/// The table of one key at one moment.
pub(crate) struct Loaded<K, V> {
    hash: u64,
    table: SlotGuard<Table<K, V>>,
}

pub(crate) struct Entry<K, V> {
    hash: u64,
    key: K,
    value: V,
    /// 1 since the last sweep saw the entry, if it was read.
    touched: AtomicU64,
    /// When a sweep last found it touched, in monotonic nanoseconds.
    seen: AtomicU64,
    /// Twice the number of readers that are about to clone the value, plus one once it was evicted.
    pins: AtomicU64,
}

const EVICTED: u64 = 1;
const PIN: u64 = 2;

/// Every entry of a full map is in use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<K: Hash + Eq + Clone, V: Pinned, F> BoundedMap<K, V, F> {
    pub(crate) fn new(bound: usize, max_idle: Option<Duration>) -> Self {
        let tables = bound.div_ceil(ENTRIES_PER_TABLE).next_power_of_two().min(MAX_TABLES);
        // Twice the average: with an uneven spread over the shards, nothing is forgotten early.
        let remembered = 2 * bound.div_ceil(tables);
        let shard = |_| Shard { table: Slot::new(None), writer: Mutex::new(Forgotten::with_capacity(remembered)) };
        BoundedMap {
            hasher: RandomState::new(),
            shards: (0..tables).map(shard).collect(),
            bound: bound as u64,
            max_idle,
            len: AtomicU64::new(0),
            hand: AtomicU64::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.len.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    #[inline]
    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The table uses the highest seven bits and the lowest, so the shard is chosen by those between.
    #[inline]
    fn shard(&self, hash: u64) -> &Shard<K, V, F> {
        &self.shards[(hash >> 32) as usize & (self.shards.len() - 1)]
    }

    /// The table of a key, as it is now. No lock, no count. Entries may be evicted at the same time.
    #[inline]
    pub(crate) fn load<Q: Hash + ?Sized>(&self, key: &Q) -> Loaded<K, V> {
        let hash = self.hash(key);
        Loaded { hash, table: self.shard(hash).table.load() }
    }

    /// A clone of a value, unless there is none or it is just being evicted. While the clone exists it is not evicted.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.load(key).find(key)?.pin()
    }

    /// What is remembered of a key that has no value.
    pub(crate) fn remembered<Q, R>(&self, key: &Q, look: impl FnOnce(&F) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        lock(&self.shard(self.hash(key)).writer).get(key).map(look)
    }

    /// Remembers a fact about a key without a value. If there are too many, the oldest one is forgotten.
    pub(crate) fn remember(&self, key: K, what: F) {
        let hash = self.hash(&key);
        let forgotten = lock(&self.shard(hash).writer).put(key, what);
        // Outside the lock: dropping user values is user code.
        drop(forgotten);
    }

    /// Inserts a value. If the key already has one, that one is returned. `adopt` sees what was remembered of the key.
    ///
    /// Of several callers that made a value for one key, the first wins, and the other values are dropped unused.
    pub(crate) fn insert(&self, key: K, value: V, now: Moment, adopt: impl FnOnce(&V, F)) -> V {
        let hash = self.hash(&key);
        let shard = self.shard(hash);
        let (value, _replaced, _loser) = {
            let mut forgotten = lock(&shard.writer);
            let old = shard.table.get();
            let found = old.as_deref().and_then(|table| table.find(hash, |entry| entry.key == key));
            if let Some(entry) = found {
                entry.touch();
                (entry.value.clone(), None, Some(value))
            } else {
                if let Some(what) = forgotten.take(&key) {
                    adopt(&value, what);
                }
                let entry = Arc::new(Entry {
                    hash,
                    key,
                    value: value.clone(),
                    touched: AtomicU64::new(1),
                    seen: AtomicU64::new(now.monotonic_nanos()),
                    pins: AtomicU64::new(0),
                });
                let mut table = old.as_deref().cloned().unwrap_or_default();
                table.insert_unique(hash, entry, |entry| entry.hash);
                shard.table.set(Some(Arc::new(table)));
                self.len.fetch_add(1, Ordering::Relaxed);
                (value, old, None)
            }
        };
        value
    }

    /// Evicts unused entries until there is room for one more. Entries that were read lately are spared if
    /// others can be found (CLOCK). `last_words` says what to remember of an evicted value.
    pub(crate) fn make_room(&self, now: Moment, last_words: impl Fn(&V) -> Option<F>) -> Result<(), Full> {
        // The second round evicts what was spared in the first; the third, what was read again meanwhile.
        let mut visits = 3 * self.shards.len();
        while self.len.load(Ordering::Relaxed) >= self.bound {
            if visits == 0 {
                return Err(Full);
            }
            let spare_touched = visits > self.shards.len();
            visits -= 1;
            let wanted = (self.len.load(Ordering::Relaxed) + 1).saturating_sub(self.bound);
            self.sweep(self.next_shard(), now, wanted, spare_touched, &last_words);
        }
        Ok(())
    }

    /// Evicts what was not read for the idle time, in one shard of the map, the next one each time.
    pub(crate) fn sweep_next(&self, now: Moment, last_words: impl Fn(&V) -> Option<F>) {
        if self.max_idle.is_some() {
            self.sweep(self.next_shard(), now, 0, true, &last_words);
        }
    }

    /// Evicts everything that was not read for the idle time.
    pub(crate) fn sweep_all(&self, now: Moment, last_words: impl Fn(&V) -> Option<F>) {
        for shard in &self.shards {
            self.sweep(shard, now, 0, true, &last_words);
        }
    }

    fn next_shard(&self) -> &Shard<K, V, F> {
        &self.shards[self.hand.fetch_add(1, Ordering::Relaxed) as usize & (self.shards.len() - 1)]
    }

    /// Evicts the idle entries of a shard and, beyond them, up to `wanted` that were not read since the last sweep.
    fn sweep(
        &self,
        shard: &Shard<K, V, F>,
        now: Moment,
        wanted: u64,
        spare_touched: bool,
        last_words: &impl Fn(&V) -> Option<F>,
    ) {
        let mut gone = Vec::new();
        let mut dropped = Vec::new();
        {
            let mut forgotten = lock(&shard.writer);
            let Some(old) = shard.table.get() else { return };
            for entry in old.iter() {
                if entry.touched.swap(0, Ordering::Relaxed) == 1 {
                    entry.seen.store(now.monotonic_nanos(), Ordering::Relaxed);
                    if spare_touched {
                        continue;
                    }
                }
                let idle = now.monotonic_nanos().saturating_sub(entry.seen.load(Ordering::Relaxed));
                let is_idle = self.max_idle.is_some_and(|limit| Duration::from_nanos(idle) >= limit);
                if (is_idle || (gone.len() as u64) < wanted) && entry.evict(now) {
                    gone.push(entry.clone());
                }
            }
            if gone.is_empty() {
                return;
            }
            for entry in &gone {
                dropped.extend(last_words(&entry.value).and_then(|what| forgotten.put(entry.key.clone(), what)));
            }
            let kept = |entry: &Arc<Entry<K, V>>| entry.pins.load(Ordering::Relaxed) & EVICTED == 0;
            self.replace(shard, &old, kept);
        }
        // Outside the lock: dropping user values is user code.
        drop((gone, dropped));
    }

    /// Removes the entries that are not to be kept, whether or not they are in use.
    pub(crate) fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool) {
        for shard in &self.shards {
            // User code runs on a copy, outside the lock.
            let Some(seen) = shard.table.get() else { continue };
            let unwanted: Vec<_> = seen.iter().filter(|entry| !keep(&entry.key, &entry.value)).collect();
            if unwanted.is_empty() {
                continue;
            }
            let _writer = lock(&shard.writer);
            let Some(old) = shard.table.get() else { continue };
            self.replace(shard, &old, |entry| !unwanted.iter().any(|other| Arc::ptr_eq(entry, other)));
        }
    }

    /// Removes an entry, even if it is in use, and everything that is remembered about its key.
    pub(crate) fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let (entry, _forgotten, _old) = {
            let mut forgotten = lock(&shard.writer);
            let what = forgotten.take(key);
            let old = shard.table.get();
            let entry = old.as_deref().and_then(|table| table.find(hash, |entry| entry.key.borrow() == key)).cloned();
            if let (Some(old), Some(entry)) = (&old, &entry) {
                self.replace(shard, old, |other| !Arc::ptr_eq(entry, other));
            }
            (entry, what, old)
        };
        entry.map(|entry| entry.value.clone())
    }

    /// Looks at all entries, each table as it is at one moment.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            if let Some(table) = shard.table.get() {
                table.iter().for_each(|entry| look(&entry.key, &entry.value));
            }
        }
    }

    /// Replaces the table by one without some entries. The caller holds the writer's lock.
    fn replace(&self, shard: &Shard<K, V, F>, old: &Table<K, V>, keep: impl Fn(&Arc<Entry<K, V>>) -> bool) {
        let mut table = Table::with_capacity(old.len());
        for entry in old.iter().filter(|entry| keep(entry)) {
            table.insert_unique(entry.hash, entry.clone(), |entry| entry.hash);
        }
        self.len.fetch_sub((old.len() - table.len()) as u64, Ordering::Relaxed);
        shard.table.set(Some(Arc::new(table)));
    }
}

impl<K, V: Pinned> Loaded<K, V> {
    /// The entry of the key that the table was loaded for.
    #[inline]
    pub(crate) fn find<Q>(&self, key: &Q) -> Option<&Entry<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let entry = self.table.as_deref()?.find(self.hash, |entry| entry.key.borrow() == key)?;
        entry.touch();
        Some(entry)
    }
}

impl<K, V: Pinned> Entry<K, V> {
    /// The value, in place.
    #[inline]
    pub(crate) fn value(&self) -> &V {
        &self.value
    }

    /// Notes that the entry was read. A line that many threads read is written once per sweep.
    #[inline]
    fn touch(&self) {
        if self.touched.load(Ordering::Relaxed) == 0 {
            self.touched.store(1, Ordering::Relaxed);
        }
    }

    /// Clones the value, unless it was evicted.
    pub(crate) fn pin(&self) -> Option<V> {
        // Acquire and release order this and an eviction: either the eviction is seen here, or the eviction sees the
        // clone.
        let before = self.pins.fetch_add(PIN, Ordering::AcqRel);
        let value = (before & EVICTED == 0).then(|| self.value.clone());
        self.pins.fetch_sub(PIN, Ordering::AcqRel);
        value
    }

    /// Marks the entry as evicted, unless it is in use.
    fn evict(&self, now: Moment) -> bool {
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
