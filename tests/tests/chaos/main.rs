//! Days of a provider's life in virtual time: callers come and go, servers fail, clocks are set, runtimes are shut
//! down. Whatever happens, what the oracle demands holds.
//!
//! All of it follows from a seed, which a failure names. `CHAOS_SEED=7` plays one again, and `CHAOS_SEEDS=1000` that
//! many, from there on or from the first.
//!
//! In a binary of its own: the counting allocator is that of the whole process. It counts by thread.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod callers;
mod oracle;
mod server;
mod weather;
mod world;

use std::{
    env,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use allocation_counter::measure;

use self::{
    oracle::Seen,
    weather::{Plan, live},
    world::lock,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Enough to see everything that can be seen, in some seconds.
const SEEDS: u64 = 6;

/// One test at a time: the registry of providers is the whole process's, and memory that
/// one test frees for another is not told apart.
static ALONE: Mutex<()> = Mutex::new(());

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

fn plan(seed: u64) -> Plan {
    Plan { seed, callers: 2_000, pause: HOUR * 3 / 2, time: 24 * HOUR }
}

#[test]
fn whatever_happens_in_days_of_virtual_time_the_invariants_hold() {
    let _alone = lock(&ALONE);
    let first = number("CHAOS_SEED").unwrap_or(1);
    let count = number("CHAOS_SEEDS").unwrap_or(if env::var_os("CHAOS_SEED").is_some() { 1 } else { SEEDS });
    let next = AtomicU64::new(first);
    let total = Mutex::new(Seen::default());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(4) {
            scope.spawn(|| {
                while let seed @ 0.. = next.fetch_add(1, Ordering::Relaxed)
                    && seed < first + count
                {
                    let (seen, _) = live(plan(seed));
                    lock(&total).add(seen);
                }
            });
        }
    });
    let total = *lock(&total);
    println!("{count} seeds of {:?} with {} callers: {total:?}", plan(0).time, plan(0).callers);
    if count >= SEEDS {
        assert!(total.is_everything(), "something never happened: {total:?}");
    }
}

#[test]
fn memory_is_flat_however_long_it_lasts() {
    let _alone = lock(&ALONE);
    // What is made once and for all is made here.
    let short = |seed, days: u32| Plan { callers: 200, time: days * 24 * HOUR, ..plan(seed) };
    drop(live(short(1, 1)));
    let mut one_day = None;
    for (seed, days) in [(2, 1), (3, 4)] {
        let mut left = None;
        let provider = measure(|| left = Some(live(short(seed, days)).1));
        let all = measure(|| drop(live(short(seed, days))));
        // The provider itself, the last token with its fronts, and the last error: 87 allocations.
        assert!(provider.count_current <= 96, "{days} days: {provider:?}");
        let one_day = *one_day.get_or_insert(provider.count_current);
        assert!(provider.count_current.abs_diff(one_day) <= 8, "{days} days: {provider:?}; one day: {one_day}");
        assert!(provider.bytes_current <= 16 * 1024, "{days} days: {provider:?}");
        assert_eq!((all.count_current, all.bytes_current), (0, 0), "{days} days: no waiter, bearer or ticket is left");
        assert!(all.count_total > 10_000, "there was much to forget");
        drop(left);
    }
}
