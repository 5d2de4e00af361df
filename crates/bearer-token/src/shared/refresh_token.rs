//! A refresh token in a shared store: any number of hosts use it, and it is spent once.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    marked::MarkedToken,
    ring::{Ring, SealingKeys},
};
use crate::{
    error::{Error, ErrorKind, Retry},
    platform::{Platform, preparation::AWS_LC_RANDOMNESS},
    problem::{Advice, Problem},
    provider::constants::{SHARED_POLL, SHARED_TOKEN_CALL, SHARED_TOKEN_LEASE, SHARED_TOKEN_LIFE},
    store::{
        Down, Fence, Lease, Leased, Order, RefreshTokenStore, Saved, SharedStore, Snapshot, StoreKey, StoredToken,
        Version,
    },
    sync::{Mutex, lock},
};

/// The most often that a notification of the store shortens a wait.
const MOST_HINTS: u32 = 10;

/// Keeps a refresh token in a [shared store](SharedStore), for all hosts of a program. Clones share it,
/// as the hosts do.
///
/// What [`FileStore`](crate::store::FileStore) promises to the processes of one host holds here for any number of hosts.
/// The token is sealed, and its name is a keyed hash of the one given to [`new`](Self::new).
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
/// refresh token is *marked* in the store before it is sent, and the mark is removed by the successor. It is also removed
/// if the server responds with an error, or was not reached.
///
/// A mark stays if its holder crashed, or never saw the response. Then the server may have used the token up, and
/// sending it again could end the consent. What happens then is your choice:
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
/// [`build`](crate::oauth::TokenEndpointBuilder::build) reports, unless the server allows a reuse. While the store is gone,
/// no refresh token is sent.
///
/// The last of the [sealing keys](SealingKeys) makes the name of the record. Keep it: under another name there is no
/// refresh token.
pub struct SharedRefreshToken<S> {
    inner: Arc<Inner<S>>,
    /// Of this clone only: two grants of one process must not take each other's lease or mark for their own.
    turn: Arc<Mutex<Turn>>,
    settings: Settings,
}

struct Inner<S> {
    store: S,
    keys: SealingKeys,
    name: String,
}

#[derive(Clone, Copy)]
struct Settings {
    reusable_within: Option<Duration>,
    resend_after: Option<Duration>,
    lease: Duration,
}

/// What a clone knows of its own use of the token.
#[derive(Default)]
struct Turn {
    /// The lease, until it has ended.
    fence: Option<Fence>,
    /// The mark that this clone made last, or is making.
    mark: Option<u64>,
    /// The mark of a token that was not sent, or not used up.
    harmless: Option<u64>,
}

/// A record as it was found.
struct Found {
    version: Version,
    /// The time since it was saved, by the store's clock.
    age: Duration,
    content: MarkedToken,
}

/// The ring and the name of the record.
#[derive(Clone)]
struct Sealing {
    ring: Arc<Ring>,
    key: StoreKey,
}

impl<S: SharedStore> SharedRefreshToken<S> {
    /// Keeps the refresh token in this store under this name, which stands for the client and the consent.
    pub fn new(store: S, keys: SealingKeys, name: impl Into<String>) -> Self {
        let inner = Arc::new(Inner { store, keys, name: name.into() });
        let settings = Settings { reusable_within: None, resend_after: None, lease: SHARED_TOKEN_LEASE };
        SharedRefreshToken { inner, turn: Arc::default(), settings }
    }

    /// Declares that the server accepts a used refresh token again within this period, for clients that lost the response.
    ///
    /// Servers call it a leeway, a grace period or a reuse interval.
    #[must_use]
    pub fn reusable_within(mut self, period: Duration) -> Self {
        self.settings.reusable_within = Some(period);
        self
    }

    /// Sends a refresh token again if its response has been missing for this time.
    ///
    /// If the server had used it up, the consent ends. It would have been lost anyway, unless its holder is only paused.
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

    async fn sealing(&self, platform: &Platform) -> Result<Sealing, Error> {
        let ring = self.inner.keys.ring(platform).await?;
        let key = ring.store_key("refresh token", self.inner.name.as_bytes());
        Ok(Sealing { ring, key })
    }

    /// For how long another host waits for a mark to go.
    fn patience(&self) -> Duration {
        // In the second half of a reuse period there is time to send the token again.
        self.settings.reusable_within.map_or(self.settings.lease, |period| self.settings.lease.min(period / 2))
    }

    /// Whether a token may be sent whose mark is this old.
    fn may_resend(&self, age: Duration) -> bool {
        self.settings.reusable_within.is_some_and(|period| age < period)
            || self.settings.resend_after.is_some_and(|time| age >= time)
    }

    /// Whether a request with the token may be under way, or may have been lost.
    fn is_in_use(&self, found: &Found) -> bool {
        found.content.mark.is_some() && found.content.mark != lock(&self.turn).harmless
    }

    /// A handle for the same use of the token.
    fn handle(&self) -> Self {
        SharedRefreshToken { inner: Arc::clone(&self.inner), turn: Arc::clone(&self.turn), settings: self.settings }
    }

    /// Waits for the lease. Returns its fence with what was found under it.
    async fn acquire(&self, platform: &Platform, sealing: &Sealing, is_patient: bool) -> Result<(Fence, Found), Error> {
        let inner = &self.inner;
        let (mut step, mut hints) = (SHARED_POLL.0, 0);
        loop {
            let found = inner.read(platform, sealing).await?;
            let wait = match self.patience().checked_sub(found.age).filter(|left| !left.is_zero()) {
                Some(left) if is_patient && self.is_in_use(&found) => left,
                _ => {
                    let call = inner.store.lease(&sealing.key, found.version, self.settings.lease);
                    match inner.ask(platform, call).await? {
                        Leased::Granted(fence) => return Ok((fence, found)),
                        Leased::Newer(_) => continue,
                        Leased::Held(remaining) => remaining,
                    }
                }
            };
            let wait = wait.saturating_add(Duration::from_millis(1)).min(step);
            // It is a hint of the store, which must not hold up the fetch, and must not become a busy loop either.
            let until = platform.now().after(wait).monotonic();
            platform.before(until, inner.store.changed(platform, &sealing.key, found.version, wait)).await;
            hints += 1;
            if hints > MOST_HINTS {
                platform.sleep_until(until).await;
            }
            step = (step * 2).min(SHARED_POLL.1);
        }
    }

    async fn load_found(&self, platform: &Platform) -> Result<Found, Error> {
        self.inner.read(platform, &self.sealing(platform).await?).await
    }

    /// Saves a token over the one that was expected, whichever replica has the lease.
    async fn replace(
        &self,
        platform: &Platform,
        is_expected: impl Fn(&MarkedToken) -> bool,
        next: MarkedToken,
    ) -> Result<bool, Error> {
        let (inner, sealing) = (&self.inner, self.sealing(platform).await?);
        let mut found = inner.read(platform, &sealing).await?;
        let mut fence = lock(&self.turn).fence.take();
        loop {
            if found.content == next {
                return Ok(true);
            }
            if !is_expected(&found.content) {
                return Ok(false);
            }
            let used = match fence.take() {
                Some(fence) => fence,
                None => {
                    let (fence, under_lease) = self.acquire(platform, &sealing, false).await?;
                    let has_changed = under_lease.version != found.version;
                    found = under_lease;
                    if has_changed {
                        inner.release(platform, &sealing.key, fence).await;
                        continue;
                    }
                    fence
                }
            };
            match inner.save(platform, &sealing, &next, used, found.version).await? {
                Saved::Saved(_) => return Ok(true),
                Saved::Fenced => {}
                Saved::Changed(snapshot) => {
                    inner.release(platform, &sealing.key, used).await;
                    found = inner.open(&snapshot, &sealing)?;
                }
            }
        }
    }

    /// Ends the use of the token: removes a mark that means nothing, and releases the lease.
    async fn settle(self, platform: Platform, fence: Option<Fence>, mark: Option<u64>) {
        let Ok(sealing) = self.sealing(&platform).await else { return };
        if let Some(fence) = fence {
            self.inner.release(&platform, &sealing.key, fence).await;
        }
        if mark.is_some()
            && let Ok(found) = self.inner.read(&platform, &sealing).await
            && found.content.mark == mark
        {
            let next = MarkedToken { mark: None, ..found.content };
            // If it fails, this clone knows that the mark means nothing, and the others wait for it.
            drop(self.replace(&platform, |content| content.mark == mark, next).await);
        }
    }
}

impl<S: SharedStore> Inner<S> {
    /// The answer of the store, within a time.
    async fn ask<T>(&self, platform: &Platform, call: impl Future<Output = Result<T, Down>>) -> Result<T, Error> {
        let until = platform.now().after(SHARED_TOKEN_CALL).monotonic();
        let answer = platform.before(until, call).await;
        answer.unwrap_or_else(|| Err(Down::new(format!("it did not answer within {SHARED_TOKEN_CALL:?}")))).map_err(
            |down| {
                let message = "the shared store of the refresh token gave no answer, so no refresh token is sent";
                Error::new(ErrorKind::Source, message).with_source(down)
            },
        )
    }

    async fn read(&self, platform: &Platform, sealing: &Sealing) -> Result<Found, Error> {
        match self.ask(platform, self.store.read(&sealing.key)).await? {
            Some(snapshot) => self.open(&snapshot, sealing),
            None => Ok(Found { version: Version::ABSENT, age: Duration::ZERO, content: MarkedToken::default() }),
        }
    }

    fn open(&self, snapshot: &Snapshot, sealing: &Sealing) -> Result<Found, Error> {
        let plain = sealing.ring.open(&snapshot.record, &sealing.key).map_err(|problem| {
            let message = format!("the refresh token in the shared store cannot be opened: {problem}");
            Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange)
        })?;
        let age = SHARED_TOKEN_LIFE.saturating_sub(snapshot.life);
        Ok(Found { version: snapshot.version, age, content: MarkedToken::read(&plain)? })
    }

    async fn save(
        &self,
        platform: &Platform,
        sealing: &Sealing,
        content: &MarkedToken,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Error> {
        AWS_LC_RANDOMNESS.done_on(platform).await;
        let record = sealing.ring.seal(content.plain()?, &sealing.key)?;
        self.ask(platform, self.store.save(&sealing.key, &record, SHARED_TOKEN_LIFE, fence, seen)).await
    }

    async fn release(&self, platform: &Platform, key: &StoreKey, fence: Fence) {
        // If the store is gone, the lease ends by itself.
        drop(self.ask(platform, self.store.release(key, fence)).await);
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
        let next = MarkedToken { token: next.cloned(), mark: None };
        self.replace(platform, |content| content.token.as_ref() == seen, next).await
    }

    async fn put(&self, platform: &Platform, next: Option<&StoredToken>) -> Result<(), Error> {
        let next = MarkedToken { token: next.cloned(), mark: None };
        self.replace(platform, |_| true, next).await.map(drop)
    }

    /// Marks the token as sent. Nothing is sent if that fails.
    async fn prepare(&self, platform: &Platform) -> Result<(), Error> {
        let (inner, sealing) = (&self.inner, self.sealing(platform).await?);
        let found = inner.read(platform, &sealing).await?;
        if self.is_in_use(&found) && !self.may_resend(found.age) {
            return Err(lost(found.age));
        }
        let mark = u64::from_ne_bytes(platform.random()?).max(1);
        let fence = {
            let mut turn = lock(&self.turn);
            // Until the store has answered, the token is not sent.
            (turn.mark, turn.harmless) = (Some(mark), Some(mark));
            turn.fence.take()
        };
        let Some(fence) = fence else { return Err(taken()) };
        let content = MarkedToken { mark: Some(mark), ..found.content };
        match inner.save(platform, &sealing, &content, fence, found.version).await? {
            Saved::Saved(_) => {
                let mut turn = lock(&self.turn);
                turn.fence = Some(fence);
                turn.harmless.take_if(|harmless| *harmless == mark);
                Ok(())
            }
            Saved::Fenced | Saved::Changed(_) => Err(taken()),
        }
    }

    fn not_used_up(&self) {
        let mut turn = lock(&self.turn);
        turn.harmless = turn.mark;
    }

    async fn lease(&self, platform: &Platform) -> Result<Lease, Error> {
        let sealing = self.sealing(platform).await?;
        let (fence, _) = self.acquire(platform, &sealing, true).await?;
        let mut turn = lock(&self.turn);
        (turn.fence, turn.mark) = (Some(fence), None);
        Ok(Lease::holding(Holder { store: self.handle(), platform: platform.clone() }))
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

fn lost(age: Duration) -> Error {
    let message = format!(
        "the refresh token may be used up: it was sent {} s ago, and no response was saved since. A person has to consent \
         again, or `RefreshToken::replace` puts a token in its place. If the server accepts a used refresh token again, \
         call `reusable_within`; to risk the consent, `resend_after`",
        age.as_secs()
    );
    Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange)
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

/// The use of the token by one fetch. Dropping it settles what is left in the store.
struct Holder<S: SharedStore> {
    store: SharedRefreshToken<S>,
    platform: Platform,
}

impl<S: SharedStore> Drop for Holder<S> {
    fn drop(&mut self) {
        let (fence, mark) = {
            let mut turn = lock(&self.store.turn);
            let mark = turn.mark.take();
            (turn.fence.take(), mark.filter(|mark| turn.harmless == Some(*mark)))
        };
        if fence.is_some() || mark.is_some() {
            let settled = self.store.handle().settle(self.platform.clone(), fence, mark);
            // Where nothing can be spawned, the lease ends by itself.
            drop(self.platform.spawn(Box::pin(settled)));
        }
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests;
