//! The cached, shared, cloneable handle on a source.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, StatusCode};

use crate::{
    PassThrough,
    error::{Error, ErrorKind},
    observe,
    platform::{BoxFuture, Moment, Platform, nanos},
    provider::{
        cache::{Cache, Decision, StartFetch, TokenFlight, Want},
        flight::{Driver, Interruption, Outcome},
        policy::{Draw, Freshness},
        ticket::{Generation, ProviderId, Reject},
    },
    resource::{
        challenge::{Challenge, is_rejection},
        injection::{has_its_own, has_several_of_its_own},
        origin::{Destination, Origins, Verdict},
    },
    source::{DynTokenSource, FetchContext, TokenSource},
    sync::{AtomicU64, Ordering},
    token::AccessToken,
};

pub(crate) mod bearer;
mod blocking;
mod builder;
pub(crate) mod cache;
pub(crate) mod flight;
mod future;
mod keyed;
pub(crate) mod policy;
mod status;
pub(crate) mod ticket;

pub use self::{
    bearer::Bearer,
    builder::TokenProviderBuilder,
    future::TokenFuture,
    keyed::{Authorize, KeyedProviders, KeyedProvidersBuilder, KeyedStatus, Select, Selected},
    policy::{Backoff, Policy},
    status::{ProviderState, ProviderStatus},
    ticket::{Rejection, Ticket},
};

/// How often a source is asked at the most whether it has changed.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A cached, shared, cloneable handle on a [`TokenSource`].
///
/// Clones share one cache. It serves the bearer that it has, refreshes it in the background before it expires, and
/// lets callers wait only while there is none. It is driven by use: an idle provider sends nothing, and it may be built
/// and used inside a runtime or outside.
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

pub(crate) struct Inner {
    id: ProviderId,
    cache: Cache,
    origins: Origins,
    platform: Platform,
    source: Arc<dyn DynTokenSource>,
    /// From when on, in monotonic nanoseconds, the source is asked again whether it has changed.
    ask_from: AtomicU64,
}

/// What [`TokenProvider::authorize`] did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Authorized {
    /// The request carries the bearer that this ticket stands for.
    Inserted(Ticket),
    /// There is no usable bearer: wait for [`TokenProvider::token`] and [attach](Bearer::attach) it. A bearer too
    /// short-lived to be kept is given only to the callers that waited for it; `authorize` would never find it.
    NotReady,
    /// The request goes out as it is: it has an `Authorization` of its own, or goes to an origin that gets no token.
    Passed,
}

impl TokenProvider {
    /// Starts to build a provider on a source. Nothing is fetched before the first use.
    pub fn builder(source: impl TokenSource) -> TokenProviderBuilder {
        TokenProviderBuilder::new(source)
    }

    /// Puts the bearer into the request's `Authorization` header, if the request may carry it and there is one.
    ///
    /// This is the warm path: no lock, no wait, no allocation. A stale bearer is served, and the first request to
    /// notice starts a refresh in the background. A header that the caller set wins, untouched, and a request with
    /// [`PassThrough`] among its extensions is left alone.
    ///
    /// # Errors
    ///
    /// Of kind [`Origin`](ErrorKind::Origin) when the request must not be sent at all: it would go in the clear, or no
    /// origin is allowed yet. The message names the line to add to the builder.
    #[inline]
    pub fn authorize<B>(&self, request: &mut http::Request<B>) -> Result<Authorized, Error> {
        if request.extensions().get::<PassThrough>().is_some() {
            return Ok(Authorized::Passed);
        }
        let verdict = self.inner.origins.judge(request.uri().into());
        self.inner.carry_out(verdict, request.headers_mut())
    }

    /// The same as [`authorize`](Self::authorize) for clients whose requests are of another type.
    ///
    /// # Errors
    ///
    /// As [`authorize`](Self::authorize).
    pub fn authorize_headers(&self, to: Destination<'_>, headers: &mut HeaderMap) -> Result<Authorized, Error> {
        self.inner.carry_out(self.inner.origins.judge(to), headers)
    }

    /// The same as [`authorize`](Self::authorize), but leaves the refresh of a stale bearer to the caller: tells when it is due.
    #[inline]
    fn authorize_only<B>(&self, request: &mut http::Request<B>) -> Result<(Authorized, Option<Moment>), Error> {
        if request.extensions().get::<PassThrough>().is_some() {
            return Ok((Authorized::Passed, None));
        }
        match self.inner.origins.judge(request.uri().into()) {
            Verdict::Authorize => Ok(self.inner.insert_only(request.headers_mut())),
            verdict => Ok((self.inner.carry_out(verdict, request.headers_mut())?, None)),
        }
    }

    /// The same as [`authorize_headers`](Self::authorize_headers), but leaves the refresh to the caller.
    fn authorize_headers_only(
        &self,
        to: Destination<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(Authorized, Option<Moment>), Error> {
        match self.inner.origins.judge(to) {
            Verdict::Authorize => Ok(self.inner.insert_only(headers)),
            verdict => Ok((self.inner.carry_out(verdict, headers)?, None)),
        }
    }

    /// The bearer in service, if there is a usable one. Starts nothing.
    pub fn cached(&self) -> Option<Bearer> {
        self.inner.cache.usable(self.inner.platform.now())
    }

    /// A usable bearer: the one in service, or the one that a fetch brings.
    ///
    /// However many callers wait, there is one fetch, and its outcome reaches them all. Dropping the future changes
    /// nothing for the others, nor for the fetch. After a failed fetch the error is returned at once until the
    /// cool-down ends.
    ///
    /// # Errors
    ///
    /// What the source reported, or [`Timeout`](ErrorKind::Timeout), [`Panicked`](ErrorKind::Panicked),
    /// [`Abandoned`](ErrorKind::Abandoned), [`Token`](ErrorKind::Token).
    pub fn token(&self) -> TokenFuture {
        TokenFuture::new(self.inner.clone(), Want::Token)
    }

    /// A new bearer, whatever is in service, and without regard to the cool-down: for "I have just mended it".
    ///
    /// Joins the fetch in progress, if there is one. A failure leaves the bearer in service where it is.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    pub fn refresh_now(&self) -> TokenFuture {
        TokenFuture::new(self.inner.clone(), Want::Renewal)
    }

    /// Whether a bearer that somebody waited for may still be sent: it has not expired, or it was born too short-lived
    /// to be kept and has only just come.
    ///
    /// For adapters that have to wait for something else between the token and the request.
    pub fn may_send(&self, bearer: &Bearer) -> bool {
        self.inner.cache.may_send(bearer, self.inner.platform.now())
    }

    /// Tells the provider that the API refused a bearer. The same as [`Ticket::reject`], but does nothing to tickets
    /// of other providers.
    pub fn reject(&self, ticket: Ticket, answer: &HeaderMap) -> Rejection {
        if ticket.provider() != Some(self.inner.id) {
            return Rejection::Declined;
        }
        self.inner.clone().reject(ticket.generation(), answer)
    }

    /// Whether a response means that the API refused the bearer, so that a new one could do better.
    ///
    /// For clients without an adapter: if it does, [reject](Ticket::reject) the ticket of the request.
    #[inline]
    pub fn is_rejection(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        is_rejection(status, headers)
    }

    /// How it stands, for health checks and dashboards. Starts nothing.
    pub fn status(&self) -> ProviderStatus {
        ProviderStatus::of(&self.inner.cache, self.inner.platform.now())
    }
}

/// A provider is a source too: another source can take its token as an assertion, a subject token or a bearer. It gives
/// the bearer in service; that a token made with it was rejected says nothing of this one, and what the API asked for
/// then is for the other source to act on.
impl TokenSource for TokenProvider {
    async fn fetch(&self, _cx: FetchContext) -> Result<AccessToken, Error> {
        let bearer = self.token().await?;
        let token = AccessToken::new(bearer.secret());
        Ok(match bearer.expires_at() {
            Some(time) => token.expires_at(time),
            None => token.never_expires(),
        })
    }

    fn has_changed(&self) -> bool {
        self.inner.source.has_changed()
    }
}

impl fmt::Debug for TokenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenProvider").field("id", &self.inner.id).field("status", &self.status()).finish()
    }
}

impl Inner {
    /// Does what the verdict says. An `Authorization` that the caller set goes out untouched, wherever it goes.
    #[inline]
    fn carry_out(self: &Arc<Self>, verdict: Verdict, headers: &mut HeaderMap) -> Result<Authorized, Error> {
        match verdict {
            Verdict::Authorize => Ok(self.insert(headers)),
            Verdict::Refuse(error) if !has_its_own(headers) => Err(error),
            Verdict::Pass | Verdict::Refuse(_) => Ok(Authorized::Passed),
        }
    }

    /// Inserts the bearer in service.
    #[inline]
    fn insert(self: &Arc<Self>, headers: &mut HeaderMap) -> Authorized {
        let (authorized, stale_at) = self.insert_only(headers);
        if let Some(now) = stale_at {
            self.refresh(now);
        }
        authorized
    }

    /// Inserts the bearer, and tells when a refresh should start.
    #[inline]
    fn insert_only(&self, headers: &mut HeaderMap) -> (Authorized, Option<Moment>) {
        if has_several_of_its_own(headers) {
            return (Authorized::Passed, None);
        }
        let now = self.platform.now();
        let sent = self.cache.read(|bearer| {
            let bearer = bearer?;
            let freshness = bearer.deadlines.freshness(now);
            if freshness == Freshness::Expired {
                return None;
            }
            Some((bearer.ticket, freshness, bearer.credential.insert(headers)))
        });
        let (ticket, freshness) = match sent {
            Some((ticket, freshness, true)) => (ticket, freshness),
            Some((_, _, false)) => return (Authorized::Passed, None),
            None if has_its_own(headers) => return (Authorized::Passed, None),
            None => return (Authorized::NotReady, None),
        };
        let is_due = freshness == Freshness::Stale && self.cache.wants_refresh(now);
        (Authorized::Inserted(ticket), is_due.then_some(now))
    }

    /// The bearer in service, if it is usable. A stale one is served, and refreshed in the background.
    fn serve(self: &Arc<Self>, now: Moment) -> Option<Bearer> {
        let bearer = self.cache.usable(now)?;
        if bearer.deadlines().freshness(now) == Freshness::Stale && self.cache.wants_refresh(now) {
            self.refresh(now);
        }
        Some(bearer)
    }

    /// Whether a failure is worth no more waiting, as what it waits for has changed. A source is asked by one caller a
    /// second.
    #[cold]
    fn is_mended(&self, error: &Error, now: Moment) -> bool {
        let (now, from) = (now.monotonic_nanos(), self.ask_from.load(Ordering::Relaxed));
        let next = now.saturating_add(nanos(ASK_EVERY));
        !error.is_transient()
            && now >= from
            && self.ask_from.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            // A stranger's code, which must not take the caller down.
            && catch_unwind(AssertUnwindSafe(|| self.source.has_changed())).unwrap_or(false)
    }

    #[cold]
    fn refresh(self: &Arc<Self>, now: Moment) {
        if let Decision::Begin(start) = self.cache.decide(Want::Refresh, now) {
            self.start(start);
        }
    }

    /// Starts a fetch that nobody here waits for. Where no task can be spawned it is left to the next one who waits.
    fn start(self: &Arc<Self>, start: StartFetch) {
        // A driver that is dropped abandons the flight.
        drop(self.platform.spawn(self.driver(start)));
    }

    /// The task that carries out one fetch. It does not keep the provider alive.
    fn driver(self: &Arc<Self>, start: StartFetch) -> BoxFuture<()> {
        let StartFetch { flight, timeout, reason, challenges } = start;
        let cx = FetchContext::new(self.platform.clone(), timeout, reason);
        let cx = challenges.into_iter().fold(cx, FetchContext::with_challenges);
        observe::fetching(reason);
        let started = cx.started();
        let deadline = self.platform.sleep_until(cx.deadline().monotonic());
        // Runs nothing of the source before it is polled, where a panic is caught.
        let fetch = self.source.clone().fetch(cx);
        let (provider, platform, carried) = (Arc::downgrade(self), self.platform.clone(), flight.clone());
        let driver = Driver::new(fetch, deadline, move |result| match provider.upgrade() {
            Some(provider) => provider.report(&flight, result, started, timeout),
            None => flight.end(Outcome::Abandoned),
        });
        Box::pin(async move {
            let now = platform.now();
            // Its runtime stood still meanwhile. Nobody waits for this flight any more, and the next may be on its way.
            // At the end of a clock every flight is overdue from its start.
            let given_up = carried.is_overdue(now) && now.monotonic() > started.monotonic();
            if !given_up {
                driver.await;
            }
        })
    }

    fn report(
        &self,
        flight: &Arc<TokenFlight>,
        result: Result<Result<AccessToken, Error>, Interruption>,
        started: Moment,
        timeout: Duration,
    ) {
        let result = match result {
            Ok(Ok(token)) => self.seal(token, started),
            Ok(Err(error)) => Err(error),
            Err(Interruption::Panicked) => Err(Error::new(
                ErrorKind::Panicked,
                "the token source panicked; the panic's own message went where panics of this process go",
            )),
            Err(Interruption::TimedOut) => Err(Error::new(
                ErrorKind::Timeout,
                format!("the token source gave no answer within {timeout:?}; the fetch was aborted"),
            )),
            Err(Interruption::Dropped) => {
                observe::abandoned();
                return self.cache.abandon(flight, self.platform.now());
            }
        };
        let now = self.platform.now();
        match &result {
            Ok(bearer) => observe::fetched(bearer),
            Err(error) => observe::failed(error),
        }
        self.cache.complete(flight, result, now, self.draw());
    }

    fn seal(&self, token: AccessToken, started: Moment) -> Result<Bearer, Error> {
        let issued = token.issued_moment().unwrap_or(started);
        let deadlines = self.cache.policy().deadlines(issued, token.expiry(), self.draw());
        Bearer::seal(token, self.id, deadlines, self.platform.now())
    }

    fn draw(&self) -> Draw {
        draw(&self.platform)
    }
}

fn draw(platform: &Platform) -> Draw {
    platform.random().map_or(Draw::MAX, |bytes| Draw(u32::from_ne_bytes(bytes)))
}

impl Reject for Inner {
    fn reject(self: Arc<Self>, generation: Generation, answer: &HeaderMap) -> Rejection {
        let now = self.platform.now();
        let (rejection, start) = self.cache.reject(generation, now, || Challenge::keep(answer));
        observe::rejected(rejection);
        if let Some(start) = start {
            self.start(start);
        }
        rejection
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
