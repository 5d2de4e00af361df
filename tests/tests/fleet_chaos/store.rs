//! A shared store in virtual time, with everything that goes wrong with one.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use bearer_token::store::{Down, Fence, Leased, Order, Saved, SharedStore, Snapshot, StoreKey, Version};

use super::world::{World, lock};

/// What goes wrong with the store now. Of the numbers, one in so many calls is hit; none if it is zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// Nothing is answered.
    pub(crate) down: bool,
    /// What is not answered is silent, instead of an error.
    pub(crate) silent: bool,
    pub(crate) lost_requests: u64,
    pub(crate) lost_replies: u64,
    /// Calls that take longer than the caller waits.
    pub(crate) slow: u64,
}

/// Clones are connections to the same store.
#[derive(Clone)]
pub(crate) struct FaultyStore(Arc<Inner>);

struct Inner {
    world: World,
    kept: Mutex<Kept>,
    trouble: Mutex<Trouble>,
    clock: Mutex<StoreClock>,
}

/// The clock of the store, which a failover to another node steps.
struct StoreClock {
    ahead: Duration,
    /// When it has caught up after it was set back last, in true time.
    behind_until: Option<Duration>,
}

#[derive(Default)]
struct Kept {
    entries: BTreeMap<StoreKey, Entry>,
    /// The entries before each of the last writes.
    before: VecDeque<BTreeMap<StoreKey, Entry>>,
    calls: u64,
}

/// How far the store's clock may be ahead of the true time. It begins in the middle.
const MOST_AHEAD: Duration = Duration::from_secs(4 * 3_600);

/// The last writes that a failover may lose.
const LOST_WRITES: usize = 4;

#[derive(Clone, Default)]
struct Entry {
    fence: u64,
    leased_until: Duration,
    record: Option<(Vec<u8>, Version, Duration)>,
}

impl Entry {
    fn read(&self, now: Duration) -> Option<Snapshot> {
        let (record, version, until) = self.record.as_ref().filter(|(_, _, until)| *until > now)?;
        Some(Snapshot::new(record.clone(), *version, *until - now))
    }
}

impl FaultyStore {
    pub(crate) fn new(world: World) -> Self {
        let clock = Mutex::new(StoreClock { ahead: MOST_AHEAD / 2, behind_until: None });
        FaultyStore(Arc::new(Inner { world, kept: Mutex::default(), trouble: Mutex::default(), clock }))
    }

    pub(crate) fn set_trouble(&self, trouble: Trouble) {
        *lock(&self.0.trouble) = trouble;
    }

    /// A failover to a replica that had not received the last writes.
    pub(crate) fn lose_writes(&self, number: usize) {
        let mut kept = lock(&self.0.kept);
        for _ in 0..number {
            if let Some(before) = kept.before.pop_back() {
                kept.entries = before;
            }
        }
        kept.before.clear();
    }

    /// A failover to a node whose clock is another one: by minutes or hours, in either direction.
    pub(crate) fn step_clock(&self) {
        let world = &self.0.world;
        let ahead = Duration::from_secs(world.below(MOST_AHEAD.as_secs()));
        let mut clock = lock(&self.0.clock);
        if ahead < clock.ahead {
            clock.behind_until = clock.behind_until.max(Some(world.moment().truth + (clock.ahead - ahead)));
        }
        clock.ahead = ahead;
    }

    /// Whether its clock was behind within this time, so that tokens may seem younger than they are.
    pub(crate) fn was_behind_within(&self, time: Duration) -> bool {
        let behind_until = lock(&self.0.clock).behind_until;
        behind_until.is_some_and(|until| self.0.world.moment().truth < until + time)
    }

    /// A restart without data.
    pub(crate) fn lose_everything(&self) {
        let mut kept = lock(&self.0.kept);
        kept.entries.clear();
        kept.before.clear();
    }

    pub(crate) fn calls(&self) -> u64 {
        lock(&self.0.kept).calls
    }

    async fn call<T>(&self, step: impl FnOnce(&mut Kept, Duration) -> T) -> Result<T, Down> {
        let world = &self.0.world;
        let trouble = *lock(&self.0.trouble);
        lock(&self.0.kept).calls += 1;
        let hits = |one_in: u64| one_in > 0 && world.one_in(one_in);
        world.sleep(world.about(Duration::from_micros(500))).await;
        if trouble.down || hits(trouble.lost_requests) {
            return self.no_answer(trouble).await;
        }
        if hits(trouble.slow) {
            world.sleep(Duration::from_millis(150)).await;
        }
        // The clocks of the replicas differ from it.
        let now = world.moment().truth + lock(&self.0.clock).ahead;
        let result = step(&mut lock(&self.0.kept), now);
        world.sleep(world.about(Duration::from_micros(500))).await;
        if hits(trouble.lost_replies) {
            return self.no_answer(trouble).await;
        }
        Ok(result)
    }

    async fn no_answer<T>(&self, trouble: Trouble) -> Result<T, Down> {
        if trouble.silent {
            // Longer than anything waits for it.
            self.0.world.sleep(Duration::from_secs(3_600)).await;
        }
        Err(Down::new("the store is not there"))
    }
}

impl Kept {
    fn write(&mut self, key: &StoreKey) -> &mut Entry {
        if self.before.len() == LOST_WRITES {
            self.before.pop_front();
        }
        self.before.push_back(self.entries.clone());
        self.entries.entry(key.clone()).or_default()
    }
}

impl SharedStore for FaultyStore {
    const ORDER: Order = Order::LosesWrites;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        self.call(|kept, now| kept.entries.get(key)?.read(now)).await
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        self.call(|kept, now| {
            let entry = kept.entries.get(key).cloned().unwrap_or_default();
            if let Some(newer) = entry.read(now).filter(|snapshot| snapshot.version != seen) {
                return Leased::Newer(newer);
            }
            if entry.leased_until > now {
                return Leased::Held(entry.leased_until - now);
            }
            let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
            let entry = kept.write(key);
            (entry.fence, entry.leased_until) = (micros.max(entry.fence + 1), now + ttl);
            Leased::Granted(Fence::new(entry.fence))
        })
        .await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        self.call(|kept, now| {
            let entry = kept.entries.get(key).cloned().unwrap_or_default();
            if entry.fence != fence.get() {
                return Saved::Fenced;
            }
            if let Some(changed) = entry.read(now).filter(|snapshot| snapshot.version != seen) {
                return Saved::Changed(changed);
            }
            let version = Version::new(fence.get());
            let entry = kept.write(key);
            (entry.record, entry.leased_until) = (Some((record.to_vec(), version, now + life)), Duration::ZERO);
            Saved::Saved(version)
        })
        .await
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        self.call(|kept, now| {
            if kept.entries.get(key).is_some_and(|entry| entry.fence == fence.get() && entry.leased_until > now) {
                kept.write(key).leased_until = Duration::ZERO;
            }
        })
        .await
    }
}
