//! A refresh token that is sent again within the period in which the server accepts it, over a store whose calls take
//! their time.

use super::*;

/// The period in which the server accepts a used refresh token again.
const PERIOD: Duration = Duration::from_secs(60);

type Step = std::pin::Pin<Box<dyn Future<Output = Result<Saved, Down>> + Send>>;

/// A store to which saves are slow.
#[derive(Clone)]
struct Slow {
    store: MemorySharedStore,
    clock: ManualClock,
    /// How long each save takes.
    takes: Arc<Mutex<Duration>>,
    /// The next save is on its way until the test lets it arrive, and its caller gets an error.
    is_delayed: Arc<Mutex<bool>>,
    delayed: Arc<Mutex<Option<Step>>>,
}

impl Slow {
    fn of(world: &World) -> Self {
        let (takes, is_delayed, delayed) = Default::default();
        Slow { store: world.store.clone(), clock: world.clock.clone(), takes, is_delayed, delayed }
    }

    fn host(&self) -> SharedRefreshToken<Slow> {
        let host = SharedRefreshToken::new(self.clone(), SealingKeys::new(KEY), "consent");
        host.lease_for(LEASE).reusable_within(PERIOD)
    }

    async fn deliver(&self) -> Saved {
        let step = lock(&self.delayed).take();
        step.unwrap().await.unwrap()
    }
}

impl SharedStore for Slow {
    const ORDER: Order = Order::Linearizable;

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        let (store, key, record) = (self.store.clone(), key.clone(), record.to_vec());
        let step: Step = Box::pin(async move { store.save(&key, &record, life, fence, seen).await });
        if std::mem::take(&mut *lock(&self.is_delayed)) {
            *lock(&self.delayed) = Some(step);
            return Err(Down::new("the connection broke"));
        }
        self.clock.advance(*lock(&self.takes));
        step.await
    }

    forward!(store: read, lease, release);
}

/// The token was sent, and no response was seen.
async fn sent_once() -> (World, Slow) {
    let world = World::new();
    let slow = Slow::of(&world);
    let host = slow.host();
    host.put(&world.platform, Some(&token("1"))).await.unwrap();
    drop(world.begin_on(&host).await.unwrap());
    world.settle().await;
    (world, slow)
}

impl World {
    async fn begin_on(&self, host: &SharedRefreshToken<Slow>) -> Result<Lease, Error> {
        let lease = host.lease(&self.platform).await?;
        host.prepare(&self.platform).await?;
        Ok(lease)
    }
}

#[tokio::test]
async fn a_period_that_ends_while_the_mark_is_saved_is_over() {
    for (takes, is_sent) in [(Duration::from_millis(500), true), (Duration::from_millis(1_500), false)] {
        let (world, slow) = sent_once().await;
        world.clock.advance(PERIOD - Duration::from_secs(1));
        *lock(&slow.takes) = takes;
        let host = slow.host();
        let begun = world.begin_on(&host).await;
        assert_eq!(begun.is_ok(), is_sent, "{takes:?}");
        drop(begun);
        world.settle().await;
        let found = host.load_found(&world.platform).await.unwrap();
        assert!(found.content.mark.is_some(), "the first response is still missing");
    }
}

#[tokio::test]
async fn the_time_that_a_save_takes_prolongs_no_period() {
    let (world, slow) = sent_once().await;
    *lock(&slow.takes) = Duration::from_millis(1_900);
    world.clock.advance(LEASE * 2);
    drop(world.begin_on(&slow.host()).await.unwrap());
    world.settle().await;
    // 31.9 s have passed since the first request.
    world.clock.advance(PERIOD - Duration::from_millis(31_900));
    assert!(world.begin_on(&slow.host()).await.is_err());
}

/// Its sender did not send the token, and lives. The mark would say that the token was sent first a while ago, when it
/// was longer ago.
#[tokio::test]
async fn a_late_mark_of_a_token_that_is_sent_again_is_refused() {
    let (world, slow) = sent_once().await;
    world.clock.advance(LEASE * 2);
    *lock(&slow.is_delayed) = true;
    assert!(world.begin_on(&slow.host()).await.is_err());
    world.settle().await;
    world.clock.advance(LEASE);
    assert_eq!(slow.deliver().await, Saved::Fenced);
    world.clock.advance(LEASE);
    assert!(world.begin_on(&slow.host()).await.is_err(), "the period is over");
}

/// A mark that means nothing is left behind because the store was away, and the next one never arrives.
#[tokio::test]
async fn a_mark_that_means_nothing_does_so_after_the_next() {
    let world = World::new();
    let slow = Slow::of(&world);
    let host = || SharedRefreshToken::new(slow.clone(), SealingKeys::new(KEY), "consent").lease_for(LEASE);
    let a = host();
    a.put(&world.platform, Some(&token("1"))).await.unwrap();
    let lease = world.begin_on(&a).await.unwrap();
    a.not_used_up();
    // It is not removed: nothing can be spawned any more.
    let _mark = lock(&a.turn).mark.take();
    drop(lease);
    world.settle().await;
    for _ in 0..2 {
        *lock(&slow.is_delayed) = true;
        let error = world.begin_on(&a).await.err().unwrap();
        assert!(error.is_transient(), "{error}");
        world.settle().await;
    }
    drop(world.begin_on(&a).await.unwrap());
}
