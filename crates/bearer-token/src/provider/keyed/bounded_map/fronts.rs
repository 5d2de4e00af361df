//! The entries that are used most, in front of the tables.
//!
//! A look into a table and another at the bearer of its provider change four atomic numbers, one look into a front
//! changes one. So the keys that are used most are found in fronts, each of which is a lock that is only tried. A
//! caller that finds it taken looks into the table.
//!
//! There is a set of fronts for each group of threads, so that threads seldom meet. In each set, the hash of a key
//! says which front may have it.
//!
//! # What must hold
//!
//! - A front gives no entry that has left the map. An entry is marked before the call that removes it returns, and
//!   a front looks at the mark.
//! - A front keeps no entry that has left the map, nor its token. It is emptied by the removal. The exception is one
//!   that is read at that very moment for longer than a removal waits. Its next reader drops the copied token, for
//!   whatever key it came, and the next one whose key has an entry puts that there.
//! - A key gets a front once it is used twice in a row there, unless the front has something that is used more often.
//!   So thousands of keys in turn change nothing.

use std::{borrow::Borrow, hint, mem, ops::DerefMut, ptr, sync::Arc};

use super::entry::{Entry, Pinned};
use crate::{
    resource::sharded::{copies, this_thread},
    sync::TryLock,
};

/// The most fronts of a group of threads.
const MOST: usize = 16;

/// How many times as often as others in its front an entry may have been used, when these begin to count.
const MOST_MERIT: u32 = 16;

/// How often a removal tries a front that is being read.
const TRIES: usize = if cfg!(bearer_loom) { 1 } else { 100 };

/// The fronts of a map.
pub(crate) struct Fronts<K, V: Pinned> {
    /// Those of the first group of threads, those of the second, and so on.
    all: Box<[Padded<K, V>]>,
    /// How many a group has. Both are powers of two.
    of_group: usize,
}

/// Processors fetch cache lines in pairs.
#[repr(align(128))]
struct Padded<K, V: Pinned>(TryLock<Front<K, V>>);

/// A place for one entry.
pub(crate) struct Front<K, V: Pinned> {
    entry: Option<Arc<Entry<K, V>>>,
    copied: V::Copied,
    /// How much more often the entry was used than others that would be here.
    merit: u32,
    /// The hash of the last other key, once the entry has no merit.
    rival: u64,
}

/// A key that is in no front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// It should get one.
    Often,
    Seldom,
}

impl<K, V: Pinned> Front<K, V> {
    fn new() -> Self {
        Front { entry: None, copied: V::Copied::default(), merit: 0, rival: 0 }
    }

    /// The entry, and what is kept beside it.
    #[inline]
    pub(crate) fn parts(&mut self) -> Option<(&Entry<K, V>, &mut V::Copied)> {
        Some((self.entry.as_deref()?, &mut self.copied))
    }

    /// Counts a use of another key, which takes the place of an entry that has left the map. The token of that goes
    /// now, and the entry when the front is free ([`Fronts::admit`]): its key's destructor is user code.
    #[cold]
    fn miss(&mut self, hash: u64) -> Missed {
        if self.entry.as_ref().is_some_and(|entry| entry.is_evicted()) {
            self.copied = V::Copied::default();
            return Missed::Often;
        }
        if self.merit > 0 {
            self.merit -= 1;
            return Missed::Seldom;
        }
        if mem::replace(&mut self.rival, hash) == hash { Missed::Often } else { Missed::Seldom }
    }
}

impl<K, V: Pinned> Fronts<K, V> {
    /// Empty ones, for a map of so many entries.
    pub(super) fn new(bound: usize) -> Self {
        let of_group = bound.next_power_of_two().min(MOST);
        let all = (0..copies() * of_group).map(|_| Padded(TryLock::new(Front::new()))).collect();
        Fronts { all, of_group }
    }

    /// The front of a hash, in a group of threads.
    #[inline]
    fn at(&self, group: usize, hash: u64) -> Option<&TryLock<Front<K, V>>> {
        // Other bits than those that choose the shard and the place in a table.
        let place = group.wrapping_mul(self.of_group) + ((hash >> 16) as usize & (self.of_group - 1));
        self.all.get(place & self.all.len().wrapping_sub(1)).map(|front| &front.0)
    }

    /// The front of this thread that has the entry of a key.
    #[inline]
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Result<impl DerefMut<Target = Front<K, V>> + '_, Missed>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.find_in(this_thread(), hash, key)
    }

    #[inline]
    pub(super) fn find_in<Q>(
        &self,
        group: usize,
        hash: u64,
        key: &Q,
    ) -> Result<impl DerefMut<Target = Front<K, V>> + '_, Missed>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let Some(mut front) = self.at(group, hash).and_then(TryLock::try_lock) else { return Err(Missed::Seldom) };
        let found = front.entry.as_ref().filter(|entry| entry.hash == hash && !entry.is_evicted());
        if let Some(entry) = found
            && entry.key.borrow() == key
        {
            entry.touch();
            front.merit = MOST_MERIT.min(front.merit + 1);
            return Ok(front);
        }
        Err(front.miss(hash))
    }

    /// Gives an entry the front of this thread.
    #[cold]
    pub(super) fn admit(&self, entry: &Arc<Entry<K, V>>) {
        self.admit_in(this_thread(), entry);
    }

    pub(super) fn admit_in(&self, group: usize, entry: &Arc<Entry<K, V>>) {
        let Some(front) = self.at(group, entry.hash) else { return };
        // Dropped after the front is free: the key's destructor is user code.
        let _replaced = front.try_lock().map(|mut front| {
            let new = Front { entry: Some(entry.clone()), merit: 1, ..Front::new() };
            mem::replace(&mut *front, new)
        });
        // A removal that found the front taken has marked the entry before.
        if entry.is_evicted_for_certain() {
            self.forget(entry);
        }
    }

    /// Empties the fronts of an entry that has left the map.
    pub(super) fn forget(&self, entry: &Arc<Entry<K, V>>) {
        for group in 0..self.all.len() / self.of_group {
            let Some(front) = self.at(group, entry.hash) else { continue };
            let mut taken = (0..TRIES).find_map(|_| {
                front.try_lock().or_else(|| {
                    hint::spin_loop();
                    None
                })
            });
            let _removed = taken.as_mut().and_then(|front| {
                let is_of_entry = front.entry.as_ref().is_some_and(|other| Arc::ptr_eq(other, entry));
                is_of_entry.then(|| mem::replace(&mut **front, Front::new()))
            });
            drop(taken);
        }
    }

    /// Drops what is copied of the value of an entry.
    pub(super) fn forget_copies(&self, entry: &Entry<K, V>) {
        for group in 0..self.all.len() / self.of_group {
            if let Some(mut front) = self.at(group, entry.hash).and_then(TryLock::try_lock)
                && front.entry.as_deref().is_some_and(|other| ptr::eq(other, entry))
            {
                front.copied = V::Copied::default();
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use std::{
        sync::Weak,
        time::{Duration, UNIX_EPOCH},
    };

    use super::*;
    use crate::{
        platform::Moment,
        provider::{cache::Copies, keyed::bounded_map::BoundedMap},
    };

    #[derive(Clone)]
    struct Value(Arc<u32>);

    impl Pinned for Value {
        type Copied = u32;

        fn copied_by(&self, _copies: Weak<dyn Copies>) {}

        fn is_in_use(&self, _now: Moment) -> bool {
            false
        }

        fn retire(&self, _now: Moment) -> bool {
            true
        }
    }

    type Map = BoundedMap<u32, Value, ()>;

    fn now() -> Moment {
        Moment::new(Duration::ZERO, UNIX_EPOCH)
    }

    /// A map with one front for each group of threads, or with many, and the values of all keys.
    fn map(bound: usize, keys: u32) -> (Map, Vec<Weak<u32>>) {
        let map = Map::new(bound, None);
        let values = (0..keys).map(|key| {
            let value = Value(Arc::new(key));
            let weak = Arc::downgrade(&value.0);
            let place = map.reserve(&key, now(), |_| None).unwrap();
            drop(map.insert(place, None, key, value, now(), |_, ()| ()));
            weak
        });
        let values = values.collect();
        (map, values)
    }

    /// Uses a key as a request does. Whether a front has it.
    fn uses(map: &Map, key: u32) -> bool {
        let hash = map.hash(&key);
        match map.front(hash, &key) {
            Ok(mut front) => {
                let (entry, copied) = front.parts().unwrap();
                assert_eq!(*entry.value().0, key);
                *copied = key;
                return true;
            }
            Err(Missed::Often) => map.admit(map.load(hash).find(&key).unwrap()),
            Err(Missed::Seldom) => {}
        }
        false
    }

    #[test]
    fn a_key_has_a_front_after_two_uses_in_a_row() {
        let (map, _) = map(1, 1);
        assert_eq!([(); 4].map(|()| uses(&map, 0)), [false, false, true, true]);
    }

    #[test]
    fn keys_that_take_turns_get_no_front_and_take_none_away() {
        let (map, _) = map(1_024, 1_000);
        for round in 0..3 {
            assert!((0..1_000).all(|key| !uses(&map, key)), "{round}");
        }
        for _ in 0..3 {
            uses(&map, 7);
        }
        for key in 0..1_000 {
            assert_eq!(uses(&map, key), key == 7);
            assert!(uses(&map, 7), "beside {key}");
        }
    }

    #[test]
    fn a_key_that_is_used_no_more_makes_room() {
        let (map, _) = map(1_024, 1_000);
        for _ in 0..1_000 {
            uses(&map, 0);
        }
        let place = |key: u32| (map.hash(&key) >> 16) as usize & (MOST - 1);
        let rival = (1..1_000).find(|key| place(*key) == place(0)).unwrap();
        let needed = (1..).find(|_| uses(&map, rival)).unwrap();
        assert!(needed <= MOST_MERIT + 3, "{needed}");
        assert!(!uses(&map, 0));
    }

    #[test]
    fn whatever_removes_an_entry_empties_its_fronts() {
        type Remove = fn(&Map);
        let ways: [(&str, Remove); 3] = [
            ("remove", |map| drop(map.remove(&0))),
            ("retain", |map| map.retain(|_, _| false, |_| None)),
            ("eviction", |map| drop(map.reserve(&9, now(), |_| None).unwrap())),
        ];
        for (way, remove) in ways {
            let (map, values) = map(1, 1);
            for _ in 0..3 {
                uses(&map, 0);
            }
            map.fronts.admit_in(this_thread() + 1, map.load(map.hash(&0)).find(&0).unwrap());
            assert!(uses(&map, 0) && values[0].upgrade().is_some(), "{way}");
            remove(&map);
            assert!(values[0].upgrade().is_none(), "{way}");
            assert!(map.front(map.hash(&0), &0).is_err(), "{way}");
        }
    }

    #[test]
    fn a_front_read_during_a_removal_gives_no_removed_entry() {
        let (map, values) = map(1, 1);
        for _ in 0..3 {
            uses(&map, 0);
        }
        let reader = map.front(map.hash(&0), &0);
        assert!(reader.is_ok());
        drop(map.remove(&0));
        drop(reader);
        assert!(values[0].upgrade().is_some(), "the compromise");
        // Another entry takes its place at once.
        let place = map.reserve(&1, now(), |_| None).unwrap();
        drop(map.insert(place, None, 1, Value(Arc::new(1)), now(), |_, ()| ()));
        assert_eq!([(); 2].map(|()| uses(&map, 1)), [false, true]);
        assert!(values[0].upgrade().is_none());
    }

    #[test]
    fn one_use_of_any_key_empties_the_front_of_a_removed_entry() {
        let insert = |map: &Map, key: u32| {
            let value = Value(Arc::new(key));
            let weak = Arc::downgrade(&value.0);
            let place = map.reserve(&key, now(), |_| None).unwrap();
            drop(map.insert(place, None, key, value, now(), |_, ()| ()));
            weak
        };
        for key in [5, 6] {
            let map = Map::new(1, None);
            let removed = insert(&map, 5);
            for _ in 0..MOST_MERIT {
                uses(&map, 5);
            }
            let copied = || map.fronts.at(this_thread(), 0).unwrap().try_lock().unwrap().copied;
            let reader = map.front(map.hash(&5), &5);
            drop(map.remove(&5));
            drop(reader);
            assert!(removed.upgrade().is_some() && copied() == 5, "the compromise");
            // It has no entry yet, so the token alone goes.
            assert!(matches!(map.front(map.hash(&key), &key), Err(Missed::Often)));
            assert_eq!(copied(), 0, "{key}");
            let _value = insert(&map, key);
            assert_eq!([(); 2].map(|()| uses(&map, key)), [false, true]);
            assert!(removed.upgrade().is_none(), "{key}");
        }
    }

    #[test]
    fn a_taken_front_is_left_for_the_table() {
        let (map, _) = map(1, 1);
        for _ in 0..3 {
            uses(&map, 0);
        }
        let _reader = map.front(map.hash(&0), &0);
        assert!(matches!(map.front(map.hash(&0), &0), Err(Missed::Seldom)));
        assert!(map.get(&0).is_some());
    }
}
