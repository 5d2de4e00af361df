//! A clock that only a test moves.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bearer_token::platform::{BoxFuture, Clock, Moment};

use crate::tally::Tally;

/// A clock that stands still until a test moves it.
///
/// Its monotonic time and its time of day move together, or each alone. Clones are the same clock. Give one to the
/// [`Platform`](bearer_token::platform::Platform) of the code under test, and another to the server
/// ([`AuthorizationServerBuilder::clock`](crate::AuthorizationServerBuilder::clock)) if both must agree on the time.
///
/// Neither tokio's paused time nor `faketime` can replace it: see [Time in tests](crate#time-in-tests).
///
/// ```
/// use bearer_token::platform::Platform;
/// use bearer_token_testing::ManualClock;
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let platform = Platform::system().with_clock(clock.clone());
/// let before = platform.now();
///
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(platform.now(), before.after(Duration::from_secs(60)));
///
/// // The machine slept: the time of day advanced, the monotonic clock did not.
/// clock.advance_wall(Duration::from_secs(3600));
/// assert_eq!(platform.now().monotonic(), before.after(Duration::from_secs(60)).monotonic());
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<ClockInner>);

struct ClockInner {
    state: Mutex<ClockState>,
    sleepers: Tally<usize>,
}

struct ClockState {
    monotonic: Duration,
    /// Since 1970.
    wall: Duration,
    sleepers: HashMap<u64, (Duration, Waker)>,
    next_sleeper: u64,
}

/// 2026-01-01T00:00:00Z. Fixed, so a test sees the same times in every run.
const START: Duration = Duration::from_secs(1_767_225_600);

impl ManualClock {
    /// Creates a clock that starts at midnight of 2026-01-01 UTC.
    pub fn new() -> Self {
        ManualClock::at(UNIX_EPOCH + START)
    }

    /// Creates a clock that starts at this time of day. Times before 1970 count as 1970.
    pub fn at(wall: SystemTime) -> Self {
        let state = ClockState {
            // Not zero: saturation would hide code that subtracts from it by mistake.
            monotonic: Duration::from_secs(1_000),
            wall: since_epoch(wall),
            sleepers: HashMap::new(),
            next_sleeper: 0,
        };
        ManualClock(Arc::new(ClockInner { state: Mutex::new(state), sleepers: Tally::default() }))
    }

    /// Moves both clocks forward, and wakes the sleepers that are due.
    pub fn advance(&self, time: Duration) {
        self.0.change(|state| {
            state.monotonic = state.monotonic.saturating_add(time);
            state.wall = state.wall.saturating_add(time);
        });
    }

    /// Moves the monotonic clock alone, as if the time of day had been set back meanwhile. Wakes the sleepers that are
    /// due.
    pub fn advance_monotonic(&self, time: Duration) {
        self.0.change(|state| state.monotonic = state.monotonic.saturating_add(time));
    }

    /// Moves the time of day alone, as if the machine had slept or the clock had been set. Wakes no sleepers.
    pub fn advance_wall(&self, time: Duration) {
        self.0.change(|state| state.wall = state.wall.saturating_add(time));
    }

    /// Sets the time of day back, but not before 1970.
    pub fn rewind_wall(&self, time: Duration) {
        self.0.change(|state| state.wall = state.wall.saturating_sub(time));
    }

    /// Sets the time of day. Times before 1970 count as 1970.
    pub fn set_wall(&self, time: SystemTime) {
        self.0.change(|state| state.wall = since_epoch(time));
    }

    /// The number of futures that wait for this clock: polled at least once, and neither woken nor dropped.
    pub fn sleepers(&self) -> usize {
        self.0.lock().sleepers.len()
    }

    /// Completes when at least `count` futures wait for this clock.
    ///
    /// Before a test moves the clock, it waits here until its code waits for nothing but time. There is no deadline:
    /// add one where the test could hang. Works inside and outside a runtime.
    pub async fn wait_for_sleepers(&self, count: usize) {
        // The tally is written after the lock is released, so it may be outdated; the map is not.
        self.0.sleepers.wait_for(|_| self.sleepers() >= count).await;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        let state = self.0.lock();
        Moment::new(state.monotonic, UNIX_EPOCH.checked_add(state.wall).unwrap_or(UNIX_EPOCH))
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        Box::pin(Sleep { clock: Arc::clone(&self.0), deadline, id: None })
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("ManualClock")
            .field("monotonic", &state.monotonic)
            .field("since_epoch", &state.wall)
            .field("sleepers", &state.sleepers.len())
            .finish()
    }
}

impl ClockInner {
    fn lock(&self) -> MutexGuard<'_, ClockState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut ClockState)) {
        let mut state = self.lock();
        change(&mut state);
        let now = state.monotonic;
        let (due, later) = mem::take(&mut state.sleepers).into_iter().partition(|(_, (deadline, _))| *deadline <= now);
        state.sleepers = later;
        let left = state.sleepers.len();
        drop(state);
        self.sleepers.update(|count| *count = left);
        // Without the lock: a waker may poll at once, and the future may read the clock.
        let due: HashMap<u64, (Duration, Waker)> = due;
        for (_, (_, waker)) in due {
            waker.wake();
        }
    }
}

/// A future that waits for a manual clock, which forgets it when it is dropped.
struct Sleep {
    clock: Arc<ClockInner>,
    deadline: Duration,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Cloned before the lock is taken, and the old one dropped after it: both may run user code.
        let waker = cx.waker().clone();
        let mut state = this.clock.lock();
        if state.monotonic >= this.deadline {
            return Poll::Ready(());
        }
        let id = *this.id.get_or_insert_with(|| {
            state.next_sleeper += 1;
            state.next_sleeper
        });
        let old = state.sleepers.insert(id, (this.deadline, waker));
        let count = state.sleepers.len();
        drop(state);
        if old.is_none() {
            this.clock.sleepers.update(|sleepers| *sleepers = count);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let mut state = self.clock.lock();
            let old = state.sleepers.remove(&id);
            let count = state.sleepers.len();
            drop(state);
            if old.is_some() {
                self.clock.sleepers.update(|sleepers| *sleepers = count);
            }
        }
    }
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(sleep: &mut BoxFuture<()>, count: &Arc<Count>) -> Poll<()> {
        sleep.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(count))))
    }

    #[test]
    fn both_clocks_move_together_or_alone() {
        let clock = ManualClock::new();
        let start = clock.now();
        clock.advance(SECOND);
        assert_eq!(clock.now(), start.after(SECOND));
        clock.advance_monotonic(SECOND);
        clock.advance_wall(3 * SECOND);
        clock.rewind_wall(SECOND);
        assert_eq!(clock.now().monotonic(), start.monotonic() + 2 * SECOND);
        assert_eq!(clock.now().since_epoch(), start.since_epoch() + 3 * SECOND);
        clock.set_wall(UNIX_EPOCH + SECOND);
        assert_eq!(clock.now().wall(), UNIX_EPOCH + SECOND);
        clock.rewind_wall(Duration::MAX);
        assert_eq!(clock.now().wall(), UNIX_EPOCH);
        // Nothing overflows.
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert!(start.is_past(clock.now()));
    }

    #[test]
    fn monotonic_time_wakes_sleepers_that_are_due() {
        let clock = ManualClock::new();
        let start = clock.now().monotonic();
        let wakes: [Arc<Count>; 3] = Default::default();
        let mut sleeps = [1, 2, 3].map(|seconds| clock.sleep_until(start + seconds * SECOND));
        for (sleep, count) in sleeps.iter_mut().zip(&wakes) {
            assert!(poll(sleep, count).is_pending());
        }
        let woken = || [0, 1, 2].map(|index: usize| wakes[index].0.load(Ordering::SeqCst));
        clock.advance_wall(10 * SECOND);
        assert_eq!((woken(), clock.sleepers()), ([0, 0, 0], 3));
        clock.advance_monotonic(2 * SECOND);
        assert_eq!((woken(), clock.sleepers()), ([1, 1, 0], 1));
        assert!(poll(&mut sleeps[1], &wakes[1]).is_ready());
        assert!(poll(&mut sleeps[2], &wakes[2]).is_pending());
        clock.advance(SECOND);
        assert_eq!(woken(), [1, 1, 1]);
        assert!(poll(&mut sleeps[2], &wakes[2]).is_ready());
    }

    #[test]
    fn dropped_sleepers_are_forgotten_and_moved_ones_wake() {
        let clock = ManualClock::new();
        let deadline = clock.now().monotonic() + SECOND;
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut dropped = clock.sleep_until(deadline);
        assert!(poll(&mut dropped, &first).is_pending());
        drop(dropped);
        assert_eq!(clock.sleepers(), 0);
        let mut moved = clock.sleep_until(deadline);
        assert!(poll(&mut moved, &first).is_pending());
        assert!(poll(&mut moved, &second).is_pending());
        assert_eq!(clock.sleepers(), 1);
        clock.advance(SECOND);
        assert_eq!((first.0.load(Ordering::SeqCst), second.0.load(Ordering::SeqCst)), (0, 1));
        // A sleep that is due from the start is ready at once.
        assert!(poll(&mut clock.sleep_until(deadline), &first).is_ready());
    }

    #[tokio::test]
    async fn sleepers_on_other_runtimes_are_counted_and_woken() {
        let clock = ManualClock::new();
        let deadline = clock.now().monotonic() + SECOND;
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let clock = clock.clone();
                std::thread::Builder::new()
                    .spawn(move || {
                        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                        runtime.block_on(async {
                            let mut set = tokio::task::JoinSet::new();
                            for _ in 0..250 {
                                set.spawn(clock.sleep_until(deadline));
                            }
                            set.join_all().await.len()
                        })
                    })
                    .unwrap()
            })
            .collect();
        clock.wait_for_sleepers(1_000).await;
        assert_eq!(clock.sleepers(), 1_000);
        clock.advance(SECOND);
        let woken: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!((woken, clock.sleepers()), (1_000, 0));
    }
}
