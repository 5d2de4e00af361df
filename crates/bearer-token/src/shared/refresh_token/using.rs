//! One use of the token: the lease, what a save replaces, and how it ends.

use std::{sync::Arc, time::Duration};

use super::{SharedRefreshToken, known::Found, sealed::Sealing, unreadable::Unreadable};
use crate::{
    error::{Error, ErrorKind},
    observe::Scope,
    platform::Platform,
    provider::constants::{SHARED_POLL, SHARED_TOKEN_LEASE},
    shared::marked::{Descent, MarkedToken},
    store::{Fence, Leased, Saved, SharedStore},
    sync::lock,
};

/// The most often that a notification of the store shortens a wait.
const MOST_HINTS: u32 = 10;

/// The most often that a store may show a newer record than it lets read, as one whose reads lag behind.
const MOST_NEWER: u32 = 20;

/// How often the store had a newer record than it let read, within one use of it.
#[derive(Default)]
struct Newer(u32);

impl Newer {
    /// Counts one more. Whether to pause before the next look: usually another host was only faster, and the next read
    /// shows its record.
    fn wants_pause(&mut self) -> Result<bool, Error> {
        self.0 += 1;
        if self.0 > MOST_NEWER { Err(lagging()) } else { Ok(self.0 > 1) }
    }
}

/// What a clone knows of its own use of the token.
#[derive(Default)]
pub(super) struct Turn {
    /// The lease, until it has ended.
    pub(super) fence: Option<Fence>,
    /// The keys and the name under which the lease was granted. The fence means nothing under another name.
    pub(super) sealing: Option<Sealing>,
    /// The mark that this clone made last, or is making.
    pub(super) mark: Option<u64>,
    /// The mark of a token that was not sent, or not used up.
    pub(super) harmless: Option<u64>,
    /// The mark that was in the record when that one was made.
    pub(super) earlier: Option<Earlier>,
}

/// A mark that was replaced, unless the save of the next one never arrived.
#[derive(Clone, Copy)]
pub(super) struct Earlier {
    pub(super) mark: u64,
    /// It was this clone's own, and meant nothing. Otherwise the token is sent again.
    pub(super) is_harmless: bool,
}

impl Turn {
    pub(super) fn is_harmless(&self, mark: u64) -> bool {
        let is_earlier = self.earlier.is_some_and(|earlier| earlier.is_harmless && earlier.mark == mark);
        self.harmless == Some(mark) || is_earlier
    }
}

/// A mark that means nothing, and the one that was in the record before it.
#[derive(Clone, Copy)]
pub(super) struct Harmless {
    pub(super) mark: u64,
    pub(super) earlier: Option<Earlier>,
}

impl<S: SharedStore> SharedRefreshToken<S> {
    /// Waits for the lease. What the record had before may be replaced by then, also under the same version. So the
    /// holder reads it again. A record that cannot be read is no failure here: its caller decides.
    pub(super) async fn acquire(
        &self,
        platform: &Platform,
        sealing: &Sealing,
        is_patient: bool,
    ) -> Result<Result<Fence, Unreadable>, Error> {
        let inner = &self.inner;
        let (mut step, mut hints, mut newer) = (SHARED_POLL.0, 0, Newer::default());
        loop {
            let found = match inner.look(platform, sealing).await? {
                Ok(found) => found,
                Err(unreadable) => return Ok(Err(unreadable)),
            };
            // Another host may be using what the store shows in place of what it has lost.
            let (is_in_use, age) = match found.lost.and_then(|lost| lost.marked_for) {
                Some(marked_for) => (true, marked_for),
                None => (self.is_in_use(&found), found.age),
            };
            let wait = match self.patience().checked_sub(age).filter(|left| !left.is_zero()) {
                Some(left) if is_patient && is_in_use => left,
                _ => {
                    let call = inner.store.lease(&sealing.key, found.version, self.settings.lease);
                    match inner.ask(platform, call).await? {
                        Leased::Granted(fence) => return Ok(Ok(fence)),
                        Leased::Newer(_) if newer.wants_pause()? => step,
                        Leased::Newer(_) => continue,
                        Leased::Held(remaining) if remaining > self.longest_lease() => {
                            return Err(long_lease(remaining));
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

    /// The longest lease that is believed. Another host may have another setting.
    fn longest_lease(&self) -> Duration {
        self.settings.lease.saturating_mul(2).max(SHARED_TOKEN_LEASE * 2)
    }

    /// Replaces the expected token, whichever replica has the lease. If this replica has the lease because it uses the
    /// token, it keeps the lease: a mark may follow. `descent` gives that of the next one.
    pub(super) async fn replace(
        &self,
        platform: &Platform,
        sealing: Sealing,
        is_expected: impl Fn(&MarkedToken) -> bool,
        descent: impl Fn(Descent, Fence) -> Descent,
        next: MarkedToken,
    ) -> Result<bool, Error> {
        let inner = &self.inner;
        let mut found = inner.read(platform, &sealing).await?;
        // It stays in the turn, whose end releases it.
        let mut granted = {
            let turn = lock(&self.turn);
            // A new consent goes to the name of now.
            turn.fence.filter(|_| turn.sealing.as_ref().is_some_and(|begun| begun.key == sealing.key))
        };
        let is_use = granted.is_some();
        loop {
            let is_done = |found: &Found| found.lost.is_none() && !found.is_unreadable && found.content.is_like(&next);
            if is_done(&found) || !is_expected(&found.content) {
                return Ok(is_done(&found));
            }
            let (fence, brief) = match granted.take() {
                Some(fence) => (fence, None),
                None => {
                    let fence = self.acquire(platform, &sealing, false).await??;
                    let brief = self.brief(platform, &sealing, fence);
                    // Two saves under one lease have one version, so only the content says what it is now.
                    found = inner.read(platform, &sealing).await?;
                    if is_done(&found) || !is_expected(&found.content) {
                        brief.forget();
                        inner.release(platform, &sealing.key, fence).await;
                        return Ok(is_done(&found));
                    }
                    (fence, Some(brief))
                }
            };
            let asked = platform.now().monotonic();
            let next = MarkedToken { descent: descent(found.content.descent, fence), ..next.clone() };
            let saved = inner.save(platform, &sealing, &next, fence, found.version).await?;
            if let Some(brief) = brief {
                brief.forget();
            }
            match saved {
                Saved::Saved(_) => {
                    if is_use {
                        lock(&self.turn).fence = Some(fence);
                    }
                    return Ok(true);
                }
                Saved::Fenced => {}
                Saved::Changed(snapshot) => {
                    inner.release(platform, &sealing.key, fence).await;
                    found = inner.open(&snapshot, asked, &sealing)?;
                }
            }
        }
    }

    /// Ends the use of the token: releases the lease, and removes a mark that means nothing. It tries for as long as
    /// others wait for the mark.
    async fn settle(self, platform: Platform, begun: Option<Sealing>, fence: Option<Fence>, mark: Option<Harmless>) {
        let sealing = match begun {
            Some(sealing) => sealing,
            // An overdue use, whose lease another one of this clone has ended.
            None => match self.inner.sealing(&platform).await {
                Ok(sealing) => sealing,
                Err(_) => return,
            },
        };
        if let Some(fence) = fence {
            self.inner.release(&platform, &sealing.key, fence).await;
        }
        let Some(mark) = mark else { return };
        let until = platform.now().after(self.settings.lease).monotonic();
        let removed = async {
            while self.remove(&platform, &sealing, mark).await.is_err() {
                platform.sleep_until(platform.now().after(SHARED_POLL.1).monotonic()).await;
            }
        };
        // If it fails, this clone knows that the mark means nothing, and a person has to help the others.
        platform.before(until, removed).await;
    }

    /// Removes this mark under a new lease. So a save of the mark that is still on its way is refused when it arrives.
    ///
    /// An earlier mark stays, but the lease is taken all the same. The new mark tells how long ago the token was sent
    /// first, and that would be wrong if it arrived late.
    pub(super) async fn remove(&self, platform: &Platform, sealing: &Sealing, mark: Harmless) -> Result<(), Error> {
        let inner = &self.inner;
        let Harmless { mark, earlier } = mark;
        let (mut step, mut newer) = (SHARED_POLL.0, Newer::default());
        loop {
            let found = inner.read(platform, sealing).await?;
            let is_earlier = |mark| earlier.filter(|earlier| Some(earlier.mark) == mark);
            if found.content.mark.is_some_and(|other| other != mark) && is_earlier(found.content.mark).is_none() {
                // That use has a later lease.
                return Ok(());
            }
            let call = inner.store.lease(&sealing.key, found.version, self.settings.lease);
            let fence = match inner.ask(platform, call).await? {
                Leased::Granted(fence) => fence,
                Leased::Newer(_) => {
                    if !newer.wants_pause()? {
                        continue;
                    }
                    platform.sleep_until(platform.now().after(step).monotonic()).await;
                    step = (step * 2).min(SHARED_POLL.1);
                    continue;
                }
                Leased::Held(remaining) => {
                    let wait = remaining.saturating_add(Duration::from_millis(1)).min(SHARED_POLL.1);
                    platform.sleep_until(platform.now().after(wait).monotonic()).await;
                    continue;
                }
            };
            let brief = self.brief(platform, sealing, fence);
            // The save of an earlier mark of the same lease may have arrived late, or this one.
            let found = inner.read(platform, sealing).await?;
            let means_nothing = found.content.mark == Some(mark)
                || is_earlier(found.content.mark).is_some_and(|earlier| earlier.is_harmless);
            // One that was sent before has its response missing.
            if means_nothing && found.content.sent_before.is_zero() {
                let next = MarkedToken { mark: None, ..found.content };
                let saved = inner.save(platform, sealing, &next, fence, found.version).await?;
                brief.forget();
                match saved {
                    Saved::Saved(_) => return Ok(()),
                    // This host stood still. The holder of the later lease may have seen the mark, and done nothing.
                    Saved::Fenced => {}
                    Saved::Changed(_) => inner.release(platform, &sealing.key, fence).await,
                }
                if newer.wants_pause()? {
                    platform.sleep_until(platform.now().after(step).monotonic()).await;
                    step = (step * 2).min(SHARED_POLL.1);
                }
                continue;
            }
            brief.forget();
            inner.release(platform, &sealing.key, fence).await;
            return Ok(());
        }
    }

    /// A lease that was granted for one save.
    fn brief(&self, platform: &Platform, sealing: &Sealing, fence: Fence) -> BriefLease<S> {
        let (store, scope) = (self.handle(), Some(Scope::current()));
        BriefLease { store, platform: platform.clone(), sealing: sealing.clone(), fence: Some(fence), scope }
    }

    /// A handle for the same use of the token.
    pub(super) fn handle(&self) -> Self {
        SharedRefreshToken { inner: Arc::clone(&self.inner), turn: Arc::clone(&self.turn), settings: self.settings }
    }
}

/// The lease may still be in use, so nothing can replace it. Waiting for it would only hide the cause.
fn long_lease(remaining: Duration) -> Error {
    let message = format!(
        "found a lease of the refresh token that lasts for {} s, longer than any host asks for; the clock of the shared \
         store was set back, and nothing is sent until the lease ends",
        remaining.as_secs()
    );
    Error::new(ErrorKind::Source, message)
}

fn lagging() -> Error {
    Error::new(ErrorKind::Source, "found a shared store whose reads do not show the refresh token that it has")
}

/// The use of the token by one fetch. Dropping it settles what is left in the store.
pub(super) struct Holder<S: SharedStore> {
    pub(super) store: SharedRefreshToken<S>,
    pub(super) platform: Platform,
    /// Where the events of the task go that settles it. A fetch is dropped outside of its scope.
    pub(super) scope: Option<Scope>,
}

impl<S: SharedStore> Drop for Holder<S> {
    fn drop(&mut self) {
        let (sealing, fence, mark) = {
            let mut turn = lock(&self.store.turn);
            // A fetch that lost its lease may still say that its mark was harmless.
            let harmless = turn.harmless;
            let earlier = turn.earlier;
            let mark = turn.mark.take_if(|mark| harmless == Some(*mark)).map(|mark| Harmless { mark, earlier });
            (turn.sealing.take(), turn.fence.take(), mark)
        };
        if fence.is_some() || mark.is_some() {
            let settled = self.store.handle().settle(self.platform.clone(), sealing, fence, mark);
            // Where nothing can be spawned, the lease ends by itself.
            let scope = self.scope.take().unwrap_or_else(Scope::current);
            drop(self.platform.spawn(Box::pin(scope.run(settled))));
        }
    }
}

/// A lease for one save. If its caller is dropped, or the save fails, a task of its own releases it.
struct BriefLease<S: SharedStore> {
    store: SharedRefreshToken<S>,
    platform: Platform,
    sealing: Sealing,
    fence: Option<Fence>,
    scope: Option<Scope>,
}

impl<S: SharedStore> BriefLease<S> {
    /// The lease has ended, or is released elsewhere.
    fn forget(mut self) {
        self.fence = None;
    }
}

impl<S: SharedStore> Drop for BriefLease<S> {
    fn drop(&mut self) {
        if let Some(fence) = self.fence {
            let (platform, sealing) = (self.platform.clone(), self.sealing.clone());
            let released = self.store.handle().settle(platform, Some(sealing), Some(fence), None);
            // Where nothing can be spawned, the lease ends by itself.
            let scope = self.scope.take().unwrap_or_else(Scope::current);
            drop(self.platform.spawn(Box::pin(scope.run(released))));
        }
    }
}
