//! A bounded map that many threads read at the same time and that seldom changes.
//!
//! Keys are spread over small tables. A table never changes: a writer replaces it by a changed copy. So a reader takes
//! no lock and counts no reference, and one hot key costs two threads no more than two keys. In front of the tables are
//! the entries that are used most. `docs/DECISIONS.md` has what decided against the caches on crates.io.

#[cfg(not(bearer_loom))]
use std::hash::RandomState;
use std::{
    borrow::Borrow,
    collections::VecDeque,
    hash::{BuildHasher, Hash},
    ops::DerefMut,
    sync::{Arc, Weak},
    time::Duration,
};

use foldhash::{SharedSeed, quality::SeedableRandomState};
use hashbrown::HashTable;

use self::fronts::Fronts;
pub(crate) use self::{
    entry::{Entry, Pinned},
    eviction::Reservation,
    fronts::{Front, Missed},
};
use crate::{
    platform::Moment,
    provider::keyed::forgotten::Forgotten,
    sync::{AtomicU64, Mutex, Ordering, Slot, SlotGuard, lock},
};

mod entry;
mod eviction;
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
    /// Until when idle entries were looked for, in monotonic nanoseconds.
    swept: AtomicU64,
    len: AtomicU64,
    /// Which shard the next search for an entry to evict begins with.
    hand: AtomicU64,
}

struct Shard<K, V: Pinned, F> {
    table: Slot<Table<K, V>>,
    /// Held while the table is replaced.
    writer: Mutex<Writer<K, F>>,
}

/// What an attacker who invents keys does not know.
#[cfg(not(bearer_loom))]
fn seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// The model checker goes through the same steps again and again.
#[cfg(bearer_loom)]
fn seed() -> u64 {
    7
}

/// What only writers of a table look at.
struct Writer<K, F> {
    /// What is remembered about keys that are not in the table.
    forgotten: Forgotten<K, F>,
    removals: Removals,
}

/// How many removals of a table are remembered by their hash.
const REMOVALS: usize = 8;

/// The keys of a table that [`BoundedMap::remove`] was called for.
#[derive(Default)]
struct Removals {
    number: u64,
    /// The hashes of the last ones.
    last: VecDeque<u64>,
    /// The number of the last removal of all keys.
    cleared: u64,
}

impl Removals {
    fn add(&mut self, hash: u64) {
        self.number += 1;
        if self.last.len() >= REMOVALS {
            self.last.pop_front();
        }
        self.last.push_back(hash);
    }

    fn add_all(&mut self) {
        self.number += 1;
        self.cleared = self.number;
        self.last.clear();
    }

    /// Whether a key may have been removed since then. It is certain unless more keys were removed than are remembered.
    fn may_have(&self, hash: u64, since: Begun) -> bool {
        let unseen = usize::try_from(self.number - since.removals).unwrap_or(usize::MAX);
        self.cleared > since.removals
            || unseen > REMOVALS
            || self.last.iter().rev().take(unseen).any(|removed| *removed == hash)
    }
}

/// What a value is made from may be outdated once its key was removed. This is the moment at which making it began.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    removals: u64,
}

type Table<K, V> = HashTable<Arc<Entry<K, V>>>;

/// The key was removed while its value was made.
#[derive(Debug)]
pub(crate) struct Removed<K>(pub(crate) K);

/// The table of one key at one moment.
pub(crate) struct Loaded<K, V: Pinned> {
    hash: u64,
    table: SlotGuard<Table<K, V>>,
}

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
        let writer = || Writer { forgotten: Forgotten::with_capacity(remembered), removals: Removals::default() };
        let shard = |_| Shard { table: Slot::new(None), writer: Mutex::new(writer()) };
        BoundedMap {
            hasher: SeedableRandomState::with_seed(seed(), SharedSeed::global_random()),
            shards: (0..tables).map(shard).collect(),
            fronts: Arc::new(Fronts::new(bound)),
            bound: bound as u64,
            table_bound: LARGEST_TABLE * ENTRIES_PER_TABLE.max(bound.div_ceil(tables)),
            max_idle,
            swept: AtomicU64::new(0),
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

    /// Notes that a value of a key is going to be made, for [`insert`](Self::insert).
    pub(crate) fn begin<Q: Hash + ?Sized>(&self, key: &Q) -> Begun {
        Begun { removals: lock(&self.shard(self.hash(key)).writer).removals.number }
    }

    /// Whether the key was not removed since then. After many removals in its table, that is not known.
    pub(crate) fn is_current(&self, begun: Begun, key: &K) -> bool {
        let hash = self.hash(key);
        !lock(&self.shard(hash).writer).removals.may_have(hash, begun)
    }

    /// Inserts a value. If the key already has one, that one is returned. `adopt` sees what was remembered of the key.
    ///
    /// Of several callers that made a value for one key, the first wins, and the other values are dropped unused.
    ///
    /// # Errors
    ///
    /// If the key may have been removed since the value was [begun](Self::begin), if that is given. Nothing is changed
    /// then.
    pub(crate) fn insert(
        &self,
        place: Reservation<'_>,
        begun: Option<Begun>,
        key: K,
        value: V,
        now: Moment,
        adopt: impl FnOnce(&V, F),
    ) -> Result<V, Removed<K>> {
        let hash = self.hash(&key);
        let shard = self.shard(hash);
        let (value, _replaced, _loser) = {
            let mut writer = lock(&shard.writer);
            let old = shard.table.get();
            let found = old.as_deref().and_then(|table| table.find(hash, |entry| entry.key == key));
            if let Some(entry) = found {
                entry.touch();
                (entry.value.clone(), None, Some(value))
            } else if begun.is_some_and(|begun| writer.removals.may_have(hash, begun)) {
                drop(writer);
                return Err(Removed(key));
            } else {
                if let Some(what) = writer.forgotten.take(&key) {
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
        Ok(value)
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
            let mut writer = lock(&shard.writer);
            let Some(old) = shard.table.get() else { continue };
            let _places = self.replace(shard, &old, |entry| !unwanted.iter().any(|other| Arc::ptr_eq(entry, other)));
            for (key, what) in words {
                outdated.extend(writer.forgotten.put(key, what));
            }
            drop(writer);
            unwanted.iter().for_each(|entry| self.fronts.forget(entry));
        }
    }

    /// Removes an entry, even if it is in use, and everything that is remembered about its key. A value of the key that
    /// is being made at this moment is refused.
    pub(crate) fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let (entry, _forgotten, _old) = {
            let mut writer = lock(&shard.writer);
            writer.removals.add(hash);
            let what = writer.forgotten.take(key);
            let old = shard.table.get();
            let entry = old.as_deref().and_then(|table| table.find(hash, |entry| entry.key.borrow() == key)).cloned();
            if let (Some(old), Some(entry)) = (&old, &entry) {
                drop(self.replace(shard, old, |other| !Arc::ptr_eq(entry, other)));
            }
            (entry, what, old)
        };
        let entry = entry?;
        self.fronts.forget(&entry);
        Some(entry.value.clone())
    }

    /// Removes all entries, even those in use, and everything that is remembered. Values that are being made at this
    /// moment are refused.
    ///
    /// Each table is locked, unlike by [`retain`](Self::retain) with nothing to remove. So an insertion that comes later
    /// sees all that was done before this call.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let mut writer = lock(&shard.writer);
            writer.removals.add_all();
            let forgotten = writer.forgotten.take_all();
            let old = shard.table.get();
            let places = old.as_deref().map(|old| self.replace(shard, old, |_| false));
            drop(writer);
            // Outside the lock: dropping user values is user code.
            drop((forgotten, places));
            old.iter().flat_map(|old| old.iter()).for_each(|entry| self.fronts.forget(entry));
        }
    }

    /// Calls `look` for all entries. Each table is read at one moment, and different tables at different ones.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            if let Some(table) = shard.table.get() {
                table.iter().for_each(|entry| look(&entry.key, &entry.value));
            }
        }
    }

    /// Replaces the table by a copy without the entries that `keep` refuses, and returns their places. The caller holds
    /// the writer's lock.
    fn replace(
        &self,
        shard: &Shard<K, V, F>,
        old: &Table<K, V>,
        keep: impl Fn(&Arc<Entry<K, V>>) -> bool,
    ) -> Reservation<'_> {
        let mut table = Table::with_capacity(old.len());
        for entry in old {
            if keep(entry) {
                table.insert_unique(entry.hash, entry.clone(), |entry| entry.hash);
            } else {
                // Fronts must not give it any more.
                entry.remove();
            }
        }
        let places = Reservation::of(&self.len, old.len() - table.len());
        shard.table.set(Some(Arc::new(table)));
        places
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
