//! A refresh token in a shared store: any number of hosts use it, and it is spent once.

use std::{fmt, sync::Arc, time::Duration};

use self::{
    known::{Ages, Found},
    sealed::{Inner, Sealing},
    using::{Earlier, Holder, Turn},
};
use super::{
    marked::{Descent, MarkedToken},
    ring::SealingKeys,
};
use crate::{
    error::{Error, ErrorKind, Retry},
    observe::Scope,
    platform::Platform,
    problem::{Advice, Problem},
    provider::constants::{SHARED_TOKEN_CALL, SHARED_TOKEN_LEASE},
    store::{Lease, Order, RefreshTokenStore, Saved, SharedStore, StoredToken},
    sync::{Mutex, lock},
};

mod known;
mod sealed;
#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests;
mod unreadable;
mod using;

/// Keeps a refresh token in a [shared store](SharedStore), for all hosts of a program. Clones share it,
/// as the hosts do.
///
/// What [`FileStore`](crate::store::FileStore) promises to the processes of one host holds here for any number of
/// hosts. The token is sealed, and its name is a keyed hash of the one given to [`new`](Self::new).
///
/// ```
/// use bearer_token::{oauth::RefreshToken, shared::{SealingKeys, SharedRefreshToken}, store::MemorySharedStore};
///
/// // In production: `PostgresStore` of `bearer-token-postgres`.
/// let store = MemorySharedStore::new();
/// let keys = SealingKeys::file("/run/secrets/fleet.keys");
/// let grant = RefreshToken::new(SharedRefreshToken::new(store, keys, "reports of alice"));
/// # let _ = grant;
/// ```
///
/// # Spent once
///
/// A lease alone cannot promise that: its holder may be paused between its last look at the clock and its request. So a
/// refresh token is *marked* in the store before it is sent, and the mark is removed by the successor. It is also
/// removed if the server responds with an error, or was not reached.
///
/// A mark stays if its holder crashed, or never saw the server's response. The error of a gateway in between (502, 504)
/// does not count as a response, unless it has an OAuth error code. Nor does a success that cannot be read. In all
/// these cases the server may have used the token up, and sending it again could end the consent. You choose what
/// happens:
///
/// | setting | a token whose mark stays |
/// |---|---|
/// | none | is not sent again. The fetch fails, and says that a person has to consent again, or [`replace`](crate::oauth::RefreshToken::replace) the token |
/// | [`reusable_within`](Self::reusable_within) | is sent again within the period that the server allows |
/// | [`resend_after`](Self::resend_after) | is sent again after a time, as `FileStore` does at once |
///
/// A holder that was only paused saves its successor when it continues, and the mark is gone.
///
/// # The store
///
/// It has to be [linearizable](Order::Linearizable). One that can lose its last writes is a problem that
/// [`build`](crate::oauth::TokenEndpointBuilder::build) reports, unless the server allows a reuse. While the store is
/// gone, no refresh token is sent.
///
/// A store that loses its last writes may show a token again that has a successor. A process that has seen the successor
/// takes that one, and its next save puts it back. A process that has not has the store's word alone.
///
/// The last of the [sealing keys](SealingKeys) makes the name of the record. Keep it: under another name there is no
/// refresh token.
pub struct SharedRefreshToken<S> {
    inner: Arc<Inner<S>>,
    /// Of this clone only: two grants of one process must not take each other's lease or mark for their own.
    turn: Arc<Mutex<Turn>>,
    settings: Settings,
}

#[derive(Clone, Copy)]
struct Settings {
    reusable_within: Option<Duration>,
    resend_after: Option<Duration>,
    lease: Duration,
}

impl<S: SharedStore> SharedRefreshToken<S> {
    /// Keeps the refresh token in this store under this name, which stands for the client and the consent.
    pub fn new(store: S, keys: SealingKeys, name: impl Into<String>) -> Self {
        let inner = Arc::new(Inner { store, keys, name: name.into(), ages: Mutex::new(Ages::default()) });
        let settings = Settings { reusable_within: None, resend_after: None, lease: SHARED_TOKEN_LEASE };
        SharedRefreshToken { inner, turn: Arc::default(), settings }
    }

    /// Declares that the server accepts a used refresh token again within this period, for clients that lost the
    /// response.
    ///
    /// Servers call it a leeway, a grace period or a reuse interval. The period counts from the first request whose
    /// response is missing. The store's clock measures it. A process that has seen the mark also counts by its own clock.
    ///
    /// Two events can make a token arrive after the period, which ends the consent:
    ///
    /// - The store's clock is set back, and a process starts after that. It is late by at most that step. Keep the
    ///   clocks of the store's nodes together.
    /// - A process stands still between its last look at the clock and its request.
    ///
    /// So declare a shorter period than the server's, by the longest time that you expect of either.
    #[must_use]
    pub fn reusable_within(mut self, period: Duration) -> Self {
        self.settings.reusable_within = Some(period);
        self
    }

    /// Sends a refresh token again if its response has been missing for this time.
    ///
    /// If the server had used it up, the consent ends. It would have been lost anyway, unless its holder is only
    /// paused. A store's clock that is set ahead shortens the time.
    #[must_use]
    pub fn resend_after(mut self, time: Duration) -> Self {
        self.settings.resend_after = Some(time);
        self
    }

    /// Sets how long other hosts wait for one that uses the token. Default: 15 s. It should outlast a fetch.
    #[must_use]
    pub fn lease_for(mut self, time: Duration) -> Self {
        self.settings.lease = time;
        self
    }

    /// For how long another host waits for a mark to go.
    fn patience(&self) -> Duration {
        // In the second half of a reuse period there is time to send the token again.
        self.settings.reusable_within.map_or(self.settings.lease, |period| self.settings.lease.min(period / 2))
    }

    /// Whether a token whose response is missing may be sent now. The server counts its period from the first request,
    /// and later ones do not extend it.
    fn may_resend(&self, found: &Found, platform: &Platform) -> bool {
        let sent_for = found.sent_for(platform.now().monotonic());
        self.settings.reusable_within.is_some_and(|period| sent_for < period)
            || self.settings.resend_after.is_some_and(|time| found.age >= time)
    }

    /// Whether a request with the token may be under way, or may have been lost. That the last one was harmless says
    /// nothing about those before it.
    fn is_in_use(&self, found: &Found) -> bool {
        let MarkedToken { mark, sent_before, .. } = &found.content;
        mark.is_some_and(|mark| !lock(&self.turn).is_harmless(mark)) || !sent_before.is_zero()
    }

    /// Why a token that was sent this long ago is not sent now. `age` is that of its mark.
    fn lost(&self, sent_for: Duration, age: Duration) -> Error {
        let sent = sent_for.as_secs();
        let (message, retry) = match self.settings.resend_after {
            Some(time) => {
                let after = time.saturating_sub(age);
                let seconds = after.as_millis().div_ceil(1_000);
                let message = format!(
                    "the refresh token was sent {sent} s ago, and no response was saved since; `resend_after` lets it be sent \
                     again in {seconds} s"
                );
                (message, Retry::Later { after: Some(after) })
            }
            None => {
                let message = format!(
                    "the refresh token may be used up: it was sent {sent} s ago, and no response was saved since. A person \
                     has to consent again, or `RefreshToken::replace` puts a token in its place. If the server accepts a \
                     used refresh token again, call `reusable_within`; to risk the consent, `resend_after`"
                );
                (message, Retry::AfterChange)
            }
        };
        Error::new(ErrorKind::Source, message).with_retry(retry)
    }

    /// The keys of now, under the name that the record had when this use of the token began.
    ///
    /// If the last key changes meanwhile, the mark and the successor belong to the record that was leased. Hosts with the
    /// last key of before look there.
    async fn sealing(&self, platform: &Platform) -> Result<Sealing, Error> {
        let now = self.inner.sealing(platform).await;
        let begun = lock(&self.turn).sealing.clone();
        match (now, begun) {
            (Ok(now), Some(begun)) if now.key == begun.key => {
                // Its first key may seal a record that the earlier ones do not open.
                lock(&self.turn).sealing = Some(now.clone());
                Ok(now)
            }
            (_, Some(begun)) => Ok(begun),
            (now, None) => now,
        }
    }

    async fn load_found(&self, platform: &Platform) -> Result<Found, Error> {
        self.inner.read(platform, &self.sealing(platform).await?).await
    }
}

impl<S: SharedStore> RefreshTokenStore for SharedRefreshToken<S> {
    async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        Ok(self.load_found(platform).await?.content.token)
    }

    async fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> Result<bool, Error> {
        let next = MarkedToken { token: next.cloned(), ..MarkedToken::default() };
        let sealing = self.sealing(platform).await?;
        self.replace(platform, sealing, |content| content.token.as_ref() == seen, Descent::succeeded, next).await
    }

    async fn put(&self, platform: &Platform, next: Option<&StoredToken>) -> Result<(), Error> {
        let next = MarkedToken { token: next.cloned(), ..MarkedToken::default() };
        let sealing = self.inner.sealing(platform).await?.for_new_consent();
        self.replace(platform, sealing, |_| true, Descent::consented, next).await.map(drop)
    }

    /// Marks the token as sent. Nothing is sent if that fails.
    async fn prepare(&self, platform: &Platform) -> Result<(), Error> {
        let inner = &self.inner;
        let sealing = self.sealing(platform).await?;
        let found = inner.read(platform, &sealing).await?;
        let is_resent = self.is_in_use(&found);
        let sent_for = || found.sent_for(platform.now().monotonic());
        if is_resent && !self.may_resend(&found, platform) {
            return Err(self.lost(sent_for(), found.age));
        }
        // The age of the new record begins when it is saved, at the end of a call at the latest.
        let sent_before = if is_resent { sent_for().saturating_add(SHARED_TOKEN_CALL) } else { Duration::ZERO };
        let mark = u64::from_ne_bytes(platform.random()?).max(1);
        let earlier = found.content.mark.map(|mark| Earlier { mark, is_harmless: !is_resent });
        let fence = {
            let mut turn = lock(&self.turn);
            let Some(fence) = turn.fence else { return Err(taken()) };
            // Until the store has answered, the token is not sent.
            (turn.mark, turn.harmless, turn.earlier) = (Some(mark), Some(mark), earlier);
            fence
        };
        let content = MarkedToken { mark: Some(mark), sent_before, ..found.content.clone() };
        let saved = inner.save(platform, &sealing, &content, fence, found.version).await?;
        let mut turn = lock(&self.turn);
        match saved {
            Saved::Saved(_) => {
                turn.harmless.take_if(|harmless| *harmless == mark);
                // The save took a time, in which the server's period may have ended.
                if is_resent && !self.may_resend(&found, platform) {
                    // The new mark is as young as can be.
                    Err(self.lost(sent_for(), Duration::ZERO))
                } else {
                    Ok(())
                }
            }
            Saved::Fenced | Saved::Changed(_) => {
                // The store has not got it, and will not.
                turn.mark.take_if(|made| *made == mark);
                Err(taken())
            }
        }
    }

    fn not_used_up(&self) {
        let mut turn = lock(&self.turn);
        turn.harmless = turn.mark;
    }

    async fn lease(&self, platform: &Platform) -> Result<Lease, Error> {
        let sealing = self.inner.sealing(platform).await?;
        let Ok(fence) = self.acquire(platform, &sealing, true).await? else {
            // Looking at it next says why. A new consent replaces it under a lease of its own.
            return Ok(Lease::free());
        };
        {
            let mut turn = lock(&self.turn);
            (turn.fence, turn.sealing) = (Some(fence), Some(sealing));
        }
        let (store, scope) = (self.handle(), Some(Scope::current()));
        Ok(Lease::holding(Holder { store, platform: platform.clone(), scope }))
    }

    fn problems(&self) -> Vec<Problem> {
        if S::ORDER == Order::Linearizable || self.settings.reusable_within.is_some() {
            return Vec::new();
        }
        let found = "found a store that may lose its last writes, as in a failover";
        let expected = "one that is linearizable, such as PostgreSQL, because a refresh token that is used twice ends the \
                        consent";
        vec![
            Problem::new("store", found)
                .expecting(expected)
                .advise(Advice::text("use another store"))
                .advise(Advice::text("set `reusable_within` if the server accepts a used refresh token again")),
        ]
    }
}

fn taken() -> Error {
    let message = "another host took the lease of the refresh token before it was sent; the next fetch tries again";
    Error::new(ErrorKind::Source, message)
}

impl<S> Clone for SharedRefreshToken<S> {
    fn clone(&self) -> Self {
        SharedRefreshToken { inner: Arc::clone(&self.inner), turn: Arc::default(), settings: self.settings }
    }
}

impl<S> fmt::Debug for SharedRefreshToken<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRefreshToken").field("name", &self.inner.name).finish_non_exhaustive()
    }
}
