//! A limit on how many fetches are in progress at the same time.
//!
//! Not a semaphore: a fetch may be held by a runtime that exists and is no longer driven. Its turn ends with its deadline.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    future::{self, Future},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    error::{Error, ErrorKind},
    platform::{BoxFuture, Platform},
    source::{DynTokenSource, FetchContext},
    sync::{Mutex, lock},
    token::AccessToken,
};

pub(crate) struct FetchLimit {
    most: usize,
    turns: Mutex<Turns>,
    freed: Notify,
}

#[derive(Default)]
struct Turns {
    last: u64,
    /// When each of the turns in progress ends by itself, by the monotonic clock.
    ends: BTreeMap<u64, Duration>,
}

/// A fetch's permission to be in progress.
struct Turn {
    limit: Arc<FetchLimit>,
    id: u64,
}

impl FetchLimit {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(FetchLimit { most, turns: Mutex::default(), freed: Notify::new() })
    }

    /// Waits for a turn that ends by itself at `end`.
    async fn turn(self: &Arc<Self>, platform: &Platform, end: Duration) -> Option<Turn> {
        let mut was_woken = false;
        loop {
            // Registered before the look, so that nothing is missed between the two.
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            let now = platform.now().monotonic();
            // A fetch that would be aborted at once is not begun.
            if now >= end {
                if was_woken {
                    // The turn that became free belongs to the next waiter.
                    self.freed.notify_one();
                }
                return None;
            }
            let next_end = match self.try_turn(now, end) {
                Ok(turn) => return Some(turn),
                Err(next_end) => next_end,
            };
            let mut over = platform.sleep_until(next_end.min(end));
            was_woken = future::poll_fn(|cx| match freed.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => over.as_mut().poll(cx).map(|()| false),
            })
            .await;
        }
    }

    fn try_turn(self: &Arc<Self>, now: Duration, end: Duration) -> Result<Turn, Duration> {
        let mut turns = lock(&self.turns);
        if turns.ends.len() >= self.most {
            turns.ends.retain(|_, end| now < *end);
        }
        if turns.ends.len() >= self.most {
            return Err(turns.ends.values().min().copied().unwrap_or(end));
        }
        turns.last += 1;
        let id = turns.last;
        turns.ends.insert(id, end);
        Ok(Turn { limit: Arc::clone(self), id })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let was_held = lock(&self.limit.turns).ends.remove(&self.id).is_some();
        if was_held {
            self.limit.freed.notify_one();
        }
    }
}

/// A source whose fetches wait for their turn.
pub(crate) struct Limited {
    pub(crate) source: Arc<dyn DynTokenSource>,
    pub(crate) limit: Arc<FetchLimit>,
}

impl DynTokenSource for Limited {
    fn fetch(self: Arc<Self>, cx: FetchContext) -> BoxFuture<Result<AccessToken, Error>> {
        Box::pin(async move {
            let turn = self.limit.turn(cx.platform(), cx.deadline().monotonic()).await;
            let Some(_turn) = turn else {
                let message = format!(
                    "the fetch waited for its turn until its deadline, because {} others were in progress; raise \
                     max_concurrent_fetches or the fetch timeout",
                    self.limit.most
                );
                return Err(Error::new(ErrorKind::Timeout, message));
            };
            self.source.clone().fetch(cx).await
        })
    }

    fn has_changed(&self) -> bool {
        self.source.has_changed()
    }

    fn name(&self) -> Cow<'_, str> {
        self.source.name()
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use std::task::{Context, Waker};

    use super::*;
    use crate::test_support::ManualClock;

    #[test]
    fn a_waiter_past_its_deadline_passes_its_turn_on() {
        let clock = ManualClock::default();
        let (platform, limit) = (clock.platform(), FetchLimit::new(1));
        let end = |seconds| platform.now().after(Duration::from_secs(seconds)).monotonic();
        let mut cx = Context::from_waker(Waker::noop());
        let first = limit.try_turn(platform.now().monotonic(), end(100)).ok();
        let mut early = Box::pin(limit.turn(&platform, end(5)));
        let mut late = Box::pin(limit.turn(&platform, end(90)));
        assert!(early.as_mut().poll(&mut cx).is_pending());
        assert!(late.as_mut().poll(&mut cx).is_pending());
        drop(first);
        clock.advance(Duration::from_secs(6));
        assert!(matches!(early.as_mut().poll(&mut cx), Poll::Ready(None)));
        assert!(matches!(late.as_mut().poll(&mut cx), Poll::Ready(Some(_))));
    }
}
