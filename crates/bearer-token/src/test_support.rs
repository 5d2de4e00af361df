//! Doubles of the platform for the unit tests of every room.
#![allow(dead_code, reason = "a feature set without jwt or oauth uses only some of them")]

use std::{
    future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    time::{Duration, UNIX_EPOCH},
};

use crate::{
    error::{Error, ErrorKind},
    platform::{BoxFuture, Clock, Entropy, Job, Moment, Platform, Spawn},
    source::FetchContext,
    token::FetchReason,
};

/// The monotonic time at which every clock of this module starts.
///
/// It is not zero, because saturation at zero would hide a wrong subtraction.
const MONOTONIC_START: Duration = Duration::from_secs(1_000);

/// The time of day at which a default clock starts: 1994-11-06T08:49:37Z, the example of RFC 9110 section 5.6.7.
pub(crate) const WALL_START: Duration = Duration::from_secs(784_111_777);

/// A clock that moves only when the test advances it. Clones share the time.
#[derive(Clone)]
pub(crate) struct ManualClock(Arc<Mutex<ManualTime>>);

struct ManualTime {
    now: Moment,
    sleepers: Vec<Waker>,
}

impl ManualClock {
    /// A clock whose time of day is this long after 1970.
    pub(crate) fn at(since_epoch: Duration) -> Self {
        let now = Moment::new(MONOTONIC_START, UNIX_EPOCH + since_epoch);
        ManualClock(Arc::new(Mutex::new(ManualTime { now, sleepers: Vec::new() })))
    }

    /// Advances the monotonic clock and the time of day.
    pub(crate) fn advance(&self, time: Duration) {
        let woken = {
            let mut state = self.0.lock().unwrap();
            state.now = state.now.after(time);
            std::mem::take(&mut state.sleepers)
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// The system's platform with this clock.
    pub(crate) fn platform(&self) -> Platform {
        Platform::system().with_clock(self.clone())
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock::at(WALL_START)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        self.0.lock().unwrap().now
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        let clock = self.clone();
        Box::pin(future::poll_fn(move |cx| {
            let waker = cx.waker().clone();
            let mut state = clock.0.lock().unwrap();
            if state.now.monotonic() >= deadline {
                return Poll::Ready(());
            }
            state.sleepers.push(waker);
            Poll::Pending
        }))
    }
}

/// A clock whose sleeps take no time: each one moves the clock to its deadline.
#[derive(Clone)]
pub(crate) struct LeapingClock(Arc<Mutex<Leaps>>);

struct Leaps {
    now: Moment,
    sleeps: u32,
    at_sleep: Option<(u32, Box<dyn FnOnce() + Send>)>,
}

impl LeapingClock {
    pub(crate) fn new() -> Self {
        let now = ManualClock::default().now();
        LeapingClock(Arc::new(Mutex::new(Leaps { now, sleeps: 0, at_sleep: None })))
    }

    /// Runs `event` when the sleep with this number begins. The first sleep has number 1.
    pub(crate) fn at_sleep(&self, number: u32, event: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().at_sleep = Some((number, Box::new(event)));
    }

    /// The number of sleeps so far.
    pub(crate) fn sleeps(&self) -> u32 {
        self.0.lock().unwrap().sleeps
    }

    /// The system's platform with this clock.
    pub(crate) fn platform(&self) -> Platform {
        Platform::system().with_clock(self.clone())
    }
}

impl Clock for LeapingClock {
    fn now(&self) -> Moment {
        self.0.lock().unwrap().now
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        let event = {
            let mut state = self.0.lock().unwrap();
            state.sleeps += 1;
            state.now = state.now.after(deadline.saturating_sub(state.now.monotonic()));
            let sleeps = state.sleeps;
            state.at_sleep.take_if(|(number, _)| *number == sleeps)
        };
        if let Some((_, event)) = event {
            event();
        }
        Box::pin(future::ready(()))
    }
}

/// The time of a tokio runtime whose clock is paused (`start_paused`).
pub(crate) struct PausedClock(tokio::time::Instant);

#[allow(clippy::disallowed_methods, reason = "the runtime's time is paused")]
impl PausedClock {
    pub(crate) fn new() -> Self {
        PausedClock(tokio::time::Instant::now())
    }
}

#[allow(clippy::disallowed_methods, reason = "the runtime's time is paused")]
impl Clock for PausedClock {
    fn now(&self) -> Moment {
        Moment::new(self.0.elapsed(), UNIX_EPOCH + WALL_START + self.0.elapsed())
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep_until(self.0 + deadline))
    }
}

/// Randomness that always fails.
pub(crate) struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _bytes: &mut [u8]) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Source, "no randomness in this test"))
    }
}

/// A spawner that refuses tasks, and runs blocking jobs in place and counts them.
#[derive(Clone, Default)]
pub(crate) struct NoSpawn(Arc<AtomicUsize>);

impl NoSpawn {
    /// The number of blocking jobs since the last call.
    pub(crate) fn take_jobs(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Spawn for NoSpawn {
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        Err(task)
    }

    fn run_blocking(&self, job: Job) -> Result<(), Job> {
        self.0.fetch_add(1, Ordering::Relaxed);
        job();
        Ok(())
    }
}

/// A platform whose time of day stays at this many seconds after 1970.
pub(crate) fn platform_at(seconds: u64) -> Platform {
    ManualClock::at(Duration::from_secs(seconds)).platform()
}

/// A fetch because no token is cached, with ten seconds to finish.
pub(crate) fn first_fetch(platform: Platform) -> FetchContext {
    FetchContext::new(platform, Duration::from_secs(10), FetchReason::Missing)
}

#[test]
fn manual_clock_wakes_a_sleeper_at_its_deadline() {
    let clock = ManualClock::default();
    let mut sleep = clock.sleep_until(MONOTONIC_START + Duration::from_secs(2));
    let mut poll = || sleep.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop()));
    for expected in [Poll::Pending, Poll::Pending, Poll::Ready(())] {
        assert_eq!(poll(), expected);
        clock.advance(Duration::from_secs(1));
    }
}
