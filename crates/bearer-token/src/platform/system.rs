//! The operating system's clocks, and the current tokio runtime.
//!
//! The hard part is time without a runtime that can be trusted. Three situations look alike to a future, and differ in
//! what has to wake it:
//!
//! | polled | the timer |
//! |---|---|
//! | in a runtime that is driven | tokio's |
//! | outside of any runtime | a helper thread |
//! | on a thread that is [held](hold), whatever runtime was entered there | a helper thread: the runtime may wait for this thread |
//!
//! The third one is `token_blocking` inside of a runtime: without it, a wait could hang forever (`L11`).
#![allow(clippy::disallowed_methods, reason = "this is the place that may touch what is ambient")]

use std::{
    cell::Cell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{BoxFuture, Clock, Job, Moment, Spawn};

thread_local! {
    /// Whether this thread waits in [`hold`]. A flag of the thread and not of the future, because the poll reaches
    /// timers and spawners that know nothing of each other.
    static HELD: Cell<bool> = const { Cell::new(false) };
}

/// Polls on a thread that is held until the poll's future is ready.
///
/// The current runtime there, if any, may not be driven: it was only entered, or its `block_on` has returned, or this
/// thread is the one that drives it. So while this runs, a helper thread keeps the time, and work that can run on this
/// thread does so.
pub(crate) fn hold<R>(poll: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            HELD.set(self.0);
        }
    }
    let _restore = Restore(HELD.replace(true));
    poll()
}

/// Whether this thread is held by the poll that runs now.
pub(crate) fn is_held() -> bool {
    HELD.get()
}

/// The system's monotonic clock and time of day.
///
/// On Linux both are the coarse clocks (a tick of 1 to 10 ms). They cost a fraction of the precise ones, and every
/// request reads them. Each thread reads the time of day once a tick. Deadlines of tokens are whole seconds, so a tick
/// makes no difference to them.
///
/// ```
/// use bearer_token::platform::{Clock, SystemClock};
///
/// let (first, second) = (SystemClock.now(), SystemClock.now());
/// assert!(second.monotonic() >= first.monotonic());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(target_os = "linux")]
    #[inline]
    fn now(&self) -> Moment {
        use rustix::time::{ClockId, Timespec, clock_gettime};

        /// Nanoseconds; neither clock shows a time before its zero.
        fn in_nanos(time: Timespec) -> u64 {
            let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
            seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
        }

        // The clocks advance at the same ticks, and many requests share a tick. A change of the time of day
        // within a tick is seen at the next.
        thread_local! {
            // The monotonic clock as it was read, because most requests only compare it.
            static LAST: Cell<(Timespec, Moment)> =
                const { Cell::new((Timespec { tv_sec: -1, tv_nsec: -1 }, Moment::START)) };
        }
        let monotonic = clock_gettime(ClockId::MonotonicCoarse);
        let (read, last) = LAST.get();
        if read == monotonic {
            return last;
        }
        let wall = clock_gettime(ClockId::RealtimeCoarse);
        let now = Moment { monotonic: in_nanos(monotonic), wall: in_nanos(wall) };
        LAST.set((monotonic, now));
        now
    }

    #[cfg(not(target_os = "linux"))]
    fn now(&self) -> Moment {
        use std::{
            sync::OnceLock,
            time::{Instant, SystemTime},
        };

        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        Moment::new(ORIGIN.get_or_init(Instant::now).elapsed(), SystemTime::now())
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        Box::pin(Sleep { deadline, timer: None })
    }
}

/// Waits on the timer of the runtime that polls it.
///
/// A waiter may move to another runtime, because the first one may be gone or no longer driven. Then the timer is set
/// again in the new runtime. Outside any runtime, and on blocked threads, a helper thread keeps the time.
struct Sleep {
    deadline: Duration,
    timer: Option<(Option<tokio::runtime::Id>, Timer)>,
}

/// What wakes a sleeper.
enum Timer {
    Tokio(Pin<Box<tokio::time::Sleep>>),
    Thread(futures_timer::Delay),
}

impl Timer {
    /// Starts a timer. A runtime that cannot keep time is treated as none.
    fn start(inside_runtime: bool, left: Duration) -> Self {
        if inside_runtime {
            // This panics in a runtime that was built without timers. tokio has no way to ask for timers first.
            if let Ok(sleep) = catch_unwind(|| Box::pin(tokio::time::sleep(left))) {
                return Timer::Tokio(sleep);
            }
        }
        Timer::Thread(futures_timer::Delay::new(left))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let runtime = if is_held() { None } else { Handle::try_current().ok() };
        let here = runtime.map(|runtime| runtime.id());
        loop {
            let left = self.deadline.saturating_sub(SystemClock.now().monotonic());
            if left.is_zero() {
                return Poll::Ready(());
            }
            let timer = match &mut self.timer {
                Some((runtime, timer)) if *runtime == here => timer,
                timer => &mut timer.insert((here, Timer::start(here.is_some(), left))).1,
            };
            let fired = match timer {
                // Panics while its runtime is being shut down. Then the helper thread keeps the time.
                Timer::Tokio(sleep) => catch_unwind(AssertUnwindSafe(|| sleep.as_mut().poll(cx))),
                Timer::Thread(delay) => Ok(Pin::new(delay).poll(cx)),
            };
            match fired {
                Ok(poll) => return poll,
                Err(_) => self.timer = Some((here, Timer::Thread(futures_timer::Delay::new(left)))),
            }
        }
    }
}

/// Spawns on the tokio runtime that is current when a fetch starts. Outside a runtime, and on a thread that is blocked
/// by [`token_blocking`](crate::TokenProvider::token_blocking), the first waiter polls the fetch.
///
/// A fetch stays in the runtime in which it was started. If that runtime is shut down in the middle, the fetch is
/// abandoned, and a waiter elsewhere begins another one. A service with several runtimes gives its providers one of
/// them by [`Platform::with_spawn`](super::Platform::with_spawn).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemSpawn;

impl Spawn for SystemSpawn {
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        match Handle::try_current() {
            Ok(runtime) => Spawn::spawn(&runtime, task),
            Err(_) => Err(task),
        }
    }

    fn run_blocking(&self, job: Job) -> Result<(), Job> {
        match Handle::try_current() {
            // A held thread may as well compute.
            Ok(runtime) if !is_held() => runtime.run_blocking(job),
            _ => Err(job),
        }
    }
}

/// Always this runtime, from wherever the provider is used.
impl Spawn for Handle {
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        drop(Handle::spawn(self, task));
        Ok(())
    }

    fn run_blocking(&self, job: Job) -> Result<(), Job> {
        drop(self.spawn_blocking(job));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_fire_outside_runtimes_and_without_timers() {
        let soon = || SystemClock.sleep_until(SystemClock.now().monotonic() + Duration::from_millis(20));
        let untimed = tokio::runtime::Builder::new_current_thread().build().unwrap();
        untimed.block_on(soon());
        // A runtime's `block_on` is not needed to wait: any executor does.
        let waker = std::task::Waker::noop();
        let mut sleep = soon();
        let mut spins = 0_u32;
        while sleep.as_mut().poll(&mut Context::from_waker(waker)).is_pending() {
            spins += 1;
            assert!(spins < 10_000, "never fired");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_deadline_set_in_one_runtime_fires_in_another() {
        let build = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (dead, idle, live) = (build(), build(), build());
        let mut sleeps = Vec::new();
        for runtime in [&dead, &idle] {
            let mut sleep = SystemClock.sleep_until(SystemClock.now().monotonic() + Duration::from_millis(30));
            let first = runtime.block_on(std::future::poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))));
            assert!(first.is_pending());
            sleeps.push(sleep);
        }
        drop(dead);
        live.block_on(async {
            for sleep in sleeps {
                sleep.await;
            }
        });
        drop(idle);
    }
}
