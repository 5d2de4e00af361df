use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use crate::platform::{BoxFuture, Clock, Job, Now, Platform, Spawn};

/// A file of `testdata`, all of which `testdata/make.sh` makes with openssl.
pub(super) fn pem(name: &str) -> String {
    let path = format!("{}/src/jwt/testdata/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(super) struct ManualClock(Arc<Mutex<Duration>>);

impl ManualClock {
    pub(super) fn at(since_epoch: Duration) -> Self {
        ManualClock(Arc::new(Mutex::new(since_epoch)))
    }

    pub(super) fn advance(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        let wall = *self.0.lock().unwrap();
        Now::new(wall, UNIX_EPOCH + wall)
    }

    fn sleep_until(&self, _deadline: Duration) -> BoxFuture<()> {
        Box::pin(std::future::pending())
    }
}

pub(super) fn platform_at(seconds: u64) -> Platform {
    Platform::system().with_clock(ManualClock::at(Duration::from_secs(seconds)))
}

/// Counts the jobs that it runs, in place.
#[derive(Default)]
pub(super) struct CountingSpawn(Arc<AtomicUsize>);

impl CountingSpawn {
    pub(super) fn jobs(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }
}

impl Spawn for CountingSpawn {
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        Err(task)
    }

    fn run_blocking(&self, job: Job) -> Result<(), Job> {
        self.0.fetch_add(1, Ordering::Relaxed);
        job();
        Ok(())
    }
}
