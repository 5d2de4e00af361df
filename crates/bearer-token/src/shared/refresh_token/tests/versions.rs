//! Two saves under one lease, which have the same version.

use super::*;

type Step = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A store in which something happens on the way of one request for the lease.
#[derive(Clone)]
struct Meanwhile {
    store: MemorySharedStore,
    step: Arc<Mutex<Option<Step>>>,
}

impl SharedStore for Meanwhile {
    const ORDER: Order = Order::Linearizable;

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        let step = lock(&self.step).take();
        if let Some(step) = step {
            step.await;
        }
        self.store.lease(key, seen, ttl).await
    }

    forward!(store: read, save, release);
}

/// The mark and the successor of one use have the same version, so a version that stayed is no record that stayed.
#[tokio::test]
async fn a_late_successor_does_not_replace_a_newer_one() {
    let (world, first) = (World::new(), token("1"));
    let store = Meanwhile { store: world.store.clone(), step: Arc::default() };
    let late = SharedRefreshToken::new(store.clone(), SealingKeys::new(KEY), "consent")
        .lease_for(LEASE)
        .reusable_within(LEASE * 4);
    let other = world.host().reusable_within(LEASE * 4);
    late.put(&world.platform, Some(&first)).await.unwrap();
    let _late_lease = late.lease(&world.platform).await.unwrap();
    late.prepare(&world.platform).await.unwrap();
    // It is paused with its successor. The other host sends the token again, which the server allows.
    world.clock.advance(LEASE);
    let (lease, sent) = world.begin(&other).await.unwrap();
    assert_eq!(sent.as_ref(), Some(&first));
    // The late host has seen the mark of the other one, when that one saves.
    let platform = world.platform.clone();
    let saves = async move {
        assert!(other.swap(&platform, Some(&token("1")), Some(&token("2 of the other"))).await.unwrap());
        drop(lease);
    };
    *lock(&store.step) = Some(Box::pin(saves));
    assert!(!late.swap(&world.platform, Some(&first), Some(&token("2, late"))).await.unwrap());
    assert!(lock(&store.step).is_none(), "the other one has saved");
    world.settle().await;
    assert_eq!(late.load(&world.platform).await.unwrap(), Some(token("2 of the other")));
}

/// A successor that another host saved under the lease of its mark begins with an age of its own.
#[tokio::test]
async fn the_age_of_a_mark_is_not_that_of_what_was_before_it() {
    let world = World::new();
    let (a, witness) = (world.host(), world.host().resend_after(LEASE * 2));
    a.put(&world.platform, Some(&token("1"))).await.unwrap();
    let (_lease, _) = world.begin(&a).await.unwrap();
    witness.load(&world.platform).await.unwrap();
    a.not_used_up();
    world.clock.advance(LEASE * 3);
    // The next mark, under the same lease: no other host took one.
    a.prepare(&world.platform).await.unwrap();
    let found = witness.load_found(&world.platform).await.unwrap();
    assert!(found.age < LEASE && !witness.may_resend(&found, &world.platform), "{:?}", found.age);
}

/// Any time is a time that can be asked for.
#[tokio::test]
async fn a_lease_of_the_longest_time_is_granted() {
    let world = World::new();
    let host = world.host().lease_for(Duration::MAX).reusable_within(Duration::MAX).resend_after(Duration::MAX);
    host.put(&world.platform, Some(&token("1"))).await.unwrap();
    let lease = host.lease(&world.platform).await.unwrap();
    let other = host.clone();
    let waits = world.platform.before(world.platform.now().monotonic(), other.lease(&world.platform)).await;
    assert!(waits.is_none(), "it is held");
    drop(lease);
    world.settle().await;
    host.lease(&world.platform).await.unwrap();
}
