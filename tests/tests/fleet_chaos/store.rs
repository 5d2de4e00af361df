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
    /// A fault that no replica can deal with, planted to see whether it is noticed: records and leases seem to end later by this.
    pub(crate) planted: Duration,
}

/// Clones are one connection, which remembers what it was told.
#[derive(Clone)]
pub(crate) struct FaultyStore(Arc<Inner>, Arc<Mutex<Told>>);

/// What the store has told a replica, and a replica cannot know to be wrong: its clock was set since.
#[derive(Default)]
struct Told {
    lives: Vec<Life>,
    /// The last lease that was said to last although it had ended: when that was told.
    ended_lease: Option<Duration>,
}

/// The life of a record, as a replica was told.
#[derive(Clone, Copy)]
struct Life {
    /// When the record was saved, in true time.
    saved: Duration,
    /// When it seemed to end, in true time.
    until: Duration,
}

struct Inner {
    world: World,
    kept: Mutex<Kept>,
    trouble: Mutex<Trouble>,
    /// How far its clock is ahead of the true time.
    ahead: Mutex<Duration>,
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

/// How long after a token was issued its record is saved, at most: a call each for the save and for what is before it.
const LONGEST_SAVE: Duration = Duration::from_millis(250);

/// The last writes that a failover may lose.
const LOST_WRITES: usize = 4;

#[derive(Clone, Default)]
struct Entry {
    fence: u64,
    leased_until: Duration,
    /// When the lease really ends.
    lease_ends: Duration,
    record: Option<Record>,
}

#[derive(Clone)]
struct Record {
    sealed: Vec<u8>,
    version: Version,
    life: Duration,
    until: Duration,
    /// In true time.
    saved: Duration,
}

/// One moment by two clocks.
#[derive(Clone, Copy)]
struct Now {
    truth: Duration,
    /// By the store's clock.
    here: Duration,
    /// By how much records and leases seem to end later.
    planted: Duration,
}

impl Entry {
    fn read(&self, now: Now, told: &mut Told) -> Option<Snapshot> {
        let record = self.record.as_ref().filter(|record| record.until > now.here)?;
        let left = record.until - now.here;
        // What is planted is not among what excuses a replica.
        told.lives.push(Life { saved: record.saved, until: now.truth + left.min(record.life) });
        Some(Snapshot::new(record.sealed.clone(), record.version, left + now.planted))
    }
}

impl FaultyStore {
    pub(crate) fn new(world: World) -> Self {
        let (kept, trouble, ahead) = (Mutex::default(), Mutex::default(), Mutex::new(MOST_AHEAD / 2));
        FaultyStore(Arc::new(Inner { world, kept, trouble, ahead }), Arc::default())
    }

    /// The connection of another replica.
    pub(crate) fn connect(&self) -> Self {
        FaultyStore(self.0.clone(), Arc::default())
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
        *lock(&self.0.ahead) = Duration::from_secs(self.0.world.below(MOST_AHEAD.as_secs()));
    }

    /// Until when a replica may take a token for alive that was issued then: what this connection was told of its record.
    /// With the earliest and the latest of it, if the clock was set in between.
    pub(crate) fn told_of(&self, issued: Duration) -> Option<(Duration, Duration)> {
        let told = lock(&self.1);
        let of = told.lives.iter().filter(|life| life.saved >= issued && life.saved < issued + LONGEST_SAVE);
        let until: Vec<_> = of.map(|life| life.until).collect();
        Some((*until.iter().min()?, *until.iter().max()?))
    }

    /// Whether this connection was told within this time that a lease lasts which had ended.
    pub(crate) fn was_told_of_an_ended_lease(&self, within: Duration) -> bool {
        lock(&self.1).ended_lease.is_some_and(|at| self.0.world.moment().truth < at + within)
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

    async fn call<T>(&self, step: impl FnOnce(&mut Kept, Now, &mut Told) -> T) -> Result<T, Down> {
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
        let truth = world.moment().truth;
        let now = Now { truth, here: truth + *lock(&self.0.ahead), planted: trouble.planted };
        let result = step(&mut lock(&self.0.kept), now, &mut lock(&self.1));
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
        self.call(|kept, now, told| kept.entries.get(key)?.read(now, told)).await
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        self.call(|kept, now, told| {
            let entry = kept.entries.get(key).cloned().unwrap_or_default();
            if let Some(newer) = entry.read(now, told).filter(|snapshot| snapshot.version != seen) {
                return Leased::Newer(newer);
            }
            let here = now.here.saturating_sub(now.planted);
            if entry.leased_until > here {
                if entry.lease_ends <= now.truth && entry.leased_until > now.here {
                    told.ended_lease = Some(now.truth);
                }
                return Leased::Held(entry.leased_until - here);
            }
            let micros = u64::try_from(now.here.as_micros()).unwrap_or(u64::MAX);
            let entry = kept.write(key);
            (entry.leased_until, entry.lease_ends) = (now.here + ttl, now.truth + ttl);
            entry.fence = micros.max(entry.fence + 1);
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
        self.call(|kept, now, told| {
            let entry = kept.entries.get(key).cloned().unwrap_or_default();
            if entry.fence != fence.get() {
                return Saved::Fenced;
            }
            if let Some(changed) = entry.read(now, told).filter(|snapshot| snapshot.version != seen) {
                return Saved::Changed(changed);
            }
            let version = Version::new(fence.get());
            let entry = kept.write(key);
            let (sealed, until, saved) = (record.to_vec(), now.here + life, now.truth);
            let record = Record { sealed, version, life, until, saved };
            (entry.record, entry.leased_until) = (Some(record), Duration::ZERO);
            Saved::Saved(version)
        })
        .await
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        self.call(|kept, now, _| {
            if kept.entries.get(key).is_some_and(|entry| entry.fence == fence.get() && entry.leased_until > now.here) {
                kept.write(key).leased_until = Duration::ZERO;
            }
        })
        .await
    }
}
