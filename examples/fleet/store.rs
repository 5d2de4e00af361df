//! A store that all instances share, which takes some time, loses calls and is down at times.

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
    /// One in so many calls of the store is lost, half of them before the store did what it was asked. The instance
    /// hears nothing then.
    pub(crate) lost: u64,
    /// The period in which the store gives no answers.
    pub(crate) down: Option<(Duration, Duration)>,
    /// The API rejects all tokens from before this time.
    pub(crate) revoked: Option<Duration>,
}

/// The time to the store, and as much back: evenly between these two.
const WAY: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(5));
/// One in so many calls takes longer, on its way or back: up to this time, for which no instance waits.
const SLOW: (u64, Duration) = (1_000, Duration::from_millis(200));
/// The time of a token request.
const EXCHANGE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// Longer than anything waits.
const NEVER: Duration = Duration::from_secs(24 * 3_600);

/// How long the authorization server takes.
pub(crate) fn exchange_time(world: &World) -> Duration {
    world.between(EXCHANGE.0, EXCHANGE.1)
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

    /// A call on its way, and its reply.
    async fn call<T>(&self, step: impl Future<Output = Result<T, Down>>) -> Result<T, Down> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.travel().await;
        let is_down = self.sharing.down.is_some_and(|(from, until)| (from..until).contains(&self.world.time()));
        if is_down {
            return Err(Self::lost());
        }
        if self.loses() {
            self.world.sleep(NEVER).await;
        }
        let answer = step.await;
        if self.loses() {
            self.world.sleep(NEVER).await;
        }
        self.travel().await;
        answer
    }

    async fn travel(&self) {
        let is_slow = self.world.below(2 * SLOW.0) == 0;
        let (least, most) = if is_slow { (WAY.1, SLOW.1) } else { WAY };
        self.world.sleep(self.world.between(least, most)).await;
    }
}

impl SharedStore for ModelStore {
    const ORDER: Order = Order::LosesWrites;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        self.call(self.store.read(key)).await
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        self.call(self.store.lease(key, seen, ttl)).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        self.call(self.store.save(key, record, life, fence, seen)).await
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        self.call(self.store.release(key, fence)).await
    }
}
