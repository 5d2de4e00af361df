//! The contract of a shared store, as tests that run on any implementation of it.
#![allow(clippy::expect_used, clippy::panic, reason = "these are tests, which fail by panicking")]

use std::{future::Future, sync::Arc, time::Duration};

use bearer_token::{
    platform::Platform,
    store::{Fence, Leased, Saved, SharedStore, Snapshot, StoreKey, Version},
};

use crate::ManualClock;

mod leases;
mod limits;
mod records;
#[cfg(test)]
mod tests;

pub use self::{leases::*, limits::*, records::*};

/// Makes a test of each clause of the [contract of a shared store](SharedStore#the-contract).
///
/// Its argument is an `async` function that returns the store. The tests use random keys, so all of them may share one
/// server. They run in parallel.
///
/// ```
/// # mod tests {
/// use bearer_token::store::MemorySharedStore;
///
/// async fn make_store() -> MemorySharedStore {
///     MemorySharedStore::new()
/// }
///
/// bearer_token_testing::store_contract!(make_store);
/// # }
/// ```
///
/// Leases and lives end in some tests, which wait for some seconds in all. A store that has a clock of its own does not
/// wait: return it with its [`ManualClock`], as [`OnClock`](crate::store_contract::OnClock). Attributes before the
/// function apply to every test:
///
/// ```
/// # mod tests {
/// use bearer_token::{platform::Platform, store::MemorySharedStore};
/// use bearer_token_testing::{ManualClock, store_contract::OnClock};
///
/// async fn make_store() -> OnClock<MemorySharedStore> {
///     let clock = ManualClock::new();
///     OnClock(MemorySharedStore::on(Platform::system().with_clock(clock.clone())), clock)
/// }
///
/// bearer_token_testing::store_contract!(#[cfg(unix)] make_store);
/// # }
/// ```
#[macro_export]
macro_rules! store_contract {
    ($(#[$attribute:meta])* $make:path) => {
        $crate::store_contract!(@each [$(#[$attribute])*] $make;
            an_unknown_key_has_no_record
            a_saved_record_is_read_back
            a_record_may_be_large_and_of_any_bytes
            the_life_of_a_record_counts_down
            a_record_ends_with_its_life
            each_lease_saves_another_version
            one_lease_may_save_twice
            a_save_over_an_unseen_record_is_refused
            an_absent_record_refuses_no_save
            keys_do_not_affect_each_other
            a_lease_has_one_holder
            one_of_many_concurrent_leases_is_granted
            fences_grow
            a_lease_ends_by_itself
            a_save_ends_the_lease
            a_release_ends_the_lease
            only_the_holder_releases
            an_earlier_fence_saves_nothing
            an_earlier_fence_saves_nothing_after_a_later_save
            a_lease_over_an_unseen_record_shows_it
            a_wait_for_a_change_ends_in_time
            a_dropped_lease_is_granted_or_is_not
            a_dropped_save_saves_all_or_nothing
            a_lease_that_meets_a_save_is_held_or_shows_the_record
            a_lease_may_have_any_time
            a_record_may_have_any_life
        );
    };
    (@each $attributes:tt $make:path; $($clause:ident)+) => {
        $($crate::store_contract!(@one $attributes $make; $clause);)+
    };
    (@one [$(#[$attribute:meta])*] $make:path; $clause:ident) => {
        $(#[$attribute])*
        #[test]
        fn $clause() {
            $crate::store_contract::run(async { $crate::store_contract::$clause($make().await).await });
        }
    };
}

/// A store under test, with the way in which time passes for it.
pub trait Subject: Send + Sync + 'static {
    /// The type of the store.
    type Store: SharedStore;

    /// The store under test, which all callers share.
    fn store(&self) -> &Self::Store;

    /// The clock of the callers.
    fn platform(&self) -> Platform;

    /// Lets time pass for the store.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// A store whose time is the real one.
impl<S: SharedStore> Subject for S {
    type Store = S;

    fn store(&self) -> &S {
        self
    }

    fn platform(&self) -> Platform {
        Platform::system()
    }

    async fn pass(&self, time: Duration) {
        let platform = Platform::system();
        platform.sleep_until(platform.now().monotonic() + time).await;
    }
}

/// A store whose time is that of a manual clock.
#[derive(Clone, Debug)]
pub struct OnClock<S>(pub S, pub ManualClock);

impl<S: SharedStore> Subject for OnClock<S> {
    type Store = S;

    fn store(&self) -> &S {
        &self.0
    }

    fn platform(&self) -> Platform {
        Platform::system().with_clock(self.1.clone())
    }

    async fn pass(&self, time: Duration) {
        self.1.advance(time);
    }
}

/// Runs a test on a runtime of its own.
///
/// # Panics
///
/// If the test fails, or no runtime can be made.
pub fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

/// A time that tests wait for. A store's clock may be as coarse as 10 ms.
const SHORT: Duration = Duration::from_millis(150);

/// A key that no other test and no earlier run has used.
fn any_key() -> StoreKey {
    StoreKey::new(Platform::system().random().expect("randomness"))
}

async fn read(subject: &impl Subject, key: &StoreKey) -> Option<Snapshot> {
    subject.store().read(key).await.expect("the store answers")
}

async fn lease(subject: &impl Subject, key: &StoreKey, seen: Version, ttl: Duration) -> Leased {
    subject.store().lease(key, seen, ttl).await.expect("a lease that is held is an answer, and so is a newer record")
}

async fn granted(subject: &impl Subject, key: &StoreKey, seen: Version, ttl: Duration) -> Fence {
    match lease(subject, key, seen, ttl).await {
        Leased::Granted(fence) => fence,
        other => panic!("found {other:?}; expected the lease, which is free"),
    }
}

async fn held(subject: &impl Subject, key: &StoreKey, seen: Version) -> Duration {
    match lease(subject, key, seen, LONG).await {
        Leased::Held(remaining) => remaining,
        other => panic!("found {other:?}; expected `Held`, because another caller has the lease"),
    }
}

async fn save(subject: &impl Subject, key: &StoreKey, record: &[u8], fence: Fence, seen: Version) -> Saved {
    subject.store().save(key, record, LONG, fence, seen).await.expect("a refused save is an answer")
}

/// Leases and saves, as one replica alone does.
async fn saved(subject: &impl Subject, key: &StoreKey, record: &[u8], seen: Version) -> Version {
    let fence = granted(subject, key, seen, LONG).await;
    match save(subject, key, record, fence, seen).await {
        Saved::Saved(version) => version,
        other => panic!("found {other:?}; expected a save, under the lease and over the version that was seen"),
    }
}

/// Calls a function this often at the same time.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    times: usize,
    call: impl Fn() -> F,
) -> Vec<T> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..times {
        tasks.spawn(call());
    }
    tasks.join_all().await
}

fn shared<S: Subject>(subject: S) -> Arc<S> {
    Arc::new(subject)
}
