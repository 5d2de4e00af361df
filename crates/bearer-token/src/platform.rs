//! Everything ambient: clocks, randomness, spawning. It is injected, so tests control it.
//!
//! | part | trait | the system's | used |
//! |---|---|---|---|
//! | time | [`Clock`] | [`SystemClock`] | once for each request, and for each deadline |
//! | randomness | [`Entropy`] | [`SystemEntropy`] | once for each fetch, and for each JWT |
//! | tasks | [`Spawn`] | [`SystemSpawn`] | once for each fetch, and for each slow computation |
//!
//! No other module reads a clock, draws randomness or spawns a task: clippy forbids the functions that would. So a test
//! with a clock of its own plays a day in milliseconds. With randomness of its own it does so twice in the same
//! way.
//!
//! A provider, and all that its source uses, share one [`Platform`]. Give the same one to the providers of a chain:
//! otherwise one stage sees another time than the next.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::error::{Error, ErrorKind};

mod entropy;
mod moment;
#[cfg(any(feature = "http-transport", feature = "jwt", feature = "shared"))]
pub(crate) mod preparation;
mod system;

pub use self::{
    entropy::SystemEntropy,
    moment::Moment,
    system::{SystemClock, SystemSpawn},
};
pub(crate) use self::{moment::nanos, system::hold};

/// A future without a name, as the platform's traits pass it.
///
/// One box for each fetch and each wait. A warm request makes none.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A CPU-bound job that is too slow to run inside `Future::poll`.
///
/// RSA signatures, the decryption of an encrypted key and the reading of files are such jobs. They take milliseconds,
/// during which the other tasks of a worker thread would wait.
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
    ///
    /// So a provider may be built outside of a runtime, and used inside of several, one after another.
    pub fn system() -> Self {
        Platform {
            clock: Arc::new(SystemClock),
            has_system_clock: true,
            entropy: Arc::new(SystemEntropy),
            spawn: Arc::new(SystemSpawn),
            ambient: true,
        }
    }

    /// Replaces the clock. `bearer-token-testing` has one that only the test moves.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self.has_system_clock = false;
        self
    }

    /// Replaces the source of randomness. In production it must be unpredictable: `jti` claims are made of it.
    #[must_use]
    pub fn with_entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Arc::new(entropy);
        self
    }

    /// Replaces the spawner. A `tokio::runtime::Handle` is one, so fetches can be tied to a runtime of your choice.
    ///
    /// That runtime must live for as long as the provider. If it ends, each fetch is carried by a caller that waits for
    /// it.
    #[must_use]
    pub fn with_spawn(mut self, spawn: impl Spawn) -> Self {
        self.spawn = Arc::new(spawn);
        self.ambient = false;
        self
    }

    /// The clock, for callers that read it at each request.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Reads both clocks.
    #[inline]
    pub fn now(&self) -> Moment {
        if self.has_system_clock { SystemClock.now() } else { self.clock.now() }
    }

    /// Completes when the monotonic clock has reached `deadline`, which counts from the origin of that clock.
    ///
    /// For "in three seconds", pass `platform.now().after(three_seconds).monotonic()`.
    pub fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        self.clock.sleep_until(deadline)
    }

    /// The output of a future, or `None` if the monotonic clock reaches the deadline first.
    #[cfg(feature = "oauth")]
    pub(crate) async fn before<F: Future>(&self, deadline: Duration, future: F) -> Option<F::Output> {
        before(&self.clock, deadline, future).await
    }

    /// Random bytes.
    ///
    /// # Errors
    ///
    /// Those of [`Entropy::fill`]. A provider goes on without randomness: its refreshes are not spread then.
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
    ///
    /// On a thread that is held by a blocking wait, the current runtime may be the one that this thread should drive. A
    /// task in it would never run, so the caller gets it back. A spawner that the user chose is trusted.
    pub(crate) fn spawn_awaited(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        if self.ambient && system::is_held() { Err(task) } else { self.spawn(task) }
    }

    /// Runs a CPU-bound job away from the tasks of the runtime, or in place if there is nowhere else.
    ///
    /// Dropping the future does not stop the job, whose result is then dropped.
    ///
    /// # Errors
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

/// The output of a future, or `None` if the monotonic clock reaches the deadline first.
///
/// The future is polled before the clock. So one that is ready counts as in time, however late it is polled.
#[cfg(any(feature = "oauth", feature = "http-transport"))]
pub(crate) async fn before<F: Future>(clock: &impl Clock, deadline: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut over) = (std::pin::pin!(future), clock.sleep_until(deadline));
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Tells the time and wakes at a time.
///
/// ```
/// use bearer_token::platform::{BoxFuture, Clock, Moment, Platform, SystemClock};
/// use std::time::Duration;
///
/// /// The system's clock, an hour ahead: to see what a service does with a wrong clock.
/// struct Ahead;
///
/// const HOUR: Duration = Duration::from_secs(3600);
///
/// impl Clock for Ahead {
///     fn now(&self) -> Moment {
///         SystemClock.now().after(HOUR)
///     }
///
///     fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
///         // Deadlines are read from this clock, too.
///         SystemClock.sleep_until(deadline.saturating_sub(HOUR))
///     }
/// }
///
/// let platform = Platform::system().with_clock(Ahead);
/// assert!(platform.now().wall() > SystemClock.now().wall());
/// ```
///
/// A clock that panics fails one fetch, and nothing else.
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
///
/// ```
/// use bearer_token::{Error, platform::{Entropy, Platform}};
///
/// /// The same bytes each time, so a test can compare whole JWTs.
/// struct Fixed;
///
/// impl Entropy for Fixed {
///     fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
///         bytes.fill(7);
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), Error> {
/// assert_eq!(Platform::system().with_entropy(Fixed).random::<4>()?, [7; 4]);
/// # Ok(()) }
/// ```
pub trait Entropy: Send + Sync + 'static {
    /// Fills the buffer. The bytes must be unpredictable: `jti` claims are made of them.
    ///
    /// # Errors
    ///
    /// Any error. A JWT with a `jti` is not signed then. A provider takes the earliest refresh point and the longest
    /// wait, and reports it by an event.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error>;
}

/// Starts tasks.
///
/// A task is one fetch: it lives for as long as a token request takes, and ends at its deadline. It must be polled
/// without a caller that waits for it, because it serves several.
///
/// ```
/// use bearer_token::platform::{BoxFuture, Platform, Spawn};
/// use std::sync::mpsc;
///
/// /// Hands tasks to a thread of the application that has an executor of its own.
/// struct Worker(mpsc::Sender<BoxFuture<()>>);
///
/// impl Spawn for Worker {
///     fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
///         // If the thread has ended, the caller gets the task back, and polls it itself.
///         self.0.send(task).map_err(|mpsc::SendError(task)| task)
///     }
/// }
///
/// let (tasks, received) = mpsc::channel();
/// let platform = Platform::system().with_spawn(Worker(tasks));
/// # let _ = (platform, received);
/// ```
pub trait Spawn: Send + Sync + 'static {
    /// Spawns a task, or returns the future if nothing can be spawned now.
    ///
    /// Returning it is always right: a caller that waits polls it. Dropping it abandons the fetch, and the next caller
    /// begins another one.
    ///
    /// # Errors
    ///
    /// The task itself, unpolled.
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>>;

    /// Runs a CPU-bound job on a thread that may block, or returns the job if there is no such thread. Default: returns
    /// it, and the job runs where the fetch is polled.
    ///
    /// # Errors
    ///
    /// The job itself, not run.
    fn run_blocking(&self, job: Job) -> Result<(), Job> {
        Err(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_computation_is_an_error_of_its_own() {
        let error = Platform::system().run_blocking(|| panic!("boom")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked);
    }
}
