//! The record of a refresh token: sealed, under its name, and asked for within a time.

use std::{sync::Arc, time::Duration};

use super::{
    known::{Ages, Found},
    unreadable::Unreadable,
};
use crate::{
    error::{Error, ErrorKind},
    platform::{Platform, preparation::AWS_LC_RANDOMNESS},
    provider::constants::{SHARED_TOKEN_CALL, SHARED_TOKEN_LIFE},
    shared::{
        marked::MarkedToken,
        ring::{Ring, SealingKeys, is_newer_envelope},
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

/// The ring and the name of the record.
#[derive(Clone)]
pub(super) struct Sealing {
    ring: Arc<Ring>,
    pub(super) key: StoreKey,
    /// Whether a record that cannot be read may be replaced.
    is_for_new_consent: bool,
}

impl Sealing {
    /// The same, for a token that a person puts there. What was there before does not matter then.
    pub(super) fn for_new_consent(self) -> Self {
        Sealing { is_for_new_consent: true, ..self }
    }

    #[cfg(test)]
    pub(super) fn seal(&self, plain: &[u8]) -> Vec<u8> {
        self.ring.seal(zeroize::Zeroizing::new(plain.to_vec()), &self.key).unwrap_or_default()
    }
}

impl<S: SharedStore> Inner<S> {
    pub(super) async fn sealing(&self, platform: &Platform) -> Result<Sealing, Error> {
        let ring = self.keys.ring(platform).await?;
        let key = ring.refresh_token_key(&self.name);
        Ok(Sealing { ring, key, is_for_new_consent: false })
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
        Ok(self.look(platform, sealing).await??)
    }

    /// Reads the record, or says why it cannot be read although the store has it.
    pub(super) async fn look(
        &self,
        platform: &Platform,
        sealing: &Sealing,
    ) -> Result<Result<Found, Unreadable>, Error> {
        let asked = platform.now().monotonic();
        match self.ask(platform, self.store.read(&sealing.key)).await? {
            Some(snapshot) => Ok(self.open(&snapshot, asked, sealing)),
            None => Ok(Ok(lock(&self.ages).of(&sealing.key).misses(asked, S::ORDER))),
        }
    }

    /// Opens a record. `asked` is when the store was asked for it, by the monotonic clock.
    pub(super) fn open(&self, snapshot: &Snapshot, asked: Duration, sealing: &Sealing) -> Result<Found, Unreadable> {
        let version = snapshot.version;
        let content = match content(&snapshot.record, sealing) {
            Err(unreadable) if sealing.is_for_new_consent && !unreadable.is_newer => {
                return Ok(Found::unreadable(version, asked));
            }
            content => content?,
        };
        let told = SHARED_TOKEN_LIFE.saturating_sub(snapshot.life);
        Ok(lock(&self.ages).of(&sealing.key).finds(version, content, told, asked, S::ORDER))
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
        let record = sealing.ring.seal(content.plain()?, &sealing.key).map_err(|problem| {
            let message = format!("the refresh token could not be sealed for the shared store: {problem}");
            Error::new(ErrorKind::Source, message)
        })?;
        let asked = platform.now().monotonic();
        let saved = self.ask(platform, self.store.save(&sealing.key, &record, SHARED_TOKEN_LIFE, fence, seen)).await?;
        if let Saved::Saved(version) = saved {
            lock(&self.ages).of(&sealing.key).saves(version, seen, content, asked, S::ORDER);
        }
        Ok(saved)
    }

    pub(super) async fn release(&self, platform: &Platform, key: &StoreKey, fence: Fence) {
        // If the store is gone, the lease ends by itself.
        drop(self.ask(platform, self.store.release(key, fence)).await);
    }
}

fn content(record: &[u8], sealing: &Sealing) -> Result<MarkedToken, Unreadable> {
    if is_newer_envelope(record) {
        return Err(Unreadable::newer(&sealing.key));
    }
    let plain = sealing.ring.open(record, &sealing.key).map_err(Unreadable::unopened)?;
    if MarkedToken::is_newer(&plain) {
        return Err(Unreadable::newer(&sealing.key));
    }
    MarkedToken::read(&plain).map_err(Unreadable::unknown)
}
