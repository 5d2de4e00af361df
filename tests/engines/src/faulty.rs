//! Replicas with a fault of their own, to show that the tests of fleets notice it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bearer_token::{
    AccessToken, Error, FetchContext, TokenSource,
    platform::{Entropy, Moment, SystemEntropy},
    store::{Down, Fence, Leased, Order, Saved, SharedStore, Snapshot, StoreKey, Version},
};
use serde::{Deserialize, Serialize};

use crate::draws::LIFETIME;

/// What is wrong with a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// It fetches without asking its store, which would answer.
    AsksNothing,
    /// It fetches under a lease that the store has not granted.
    TakesNoLease,
    /// It sees no record, and so fetches whatever the others have.
    IgnoresTheRecord,
    /// It keeps its failures for itself, so the others do not pause with it.
    SharesNoFailure,
    /// Its store acknowledges the mark of a refresh token, the first save under a lease, and loses it.
    LosesMarks,
    /// It draws the time of each refresh for itself, and the record has no draw. All replicas have this one.
    DrawsForItself,
}

/// The store of a replica that has one of these faults, or none.
pub struct Faulty<S> {
    store: S,
    fault: Option<Fault>,
    /// Whether the last fetch failed.
    failed: Arc<AtomicBool>,
    /// The fence of the last lease under which a mark was lost.
    lost_under: AtomicU64,
}

impl<S> Faulty<S> {
    pub fn new(store: S, fault: Option<Fault>, failed: Arc<AtomicBool>) -> Self {
        Faulty { store, fault, failed, lost_under: AtomicU64::new(0) }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

impl<S: SharedStore> SharedStore for Faulty<S> {
    const ORDER: Order = S::ORDER;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        let found = self.store.read(key).await?;
        Ok(found.filter(|_| !self.is(Fault::IgnoresTheRecord)))
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        if self.is(Fault::TakesNoLease) {
            return Ok(Leased::Granted(Fence::new(u64::from(u32::MAX))));
        }
        match self.store.lease(key, seen, ttl).await? {
            Leased::Newer(found) if self.is(Fault::IgnoresTheRecord) => self.store.lease(key, found.version, ttl).await,
            leased => Ok(leased),
        }
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        if self.is(Fault::SharesNoFailure) && self.failed.load(Ordering::Relaxed) {
            self.store.release(key, fence).await?;
            return Ok(Saved::Saved(Version::new(fence.get())));
        }
        if self.is(Fault::LosesMarks) && self.lost_under.swap(fence.get(), Ordering::Relaxed) != fence.get() {
            return Ok(Saved::Saved(seen));
        }
        match self.store.save(key, record, life, fence, seen).await? {
            Saved::Changed(found) if self.is(Fault::IgnoresTheRecord) => {
                self.store.save(key, record, life, fence, found.version).await
            }
            saved => Ok(saved),
        }
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        self.store.release(key, fence).await
    }
}

/// The shared source of a replica that [draws for itself](Fault::DrawsForItself).
///
/// A draw makes the refresh of a token earlier, and so does a token that seems to be older. The second can be had from
/// outside of the library.
pub struct OwnDraw<S> {
    source: S,
    /// The token that was drawn for.
    last: Mutex<String>,
}

impl<S> OwnDraw<S> {
    pub fn new(source: S) -> Self {
        OwnDraw { source, last: Mutex::default() }
    }
}

impl<S: TokenSource> TokenSource for OwnDraw<S> {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let asked = cx.platform().now();
        let token = self.source.fetch(cx).await?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == token.secret() {
            return Ok(token);
        }
        token.secret().clone_into(&mut last);
        let drawn = (LIFETIME / 5).mul_f64(fastrand::f64());
        Ok(token.issued(Moment::new(asked.monotonic().saturating_sub(drawn), asked.wall() - drawn)))
    }
}

/// Randomness whose draws are all zero, so that the record has none. Anything else than a draw has more bytes.
pub struct NoDraws;

impl Entropy for NoDraws {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        if bytes.len() == size_of::<u32>() {
            bytes.fill(0);
            return Ok(());
        }
        SystemEntropy.fill(bytes)
    }
}
