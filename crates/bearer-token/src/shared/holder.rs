//! What the holder of a lease does: it fetches, saves what came of it, and the lease ends.

use std::{sync::Arc, time::Duration};

use super::{
    failure::SharedFailure,
    link::{Gone, Link},
    record::{Record, SharedToken},
    turn::{Found, Turn},
};
use crate::{
    error::{Error, ErrorKind},
    observe::{self, EventKind, Scope},
    platform::{Platform, preparation::AWS_LC_RANDOMNESS},
    provider::constants::{SHARED_CALL_TIMEOUT, SHARED_MEMORY, SHARED_POLL},
    store::{Fence, Saved, StoreKey, Version},
    token::{AccessToken, FetchReason, Inherited, Recorded, check_token},
};

impl Turn<'_> {
    /// Fetches under the lease, and saves what came of it.
    pub(super) async fn exchange(&self, fence: Fence, found: Found) -> Result<AccessToken, Error> {
        let lease = HeldLease::new(self, fence);
        // Time is left to save what came of it, a failure too.
        let cx = self.cx.shortened_by(SHARED_CALL_TIMEOUT * 2);
        let fetch = self.shared.mint(cx.clone());
        let result = self.platform().before(cx.deadline().monotonic(), fetch).await.unwrap_or_else(|| {
            let limit = cx.deadline().monotonic().saturating_sub(cx.started().monotonic());
            Err(Error::new(ErrorKind::Timeout, format!("the token source gave no token within {limit:?}")))
        });
        // A token that the provider will refuse is a failure for all, and must not be adopted until its end.
        match result.and_then(|token| check_token(token.secret()).map(|()| token)) {
            // A file with a part of the identity changed during the fetch, or a step widened the scope. Whether the
            // token belongs to the old record or to the new one is unknown.
            Ok(token) if self.is_late() || token.is_not_shared() || !self.has_same_key().await => {
                lease.release().await;
                Ok(token)
            }
            Ok(token) => Ok(self.save_token(token, lease, &found).await),
            Err(error) if self.is_late() => Err(error),
            Err(error) => {
                self.save_failure(&error, lease, found).await;
                Err(error)
            }
        }
    }

    /// Whether the time of this fetch is over, because the replica stood still. The provider drops a fetch that waits
    /// for anything then, and the token that it has with it.
    fn is_late(&self) -> bool {
        self.cx.remaining().is_zero()
    }

    /// Whether the source would still use the same record.
    async fn has_same_key(&self) -> bool {
        let identity = self.shared.identity.canonical(self.cx).await;
        identity.is_ok_and(|identity| self.ring.store_key(&self.shared.fleet.0.namespace, &identity) == self.key)
    }

    /// Saves a token for the other replicas. Returns it, or the newer one that it lost to.
    async fn save_token(&self, token: AccessToken, lease: HeldLease, seen: &Found) -> AccessToken {
        let (now, draw, generation) = (self.platform().now(), self.draw(), lease.fence.get());
        let shared = SharedToken::new(&token, generation, draw, self.cx.started(), now).with_forced(self.forced(seen));
        // It was looked up before the fetch. So a new credential may be noted as the old one, and never the reverse.
        let shared = shared.with_credential(self.credential.clone());
        let (life, _) = shared.left(&*self.timing);
        // Also if the reply to the save is lost: then the record may have it, and after a rejection it is not adopted
        // again.
        let recorded = Some(Recorded::new(self.key.as_str(), generation));
        let token = token.with_inherited(Inherited { age: Duration::ZERO, draw, recorded, adopted: None });
        if life.is_zero() {
            // It serves the requests that wait for it, and no other.
            lease.release().await;
            return token;
        }
        let asked = match self.save(&Record::new(Some(shared), None, life), life, lease, seen.version).await {
            Outcome::Saved | Outcome::Not => return token,
            // A later holder was faster. Its token is the one of the fleet.
            Outcome::Fenced if self.is_late() => None,
            Outcome::Fenced => self.read().await.ok(),
            Outcome::Changed(found) => Some(*found),
        };
        // No record has this one. By its generation it would lose to an older token, if that has a later lease.
        let unrecorded = token.with_inherited(Inherited { age: Duration::ZERO, draw, recorded: None, adopted: None });
        asked.and_then(|found| self.newer(&found, generation)).unwrap_or(unrecorded)
    }

    /// How many renewals in a row rejections have forced, with this fetch. They are in a row if the token of the record
    /// was brought by one and is rejected young.
    fn forced(&self, seen: &Found) -> u32 {
        if self.cx.reason() != FetchReason::Rejected {
            return 0;
        }
        let rejected = self.cx.last().and_then(|last| last.generation_in(self.key.as_str()));
        let token = seen.record.token.as_ref().filter(|token| rejected == Some(token.generation));
        token.map_or(0, |token| token.forced_before(&*self.timing)).saturating_add(1)
    }

    /// The token of a record, if it may still be sent and is newer than the one that this replica has fetched. An older
    /// one may be the rejected one.
    fn newer(&self, found: &Found, generation: u64) -> Option<AccessToken> {
        let token = found.record.token.as_ref().filter(|token| token.generation > generation)?;
        (!self.sendable(found).is_zero()).then(|| self.adopt(token, found))
    }

    /// Saves a failure, so that the other replicas wait as well. A token that may still be sent stays in the record.
    async fn save_failure(&self, error: &Error, lease: HeldLease, found: Found) {
        let passed = self.platform().now().monotonic().saturating_sub(found.asked.monotonic());
        let (seen, record) = (found.version, found.record.after(passed));
        let (of_token, sendable) =
            record.token.as_ref().map_or_else(Default::default, |token| token.left(&*self.timing));
        let (last, other) = record.failures_of(self.credential.as_deref());
        let in_a_row = last.map_or(1, |last| last.in_a_row_after(self.replica()));
        let wait = match sendable {
            Duration::ZERO => self.timing.cool_down(error, in_a_row, self.draw()),
            // A little earlier, because times in records are rounded. The first request that finds no token tries
            // again.
            left => {
                let left = left.saturating_sub(SHARED_POLL.0);
                self.timing.cool_down_beside(error, in_a_row, self.draw(), left)
            }
        };
        // The number of failures is remembered for longer than the cool-down.
        let memory = wait.saturating_mul(2).saturating_add(SHARED_MEMORY);
        let failure = SharedFailure::new(error, wait, in_a_row, self.credential.clone());
        let failure = failure.map(|failure| failure.after(last, self.replica(), memory));
        let Some(failure) = failure.filter(|failure| !failure.is_outweighed_by(last)) else {
            // It concerns this replica only. Another one may try at once.
            lease.release().await;
            return;
        };
        let other = other.cloned();
        let token = record.token.filter(|_| !of_token.is_zero());
        let record = Record::new(token, Some(failure), of_token.max(memory)).beside(other);
        self.save(&record, record.life(), lease, seen).await;
    }

    /// Seals a record and saves it. Whatever comes of it, the lease has ended afterwards or ends by itself.
    async fn save(&self, record: &Record, life: Duration, lease: HeldLease, seen: Version) -> Outcome {
        AWS_LC_RANDOMNESS.done_on(self.platform()).await;
        let sealed = match self.ring.seal(record.plain(), &self.key) {
            Ok(sealed) => sealed,
            Err(problem) => return self.unsaved(problem, lease).await,
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
    /// The end of the fetch. Nothing is waited for after it.
    until: Duration,
    /// Where the events of a task go that releases it. A fetch is dropped outside of its scope.
    scope: Option<Scope>,
    is_held: bool,
}

impl HeldLease {
    fn new(turn: &Turn<'_>, fence: Fence) -> Self {
        let (link, platform, key) = (Arc::clone(turn.link), turn.platform().clone(), turn.key.clone());
        let (until, scope) = (turn.cx.deadline().monotonic(), Some(Scope::current()));
        HeldLease { link, platform, key, fence, until, scope, is_held: true }
    }

    /// The lease has ended, or ends by itself.
    fn forget(mut self) {
        self.is_held = false;
    }

    /// Ends the lease now, or by a task of its own if the time of the fetch is over.
    async fn release(mut self) {
        if self.platform.now().monotonic() >= self.until {
            return;
        }
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
            let release = async move { drop(link.release(&platform, &key, fence).await) };
            let scope = self.scope.take().unwrap_or_else(Scope::current);
            // Where nothing can be spawned, the lease ends by itself.
            drop(self.platform.spawn(Box::pin(scope.run(release))));
        }
    }
}
