//! A clock that moves when a test moves it.

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

/// A clock that stands still until it is moved, monotonic time and time of day together or each alone.
///
/// Clones are the same clock. Give one to the [`Platform`](bearer_token::platform::Platform) of the code under test,
/// and to the server ([`AuthorizationServerBuilder::clock`](crate::AuthorizationServerBuilder::clock)) if both shall
/// agree on the time.
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
/// // The machine slept: the time of day went on, the monotonic clock did not.
/// clock.advance_wall(Duration::from_secs(3600));
/// assert_eq!(platform.now().monotonic(), before.after(Duration::from_secs(60)).monotonic());
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    sleepers: Tally<usize>,
}

struct State {
    monotonic: Duration,
    /// Since 1970.
    wall: Duration,
    sleepers: HashMap<u64, (Duration, Waker)>,
    next_sleeper: u64,
}

/// 2026-01-01T00:00:00Z. Fixed, so that a test sees the same times whenever it runs.
const START: Duration = Duration::from_secs(1_767_225_600);

impl ManualClock {
    /// A clock that starts at midnight of 2026-01-01 UTC.
    pub fn new() -> Self {
        ManualClock::at(UNIX_EPOCH + START)
    }

    /// A clock that starts at this time of day. Times before 1970 count as 1970.
    pub fn at(wall: SystemTime) -> Self {
        let state = State {
            // Not zero, so that code which subtracts from it by mistake is not saved by saturation.
            monotonic: Duration::from_secs(1_000),
            wall: since_epoch(wall),
            sleepers: HashMap::new(),
            next_sleeper: 0,
        };
        ManualClock(Arc::new(Shared { state: Mutex::new(state), sleepers: Tally::default() }))
    }

    /// Moves both clocks forward, and wakes the sleepers whose time has come.
    pub fn advance(&self, time: Duration) {
        self.0.change(|state| {
            state.monotonic = state.monotonic.saturating_add(time);
            state.wall = state.wall.saturating_add(time);
        });
    }

    /// Moves the monotonic clock alone: the time of day was set back meanwhile. Wakes the sleepers whose time has come.
    pub fn advance_monotonic(&self, time: Duration) {
        self.0.change(|state| state.monotonic = state.monotonic.saturating_add(time));
    }

    /// Moves the time of day alone: the machine slept, or somebody set it forward. Wakes nobody.
    pub fn advance_wall(&self, time: Duration) {
        self.0.change(|state| state.wall = state.wall.saturating_add(time));
    }

    /// Sets the time of day back, to 1970 at the least.
    pub fn rewind_wall(&self, time: Duration) {
        self.0.change(|state| state.wall = state.wall.saturating_sub(time));
    }

    /// Sets the time of day. Times before 1970 count as 1970.
    pub fn set_wall(&self, time: SystemTime) {
        self.0.change(|state| state.wall = since_epoch(time));
    }

    /// How many futures wait for this clock: polled at least once, neither woken nor dropped.
    pub fn sleepers(&self) -> usize {
        self.0.lock().sleepers.len()
    }

    /// Completes when at least `count` futures wait for this clock.
    ///
    /// A test uses it to know that its code has come to the point where only time can help, before it moves the clock.
    /// It has no deadline: give it one where the test could hang. Works inside any runtime, and outside.
    pub async fn wait_for_sleepers(&self, count: usize) {
        // The tally is written after the lock was given back, so its figure may be old; the map is the truth.
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let now = state.monotonic;
        let (due, later) = mem::take(&mut state.sleepers).into_iter().partition(|(_, (deadline, _))| *deadline <= now);
        state.sleepers = later;
        let left = state.sleepers.len();
        drop(state);
        self.sleepers.update(|count| *count = left);
        // Without the lock: a waker may poll in place, and the future may read the clock.
        let due: HashMap<u64, (Duration, Waker)> = due;
        for (_, (_, waker)) in due {
            waker.wake();
        }
    }
}

/// Waits for a manual clock. Forgotten by it when dropped.
struct Sleep {
    clock: Arc<Shared>,
    deadline: Duration,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Cloned before the lock is taken, and the old one dropped after it: both may run foreign code.
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
    fn the_two_clocks_move_together_or_apart() {
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
    fn only_the_monotonic_clock_wakes_and_only_those_whose_time_has_come() {
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
    fn a_dropped_sleeper_is_forgotten_and_a_moved_one_wakes_where_it_was_polled_last() {
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
        // Once the time has come, whoever asks later is not kept waiting.
        assert!(poll(&mut clock.sleep_until(deadline), &first).is_ready());
    }

    #[tokio::test]
    async fn sleepers_on_other_threads_and_runtimes_are_waited_for_and_all_wake() {
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
