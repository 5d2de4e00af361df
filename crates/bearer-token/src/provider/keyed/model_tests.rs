//! Every interleaving of readers, writers and evictions of one table. See `provider/flight/model_tests.rs` for how to
//! run them.

use std::sync::Weak;

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::bounded_map::{BoundedMap, Missed, Pinned};
use crate::{
    platform::Moment,
    provider::{cache::Copies, flight::model_tests::check},
};

/// A value that is in use while a clone exists outside of the map.
#[derive(Clone)]
struct Value(Arc<u8>);

impl Pinned for Value {
    type Copied = ();

    fn copied_by(&self, _copies: Weak<dyn Copies>) {}

    fn is_in_use(&self, _now: Moment) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

fn now() -> Moment {
    Moment::new(std::time::Duration::ZERO, std::time::UNIX_EPOCH)
}

type Map = BoundedMap<u8, Value, ()>;

fn map(bound: usize) -> Arc<Map> {
    Arc::new(BoundedMap::new(bound, None))
}

/// The value of a key, or none if every place is taken.
fn try_get(map: &Map, key: u8) -> Option<Value> {
    map.get(&key).or_else(|| {
        let place = map.reserve(&key, now(), |_| None).ok()?;
        assert!(map.len() <= map.bound());
        Some(map.insert(place, key, Value(Arc::new(key)), now(), |_, ()| ()))
    })
}

fn get(map: &Map, key: u8) -> Value {
    try_get(map, key).unwrap()
}

#[test]
fn two_callers_of_one_key_get_one_value() {
    check(|| {
        let map = map(2);
        let rival = {
            let map = map.clone();
            thread::spawn(move || get(&map, 1))
        };
        let mine = get(&map, 1);
        assert!(Arc::ptr_eq(&mine.0, &rival.join().unwrap().0));
        assert_eq!(map.len(), 1);
    });
}

#[test]
fn a_value_that_was_got_is_not_evicted() {
    check(|| {
        let map = map(1);
        drop(get(&map, 1));
        let evictor = {
            let map = map.clone();
            thread::spawn(move || map.reserve(&9, now(), |_| None).is_ok())
        };
        // While the evictor has reserved the only place, there is none.
        let held = try_get(&map, 1);
        let has_evicted = evictor.join().unwrap();
        let again = get(&map, 1);
        // Either the eviction came first, and the value is the new one, or it found the value in use.
        let is_same = held.is_none_or(|held| Arc::ptr_eq(&held.0, &again.0));
        assert!(is_same, "two values for one key, evicted: {has_evicted}");
    });
}

#[test]
fn two_evictions_remove_an_entry_once() {
    check(|| {
        let map = map(1);
        drop(get(&map, 1));
        let rival = {
            let map = map.clone();
            thread::spawn(move || map.reserve(&9, now(), |_| None).map(drop).is_ok())
        };
        let mine = map.reserve(&9, now(), |_| None).map(drop).is_ok();
        assert!(rival.join().unwrap() || mine, "one of them gets the place");
        assert_eq!(map.len(), 0);
    });
}

#[test]
fn two_new_keys_never_exceed_the_bound() {
    check(|| {
        let map = map(1);
        let rival = {
            let map = map.clone();
            thread::spawn(move || try_get(&map, 2).is_some())
        };
        let mine = try_get(&map, 1).is_some();
        assert!(rival.join().unwrap() || mine, "one of them gets the place");
        assert_eq!(map.len(), 1);
    });
}

#[test]
fn an_insertion_beside_an_eviction_is_not_lost() {
    check(|| {
        let map = map(1);
        drop(get(&map, 1));
        let evictor = {
            let map = map.clone();
            thread::spawn(move || drop(map.reserve(&9, now(), |_| None)))
        };
        let held = try_get(&map, 2);
        evictor.join().unwrap();
        if let Some(held) = held {
            assert!(map.get(&2).is_some_and(|found| Arc::ptr_eq(&found.0, &held.0)));
        }
    });
}

/// Looks for a key as a request does, and returns the value that a front has.
fn look(map: &Map, key: u8) -> Option<Value> {
    let hash = map.hash(&key);
    let missed = match map.front(hash, &key) {
        Ok(mut front) => return front.parts().map(|(entry, ())| entry.value().clone()),
        Err(missed) => missed,
    };
    if missed == Missed::Often
        && let Some(entry) = map.load(hash).find(&key)
    {
        map.admit(entry);
    }
    None
}

#[test]
fn a_front_never_gives_a_value_that_was_removed() {
    check(|| {
        let map = map(1);
        drop(get(&map, 1));
        look(&map, 1);
        let is_removed = Arc::new(AtomicBool::new(false));
        let (other, told) = (map.clone(), is_removed.clone());
        let reader = thread::spawn(move || {
            // The first one admits the entry.
            for _ in 0..2 {
                let before = told.load(Ordering::Acquire);
                let found = look(&other, 1);
                assert!(!before || found.is_none());
            }
        });
        drop(map.remove(&1));
        is_removed.store(true, Ordering::Release);
        assert!(look(&map, 1).is_none());
        reader.join().unwrap();
        assert!(look(&map, 1).is_none());
    });
}

#[test]
fn a_front_that_was_filled_during_a_removal_is_emptied() {
    check(|| {
        let map = map(1);
        let value = get(&map, 1);
        look(&map, 1);
        let other = map.clone();
        // It admits the entry, and never looks again.
        let reader = thread::spawn(move || drop(look(&other, 1)));
        drop(map.remove(&1));
        reader.join().unwrap();
        assert_eq!(Arc::strong_count(&value.0), 1, "a front keeps the removed value");
    });
}

#[test]
fn a_front_never_gives_a_value_that_was_evicted() {
    check(|| {
        let map = map(1);
        drop(get(&map, 1));
        look(&map, 1);
        look(&map, 1);
        let evictor = {
            let map = map.clone();
            thread::spawn(move || map.reserve(&9, now(), |_| None).is_ok())
        };
        look(&map, 1);
        evictor.join().unwrap();
        let again = get(&map, 1);
        assert!(look(&map, 1).is_none_or(|found| Arc::ptr_eq(&found.0, &again.0)));
    });
}
