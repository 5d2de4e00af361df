//! Every interleaving of readers, writers, flights and evictions of one table. See `provider/flight/model_tests.rs` for
//! how to run them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc as StdArc, Weak},
};

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use super::bounded_map::{BoundedMap, Missed, Pinned};
use crate::{
    platform::Moment,
    provider::{cache::Copies, flight::model_tests::check},
    sync::{Mutex, lock},
};

/// A value that is in use while a clone exists outside of the map, or a flight is in progress, like a provider.
#[derive(Clone)]
struct Value(Arc<Provider>);

struct Provider {
    key: u8,
    life: StdArc<Mutex<Life>>,
    breaks: Breaks,
}

/// What tickets find without the map.
#[derive(Default)]
struct Life {
    is_flying: bool,
    is_retired: bool,
}

/// Variants that are broken, to show that the models see it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Breaks {
    Nothing,
    /// The map is not told about flights.
    HidesFlights,
    /// It goes on after its eviction.
    NeverRetires,
}

impl Value {
    fn new(key: u8) -> Self {
        Self::broken(key, Breaks::Nothing)
    }

    fn broken(key: u8, breaks: Breaks) -> Self {
        Value(Arc::new(Provider { key, life: StdArc::new(Mutex::new(Life::default())), breaks }))
    }
}

impl Pinned for Value {
    type Copied = ();

    fn copied_by(&self, _copies: Weak<dyn Copies>) {}

    fn is_in_use(&self, _now: Moment) -> bool {
        let is_flying = lock(&self.0.life).is_flying && self.0.breaks != Breaks::HidesFlights;
        Arc::strong_count(&self.0) > 1 || is_flying
    }

    fn retire(&self, _now: Moment) -> bool {
        if Arc::strong_count(&self.0) > 1 {
            return false;
        }
        let mut life = lock(&self.0.life);
        let is_free = !life.is_flying || self.0.breaks == Breaks::HidesFlights;
        life.is_retired |= is_free && self.0.breaks != Breaks::NeverRetires;
        is_free
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
        map.insert(place, None, key, Value::new(key), now(), |_, ()| ()).ok()
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

/// How many flights of one key there are.
type Sky = Arc<AtomicU64>;

/// A fetch that goes on without a caller. As in a provider, it has no clone of the value.
struct Flight {
    of: StdArc<Mutex<Life>>,
    sky: Sky,
}

/// Begins a flight, unless one is in progress, or the provider is retired and its caller looks at that.
fn fly(life: &StdArc<Mutex<Life>>, sky: &Sky, is_ticket: bool) -> Option<Flight> {
    let mut state = lock(life);
    if state.is_flying || (is_ticket && state.is_retired) {
        return None;
    }
    state.is_flying = true;
    assert_eq!(sky.fetch_add(1, Ordering::AcqRel), 0, "two flights of one key");
    Some(Flight { of: life.clone(), sky: sky.clone() })
}

impl Value {
    fn fly(&self, sky: &Sky) -> Option<Flight> {
        fly(&self.0.life, sky, false)
    }
}

impl Flight {
    /// The token arrives: its provider must still be in the map, for those who come now.
    fn land(self, map: &Map, key: u8) {
        let value = map.get(&key).expect("the provider of a flight is gone");
        assert!(StdArc::ptr_eq(&value.0.life, &self.of), "the flight of another provider");
        self.sky.fetch_sub(1, Ordering::AcqRel);
        lock(&self.of).is_flying = false;
    }
}

/// A warm request that finds its token stale: it looks at the entry in place, and pins it to begin the refresh.
fn refresh(map: &Map, key: u8, sky: &Sky) -> Option<Flight> {
    map.load(map.hash(&key)).find(&key).and_then(|entry| entry.pin())?.fly(sky)
}

/// The same without the pin. It is broken: the eviction may come between the look and the flight.
fn refresh_without_a_pin(map: &Map, key: u8, sky: &Sky) -> Option<Flight> {
    map.load(map.hash(&key)).find(&key)?.value().fly(sky)
}

/// One request refreshes, another key evicts, and a third caller comes for the same key.
fn refresh_beside_an_eviction(value: fn() -> Value, refresh: fn(&Map, u8, &Sky) -> Option<Flight>) {
    check(move || {
        let (map, sky) = (map(1), Sky::default());
        let place = map.reserve(&1, now(), |_| None).unwrap();
        drop(map.insert(place, None, 1, value(), now(), |_, ()| ()));
        let evictor = {
            let map = map.clone();
            thread::spawn(move || drop(map.reserve(&9, now(), |_| None)))
        };
        let flight = refresh(&map, 1, &sky);
        // The caller of a new provider begins a flight at once. The old one must not be in progress then.
        let second = try_get(&map, 1).and_then(|value| value.fly(&sky));
        evictor.join().unwrap();
        flight.into_iter().chain(second).for_each(|flight| flight.land(&map, 1));
        assert_eq!(sky.load(Ordering::Acquire), 0);
    });
}

#[test]
fn a_refresh_beside_an_eviction_is_one_flight() {
    refresh_beside_an_eviction(|| Value::new(1), refresh);
}

#[test]
#[should_panic(expected = "two flights of one key")]
fn a_refresh_without_a_pin_loses_its_flight() {
    refresh_beside_an_eviction(|| Value::new(1), refresh_without_a_pin);
}

#[test]
#[should_panic(expected = "the provider of a flight is gone")]
fn a_flight_that_the_map_is_not_told_of_is_lost() {
    refresh_beside_an_eviction(|| Value::broken(1, Breaks::HidesFlights), refresh);
}

/// The ticket of a sent request finds its provider without the map, and starts a renewal.
fn reject_beside_an_eviction(breaks: Breaks) {
    check(move || {
        let (map, sky) = (map(1), Sky::default());
        let value = Value::broken(1, breaks);
        let ticket = value.0.life.clone();
        let place = map.reserve(&1, now(), |_| None).unwrap();
        drop(map.insert(place, None, 1, value, now(), |_, ()| ()));
        let rejected = {
            let sky = sky.clone();
            thread::spawn(move || fly(&ticket, &sky, true))
        };
        let has_evicted = map.reserve(&9, now(), |_| None).map(drop).is_ok();
        let next = get(&map, 1).fly(&sky);
        let renewal = rejected.join().unwrap();
        assert!(renewal.is_none() || !has_evicted, "the renewal of a provider that is gone");
        renewal.into_iter().chain(next).for_each(|flight| flight.land(&map, 1));
    });
}

#[test]
fn a_rejection_beside_an_eviction_starts_no_second_flight() {
    reject_beside_an_eviction(Breaks::Nothing);
}

#[test]
#[should_panic(expected = "two flights of one key")]
fn a_provider_that_is_never_retired_flies_beside_its_successor() {
    reject_beside_an_eviction(Breaks::NeverRetires);
}

#[test]
fn a_flight_whose_waiter_leaves_keeps_its_place() {
    check(|| {
        let (map, sky) = (map(1), Sky::default());
        // The waiter has a clone while it waits. It leaves while another key looks for a place.
        let waiter = get(&map, 1);
        let flight = waiter.fly(&sky).unwrap();
        let evictor = {
            let map = map.clone();
            thread::spawn(move || map.reserve(&9, now(), |_| None).is_ok())
        };
        drop(waiter);
        assert!(get(&map, 1).fly(&sky).is_none(), "the next caller joins the flight");
        assert!(!evictor.join().unwrap());
        flight.land(&map, 1);
        assert!(map.reserve(&9, now(), |_| None).is_ok(), "after the flight the place is free");
    });
}

#[test]
fn a_landing_beside_an_eviction_is_seen_by_the_next_caller() {
    check(|| {
        let (map, sky) = (map(1), Sky::default());
        let flight = get(&map, 1).fly(&sky).unwrap();
        let evictor = {
            let map = map.clone();
            thread::spawn(move || drop(map.reserve(&9, now(), |_| None)))
        };
        flight.land(&map, 1);
        // Evicted after the landing or not: a new flight is the only one.
        let next = try_get(&map, 1).and_then(|value| value.fly(&sky));
        evictor.join().unwrap();
        next.into_iter().for_each(|flight| flight.land(&map, 1));
    });
}

#[test]
fn a_value_begun_before_a_removal_is_not_inserted_after_it() {
    check(|| {
        let map = map(2);
        let credential = Arc::new(AtomicU64::new(1));
        let (other, replaced) = (map.clone(), credential.clone());
        let operator = thread::spawn(move || {
            replaced.store(2, Ordering::Release);
            drop(other.remove(&1));
        });
        let begun = map.begin(&1);
        let value = Value::new(credential.load(Ordering::Acquire) as u8);
        let place = map.reserve(&1, now(), |_| None).unwrap();
        let inserted = map.insert(place, Some(begun), 1, value, now(), |_, ()| ()).is_ok();
        operator.join().unwrap();
        let found = map.get(&1).map(|value| value.0.key);
        assert!(matches!(found, None | Some(2)), "the old credential is in service");
        assert!(!inserted || found == Some(2) || map.len() == 0);
    });
}

#[test]
fn a_map_that_is_cleared_keeps_no_late_value() {
    check(|| {
        let (map, is_shut_down) = (map(2), Arc::new(AtomicBool::new(false)));
        let (other, flag) = (map.clone(), is_shut_down.clone());
        let builder = thread::spawn(move || {
            // As a first use does it: the flag is looked at before and after.
            let begun = other.begin(&1);
            if flag.load(Ordering::Relaxed) {
                return;
            }
            let place = other.reserve(&1, now(), |_| None).unwrap();
            drop(other.insert(place, Some(begun), 1, Value::new(1), now(), |_, ()| ()));
            if flag.load(Ordering::Relaxed) {
                other.clear();
            }
        });
        is_shut_down.store(true, Ordering::Relaxed);
        map.clear();
        builder.join().unwrap();
        assert_eq!(map.len(), 0);
        assert!(map.get(&1).is_none());
    });
}

/// Builds a key as its first use does: another key first, and then its own place, unless it panics before.
fn build(map: &Map, key: u8, needs: Option<u8>, panics: bool) -> Option<Value> {
    let begun = map.begin(&key);
    let built = catch_unwind(AssertUnwindSafe(|| {
        let needed = needs.map(|needed| get(map, needed));
        if panics {
            resume_unwind(Box::new("a build function that panics"));
        }
        drop(needed);
        Value::new(key)
    }));
    let place = map.reserve(&key, now(), |_| None).ok()?;
    map.insert(place, Some(begun), key, built.ok()?, now(), |_, ()| ()).ok()
}

#[test]
fn builds_that_need_each_other_or_panic_block_nobody() {
    check(|| {
        let map = map(2);
        let other = map.clone();
        let rival = thread::spawn(move || build(&other, 2, Some(1), true).is_none());
        let mine = build(&map, 1, Some(2), false);
        assert!(rival.join().unwrap());
        // The place that the panic left is free, and each key has one value.
        let (first, second) = (get(&map, 1), get(&map, 2));
        assert!(mine.is_none_or(|mine| Arc::ptr_eq(&mine.0, &first.0)));
        assert_eq!((first.0.key, second.0.key, map.len()), (1, 2, 2));
    });
}
