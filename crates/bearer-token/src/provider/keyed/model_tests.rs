//! Every interleaving of readers, writers and evictions of one table. See `provider/flight/model_tests.rs` for how to run
//! them.

use loom::{sync::Arc, thread};

use super::bounded_map::{BoundedMap, Pinned};
use crate::{platform::Moment, provider::flight::model_tests::check};

/// A value that is in use while a clone exists outside of the map.
#[derive(Clone)]
struct Value(Arc<u8>);

impl Pinned for Value {
    fn is_in_use(&self, _now: Moment) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

fn now() -> Moment {
    Moment::new(std::time::Duration::ZERO, std::time::UNIX_EPOCH)
}

fn map() -> Arc<BoundedMap<u8, Value, ()>> {
    Arc::new(BoundedMap::new(1, None))
}

fn get(map: &BoundedMap<u8, Value, ()>, key: u8) -> Value {
    map.get(&key).unwrap_or_else(|| map.insert(key, Value(Arc::new(key)), now(), |_, ()| ()))
}

#[test]
fn two_callers_of_one_key_get_one_value() {
    check(|| {
        let map = map();
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
        let map = map();
        drop(get(&map, 1));
        let evictor = {
            let map = map.clone();
            thread::spawn(move || map.make_room(now(), |_| None).is_ok())
        };
        let held = get(&map, 1);
        let has_evicted = evictor.join().unwrap();
        let again = get(&map, 1);
        // Either the eviction came first, and the value is the new one, or it found the value in use.
        assert!(Arc::ptr_eq(&held.0, &again.0), "two values for one key, evicted: {has_evicted}");
    });
}

#[test]
fn two_evictions_remove_an_entry_once() {
    check(|| {
        let map = map();
        drop(get(&map, 1));
        let rival = {
            let map = map.clone();
            thread::spawn(move || map.make_room(now(), |_| None))
        };
        assert!(map.make_room(now(), |_| None).is_ok());
        assert!(rival.join().unwrap().is_ok());
        assert_eq!(map.len(), 0);
    });
}

#[test]
fn an_insertion_beside_an_eviction_is_not_lost() {
    check(|| {
        let map = map();
        drop(get(&map, 1));
        let evictor = {
            let map = map.clone();
            thread::spawn(move || drop(map.make_room(now(), |_| None)))
        };
        let held = get(&map, 2);
        evictor.join().unwrap();
        assert!(map.get(&2).is_some_and(|found| Arc::ptr_eq(&found.0, &held.0)));
    });
}
