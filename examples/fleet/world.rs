//! The platform of an instance: manual time, repeatable randomness, and tasks that run when
//! the simulation runs them.

use std::{
    future, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::{Duration, UNIX_EPOCH},
};

use bearer_token::{
    Error,
    platform::{BoxFuture, Clock, Entropy, Moment, Platform, Spawn},
};

/// The world that all instances of a fleet share.
#[derive(Clone)]
pub(crate) struct World {
    time: Arc<AtomicU64>,
    tasks: Arc<Mutex<Vec<BoxFuture<()>>>>,
    chance: Arc<Mutex<fastrand::Rng>>,
}

/// 2026-01-01T00:00:00Z.
const START: Duration = Duration::from_secs(1_767_225_600);

impl World {
    pub(crate) fn new() -> Self {
        World { time: Arc::default(), tasks: Arc::default(), chance: Arc::new(Mutex::new(fastrand::Rng::with_seed(1))) }
    }

    pub(crate) fn platform(&self) -> Platform {
        Platform::system().with_clock(self.clone()).with_entropy(self.clone()).with_spawn(self.clone())
    }

    /// Time since the fleet began.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_nanos(self.time.load(Ordering::Relaxed))
    }

    pub(crate) fn set_time(&self, time: Duration) {
        self.time.store(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A number below this one.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).u64(0..limit)
    }

    /// Runs the spawned tasks. The simulated server and store respond at once, so no task ever waits.
    pub(crate) fn run_tasks(&self) {
        let tasks = mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for mut task in tasks {
            let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl Clock for World {
    fn now(&self) -> Moment {
        Moment::new(self.time(), UNIX_EPOCH + START + self.time())
    }

    fn sleep_until(&self, _deadline: Duration) -> BoxFuture<()> {
        Box::pin(future::pending())
    }
}

impl Entropy for World {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
        Ok(())
    }
}

impl Spawn for World {
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        Ok(())
    }
}
