//! Which uses of the token the store knows of, and which of them it is told were harmless.
//!
//! Usually one use follows another. An overdue one loses its permit, and lives on beside the next. The store remembers
//! one use only: the last for which `prepare` succeeded. So only that one may say that the token was not used up.
//!
//! ```text
//! the last use ends unsent --- no later prepare is under way ----> the store is told
//!                         +--- one is, and it succeeds ----------> the store has the later use: nothing
//!                         +--- one is, and it fails or is dropped > the store is told then
//! ```
//!
//! The store is told outside the lock, because that is user code. While it is told, no prepare begins: otherwise the
//! store could take the call for the later use, whose token may be sent by then.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use crate::{
    error::Error,
    platform::Platform,
    store::DynRefreshTokenStore,
    sync::{Mutex, lock},
};

/// The uses of the token in a store.
pub(super) struct Turns {
    store: Arc<dyn DynRefreshTokenStore>,
    state: Mutex<State>,
    told: Notify,
}

#[derive(Default)]
struct State {
    /// The number of the last use that began.
    last: u64,
    /// The number of the use that the store knows.
    prepared: u64,
    /// The numbers of the uses for which the store is being prepared.
    preparing: BTreeSet<u64>,
    /// Whether the use that the store knows was harmless, and the store has not been told yet.
    is_owed: bool,
    /// How many threads are telling the store.
    telling: u32,
}

/// A use of a token that the store was prepared for. A use that ends before its request was sent has used nothing up:
/// the client may lack its key, or its caller may be gone.
pub(super) struct Turn {
    turns: Option<Arc<Turns>>,
    number: u64,
    sent: AtomicBool,
}

/// A call of `prepare`. If it fails or is dropped, the store still knows the use before.
struct Preparing {
    turns: Arc<Turns>,
    number: u64,
    has_succeeded: bool,
}

impl Turns {
    pub(super) fn new(store: Arc<dyn DynRefreshTokenStore>) -> Arc<Self> {
        Arc::new(Turns { store, state: Mutex::default(), told: Notify::new() })
    }

    /// Fails if a successor could not be saved.
    pub(super) async fn begin(self: &Arc<Self>, platform: &Platform) -> Result<Turn, Error> {
        let mut preparing = self.next().await;
        self.store.prepare(platform).await?;
        preparing.has_succeeded = true;
        Ok(Turn { turns: Some(Arc::clone(self)), number: preparing.number, sent: AtomicBool::new(false) })
    }

    /// Waits until the store is not being told of an earlier use.
    async fn next(self: &Arc<Self>) -> Preparing {
        loop {
            // Registered before the look, so no end is missed in between.
            let mut told = pin!(self.told.notified());
            told.as_mut().enable();
            if let Some(number) = lock(&self.state).next() {
                return Preparing { turns: Arc::clone(self), number, has_succeeded: false };
            }
            told.await;
        }
    }

    /// Tells the store, if that is due. A panic of the store ends here, because this may run while another one unwinds.
    fn tell_if_due(&self, note: impl FnOnce(&mut State)) {
        let is_due = {
            let mut state = lock(&self.state);
            note(&mut state);
            state.take_due()
        };
        if is_due {
            drop(catch_unwind(AssertUnwindSafe(|| self.store.not_used_up())));
            lock(&self.state).telling -= 1;
            self.told.notify_waiters();
        }
    }
}

impl State {
    fn next(&mut self) -> Option<u64> {
        if self.telling > 0 {
            return None;
        }
        self.last += 1;
        self.preparing.insert(self.last);
        Some(self.last)
    }

    /// Whether the store has to be told now. A later prepare that is under way decides that when it ends.
    fn take_due(&mut self) -> bool {
        let is_due = self.is_owed && self.preparing.last().is_none_or(|later| *later < self.prepared);
        if is_due {
            self.is_owed = false;
            self.telling += 1;
        }
        is_due
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        self.turns.tell_if_due(|state| {
            state.preparing.remove(&self.number);
            if self.has_succeeded && self.number > state.prepared {
                (state.prepared, state.is_owed) = (self.number, false);
            }
        });
    }
}

impl Turn {
    /// One that the store knows nothing of.
    pub(super) fn unmarked() -> Self {
        Turn { turns: None, number: 0, sent: AtomicBool::new(false) }
    }

    /// The request is about to be sent. From here on the token may be used up.
    pub(super) fn sends(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    /// Tells the store, unless it knows a later use.
    pub(super) fn not_used_up(&self) {
        if let Some(turns) = &self.turns {
            turns.tell_if_due(|state| state.is_owed |= state.prepared == self.number);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.sent.load(Ordering::Relaxed) {
            self.not_used_up();
        }
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use std::{
        future::Future,
        task::{Context, Poll, Waker},
    };

    use super::*;
    use crate::{
        error::ErrorKind,
        store::{RefreshTokenStore, StoredToken},
    };

    type Prepared = Result<(), ErrorKind>;

    /// What the store was told, and how its calls end. A call of `prepare` waits for its result.
    #[derive(Default)]
    struct Told {
        told: Mutex<u32>,
        results: Mutex<Vec<Prepared>>,
        panics: bool,
    }

    impl RefreshTokenStore for Told {
        async fn load(&self, _: &Platform) -> Result<Option<StoredToken>, Error> {
            Ok(None)
        }

        async fn swap(&self, _: &Platform, _: Option<&StoredToken>, _: Option<&StoredToken>) -> Result<bool, Error> {
            Ok(true)
        }

        async fn prepare(&self, _: &Platform) -> Result<(), Error> {
            let result = std::future::poll_fn(|_| lock(&self.results).pop().map_or(Poll::Pending, Poll::Ready)).await;
            result.map_err(|kind| Error::new(kind, "it may be used up"))
        }

        fn not_used_up(&self) {
            *lock(&self.told) += 1;
            assert!(!self.panics, "the store panics");
        }
    }

    impl Told {
        fn times(&self) -> u32 {
            *lock(&self.told)
        }

        fn ends(&self, result: Prepared) {
            lock(&self.results).push(result);
        }
    }

    fn scene(panics: bool) -> (Arc<Told>, Arc<Turns>) {
        let store = Arc::new(Told { panics, ..Told::default() });
        (Arc::clone(&store), Turns::new(Arc::new(store)))
    }

    /// What comes of a future that is polled once.
    macro_rules! now {
        ($future:expr) => {
            $future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
    }

    fn begin(store: &Told, turns: &Arc<Turns>) -> Turn {
        store.ends(Ok(()));
        let platform = Platform::system();
        let mut begun = pin!(turns.begin(&platform));
        let Poll::Ready(Ok(turn)) = now!(begun) else { panic!("the store was not prepared") };
        turn
    }

    #[test]
    fn an_unsent_turn_after_a_failed_one_still_tells() {
        let platform = Platform::system();
        for result in [Some(Err(ErrorKind::Source)), None] {
            for drops_before in [false, true] {
                let (store, turns) = scene(false);
                let mut first = Some(begin(&store, &turns));
                {
                    let mut second = Box::pin(turns.begin(&platform));
                    assert!(now!(second).is_pending());
                    if drops_before {
                        first = None;
                        assert_eq!(store.times(), 0, "the store may have the later use by now");
                    }
                    if let Some(result) = result {
                        store.ends(result);
                        assert!(matches!(now!(second), Poll::Ready(Err(_))));
                    }
                }
                drop(first);
                assert_eq!(store.times(), 1, "{result:?} {drops_before}");
            }
        }
    }

    #[test]
    fn an_unsent_turn_before_another_one_tells_nothing() {
        let platform = Platform::system();
        for drops_before in [false, true] {
            let (store, turns) = scene(false);
            let mut first = Some(begin(&store, &turns));
            let mut second = Box::pin(turns.begin(&platform));
            assert!(now!(second).is_pending());
            if drops_before {
                first = None;
            }
            store.ends(Ok(()));
            let Poll::Ready(Ok(second)) = now!(second) else { panic!("it was prepared") };
            second.sends();
            drop(first);
            assert_eq!(store.times(), 0, "{drops_before}");
            second.not_used_up();
            drop(second);
            assert_eq!(store.times(), 1, "once, by the server's word");
        }
    }

    #[test]
    fn an_earlier_prepare_that_hangs_silences_no_later_turn() {
        let (platform, (store, turns)) = (Platform::system(), scene(false));
        let mut stuck = Box::pin(turns.begin(&platform));
        assert!(now!(stuck).is_pending());
        drop(begin(&store, &turns));
        assert_eq!(store.times(), 1);
    }

    /// If the panic left a drop that runs while another panic unwinds, the process would end.
    #[test]
    fn a_panic_of_the_store_ends_with_its_call() {
        let (store, turns) = scene(true);
        drop(begin(&store, &turns));
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _turn = begin(&store, &turns);
            panic!("the fetch panics");
        }));
        assert!(unwound.is_err());
        assert_eq!(store.times(), 2);
        begin(&store, &turns).sends();
    }

    #[test]
    fn no_turn_begins_while_the_store_is_told() {
        let (platform, (store, turns)) = (Platform::system(), scene(false));
        store.ends(Ok(()));
        lock(&turns.state).telling = 1;
        let mut next = Box::pin(turns.begin(&platform));
        assert!(now!(next).is_pending());
        lock(&turns.state).telling = 0;
        turns.told.notify_waiters();
        assert!(now!(next).is_ready());
    }
}
