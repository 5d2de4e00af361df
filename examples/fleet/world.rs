//! The platform of an instance: virtual time, repeatable randomness, and tasks that run when the simulation runs them.

use std::{
    collections::{BTreeMap, HashMap, btree_map::OccupiedEntry},
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, UNIX_EPOCH},
};

use bearer_token::{
    Error,
    platform::{BoxFuture, Clock, Entropy, Moment, Platform, Spawn},
};

/// The world that all instances of a fleet share.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    time: AtomicU64,
    tasks: Mutex<Tasks>,
    ready: Arc<Mutex<Vec<u64>>>,
    timers: Mutex<BTreeMap<(Duration, u64), Waker>>,
    /// Of tasks and timers.
    next_number: AtomicU64,
    chance: Mutex<fastrand::Rng>,
}

type Tasks = HashMap<u64, BoxFuture<()>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 2026-01-01T00:00:00Z.
const START: Duration = Duration::from_secs(1_767_225_600);

impl World {
    pub(crate) fn new() -> Self {
        World(Arc::new(Shared {
            time: AtomicU64::new(0),
            tasks: Mutex::default(),
            ready: Arc::default(),
            timers: Mutex::default(),
            next_number: AtomicU64::new(0),
            chance: Mutex::new(fastrand::Rng::with_seed(1)),
        }))
    }

    pub(crate) fn platform(&self) -> Platform {
        Platform::system().with_clock(self.clone()).with_entropy(self.clone()).with_spawn(self.clone())
    }

    /// Time since the fleet began.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_nanos(self.0.time.load(Ordering::Relaxed))
    }

    fn set_time(&self, time: Duration) {
        self.0.time.store(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A number below this one.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        lock(&self.0.chance).u64(0..limit)
    }

    /// A time between these two.
    pub(crate) fn between(&self, least: Duration, most: Duration) -> Duration {
        least + (most - least).mul_f64(lock(&self.0.chance).f64())
    }

    /// Waits for a time. For none, it does not even look at the clock.
    pub(crate) async fn sleep(&self, time: Duration) {
        if !time.is_zero() {
            self.sleep_until(self.time() + time).await;
        }
    }

    /// Runs what happens until then, each event at its time.
    pub(crate) fn run_until(&self, time: Duration) {
        loop {
            self.run_tasks();
            let next = {
                let mut timers = lock(&self.0.timers);
                let due = timers.first_entry().filter(|timer| timer.key().0 <= time);
                due.map(OccupiedEntry::remove_entry)
            };
            let Some(((due, _), waker)) = next else { break };
            self.set_time(due.max(self.time()));
            waker.wake();
        }
        self.set_time(time);
    }

    /// Runs all tasks that can go on.
    pub(crate) fn run_tasks(&self) {
        loop {
            let ready = mem::take(&mut *lock(&self.0.ready));
            if ready.is_empty() {
                return;
            }
            for number in ready {
                // It is not locked while it runs: it may start another one.
                let Some(mut task) = lock(&self.0.tasks).remove(&number) else { continue };
                let waker = Waker::from(Arc::new(Wakes { number, ready: self.0.ready.clone() }));
                if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                    lock(&self.0.tasks).insert(number, task);
                }
            }
        }
    }

    fn number(&self) -> u64 {
        self.0.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts a task.
    pub(crate) fn start(&self, task: BoxFuture<()>) {
        let number = self.number();
        lock(&self.0.tasks).insert(number, task);
        lock(&self.0.ready).push(number);
    }
}

struct Wakes {
    number: u64,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        lock(&self.ready).push(self.number);
    }
}

/// A wait for a time.
struct Sleep {
    world: World,
    deadline: Duration,
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.world.time() >= self.deadline {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or_else(|| self.world.number());
        self.number = Some(number);
        lock(&self.world.0.timers).insert((self.deadline, number), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            lock(&self.world.0.timers).remove(&(self.deadline, number));
        }
    }
}

impl Clock for World {
    fn now(&self) -> Moment {
        Moment::new(self.time(), UNIX_EPOCH + START + self.time())
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        Box::pin(Sleep { world: self.clone(), deadline, number: None })
    }
}

impl Entropy for World {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        lock(&self.0.chance).fill(bytes);
        Ok(())
    }
}

impl Spawn for World {
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        self.start(task);
        Ok(())
    }
}
