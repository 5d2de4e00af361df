//! What a sent request remembers of its bearer, and how a rejection finds the provider.
//!
//! A refused request must be able to say which token was refused, long after it was sent. The token in service may be
//! another one by then. The obvious way is a clone of the provider in each request. It counts two references for each
//! request, and under load the counts limit the throughput.
//!
//! So a request keeps eight bytes: the number of the provider and the number of the token. A registry of all providers
//! of the process leads back from the number to the provider. It is locked only when a provider is built or dropped,
//! and for a rejection. A provider that is gone is not found, and its tickets do nothing.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
    num::{NonZeroU32, NonZeroU64},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use http::{HeaderMap, header::WWW_AUTHENTICATE};

use crate::{observe::EventKind, platform::BoxFuture, token::Rejection};

/// What a sent request remembers of its bearer: small and `Copy`, and enough to reject it later.
///
/// Counting a reference to the provider would double the cost of a request under contention. So a request keeps
/// numbers, and the rare rejection looks the provider up.
///
/// Both numbers are in one word, because the future of every request keeps them: the provider's is the upper half.
///
/// ```
/// use bearer_token::{AccessToken, Authorized, FetchContext, Rejection, TokenProvider};
/// use http::HeaderMap;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let provider = TokenProvider::builder(async |_cx: FetchContext| Ok(AccessToken::new("t"))).build()?;
/// let first = provider.token().await?.ticket();
/// // A hundred requests were in flight with it, and all are refused. The first one counts.
/// assert_eq!(first.reject(&HeaderMap::new()), Rejection::Renewing);
/// assert_eq!(first.reject(&HeaderMap::new()), Rejection::Renewing);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ticket(NonZeroU64);

impl Ticket {
    pub(crate) fn new(provider: ProviderId, generation: Generation) -> Self {
        const UPPER_HALF: NonZeroU64 = NonZeroU64::MIN.saturating_add(u32::MAX as u64);
        Ticket(NonZeroU64::from(provider.0).saturating_mul(UPPER_HALF) | u64::from(generation.0))
    }

    /// Tells the provider that the API refused the bearer: HTTP 401 (RFC 6750 section 3.1), gRPC status 16.
    ///
    /// Only the bearer that was refused is affected. A late response does not reject a newer one.
    ///
    /// `response` has the headers of the refusal, or the trailers if the refusal is there. The source is told [what
    /// they ask for](crate::FetchContext::challenges). If you do not have them, pass `&HeaderMap::new()`.
    pub fn reject(self, response: &HeaderMap) -> Rejection {
        // A provider that is gone has no bearer that could be renewed.
        let provider = self.provider().and_then(ProviderId::find);
        provider.map_or(Rejection::Declined, |provider| provider.reject(self.generation(), response))
    }

    /// Waits for the [settling time](crate::Sending::settle) of the provider, from now on. Use it before you resend a
    /// request that was refused with [`Rejection::Settling`].
    ///
    /// It waits for the whole time, not for the rest of it. So requests that were refused at different times are resent
    /// at different times, and not all at once. Completes at once if the provider is gone.
    ///
    /// ```
    /// # use bearer_token::{Rejection, Ticket};
    /// # async fn example(ticket: Ticket, refused: &http::HeaderMap) {
    /// if ticket.reject(refused) == Rejection::Settling {
    ///     ticket.settled().await;
    ///     // Authorize the request again, and send it once more.
    /// }
    /// # }
    /// ```
    pub fn settled(self) -> impl Future<Output = ()> + Send + 'static {
        let settled = self.provider().and_then(ProviderId::find).map(|provider| provider.settled());
        async move {
            if let Some(settled) = settled {
                settled.await;
            }
        }
    }

    /// Whether another token of the provider's source meets what a response asks for, although it does not refuse this
    /// one.
    pub(crate) fn can_meet(self, response: &HeaderMap) -> bool {
        // Most responses have no challenge, and need no look at the provider.
        let asks = response.contains_key(WWW_AUTHENTICATE);
        asks && self.provider().and_then(ProviderId::find).is_some_and(|provider| provider.can_meet(response))
    }

    /// Tells the observers of the provider what became of a refused request.
    pub(crate) fn tell(self, event: EventKind<'_>) {
        if let Some(provider) = self.provider().and_then(ProviderId::find) {
            provider.tell(event);
        }
    }

    /// Always one.
    pub(crate) fn provider(self) -> Option<ProviderId> {
        NonZeroU32::new((self.0.get() >> 32) as u32).map(ProviderId)
    }

    /// The number of the bearer: the lower half.
    pub(crate) fn generation(self) -> Generation {
        Generation(self.0.get() as u32)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provider = self.provider().map(|provider| provider.0.get()).unwrap_or_default();
        f.debug_struct("Ticket").field("provider", &provider).field("generation", &self.generation().0).finish()
    }
}

/// The number of a minted token, unique among the last four billion of the process. So a ticket of one provider never
/// matches another's bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    /// The next number of the process.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Generation(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The number, for people to read.
    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

/// Which provider, among those of the process that are alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProviderId(NonZeroU32);

/// A provider, as a ticket sees it.
pub(crate) trait Reject: Send + Sync {
    /// Judges a rejection of the bearer with this number, and starts a renewal if it is due.
    fn reject(self: Arc<Self>, generation: Generation, response: &HeaderMap) -> Rejection;
    /// Whether another token meets what a response asks for.
    fn can_meet(&self, response: &HeaderMap) -> bool;
    /// Completes when the settling time has passed.
    fn settled(&self) -> BoxFuture<()>;
    /// Tells the observers of the provider.
    fn tell(&self, event: EventKind<'_>);
}

/// Every provider that is alive. Locked when one is built or dropped, and for a rejection.
static PROVIDERS: Mutex<Providers> = Mutex::new(Providers { last: ProviderId::FIRST, alive: BTreeMap::new() });

struct Providers {
    last: ProviderId,
    alive: BTreeMap<ProviderId, Weak<dyn Reject>>,
}

impl ProviderId {
    const FIRST: ProviderId = ProviderId(NonZeroU32::MIN);

    /// A number for a provider that is being built.
    pub(crate) fn enter(provider: Weak<dyn Reject>) -> Self {
        providers().enter(provider)
    }

    /// Frees the number of a provider that is dropped.
    pub(crate) fn leave(self) {
        providers().alive.remove(&self);
    }

    /// The provider, if it is alive.
    fn find(self) -> Option<Arc<dyn Reject>> {
        providers().alive.get(&self)?.upgrade()
    }

    /// After the last there is the first again.
    fn next(self) -> Self {
        self.0.checked_add(1).map_or(ProviderId::FIRST, ProviderId)
    }
}

impl Providers {
    fn enter(&mut self, provider: Weak<dyn Reject>) -> ProviderId {
        loop {
            self.last = self.last.next();
            // A provider that is older than the wrap keeps its number.
            if let btree_map::Entry::Vacant(free) = self.alive.entry(self.last) {
                free.insert(provider);
                return self.last;
            }
        }
    }
}

fn providers() -> MutexGuard<'static, Providers> {
    PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl ProviderId {
    /// The id of no provider: no test builds as many.
    pub(crate) const NONE: ProviderId = ProviderId(NonZeroU32::MAX);
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use super::*;
    use crate::{StaticToken, TokenProvider};

    #[tokio::test]
    async fn a_dropped_provider_leaves_nothing_behind() {
        let provider = TokenProvider::builder(StaticToken::new("token")).build().unwrap();
        let ticket = provider.token().await.unwrap().ticket();
        assert!(ticket.provider().unwrap().find().is_some());
        drop(provider);
        assert!(!providers().alive.contains_key(&ticket.provider().unwrap()));
    }

    #[test]
    fn a_ticket_takes_one_word_and_so_does_none() {
        assert_eq!(size_of::<Option<Ticket>>(), size_of::<u64>());
        for (provider, generation) in [(1, 0), (1, u32::MAX), (u32::MAX, 0), (u32::MAX, u32::MAX), (7, 9)] {
            let (provider, generation) = (ProviderId(NonZeroU32::new(provider).unwrap()), Generation(generation));
            let ticket = Ticket::new(provider, generation);
            assert_eq!((ticket.provider(), ticket.generation()), (Some(provider), generation), "{ticket:?}");
        }
    }

    #[test]
    fn provider_numbers_wrap_and_skip_those_in_use() {
        struct Declining;

        impl Reject for Declining {
            fn can_meet(&self, _: &HeaderMap) -> bool {
                false
            }

            fn reject(self: Arc<Self>, _: Generation, _: &HeaderMap) -> Rejection {
                Rejection::Declined
            }

            fn tell(&self, _: EventKind<'_>) {}

            fn settled(&self) -> BoxFuture<()> {
                Box::pin(std::future::ready(()))
            }
        }

        let number = |number| ProviderId(NonZeroU32::new(number).unwrap());
        let mut providers = Providers { last: number(u32::MAX - 2), alive: BTreeMap::new() };
        let mut enter = || providers.enter(Weak::<Declining>::new());
        let entered = [enter(), enter(), enter(), enter()];
        assert_eq!(entered, [number(u32::MAX - 1), number(u32::MAX), number(1), number(2)]);
        providers.last = number(u32::MAX - 3);
        providers.alive.remove(&number(2));
        let mut enter = || providers.enter(Weak::<Declining>::new());
        assert_eq!([enter(), enter(), enter()], [number(u32::MAX - 2), number(2), number(3)]);
    }
}
