//! The kit accepts a good store, and each way of breaking it fails at a clause.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
};

use bearer_token::store::{Down, MemorySharedStore, Order};

use super::*;

async fn memory() -> OnClock<MemorySharedStore> {
    let clock = ManualClock::new();
    OnClock(MemorySharedStore::on(Platform::system().with_clock(clock.clone())), clock)
}

mod on_a_manual_clock {
    crate::store_contract!(super::memory);
}

mod in_real_time {
    async fn memory() -> super::MemorySharedStore {
        super::MemorySharedStore::new()
    }
    crate::store_contract!(memory);
}

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    BusyIsDown,
    EveryLeaseIsGranted,
    FencesRepeat,
    AnyFenceSaves,
    AnyVersionIsReplaced,
    ReleaseByName,
    LifeIsThatOfTheSave,
    RecordsNeverEnd,
    LeasesNeverEnd,
    SavesKeepTheLease,
    ReleasesDoNothing,
    VersionsRepeat,
    LeasesSaveOnce,
    OneKeyForAll,
    RecordsAreText,
    RecordsAreCut,
    NewerIsNotShown,
    AbsentRefuses,
    ReadFindsNothing,
    WaitsForEver,
    DroppedLeasesStay,
    SavesInTwoSteps,
    SavesReleaseFirst,
    LongTimesAreNone,
}

/// A store with one flaw, around one without.
struct Flawed {
    flaw: Flaw,
    store: MemorySharedStore,
    /// The latest fence and the version of the latest record, as the flaws need them.
    last: Mutex<(u64, Version)>,
}

const FOREVER: Duration = Duration::from_secs(1 << 30);

impl Flawed {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn key(&self, key: &StoreKey) -> StoreKey {
        if self.is(Flaw::OneKeyForAll) { StoreKey::new([0; 32]) } else { key.clone() }
    }

    fn shown(&self, snapshot: Snapshot) -> Snapshot {
        let Snapshot { record, version, life, .. } = snapshot;
        let life = if self.is(Flaw::LifeIsThatOfTheSave) { LONG } else { life };
        let version = if self.is(Flaw::VersionsRepeat) { Version::new(1) } else { version };
        Snapshot::new(record, version, life)
    }

    /// The time, or none in place of one that a smaller type cannot have.
    fn converted(&self, time: Duration) -> Duration {
        if self.is(Flaw::LongTimesAreNone) && time == Duration::MAX { Duration::ZERO } else { time }
    }

    /// The version in the store, for flaws that do not compare it.
    async fn current(&self, key: &StoreKey) -> Version {
        self.store.read(key).await.ok().flatten().map_or(Version::ABSENT, |snapshot| snapshot.version)
    }
}

impl SharedStore for Flawed {
    const ORDER: Order = Order::LosesWrites;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        let found = self.store.read(&self.key(key)).await?.map(|snapshot| self.shown(snapshot));
        Ok(found.filter(|_| !self.is(Flaw::ReadFindsNothing)))
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        let key = self.key(key);
        let seen = match self.flaw {
            Flaw::NewerIsNotShown | Flaw::VersionsRepeat => self.current(&key).await,
            _ => seen,
        };
        let ttl = self.converted(if self.is(Flaw::LeasesNeverEnd) { FOREVER } else { ttl });
        if self.is(Flaw::DroppedLeasesStay) {
            // A lock that is set first, and gets its time in a second step.
            if let Leased::Granted(fence) = self.store.lease(&key, seen, FOREVER).await? {
                tokio::task::yield_now().await;
                self.store.release(&key, fence).await?;
            }
        }
        let mut leased = self.store.lease(&key, seen, ttl).await?;
        if let (Leased::Held(_), true) = (&leased, self.is(Flaw::EveryLeaseIsGranted)) {
            leased = Leased::Granted(Fence::new(self.last.lock().unwrap().0));
        }
        Ok(match leased {
            Leased::Held(_) if self.is(Flaw::BusyIsDown) => return Err(Down::new("the lock is taken")),
            Leased::Granted(fence) => {
                self.last.lock().unwrap().0 = fence.get();
                Leased::Granted(if self.is(Flaw::FencesRepeat) { Fence::new(1) } else { fence })
            }
            Leased::Newer(snapshot) => Leased::Newer(self.shown(snapshot)),
            held @ Leased::Held(_) => held,
        })
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        let key = self.key(key);
        let (last_fence, last_version) = *self.last.lock().unwrap();
        let fence = match self.flaw {
            Flaw::AnyFenceSaves | Flaw::FencesRepeat => Fence::new(last_fence),
            _ => fence,
        };
        let current = self.current(&key).await;
        if self.is(Flaw::LeasesSaveOnce) && current == Version::new(fence.get()) {
            return Ok(Saved::Fenced);
        }
        let seen = match self.flaw {
            Flaw::AnyVersionIsReplaced | Flaw::VersionsRepeat => current,
            _ => seen,
        };
        if self.is(Flaw::AbsentRefuses) && seen != current {
            return Ok(Saved::Changed(Snapshot::new(Vec::new(), last_version, Duration::ZERO)));
        }
        let life = self.converted(if self.is(Flaw::RecordsNeverEnd) { FOREVER } else { life });
        if self.is(Flaw::SavesReleaseFirst) {
            self.store.release(&key, fence).await?;
            tokio::task::yield_now().await;
        }
        if self.is(Flaw::SavesInTwoSteps)
            && let Saved::Saved(version) = self.store.save(&key, &record[..record.len() / 2], life, fence, seen).await?
        {
            tokio::task::yield_now().await;
            let Leased::Granted(fence) = self.store.lease(&key, version, LONG).await? else { panic!() };
            return self.store.save(&key, record, life, fence, version).await;
        }
        let record = match self.flaw {
            Flaw::RecordsAreText => String::from_utf8_lossy(record).into_owned().into_bytes(),
            Flaw::RecordsAreCut => record[..record.len().min(4_096)].to_vec(),
            _ => record.to_vec(),
        };
        let saved = self.store.save(&key, &record, life, fence, seen).await?;
        if let Saved::Saved(version) = saved {
            self.last.lock().unwrap().1 = version;
            if self.is(Flaw::SavesKeepTheLease) {
                self.store.lease(&key, version, FOREVER).await?;
            }
        }
        Ok(match saved {
            Saved::Saved(_) if self.is(Flaw::VersionsRepeat) => Saved::Saved(Version::new(1)),
            other => other,
        })
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        let fence = match self.flaw {
            Flaw::ReleasesDoNothing => return Ok(()),
            Flaw::ReleaseByName => Fence::new(self.last.lock().unwrap().0),
            _ => fence,
        };
        self.store.release(&self.key(key), fence).await
    }

    async fn changed(&self, platform: &Platform, key: &StoreKey, since: Version, within: Duration) {
        let within = if self.is(Flaw::WaitsForEver) { FOREVER } else { within };
        self.store.changed(platform, key, since, within).await;
    }
}

/// Runs a clause on the flawed store, and returns whether it failed.
fn fails<F: Future<Output = ()>>(flaw: Flaw, clause: impl FnOnce(OnClock<Flawed>) -> F) -> bool {
    let test = async {
        let OnClock(store, clock) = memory().await;
        let last = Mutex::new((0, Version::ABSENT));
        clause(OnClock(Flawed { flaw, store, last }, clock)).await;
    };
    catch_unwind(AssertUnwindSafe(|| run(test))).is_err()
}

#[test]
fn each_flaw_fails_at_its_clause() {
    macro_rules! flaws {
        ($($flaw:ident => $($clause:ident),+;)+) => {
            $($(assert!(
                fails(Flaw::$flaw, $clause),
                "{} did not notice {}", stringify!($clause), stringify!($flaw)
            );)+)+
        };
    }
    flaws! {
        BusyIsDown => a_lease_has_one_holder, one_of_many_concurrent_leases_is_granted;
        EveryLeaseIsGranted => a_lease_has_one_holder, one_of_many_concurrent_leases_is_granted;
        FencesRepeat => fences_grow;
        AnyFenceSaves => an_earlier_fence_saves_nothing, an_earlier_fence_saves_nothing_after_a_later_save;
        AnyVersionIsReplaced => a_save_over_an_unseen_record_is_refused;
        ReleaseByName => only_the_holder_releases;
        LifeIsThatOfTheSave => the_life_of_a_record_counts_down;
        RecordsNeverEnd => a_record_ends_with_its_life;
        LeasesNeverEnd => a_lease_ends_by_itself, fences_grow;
        SavesKeepTheLease => a_save_ends_the_lease;
        ReleasesDoNothing => a_release_ends_the_lease;
        VersionsRepeat => each_lease_saves_another_version, one_lease_may_save_twice;
        LeasesSaveOnce => one_lease_may_save_twice;
        OneKeyForAll => keys_do_not_affect_each_other;
        RecordsAreText => a_record_may_be_large_and_of_any_bytes;
        RecordsAreCut => a_record_may_be_large_and_of_any_bytes;
        NewerIsNotShown => a_lease_over_an_unseen_record_shows_it;
        AbsentRefuses => an_absent_record_refuses_no_save;
        ReadFindsNothing => a_saved_record_is_read_back;
        DroppedLeasesStay => a_dropped_lease_is_granted_or_is_not;
        SavesInTwoSteps => a_dropped_save_saves_all_or_nothing;
        SavesReleaseFirst => a_lease_that_meets_a_save_is_held_or_shows_the_record;
        LongTimesAreNone => a_lease_may_have_any_time, a_record_may_have_any_life;
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_wait_fails_in_bounded_time() {
    let OnClock(store, clock) = memory().await;
    let last = Mutex::new((0, Version::ABSENT));
    let store = OnClock(Flawed { flaw: Flaw::WaitsForEver, store, last }, clock);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(a_wait_for_a_change_ends_in_time(store));
    assert!(tasks.join_next().await.is_some_and(|result| result.is_err_and(|error| error.is_panic())));
}
