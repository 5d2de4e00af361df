//! What the clones of a grant share: the store, whose turn it is, and what must not be forgotten.

use std::{
    future::{self, Future},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::sync::oneshot;

use super::lease_queue::{LeaseQueue, Place};
use crate::{
    error::{Error, ErrorKind, Retry},
    observe,
    platform::{Moment, Platform},
    secret::Secret,
    source::FetchContext,
    store::{DynRefreshTokenStore, RefreshTokenStore, StoredToken},
    sync::{Mutex, lock},
    token::FetchReason,
};

/// How long a refused refresh token is not sent again: the limit of the provider's own cool-down after such an error.
const GONE_FOR: Duration = Duration::from_secs(5 * 60);

/// How long the saving of a new refresh token may take when nobody waits for it any more. Then it is the next fetch's.
const SAVING: Duration = Duration::from_secs(60);

/// How long a turn may be overdue before it is taken over.
const GRACE: Duration = Duration::from_secs(1);

pub(super) struct RotationState {
    store: Box<dyn DynRefreshTokenStore>,
    turns: Arc<LeaseQueue>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// What the server gave, and the store may not have yet.
    pending: Option<Pending>,
    gone: Vec<Gone>,
    /// By hand, and not loaded since.
    replaced: bool,
}

#[derive(Clone, PartialEq)]
struct Pending {
    seen: Option<StoredToken>,
    next: StoredToken,
}

struct Gone {
    token: Secret,
    at: Moment,
    error: Error,
}

/// One request's right to send a refresh token.
pub(super) struct Session {
    /// Given back with the session.
    pub(super) place: Place,
    /// What was in the store.
    pub(super) seen: Option<StoredToken>,
    /// What is sent.
    pub(super) token: Secret,
}

impl RotationState {
    pub(super) fn new(store: impl RefreshTokenStore) -> Self {
        RotationState { store: Box::new(store), turns: Arc::default(), memory: Mutex::new(Memory::default()) }
    }

    /// Waits for a turn among the clones of the grant, and then among the users of the store.
    pub(super) async fn lease(&self, platform: &Platform, until: Moment) -> Result<Place, Error> {
        let place = self.turns.take(platform, until.after(GRACE)).await;
        if !place.has_stores_turn() {
            place.hold(self.store.lease(platform).await?);
        }
        Ok(place)
    }

    pub(super) async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        lock(&self.memory).replaced = false;
        self.store.load(platform).await
    }

    /// Whether there may be another refresh token than the one that was loaded last.
    pub(super) fn has_changed(&self) -> bool {
        lock(&self.memory).replaced || self.store.has_changed()
    }

    /// Saves what could not be saved before. If somebody else has replaced what was there, theirs is newer: it counts.
    pub(super) async fn save_pending(&self, platform: &Platform) -> Result<(), Error> {
        let Some(pending) = lock(&self.memory).pending.clone() else { return Ok(()) };
        self.store.swap(platform, pending.seen.as_ref(), Some(&pending.next)).await.map_err(|error| {
            let message = "the new refresh token could not be saved; it is kept in memory, and no access token is used \
                           until it is: mend the store";
            error.with_context(message)
        })?;
        lock(&self.memory).pending.take_if(|now| *now == pending);
        Ok(())
    }

    /// Saves what is to follow, and goes on with that when the caller is dropped.
    pub(super) async fn save(
        this: &Arc<Self>,
        platform: &Platform,
        session: &Arc<Session>,
        next: StoredToken,
    ) -> Result<(), Error> {
        if session.seen.as_ref() == Some(&next) {
            return Ok(());
        }
        // Before the first await: from here on it cannot get lost while the process lives. There is another one only if
        // this turn was taken over.
        lock(&this.memory).pending.get_or_insert(Pending { seen: session.seen.clone(), next });
        session.place.extend(platform.now().after(SAVING + GRACE));
        let (sender, receiver) = oneshot::channel();
        let (keeper, session, inside) = (Arc::clone(this), Arc::clone(session), platform.clone());
        let task = Box::pin(async move {
            let result = within(&inside, SAVING, keeper.save_pending(&inside)).await;
            match &result {
                Ok(()) => observe::refresh_token_saved(),
                Err(error) => observe::refresh_token_not_saved(error),
            }
            // The turn goes first: whoever hears of the end may begin.
            drop(session);
            drop(sender.send(result));
        });
        if let Err(task) = platform.spawn(task) {
            task.await;
        }
        receiver.await.unwrap_or_else(|_| {
            let message = "the saving of the new refresh token ended before it had a result: the runtime was shut down, \
                           or the store panicked. It is kept in memory, and saved at the next fetch";
            Err(Error::new(ErrorKind::Abandoned, message))
        })
    }

    /// Replaces what is in the store, whatever it is.
    pub(super) async fn put(&self, platform: &Platform, next: Option<StoredToken>) -> Result<(), Error> {
        let _place = self.lease(platform, platform.now().after(SAVING)).await?;
        self.store.put(platform, next.as_ref()).await?;
        let mut memory = lock(&self.memory);
        // It belongs to the consent before.
        memory.pending = None;
        memory.replaced = true;
        Ok(())
    }

    /// Whether what follows could be saved.
    pub(super) async fn prepare(&self, platform: &Platform) -> Result<(), Error> {
        self.store.prepare(platform).await
    }

    /// Whether the server has refused it lately. Who asks for a token by hand wants to know anew.
    pub(super) fn is_gone(&self, token: &Secret, cx: &FetchContext) -> bool {
        let now = cx.platform().now();
        let by_hand = cx.reason() == FetchReason::Requested;
        lock(&self.memory).gone.iter().any(|gone| {
            let of_this_fetch = gone.at.monotonic() >= cx.started().monotonic();
            gone.token == *token && (of_this_fetch || !by_hand) && !gone.at.after(GONE_FOR).is_past(now)
        })
    }

    pub(super) fn note_gone(&self, token: &Secret, error: &Error, cx: &FetchContext) {
        let at = cx.platform().now();
        let mut memory = lock(&self.memory);
        memory.gone.retain(|gone| gone.token != *token && !gone.at.after(GONE_FOR).is_past(at));
        memory.gone.push(Gone { token: token.clone(), at, error: error.clone() });
    }

    /// The error for when there is none to send.
    pub(super) fn gone(&self, there_was_one: bool) -> Error {
        let last = lock(&self.memory).gone.last().map(|gone| gone.error.clone()).filter(|_| there_was_one);
        let Some(last) = last else {
            let message = "there is no refresh token in the store: a person has to consent first, and the refresh token \
                           that comes of it belongs there (RFC 6749 section 6)";
            return Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange);
        };
        let message = "the refresh token is gone: the server has refused it, as it does after it has expired, was revoked \
                       or used before. A person has to consent again, and the new refresh token belongs into the store \
                       (RFC 6749 section 6)";
        last.with_context(message).with_retry(Retry::AfterChange)
    }
}

/// Gives up after a time.
async fn within(
    platform: &Platform,
    time: Duration,
    work: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let mut work = pin!(work);
    let mut limit = platform.sleep_until(platform.now().monotonic().saturating_add(time));
    future::poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        Pin::new(&mut limit).poll(cx).map(|()| {
            let message = format!("the store did not save the new refresh token within {time:?}; it is kept in memory");
            Err(Error::new(ErrorKind::Timeout, message))
        })
    })
    .await
}
