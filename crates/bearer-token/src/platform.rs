//! Everything ambient: clocks, randomness, spawning. It is injected, so tests control it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::error::{Error, ErrorKind};

#[cfg(any(feature = "http-transport", feature = "jwt", feature = "shared"))]
pub(crate) mod preparation;
mod system;

pub(crate) use system::hold;
pub use system::{SystemClock, SystemEntropy, SystemSpawn};

/// A future without a name, as the platform's traits pass it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A CPU-bound job that is too slow to run inside `Future::poll`.
pub type Job = Box<dyn FnOnce() + Send>;

/// The clock, the source of randomness and the spawner that a provider uses.
///
/// [`Platform::system`] is the default everywhere; replace parts of it in tests, or to spawn on a runtime of your
/// choice. A clone shares the parts.
///
/// ```
/// use bearer_token::platform::Platform;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// // Refreshes run on this runtime, wherever the provider is used from.
/// let platform = Platform::system().with_spawn(tokio::runtime::Handle::current());
/// # let _ = platform; }
/// ```
#[derive(Clone)]
pub struct Platform {
    clock: Arc<dyn Clock>,
    /// Whether that is the system's, which is read at each request: without an indirect call.
    has_system_clock: bool,
    entropy: Arc<dyn Entropy>,
    spawn: Arc<dyn Spawn>,
    /// Whether tasks are spawned on the current runtime. A blocked thread may keep that runtime from being driven.
    ambient: bool,
}

impl Platform {
    /// The operating system's clocks and randomness, and the tokio runtime that is current at the time of use.
    pub fn system() -> Self {
        Platform {
            clock: Arc::new(SystemClock),
            has_system_clock: true,
            entropy: Arc::new(SystemEntropy),
            spawn: Arc::new(SystemSpawn),
            ambient: true,
        }
    }

    /// Replaces the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self.has_system_clock = false;
        self
    }

    /// Replaces the source of randomness.
    #[must_use]
    pub fn with_entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Arc::new(entropy);
        self
    }

    /// Replaces the spawner.
    #[must_use]
    pub fn with_spawn(mut self, spawn: impl Spawn) -> Self {
        self.spawn = Arc::new(spawn);
        self.ambient = false;
        self
    }

    /// Reads both clocks.
    #[inline]
    pub fn now(&self) -> Moment {
        if self.has_system_clock { SystemClock.now() } else { self.clock.now() }
    }

    /// Completes when the monotonic clock has reached `deadline`.
    pub fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        self.clock.sleep_until(deadline)
    }

    /// The output of a future, or `None` if the monotonic clock reaches the deadline first.
    #[cfg(feature = "oauth")]
    pub(crate) async fn before<F: Future>(&self, deadline: Duration, future: F) -> Option<F::Output> {
        before(&self.clock, deadline, future).await
    }

    /// Random bytes.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Starts a task, or returns the future if there is nowhere to start it.
    pub(crate) fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        self.spawn.spawn(task)
    }

    /// Starts a task that the caller waits for and could run itself, or returns it.
    pub(crate) fn spawn_awaited(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        if self.ambient && system::is_held() { Err(task) } else { self.spawn(task) }
    }

    /// Runs a CPU-bound job away from the tasks of the runtime, or in place if there is nowhere else.
    ///
    /// Fails with [`ErrorKind::Abandoned`] when the runtime is shut down before the work is done, and with
    /// [`ErrorKind::Panicked`] when the work panics.
    pub async fn run_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let job: Job = Box::new(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // If the fetch was dropped, no receiver is left for the result.
            drop(sender.send(result));
        });
        if let Err(job) = self.spawn.run_blocking(job) {
            job();
        }
        match receiver.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_panic)) => Err(Error::new(ErrorKind::Panicked, "a computation for the token request panicked")),
            Err(_) => Err(Error::new(ErrorKind::Abandoned, "the runtime was shut down during a computation")),
        }
    }
}

impl Default for Platform {
    fn default() -> Self {
        Platform::system()
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform").finish_non_exhaustive()
    }
}

/// One reading of both clocks.
///
/// The monotonic clock never goes back, but may stop while the machine sleeps. The wall clock does not stop, but can be
/// set. A deadline passes as soon as *either* clock has reached it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    // Nanoseconds: 584 years, and one comparison each on the warm path.
    monotonic: u64,
    wall: u64,
}

impl Moment {
    /// The earliest one: the beginning of both clocks.
    pub(crate) const START: Moment = Moment { monotonic: 0, wall: 0 };

    /// Creates a reading. `monotonic` counts from an origin that the clock chooses; `wall` is the time of day.
    pub fn new(monotonic: Duration, wall: SystemTime) -> Self {
        let wall = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { monotonic: nanos(monotonic), wall: nanos(wall) }
    }

    /// Time since the origin of the monotonic clock.
    pub fn monotonic(self) -> Duration {
        Duration::from_nanos(self.monotonic)
    }

    /// The time of day.
    pub fn wall(self) -> SystemTime {
        UNIX_EPOCH + self.since_epoch()
    }

    /// The time of day as a JWT writes it: time since 1970 (RFC 7519 section 2, `NumericDate`).
    pub fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.wall)
    }

    /// Both clocks moved forward.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        let time = nanos(time);
        Moment { monotonic: self.monotonic.saturating_add(time), wall: self.wall.saturating_add(time) }
    }

    /// Both clocks moved back, to their beginning at most.
    pub(crate) fn before(self, time: Duration) -> Self {
        let time = nanos(time);
        Moment { monotonic: self.monotonic.saturating_sub(time), wall: self.wall.saturating_sub(time) }
    }

    /// Whether this moment has passed at `now`, on either clock.
    #[inline]
    pub fn is_past(self, now: Moment) -> bool {
        now.monotonic >= self.monotonic || now.wall >= self.wall
    }

    /// The time until this moment, on the clock that reaches it first. Zero once it has passed.
    pub fn remaining(self, now: Moment) -> Duration {
        let monotonic = self.monotonic.saturating_sub(now.monotonic);
        Duration::from_nanos(monotonic.min(self.wall.saturating_sub(now.wall)))
    }

    pub(crate) fn monotonic_nanos(self) -> u64 {
        self.monotonic
    }
}

/// The output of a future, or `None` if the monotonic clock reaches the deadline first.
#[cfg(any(feature = "oauth", feature = "http-transport"))]
pub(crate) async fn before<F: Future>(clock: &impl Clock, deadline: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut over) = (std::pin::pin!(future), clock.sleep_until(deadline));
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// A duration in nanoseconds, or the largest number if it does not fit.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Tells the time and wakes at a time.
pub trait Clock: Send + Sync + 'static {
    /// Reads both clocks. Called once for each request: keep it cheap.
    fn now(&self) -> Moment;

    /// Completes when the monotonic clock has reached `deadline`. It may be called and polled inside or outside a
    /// runtime, and polled in another place than it was called.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()>;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Moment {
        (**self).now()
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        (**self).sleep_until(deadline)
    }
}

/// Gives randomness, for refresh jitter and `jti` claims.
pub trait Entropy: Send + Sync + 'static {
    /// Fills the buffer. The bytes must be unpredictable: `jti` claims are made of them.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error>;
}

/// Starts tasks.
pub trait Spawn: Send + Sync + 'static {
    /// Spawns a task, or returns the future if nothing can be spawned now.
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>>;

    /// Runs a CPU-bound job on a thread that may block, or returns the job if there is no such thread.
    fn run_blocking(&self, job: Job) -> Result<(), Job> {
        Err(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(monotonic: u64, wall: u64) -> Moment {
        Moment::new(Duration::from_secs(monotonic), UNIX_EPOCH + Duration::from_secs(wall))
    }

    #[test]
    fn a_moment_passes_when_either_clock_reaches_it() {
        let deadline = at(100, 1_000).after(Duration::from_secs(10));
        assert!(!deadline.is_past(at(109, 1_009)));
        assert!(deadline.is_past(at(110, 0)), "monotonic");
        assert!(deadline.is_past(at(0, 1_010)), "wall");
        assert_eq!(deadline.remaining(at(103, 1_004)), Duration::from_secs(6));
        assert_eq!(deadline.remaining(at(103, 5_000)), Duration::ZERO);
    }

    #[test]
    fn no_duration_overflows_a_moment() {
        let late = at(1, 1).after(Duration::MAX).after(Duration::MAX);
        assert!(!late.is_past(at(1, 1)));
        assert_eq!(late.wall().duration_since(UNIX_EPOCH).unwrap(), Duration::from_nanos(u64::MAX));
    }

    #[tokio::test]
    async fn a_panicking_computation_is_an_error_of_its_own() {
        let error = Platform::system().run_blocking(|| panic!("boom")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked);
    }
}
