//! One seed, from the first call to the end of the map.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bearer_token::{
    KeyedProviders,
    platform::{BoxFuture, Platform, Spawn},
};
use bearer_token_testing::ManualClock;
use tokio::{runtime, task};

use super::{
    callers::Caller,
    operator,
    oracle::Seen,
    tenants::{BOUND, Course, Planted, Shared},
    world::{Executor, World, lock},
};

const SECOND: Duration = Duration::from_secs(1);
const CALLERS: u64 = 12;
const CALLS: u64 = 250;

/// A play that has begun.
struct Play {
    course: Shared,
    maps: Vec<KeyedProviders<u64>>,
    /// How many calls have ended.
    ended: Arc<AtomicU64>,
    /// Whether the trouble is over.
    over: Arc<AtomicBool>,
}

impl Play {
    fn new(seed: u64, platform: Platform, planted: Planted, limit: Duration) -> Self {
        let course = Course::new(seed, platform, planted, limit);
        let maps = (0..if planted == Planted::TwoMaps { 2 } else { 1 }).map(|_| course.map()).collect();
        Play { course, maps, ended: Arc::default(), over: Arc::default() }
    }

    fn caller(&self) -> Caller {
        Caller::new(&self.course, &self.maps, &self.ended)
    }

    fn trouble(&self) -> impl Future<Output = ()> + Send + use<> {
        operator::trouble(self.course.clone(), self.maps.clone(), self.over.clone())
    }

    fn providers(&self) -> usize {
        self.maps.iter().map(KeyedProviders::len).sum()
    }

    fn check_bound(&self) {
        let most = BOUND * self.maps.len();
        self.course
            .oracle
            .require(self.providers() <= most, || format!("{} providers, the bound is {most}", self.providers()));
    }

    fn shut_down(&self) {
        self.course.oracle.saw("shut down");
        self.course.oracle.removal(|_| true, || self.maps.iter().for_each(KeyedProviders::shut_down));
        self.course.oracle.shut_down();
    }

    /// After everything has ended, nothing is left.
    fn end(self) -> Result<Seen, String> {
        let Play { course, maps, .. } = self;
        let left: usize = maps.iter().map(KeyedProviders::len).sum();
        course.oracle.require(left == 0, || format!("{left} providers in a map that was shut down"));
        drop(maps);
        *lock(&course.map) = None;
        let alive = course.oracle.alive();
        course.oracle.require(alive == 0, || format!("{alive} providers are alive without a map"));
        course.oracle.verdict()
    }
}

/// The seed decides the order of everything but evictions.
pub(crate) fn in_virtual_time(seed: u64, planted: Planted) -> Result<Seen, String> {
    let world = World::new(seed);
    let play = Play::new(seed, world.platform(), planted, 60 * SECOND);
    let mut executor = Executor::new(world.clone());
    // Callers are on three runtimes. The trouble is on one of its own.
    for caller in 0..CALLERS {
        executor.spawn(1 + caller % 3, Box::pin(play.caller().call(CALLS)));
    }
    executor.spawn(9, Box::pin(play.trouble()));
    while play.ended.load(Ordering::Relaxed) < CALLERS * CALLS && play.course.oracle.is_content() {
        executor.run_for(5 * SECOND, || play.check_bound());
        if world.one_in(10) {
            // One runtime is shut down with all its calls and fetches, and others take over from its callers.
            executor.shut_down(1 + world.below(3));
            play.ended.fetch_add(CALLS, Ordering::Relaxed);
            executor.spawn(1, Box::pin(play.caller().call(CALLS / 4)));
        }
    }
    play.over.store(true, Ordering::Relaxed);
    executor.run_for(100 * SECOND, || play.check_bound());
    rest(&play, &mut executor, "the trouble");

    // Everything works again.
    executor.spawn(1, Box::pin(play.caller().recover()));
    executor.run_for(3_600 * SECOND, || play.check_bound());
    rest(&play, &mut executor, "the recovery");
    let (alive, len) = (play.course.oracle.alive(), play.providers());
    play.course.oracle.require(alive == len, || format!("{alive} providers are alive, {len} are in the map"));
    play.maps.iter().for_each(|map| (0..2).for_each(|_| map.evict_idle()));
    executor.run_for(200 * SECOND, || {});
    play.maps.iter().for_each(KeyedProviders::evict_idle);
    let (alive, len) = (play.course.oracle.alive(), play.providers());
    play.course
        .oracle
        .require(alive + len == 0, || format!("{alive} providers are alive after idling, {len} in the map"));

    // The map is shut down amid calls.
    for caller in 0..CALLERS {
        executor.spawn(1 + caller % 3, Box::pin(play.caller().call(20)));
    }
    executor.run_for(3 * SECOND, || play.check_bound());
    play.shut_down();
    executor.run_for(100 * SECOND, || play.check_bound());
    rest(&play, &mut executor, "the end");
    drop(executor);
    play.end()
}

/// No task is left, of callers or of fetches.
fn rest(play: &Play, executor: &mut Executor, after: &str) {
    let tasks = executor.tasks();
    play.course.oracle.require(tasks == 0, || format!("{tasks} tasks never ended after {after}"));
}

/// The scheduler decides the order, and the seed only what the callers and the trouble want.
pub(crate) fn on_threads(seed: u64, planted: Planted) -> Result<Seen, String> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let time = Time {
        clock: ManualClock::new(),
        runtime: runtime.handle().clone(),
        stands_still: Arc::default(),
        panicked: Arc::default(),
    };
    let platform = Platform::system().with_clock(time.clock.clone()).with_spawn(time.clone());
    // Time passes faster than a thread gets its turn, so only a standstill counts as a call that never ends.
    let play = Play::new(seed, platform, planted, 3_600 * SECOND);
    runtime.block_on(async {
        let call = |calls| (0..CALLERS).map(|_| time.begin(play.caller().call(calls))).collect::<Vec<_>>();
        let trouble = time.begin(play.trouble());
        time.pass(&play, call(CALLS)).await;
        play.over.store(true, Ordering::Relaxed);
        time.pass(&play, vec![trouble]).await;
        time.pass(&play, vec![time.begin(play.caller().recover())]).await;
        let late = call(20);
        for _ in 0..20 {
            time.advance(SECOND / 10);
            task::yield_now().await;
        }
        play.shut_down();
        time.pass(&play, late).await;
        // Fetches that hang end at their deadline.
        let mut left = 10_000;
        while play.course.oracle.alive() > 0 && left > 0 {
            left -= 1;
            time.advance(SECOND / 100);
            task::yield_now().await;
        }
        let panicked = time.panicked.load(Ordering::Relaxed);
        play.course.oracle.require(panicked == 0, || format!("{panicked} tasks panicked"));
    });
    drop(runtime);
    play.end()
}

/// Time that stands still while any task is being polled, as real time nearly does.
#[derive(Clone)]
struct Time {
    clock: ManualClock,
    runtime: runtime::Handle,
    /// Tasks read, and time writes.
    stands_still: Arc<RwLock<()>>,
    /// How many tasks have panicked: callers, operators and fetches.
    panicked: Arc<AtomicU64>,
}

impl Time {
    fn begin(&self, future: impl Future<Output = ()> + Send + 'static) -> task::JoinHandle<()> {
        let (stands_still, mut future) = (self.stands_still.clone(), Box::pin(future));
        let panicked = self.panicked.clone();
        self.runtime.spawn(poll_fn(move |cx| {
            let _still = stands_still.read().unwrap_or_else(PoisonError::into_inner);
            catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))).unwrap_or_else(|panic| {
                panicked.fetch_add(1, Ordering::Relaxed);
                resume_unwind(panic)
            })
        }))
    }

    fn advance(&self, time: Duration) {
        let _moves = self.stands_still.write().unwrap_or_else(PoisonError::into_inner);
        self.clock.advance(time);
    }

    /// Lets the time pass until these tasks have ended: a step for each call that ends, and when nothing else happens.
    #[allow(clippy::disallowed_methods, reason = "a standstill is one of real time")]
    async fn pass(&self, play: &Play, tasks: Vec<task::JoinHandle<()>>) {
        let (mut last, mut idle, mut progress) = (0, 0_u32, Instant::now());
        while tasks.iter().any(|task| !task.is_finished()) && play.course.oracle.is_content() {
            let ended = play.ended.load(Ordering::Relaxed);
            idle += 1;
            if ended != last {
                (last, idle, progress) = (ended, 0, Instant::now());
                self.advance(SECOND / 20);
            } else if idle.is_multiple_of(100) {
                self.advance(SECOND / 10);
            }
            play.check_bound();
            play.course.oracle.require(progress.elapsed() < 30 * SECOND, || "a call never ended".to_owned());
            let panicked = self.panicked.load(Ordering::Relaxed);
            play.course.oracle.require(panicked == 0, || format!("{panicked} tasks panicked"));
            task::yield_now().await;
        }
    }
}

impl Spawn for Time {
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        drop(self.begin(task));
        Ok(())
    }
}
