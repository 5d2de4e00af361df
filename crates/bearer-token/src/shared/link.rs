//! The way to the store: each call has a deadline, and a store that fails is left alone for a while.
//!
//! All calls of all sources of a fleet come through here. So here is the one place that measures them, reports them as
//! events, and turns every kind of failure into [`Gone`]. The caller then fetches for itself, whatever went wrong.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use super::circuit::Circuit;
use crate::{
    error::{Error, ErrorKind},
    observe::{self, EventKind, StoreOperation, StoreOutcome},
    platform::Platform,
    provider::constants::SHARED_CALL_TIMEOUT,
    store::{
        Down, Fence, Leased, Saved, Snapshot, StoreKey, Version,
        shared::{DynSharedStore, SharedStore},
    },
    sync::{Mutex, lock},
};

/// The store gives no answer, so this fetch does without it.
#[derive(Debug)]
pub(super) struct Gone;

/// A store, with the circuit that all sources of a fleet share.
pub(super) struct Link {
    store: Box<dyn DynSharedStore>,
    circuit: Mutex<Circuit>,
}

impl Link {
    /// A link whose circuit is closed.
    pub(super) fn new(store: impl SharedStore) -> Arc<Self> {
        Arc::new(Link { store: Box::new(store), circuit: Mutex::new(Circuit::default()) })
    }

    /// Reads a record. `None` if the store has none under this name, or none that is still alive.
    pub(super) async fn read(&self, platform: &Platform, key: &StoreKey) -> Result<Option<Snapshot>, Gone> {
        let outcome = |found: &Option<Snapshot>| match found {
            Some(_) => StoreOutcome::Ok,
            None => StoreOutcome::Absent,
        };
        self.ask(platform, StoreOperation::Load, self.store.read(key), outcome).await
    }

    /// Asks for the right to replace the version that was seen. That another replica has it is an answer.
    pub(super) async fn lease(
        &self,
        platform: &Platform,
        key: &StoreKey,
        seen: Version,
        ttl: Duration,
    ) -> Result<Leased, Gone> {
        let outcome = |leased: &Leased| match leased {
            Leased::Granted(_) => StoreOutcome::Ok,
            Leased::Held(_) | Leased::Newer(_) => StoreOutcome::Conflict,
        };
        self.ask(platform, StoreOperation::Lease, self.store.lease(key, seen, ttl), outcome).await
    }

    /// Saves a record with its life, under a lease and over the version that was seen.
    pub(super) async fn save(
        &self,
        platform: &Platform,
        key: &StoreKey,
        (record, life): (&[u8], Duration),
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Gone> {
        let outcome = |saved: &Saved| match saved {
            Saved::Saved(_) => StoreOutcome::Ok,
            Saved::Fenced | Saved::Changed(_) => StoreOutcome::Conflict,
        };
        let call = self.store.save(key, record, life, fence, seen);
        self.ask(platform, StoreOperation::Save, call, outcome).await
    }

    /// Ends a lease early, so that the next replica need not wait for its end. By its fence: a later lease stays.
    pub(super) async fn release(&self, platform: &Platform, key: &StoreKey, fence: Fence) -> Result<(), Gone> {
        self.ask(platform, StoreOperation::Release, self.store.release(key, fence), |()| StoreOutcome::Ok).await
    }

    /// Waits for a change. It is no call that can fail, but it ends in time whatever the store does.
    pub(super) async fn changed(&self, platform: &Platform, key: &StoreKey, since: Version, within: Duration) {
        let deadline = platform.now().monotonic().saturating_add(within);
        platform.before(deadline, self.store.changed(platform, key, since, within)).await;
    }

    /// One call: admitted by the circuit, with a deadline, measured and reported.
    ///
    /// The lock of the circuit is held for a moment before the call and after it, never across it.
    async fn ask<T>(
        &self,
        platform: &Platform,
        operation: StoreOperation,
        call: impl Future<Output = Result<T, Down>>,
        outcome: impl FnOnce(&T) -> StoreOutcome,
    ) -> Result<T, Gone> {
        let started = platform.now().monotonic();
        if !lock(&self.circuit).admits(operation, started) {
            return Err(Gone);
        }
        let answer = platform.before(started.saturating_add(SHARED_CALL_TIMEOUT), call).await;
        let now = platform.now().monotonic();
        let tell = |outcome, error: Option<&Error>| {
            let duration = now.saturating_sub(started);
            observe::tell(EventKind::StoreCall { store: "shared", operation, outcome, error, duration });
        };
        let error = match answer {
            Some(Ok(answer)) => {
                tell(outcome(&answer), None);
                self.note_answer(operation, started);
                return Ok(answer);
            }
            Some(Err(down)) if down.is_for_this_key() => {
                // The store has answered. The sources of other keys must not do without it.
                let problem = down.to_string();
                let error = Error::new(ErrorKind::Source, problem.clone()).with_source(down);
                tell(StoreOutcome::Failed, Some(&error));
                observe::tell(EventKind::SharedRecordIgnored { problem: &problem });
                self.note_answer(operation, started);
                return Err(Gone);
            }
            Some(Err(down)) => Error::new(ErrorKind::Source, down.to_string()).with_source(down),
            None => {
                let message = format!("the shared store gave no answer within {SHARED_CALL_TIMEOUT:?}");
                Error::new(ErrorKind::Timeout, message)
            }
        };
        tell(StoreOutcome::Failed, Some(&error));
        let pause = lock(&self.circuit).failed(operation, now, now.saturating_sub(started));
        if let Some(pause) = pause {
            observe::tell(EventKind::SharedStoreSuspended { error: &error, pause });
        }
        Err(Gone)
    }

    fn note_answer(&self, operation: StoreOperation, started: Duration) {
        // Another statement than the event: the sink of events is user code.
        let is_back = lock(&self.circuit).succeeded(operation, started);
        if is_back {
            observe::tell(EventKind::SharedStoreResumed {});
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("circuit", &*lock(&self.circuit)).finish_non_exhaustive()
    }
}
