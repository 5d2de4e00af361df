//! The record of a refresh token: sealed, under its name, and asked for within a time.

use std::{sync::Arc, time::Duration};

use crate::{
    error::{Error, ErrorKind, Retry},
    platform::{Platform, preparation::AWS_LC_RANDOMNESS},
    provider::constants::{SHARED_TOKEN_CALL, SHARED_TOKEN_LIFE},
    shared::{
        marked::MarkedToken,
        ring::{Ring, SealingKeys},
    },
    store::{Down, Fence, Saved, SharedStore, Snapshot, StoreKey, Version},
    sync::{Mutex, lock},
};

/// The store, and where the record is in it.
pub(super) struct Inner<S> {
    pub(super) store: S,
    pub(super) keys: SealingKeys,
    pub(super) name: String,
    pub(super) ages: Mutex<Ages>,
}

/// How old the record is at least, by the clock of this process.
///
/// The store's clock may be set back, as by a failover to a node with another clock. Then a refresh token would seem to
/// have been sent later than it was, and could be sent again after the server's reuse period. A process that has seen
/// the record before the step knows better.
#[derive(Default)]
pub(super) struct Ages(Option<Known>);

/// The age that a content had at a time of the monotonic clock. Two saves under one lease have one version, so the mark
/// says which of them it is.
struct Known {
    version: Version,
    mark: Option<u64>,
    age: Duration,
    at: Duration,
}

impl Ages {
    /// The age of this content, if the store says that it is at least `told`. `now` is by the monotonic clock.
    fn at_least(&mut self, version: Version, mark: Option<u64>, told: Duration, now: Duration) -> Duration {
        let known = self.0.as_ref().filter(|known| known.version == version && known.mark == mark);
        let age = known.map_or(told, |known| told.max(known.age.saturating_add(now.saturating_sub(known.at))));
        self.0 = Some(Known { version, mark, age, at: now });
        age
    }
}

/// A record as it was found.
pub(super) struct Found {
    pub(super) version: Version,
    /// The time since it was saved: by the store's clock, or by that of this process if it has known the record for
    /// longer.
    pub(super) age: Duration,
    pub(super) content: MarkedToken,
}

impl Found {
    /// The time since the token was sent first, of those requests whose response is missing.
    pub(super) fn sent_for(&self) -> Duration {
        self.age.saturating_add(self.content.sent_before)
    }
}

/// The ring and the name of the record.
#[derive(Clone)]
pub(super) struct Sealing {
    ring: Arc<Ring>,
    pub(super) key: StoreKey,
}

impl<S: SharedStore> Inner<S> {
    pub(super) async fn sealing(&self, platform: &Platform) -> Result<Sealing, Error> {
        let ring = self.keys.ring(platform).await?;
        let key = ring.refresh_token_key(&self.name);
        Ok(Sealing { ring, key })
    }

    /// The answer of the store, within a time.
    pub(super) async fn ask<T>(
        &self,
        platform: &Platform,
        call: impl Future<Output = Result<T, Down>>,
    ) -> Result<T, Error> {
        let until = platform.now().after(SHARED_TOKEN_CALL).monotonic();
        let answer = platform.before(until, call).await;
        answer.unwrap_or_else(|| Err(Down::new(format!("it did not answer within {SHARED_TOKEN_CALL:?}")))).map_err(
            |down| {
                let message = "the shared store of the refresh token cannot be used now, so no refresh token is sent";
                Error::new(ErrorKind::Source, message).with_source(down)
            },
        )
    }

    pub(super) async fn read(&self, platform: &Platform, sealing: &Sealing) -> Result<Found, Error> {
        match self.ask(platform, self.store.read(&sealing.key)).await? {
            Some(snapshot) => self.open(platform, &snapshot, sealing),
            None => Ok(Found { version: Version::ABSENT, age: Duration::ZERO, content: MarkedToken::default() }),
        }
    }

    pub(super) fn open(&self, platform: &Platform, snapshot: &Snapshot, sealing: &Sealing) -> Result<Found, Error> {
        let plain = sealing.ring.open(&snapshot.record, &sealing.key).map_err(|problem| {
            let message = format!("the refresh token in the shared store cannot be opened: {problem}");
            Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange)
        })?;
        let told = SHARED_TOKEN_LIFE.saturating_sub(snapshot.life);
        let (version, content) = (snapshot.version, MarkedToken::read(&plain)?);
        let age = lock(&self.ages).at_least(version, content.mark, told, platform.now().monotonic());
        Ok(Found { version, age, content })
    }

    pub(super) async fn save(
        &self,
        platform: &Platform,
        sealing: &Sealing,
        content: &MarkedToken,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Error> {
        AWS_LC_RANDOMNESS.done_on(platform).await;
        let record = sealing.ring.seal(content.plain()?, &sealing.key)?;
        let asked = platform.now().monotonic();
        let saved = self.ask(platform, self.store.save(&sealing.key, &record, SHARED_TOKEN_LIFE, fence, seen)).await?;
        if let Saved::Saved(version) = saved {
            let (mark, age) = (content.mark, Duration::ZERO);
            lock(&self.ages).0 = Some(Known { version, mark, age, at: asked });
        }
        Ok(saved)
    }

    pub(super) async fn release(&self, platform: &Platform, key: &StoreKey, fence: Fence) {
        // If the store is gone, the lease ends by itself.
        drop(self.ask(platform, self.store.release(key, fence)).await);
    }
}
