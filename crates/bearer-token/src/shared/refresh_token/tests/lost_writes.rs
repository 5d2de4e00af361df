//! The store loses its last writes, as in a failover of Redis. The server accepts a used token again for a period.

use super::*;

/// The period in which the server accepts a used refresh token again.
const PERIOD: Duration = Duration::from_secs(60);

/// A store that can lose its last saves. Its leases end with a save or a release.
#[derive(Clone)]
struct Replicated<const LOSES_WRITES: bool = true> {
    clock: Platform,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// The records that were saved, with their times. The last one is there.
    saves: Vec<(Snapshot, Duration)>,
    fence: u64,
    is_leased: bool,
}

impl<const LOSES_WRITES: bool> Replicated<LOSES_WRITES> {
    fn new(clock: &Platform) -> Self {
        Replicated { clock: clock.clone(), kept: Arc::default() }
    }

    fn host(&self) -> SharedRefreshToken<Self> {
        let host = SharedRefreshToken::new(self.clone(), SealingKeys::new(KEY), "consent");
        host.lease_for(LEASE).reusable_within(PERIOD)
    }

    /// A failover to a node that does not have the last saves. Fences go on growing.
    fn loses(&self, saves: usize) {
        let mut kept = lock(&self.kept);
        let left = kept.saves.len() - saves;
        kept.saves.truncate(left);
        kept.is_leased = false;
    }

    fn record(&self) -> Option<Snapshot> {
        let kept = lock(&self.kept);
        let (snapshot, saved_at) = kept.saves.last()?;
        let life = snapshot.life.saturating_sub(self.clock.now().monotonic().saturating_sub(*saved_at));
        Some(Snapshot { life, ..snapshot.clone() })
    }
}

impl<const LOSES_WRITES: bool> SharedStore for Replicated<LOSES_WRITES> {
    const ORDER: Order = if LOSES_WRITES { Order::LosesWrites } else { Order::Linearizable };

    async fn read(&self, _: &StoreKey) -> Result<Option<Snapshot>, Down> {
        Ok(self.record())
    }

    async fn lease(&self, _: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        if let Some(newer) = self.record().filter(|record| record.version != seen) {
            return Ok(Leased::Newer(newer));
        }
        let mut kept = lock(&self.kept);
        if kept.is_leased {
            return Ok(Leased::Held(ttl));
        }
        (kept.fence, kept.is_leased) = (kept.fence + 1, true);
        Ok(Leased::Granted(Fence::new(kept.fence)))
    }

    async fn save(
        &self,
        _: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        if let Some(changed) = self.record().filter(|record| record.version != seen) {
            return Ok(Saved::Changed(changed));
        }
        let mut kept = lock(&self.kept);
        if kept.fence != fence.get() {
            return Ok(Saved::Fenced);
        }
        let snapshot = Snapshot::new(record.to_vec(), Version::new(fence.get()), life);
        kept.saves.push((snapshot, self.clock.now().monotonic()));
        kept.is_leased = false;
        Ok(Saved::Saved(Version::new(fence.get())))
    }

    async fn release(&self, _: &StoreKey, fence: Fence) -> Result<(), Down> {
        let mut kept = lock(&self.kept);
        kept.is_leased &= kept.fence != fence.get();
        Ok(())
    }
}

/// A process that has spent the first token, and saved its successor.
async fn spent<const LOSES_WRITES: bool>(
    world: &World,
    store: &Replicated<LOSES_WRITES>,
) -> SharedRefreshToken<Replicated<LOSES_WRITES>> {
    let host = store.host();
    host.put(&world.platform, Some(&token("1"))).await.unwrap();
    succeed(world, &host, "1", "2").await;
    host
}

/// The process spends a token, and gets another one.
async fn succeed<S: SharedStore>(world: &World, host: &SharedRefreshToken<S>, sent: &str, next: &str) {
    let (lease, found) = world.begin(host).await.unwrap();
    assert_eq!(found, Some(token(sent)));
    assert!(host.swap(&world.platform, Some(&token(sent)), Some(&token(next))).await.unwrap());
    drop(lease);
    world.settle().await;
}

#[tokio::test]
async fn a_process_spends_no_token_again_that_it_replaced() {
    for lost in [1, 2] {
        let world = World::new();
        let store: Replicated = Replicated::new(&world.platform);
        let host = spent(&world, &store).await;
        store.loses(lost);
        world.clock.advance(PERIOD * 10);
        succeed(&world, &host, "2", "3").await;
        // All others have what it put back, and the successor of that.
        assert_eq!(store.host().load(&world.platform).await.unwrap(), Some(token("3")), "{lost} saves lost");
    }
}

/// The danger is real: one that starts after the failover has the store's word alone.
#[tokio::test]
async fn a_process_that_has_seen_no_successor_spends_it_again() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    spent(&world, &store).await;
    store.loses(2);
    world.clock.advance(PERIOD * 10);
    assert_eq!(world.begin(&store.host()).await.unwrap().1, Some(token("1")));
}

#[tokio::test]
async fn a_process_that_adopted_the_successor_knows_it_too() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    spent(&world, &store).await;
    let witness = store.host();
    assert_eq!(witness.load(&world.platform).await.unwrap(), Some(token("2")));
    store.loses(2);
    world.clock.advance(PERIOD * 10);
    let (_lease, found) = world.begin(&witness).await.unwrap();
    assert_eq!(found, Some(token("2")));
    assert_eq!(store.host().load(&world.platform).await.unwrap(), Some(token("2")), "it was put back");
}

#[tokio::test]
async fn a_mark_that_was_lost_is_heeded_by_its_own_process() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = spent(&world, &store).await;
    // Its response is missing.
    drop(world.begin(&host).await.unwrap());
    world.settle().await;
    store.loses(1);
    world.clock.advance(PERIOD);
    let error = world.begin(&host).await.err().unwrap();
    assert!(error.to_string().contains("sent 60 s ago") && !error.is_transient(), "{error}");
    world.settle().await;
    world.begin(&store.host()).await.unwrap();
}

/// The search of the model found this one: another host marks the token in between, and that mark is lost too.
#[tokio::test]
async fn a_mark_that_was_lost_is_heeded_after_the_mark_of_another() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = spent(&world, &store).await;
    drop(world.begin(&host).await.unwrap());
    world.settle().await;
    store.loses(1);
    drop(world.begin(&store.host()).await.unwrap());
    world.settle().await;
    host.load(&world.platform).await.unwrap();
    store.loses(1);
    world.clock.advance(PERIOD);
    assert!(world.begin(&host).await.is_err());
}

#[tokio::test]
async fn a_successor_is_saved_though_its_predecessor_was_lost() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = spent(&world, &store).await;
    let (_lease, found) = world.begin(&host).await.unwrap();
    assert_eq!(found, Some(token("2")));
    store.loses(2);
    assert!(host.swap(&world.platform, Some(&token("2")), Some(&token("3"))).await.unwrap());
    assert_eq!(store.host().load(&world.platform).await.unwrap(), Some(token("3")));
}

#[tokio::test]
async fn an_empty_store_gets_the_token_back_if_it_may_lose_writes() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = spent(&world, &store).await;
    store.loses(3);
    succeed(&world, &host, "2", "3").await;
    assert_eq!(store.host().load(&world.platform).await.unwrap(), Some(token("3")));
    // From a store that loses nothing, an administrator has removed it.
    let store: Replicated<false> = Replicated::new(&world.platform);
    let host = spent(&world, &store).await;
    store.loses(3);
    assert_eq!(host.load(&world.platform).await.unwrap(), None);
}

#[tokio::test]
async fn a_new_consent_is_adopted_whatever_was_lost() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = spent(&world, &store).await;
    for _ in 0..3 {
        store.loses(2);
        // Also the old token, if a person puts it there.
        for consented in ["new", "1"] {
            store.host().put(&world.platform, Some(&token(consented))).await.unwrap();
            assert_eq!(host.load(&world.platform).await.unwrap(), Some(token(consented)));
        }
    }
}

#[tokio::test]
async fn what_a_process_knows_is_written_if_it_is_put_there() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = spent(&world, &store).await;
    store.loses(2);
    host.put(&world.platform, Some(&token("2"))).await.unwrap();
    assert_eq!(store.host().load(&world.platform).await.unwrap(), Some(token("2")));
}

/// Another process has the old token alone, and sends it within the period. Its successor is the latest.
#[tokio::test(start_paused = true)]
async fn a_host_that_uses_the_old_token_is_waited_for() {
    for saves in [true, false] {
        let platform = Platform::system().with_clock(PausedClock::new());
        let world = World { platform: platform.clone(), ..World::new() };
        let store: Replicated = Replicated::new(&platform);
        let host = spent(&world, &store).await;
        store.loses(2);
        let other = store.host();
        let (lease, found) = world.begin(&other).await.unwrap();
        assert_eq!(found, Some(token("1")));
        let at_work = async {
            platform.sleep_until(platform.now().after(SECOND).monotonic()).await;
            if saves {
                assert!(other.swap(&platform, Some(&token("1")), Some(&token("2 of the other"))).await.unwrap());
            }
            drop(lease);
        };
        let begun = platform.now().monotonic();
        let (held, ()) = tokio::join!(world.begin(&host), at_work);
        let (_lease, found) = held.unwrap();
        let waited = platform.now().monotonic() - begun;
        let (expected, longest) = if saves { ("2 of the other", SECOND * 2) } else { ("2", LEASE + SECOND) };
        assert_eq!(found, Some(token(expected)));
        assert!(waited <= longest, "{waited:?}");
    }
}

/// A process that found an empty store has sent its initial token, and saved the successor.
async fn spent_initial(world: &World, store: &Replicated) -> SharedRefreshToken<Replicated> {
    let host = store.host();
    let (lease, found) = world.begin(&host).await.unwrap();
    assert_eq!(found, None);
    assert!(host.swap(&world.platform, None, Some(&token("1"))).await.unwrap());
    drop(lease);
    world.settle().await;
    host
}

#[tokio::test]
async fn the_successor_of_an_initial_token_outlives_its_lost_save() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = spent_initial(&world, &store).await;
    // Its mark is back.
    store.loses(1);
    world.clock.advance(PERIOD * 10);
    succeed(&world, &host, "1", "2").await;
    assert_eq!(store.host().load(&world.platform).await.unwrap(), Some(token("2")));
}

#[tokio::test]
async fn another_host_with_the_initial_token_hides_no_successor() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = spent_initial(&world, &store).await;
    store.loses(2);
    drop(world.begin(&store.host()).await.unwrap());
    world.settle().await;
    world.clock.advance(PERIOD * 10);
    succeed(&world, &host, "1", "2").await;
}

#[tokio::test]
async fn a_lost_mark_of_an_initial_token_is_heeded() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = store.host();
    drop(world.begin(&host).await.unwrap());
    world.settle().await;
    store.loses(1);
    world.clock.advance(PERIOD);
    assert!(world.begin(&host).await.is_err());
}

#[tokio::test]
async fn a_removed_token_stays_removed() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = spent(&world, &store).await;
    store.host().put(&world.platform, None).await.unwrap();
    assert_eq!(host.load(&world.platform).await.unwrap(), None);
}

#[tokio::test]
async fn a_lost_mark_of_another_host_is_heeded() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = spent(&world, &store).await;
    drop(world.begin(&store.host()).await.unwrap());
    world.settle().await;
    host.load(&world.platform).await.unwrap();
    store.loses(1);
    world.clock.advance(PERIOD);
    assert!(world.begin(&host).await.is_err());
}

/// The first use was harmless, so its mark was removed. The second one was sent.
#[tokio::test]
async fn an_own_mark_is_heeded_after_three_lost_saves() {
    let world = World::new();
    let store: Replicated = Replicated::new(&world.platform);
    let host = spent(&world, &store).await;
    let (lease, _) = world.begin(&host).await.unwrap();
    host.not_used_up();
    drop(lease);
    world.settle().await;
    drop(world.begin(&host).await.unwrap());
    world.settle().await;
    store.loses(3);
    world.clock.advance(PERIOD);
    assert!(world.begin(&host).await.is_err());
}
