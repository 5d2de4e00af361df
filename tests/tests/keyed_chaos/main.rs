//! A map of providers, while tenants come and go, fail, hang and are revoked, beside an oracle.
//!
//! Each seed is played in virtual time on one thread, where it decides the order of everything but evictions, and on
//! several threads, where it decides only what happens. Which provider is evicted also depends on the hash of its key,
//! whose seed is the process's own, because no client may guess it. A failure names its seed. `CHAOS_SEED=7` plays one
//! again, a few times if need be, and `CHAOS_SEEDS=1000` that many.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod callers;
mod operator;
mod oracle;
mod play;
mod tenants;
#[allow(dead_code, reason = "the chaos of a single provider uses the rest")]
#[path = "../chaos/world.rs"]
mod world;

use std::{
    env,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use self::{oracle::Seen, tenants::Planted, world::lock};

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Plays some seeds, at most so many at a time, and returns what was seen in all of them.
fn seeds(name: &str, at_once: usize, play: impl Fn(u64) -> Result<Seen, String> + Sync) {
    let first = number("CHAOS_SEED").unwrap_or(1);
    let count = number("CHAOS_SEEDS").unwrap_or(if env::var_os("CHAOS_SEED").is_some() { 1 } else { 3 });
    let seeds: Vec<_> = (first..first + count).collect();
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Seen::default()));
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match play(*seed) {
                        Ok(seen) => lock(&total).add(&seen),
                        Err(wrong) => panic!("CHAOS_SEED={seed}: {wrong}"),
                    }
                }
            });
        }
    });
    let total = lock(&total).clone();
    println!("{name}: {count} seeds: {total}");
    // A run in which something never happens proves little about it.
    assert!(count < 3 || total.missing().is_empty(), "{name}: never seen: {:?}", total.missing());
}

#[test]
fn l66_no_request_carries_another_keys_token_in_any_order() {
    seeds("in virtual time", 2, |seed| play::in_virtual_time(seed, Planted::Nothing));
}

#[test]
fn l66_no_request_carries_another_keys_token_on_threads() {
    seeds("on threads", 1, |seed| play::on_threads(seed, Planted::Nothing));
}

/// The oracle sees each fault that is planted.
#[test]
fn every_planted_fault_is_seen() {
    for (planted, expected) in [
        (Planted::SelectorMixesUp, "another key's token"),
        (Planted::TwoMaps, "two fetches of one key"),
        (Planted::OldCredential, "a credential that was replaced"),
        (Planted::ForgottenCoolDown, "a cool-down was cut short"),
        (Planted::LostWake, "a call never ended"),
        (Planted::LeakedProvider, "providers are alive"),
    ] {
        // One fault may show in several ways.
        let mut wrong = Vec::new();
        let mut is_seen = |seed| {
            wrong.extend(play::in_virtual_time(seed, planted).err());
            wrong.last().is_some_and(|wrong| wrong.contains(expected))
        };
        assert!((1..=50).any(&mut is_seen), "{planted:?}: {wrong:?}");
    }
    let is_seen = |seed| {
        let wrong = play::on_threads(seed, Planted::SelectorMixesUp).err();
        wrong.is_some_and(|wrong| wrong.contains("another key's token"))
    };
    assert!((1..=5).any(is_seen), "on threads, a selector that mixes up was not seen");
}
