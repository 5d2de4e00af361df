//! What a sent request remembers of its bearer, and how that finds its way back to the provider.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use http::HeaderMap;

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
    ///
    /// `answer` is the headers of the refusal, or its trailers, if those refuse: the source is told
    /// [what they ask for](crate::FetchContext::challenges). Without them, `&HeaderMap::new()` will do.
    pub fn reject(self, answer: &HeaderMap) -> Rejection {
        // A provider that is gone has no bearer that could be renewed.
        self.provider.find().map_or(Rejection::Declined, |provider| provider.reject(self.generation, answer))
    }

    pub(crate) fn provider(self) -> ProviderId {
        self.provider
    }

    pub(crate) fn generation(self) -> Generation {
        self.generation
    }
}

/// What became of the rejection of a bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The bearer is withdrawn, and a new one is being fetched. If that fails, the old one is put back into service.
    Renewing,
    /// A newer bearer is in service already.
    Superseded,
    /// The bearer stays in service: it was renewed too recently, or the authorization server is failing.
    Declined,
}

impl Rejection {
    /// Whether sending the request again can go better.
    pub fn is_replay_useful(self) -> bool {
        matches!(self, Rejection::Renewing | Rejection::Superseded)
    }
}

/// Which minted token a bearer is. Unique within the process, so that a ticket of one provider never fits another's
/// bearer; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

impl Generation {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Generation(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Which provider, within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProviderId(u64);

/// Whoever can withdraw a bearer.
pub(crate) trait Reject: Send + Sync {
    fn reject(self: Arc<Self>, generation: Generation, answer: &HeaderMap) -> Rejection;
}

/// Every provider that is alive. Locked when one is built or dropped, and for a rejection.
static PROVIDERS: Mutex<BTreeMap<ProviderId, Weak<dyn Reject>>> = Mutex::new(BTreeMap::new());

impl ProviderId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        ProviderId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn enter(self, provider: Weak<dyn Reject>) {
        PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner).insert(self, provider);
    }

    pub(crate) fn leave(self) {
        PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self);
    }

    fn find(self) -> Option<Arc<dyn Reject>> {
        PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner).get(&self)?.upgrade()
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use super::*;
    use crate::{StaticToken, TokenProvider};

    #[tokio::test]
    async fn a_provider_is_found_while_it_lives_and_leaves_nothing_behind() {
        let provider = TokenProvider::builder(StaticToken::new("token")).build().unwrap();
        let ticket = provider.token().await.unwrap().ticket();
        assert!(ticket.provider.find().is_some());
        drop(provider);
        let providers = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!providers.contains_key(&ticket.provider));
    }

    #[test]
    fn a_replay_is_useful_where_another_bearer_is_there_or_on_its_way() {
        for (rejection, expected) in
            [(Rejection::Renewing, true), (Rejection::Superseded, true), (Rejection::Declined, false)]
        {
            assert_eq!(rejection.is_replay_useful(), expected, "{rejection:?}");
        }
    }
}
