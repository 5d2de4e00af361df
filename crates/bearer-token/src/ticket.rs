//! What a sent request remembers of its bearer, and how that finds its way back to the provider.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{bearer::Generation, cache::Rejection, provider::Inner};

/// What a sent request remembers of its bearer: small and `Copy`, and enough to reject it later.
///
/// A request that keeps a reference to its provider pays for counting it, under contention as much as for everything
/// else together. So it keeps a number, and the rare rejection looks the provider up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    provider: ProviderId,
    generation: Generation,
}

impl Ticket {
    pub(crate) fn new(provider: ProviderId, generation: Generation) -> Self {
        Ticket { provider, generation }
    }

    /// Tells the provider that the API refused the bearer: HTTP 401 (RFC 6750 section 3.1), gRPC status 16.
    ///
    /// Acts only on the bearer that was refused: a late answer leaves a newer one alone.
    pub fn reject(self) -> Rejection {
        // A provider that is gone has no bearer that could be renewed.
        self.provider.find().map_or(Rejection::Declined, |provider| provider.reject(self.generation))
    }

    pub(crate) fn provider(self) -> ProviderId {
        self.provider
    }

    pub(crate) fn generation(self) -> Generation {
        self.generation
    }
}

/// Which provider, within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProviderId(u64);

/// Every provider that is alive. Locked when one is built or dropped, and for a rejection.
static PROVIDERS: Mutex<BTreeMap<ProviderId, Weak<Inner>>> = Mutex::new(BTreeMap::new());

impl ProviderId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        ProviderId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn enter(self, provider: Weak<Inner>) {
        PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner).insert(self, provider);
    }

    pub(crate) fn leave(self) {
        PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self);
    }

    fn find(self) -> Option<std::sync::Arc<Inner>> {
        PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner).get(&self)?.upgrade()
    }
}
