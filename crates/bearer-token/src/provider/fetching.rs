//! One fetch, from its start to its report.
//!
//! ```text
//! decide: Begin --> driver --> [spawned, or polled by a waiter]
//!                     |
//!                     |  polls in the scope of its provider: fixed headers, then the source
//!                     |  a deadline beside it
//!                     v
//!                  report: a token, an error, a panic, a timeout, a drop
//!                     |
//!                     v
//!                  complete: into the cache first; then the waiters; then the events
//! ```
//!
//! # What must hold
//!
//! - Every driver that was made ends its flight exactly once, whatever panics: the source, the clock, the spawner, a
//!   destructor. Waiters have no other way to learn of an end.
//! - A driver does not keep its provider alive. If its provider is dropped, the fetch runs to its end, and its result is
//!   dropped.
//! - Events come last. Their sinks are user code, and a sink that asks the provider for its status sees the new one.

use std::{future, sync::Arc, time::Duration};

use http::HeaderMap;

use super::{Inner, contained::contained};
use crate::{
    error::{Error, ErrorKind},
    observe::{CacheRead, EventKind, Scope},
    platform::{BoxFuture, Moment, nanos},
    provider::{
        bearer::Bearer,
        cache::{Decision, StartFetch, TokenFlight, Want},
        constants,
        flight::{Driver, Interruption, Outcome},
        jitter::Draw,
        schedule::Freshness,
        ticket::{Generation, Reject},
    },
    resource::{
        injection::Credential,
        refusals::refuses_bearer,
        sending::{FixedHeader, HeaderForm},
    },
    source::{Challenge, DynTokenSource, FetchContext},
    sync::Ordering,
    token::{AccessToken, FetchReason, Rejection},
};

impl Inner {
    /// The bearer in service, if it is usable. A stale one is served, and refreshed in the background.
    pub(super) fn serve(self: &Arc<Self>, now: Moment) -> Option<Bearer> {
        let bearer = self.cache.usable(now)?;
        let is_stale = bearer.deadlines().freshness(now) == Freshness::Stale;
        if self.counted.is_some() {
            let state = if is_stale { CacheRead::Stale } else { CacheRead::Fresh };
            self.observers.tell(EventKind::CacheRead { state });
        }
        if is_stale && self.cache.wants_refresh(now) {
            self.refresh(now);
        }
        Some(bearer)
    }

    /// Whether the cause of a failure has changed, which ends the cool-down early. At most one caller a second asks the
    /// source.
    #[cold]
    pub(super) fn has_cause_changed(&self, error: &Error, now: Moment) -> bool {
        let (now, from) = (now.monotonic_nanos(), self.ask_from.load(Ordering::Relaxed));
        let next = now.saturating_add(nanos(constants::ASK_EVERY));
        let is_my_turn = !error.is_transient()
            && now >= from
            && self.ask_from.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        is_my_turn
            && contained(|| self.has_changed()).unwrap_or_else(|| {
                self.observers.tell(EventKind::HasChangedPanicked {});
                false
            })
    }

    /// Whether what the bearers are made of has changed since the last fetch.
    pub(super) fn has_changed(&self) -> bool {
        self.source.has_changed() || self.form.has_changed()
    }

    #[cold]
    pub(super) fn refresh(self: &Arc<Self>, now: Moment) {
        if let Decision::Begin(start) = self.cache.decide(Want::Refresh, now) {
            self.start(start);
        }
    }

    /// Starts the fetch that a caller without a bearer would start.
    pub(super) fn fetch_in_background(self: &Arc<Self>, now: Moment) {
        if let Decision::Begin(start) = self.cache.decide(Want::Token, now) {
            self.start(start);
        }
    }

    /// Starts a fetch that no caller here waits for. Where no task can be spawned, the next waiter fetches.
    fn start(self: &Arc<Self>, start: StartFetch) {
        let driver = self.driver(start);
        // A driver that is dropped abandons the flight.
        drop(contained(|| self.platform.spawn(driver)));
    }

    /// The task that carries out one fetch. It does not keep the provider alive.
    ///
    /// Callers wait for the flight, so every path through this function ends it.
    pub(super) fn driver(self: &Arc<Self>, start: StartFetch) -> BoxFuture<()> {
        let (flight, reason) = (start.flight.clone(), start.reason);
        contained(|| self.drive(start)).unwrap_or_else(|| {
            let result = Err(Error::new(ErrorKind::Panicked, PLATFORM_PANICKED));
            let now = contained(|| self.platform.now()).unwrap_or(Moment::START);
            self.complete(&flight, result, now, Duration::ZERO, reason);
            Box::pin(future::ready(()))
        })
    }

    /// Makes the driver. May panic where the platform does; [`driver`](Self::driver) contains that.
    fn drive(self: &Arc<Self>, start: StartFetch) -> BoxFuture<()> {
        let StartFetch { flight, timeout, reason, challenges, last, replaces_overdue } = start;
        if replaces_overdue {
            self.observers.tell(EventKind::FetchAbandoned {});
        }
        self.waits.forget();
        let cx = FetchContext::new(self.platform.clone(), timeout, reason)
            .with_waits(self.waits.clone())
            .with_timing(Arc::new(self.cache.policy().clone()))
            .with_last(last.as_ref().map(Bearer::as_last));
        let cx = challenges.into_iter().fold(cx, FetchContext::with_challenges);
        self.observers.tell(EventKind::FetchStarted { reason });
        let started = cx.started();
        let deadline = self.platform.sleep_until(cx.deadline().monotonic());
        // Runs nothing of the source before it is polled, where a panic is caught.
        let mut fetch: BoxFuture<_> = Box::pin(mint(self.source.clone(), self.form.clone(), cx));
        if self.observers.is_on() {
            fetch = Box::pin(Scope::of_fetch(&self.observers, reason).run(fetch));
        }
        let (provider, platform, carried) = (Arc::downgrade(self), self.platform.clone(), flight.clone());
        let driver = Driver::new(fetch, deadline, move |result| match provider.upgrade() {
            Some(provider) => provider.report(&flight, result, started, timeout, reason),
            None => flight.end(Outcome::Abandoned),
        });
        Box::pin(async move {
            // The runtime was not driven until now. No caller waits for this flight any more, and another may have
            // begun. At the end of a clock's range every flight is overdue from its start.
            let given_up = contained(|| platform.now())
                .is_some_and(|now| carried.is_overdue(now) && now.monotonic() > started.monotonic());
            if !given_up {
                driver.await;
            }
        })
    }

    /// Makes a result of how the fetch ended. The clock is read once for all of it.
    fn report(
        &self,
        flight: &Arc<TokenFlight>,
        result: Result<Result<Minted, Error>, Interruption>,
        started: Moment,
        timeout: Duration,
        reason: FetchReason,
    ) {
        let now = contained(|| self.platform.now()).unwrap_or(started);
        let took = now.monotonic().saturating_sub(started.monotonic());
        let result = match result {
            Ok(Ok(minted)) => self.seal(minted, started, now),
            Ok(Err(error)) => Err(error),
            Err(Interruption::Panicked) => Err(Error::new(ErrorKind::Panicked, SOURCE_PANICKED)),
            Err(Interruption::PlatformPanicked) => Err(Error::new(ErrorKind::Panicked, PLATFORM_PANICKED)),
            Err(Interruption::TimedOut) => Err(timed_out(timeout, took, &self.waits.stages())),
            Err(Interruption::Dropped) => return self.abandon(flight, now),
        };
        self.complete(flight, result, now, took, reason);
    }

    /// Puts the outcome into service first and emits the event afterwards, because the sink of events is user code.
    fn complete(
        &self,
        flight: &Arc<TokenFlight>,
        result: Result<Bearer, Error>,
        now: Moment,
        duration: Duration,
        reason: FetchReason,
    ) {
        let result = result.map_err(|error| error.with_provider(&self.name));
        match self.cache.complete(flight, result, now, self.draw()) {
            None => self.observers.tell(EventKind::FetchTooLate {}),
            Some(_) if !self.observers.is_on() => {}
            Some(Ok(bearer)) => self.tell_of_success(&bearer, now, duration, reason),
            Some(Err(error)) => self.tell_of_failure(&error, now, duration, reason),
        }
    }

    /// The event of a token. Two of them if it is too short-lived to be kept.
    fn tell_of_success(&self, bearer: &Bearer, now: Moment, duration: Duration, reason: FetchReason) {
        let deadlines = bearer.deadlines();
        let remaining_life = deadlines.expires.map(|expires| expires.remaining(now));
        self.observers.tell(EventKind::Fetched {
            reason,
            generation: bearer.generation().get(),
            duration,
            remaining_life,
            expires_at: deadlines.expires.map(Moment::wall),
            refresh_in: deadlines.expires.map(|_| deadlines.refresh.remaining(now)),
        });
        if deadlines.freshness(now) == Freshness::Expired {
            self.observers.tell(EventKind::TooShortLived { remaining_life });
        }
    }

    /// The event of a failure, with the end of the cool-down that the cache has decided on.
    fn tell_of_failure(&self, error: &Error, now: Moment, duration: Duration, reason: FetchReason) {
        let failure = self.cache.failure();
        let (failures_in_a_row, until) = failure.map_or((1, 0), |failure| (failure.in_a_row, failure.until));
        let next_attempt_in = Duration::from_nanos(until.saturating_sub(now.monotonic_nanos()));
        self.observers.tell(EventKind::FetchFailed {
            reason,
            error,
            duration,
            failures_in_a_row,
            next_attempt_in,
            next_attempt_at: now.after(next_attempt_in).wall(),
        });
    }

    /// Gives a flight up, and tells it if it was the one in progress.
    pub(super) fn abandon(&self, flight: &Arc<TokenFlight>, now: Moment) {
        if self.cache.abandon(flight, now) {
            self.observers.tell(EventKind::FetchAbandoned {});
        }
    }

    /// Makes a token ready to send, with its deadlines. A token of another replica brings its age and its draw.
    fn seal(&self, minted: Minted, started: Moment, now: Moment) -> Result<Bearer, Error> {
        let Minted { token, fixed } = minted;
        let single = Credential::new(&self.form, token.secret(), &fixed)?;
        let credential = if self.cache.begins_single() { single } else { single.shared_out()? };
        let issued = token.issued_moment().unwrap_or(started);
        let (age, draw) = match token.inherited() {
            Some(inherited) => (inherited.age, Draw(inherited.draw)),
            None => (Duration::ZERO, self.draw()),
        };
        let policy = self.cache.policy();
        let deadlines = policy.deadlines(issued, token.expiry(), draw);
        let deadlines = match token.refresh_hint() {
            Some(hint) => policy.hinted(deadlines, issued, hint, draw),
            None => deadlines,
        };
        let deadlines = deadlines.earlier_by(age);
        Ok(Bearer::seal(token, credential, self.id, deadlines, now, self.settling_time))
    }

    /// A random share for jitter, or the greatest one.
    fn draw(&self) -> Draw {
        Draw::try_new(&self.platform).unwrap_or_else(|| {
            self.observers.tell(EventKind::NoRandomness {});
            Draw::MAX
        })
    }
}

impl Reject for Inner {
    fn reject(self: Arc<Self>, generation: Generation, response: &HeaderMap) -> Rejection {
        // The application may pass any response.
        if self.challenge_test.is_some() && !refuses_bearer(response) && !self.can_meet(response) {
            let outcome = Rejection::Declined;
            self.observers.tell(EventKind::Rejected { generation: generation.get(), outcome });
            return Rejection::Declined;
        }
        let now = self.platform.now();
        let (rejection, start) = self.cache.reject(generation, now, || Challenge::keep(response));
        if let Some(start) = start {
            self.start(start);
        }
        self.observers.tell(EventKind::Rejected { generation: generation.get(), outcome: rejection });
        rejection
    }

    fn can_meet(&self, response: &HeaderMap) -> bool {
        self.challenge_test.as_ref().is_some_and(|test| test.passes(response))
    }

    fn tell(&self, event: EventKind<'_>) {
        self.observers.tell(event);
    }

    fn settled(&self) -> BoxFuture<()> {
        self.platform.sleep_until(self.platform.now().after(self.settling_time).monotonic())
    }
}

/// A token and the fixed headers that were read with it.
pub(super) struct Minted {
    token: AccessToken,
    fixed: Vec<FixedHeader>,
}

/// Reads the fixed headers before the source is called. If one of them is missing, no token is minted.
async fn mint(source: Arc<dyn DynTokenSource>, form: Arc<HeaderForm>, cx: FetchContext) -> Result<Minted, Error> {
    let fixed = form.read(&cx).await?;
    let token = source.fetch(cx).await?;
    Ok(Minted { token, fixed })
}

const SOURCE_PANICKED: &str = "the token source panicked; the panic's own message went where panics of this process go";

const PLATFORM_PANICKED: &str = "the provider's clock panicked during a fetch; the panic's own message went where \
                                 panics of this process go; fix the `Clock` that `Platform::with_clock` was given";

/// `stages` are the providers that the source waited for, if it needs the token of another one.
fn timed_out(timeout: Duration, took: Duration, stages: &[String]) -> Error {
    let mut message = format!("the token source gave no token within {timeout:?}; the fetch was aborted");
    for (index, stage) in stages.iter().enumerate() {
        let link = if index == 0 { "; it" } else { ", which" };
        message.push_str(&format!("{link} was waiting for the token of `{stage}`"));
    }
    // The deadline is a tokio timer. The elapsed time is measured by the platform's clock.
    if took < timeout / 2 {
        message.push_str(&format!(
            ", although only {took:?} have passed: tokio's time is paused (`start_paused`, `time::pause`), and jumps \
             to the deadline while the fetch waits for I/O; do not pause it, or use a manual clock \
             (`Platform::with_clock`)"
        ));
    } else {
        message.push_str(
            "; expected a token in time: look at the latency of the server, or set a longer `Policy::fetch_timeout`",
        );
    }
    Error::new(ErrorKind::Timeout, message)
}
