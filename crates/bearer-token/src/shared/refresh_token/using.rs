//! One use of the token: the lease, what a save replaces, and how it ends.

use std::{sync::Arc, time::Duration};

use super::{
    SharedRefreshToken,
    sealed::{Found, Sealing},
};
use crate::{
    error::{Error, ErrorKind},
    platform::Platform,
    provider::constants::SHARED_POLL,
    shared::marked::MarkedToken,
    store::{Fence, Leased, Saved, SharedStore},
    sync::lock,
};

/// The most often that a notification of the store shortens a wait.
const MOST_HINTS: u32 = 10;

/// The most often that a store may show a newer record than it lets read, as one whose reads lag behind.
const MOST_NEWER: u32 = 20;

/// What a clone knows of its own use of the token.
#[derive(Default)]
pub(super) struct Turn {
    /// The lease, until it has ended.
    pub(super) fence: Option<Fence>,
    /// The mark that this clone made last, or is making.
    pub(super) mark: Option<u64>,
    /// The mark of a token that was not sent, or not used up.
    pub(super) harmless: Option<u64>,
}

impl<S: SharedStore> SharedRefreshToken<S> {
    /// Waits for the lease. Returns its fence with what was found under it.
    pub(super) async fn acquire(
        &self,
        platform: &Platform,
        sealing: &Sealing,
        is_patient: bool,
    ) -> Result<(Fence, Found), Error> {
        let inner = &self.inner;
        let (mut step, mut hints, mut newer) = (SHARED_POLL.0, 0, 0);
        loop {
            let found = inner.read(platform, sealing).await?;
            let wait = match self.patience().checked_sub(found.age).filter(|left| !left.is_zero()) {
                Some(left) if is_patient && self.is_in_use(&found) => left,
                _ => {
                    let call = inner.store.lease(&sealing.key, found.version, self.settings.lease);
                    match inner.ask(platform, call).await? {
                        Leased::Granted(fence) => return Ok((fence, found)),
                        // Usually another host was faster, and the next read shows its record.
                        Leased::Newer(_) if newer == 0 => {
                            newer += 1;
                            continue;
                        }
                        Leased::Newer(_) if newer == MOST_NEWER => return Err(lagging()),
                        Leased::Newer(_) => {
                            newer += 1;
                            step
                        }
                        Leased::Held(remaining) => remaining,
                    }
                }
            };
            // A lease that has no time left, and does not end, must not become a busy loop.
            let wait = wait.saturating_add(Duration::from_millis(1)).max(step / 8).min(step);
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

    /// Replaces the expected token, whichever replica has the lease. If this replica has the lease because it uses the
    /// token, it keeps the lease: a mark may follow.
    pub(super) async fn replace(
        &self,
        platform: &Platform,
        is_expected: impl Fn(&MarkedToken) -> bool,
        next: MarkedToken,
    ) -> Result<bool, Error> {
        let inner = &self.inner;
        let sealing = inner.sealing(platform).await?;
        let mut found = inner.read(platform, &sealing).await?;
        let mut fence = lock(&self.turn).fence.take();
        let is_use = fence.is_some();
        let keep = |fence| {
            if is_use {
                lock(&self.turn).fence = fence;
            }
        };
        loop {
            let is_done = found.content == next;
            if is_done || !is_expected(&found.content) {
                keep(fence);
                return Ok(is_done);
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
                Saved::Saved(_) => {
                    keep(Some(used));
                    return Ok(true);
                }
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
        let Ok(sealing) = self.inner.sealing(&platform).await else { return };
        if let Some(fence) = fence {
            self.inner.release(&platform, &sealing.key, fence).await;
        }
        if mark.is_some()
            && let Ok(found) = self.inner.read(&platform, &sealing).await
            && found.content.mark == mark
            // The response of an earlier request is still missing.
            && found.content.sent_before.is_zero()
        {
            let next = MarkedToken { mark: None, ..found.content };
            // If it fails, this clone knows that the mark means nothing, and the others wait for it.
            drop(self.replace(&platform, |content| content.mark == mark, next).await);
        }
    }

    /// A handle for the same use of the token.
    pub(super) fn handle(&self) -> Self {
        SharedRefreshToken { inner: Arc::clone(&self.inner), turn: Arc::clone(&self.turn), settings: self.settings }
    }
}

fn lagging() -> Error {
    Error::new(ErrorKind::Source, "found a shared store whose reads do not show the refresh token that it has")
}

/// The use of the token by one fetch. Dropping it settles what is left in the store.
pub(super) struct Holder<S: SharedStore> {
    pub(super) store: SharedRefreshToken<S>,
    pub(super) platform: Platform,
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
