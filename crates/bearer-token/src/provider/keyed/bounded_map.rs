//! A bounded map that many threads read at the same time and that seldom changes.
//!
//! Keys are spread over small tables. A table never changes: a writer replaces it by a changed copy. So a reader takes
//! no lock and counts no reference, and one hot key costs two threads no more than two keys. In front of the tables are
//! the entries that are used most. `docs/DECISIONS.md` has what decided against the caches on crates.io.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash, RandomState},
    ops::DerefMut,
    sync::{Arc, Weak},
    time::Duration,
};

use foldhash::{SharedSeed, quality::SeedableRandomState};
use hashbrown::HashTable;

use self::fronts::Fronts;
pub(crate) use self::{
    entry::{Entry, Pinned},
    fronts::{Front, Missed},
};
use crate::{
    platform::Moment,
    provider::keyed::forgotten::Forgotten,
    sync::{AtomicU64, Mutex, Ordering, Slot, SlotGuard, lock},
};

mod entry;
mod fronts;

/// How many entries a table has on average when the map is full: what a writer copies.
const ENTRIES_PER_TABLE: usize = 32;

/// The largest number of tables. In larger maps the tables are larger.
const MAX_TABLES: usize = 1 << 14;

/// How much larger than the average a table may become. By chance alone no table does.
const LARGEST_TABLE: usize = 8;

/// A map of at most `bound` entries. `F` is what is remembered of a key that has no entry any more.
///
/// # What must hold
///
/// - There are never more entries than the bound. A place is counted before its entry is made, by a compare-and-swap.
/// - An entry that is in use is not evicted, and a reader never gets a value of an evicted one. [`Entry`] has the
///   numbers for that.
/// - User code (hashing, comparing, cloning and dropping keys and values) may panic anywhere. So a table is replaced by
///   a whole copy, and what it replaces is dropped outside of the lock.
pub(crate) struct BoundedMap<K, V: Pinned, F> {
    /// A quick hash with a random seed. Keys that were made to collide end up in one table, whose size is limited: they
    /// evict each other and slow nothing else down.
    hasher: SeedableRandomState,
    /// A power of two of them.
    shards: Box<[Shard<K, V, F>]>,
    /// The entries that are used most.
    fronts: Arc<Fronts<K, V>>,
    bound: u64,
    /// The largest size of a table.
    table_bound: usize,
    max_idle: Option<Duration>,
    len: AtomicU64,
    /// Which shard the next search for an entry to evict begins with.
    hand: AtomicU64,
}

struct Shard<K, V: Pinned, F> {
    table: Slot<Table<K, V>>,
    /// Held while the table is replaced. It contains what is remembered about keys that are not in the table.
    writer: Mutex<Forgotten<K, F>>,
}

type Table<K, V> = HashTable<Arc<Entry<K, V>>>;

/// The table of one key at one moment.
pub(crate) struct Loaded<K, V: Pinned> {
    hash: u64,
    table: SlotGuard<Table<K, V>>,
}

/// A reserved place for one more entry. It is free again when this is dropped, unless it was filled.
pub(crate) struct Reservation<'a> {
    len: &'a AtomicU64,
    is_filled: bool,
}

impl Reservation<'_> {
    fn fill(mut self) {
        self.is_filled = true;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.is_filled {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Every entry of a full map is in use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<K, V: Pinned, F> BoundedMap<K, V, F> {
    /// How many entries there are, and reserved places.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.len.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    pub(crate) fn bound(&self) -> usize {
        usize::try_from(self.bound).unwrap_or(usize::MAX)
    }
}

impl<K, V, F> BoundedMap<K, V, F>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Pinned + Send + Sync + 'static,
{
    /// An empty map. Its tables are made for the bound, and take memory as they fill.
    pub(crate) fn new(bound: usize, max_idle: Option<Duration>) -> Self {
        let tables = bound.div_ceil(ENTRIES_PER_TABLE).next_power_of_two().min(MAX_TABLES);
        // Twice the average: with an uneven spread over the shards, nothing is forgotten early.
        let remembered = 2 * bound.div_ceil(tables);
        let shard = |_| Shard { table: Slot::new(None), writer: Mutex::new(Forgotten::with_capacity(remembered)) };
        BoundedMap {
            hasher: SeedableRandomState::with_seed(RandomState::new().hash_one(bound), SharedSeed::global_random()),
            shards: (0..tables).map(shard).collect(),
            fronts: Arc::new(Fronts::new(bound)),
            bound: bound as u64,
            table_bound: LARGEST_TABLE * ENTRIES_PER_TABLE.max(bound.div_ceil(tables)),
            max_idle,
            len: AtomicU64::new(0),
            hand: AtomicU64::new(0),
        }
    }

    /// The hash of a key, which a request computes once.
    #[inline]
    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The shard of a hash. The table uses the highest seven bits and the lowest, so the shard is chosen by those
    /// between.
    #[inline]
    fn shard(&self, hash: u64) -> &Shard<K, V, F> {
        &self.shards[(hash >> 32) as usize & (self.shards.len() - 1)]
    }

    /// The front that has the entry of a key. While the caller has it, other threads of its group look into the table.
    #[inline]
    pub(crate) fn front<Q>(&self, hash: u64, key: &Q) -> Result<impl DerefMut<Target = Front<K, V>> + '_, Missed>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.fronts.find(hash, key)
    }

    /// Gives an entry a front, for a key that is used often.
    pub(crate) fn admit(&self, entry: &Arc<Entry<K, V>>) {
        self.fronts.admit(entry);
    }

    /// The table of a hash, as it is now. No lock, no count. Entries may be evicted at the same time.
    #[inline]
    pub(crate) fn load(&self, hash: u64) -> Loaded<K, V> {
        Loaded { hash, table: self.shard(hash).table.load() }
    }

    /// A clone of a value, unless there is none or it is just being evicted. While the clone exists it is not evicted.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.load(self.hash(key)).find(key)?.pin()
    }

    /// Looks at the fact that is remembered about a key without a value.
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
    pub(crate) fn insert(&self, place: Reservation<'_>, key: K, value: V, now: Moment, adopt: impl FnOnce(&V, F)) -> V {
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
                let entry = Arc::new(Entry::new(hash, key, value.clone(), now, &self.fronts));
                let copies: Weak<Entry<K, V>> = Arc::downgrade(&entry);
                value.copied_by(copies);
                let mut table = old.as_deref().cloned().unwrap_or_default();
                table.insert_unique(hash, entry, |entry| entry.hash);
                shard.table.set(Some(Arc::new(table)));
                place.fill();
                (value, old, None)
            }
        };
        value
    }

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
            self.sweep(shard, now, 1, false, &last_words);
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
                    return Ok(Reservation { len: &self.len, is_filled: false });
                }
                continue;
            }
            if visits == 0 {
                return Err(Full);
            }
            let spare_touched = visits > self.shards.len();
            visits -= 1;
            self.sweep(self.next_shard(), now, len + 1 - self.bound, spare_touched, &last_words);
        }
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

    /// The shards in turn, for all threads together: the hand of the clock.
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
        // Dropped after the lock is released: dropping user values is user code.
        let (mut spared, mut dropped, mut outdated) = (Vec::new(), Vec::new(), Vec::new());
        let mut forgotten = lock(&shard.writer);
        let Some(old) = shard.table.get() else { return };
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
            return;
        }
        self.replace(shard, &old, |entry| !entry.is_evicted());
        for (key, entry) in evicted {
            self.fronts.forget(&entry);
            let words = last_words(entry.value());
            dropped.push(entry);
            // Comparing keys and dropping them is user code too. By now the table is whole.
            if let Some(what) = words {
                outdated.extend(forgotten.put(key, what));
            }
        }
    }

    /// Removes the entries that are not to be kept, whether or not they are in use.
    pub(crate) fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool, last_words: impl Fn(&V) -> Option<F>) {
        for shard in &self.shards {
            // User code runs on a copy, outside the lock.
            let Some(seen) = shard.table.get() else { continue };
            let unwanted: Vec<_> = seen.iter().filter(|entry| !keep(&entry.key, &entry.value)).collect();
            if unwanted.is_empty() {
                continue;
            }
            let words: Vec<_> =
                unwanted.iter().filter_map(|entry| Some((entry.key.clone(), last_words(&entry.value)?))).collect();
            // Dropped after the lock is released: dropping user values is user code.
            let mut outdated = Vec::new();
            let mut forgotten = lock(&shard.writer);
            let Some(old) = shard.table.get() else { continue };
            self.replace(shard, &old, |entry| !unwanted.iter().any(|other| Arc::ptr_eq(entry, other)));
            for (key, what) in words {
                outdated.extend(forgotten.put(key, what));
            }
            drop(forgotten);
            unwanted.iter().for_each(|entry| self.fronts.forget(entry));
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
        let entry = entry?;
        self.fronts.forget(&entry);
        Some(entry.value.clone())
    }

    /// Calls `look` for all entries. Each table is read at one moment, and different tables at different ones.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            if let Some(table) = shard.table.get() {
                table.iter().for_each(|entry| look(&entry.key, &entry.value));
            }
        }
    }

    /// Replaces the table by a copy without the entries that `keep` refuses. The caller holds the writer's lock.
    fn replace(&self, shard: &Shard<K, V, F>, old: &Table<K, V>, keep: impl Fn(&Arc<Entry<K, V>>) -> bool) {
        let mut table = Table::with_capacity(old.len());
        for entry in old {
            if keep(entry) {
                table.insert_unique(entry.hash, entry.clone(), |entry| entry.hash);
            } else {
                // Fronts must not give it any more.
                entry.remove();
            }
        }
        self.len.fetch_sub((old.len() - table.len()) as u64, Ordering::Relaxed);
        shard.table.set(Some(Arc::new(table)));
    }
}

impl<K, V: Pinned, F> Shard<K, V, F> {
    fn len(&self) -> usize {
        self.table.read(|table| table.map_or(0, HashTable::len))
    }
}

impl<K, V: Pinned> Loaded<K, V> {
    /// The entry of the key that the table was loaded for.
    #[inline]
    pub(crate) fn find<Q>(&self, key: &Q) -> Option<&Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let entry = self.table.as_deref()?.find(self.hash, |entry| entry.key.borrow() == key)?;
        entry.touch();
        Some(entry)
    }
}
