//! A store that all instances share, which loses calls and is down at times.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bearer_token::{
    shared::{Fleet, SealingKeys},
    store::{Down, Fence, Leased, MemorySharedStore, Order, Saved, SharedStore, Snapshot, StoreKey, Version},
};

use crate::world::World;

/// What the instances share, and what goes wrong with it.
#[derive(Clone, Copy)]
pub(crate) struct Sharing {
    /// One in so many calls of the store is lost, half of them before the store did what it was asked.
    pub(crate) lost: u64,
    /// The period in which the store gives no answers.
    pub(crate) down: Option<(Duration, Duration)>,
    /// The API rejects all tokens from before this time.
    pub(crate) revoked: Option<Duration>,
}

/// Clones are connections to one store.
#[derive(Clone)]
pub(crate) struct ModelStore {
    world: World,
    store: MemorySharedStore,
    sharing: Sharing,
    calls: Arc<AtomicU64>,
}

impl ModelStore {
    pub(crate) fn new(world: &World, sharing: Sharing) -> Self {
        let store = MemorySharedStore::on(world.platform());
        ModelStore { world: world.clone(), store, sharing, calls: Arc::default() }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The fleet as one instance sees it: with a circuit of its own.
    pub(crate) fn fleet(&self) -> Result<Fleet, bearer_token::Error> {
        Fleet::builder(self.clone(), SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=")).build()
    }

    fn lost() -> Down {
        Down::new("the store gave no answer")
    }

    /// Whether this call is lost.
    fn loses(&self) -> bool {
        self.world.below(2 * self.sharing.lost) == 0
    }

    fn begin(&self) -> Result<(), Down> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let is_down = self.sharing.down.is_some_and(|(from, until)| (from..until).contains(&self.world.time()));
        if is_down || self.loses() { Err(Self::lost()) } else { Ok(()) }
    }

    fn end<T>(&self, answer: Result<T, Down>) -> Result<T, Down> {
        if self.loses() { Err(Self::lost()) } else { answer }
    }
}

impl SharedStore for ModelStore {
    const ORDER: Order = Order::LosesWrites;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        self.begin()?;
        self.end(self.store.read(key).await)
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        self.begin()?;
        self.end(self.store.lease(key, seen, ttl).await)
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        self.begin()?;
        self.end(self.store.save(key, record, life, fence, seen).await)
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        self.begin()?;
        self.end(self.store.release(key, fence).await)
    }
}
