//! The state that the clones of a grant share: the store, the lease, and the tokens that are pending or refused.
//!
//! Four things outlast a fetch: a successor that is not saved yet, the refused tokens, the lease, and whether the
//! application stored a new token. All of them are in memory, and the store has the truth for the next process.
//!
//! There are two leases, one inside of the other. The inner one is among the clones of a grant in this process. It ends
//! with its time, because a fetch may be stuck in a runtime that is no longer driven. The outer one is the store's,
//! among processes, if it has one.

use std::{borrow::Cow, sync::Arc};

use tokio::sync::oneshot;

use super::{
    turns::{Turn, Turns},
    verdict::Verdict,
};
use crate::{
    error::{Error, ErrorKind, Retry},
    observe::{self, EventKind, Scope, StoreOperation, StoreOutcome, store_call},
    platform::{Moment, Platform},
    problem::Problem,
    provider::constants::{LEASE_GRACE, REFUSED_TOKEN_REST, SAVE_TIMEOUT},
    secret::Secret,
    source::FetchContext,
    store::{DynRefreshTokenStore, Lease, RefreshTokenStore, StoredToken},
    sync::{
        Mutex, lock,
        permits::{Permit, Permits},
    },
    token::FetchReason,
};

/// The kind of the store, in events.
const STORE: &str = "refresh_token";

/// The right of one clone of the grant to use the refresh token, with the store's lease. Dropping it releases both.
type GrantLease = Permit<Option<Lease>>;

/// What the clones of a grant share.
pub(super) struct RotationState {
    store: Arc<dyn DynRefreshTokenStore>,
    leases: Arc<Permits<Option<Lease>>>,
    memory: Mutex<Memory>,
    turns: Arc<Turns>,
}

/// What the clones of a grant remember between fetches. Locked for moments only, and never while the store is called.
#[derive(Default)]
struct Memory {
    /// A refresh token from the server that the store may not have yet.
    pending: Option<Pending>,
    gone: Vec<Gone>,
    /// Whether the application has replaced the token since it was loaded last.
    /// The store's own sign may miss a change by this process.
    was_replaced: bool,
}

/// A successor that is not saved yet. `seen` is what the store had when the token was sent. Saving compares with it, so
/// a newer consent is not overwritten.
#[derive(Clone, PartialEq)]
struct Pending {
    seen: Option<StoredToken>,
    next: StoredToken,
}

/// A refresh token that the server refused, and its error. Bounded by time: entries older than five minutes are dropped
/// whenever one is added.
struct Gone {
    token: Secret,
    at: Moment,
    verdict: Verdict,
    error: Error,
}

/// The right of one request to send a refresh token.
pub(in crate::oauth) struct Session {
    /// Ended before the lease is released.
    pub(super) turn: Turn,
    /// Released with the session.
    pub(super) lease: GrantLease,
    /// The token that was in the store.
    pub(super) seen: Option<StoredToken>,
    /// The token that is sent.
    pub(super) token: Secret,
}

impl Session {
    /// The request is about to be sent. From here on the token may be used up.
    pub(in crate::oauth) fn sends(&self) {
        self.turn.sends();
    }

    /// The server has certainly not accepted the token.
    pub(in crate::oauth) fn not_used_up(&self) {
        self.turn.not_used_up();
    }
}

impl RotationState {
    pub(super) fn new(store: impl RefreshTokenStore) -> Self {
        let store: Arc<dyn DynRefreshTokenStore> = Arc::new(store);
        let turns = Turns::new(Arc::clone(&store));
        RotationState { store, leases: Permits::new(1), memory: Mutex::default(), turns }
    }

    /// Waits for the lease among the clones of the grant, and then for the store's.
    ///
    /// A holder that is overdue loses both to the next fetch.
    ///
    /// If an overdue fetch lost its permit, the permit still has that fetch's store lease. Then the store is not asked
    /// again.
    pub(super) async fn lease(&self, platform: &Platform, until: Moment) -> Result<GrantLease, Error> {
        let until = until.after(LEASE_GRACE).monotonic();
        let lease =
            self.leases.acquire(platform, until).await.ok_or_else(|| {
                timeout("the refresh token was in use by other fetches until the deadline of this one")
            })?;
        if !lease.with(|stores| stores.is_some()).unwrap_or(false) {
            let leased =
                store_call(platform, (STORE, StoreOperation::Lease), self.store.lease(platform), |_| StoreOutcome::Ok);
            let stores = platform.before(until, leased).await.unwrap_or_else(|| {
                Err(timeout("the store did not grant its lease in time: does another process hold it, or is it away?"))
            })?;
            // If this lease was lost meanwhile, the store's is dropped.
            lease.with(|kept| *kept = Some(stores));
        }
        Ok(lease)
    }

    pub(super) async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        lock(&self.memory).was_replaced = false;
        let load = self.store.load(platform);
        store_call(platform, (STORE, StoreOperation::Load), load, |found| match found {
            Some(_) => StoreOutcome::Ok,
            None => StoreOutcome::Absent,
        })
        .await
    }

    /// Whether the store may have another refresh token than the one that was loaded last.
    pub(super) fn has_changed(&self) -> bool {
        lock(&self.memory).was_replaced || self.store.has_changed()
    }

    /// Saves a refresh token that an earlier fetch could not save, before the deadline of this one. What comes of it is
    /// an event, as for the first attempt: until it succeeds, a crash would lose the token.
    pub(super) async fn save_earlier(&self, platform: &Platform, until: Moment) -> Result<(), Error> {
        if lock(&self.memory).pending.is_none() {
            return Ok(());
        }
        let saved = platform.before(until.monotonic(), self.save_pending(platform)).await;
        let saved = saved.unwrap_or_else(|| {
            Err(timeout("the store did not save an earlier refresh token before the deadline; it is kept in memory"))
        });
        tell_of_save(&saved);
        saved
    }

    /// Saves the pending refresh token, if there is one.
    ///
    /// If the store has another token by now, that one is newer and stays.
    async fn save_pending(&self, platform: &Platform) -> Result<(), Error> {
        let Some(pending) = lock(&self.memory).pending.clone() else { return Ok(()) };
        let swap = self.store.swap(platform, pending.seen.as_ref(), Some(&pending.next));
        let swapped = store_call(platform, (STORE, StoreOperation::Save), swap, |is_swapped| match is_swapped {
            true => StoreOutcome::Ok,
            false => StoreOutcome::Conflict,
        });
        swapped.await.map_err(|error| {
            let message = "the new refresh token could not be saved; it is kept in memory, and no access token is used \
                           until it is saved: fix the store";
            error.with_context(message)
        })?;
        lock(&self.memory).pending.take_if(|now| *now == pending);
        Ok(())
    }

    /// Saves the successor of a refresh token. Saving continues if the caller is dropped.
    ///
    /// The save runs in a task of its own. If it cannot be spawned, it runs here. In both ways the observers of the
    /// fetch get its events.
    ///
    /// The lease is extended first: while a save is in progress, no other fetch may load what the store still has.
    pub(super) async fn save(
        this: &Arc<Self>,
        platform: &Platform,
        session: &Arc<Session>,
        next: StoredToken,
    ) -> Result<(), Error> {
        if session.seen.as_ref() == Some(&next) {
            return Ok(());
        }
        // This happens before the first await, so the token cannot get lost while the process lives. Another token is
        // pending only if another fetch took the lease.
        lock(&this.memory).pending.get_or_insert(Pending { seen: session.seen.clone(), next });
        session.lease.extend(platform.now().after(SAVE_TIMEOUT + LEASE_GRACE).monotonic());
        let (sender, receiver) = oneshot::channel();
        let (rotation, session, inside) = (Arc::clone(this), Arc::clone(session), platform.clone());
        let task = Box::pin(Scope::current().run(async move {
            let until = inside.now().after(SAVE_TIMEOUT).monotonic();
            let result = inside.before(until, rotation.save_pending(&inside)).await.unwrap_or_else(|| {
                let limit = format!("within {SAVE_TIMEOUT:?}");
                Err(timeout(format!("the store did not save the new refresh token {limit}; it is kept in memory")))
            });
            tell_of_save(&result);
            // The lease is released before the result is sent, because the receiver may start the next fetch.
            drop(session);
            drop(sender.send(result));
        }));
        if let Err(task) = platform.spawn(task) {
            task.await;
        }
        receiver.await.unwrap_or_else(|_| {
            let message = "saving the new refresh token ended without a result: the runtime was shut down, or the store \
                           panicked. The token is kept in memory and saved at the next fetch";
            let result = Err(Error::new(ErrorKind::Abandoned, message));
            // Its task had no chance to.
            tell_of_save(&result);
            result
        })
    }

    /// Replaces the token in the store unconditionally.
    ///
    /// The lock that the fetches use is taken here too, so a replacement never happens between a load and its save.
    pub(super) async fn put(&self, platform: &Platform, next: Option<StoredToken>) -> Result<(), Error> {
        let until = platform.now().after(SAVE_TIMEOUT);
        let _lease = self.lease(platform, until).await?;
        // The lease ends then.
        let until = until.after(LEASE_GRACE).monotonic();
        let operation = if next.is_some() { StoreOperation::Save } else { StoreOperation::Remove };
        let put =
            store_call(platform, (STORE, operation), self.store.put(platform, next.as_ref()), |()| StoreOutcome::Ok);
        platform.before(until, put).await.unwrap_or_else(|| {
            Err(timeout("the store did not replace the refresh token in time; it may have the old one or the new one"))
        })?;
        let mut memory = lock(&self.memory);
        // A pending token belongs to the consent before.
        memory.pending = None;
        memory.was_replaced = true;
        Ok(())
    }

    /// Fails if a successor could not be saved.
    pub(super) async fn prepare(&self, platform: &Platform) -> Result<Turn, Error> {
        self.turns.begin(platform).await
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        self.store.problems()
    }

    /// Whether the server has refused the token lately.
    ///
    /// If the application called `refresh_now`, the token is sent once more anyway.
    ///
    /// Within one fetch a refused token is never sent twice, whatever the reason of the fetch is.
    pub(super) fn is_gone(&self, token: &Secret, cx: &FetchContext) -> bool {
        let now = cx.platform().now();
        let is_requested = cx.reason() == FetchReason::Requested;
        lock(&self.memory).gone.iter().any(|gone| {
            let of_this_fetch = gone.at.monotonic() >= cx.started().monotonic();
            gone.token == *token && (of_this_fetch || !is_requested) && !gone.at.after(REFUSED_TOKEN_REST).is_past(now)
        })
    }

    /// Notes a refusal of a token, for `is_gone` and for the error of the next fetch. Old entries are removed at the
    /// same time.
    pub(super) fn note_gone(&self, token: &Secret, verdict: Verdict, error: &Error, cx: &FetchContext) {
        let at = cx.platform().now();
        let mut memory = lock(&self.memory);
        memory.gone.retain(|gone| gone.token != *token && !gone.at.after(REFUSED_TOKEN_REST).is_past(at));
        memory.gone.push(Gone { token: token.clone(), at, verdict, error: error.clone() });
    }

    /// The error of a fetch that has no refresh token to send.
    ///
    /// The two sentences differ in certainty: `invalid_grant` is clear, a 400 without a code is not. Both name what a
    /// person has to do.
    pub(super) fn gone(&self, there_was_one: bool) -> Error {
        let memory = lock(&self.memory);
        let Some(last) = memory.gone.last().filter(|_| there_was_one) else {
            let message = "there is no refresh token in the store: a person has to consent first, and the refresh token \
                           from that consent must be put into the store (RFC 6749 section 6)";
            return Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange);
        };
        let code = last.error.oauth_code().map_or_else(String::new, |code| format!(" with `{code}`"));
        let message = match last.verdict {
            Verdict::Gone => format!(
                "the refresh token is gone: the server refused it{code}, as servers do after it has expired, was revoked, or \
                 was used before. A person has to consent again, and the new refresh token must be put into the store (RFC \
                 6749 section 6)"
            ),
            Verdict::ProbablyGone | Verdict::Other => format!(
                "the refresh token is probably gone: the server refused the request{code}, without a clear reason. If the \
                 refresh token has expired, was revoked, or was used before, a person has to consent again, and the new \
                 one must be put into the store (RFC 6749 section 6). Otherwise check the client and the request"
            ),
        };
        last.error.clone().with_context(message).with_retry(Retry::AfterChange)
    }
}

/// The event of an attempt to save.
fn tell_of_save(result: &Result<(), Error>) {
    match result {
        Ok(()) => observe::tell(EventKind::RefreshTokenSaved {}),
        Err(error) => observe::tell(EventKind::RefreshTokenNotSaved { error }),
    }
}

fn timeout(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Timeout, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::MemoryStore,
        test_support::{ManualClock, first_fetch},
    };

    #[test]
    fn only_the_refusals_of_the_last_minutes_are_remembered() {
        let (clock, rotation) = (ManualClock::default(), RotationState::new(MemoryStore::default()));
        let error = Error::new(ErrorKind::Refused, "refused");
        let refuse = |token: &str| {
            let cx = first_fetch(clock.platform());
            rotation.note_gone(&Secret::new(token), Verdict::Gone, &error, &cx);
            lock(&rotation.memory).gone.len()
        };
        assert_eq!([refuse("a"), refuse("a"), refuse("b")], [1, 1, 2]);
        clock.advance(REFUSED_TOKEN_REST);
        assert_eq!(refuse("c"), 1);
    }
}
