//! What is served now, and what may happen next: every transition of a provider's state, each under one lock.
//!
//! The numbers of its decisions are in [`policy`](crate::provider::policy), the waiting in
//! [`flight`](crate::provider::flight). Nothing here runs user code under the lock, or waits.
//!
//! # The legal states
//!
//! The slot holds the bearer in service. The suspect is a bearer that the API rejected, until its renewal ends. One of
//! the two at most is there, and each row is one combination of slot, flight and suspect ([`Row`](row::Row)):
//!
//! | row | slot | flight | suspect | failure | gate |
//! |---|---|---|---|---|---|
//! | `Empty` | | | | none | open |
//! | `Failed` | | | | the last fetch's | when the cool-down ends |
//! | `Fetching` | | yes | | any | when the flight is overdue |
//! | `Serving` | a bearer, or one that expired | | | any | when neither cool-down nor quiet time is left |
//! | `Refreshing` | a bearer, or one that expired | yes | | any | when the flight is overdue |
//! | `Renewing` | | yes | yes | any | when the flight is overdue |
//! | `Withdrawn` | | | yes | any | when neither cool-down nor quiet time is left |
//!
//! In every row the gate may be up to [`ABANDONED_PAUSE`] later, after a
//! flight that was abandoned. Challenges wait for a fetch only while there is a bearer in the slot or a suspect: they
//! are about it.
//!
//! # The transitions
//!
//! | from | `decide` begins | `reject` | `complete` with a bearer | `complete` with an error | `abandon` |
//! |---|---|---|---|---|---|
//! | `Empty` | `Fetching` | | | | |
//! | `Failed` | `Fetching` | | | | |
//! | `Fetching` | `Fetching`: a new flight in place of an overdue one | | `Serving` | `Failed` | `Empty`, `Failed` |
//! | `Serving` | `Refreshing` | `Renewing` | | | |
//! | `Refreshing` | `Refreshing`, as above | `Renewing` | `Serving` | `Serving` | `Serving` |
//! | `Renewing` | `Renewing`, as above | | `Serving` | `Serving`: the suspect is better than no bearer | `Withdrawn` |
//! | `Withdrawn` | `Renewing`; or `Serving`, during a cool-down | | | | |
//!
//! `resume_cool_down` leads from `Empty` to `Failed`, `forgive` only changes times, and `share_out` replaces the bearer
//! by itself. An empty cell changes no row. Each transition ends with a check in debug builds.

#[cfg(not(bearer_loom))]
use std::mem::offset_of;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use http::HeaderMap;

use crate::{
    error::Error,
    platform::{Moment, nanos},
    provider::{
        bearer::{Bearer, Sealed},
        constants::{ABANDONED_PAUSE, FLIGHT_GRACE, LATE_OUTCOME},
        flight::{Flight, Outcome},
        jitter::Draw,
        policy::Policy,
        schedule::Freshness,
        ticket::{Generation, Ticket},
    },
    resource::sharded::Crowd,
    source::Challenge,
    sync::{AtomicU64, Mutex, Ordering, Slot, lock},
    token::{FetchReason, Rejection},
};

mod decision;
mod renewal;
mod row;
mod served;
mod successor;

pub(crate) use self::decision::{Decision, Failure, Fetched, StartFetch, TokenFlight, Want};
#[cfg(test)]
pub(crate) use self::row::Row;
pub(crate) use self::served::{Copied, Copies, Inserted};
use self::{
    renewal::Renewal,
    served::Served,
    successor::{is_usable, successor},
};

/// The state of one provider. It is shared by all clones of the provider, and by its flights.
///
/// Three parts are read without the lock, because requests read them: the slot, the gate and the last failure. They are
/// written under the lock only, and each of them is whole by itself. A reader that sees a new slot with an old gate
/// tries to start a refresh too many at worst. Then `decide` finds that there is nothing to do.
#[repr(C)]
pub(crate) struct Cache {
    /// Whether a bearer should have several copies of its headers.
    crowd: Crowd,
    /// The bearer in service, with a copy of what a warm request needs. An expired one stays, to notice a source that
    /// returns it again.
    slot: Served,
    /// The earliest time, in monotonic nanoseconds, at which a reader of a stale bearer should check whether to start a
    /// refresh.
    gate: AtomicU64,
    policy: Policy,
    /// What is known of the last failure, for readers without the lock.
    failure: Slot<Failure>,
    state: Mutex<State>,
}

/// How many bytes of the beginning a warm request reads, if its map has a copy of the bearer.
#[cfg(not(bearer_loom))]
pub(crate) const HOT: usize = offset_of!(Cache, slot) + Served::HOT;

/// What only transitions look at.
#[derive(Default)]
struct State {
    /// The fetch in progress. It may be overdue: the next caller that needs a token replaces it.
    flight: Option<Current>,
    suspect: Option<Bearer>,
    /// What the API asked for when it refused the last bearer, until a fetch has been told.
    challenges: Option<Arc<[Challenge]>>,
    /// How many times in a row the source returned nothing new, and until when that delays the next refresh.
    nothing_new: u32,
    quiet_until: u64,
    renewal: Renewal,
    /// Whether the provider has left its map by an eviction. Tickets and a look at its credential may still know it. From
    /// then on, no flight begins.
    is_retired: bool,
}

/// The flight in progress, why it began, and what its fetch was told.
struct Current {
    flight: Arc<TokenFlight>,
    reason: FetchReason,
    challenges: Option<Arc<[Challenge]>>,
}

impl Cache {
    /// The row `Empty`.
    pub(crate) fn new(policy: Policy) -> Self {
        Cache::with(Served::new(), policy)
    }

    /// The cache of one of many providers, most of which are used now and then.
    pub(crate) fn of_many(policy: Policy) -> Self {
        Cache::with(Served::of_many(), policy)
    }

    /// Tells the cache of one of many providers where their map keeps copies of its bearer.
    pub(crate) fn copied_by(&self, copies: Weak<dyn Copies>) {
        self.slot.copied_by(copies);
    }

    fn with(slot: Served, policy: Policy) -> Self {
        Cache {
            crowd: Crowd::default(),
            slot,
            gate: AtomicU64::new(0),
            policy,
            failure: Slot::new(None),
            state: Mutex::new(State::default()),
        }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Inserts the bearer in service into a head, if it is fresh and a front has it: the warm path of most requests.
    /// Otherwise nothing is done.
    #[inline]
    pub(crate) fn insert_fresh(&self, headers: &mut HeaderMap, now: Moment) -> Option<Ticket> {
        self.slot.insert_fresh(headers, now)
    }

    /// Inserts the bearer in service into a head, unless it has expired: the warm path. A header that the caller set is
    /// left as it was.
    #[inline]
    pub(crate) fn insert(&self, headers: &mut HeaderMap, now: Moment) -> Option<Inserted> {
        if self.slot.is_of_many() { self.insert_from_slot(headers, now) } else { self.slot.insert(headers, now) }
    }

    /// The same where a map has no copy, or another thread uses it at this moment.
    #[inline(never)]
    fn insert_from_slot(&self, headers: &mut HeaderMap, now: Moment) -> Option<Inserted> {
        let (inserted, is_single) = self.slot.read(|bearer| {
            let bearer = bearer?;
            Some((bearer.insert(headers, now)?, bearer.credential.is_single()))
        })?;
        if is_single {
            self.note_use(&inserted, now);
        }
        Some(inserted)
    }

    /// The same from a copy that the map of the provider keeps.
    #[inline]
    pub(crate) fn insert_from(&self, copied: &mut Copied, headers: &mut HeaderMap, now: Moment) -> Option<Inserted> {
        let inserted = self.slot.insert_copied(copied, headers, now)?;
        if copied.is_single() {
            self.note_use(&inserted, now);
        }
        Some(inserted)
    }

    /// Notes a use by this thread of a bearer whose headers all threads share. If threads take turns at it, makes
    /// copies of them.
    #[inline]
    fn note_use(&self, (ticket, ..): &Inserted, now: Moment) {
        if self.crowd.is_crowded(now) {
            self.share_out(ticket.generation());
        }
    }

    /// Whether threads share one copy of the headers of a new bearer.
    pub(crate) fn begins_single(&self) -> bool {
        self.slot.is_of_many()
    }

    /// Looks at the bearer in service without a lock.
    pub(crate) fn read<R>(&self, look: impl FnOnce(Option<&Sealed>) -> R) -> R {
        self.slot.read(look)
    }

    /// The bearer in service and the suspect: every token that a request may carry at this time, expired ones included.
    pub(crate) fn known_bearers(&self) -> Vec<Bearer> {
        let suspect = lock(&self.state).suspect.clone();
        self.slot.get().map(Bearer::from_sealed).into_iter().chain(suspect).collect()
    }

    /// The last failure, if nothing has succeeded since.
    pub(crate) fn failure(&self) -> Option<Arc<Failure>> {
        self.failure.get()
    }

    /// Whether a fetch is in progress that is still driven.
    pub(crate) fn is_fetching(&self, now: Moment) -> bool {
        lock(&self.state).flight.as_ref().is_some_and(|current| !current.flight.is_overdue(now))
    }

    /// Takes a provider without clones out of service, unless a fetch is in progress. From then on none begins: the
    /// next provider of the key may have one of its own.
    pub(crate) fn retire(&self, now: Moment) -> bool {
        let mut state = lock(&self.state);
        let is_fetching = state.flight.as_ref().is_some_and(|current| !current.flight.is_overdue(now));
        state.is_retired |= !is_fetching;
        !is_fetching
    }

    /// Continues the cool-down that an earlier provider of the same source had when it was dropped.
    pub(crate) fn resume_cool_down(&self, failure: Arc<Failure>) {
        let state = lock(&self.state);
        if self.failure.get().is_none() {
            self.failure.set(Some(failure));
            self.set_gate(&state);
            self.check(&state);
        }
    }

    /// Whether the reader of a stale bearer should ask for a refresh.
    #[inline]
    pub(crate) fn wants_refresh(&self, now: Moment) -> bool {
        now.monotonic_nanos() >= self.gate.load(Ordering::Relaxed)
    }

    /// The bearer in service, unless it has expired.
    pub(crate) fn usable(&self, now: Moment) -> Option<Bearer> {
        self.slot.get().map(Bearer::from_sealed).filter(|bearer| is_usable(bearer, now))
    }

    /// Whether a bearer that was waited for may still be sent, however short it lives.
    pub(crate) fn may_send(&self, bearer: &Bearer, now: Moment) -> bool {
        is_usable(bearer, now) || !is_late(bearer.arrived(), now)
    }

    /// Decides what a caller gets. At most one of all callers is told to begin a flight.
    pub(crate) fn decide(&self, want: Want, now: Moment) -> Decision {
        let mut state = lock(&self.state);
        let stale = match self.usable(now) {
            Some(bearer) if want == Want::Token => return Decision::Serve(bearer),
            // The stale bearer may have been renewed, rejected or expired since it was read.
            other => other.filter(|bearer| bearer.deadlines().freshness(now) == Freshness::Stale),
        };
        if let Some(current) = state.flight.as_ref().filter(|current| !current.flight.is_overdue(now)) {
            return if want == Want::Refresh { Decision::Nothing } else { Decision::Wait(current.flight.clone()) };
        }
        if state.is_retired {
            // The next provider of the key may have a flight.
            return Decision::Nothing;
        }
        let cooling = self.cooling(now);
        let (reason, stale_for) = match want {
            Want::Token => {
                if let Some(failure) = cooling {
                    // Its renewal was abandoned, and no other may start yet.
                    let suspect = self.reinstate(&mut state, now);
                    self.check(&state);
                    return suspect.map_or_else(|| Decision::Refuse(failure.error.clone()), Decision::Serve);
                }
                (if state.suspect.is_some() { FetchReason::Rejected } else { FetchReason::Missing }, None)
            }
            Want::Renewal => (FetchReason::Requested, None),
            Want::Changed => (FetchReason::Changed, None),
            Want::Refresh => {
                let quiet = cooling.is_some() || now.monotonic_nanos() < state.quiet_until;
                let Some(bearer) = stale.filter(|_| !quiet) else { return Decision::Nothing };
                (FetchReason::Stale, Some(bearer.deadlines().reserve.remaining(now)))
            }
        };
        let (start, late) = self.start_flight(&mut state, reason, stale_for, now);
        self.check(&state);
        drop(state);
        if let Some(late) = late {
            late.end(Outcome::Abandoned);
        }
        Decision::Begin(start)
    }

    /// Ends the cool-down that this failure began, because its cause has changed.
    pub(crate) fn forgive(&self, error: &Error, now: Moment) {
        let state = lock(&self.state);
        if let Some(failure) = self.failure.get().filter(|failure| failure.error.is(error)) {
            let until = failure.until.min(now.monotonic_nanos());
            self.failure.set(Some(Arc::new(Failure { until, ..(*failure).clone() })));
            self.set_gate(&state);
            self.check(&state);
        }
    }

    /// Puts the outcome of a fetch into service and wakes every waiter. Returns what the waiters get. Returns `None`,
    /// and changes nothing, if the flight was given up before.
    pub(crate) fn complete(
        &self,
        flight: &Arc<TokenFlight>,
        result: Result<Bearer, Error>,
        now: Moment,
        draw: Draw,
    ) -> Option<Result<Bearer, Error>> {
        // Dropped after the lock is released: an error's cause is user code.
        let _replaced = self.failure.get();
        let fetched = {
            let mut state = lock(&self.state);
            let current = state.flight.take_if(|current| Arc::ptr_eq(&current.flight, flight))?;
            // They arrived while the fetch was in progress already.
            let untold = state.challenges.take().is_some();
            // A renewal whose source did not know what the API asked for does not count: the next one may follow soon.
            let renewal = current.reason == FetchReason::Rejected || (state.suspect.is_some() && !untold);
            let fetched = match result {
                Ok(bearer) => self.complete_with_bearer(&mut state, &bearer, renewal, now, draw),
                Err(error) => self.complete_with_error(&mut state, error, now, draw),
            };
            self.set_gate(&state);
            self.check(&state);
            fetched
        };
        let result = fetched.result.clone();
        // After the slot: a waiter that wakes sees the new token.
        flight.end(Outcome::Done(fetched));
        Some(result)
    }

    /// What the outcome of a flight means to its waiter, or `None` if the waiter has to ask again.
    pub(crate) fn settle(&self, want: Want, fetched: Fetched, now: Moment) -> Option<Result<Bearer, Error>> {
        let Fetched { result, at } = fetched;
        if matches!(want, Want::Renewal | Want::Changed) {
            return Some(result);
        }
        // Either newer than this flight's bearer or, if the flight failed, the rejected bearer, because there is no
        // other.
        if let Some(bearer) = self.usable(now) {
            return Some(Ok(bearer));
        }
        let withdrawn = result.is_ok() && self.slot.read(|bearer| bearer.is_none());
        // The bearer is too short-lived to be kept: only its waiters get it.
        (!is_late(at, now) && !withdrawn).then_some(result)
    }

    /// Gives up a flight whose driver was dropped or is no longer polled. A caller that needs a token may start another
    /// flight at once. Returns whether this was the flight in progress.
    pub(crate) fn abandon(&self, flight: &Arc<TokenFlight>, now: Moment) -> bool {
        let was_in_progress = {
            let mut state = lock(&self.state);
            let current = state.flight.take_if(|current| Arc::ptr_eq(&current.flight, flight));
            let was_in_progress = current.is_some();
            if let Some(current) = current {
                state.challenges = state.challenges.take().or(current.challenges);
                self.set_gate(&state);
                // Where drivers are dropped, a refresh at every request would only drop more.
                self.gate.fetch_max(now.after(ABANDONED_PAUSE).monotonic_nanos(), Ordering::Relaxed);
                self.check(&state);
            }
            was_in_progress
        };
        flight.end(Outcome::Abandoned);
        was_in_progress
    }

    /// Handles a rejection reported by the API, subject to the settling time and the renewal backoff. The challenges
    /// are read only if they may matter.
    pub(crate) fn reject(
        &self,
        generation: Generation,
        now: Moment,
        challenges: impl Fn() -> Option<Arc<[Challenge]>>,
    ) -> (Rejection, Option<StartFetch>) {
        let mut state = lock(&self.state);
        if state.is_retired {
            // As if it was dropped already.
            return (Rejection::Declined, None);
        }
        if let Some(suspect) = &state.suspect {
            let known = suspect.generation() == generation;
            return (if known { Rejection::Renewing } else { Rejection::Superseded }, None);
        }
        let Some(bearer) = self.slot.get().map(Bearer::from_sealed) else { return (Rejection::Superseded, None) };
        if bearer.generation() != generation {
            return (Rejection::Superseded, None);
        }
        if !is_usable(&bearer, now) {
            // Expired meanwhile: the next request waits for a new one anyway.
            state.challenges = challenges().or_else(|| state.challenges.take());
            return (Rejection::Renewing, None);
        }
        if !bearer.is_settled(now) && !challenges().is_some_and(|said| said.iter().any(Challenge::knows_the_token)) {
            return (Rejection::Settling, None);
        }
        state.renewal.note(&bearer, &self.policy, now);
        let fetching = state.flight.as_ref().is_some_and(|current| !current.flight.is_overdue(now));
        if !fetching && (self.cooling(now).is_some() || !state.renewal.is_allowed(now)) {
            return (Rejection::Declined, None);
        }
        state.renewal.count();
        state.suspect = Some(bearer);
        state.challenges = challenges();
        self.slot.set(None);
        if fetching {
            self.check(&state);
            return (Rejection::Renewing, None);
        }
        let (start, late) = self.start_flight(&mut state, FetchReason::Rejected, None, now);
        self.check(&state);
        drop(state);
        if let Some(late) = late {
            late.end(Outcome::Abandoned);
        }
        (Rejection::Renewing, Some(start))
    }

    /// Gives each group of threads its own copy of the headers of the bearer in service, if it is still this one.
    pub(crate) fn share_out(&self, generation: Generation) {
        // Dropped after the lock is released.
        let _replaced = self.slot.get();
        let state = lock(&self.state);
        let in_service = self.slot.get().map(Bearer::from_sealed);
        let shared =
            in_service.filter(|bearer| bearer.generation() == generation).and_then(|bearer| bearer.shared_out());
        if let Some(bearer) = shared {
            self.slot.set(Some(bearer.sealed()));
        }
        self.check(&state);
    }

    /// Puts a new flight into the state. Returns an overdue one that it replaces, to be ended outside of the lock.
    fn start_flight(
        &self,
        state: &mut State,
        reason: FetchReason,
        stale_for: Option<Duration>,
        now: Moment,
    ) -> (StartFetch, Option<Arc<TokenFlight>>) {
        let timeout = self.policy.timeout(stale_for);
        let flight = Flight::new(now.after(timeout).after(FLIGHT_GRACE).monotonic());
        let late = state.flight.take();
        let unheard = late.as_ref().and_then(|late| late.challenges.clone());
        let challenges = state.challenges.take().or(unheard);
        state.flight = Some(Current { flight: flight.clone(), reason, challenges: challenges.clone() });
        self.set_gate(state);
        let replaces_overdue = late.is_some();
        let last = self.last(state);
        (StartFetch { flight, timeout, reason, challenges, last, replaces_overdue }, late.map(|late| late.flight))
    }

    /// The suspect, or the last bearer in service.
    fn last(&self, state: &State) -> Option<Bearer> {
        state.suspect.clone().or_else(|| self.slot.get().map(Bearer::from_sealed))
    }

    /// Puts a token into service. An error comes of a source that returned an expired token again.
    fn complete_with_bearer(
        &self,
        state: &mut State,
        bearer: &Bearer,
        renewal: bool,
        now: Moment,
        draw: Draw,
    ) -> Fetched {
        let rejected = state.suspect.is_some();
        let last = self.last(state);
        let later = last.as_ref().is_none_or(|last| bearer.deadlines().is_later_than(last.deadlines()));
        let in_service = match successor(last, bearer, rejected, now) {
            Ok(in_service) => in_service,
            Err(error) => return self.complete_with_error(state, error, now, draw),
        };
        let is_new = in_service.generation() == bearer.generation();
        state.nothing_new = if later && is_new { 0 } else { state.nothing_new.saturating_add(1) };
        // A bearer that arrives stale would be refreshed again at once, and so would the next.
        let quiet = in_service.deadlines().freshness(now) != Freshness::Fresh;
        state.quiet_until =
            if quiet { now.after(self.policy.nothing_new(state.nothing_new, draw)).monotonic_nanos() } else { 0 };
        match bearer.adopted() {
            Some(adopted) if renewal || is_new => state.renewal.adopted(&in_service, adopted, &self.policy, now),
            None if renewal => state.renewal.brought(&in_service, &self.policy, now),
            _ => {}
        }
        state.suspect = None;
        self.failure.set(None);
        self.slot.set(Some(in_service.sealed()));
        Fetched { result: Ok(in_service), at: now }
    }

    /// Begins a cool-down. The suspect, if there is one, returns to service.
    fn complete_with_error(&self, state: &mut State, error: Error, now: Moment, draw: Draw) -> Fetched {
        let (in_a_row, last) = self.failure.get().map_or((1, 0), |last| (last.in_a_row.saturating_add(1), last.until));
        let wait = match self.last(state).filter(|bearer| is_usable(bearer, now)) {
            Some(bearer) => {
                let left = bearer.deadlines().reserve.remaining(now);
                self.policy.cool_down_beside(&error, in_a_row, draw, left)
            }
            None => self.policy.cool_down(&error, in_a_row, draw),
        };
        // A fetch that did not wait for the cool-down does not end it by failing.
        let until = now.after(wait).monotonic_nanos().max(last);
        self.failure.set(Some(Arc::new(Failure { error: error.clone(), until, in_a_row })));
        self.reinstate(state, now);
        Fetched { result: Err(error), at: now }
    }

    /// Puts the suspect back into service: a bearer that one endpoint refused may still work at others.
    fn reinstate(&self, state: &mut State, now: Moment) -> Option<Bearer> {
        let suspect = state.suspect.take()?;
        state.challenges = None;
        self.slot.set(Some(suspect.sealed()));
        state.renewal.brought(&suspect, &self.policy, now);
        Some(suspect).filter(|bearer| is_usable(bearer, now))
    }

    /// The last failure, if its cool-down is not over.
    fn cooling(&self, now: Moment) -> Option<Arc<Failure>> {
        self.failure.get().filter(|failure| now.monotonic_nanos() < failure.until)
    }

    /// Sets the moment from which readers of a stale bearer ask for a refresh.
    fn set_gate(&self, state: &State) {
        let from = match &state.flight {
            Some(current) => nanos(current.flight.overdue()),
            None => self.closed_until(state),
        };
        self.gate.store(from, Ordering::Relaxed);
    }

    /// When the cool-down and the quiet time end.
    fn closed_until(&self, state: &State) -> u64 {
        self.failure.get().map_or(0, |failure| failure.until).max(state.quiet_until)
    }
}

/// Whether `then` is so long ago, on either clock, that its outcome may be outdated.
///
/// Elapsed time is compared, not a deadline. At the end of a clock's range it is zero, so a waiter does not ask again
/// forever.
fn is_late(then: Moment, now: Moment) -> bool {
    now.monotonic().saturating_sub(then.monotonic()) >= LATE_OUTCOME
        || now.since_epoch().saturating_sub(then.since_epoch()) >= LATE_OUTCOME
}

#[cfg(test)]
#[cfg(bearer_loom)]
mod model_tests;
#[cfg(test)]
mod test_support;
#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests;
