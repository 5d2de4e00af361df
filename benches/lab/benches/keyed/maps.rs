//! A look into a map by itself.

use std::{
    hash::BuildHasher,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use lab::{report::Report, statistics::Turns};

use super::{KEYS, tenant};

/// How long a look into a map takes by itself, ours beside others: on one thread and on two, one key and many.
pub fn maps(report: &mut Report) {
    const LOOKS: usize = 1 << 18;
    let keys: Vec<String> = (0..KEYS).map(|number| tenant(number).0).collect();
    let quick = quick_cache::sync::Cache::<String, Arc<AtomicU64>>::new(2 * KEYS);
    let papaya = papaya::HashMap::<String, Arc<AtomicU64>>::new();
    // The map of keyed providers, reduced to its way of reading.
    let hasher = std::hash::RandomState::new();
    let mut tables = vec![hashbrown::HashTable::<(String, Arc<AtomicU64>)>::new(); 512];
    for key in &keys {
        quick.insert(key.clone(), Arc::default());
        papaya.pin().insert(key.clone(), Arc::default());
        let hash = hasher.hash_one(key);
        let table = &mut tables[(hash >> 32) as usize & 511];
        table.insert_unique(hash, (key.clone(), Arc::default()), |(key, _)| hasher.hash_one(key));
    }
    let tables: Vec<_> = tables.into_iter().map(arc_swap::ArcSwap::from_pointee).collect();
    let look = |map: usize, key: &String| match map {
        0 => quick.get(key).map_or(1, |value| value.load(Ordering::Relaxed)),
        1 => papaya.pin().get(key).map_or(1, |value| value.load(Ordering::Relaxed)),
        _ => {
            let hash = hasher.hash_one(key);
            let table = tables[(hash >> 32) as usize & 511].load();
            table.find(hash, |(other, _)| other == key).map_or(1, |(_, value)| value.load(Ordering::Relaxed))
        }
    };
    let rows = [(1, true), (1, false), (2, true), (2, false)].map(|(threads, hot)| {
        let turns = Turns::take(3, 11, |map| {
            let started = Instant::now();
            thread::scope(|scope| {
                for thread in 0..threads {
                    let (keys, look) = (&keys, &look);
                    scope.spawn(move || {
                        let mut sum = 0;
                        for at in 0..LOOKS {
                            let place = if hot { 7 } else { (at * 6_151 + thread * 77) % KEYS };
                            sum += look(map, &keys[place]);
                        }
                        black_box(sum);
                    });
                }
            });
            started.elapsed()
        });
        let nanos = |map| turns.seconds(map) / LOOKS as f64 * 1e9;
        vec![
            format!(
                "{threads} thread{}, {}",
                if threads == 1 { "" } else { "s" },
                if hot { "one key" } else { "all keys" }
            ),
            format!("{:.0}", nanos(0)),
            format!("{:.0}", nanos(1)),
            format!("{:.0}", nanos(2)),
        ]
    });
    let head = ["ns per look", "quick_cache, clone of an Arc", "papaya, in place", "tables in arc-swaps, in place"];
    report.table(&head, rows.to_vec());
}
