//! Work that a process does once, before something else is quick.

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use super::{Job, Spawn};

/// Gathers randomness for aws-lc, which takes 20 to 50 ms the first time: its entropy is the jitter of the CPU.
///
/// Signatures and seals that draw randomness wait for it, so that no poll takes that long. A build of `aws-lc-sys` with
/// `AWS_LC_SYS_NO_JITTER_ENTROPY=1` in its environment takes its entropy from the operating system, at once.
#[cfg(any(feature = "jwt", feature = "shared"))]
pub(crate) static AWS_LC_RANDOMNESS: Preparation = Preparation::new(|| {
    // The operation that needs randomness reports that there is none.
    let _unspecified = aws_lc_rs::rand::fill(&mut [0; 32]);
});

/// How often a task starts the work. Only shutting down runtimes drop it unfinished.
const ATTEMPTS: usize = 3;

/// Work that is done once, on a thread that may block. Any number of tasks, on any runtime, wait for it.
pub(crate) struct Preparation {
    work: fn(),
    is_started: AtomicBool,
    is_done: AtomicBool,
    changed: Notify,
}

impl Preparation {
    pub(crate) const fn new(work: fn()) -> Self {
        Preparation {
            work,
            is_started: AtomicBool::new(false),
            is_done: AtomicBool::new(false),
            changed: Notify::const_new(),
        }
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    /// Starts the work, unless it was started before. Does it here if no thread may block.
    pub(crate) fn start(&'static self, spawn: &(impl Spawn + ?Sized)) {
        if self.is_done() || self.is_started.swap(true, Ordering::AcqRel) {
            return;
        }
        let attempt = Attempt { preparation: self, has_begun: false };
        let job: Job = Box::new(move || {
            let mut attempt = attempt;
            // Even if it panics, it is not done again.
            attempt.has_begun = true;
            (attempt.preparation.work)();
        });
        if let Err(job) = spawn.run_blocking(job) {
            job();
        }
    }

    /// Completes when the work is done. It may still be undone if the runtime shuts down.
    pub(crate) async fn done(&'static self, spawn: &(impl Spawn + ?Sized)) {
        for _ in 0..ATTEMPTS {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            self.start(spawn);
            if self.is_done() {
                return;
            }
            changed.await;
        }
    }

    /// As [`done`](Self::done), on the platform's threads.
    #[cfg(any(feature = "jwt", feature = "shared"))]
    pub(crate) async fn done_on(&'static self, platform: &super::Platform) {
        if !self.is_done() {
            self.done(&*platform.spawn).await;
        }
    }
}

/// The work in progress. A runtime that shuts down drops it, and another one starts it again.
struct Attempt {
    preparation: &'static Preparation,
    has_begun: bool,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Preparation { is_started, is_done, changed, .. } = self.preparation;
        if self.has_begun {
            is_done.store(true, Ordering::Release);
        } else {
            is_started.store(false, Ordering::Release);
        }
        changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::platform::BoxFuture;

    /// Keeps no job: each is dropped.
    struct ShuttingDown;

    impl Spawn for ShuttingDown {
        fn spawn(&self, _: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
            Ok(())
        }

        fn run_blocking(&self, _: Job) -> Result<(), Job> {
            Ok(())
        }
    }

    /// Has no threads.
    struct NoThreads;

    impl Spawn for NoThreads {
        fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
            Err(task)
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_tasks_wait_for_work_that_is_done_once() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        static WORK: Preparation = Preparation::new(|| {
            COUNT.fetch_add(1, Ordering::SeqCst);
        });
        let runtime = tokio::runtime::Handle::current();
        let waiters: Vec<_> = (0..50)
            .map(|_| {
                let runtime = runtime.clone();
                runtime.clone().spawn(async move { WORK.done(&runtime).await })
            })
            .collect();
        for waiter in waiters {
            waiter.await.unwrap();
        }
        assert!(WORK.is_done());
        assert_eq!(COUNT.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn work_that_was_dropped_is_started_by_another() {
        static WORK: Preparation = Preparation::new(|| ());
        WORK.done(&ShuttingDown).await;
        assert!(!WORK.is_done(), "and nothing waits forever");
        WORK.done(&tokio::runtime::Handle::current()).await;
        assert!(WORK.is_done());
    }

    #[tokio::test]
    async fn without_threads_it_is_done_in_place() {
        static WORK: Preparation = Preparation::new(|| ());
        WORK.start(&NoThreads);
        assert!(WORK.is_done());
    }

    #[tokio::test]
    async fn work_that_panics_is_not_repeated() {
        static WORK: Preparation = Preparation::new(|| panic!("boom"));
        WORK.done(&tokio::runtime::Handle::current()).await;
        assert!(WORK.is_done());
    }
}
