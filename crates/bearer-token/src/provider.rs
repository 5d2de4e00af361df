//! The cached, shared, cloneable handle on a source.
//!
//! # How the parts play together
//!
//! ```text
//! request --> authorization: may it have a token?  (resource/origins)
//!                |
//!                v
//!             cache: the slot, read without a lock --- fresh ---> insert the header
//!                |          |
//!                | nothing  | stale: decide, under the lock, whether to start a flight
//!                v          v
//!             future ---> flight: one fetch, many waiters
//!             (waits)       |
//!                           v
//!                        fetching: the driver polls the source, with a deadline
//!                           |
//!                           v
//!                        bearer: the token, sealed with its deadlines (schedule, policy, jitter)
//!                           |
//!                           +--> cache: into the slot; waiters wake
//!
//! response --> ticket --> cache: reject this bearer --> flight
//! ```
//!
//! Three rules make that maintainable:
//!
//! - **Numbers are pure.** `policy`, `schedule`, `jitter` and `backoff` get moments and give moments. They know no
//!   clock.
//! - **Every transition is in one file, under one lock.** `cache` decides, and never waits nor calls user code under
//!   it.
//! - **All waiting is elsewhere.** `flight` and `future` know nothing of tokens. `flight` is generic over what it
//!   brings.
//!
//! [`keyed`](self::KeyedProviders) is a bounded map of such providers.

#[cfg(not(bearer_loom))]
use std::mem::offset_of;
use std::{fmt, future::Future, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};

use crate::{
    PassThrough,
    error::{Error, ProviderName},
    observe::{EventKind, FirstTimes, Observers},
    platform::{Clock, Moment, Platform},
    provider::{
        cache::{Cache, Copied, Want},
        ticket::{ProviderId, Reject},
    },
    resource::{origin::Destination, origins::Origins, refusals::Refusals, sending::HeaderForm},
    source::{ChallengeTest, DynTokenSource, TokenSource, Waits},
    sync::AtomicU64,
    token::Rejection,
};

mod as_source;
mod authorization;
mod backoff;
pub(crate) mod bearer;
mod blocking;
mod builder;
pub(crate) mod cache;
pub(crate) mod constants;
mod contained;
mod fetching;
pub(crate) mod flight;
mod future;
mod jitter;
mod keyed;
mod policy;
pub(crate) mod schedule;
mod status;
pub(crate) mod ticket;

pub use self::{
    authorization::Authorized,
    backoff::Backoff,
    bearer::Bearer,
    builder::TokenProviderBuilder,
    future::TokenFuture,
    keyed::{Authorize, ClientRequest, KeyedProviders, KeyedProvidersBuilder, KeyedStatus, Select, Selected},
    policy::Policy,
    status::{ProviderState, ProviderStatus, Readiness},
    ticket::Ticket,
};

/// A cached, shared, cloneable handle on a [`TokenSource`].
///
/// Clones share one cache. The provider serves the bearer that it has, and refreshes it in the background before it
/// expires. Callers wait only while there is none. An idle provider sends nothing. It may be built and used inside a
/// runtime or outside.
///
/// Build one for each identity, at the start of the program, and pass clones of it: a clone counts a reference. Two
/// providers that are built apart have two caches, and fetch two tokens.
///
/// ```
/// use bearer_token::{StaticToken, TokenProvider};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
/// let provider = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA"))
///     .allow_origin("https://api.example.com")
///     .build()?;
///
/// let bearer = provider.token().await?;
/// assert_eq!(bearer.header_value(), "Bearer 2YotnFZFEjr1zCsicMWpAA");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TokenProvider {
    inner: Arc<Inner>,
}

/// What a warm request reads is in the first cache line, if the map of the provider has a copy of its bearer. Of many
/// tenants, each line is a miss.
#[repr(C, align(64))]
pub(crate) struct Inner {
    /// The allowed origins. Empty if reads of the cache are [counted](Self::counted).
    origins: Arc<Origins>,
    /// The platform's.
    clock: Arc<dyn Clock>,
    /// It begins with the bearer in service.
    cache: Cache,
    form: Arc<HeaderForm>,
    id: ProviderId,
    /// The allowed origins of a provider whose reads are counted. So only its requests take the way through `judge`.
    counted: Option<Arc<Origins>>,
    platform: Platform,
    source: Arc<dyn DynTokenSource>,
    name: ProviderName,
    observers: Observers,
    refusals: Refusals,
    /// What the source can meet, although it does not refuse the bearer itself.
    challenge_test: Option<ChallengeTest>,
    settling_time: Duration,
    /// The origins whose requests went out without a token.
    passed: FirstTimes,
    /// The earliest time, in monotonic nanoseconds, at which the source is asked again whether it has changed.
    ask_from: AtomicU64,
    /// The provider that the fetch in progress waits for.
    waits: Waits,
}

#[cfg(not(bearer_loom))]
const _: () = assert!(offset_of!(Inner, cache) + cache::HOT <= 64);

impl TokenProvider {
    /// Starts building a provider for a source. Nothing is fetched before the first use.
    pub fn builder(source: impl TokenSource) -> TokenProviderBuilder {
        TokenProviderBuilder::new(source)
    }

    /// Inserts the bearer into the request's `Authorization` header, or into the header that
    /// [`Sending`](crate::Sending) names. Nothing is inserted if there is no bearer, or if it must not go to the
    /// request's origin.
    ///
    /// This is the warm path: no lock, no wait, no allocation. A stale bearer is served, and the first request to
    /// notice starts a refresh in the background. A header that the caller set wins, untouched, and a request with
    /// [`PassThrough`] among its extensions is left alone.
    ///
    /// # Errors
    ///
    /// Fails with kind [`Origin`](crate::ErrorKind::Origin) if the request must not be sent at all: it would go in the
    /// clear, or no origin is allowed yet. The message names the builder method to call.
    #[inline]
    pub fn authorize<B>(&self, request: &mut http::Request<B>) -> Result<Authorized, Error> {
        match self.insert_fresh(request) {
            Some(ticket) => Ok(Authorized::Inserted(ticket)),
            None => self.authorize_otherwise(request),
        }
    }

    /// Inserts a fresh bearer into a request to an origin that is spelled as it was allowed: all that most requests
    /// need. `None` says that nothing was done.
    ///
    /// The ticket is returned in a register. A result with an error goes through memory, and has to be dropped.
    #[inline]
    fn insert_fresh<B>(&self, request: &mut http::Request<B>) -> Option<Ticket> {
        if request.extensions().get::<PassThrough>().is_some() || !self.inner.origins.allow_exactly(request.uri()) {
            return None;
        }
        self.inner.insert_fresh(request.headers_mut())
    }

    /// Authorizes a request that needs more than a fresh bearer, or none.
    #[inline(never)]
    fn authorize_otherwise<B>(&self, request: &mut http::Request<B>) -> Result<Authorized, Error> {
        if request.extensions().get::<PassThrough>().is_some() {
            return Ok(Authorized::Passed);
        }
        match self.inner.without_token_for(request.uri().into(), request.headers()) {
            None => Ok(self.inner.insert(request.headers_mut())),
            Some(result) => result,
        }
    }

    /// The same as [`authorize`](Self::authorize) for clients whose requests are of another type.
    ///
    /// # Errors
    ///
    /// As [`authorize`](Self::authorize).
    pub fn authorize_headers(&self, to: Destination<'_>, headers: &mut HeaderMap) -> Result<Authorized, Error> {
        match self.inner.without_token_for(to, headers) {
            None => Ok(self.inner.insert(headers)),
            Some(result) => result,
        }
    }

    /// The same as [`authorize`](Self::authorize), but leaves [`PassThrough`] and the refresh of a stale bearer to the
    /// caller, which may have a copy of the bearer. If a refresh is due, the current moment is returned as well.
    #[inline]
    fn authorize_only<B>(
        &self,
        request: &mut http::Request<B>,
        copied: Option<&mut Copied>,
    ) -> Result<(Authorized, Option<Moment>), Error> {
        match self.inner.without_token_for(request.uri().into(), request.headers()) {
            None => Ok(self.inner.insert_copied(request.headers_mut(), copied)),
            Some(result) => Ok((result?, None)),
        }
    }

    /// The same for clients whose requests are of another type.
    #[inline]
    fn authorize_client_only(
        &self,
        request: &mut impl ClientRequest,
        copied: Option<&mut Copied>,
    ) -> Result<(Authorized, Option<Moment>), Error> {
        match self.inner.without_token_for(request.destination(), request.headers()) {
            None => Ok(self.inner.insert_copied(request.headers_mut(), copied)),
            Some(result) => Ok((result?, None)),
        }
    }

    /// The bearer in service, if there is a usable one. Starts nothing, not even the refresh of a stale one.
    pub fn cached(&self) -> Option<Bearer> {
        self.inner.cache.usable(self.inner.platform.now())
    }

    /// Returns a usable bearer: the one in service, or the result of a fetch.
    ///
    /// However many callers wait, there is one fetch, and its outcome reaches them all. Dropping the future changes
    /// nothing for the others, nor for the fetch. After a failed fetch the error is returned at once until the
    /// cool-down ends.
    ///
    /// # Errors
    ///
    /// The source's own error, or one of kind [`Timeout`](crate::ErrorKind::Timeout),
    /// [`Panicked`](crate::ErrorKind::Panicked), [`Abandoned`](crate::ErrorKind::Abandoned),
    /// [`Token`](crate::ErrorKind::Token).
    pub fn token(&self) -> TokenFuture {
        TokenFuture::new(self.inner.clone(), Want::Token)
    }

    /// Fetches a new bearer now, even if the current one is fresh, and even during the cool-down. Call it after fixing
    /// a credential.
    ///
    /// Joins the fetch in progress, if there is one. If the fetch fails, the current bearer stays in service.
    ///
    /// ```
    /// use bearer_token::{AccessToken, Error, FetchContext, TokenProvider};
    /// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let numbers = Arc::new(AtomicU32::new(1));
    /// let provider = TokenProvider::builder(move |_cx: FetchContext| {
    ///     let number = numbers.fetch_add(1, Ordering::Relaxed);
    ///     async move { Ok(AccessToken::new(format!("token-{number}"))) }
    /// })
    /// .build()?;
    /// assert_eq!(provider.token().await?.secret(), "token-1");
    /// assert_eq!(provider.token().await?.secret(), "token-1", "it is cached");
    /// assert_eq!(provider.refresh_now().await?.secret(), "token-2");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    pub fn refresh_now(&self) -> TokenFuture {
        TokenFuture::new(self.inner.clone(), Want::Renewal)
    }

    /// Looks at the input of the source from time to time, such as a key file, and fetches a new bearer when it has
    /// changed. Spawn it, if a new credential is to be used before the next refresh.
    ///
    /// The bearer in service stays there meanwhile, also if the fetch fails. If the cause may pass, it is tried again
    /// after the cool-down. The future ends when the last clone of the provider is dropped. `every` is at least a
    /// second; what the source looks at is a [file's metadata](TokenSource::has_changed).
    ///
    /// ```
    /// # use bearer_token::{StaticToken, TokenProvider};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
    /// # let provider = TokenProvider::builder(StaticToken::new("token")).build()?;
    /// tokio::spawn(provider.refresh_when_changed(Duration::from_secs(10)));
    /// # Ok(()) }
    /// ```
    pub fn refresh_when_changed(&self, every: Duration) -> impl Future<Output = ()> + Send + use<> {
        let (weak, platform) = (Arc::downgrade(&self.inner), self.inner.platform.clone());
        let every = every.max(Duration::from_secs(1));
        async move {
            // Whether a change was noticed whose fetch met an outage. Its file was read, and looks unchanged since.
            let mut is_owed = false;
            loop {
                platform.sleep_until(platform.now().monotonic().saturating_add(every)).await;
                let Some(inner) = weak.upgrade() else { return };
                let has_changed = contained::contained(|| inner.has_changed()).unwrap_or_else(|| {
                    inner.observers.tell(EventKind::HasChangedPanicked {});
                    false
                });
                // A change does not end an outage, so it waits for the cool-down of one.
                let outage = inner.cache.failure().filter(|failure| failure.error.is_transient());
                is_owed = has_changed || (is_owed && outage.is_some());
                let now = platform.now().monotonic_nanos();
                if is_owed && outage.is_none_or(|outage| outage.until <= now) {
                    // Its failure is an event, and the error of the callers that wait.
                    drop(TokenFuture::new(inner, Want::Changed).await);
                }
            }
        }
    }

    /// Whether a bearer that a request waited for may still be sent. It may if it has not expired, or if it is too
    /// short-lived to be kept and has only just arrived.
    ///
    /// For adapters that wait for something else after they got the bearer.
    pub fn may_send(&self, bearer: &Bearer) -> bool {
        self.inner.cache.may_send(bearer, self.inner.platform.now())
    }

    /// Tells the provider that the API refused a bearer. The same as [`Ticket::reject`], but ignores tickets of other
    /// providers: the outcome is [`Rejection::Declined`] then.
    pub fn reject(&self, ticket: Ticket, response: &HeaderMap) -> Rejection {
        if ticket.provider() != Some(self.inner.id) {
            return Rejection::Declined;
        }
        self.inner.clone().reject(ticket.generation(), response)
    }

    /// Whether a response means that the API refused the bearer: HTTP 401, or what [`Sending`](crate::Sending) and
    /// [`reject_if`](TokenProviderBuilder::reject_if) add. A response that asks for another token counts too, if the
    /// source [can get that one](crate::TokenSource::challenge_test).
    ///
    /// For clients without an adapter: if the result is true, [reject](Ticket::reject) the ticket of the request.
    ///
    /// A response that came from another origin, after a redirect, says nothing about the bearer: compare with
    /// [`Destination::is_same_origin`] first.
    #[inline]
    pub fn is_rejection(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.inner.refusals.include(status, headers)
            || (status.is_client_error() && self.inner.challenge_test.as_ref().is_some_and(|test| test.passes(headers)))
    }

    /// Which responses refuse the bearers of this provider, for adapters.
    pub fn refusals(&self) -> Refusals {
        self.inner.refusals.clone()
    }

    /// The provider's name, as errors, events and status show it: the [given](TokenProviderBuilder::name) one, or the
    /// one that the source [suggests](TokenSource::name).
    pub fn name(&self) -> &str {
        self.inner.name.as_str()
    }

    /// The provider's state for a readiness probe. If there is no usable bearer, a fetch starts in the background,
    /// unless one is in progress or the cool-down forbids it.
    ///
    /// So a service that gets no requests before it is ready becomes ready, and recovers after an outage.
    ///
    /// ```
    /// use bearer_token::TokenProvider;
    /// use http::StatusCode;
    ///
    /// /// The response of `/healthz`.
    /// fn healthz(provider: &TokenProvider) -> (StatusCode, String) {
    ///     let status = provider.probe();
    ///     (status.readiness().http_status(), status.to_string())
    /// }
    /// ```
    pub fn probe(&self) -> ProviderStatus {
        let now = self.inner.platform.now();
        if self.inner.serve(now).is_none() {
            self.inner.fetch_in_background(now);
        }
        self.status()
    }

    /// The provider's state, for health checks and dashboards. Starts nothing.
    ///
    /// It takes the lock of the cache for a moment: fine for each probe, too much for each request.
    ///
    /// ```
    /// use bearer_token::{ProviderState, StaticToken, TokenProvider};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
    /// let provider = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA")).name("orders").build()?;
    /// assert_eq!(provider.status().state, ProviderState::Empty);
    /// provider.token().await?;
    /// assert_eq!(provider.status().to_string(), "orders: ready; the token serves until it is rejected");
    /// # Ok(()) }
    /// ```
    pub fn status(&self) -> ProviderStatus {
        // User code, whose panic must not end a health check. No event: observers may ask for the status.
        let credential = contained::contained(|| self.inner.source.credential_in_use()).flatten();
        ProviderStatus::of(&self.inner.cache, &self.inner.name, credential, self.inner.platform.now())
    }
}

impl fmt::Debug for TokenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenProvider")
            .field("name", &self.name())
            .field("id", &self.inner.id)
            .field("status", &self.status())
            .finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.id.leave();
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod has_changed_tests;
#[cfg(test)]
#[cfg(not(bearer_loom))]
mod own_header_tests;
#[cfg(test)]
#[cfg(not(bearer_loom))]
mod panic_tests;
