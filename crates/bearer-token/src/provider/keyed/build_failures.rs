//! Errors of the build function. Each is remembered as briefly as a failed fetch would be.

use std::borrow::Borrow;

use super::forgotten::Forgotten;
use crate::{
    error::Error,
    platform::{Moment, Platform},
    provider::{cache::Failure, jitter::Draw, policy::Policy},
    sync::{Mutex, lock},
};

/// How many failures a shard holds on average. A search looks at each.
const PER_SHARD: usize = 64;

/// The largest number of shards. In larger maps a shard holds more.
const MAX_SHARDS: usize = 1 << 14;

/// The last failures of a map's build function, by key: up to twice as many as the map has places.
pub(super) struct BuildFailures<K> {
    /// A power of two of them.
    shards: Box<[Mutex<Forgotten<K, Failure>>]>,
}

/// When the wait after the last failure ended, if there was one. It tells one failure of a key from the next.
#[derive(Clone, Copy)]
pub(super) struct Before(Option<u64>);

impl<K: Eq> BuildFailures<K> {
    pub(super) fn new(bound: usize) -> Self {
        let shards = bound.saturating_mul(2).div_ceil(PER_SHARD).next_power_of_two().min(MAX_SHARDS);
        let each = bound.saturating_mul(2).div_ceil(shards);
        BuildFailures { shards: (0..shards).map(|_| Mutex::new(Forgotten::with_capacity(each))).collect() }
    }

    fn shard(&self, hash: u64) -> &Mutex<Forgotten<K, Failure>> {
        &self.shards[(hash >> 32) as usize & (self.shards.len() - 1)]
    }

    /// The last failure of a key, to be given to [`add`](Self::add) if the build that begins now fails too.
    ///
    /// # Errors
    ///
    /// That failure's, while it is too early to call the build function again.
    pub(super) fn before<Q: Eq + ?Sized>(&self, hash: u64, key: &Q, now: Moment) -> Result<Before, Error>
    where
        K: Borrow<Q>,
    {
        match lock(self.shard(hash)).get(key) {
            Some(failure) if now.monotonic_nanos() < failure.until => Err(failure.error.clone()),
            other => Ok(Before(other.map(|failure| failure.until))),
        }
    }

    /// Remembers an error at the end of the call that failed. The wait grows from failure to failure, like that of a
    /// provider with the default policy.
    ///
    /// Calls for one key that were in progress at the same time count as one failure.
    pub(super) fn add(&self, hash: u64, key: K, before: Before, error: Error, now: Moment, platform: &Platform) {
        let draw = Draw::new(platform);
        let mut shard = lock(self.shard(hash));
        let in_a_row = match shard.get(&key) {
            None => 1,
            Some(failure) if before.0 == Some(failure.until) => failure.in_a_row.saturating_add(1),
            // Another call has failed meanwhile.
            Some(failure) if now.monotonic_nanos() < failure.until => return,
            Some(failure) => failure.in_a_row,
        };
        let wait = Policy::default().cool_down(&error, in_a_row, draw);
        let until = now.after(wait).monotonic_nanos();
        let outdated = shard.put(key, Failure { error, until, in_a_row });
        drop(shard);
        // Outside the lock: dropping user values is user code.
        drop(outdated);
    }

    /// Forgets the error of a key that was built meanwhile, or removed.
    pub(super) fn forget<Q: Eq + ?Sized>(&self, hash: u64, key: &Q)
    where
        K: Borrow<Q>,
    {
        let failure = lock(self.shard(hash)).take(key);
        drop(failure);
    }

    /// Forgets all errors.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let failures = lock(shard).take_all();
            drop(failures);
        }
    }
}
