//! One fetch of a replica: what it finds in the store, and what it does then.
//!
//! ```text
//! read ---- a usable token that is newer than what is wanted to be replaced --> adopt it
//!  |   `--- a shared cool-down that concerns this credential -----------------> fail with its error
//!  v
//! lease --- a newer record: judge that one (at most 5 times)
//!  |   `--- held, and this replica has a stale token ------------------------> go on with it
//!  |   `--- held, and it has none: wait 25 ms .. 250 ms for a change, up to 4/5 of the time
//!  v
//! fetch --> save --- saved --------------------------------------------------> the token
//!                `-- fenced, or changed: a later holder was faster ----------> its token, if it is newer
//! ```
//!
//! # What must hold
//!
//! - **A replica never goes back.** It remembers the token that it got last ([`Own`]), and adopts no older one. After a
//!   rejection, only a token that was issued later will do.
//! - **No failure of the store is a failure of the fetch.** Each call that ends in [`Gone`] leads to a fetch without
//!   the store. The exception is the wait for a lease that is held: fetching as well would defeat its purpose.
//! - **Nothing is waited for without a bound**: calls (100 ms), newer records, the lease, and hints of the store that a
//!   record has changed.
//! - **A fetch that is dropped releases its lease**, by a task of its own.
//!
//! `tests/fleet_model` explores every order of these steps for three replicas, and compares its decisions with this
//! code.

use std::{sync::Arc, time::Duration};

use super::{
    SharedInner,
    link::{Gone, Link},
    record::{Record, SharedFailure, SharedToken},
    ring::Ring,
};
use crate::{
    error::{Error, ErrorKind},
    observe::{self, EventKind},
    platform::{Moment, Platform, preparation::AWS_LC_RANDOMNESS},
    provider::{
        Policy,
        constants::{SHARED_CALL_TIMEOUT, SHARED_LEASE_MARGIN, SHARED_MEMORY, SHARED_POLL},
    },
    source::{FetchContext, Timing},
    store::{Fence, Leased, MemorySharedStore, Saved, SharedStore, Snapshot, StoreKey, Version},
    sync::lock,
    token::{AccessToken, Expiry, FetchReason},
};

/// The token that this replica got last.
pub(super) struct Own {
    /// `None` if it was fetched without the store.
    generation: Option<u64>,
    /// When its life ends, by the monotonic clock.
    until: Duration,
}

const WAITED_IN_VAIN: &str = "another replica has been fetching the token for too long: either it was killed, and the next \
                              replica may fetch soon, or the authorization server is slow";

impl Own {
    /// Whether another token is newer, or lives longer than one that the store does not know.
    fn loses_to(&self, generation: u64, until: Duration) -> bool {
        match self.generation {
            Some(own) => generation > own || (generation != own && until > self.until),
            None => until > self.until,
        }
    }

    /// Whether another token was issued later. One that the store does not know has no generation, and its end tells.
    fn is_older_than(&self, generation: u64, until: Duration) -> bool {
        self.generation.map_or(until > self.until, |own| generation > own)
    }
}

/// The most often that a notification of the store shortens a wait.
const MOST_HINTS: u32 = 10;

/// The most often that a caller is shown a newer record before it does without the store.
const MOST_NEWER: u32 = 5;

impl SharedInner {
    /// A fetch of this replica: through the store, or without it if there are no keys or no answers.
    pub(super) async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
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

    /// Fetches without the store.
    async fn alone(&self, cx: &FetchContext) -> Result<AccessToken, Error> {
        let token = self.source.clone().fetch(cx.clone()).await?;
        self.keep_unshared(cx, &token);
        Ok(token)
    }

    /// Notes a token that the store does not have.
    fn keep_unshared(&self, cx: &FetchContext, token: &AccessToken) {
        let until = cx.started().monotonic().saturating_add(match token.expiry() {
            Expiry::In(lifetime) => lifetime,
            _ => Duration::ZERO,
        });
        *lock(&self.own) = Some(Own { generation: None, until });
    }
}

/// A record as this replica found it.
struct Found {
    version: Version,
    /// When the store was asked for it.
    asked: Moment,
    /// What is in it. Empty if there is none, or none that opens.
    record: Record,
}

impl Found {
    /// The number of the token in the record: the fence under which it was saved.
    fn generation(&self) -> Option<u64> {
        self.record.token.as_ref().map(|token| token.generation)
    }
}

/// What one fetch needs: the source, the store, the name of its record, and the credential that it would send.
struct Turn<'a> {
    shared: &'a SharedInner,
    link: &'a Arc<Link>,
    cx: &'a FetchContext,
    ring: Arc<Ring>,
    key: StoreKey,
    credential: Option<String>,
    timing: Arc<dyn Timing>,
}

/// What to do about a record.
enum Verdict {
    Adopt(AccessToken),
    Fail(Error),
    Fetch,
}

impl Turn<'_> {
    fn platform(&self) -> &Platform {
        self.cx.platform()
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
        let (mut step, mut newer, mut hints, mut has_waited) = (SHARED_POLL.0, 0, 0, false);
        loop {
            match self.judge(&found, first_generation) {
                Verdict::Adopt(token) => return Ok(Ok(token)),
                Verdict::Fail(error) => return Ok(Err(error)),
                Verdict::Fetch => {}
            }
            let asked = self.platform().now();
            // A short lease at first: its holder may crash, and the other replicas wait without a token. A longer one if
            // there is a sign that the server is slow, or if the others still have a token.
            let is_short = self.cx.reason() != FetchReason::Stale && !has_waited && found.record.failure.is_none();
            let ttl = if is_short { budget / 2 } else { self.cx.remaining().saturating_add(SHARED_LEASE_MARGIN) };
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
            has_waited = true;
            // Not beyond the end of the lease: then the next caller takes it.
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

    /// Reads the record. The time of the question is noted, because the store tells what is left of a life at its
    /// answer, and a slow answer must not make a token younger.
    async fn read(&self) -> Result<Found, Gone> {
        let asked = self.platform().now();
        Ok(match self.link.read(self.platform(), &self.key).await? {
            Some(snapshot) => self.open(snapshot, asked),
            None => Found { version: Version::ABSENT, asked, record: Record::default() },
        })
    }

    /// Opens a record. One that does not open counts as absent, and is replaced by the next save.
    fn open(&self, snapshot: Snapshot, asked: Moment) -> Found {
        let Snapshot { record, version, life, .. } = snapshot;
        let opened = self.ring.open(&record, &self.key).and_then(|plain| Record::read(&plain, life));
        let record = opened.unwrap_or_else(|problem| {
            observe::tell(EventKind::SharedRecordIgnored { problem });
            Record::default()
        });
        Found { version, asked, record }
    }

    /// Decides what a record means for this fetch.
    fn judge(&self, found: &Found, first_generation: Option<u64>) -> Verdict {
        let now = self.platform().now();
        let passed = now.monotonic().saturating_sub(found.asked.monotonic());
        if let Some(token) = &found.record.token {
            let (life, sendable) = token.left(&*self.timing);
            let until = found.asked.monotonic().saturating_add(life);
            let is_wanted = sendable > passed
                && match (self.cx.reason(), &*lock(&self.shared.own)) {
                    (FetchReason::Missing, _) => true,
                    (FetchReason::Stale, Some(own)) => own.loses_to(token.generation, until),
                    (FetchReason::Rejected, Some(own)) => own.is_older_than(token.generation, until),
                    (FetchReason::Requested, _) => first_generation != Some(token.generation),
                    (_, None) => false,
                };
            if is_wanted {
                observe::tell(EventKind::SharedTokenAdopted {});
                *lock(&self.shared.own) = Some(Own { generation: Some(token.generation), until });
                return Verdict::Adopt(token.to_token(found.asked));
            }
        }
        match &found.record.failure {
            Some(failure)
                if self.cx.reason() != FetchReason::Requested
                    && failure.wait().is_some_and(|wait| wait > passed)
                    && !failure.is_of_another(self.credential.as_deref()) =>
            {
                Verdict::Fail(failure.error())
            }
            _ => Verdict::Fetch,
        }
    }

    /// The token that this replica has already, as the record has it.
    fn again(&self, found: &Found) -> Option<AccessToken> {
        let token = found.record.token.as_ref()?;
        let own = lock(&self.shared.own).as_ref().and_then(|own| own.generation);
        (own == Some(token.generation)).then(|| token.to_token(found.asked))
    }

    /// Fetches under the lease, and saves what came of it.
    async fn exchange(&self, fence: Fence, found: Found) -> Result<AccessToken, Error> {
        let lease = HeldLease::new(self, fence);
        // Time is left to save what came of it, a failure too.
        let cx = self.cx.shortened_by(SHARED_CALL_TIMEOUT * 2);
        let fetch = self.shared.source.clone().fetch(cx.clone());
        let result = self.platform().before(cx.deadline().monotonic(), fetch).await.unwrap_or_else(|| {
            let limit = cx.deadline().monotonic().saturating_sub(cx.started().monotonic());
            Err(Error::new(ErrorKind::Timeout, format!("the token source gave no token within {limit:?}")))
        });
        match result {
            // A file with a part of the identity changed during the fetch, or a step widened the scope. Whether the token
            // belongs to the old record or to the new one is unknown.
            Ok(token) if !self.has_same_key().await => {
                lease.release().await;
                self.shared.keep_unshared(self.cx, &token);
                Ok(token)
            }
            Ok(token) => Ok(self.save_token(token, lease, found.version).await),
            Err(error) => {
                self.save_failure(&error, lease, found).await;
                Err(error)
            }
        }
    }

    /// Whether the source would still use the same record.
    async fn has_same_key(&self) -> bool {
        let identity = self.shared.identity.canonical(self.cx).await;
        identity.is_ok_and(|identity| self.ring.store_key(&self.shared.fleet.0.namespace, &identity) == self.key)
    }

    /// Saves a token for the other replicas. Returns it, or the newer one that it lost to.
    async fn save_token(&self, token: AccessToken, lease: HeldLease, seen: Version) -> AccessToken {
        let (now, draw, generation) = (self.platform().now(), self.draw(), lease.fence.get());
        let shared = SharedToken::new(&token, generation, draw, self.cx.started(), now);
        let (life, _) = shared.left(&*self.timing);
        let until = now.monotonic().saturating_add(life);
        let token = token.with_inherited(Duration::ZERO, draw);
        // Also if the reply to the save is lost: then the record may have it, and after a rejection it is not adopted again.
        *lock(&self.shared.own) = Some(Own { generation: Some(generation), until });
        if life.is_zero() {
            // It serves the requests that wait for it, and no other.
            lease.release().await;
            return token;
        }
        let asked = match self.save(&Record::new(Some(shared), None, life), life, lease, seen).await {
            Outcome::Saved | Outcome::Not => return token,
            // A later holder was faster. Its token is the one of the fleet.
            Outcome::Fenced => self.read().await.ok(),
            Outcome::Changed(found) => Some(*found),
        };
        asked.and_then(|found| self.newer(&found)).unwrap_or(token)
    }

    /// The token of a record, if it may still be sent and is not older than this replica's, such as the rejected one.
    fn newer(&self, found: &Found) -> Option<AccessToken> {
        let token = found.record.token.as_ref()?;
        let passed = self.platform().now().monotonic().saturating_sub(found.asked.monotonic());
        let (life, sendable) = token.left(&*self.timing);
        let until = found.asked.monotonic().saturating_add(life);
        let is_newer = lock(&self.shared.own).as_ref().is_none_or(|own| own.is_older_than(token.generation, until));
        (sendable > passed && is_newer).then(|| {
            *lock(&self.shared.own) = Some(Own { generation: Some(token.generation), until });
            observe::tell(EventKind::SharedTokenAdopted {});
            token.to_token(found.asked)
        })
    }

    /// Saves a failure, so that the other replicas wait as well. A token that may still be sent stays in the record.
    async fn save_failure(&self, error: &Error, lease: HeldLease, found: Found) {
        let in_a_row = found.record.failure.as_ref().map_or(1, |last| last.in_a_row.saturating_add(1));
        let wait = self.timing.cool_down(error, in_a_row, self.draw());
        let Some(failure) = SharedFailure::new(error, wait, in_a_row, self.credential.clone()) else {
            // It concerns this replica only. Another one may try at once.
            lease.release().await;
            return;
        };
        let passed = self.platform().now().monotonic().saturating_sub(found.asked.monotonic());
        let token = found.record.after(passed).token.take();
        let of_token = token.as_ref().map_or(Duration::ZERO, |token| token.left(&*self.timing).0);
        let token = token.filter(|_| !of_token.is_zero());
        // The number of failures is remembered for longer than the cool-down.
        let life = of_token.max(wait.saturating_mul(2).saturating_add(SHARED_MEMORY));
        self.save(&Record::new(token, Some(failure), life), life, lease, found.version).await;
    }

    /// Seals a record and saves it. Whatever comes of it, the lease has ended afterwards or ends by itself.
    async fn save(&self, record: &Record, life: Duration, lease: HeldLease, seen: Version) -> Outcome {
        AWS_LC_RANDOMNESS.done_on(self.platform()).await;
        let sealed = match self.ring.seal(record.plain(), &self.key) {
            Ok(sealed) if sealed.len() <= MemorySharedStore::MAX_RECORD => sealed,
            Ok(_) => return self.unsaved("it is larger than 64 KiB", lease).await,
            Err(_) => return self.unsaved("it cannot be sealed", lease).await,
        };
        let asked = self.platform().now();
        let saved = self.link.save(self.platform(), &self.key, (&sealed, life), lease.fence, seen).await;
        match saved {
            Ok(Saved::Saved(_)) => {
                lease.forget();
                Outcome::Saved
            }
            Ok(Saved::Fenced) => {
                lease.forget();
                Outcome::Fenced
            }
            Ok(Saved::Changed(snapshot)) => {
                lease.release().await;
                Outcome::Changed(Box::new(self.open(snapshot, asked)))
            }
            // Whether it was saved is unknown. Then the lease has ended, or it ends by itself.
            Err(Gone) => {
                lease.forget();
                Outcome::Not
            }
        }
    }

    /// Gives up a save that was not even tried. The token serves this replica.
    async fn unsaved(&self, problem: &'static str, lease: HeldLease) -> Outcome {
        observe::tell(EventKind::SharedRecordIgnored { problem });
        lease.release().await;
        Outcome::Not
    }

    /// The draw for the refresh, once for all replicas. Without randomness the earliest refresh.
    fn draw(&self) -> u32 {
        self.platform().random().map_or(u32::MAX, u32::from_ne_bytes)
    }
}

/// What came of a save.
enum Outcome {
    /// The record is in the store, and the lease has ended.
    Saved,
    /// A later lease was granted meanwhile. The record of its holder counts.
    Fenced,
    /// Another record is there than the one that was seen, without a later lease: it was lost, and written again.
    Changed(Box<Found>),
    /// The store gave no answer, or the record could not be made.
    Not,
}

/// The lease of this replica. If its fetch is dropped, a task of its own releases it.
struct HeldLease {
    link: Arc<Link>,
    platform: Platform,
    key: StoreKey,
    fence: Fence,
    is_held: bool,
}

impl HeldLease {
    fn new(turn: &Turn<'_>, fence: Fence) -> Self {
        let (link, platform, key) = (Arc::clone(turn.link), turn.platform().clone(), turn.key.clone());
        HeldLease { link, platform, key, fence, is_held: true }
    }

    /// The lease has ended, or ends by itself.
    fn forget(mut self) {
        self.is_held = false;
    }

    /// Ends the lease now.
    async fn release(mut self) {
        self.is_held = false;
        // If the store is gone, the lease ends by itself.
        drop(self.link.release(&self.platform, &self.key, self.fence).await);
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        if self.is_held {
            let (link, platform, key, fence) =
                (Arc::clone(&self.link), self.platform.clone(), self.key.clone(), self.fence);
            let release = Box::pin(async move { drop(link.release(&platform, &key, fence).await) });
            // Where nothing can be spawned, the lease ends by itself.
            drop(self.platform.spawn(release));
        }
    }
}
