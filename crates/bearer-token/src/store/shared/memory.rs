//! A shared store in the memory of one process.
//!
//! The contract in code, one method for each rule, under one lock. Other implementations do the same with a script, a
//! transaction or a conditional write.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{Down, Fence, Leased, Order, Saved, SharedStore, Snapshot, StoreKey, Version};
use crate::{
    platform::Platform,
    sync::{Mutex, lock},
};

/// Keeps records in memory, for all sources of one process that have a clone of it.
///
/// It is for tests, and the model for implementations: all of the contract in a page. Replicas are processes, so it is
/// of little use in production.
///
/// ```
/// use bearer_token::store::{Leased, MemorySharedStore, Saved, SharedStore, StoreKey, Version};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::store::Down> {
/// let (store, key) = (MemorySharedStore::new(), StoreKey::new([7; 32]));
/// let ttl = Duration::from_secs(15);
///
/// let Leased::Granted(fence) = store.lease(&key, Version::ABSENT, ttl).await? else { panic!("the lease is free") };
/// // Another replica has to wait meanwhile.
/// assert!(matches!(store.lease(&key, Version::ABSENT, ttl).await?, Leased::Held(_)));
///
/// let life = Duration::from_secs(3600);
/// let Saved::Saved(version) = store.save(&key, b"sealed", life, fence, Version::ABSENT).await? else { panic!() };
/// assert_eq!(store.read(&key).await?.unwrap().version, version);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MemorySharedStore {
    platform: Platform,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<StoreKey, Entry>,
    last_fence: u64,
    /// The number of entries at which those that have ended are removed.
    sweep_at: usize,
}

/// The lease and the record of one key. The lease is a time and a number. There is no list of holders: a fence that is
/// not the latest has lost.
#[derive(Debug, Default)]
struct Entry {
    /// The latest fence, and the time at which its lease ends.
    fence: u64,
    leased_until: Duration,
    record: Option<Record>,
}

#[derive(Debug)]
struct Record {
    snapshot: Snapshot,
    until: Duration,
}

impl Entry {
    /// The record, with what is left of its life.
    fn read(&self, now: Duration) -> Option<Snapshot> {
        let record = self.record.as_ref()?;
        let life = record.until.checked_sub(now).filter(|life| !life.is_zero())?;
        Some(Snapshot { life, ..record.snapshot.clone() })
    }
}

impl MemorySharedStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        MemorySharedStore::on(Platform::system())
    }

    /// Creates an empty store with the monotonic clock of this platform.
    ///
    /// With a manual clock, leases and records end when the test says so.
    pub fn on(platform: Platform) -> Self {
        MemorySharedStore { platform, kept: Arc::default() }
    }

    /// Forgets everything, as a store that is restarted without its data. Fences go on growing.
    ///
    /// For tests of what a fleet does after a store has lost its data: each replica fetches once, and the counters go
    /// on.
    pub fn clear(&self) {
        lock(&self.kept).entries.clear();
    }

    fn with<T>(&self, step: impl FnOnce(&mut Kept, Duration) -> T) -> T {
        let now = self.platform.now().monotonic();
        step(&mut lock(&self.kept), now)
    }
}

impl Default for MemorySharedStore {
    fn default() -> Self {
        MemorySharedStore::new()
    }
}

impl SharedStore for MemorySharedStore {
    const ORDER: Order = Order::Linearizable;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        Ok(self.with(|kept, now| kept.entries.get(key)?.read(now)))
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        Ok(self.with(|kept, now| {
            kept.sweep(now);
            let entry = kept.entries.entry(key.clone()).or_default();
            if let Some(newer) = entry.read(now).filter(|snapshot| snapshot.version != seen) {
                return Leased::Newer(newer);
            }
            if let Some(remaining) = entry.leased_until.checked_sub(now).filter(|remaining| !remaining.is_zero()) {
                return Leased::Held(remaining);
            }
            kept.last_fence += 1;
            (entry.fence, entry.leased_until) = (kept.last_fence, now.saturating_add(ttl));
            Leased::Granted(Fence::new(entry.fence))
        }))
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        Ok(self.with(|kept, now| {
            let Some(entry) = kept.entries.get_mut(key).filter(|entry| entry.fence == fence.get()) else {
                return Saved::Fenced;
            };
            if let Some(changed) = entry.read(now).filter(|snapshot| snapshot.version != seen) {
                return Saved::Changed(changed);
            }
            let version = Version::new(fence.get());
            let snapshot = Snapshot::new(record.to_vec(), version, life);
            entry.record = Some(Record { snapshot, until: now.saturating_add(life) });
            entry.leased_until = Duration::ZERO;
            Saved::Saved(version)
        }))
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        self.with(|kept, _| {
            if let Some(entry) = kept.entries.get_mut(key).filter(|entry| entry.fence == fence.get()) {
                // Not now: a clock that is set back would begin it anew.
                entry.leased_until = Duration::ZERO;
            }
        });
        Ok(())
    }
}

impl Kept {
    /// Removes what has ended whenever the number of entries has doubled. So memory is bounded by the living ones.
    fn sweep(&mut self, now: Duration) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, entry| entry.leased_until > now || entry.read(now).is_some());
            self.sweep_at = (self.entries.len() * 2).max(64);
        }
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use super::*;
    use crate::test_support::ManualClock;

    const TTL: Duration = Duration::from_secs(15);

    #[tokio::test]
    async fn keys_whose_records_ended_are_removed() {
        let clock = ManualClock::default();
        let store = MemorySharedStore::on(clock.platform());
        for number in 0..=255 {
            let key = StoreKey::new([number; 32]);
            let Leased::Granted(fence) = store.lease(&key, Version::ABSENT, TTL).await.unwrap() else { panic!() };
            store.save(&key, b"r", TTL, fence, Version::ABSENT).await.unwrap();
            clock.advance(TTL / 10);
        }
        assert!(lock(&store.kept).entries.len() <= 64);
    }

    #[tokio::test]
    async fn a_cleared_store_still_refuses_an_old_fence() {
        let (store, key) = (MemorySharedStore::new(), StoreKey::new([0; 32]));
        let Leased::Granted(old) = store.lease(&key, Version::ABSENT, TTL).await.unwrap() else { panic!() };
        store.clear();
        let Leased::Granted(new) = store.lease(&key, Version::ABSENT, TTL).await.unwrap() else { panic!() };
        assert!(new > old);
        assert_eq!(store.save(&key, b"r", TTL, old, Version::ABSENT).await.unwrap(), Saved::Fenced);
    }
}
