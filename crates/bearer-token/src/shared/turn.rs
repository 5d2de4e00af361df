//! One fetch of a replica: what it finds in the store, and what it does then.
//!
//! ```text
//! read ---- a usable token that is newer than what is wanted to be replaced --> adopt it
//!  |   `--- a cool-down that concerns this credential and this replica --------> fail with its error
//!  v
//! lease --- a newer record: judge that one (at most 5 times)
//!  |   `--- held, and this replica has a stale token for 250 ms at least ------> go on with it
//!  |   `--- held, and it has none: wait 25 ms .. 250 ms for a change, up to 4/5 of the time
//!  v
//! fetch --> save --- saved --------------------------------------------------> the token
//!                `-- fenced, or changed: a later holder was faster ----------> its token, if it is newer
//! ```
//!
//! # What must hold
//!
//! - **A provider never goes back.** The context of the fetch says what it had last, and it adopts no older token.
//!   After a rejection, only a token that was issued later will do. Its own token is never taken again after it has
//!   expired.
//! - **No failure of the store is a failure of the fetch.** Each call that ends in [`Gone`] leads to a fetch without
//!   the store. The exception is the wait for a lease that is held: fetching as well would defeat its purpose.
//! - **Nothing is waited for without a bound**: calls (95 ms), newer records, the lease, and hints of the store that a
//!   record has changed. A lease that lasts for hours is that of a store whose clock was set back: the replica fetches
//!   for itself. If its token still serves, it does so at a time of its own, because all notice such a lease at once.
//!   The record of that time is not read again, because its token may only seem young. But each fetch asks for the
//!   lease, so the replicas share again as soon as the clock is right, or the lease has ended.
//! - **A fetch that is dropped releases its lease**, by a task of its own.
//! - **A token that was fetched is returned**, also by a replica that stood still until its time was over. It waits for
//!   nothing more then, because its provider would drop the fetch.
//!
//! `tests/fleet_model` explores every order of these steps for three replicas, and compares its decisions with this
//! code.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    SharedInner,
    failure::is_no_connection,
    link::{Gone, Link},
    record::{Record, SharedToken},
    ring::Ring,
};
use crate::{
    error::{Error, ErrorKind},
    observe::{self, EventKind},
    platform::{Moment, Platform},
    provider::{
        Policy,
        constants::{SHARED_LEASE_MARGIN, SHARED_LONG_LEASE, SHARED_POLL},
    },
    source::{FetchContext, Timing, TriedElsewhere},
    store::{Leased, Snapshot, StoreKey, Version},
    sync::lock,
    token::{AccessToken, FetchReason},
};

const WAITED_IN_VAIN: &str = "another replica has been fetching the token for too long: either it was killed, and the next \
                              replica may fetch soon, or the authorization server is slow";

const LONG_LEASE: &str = "its lease lasts for longer than a fetch of this replica: the clock of the store was set back, or \
                          the fetch timeout of another replica is more than twice this one's";

const DOUBTED: &str = "it was saved before the clock of the store was set back, and its token may have ended";

/// The most often that a notification of the store shortens a wait.
const MOST_HINTS: u32 = 10;

/// The most often that a caller is shown a newer record before it does without the store.
const MOST_NEWER: u32 = 5;

impl SharedInner {
    /// A fetch of this replica: through the store, or without it if there are no keys or no answers.
    pub(super) async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let cx = cx.with_tried_elsewhere(TriedElsewhere::default());
        let ring = match self.fleet.0.keys.ring(cx.platform()).await {
            Ok(ring) => ring,
            Err(error) => {
                // There is no unsealed store.
                observe::tell(EventKind::SharedKeysMissing { error: &error });
                return self.alone(&cx).await;
            }
        };
        let identity = self.identity.canonical(&cx).await?;
        let key = ring.store_key(&self.fleet.0.namespace, &identity);
        // If it cannot be read, a fetch says why. A token of another replica does not need it.
        let credential = self.identity.credentials(&cx).await.unwrap_or_default();
        let credential = ring.credential(&credential);
        let timing = cx.timing().map_or_else(|| Arc::new(Policy::default()) as Arc<dyn Timing>, Arc::clone);
        let turn = Turn { shared: self, link: &self.fleet.0.link, cx: &cx, ring, key, credential, timing };
        match turn.take().await {
            Ok(result) => result,
            Err(Gone) => self.alone(&cx).await,
        }
    }

    /// Remembers a record that was there when the store's clock was found to have been set back. Its token may have ended
    /// long ago, and seems young for as long. Returns whether that is new.
    fn doubt(&self, key: &StoreKey, version: Version) -> bool {
        lock(&self.doubted).replace((key.clone(), version)) != Some((key.clone(), version))
    }

    /// Whether a record is that one. A later one was saved by the clock of now, and is believed.
    fn doubts(&self, key: &StoreKey, version: Version) -> bool {
        lock(&self.doubted).as_ref().is_some_and(|(of, doubted)| of == key && *doubted == version)
    }

    /// Fetches without the store.
    async fn alone(&self, cx: &FetchContext) -> Result<AccessToken, Error> {
        self.mint(cx.clone()).await
    }

    /// Fetches from the source. The token's life counts from here, and not from before the wait for the store.
    pub(super) async fn mint(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let asked = cx.platform().now();
        let result = self.source.clone().fetch(cx).await;
        let had_no_connection = result.as_ref().is_err_and(|error| is_no_connection(error.kind()));
        self.had_no_connection.store(had_no_connection, Ordering::Relaxed);
        let token = result?;
        self.is_adopted.store(false, Ordering::Relaxed);
        Ok(if token.issued_moment().is_some() { token } else { token.issued(asked) })
    }
}

/// A record as this replica found it.
pub(super) struct Found {
    pub(super) version: Version,
    /// When the store was asked for it.
    pub(super) asked: Moment,
    /// What is in it. Empty if there is none, or none that opens.
    pub(super) record: Record,
}

impl Found {
    /// The number of the token in the record: the fence under which it was saved.
    fn generation(&self) -> Option<u64> {
        self.record.token.as_ref().map(|token| token.generation)
    }
}

/// What one fetch needs: the source, the store, the name of its record, and the credential that it would send.
pub(super) struct Turn<'a> {
    pub(super) shared: &'a SharedInner,
    pub(super) link: &'a Arc<Link>,
    pub(super) cx: &'a FetchContext,
    pub(super) ring: Arc<Ring>,
    pub(super) key: StoreKey,
    pub(super) credential: Option<String>,
    pub(super) timing: Arc<dyn Timing>,
}

/// What to do about a record.
enum Verdict {
    Adopt(AccessToken),
    Fail(Error),
    Fetch,
}

impl Turn<'_> {
    pub(super) fn platform(&self) -> &Platform {
        self.cx.platform()
    }

    /// The number of this replica in records. `None` without randomness, and then it saves no record either.
    pub(super) fn replica(&self) -> Option<u64> {
        let number = &self.shared.fleet.0.replica;
        if number.get().is_none() {
            let drawn = self.platform().random().map(u64::from_ne_bytes).ok()?;
            return Some(*number.get_or_init(|| drawn));
        }
        number.get().copied()
    }

    /// Goes through the steps of the module's picture, until there is a token or an error.
    ///
    /// # Errors
    ///
    /// [`Gone`] on the outside if the store gives no answer, so that the caller fetches without it.
    async fn take(&self) -> Result<Result<AccessToken, Error>, Gone> {
        let mut found = self.read().await?;
        let first_generation = found.generation();
        let budget = self.cx.remaining();
        // With less time than the rest, a fetch of its own would hardly end.
        let patience = self.platform().now().monotonic().saturating_add(budget / 5 * 4);
        let (mut step, mut newer, mut hints) = (SHARED_POLL.0, 0, 0);
        loop {
            match self.judge(&found, first_generation) {
                Verdict::Adopt(token) => return Ok(Ok(token)),
                Verdict::Fail(error) => return Ok(Err(error)),
                Verdict::Fetch => {}
            }
            let asked = self.platform().now();
            let ttl = self.lease_time(&found, budget, patience.saturating_sub(asked.monotonic()));
            let held_for = match self.link.lease(self.platform(), &self.key, found.version, ttl).await? {
                Leased::Granted(fence) => return Ok(self.exchange(fence, found).await),
                Leased::Newer(snapshot) => {
                    newer += 1;
                    if newer > MOST_NEWER {
                        return Err(Gone);
                    }
                    found = self.open(snapshot, asked);
                    continue;
                }
                Leased::Held(remaining) if remaining > self.longest_lease() => {
                    // No replica asks for as much: the store's clock was set back since. Waiting would be in vain.
                    if let Some(token) = self.until_its_own_time(&found) {
                        return Ok(Ok(token));
                    }
                    if self.shared.doubt(&self.key, found.version) {
                        observe::tell(EventKind::SharedRecordIgnored { problem: LONG_LEASE });
                    }
                    return Err(Gone);
                }
                Leased::Held(remaining) => remaining,
            };
            if self.cx.reason() == FetchReason::Stale
                && let Some(token) = self.again(&found)
            {
                // Another replica refreshes it. This one goes on with what it has, and asks again soon.
                return Ok(Ok(token));
            }
            let now = self.platform().now().monotonic();
            if now >= patience {
                return Ok(Err(Error::new(ErrorKind::Timeout, WAITED_IN_VAIN)));
            }
            // Not beyond the end of the lease: then the next caller takes it. A lease that has no time left, and does
            // not end, must not become a busy loop.
            let held_for = if held_for.is_zero() { step / 8 } else { held_for };
            let pause = step.min(held_for.saturating_add(Duration::from_millis(1))).min(patience - now);
            self.link.changed(self.platform(), &self.key, found.version, pause).await;
            step = (step * 2).min(SHARED_POLL.1);
            if self.platform().now().monotonic() < now.saturating_add(pause) {
                hints += 1;
                if hints > MOST_HINTS {
                    // Hints that mean nothing must not become a busy loop.
                    self.platform().sleep_until(now.saturating_add(pause)).await;
                }
            }
        }
    }

    /// Reads the record. The time before the call is noted: what the store says of a remaining life counts from there.
    /// So a slow answer does not make a token live longer.
    pub(super) async fn read(&self) -> Result<Found, Gone> {
        let asked = self.platform().now();
        Ok(match self.link.read(self.platform(), &self.key).await? {
            Some(snapshot) => self.open(snapshot, asked),
            None => Found { version: Version::ABSENT, asked, record: Record::default() },
        })
    }

    /// Opens a record. One that does not open, or is doubted, counts as absent, and is replaced by the next save.
    pub(super) fn open(&self, snapshot: Snapshot, asked: Moment) -> Found {
        let Snapshot { record, version, life, .. } = snapshot;
        let opened = match self.shared.doubts(&self.key, version) {
            true => Err(DOUBTED),
            false => self.ring.open(&record, &self.key).and_then(|plain| Record::read(&plain, life)),
        };
        let record = opened.unwrap_or_else(|problem| {
            observe::tell(EventKind::SharedRecordIgnored { problem });
            Record::default()
        });
        Found { version, asked, record }
    }

    /// The time for which the lease is requested.
    ///
    /// The holder may crash, and the other replicas must not wait long without a token. So the lease outlasts the token
    /// that they have by at most half of a fetch. That of a replica which has waited ends before the `patience` of
    /// those that wait since then, unless no fetch would fit into it. So they survive two holders in a row. The lease
    /// is longer if the server has failed within minutes, because it may be slow.
    fn lease_time(&self, found: &Found, budget: Duration, patience: Duration) -> Duration {
        let whole = self.cx.remaining().saturating_add(SHARED_LEASE_MARGIN);
        if found.record.failure.as_ref().is_some_and(|failure| failure.concerns(self.replica())) {
            return whole;
        }
        let half = budget / 2;
        // A tenth for the fetch of the third one.
        let uncovered = if patience > budget / 4 { half.min(patience.saturating_sub(budget / 10)) } else { half };
        let covered = if self.cx.reason() == FetchReason::Stale { self.sendable(found) } else { Duration::ZERO };
        whole.min(covered.saturating_add(uncovered))
    }

    /// The longest lease that is believed. Another replica may have a longer timeout, and one that has twice as much is
    /// as rare as a store whose clock steps.
    fn longest_lease(&self) -> Duration {
        self.lease_limit().saturating_mul(2).max(SHARED_LONG_LEASE)
    }

    /// The token that still serves, until the time at which this replica fetches for itself. The time is drawn once for
    /// each token, from what is left of its life.
    fn until_its_own_time(&self, found: &Found) -> Option<AccessToken> {
        let token = if self.cx.reason() == FetchReason::Stale { self.again(found)? } else { return None };
        let (_, _, left) = self.as_known(found)?;
        let (generation, now) = (found.generation()?, self.platform().now().monotonic());
        let mut own_time = lock(&self.shared.own_time);
        let (_, time) = *own_time.filter(|(of, _)| *of == generation).get_or_insert_with(|| {
            let draw = self.platform().random().map_or(0, u32::from_ne_bytes);
            // The last tenth is for the fetch.
            (generation, now.saturating_add(share_of(left / 10 * 9, draw)))
        });
        *own_time = Some((generation, time));
        (now < time).then_some(token)
    }

    /// The longest lease of this fetch.
    fn lease_limit(&self) -> Duration {
        let whole = self.cx.deadline().monotonic().saturating_sub(self.cx.started().monotonic());
        whole.saturating_add(SHARED_LEASE_MARGIN)
    }

    /// For how long the token of a record may still be sent.
    pub(super) fn sendable(&self, found: &Found) -> Duration {
        let passed = self.platform().now().monotonic().saturating_sub(found.asked.monotonic());
        let left = |token: &SharedToken| token.left(&*self.timing).1.saturating_sub(passed);
        found.record.token.as_ref().map_or(Duration::ZERO, left)
    }

    /// Decides what a record means for this fetch.
    fn judge(&self, found: &Found, first_generation: Option<u64>) -> Verdict {
        if let Some(token) = found.record.token.as_ref().filter(|_| !self.sendable(found).is_zero()) {
            let (record, generation) = (self.key.as_str(), token.generation);
            let until = found.asked.monotonic().saturating_add(token.left(&*self.timing).0);
            let is_wanted = match (self.cx.reason(), self.cx.last()) {
                // The provider's own token has expired, although the record may seem to live a moment longer.
                (FetchReason::Missing, last) => last.is_none_or(|last| last.generation_in(record) != Some(generation)),
                (FetchReason::Stale, Some(last)) => last.loses_to(record, generation, until),
                (FetchReason::Rejected, Some(last)) => last.is_older_than(record, generation, until),
                (FetchReason::Requested, _) => first_generation != Some(generation),
                // Another replica was faster with the new credential. Where credentials are unknown, only a token that
                // arrives during this fetch is new for sure.
                (FetchReason::Changed, last) => {
                    let has_new_one = match &self.credential {
                        Some(credential) => token.is_of(credential),
                        None => first_generation != Some(generation),
                    };
                    has_new_one && last.is_none_or(|last| last.loses_to(record, generation, until))
                }
                (_, None) => false,
            };
            if is_wanted {
                return Verdict::Adopt(self.adopt(token, found));
            }
        }
        let passed = self.platform().now().monotonic().saturating_sub(found.asked.monotonic());
        if self.cx.reason() == FetchReason::Requested {
            return Verdict::Fetch;
        }
        let had_no_connection = self.shared.had_no_connection.load(Ordering::Relaxed);
        let waited_for = found.record.failures().find_map(|failure| {
            let left = failure.wait_of(had_no_connection)?.checked_sub(passed).filter(|left| !left.is_zero())?;
            let is_mine = !failure.is_of_another(self.credential.as_deref()) && failure.concerns(self.replica());
            is_mine.then_some((failure, left))
        });
        let Some((failure, left)) = waited_for else { return Verdict::Fetch };
        if failure.is_terminal() {
            self.tell_of_trial();
        }
        Verdict::Fail(failure.error(self.replica(), Some(left)))
    }

    /// Takes the token of another replica.
    pub(super) fn adopt(&self, token: &SharedToken, found: &Found) -> AccessToken {
        self.shared.is_adopted.store(true, Ordering::Relaxed);
        observe::tell(EventKind::SharedTokenAdopted {});
        if self.credential.as_deref().is_some_and(|credential| token.is_of(credential)) {
            self.tell_of_trial();
        }
        token.to_token(found.asked, self.key.as_str())
    }

    /// Tells the source that another replica has tried its credential.
    fn tell_of_trial(&self) {
        if let Some(elsewhere) = self.cx.tried_elsewhere() {
            elsewhere.tell();
        }
    }

    /// The token that the provider has already, as the record has it. `None` shortly before the provider expires it: it
    /// could arrive too late, and then the fetch waits for the next token.
    fn again(&self, found: &Found) -> Option<AccessToken> {
        let (token, longer, left) = self.as_known(found)?;
        (left > SHARED_POLL.1).then(|| token.clone().older_by(longer).to_token(found.asked, self.key.as_str()))
    }

    /// The token that the provider has already, as the record has it; the time by which it seems younger there than this
    /// replica has known before, because the store's clock was set back; and for how long it may really be sent.
    fn as_known<'b>(&self, found: &'b Found) -> Option<(&'b SharedToken, Duration, Duration)> {
        let token = found.record.token.as_ref()?;
        let last = self.cx.last().filter(|last| last.generation_in(self.key.as_str()) == Some(token.generation))?;
        let until = found.asked.monotonic().saturating_add(token.left(&*self.timing).0);
        let longer = until.saturating_sub(last.until());
        Some((token, longer, self.sendable(found).saturating_sub(longer)))
    }
}

/// A share of a time, as a draw says it.
fn share_of(time: Duration, draw: u32) -> Duration {
    time.mul_f64(f64::from(draw) / f64::from(u32::MAX))
}
