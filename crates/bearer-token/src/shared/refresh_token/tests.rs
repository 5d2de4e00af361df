//! Two hosts with one refresh token. Their store and their clock are those of the test.

use super::{using::Harmless, *};
use crate::{
    store::{Down, Fence, Leased, MemorySharedStore, Snapshot, StoreKey, Version},
    test_support::{ManualClock, PausedClock},
};

/// The calls of a store that go on to the one inside.
macro_rules! forward {
    ($store:tt: $($call:ident),+) => { $(forward!(@$call $store);)+ };
    (@read $store:tt) => {
        async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
            self.$store.read(key).await
        }
    };
    (@lease $store:tt) => {
        async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
            self.$store.lease(key, seen, ttl).await
        }
    };
    (@save $store:tt) => {
        async fn save(
            &self,
            key: &StoreKey,
            record: &[u8],
            life: Duration,
            fence: Fence,
            seen: Version,
        ) -> Result<Saved, Down> {
            self.$store.save(key, record, life, fence, seen).await
        }
    };
    (@release $store:tt) => {
        async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
            self.$store.release(key, fence).await
        }
    };
}

#[cfg(feature = "http-transport")]
mod cancelled;
mod changed_keys;
mod clock_steps;
mod lost_writes;
mod resent;
#[cfg(feature = "http-transport")]
mod unreadable;
mod versions;

const LEASE: Duration = Duration::from_secs(15);
const SECOND: Duration = Duration::from_secs(1);
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

struct World {
    clock: ManualClock,
    platform: Platform,
    store: MemorySharedStore,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::default();
        let platform = clock.platform();
        let store = MemorySharedStore::on(platform.clone());
        World { clock, platform, store }
    }

    /// Another host.
    fn host(&self) -> SharedRefreshToken<MemorySharedStore> {
        SharedRefreshToken::new(self.store.clone(), SealingKeys::new(KEY), "consent").lease_for(LEASE)
    }

    /// Begins to use the token, up to the moment at which it is sent.
    async fn begin<S: SharedStore>(&self, host: &SharedRefreshToken<S>) -> Result<(Lease, Option<StoredToken>), Error> {
        let lease = host.lease(&self.platform).await?;
        let token = host.load(&self.platform).await?;
        host.prepare(&self.platform).await?;
        Ok((lease, token))
    }

    /// Lets the tasks run that a dropped lease has started.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

fn token(text: &str) -> StoredToken {
    StoredToken::new(text)
}

#[tokio::test]
async fn l69_a_successor_is_found_by_the_other_host() {
    let (world, first) = (World::new(), token("1"));
    let (a, b) = (world.host(), world.host());
    a.put(&world.platform, Some(&first)).await.unwrap();
    let (lease, found) = world.begin(&a).await.unwrap();
    assert_eq!(found.as_ref(), Some(&first));
    assert!(a.swap(&world.platform, Some(&first), Some(&token("2"))).await.unwrap());
    drop(lease);
    world.settle().await;
    let (_lease, found) = world.begin(&b).await.unwrap();
    assert_eq!(found, Some(token("2")));
    assert!(!a.swap(&world.platform, Some(&first), Some(&token("x"))).await.unwrap(), "that one was used up");
}

#[tokio::test]
async fn a_token_whose_holder_is_lost_is_not_sent_again() {
    let (world, first) = (World::new(), token("1"));
    let (a, b) = (world.host(), world.host());
    a.put(&world.platform, Some(&first)).await.unwrap();
    let (lease, _) = world.begin(&a).await.unwrap();
    world.clock.advance(LEASE);
    let error = world.begin(&b).await.err().unwrap();
    assert!(error.to_string().contains("15 s ago") && !error.is_transient(), "{error}");
    world.settle().await;
    // Settings allow it, each in its own time.
    for (host, is_sent) in
        [(world.host().reusable_within(LEASE), false), (world.host().reusable_within(LEASE * 2), true)]
    {
        assert_eq!(world.begin(&host).await.is_ok(), is_sent);
        world.settle().await;
    }
    drop(lease);
}

#[tokio::test]
async fn a_reuse_period_counts_from_the_first_request() {
    let (world, first) = (World::new(), token("1"));
    let host = || world.host().reusable_within(LEASE * 4);
    host().put(&world.platform, Some(&first)).await.unwrap();
    // One lease after the other ends without a response.
    for _ in 0..4 {
        drop(world.begin(&host()).await.unwrap());
        world.settle().await;
        world.clock.advance(LEASE);
    }
    let error = world.begin(&host()).await.err().unwrap();
    // With the longest time that the save of each mark may have taken.
    assert!(error.to_string().contains("66 s ago"), "{error}");
}

#[tokio::test]
async fn a_harmless_request_does_not_excuse_an_earlier_one() {
    let (world, first) = (World::new(), token("1"));
    let host = || world.host().reusable_within(LEASE * 2);
    host().put(&world.platform, Some(&first)).await.unwrap();
    drop(world.begin(&host()).await.unwrap());
    world.settle().await;
    world.clock.advance(LEASE);
    let again = host();
    let lease = world.begin(&again).await.unwrap();
    again.not_used_up();
    drop(lease);
    world.settle().await;
    world.clock.advance(LEASE);
    for host in [again, host()] {
        assert!(world.begin(&host).await.is_err(), "the period is over");
        world.settle().await;
    }
}

#[tokio::test]
async fn a_risk_that_is_named_is_taken_in_time() {
    let (world, first) = (World::new(), token("1"));
    let (a, b) = (world.host(), world.host().resend_after(LEASE * 2));
    a.put(&world.platform, Some(&first)).await.unwrap();
    let _lease = world.begin(&a).await.unwrap();
    world.clock.advance(LEASE + SECOND * 5);
    let error = world.begin(&b).await.err().unwrap();
    assert_eq!(error.retry(), Retry::Later { after: Some(LEASE - SECOND * 5) });
    assert!(error.to_string().contains("sent 20 s ago") && error.to_string().contains("again in 10 s"), "{error}");
    assert!(!error.to_string().contains("consent"), "nothing is asked of a person: {error}");
    world.settle().await;
    world.clock.advance(LEASE - SECOND * 5);
    assert_eq!(world.begin(&b).await.unwrap().1, Some(first));
}

#[tokio::test]
async fn a_paused_holder_still_saves_its_successor() {
    let (world, first) = (World::new(), token("1"));
    let (a, b) = (world.host(), world.host());
    a.put(&world.platform, Some(&first)).await.unwrap();
    let (lease, _) = world.begin(&a).await.unwrap();
    world.clock.advance(LEASE * 4);
    assert!(world.begin(&b).await.is_err());
    world.settle().await;
    assert!(a.swap(&world.platform, Some(&first), Some(&token("2"))).await.unwrap());
    drop(lease);
    assert_eq!(world.begin(&b).await.unwrap().1, Some(token("2")));
}

#[tokio::test]
async fn l61_a_holder_that_was_paused_before_its_mark_sends_nothing() {
    let (world, first) = (World::new(), token("1"));
    let (a, b) = (world.host(), world.host());
    a.put(&world.platform, Some(&first)).await.unwrap();
    let _paused = a.lease(&world.platform).await.unwrap();
    a.load(&world.platform).await.unwrap();
    world.clock.advance(LEASE);
    let _holder = world.begin(&b).await.unwrap();
    let error = a.prepare(&world.platform).await.unwrap_err();
    assert!(!error.to_string().is_empty());
}

#[tokio::test]
async fn a_refusal_or_an_unreached_server_uses_nothing_up() {
    let (world, first) = (World::new(), token("1"));
    let (a, b) = (world.host(), world.host());
    a.put(&world.platform, Some(&first)).await.unwrap();
    for _ in 0..3 {
        let (lease, _) = world.begin(&a).await.unwrap();
        a.not_used_up();
        drop(lease);
        world.settle().await;
        let held = world.begin(&b).await.unwrap();
        b.not_used_up();
        drop(held);
        world.settle().await;
    }
}

#[test]
#[cfg(feature = "http-transport")]
fn l63_a_store_that_loses_writes_needs_a_reuse_period() {
    struct Forgetful(MemorySharedStore);

    impl SharedStore for Forgetful {
        const ORDER: Order = Order::LosesWrites;

        forward!(0: read, lease, save, release);
    }

    let build = |store: SharedRefreshToken<Forgetful>| {
        let grant = crate::oauth::RefreshToken::new(store);
        let builder = crate::oauth::TokenEndpoint::builder("https://as.example.com/token", grant);
        builder.client_auth(crate::oauth::ClientAuth::public("app")).build().map(drop)
    };
    let store = || SharedRefreshToken::new(Forgetful(MemorySharedStore::new()), SealingKeys::new(KEY), "consent");
    let error = build(store()).unwrap_err();
    assert!(error.to_string().contains("reusable_within"), "{error}");
    build(store().reusable_within(LEASE)).unwrap();
}

/// Two grants of one process, the first of which outlives its lease.
#[tokio::test]
async fn l60_the_end_of_one_use_does_not_touch_another_clones() {
    let (world, first) = (World::new(), token("1"));
    let (a, b) = (world.host(), world.host());
    let other = a.clone();
    a.put(&world.platform, Some(&first)).await.unwrap();
    let late = a.lease(&world.platform).await.unwrap();
    world.clock.advance(LEASE);
    let (lease, _) = world.begin(&other).await.unwrap();
    drop(late);
    world.settle().await;
    other.not_used_up();
    drop(lease);
    world.settle().await;
    let found = b.load_found(&world.platform).await.unwrap();
    assert!(found.content.mark.is_none(), "no consent is needed");
}

/// A fetch is overdue before its request, so later ones have its lease, or one of their own. Then it ends.
#[tokio::test]
async fn an_overdue_use_that_ends_unsent_costs_no_consent() {
    let (world, first) = (World::new(), token("1"));
    let host = world.host();
    host.put(&world.platform, Some(&first)).await.unwrap();
    let (lease, _) = world.begin(&host).await.unwrap();
    let error = host.prepare(&world.platform).await.unwrap_err();
    assert!(error.to_string().contains("may be used up"), "{error}");
    drop(lease);
    world.settle().await;
    world.clock.advance(LEASE);
    assert!(world.begin(&host).await.is_err());
    world.settle().await;
    host.not_used_up();
    drop(world.begin(&host).await.unwrap());
    world.settle().await;
    world.clock.advance(LEASE);
    assert!(world.begin(&host).await.is_err(), "that one was sent");
}

#[tokio::test]
async fn a_successor_that_is_saved_late_does_not_cost_the_fetch() {
    let (world, first) = (World::new(), token("1"));
    let host = world.host();
    host.put(&world.platform, Some(&first)).await.unwrap();
    // An earlier fetch could not save the successor, or it could, and did not learn of it.
    for _ in 0..2 {
        let lease = host.lease(&world.platform).await.unwrap();
        assert!(host.swap(&world.platform, Some(&first), Some(&token("2"))).await.unwrap());
        assert_eq!(host.load(&world.platform).await.unwrap(), Some(token("2")));
        host.prepare(&world.platform).await.unwrap();
        host.not_used_up();
        drop(lease);
        world.settle().await;
    }
}

/// A store whose reads are those of a replica that gets nothing any more.
struct Lagging(MemorySharedStore);

impl SharedStore for Lagging {
    const ORDER: Order = Order::Linearizable;

    async fn read(&self, _: &StoreKey) -> Result<Option<Snapshot>, Down> {
        Ok(None)
    }

    forward!(0: lease, save, release);
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_reads_lag_is_no_busy_loop() {
    let platform = Platform::system().with_clock(PausedClock::new());
    let store = MemorySharedStore::on(platform.clone());
    let good = SharedRefreshToken::new(store.clone(), SealingKeys::new(KEY), "consent");
    good.put(&platform, Some(&token("1"))).await.unwrap();
    let begun = platform.now().monotonic();
    let lagging = SharedRefreshToken::new(Lagging(store), SealingKeys::new(KEY), "consent");
    let Err(error) = lagging.lease(&platform).await else { panic!("it has seen no record") };
    assert!(error.is_transient() && error.to_string().contains("reads do not show"), "{error}");
    let waited = platform.now().monotonic() - begun;
    assert!(waited > Duration::from_secs(3) && waited < Duration::from_secs(6), "{waited:?}");
    // The end of a use asks it as seldom.
    let (begun, sealing) = (platform.now().monotonic(), lagging.inner.sealing(&platform).await.unwrap());
    let error = lagging.remove(&platform, &sealing, Harmless { mark: 1, earlier: None }).await.unwrap_err();
    assert!(error.to_string().contains("reads do not show"), "{error}");
    let waited = platform.now().monotonic() - begun;
    assert!(waited > Duration::from_secs(3) && waited < Duration::from_secs(6), "{waited:?}");
    good.lease(&platform).await.unwrap();
}

/// A store that another host asks in the middle of one save: the lease ends, is taken, and released.
#[derive(Clone)]
struct Overtaken {
    store: MemorySharedStore,
    clock: ManualClock,
    is_armed: Arc<Mutex<bool>>,
}

impl SharedStore for Overtaken {
    const ORDER: Order = Order::Linearizable;

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        let is_armed = std::mem::take(&mut *lock(&self.is_armed));
        if is_armed {
            self.clock.advance(LEASE);
            let Leased::Granted(fence) = self.store.lease(key, seen, LEASE).await? else { panic!("it has ended") };
            self.store.release(key, fence).await?;
        }
        self.store.save(key, record, life, fence, seen).await
    }

    forward!(store: read, lease, release);
}

/// A use that ends late, and another token that is in use meanwhile.
#[tokio::test]
async fn the_end_of_a_use_leaves_the_mark_of_another() {
    let world = World::new();
    let (late, other) = (world.host(), world.host());
    late.put(&world.platform, Some(&token("1"))).await.unwrap();
    let lease = late.lease(&world.platform).await.unwrap();
    late.prepare(&world.platform).await.unwrap();
    late.not_used_up();
    world.clock.advance(LEASE);
    other.put(&world.platform, Some(&token("2"))).await.unwrap();
    let (_lease, sent) = world.begin(&other).await.unwrap();
    assert_eq!(sent, Some(token("2")));
    drop(lease);
    world.settle().await;
    world.clock.advance(LEASE);
    let error = world.begin(&world.host()).await.err().unwrap();
    assert!(error.to_string().contains("may be used up"), "{error}");
}

/// A store in which another host replaces the record after one look.
struct Replaced {
    store: MemorySharedStore,
    is_armed: Mutex<bool>,
}

impl SharedStore for Replaced {
    const ORDER: Order = Order::Linearizable;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        let found = self.store.read(key).await?;
        let is_armed = std::mem::take(&mut *lock(&self.is_armed));
        if let Some(found) = found.as_ref().filter(|_| is_armed) {
            let Leased::Granted(fence) = self.store.lease(key, found.version, LEASE).await? else {
                panic!("it is free")
            };
            self.store.save(key, &found.record, found.life, fence, found.version).await?;
        }
        Ok(found)
    }

    forward!(store: lease, save, release);
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_has_to_look_again_does_not_wait_for_itself() {
    let platform = Platform::system().with_clock(PausedClock::new());
    let store = Arc::new(Replaced { store: MemorySharedStore::on(platform.clone()), is_armed: Mutex::default() });
    let host = SharedRefreshToken::new(store.clone(), SealingKeys::new(KEY), "consent");
    host.put(&platform, Some(&token("1"))).await.unwrap();
    *lock(&store.is_armed) = true;
    let begun = platform.now().monotonic();
    host.put(&platform, Some(&token("2"))).await.unwrap();
    assert_eq!(platform.now().monotonic(), begun);
    assert_eq!(host.load(&platform).await.unwrap(), Some(token("2")));
}

/// The model found it: the other host sees the mark, and does nothing.
#[tokio::test]
async fn a_mark_is_removed_though_another_host_had_the_lease_meanwhile() {
    let world = World::new();
    let store = Overtaken { store: world.store.clone(), clock: world.clock.clone(), is_armed: Arc::default() };
    let host = SharedRefreshToken::new(store.clone(), SealingKeys::new(KEY), "consent").lease_for(LEASE);
    host.put(&world.platform, Some(&token("1"))).await.unwrap();
    let lease = host.lease(&world.platform).await.unwrap();
    host.prepare(&world.platform).await.unwrap();
    host.not_used_up();
    *lock(&store.is_armed) = true;
    drop(lease);
    world.settle().await;
    let (_lease, found) = world.begin(&world.host()).await.unwrap();
    assert_eq!(found, Some(token("1")));
}

/// A store that does not answer one save.
#[derive(Clone)]
struct SaveHangs {
    store: MemorySharedStore,
    is_armed: Arc<Mutex<bool>>,
}

impl SharedStore for SaveHangs {
    const ORDER: Order = Order::Linearizable;

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        if std::mem::take(&mut *lock(&self.is_armed)) {
            std::future::pending::<()>().await;
        }
        self.store.save(key, record, life, fence, seen).await
    }

    forward!(store: read, lease, release);
}

#[tokio::test]
async fn a_removal_that_is_dropped_releases_its_lease() {
    let world = World::new();
    let store = SaveHangs { store: world.store.clone(), is_armed: Arc::default() };
    let host = SharedRefreshToken::new(store.clone(), SealingKeys::new(KEY), "consent").lease_for(LEASE);
    host.put(&world.platform, Some(&token("1"))).await.unwrap();
    let lease = host.lease(&world.platform).await.unwrap();
    host.prepare(&world.platform).await.unwrap();
    host.not_used_up();
    *lock(&store.is_armed) = true;
    // The removal of the mark has a lease when its save hangs. Its time ends.
    drop(lease);
    world.settle().await;
    assert!(!*lock(&store.is_armed), "it saves");
    let sealing = host.inner.sealing(&world.platform).await.unwrap();
    let found = host.load_found(&world.platform).await.unwrap();
    let lease = || world.store.lease(&sealing.key, found.version, LEASE);
    assert!(matches!(lease().await.unwrap(), Leased::Held(_)));
    world.clock.advance(LEASE - SECOND);
    world.settle().await;
    assert!(matches!(lease().await.unwrap(), Leased::Granted(_)), "no host waits for the end of that one");
}

/// Uses the token once, up to its successor.
async fn use_once(world: &World, host: &SharedRefreshToken<MemorySharedStore>, next: &str) -> Result<String, Error> {
    let (lease, found) = world.begin(host).await?;
    let found = found.unwrap();
    assert!(host.swap(&world.platform, Some(&found), Some(&token(next))).await?);
    drop(lease);
    world.settle().await;
    Ok(found.secret().to_owned())
}

/// The steps from the key `KEY` to another one, which the hosts take one after another.
#[tokio::test]
async fn a_refresh_token_survives_the_rotation_of_the_sealing_keys() {
    const NEW: &str = "ZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=";
    let world = World::new();
    let host =
        |keys: &str| SharedRefreshToken::new(world.store.clone(), SealingKeys::new(keys), "consent").lease_for(LEASE);
    let old = host(KEY);
    let (both, sealing) = (host(&format!("{KEY}\n{NEW}\n{KEY}")), host(&format!("{NEW}\n{KEY}")));
    old.put(&world.platform, Some(&token("1"))).await.unwrap();
    // Some have the first step, in any order.
    assert_eq!(use_once(&world, &both, "2").await.unwrap(), "1");
    assert_eq!(use_once(&world, &old, "3").await.unwrap(), "2");
    // All have the first step, some the second.
    assert_eq!(use_once(&world, &sealing, "4").await.unwrap(), "3");
    assert_eq!(use_once(&world, &both, "5").await.unwrap(), "4");
    assert_eq!(use_once(&world, &sealing, "6").await.unwrap(), "5");
    // A host that took no step sends nothing, and takes nothing from the others.
    let error = use_once(&world, &old, "7").await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("a key that this program does not have"), "{error}");
    assert_eq!(use_once(&world, &both, "7").await.unwrap(), "6");
    // Without the last key, the token has another name: it is not found, and not lost.
    assert!(host(NEW).load(&world.platform).await.unwrap().is_none());
    assert_eq!(use_once(&world, &sealing, "8").await.unwrap(), "7");
}
