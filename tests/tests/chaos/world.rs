//! Virtual time, tasks and runtimes: one thread, and an order of events that the seed alone decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, UNIX_EPOCH},
};

use bearer_token::{
    Error,
    platform::{BoxFuture, Clock, Entropy, Moment, Platform, Spawn},
};
use fastrand::Rng;

/// What all tasks share: the clocks, chance, and the way to spawn.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    time: Mutex<Time>,
    chance: Mutex<Rng>,
    ready: Ready,
    spawned: Mutex<Vec<(Runtime, BoxFuture<()>)>>,
    here: Mutex<Here>,
}

type Ready = Arc<Mutex<Vec<u64>>>;

/// One of the simulated runtimes.
pub(crate) type Runtime = u64;

/// Tasks that run here can spawn nothing: they are polled outside of any runtime.
pub(crate) const NO_RUNTIME: Runtime = 0;

/// Where the code that runs now is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Here {
    In(Runtime),
    /// Tasks are being dropped, and so is what they spawn.
    Closing,
}

/// A reading of all clocks, those of the machine and the true one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrueMoment {
    pub(crate) now: Moment,
    /// Time that really passed: what a server measures.
    pub(crate) truth: Duration,
    /// How long the machine has slept so far, which its monotonic clock knows nothing of.
    pub(crate) slept: Duration,
}

struct Time {
    monotonic: Duration,
    /// Since 1970.
    wall: Duration,
    truth: Duration,
    slept: Duration,
    timers: BTreeMap<(Duration, u64), Waker>,
    next_timer: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let time = Time {
            monotonic: Duration::from_secs(1_000),
            wall: Duration::from_secs(1_767_225_600),
            truth: Duration::from_secs(1_767_225_600),
            slept: Duration::ZERO,
            timers: BTreeMap::new(),
            next_timer: 0,
        };
        World(Arc::new(Shared {
            time: Mutex::new(time),
            chance: Mutex::new(Rng::with_seed(seed)),
            ready: Ready::default(),
            spawned: Mutex::default(),
            here: Mutex::new(Here::In(NO_RUNTIME)),
        }))
    }

    pub(crate) fn platform(&self) -> Platform {
        Platform::system().with_clock(self.clone()).with_entropy(self.clone()).with_spawn(self.clone())
    }

    pub(crate) fn moment(&self) -> TrueMoment {
        let time = lock(&self.0.time);
        TrueMoment { now: Moment::new(time.monotonic, UNIX_EPOCH + time.wall), truth: time.truth, slept: time.slept }
    }

    /// Sets the time of day.
    pub(crate) fn set_wall(&self, change: impl FnOnce(Duration) -> Duration) {
        let mut time = lock(&self.0.time);
        time.wall = change(time.wall);
    }

    /// The machine sleeps.
    pub(crate) fn suspend(&self, for_: Duration) {
        let mut time = lock(&self.0.time);
        time.wall += for_;
        time.truth += for_;
        time.slept += for_;
    }

    pub(crate) async fn sleep(&self, time: Duration) {
        self.sleep_until(self.now().monotonic() + time).await;
    }

    /// A number below this one.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        lock(&self.0.chance).u64(0..limit.max(1))
    }

    pub(crate) fn one_in(&self, number: u64) -> bool {
        self.below(number) == 0
    }

    /// A time whose average is this one: waits between things that have nothing to do with each other.
    pub(crate) fn about(&self, mean: Duration) -> Duration {
        let draw = lock(&self.0.chance).f64();
        mean.mul_f64(-(1.0 - draw).ln())
    }

    pub(crate) fn pick<T: Clone>(&self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()].clone()
    }

    /// Whether tasks are being dropped because their runtime is.
    pub(crate) fn is_closing(&self) -> bool {
        *lock(&self.0.here) == Here::Closing
    }

    fn set_here(&self, here: Here) {
        *lock(&self.0.here) = here;
    }
}

impl Clock for World {
    fn now(&self) -> Moment {
        self.moment().now
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        Box::pin(Sleep { world: self.clone(), deadline, id: None })
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
        match *lock(&self.0.here) {
            Here::In(NO_RUNTIME) => return Err(task),
            Here::In(runtime) => lock(&self.0.spawned).push((runtime, task)),
            // As tokio does with what is spawned into a runtime that shuts down.
            Here::Closing => drop(task),
        }
        Ok(())
    }
}

struct Sleep {
    world: World,
    deadline: Duration,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut time = lock(&this.world.0.time);
        if time.monotonic >= this.deadline {
            return Poll::Ready(());
        }
        let id = *this.id.get_or_insert_with(|| {
            time.next_timer += 1;
            time.next_timer
        });
        time.timers.insert((this.deadline, id), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            lock(&self.world.0.time).timers.remove(&(self.deadline, id));
        }
    }
}

/// Runs the tasks of all runtimes, and advances the time when no task can make progress.
pub(crate) struct Executor {
    world: World,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    standing_still: BTreeSet<Runtime>,
    /// Tasks of runtimes that stand still, and that would run if those did not.
    held: Vec<u64>,
}

struct Task {
    runtime: Runtime,
    future: BoxFuture<()>,
    wakeup: Arc<Wakeup>,
}

struct Wakeup {
    task: u64,
    queued: AtomicBool,
    ready: Ready,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            lock(&self.ready).push(self.task);
        }
    }
}

impl Executor {
    pub(crate) fn new(world: World) -> Self {
        let (tasks, held) = (BTreeMap::new(), Vec::new());
        Executor { world, tasks, next_task: 0, standing_still: BTreeSet::new(), held }
    }

    pub(crate) fn spawn(&mut self, runtime: Runtime, future: BoxFuture<()>) {
        self.next_task += 1;
        let (task, ready) = (self.next_task, self.world.0.ready.clone());
        let wakeup = Arc::new(Wakeup { task, queued: AtomicBool::new(false), ready });
        wakeup.clone().wake();
        self.tasks.insert(task, Task { runtime, future, wakeup });
    }

    pub(crate) fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Lets so much time pass. `check` is called after each step, whatever it was.
    pub(crate) fn run_for(&mut self, time: Duration, mut check: impl FnMut()) {
        let until = self.world.now().monotonic() + time;
        loop {
            self.adopt();
            let ran = self.step();
            check();
            if !ran && !self.advance(until) {
                return;
            }
        }
    }

    /// Lets some things happen, and stops in their middle. If wanted, as soon as something was spawned: gives where.
    pub(crate) fn run_steps(&mut self, steps: u64, until_spawned: bool) -> Option<Runtime> {
        for _ in 0..steps {
            let spawned = lock(&self.world.0.spawned).last().map(|(runtime, _)| *runtime);
            if until_spawned && spawned.is_some() {
                return spawned;
            }
            self.adopt();
            if !self.step() {
                self.advance(self.world.now().monotonic() + Duration::from_secs(1));
            }
        }
        None
    }

    /// From now on this runtime is not driven.
    pub(crate) fn stop_driving(&mut self, runtime: Runtime) {
        self.standing_still.insert(runtime);
    }

    pub(crate) fn drive_again(&mut self) {
        self.standing_still.clear();
        lock(&self.world.0.ready).append(&mut self.held);
    }

    /// Shuts a runtime down: its tasks are dropped wherever they are. Gives how many those were.
    pub(crate) fn shut_down(&mut self, runtime: Runtime) -> usize {
        self.adopt();
        let gone: Vec<u64> =
            self.tasks.iter().filter(|(_, task)| task.runtime == runtime).map(|(task, _)| *task).collect();
        self.world.set_here(Here::Closing);
        for task in &gone {
            drop(self.tasks.remove(task));
        }
        self.world.set_here(Here::In(NO_RUNTIME));
        self.standing_still.remove(&runtime);
        gone.len()
    }

    fn adopt(&mut self) {
        let spawned = mem::take(&mut *lock(&self.world.0.spawned));
        for (runtime, future) in spawned {
            self.spawn(runtime, future);
        }
    }

    /// Polls one of the tasks that can do something.
    fn step(&mut self) -> bool {
        let id = {
            let mut ready = lock(&self.world.0.ready);
            if ready.is_empty() {
                return false;
            }
            let place = self.world.below(ready.len() as u64);
            ready.swap_remove(usize::try_from(place).unwrap())
        };
        let Some(task) = self.tasks.get_mut(&id) else { return true };
        if self.standing_still.contains(&task.runtime) {
            self.held.push(id);
            return true;
        }
        task.wakeup.queued.store(false, Ordering::Relaxed);
        let waker = Waker::from(task.wakeup.clone());
        self.world.set_here(Here::In(task.runtime));
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.tasks.remove(&id);
        }
        self.world.set_here(Here::In(NO_RUNTIME));
        true
    }

    /// Moves the time to the next timer, but not beyond `until`. Whether it did not get there.
    fn advance(&mut self, until: Duration) -> bool {
        let mut due = Vec::new();
        let mut time = lock(&self.world.0.time);
        let next = time.timers.keys().next().map_or(until, |(deadline, _)| *deadline).min(until);
        let passed = next.saturating_sub(time.monotonic);
        time.monotonic += passed;
        time.wall += passed;
        time.truth += passed;
        while let Some(timer) = time.timers.first_entry().filter(|timer| timer.key().0 <= next) {
            due.push(timer.remove());
        }
        drop(time);
        let any = !due.is_empty();
        due.into_iter().for_each(Waker::wake);
        any || next < until
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.world.set_here(Here::Closing);
    }
}

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
