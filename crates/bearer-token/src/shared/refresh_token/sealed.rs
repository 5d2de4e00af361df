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
    store::{Down, Fence, Saved, SharedStore, Snapshot, StoreKey, StoredToken, Version},
    sync::{Mutex, lock},
};

/// The store, and where the record is in it.
pub(super) struct Inner<S> {
    pub(super) store: S,
    pub(super) keys: SealingKeys,
    pub(super) name: String,
    pub(super) ages: Mutex<Ages>,
}

/// What this process knows of the record by its own clock.
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
    token: Option<StoredToken>,
    at: Duration,
    age: Duration,
    sent_for: Duration,
}

impl Ages {
    /// The age of this content, and the time since its token was sent first, if the store says that the age is at least
    /// `told`. `now` is by the monotonic clock.
    fn at_least(
        &mut self,
        version: Version,
        content: &MarkedToken,
        told: Duration,
        now: Duration,
    ) -> (Duration, Duration) {
        let MarkedToken { token, mark, sent_before } = content;
        let known = self.0.take();
        let later = |known: &Known, time: Duration| time.saturating_add(now.saturating_sub(known.at));
        let is_same = |known: &&Known| known.version == version && known.mark == *mark;
        let age = known.as_ref().filter(is_same).map_or(told, |known| told.max(later(known, known.age)));
        // The same token with another mark was sent again.
        let is_resent = |known: &&Known| known.mark.is_some() && !sent_before.is_zero() && known.token == *token;
        let of_token = known.as_ref().filter(is_resent).map_or(Duration::ZERO, |known| later(known, known.sent_for));
        let sent_for = age.saturating_add(*sent_before).max(of_token);
        self.0 = Some(Known { version, mark: *mark, token: token.clone(), at: now, age, sent_for });
        (age, sent_for)
    }
}

/// A record as it was found.
pub(super) struct Found {
    pub(super) version: Version,
    /// When the store was asked for it, by the monotonic clock. Its reply may have taken a time.
    asked: Duration,
    /// The time between its save and then: by the store's clock, or by that of this process if it has known the record
    /// for longer.
    pub(super) age: Duration,
    /// The time between the first request with the token whose response is missing, and then.
    sent_for: Duration,
    pub(super) content: MarkedToken,
}

impl Found {
    /// For how long the server may have known the token, of those requests whose response is missing. `now` is by the
    /// monotonic clock: what has passed since the store was asked counts as well.
    pub(super) fn sent_for(&self, now: Duration) -> Duration {
        self.sent_for.saturating_add(now.saturating_sub(self.asked))
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
        let asked = platform.now().monotonic();
        match self.ask(platform, self.store.read(&sealing.key)).await? {
            Some(snapshot) => self.open(&snapshot, asked, sealing),
            None => {
                let content = MarkedToken::default();
                let (version, age, sent_for) = (Version::ABSENT, Duration::ZERO, Duration::ZERO);
                Ok(Found { version, asked, age, sent_for, content })
            }
        }
    }

    /// Opens a record. `asked` is when the store was asked for it, by the monotonic clock.
    pub(super) fn open(&self, snapshot: &Snapshot, asked: Duration, sealing: &Sealing) -> Result<Found, Error> {
        let plain = sealing.ring.open(&snapshot.record, &sealing.key).map_err(|problem| {
            let message = format!("the refresh token in the shared store cannot be opened: {problem}");
            Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange)
        })?;
        let told = SHARED_TOKEN_LIFE.saturating_sub(snapshot.life);
        let (version, content) = (snapshot.version, MarkedToken::read(&plain)?);
        let (age, sent_for) = lock(&self.ages).at_least(version, &content, told, asked);
        Ok(Found { version, asked, age, sent_for, content })
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
            lock(&self.ages).at_least(version, content, Duration::ZERO, asked);
        }
        Ok(saved)
    }

    pub(super) async fn release(&self, platform: &Platform, key: &StoreKey, fence: Fence) {
        // If the store is gone, the lease ends by itself.
        drop(self.ask(platform, self.store.release(key, fence)).await);
    }
}
