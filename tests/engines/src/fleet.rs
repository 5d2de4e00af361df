//! Many worker processes.

use std::{
    io::{BufRead, BufReader},
    iter::Sum,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    job::{Job, Report, VARIABLE},
    process::signal,
    until,
};

/// The worker's program, which Cargo builds beside the tests.
pub fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(|deps| deps.parent()).unwrap().join("worker")
}

/// One worker process.
pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    seen: Arc<Seen>,
    reader: Option<JoinHandle<()>>,
}

/// What a worker has written: `src/bin/worker.rs` has the words.
#[derive(Default)]
struct Seen {
    is_ready: AtomicBool,
    has_lease: AtomicBool,
    /// When it began to fetch under the lease, by the monotonic clock of the machine.
    fetches: Mutex<Vec<Duration>>,
    alone: AtomicU64,
    needless: AtomicU64,
    unanswered: AtomicU64,
    unsaved: AtomicU64,
    suspended_until: Mutex<Option<Instant>>,
    beaten: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    report: Mutex<Option<Report>>,
}

impl Worker {
    pub fn start(job: &Job) -> Self {
        Worker::start_in(job, [])
    }

    /// Starts it with these environment variables.
    pub fn start_in<'a>(job: &Job, variables: impl IntoIterator<Item = (&'a str, &'a Path)>) -> Self {
        let mut command = Command::new(program());
        command.envs(variables).env(VARIABLE, serde_json::to_string(job).unwrap());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let seen = Arc::new(Seen::default());
        let kept = Arc::clone(&seen);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let count = |counter: &AtomicU64| {
                    counter.fetch_add(1, Ordering::Relaxed);
                };
                match line.as_str() {
                    "ready" => kept.is_ready.store(true, Ordering::Relaxed),
                    "alone" => count(&kept.alone),
                    "needless" => count(&kept.needless),
                    "unanswered" => count(&kept.unanswered),
                    "unsaved" => count(&kept.unsaved),
                    "beaten" => count(&kept.beaten),
                    "refused" => count(&kept.refused),
                    "failed" => count(&kept.failed),
                    "done" => kept.has_lease.store(false, Ordering::Relaxed),
                    other => {
                        if let Some(pause) = other.strip_prefix("suspended ") {
                            let end = Instant::now() + Duration::from_millis(pause.parse().unwrap());
                            *kept.suspended_until.lock().unwrap() = Some(end);
                        } else if let Some(time) = other.strip_prefix("fetch ") {
                            kept.has_lease.store(true, Ordering::Relaxed);
                            kept.fetches.lock().unwrap().push(Duration::from_millis(time.parse().unwrap()));
                        } else {
                            let report = other.strip_prefix("report ").and_then(|json| serde_json::from_str(json).ok());
                            *kept.report.lock().unwrap() = report;
                        }
                    }
                }
            }
        });
        Worker { child, input, seen, reader: Some(reader) }
    }

    pub fn is_ready(&self) -> bool {
        self.seen.is_ready.load(Ordering::Relaxed)
    }

    /// Whether it fetches a token under the lease now.
    pub fn has_lease(&self) -> bool {
        self.seen.has_lease.load(Ordering::Relaxed)
    }

    /// What happened to it until now.
    pub fn tally(&self) -> Tally {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // A fetch is read before the calls that explain it, because another one may follow meanwhile.
        Tally {
            shared: u64::try_from(self.seen.fetches.lock().unwrap().len()).unwrap(),
            alone: read(&self.seen.alone),
            needless: read(&self.seen.needless),
            unanswered: read(&self.seen.unanswered),
            unsaved: read(&self.seen.unsaved),
            beaten: read(&self.seen.beaten),
            failed: read(&self.seen.failed),
            refused: read(&self.seen.refused),
        }
    }

    /// Whether it leaves the store alone now.
    pub fn is_suspended(&self) -> bool {
        self.seen.suspended_until.lock().unwrap().is_some_and(|end| Instant::now() < end)
    }

    /// `SIGSTOP`.
    pub fn pause(&self) {
        signal(self.child.id(), Signal::STOP);
    }

    /// `SIGCONT`.
    pub fn resume(&self) {
        signal(self.child.id(), Signal::CONT);
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Lets it end, and returns its report.
    pub fn stop(mut self) -> Report {
        drop(self.input.take());
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
        drop(self.child.wait());
        let report = self.seen.report.lock().unwrap().take();
        report.expect("a worker ended without its report")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// What happened to workers, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Fetches under the lease.
    pub shared: u64,
    /// Fetches without it: the store gave no answer, or was left alone after that.
    pub alone: u64,
    /// Fetches without it although the store answered. There must be none.
    pub needless: u64,
    /// Calls to the store without an answer in time.
    pub unanswered: u64,
    /// Saves among them, so another replica fetches once more.
    pub unsaved: u64,
    /// Saves that were refused, because another replica was faster.
    pub beaten: u64,
    /// Requests without a token.
    pub failed: u64,
    /// Tokens that the API refused.
    pub refused: u64,
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(all: I) -> Tally {
        all.fold(Tally::default(), |sum, one| Tally {
            shared: sum.shared + one.shared,
            alone: sum.alone + one.alone,
            needless: sum.needless + one.needless,
            unanswered: sum.unanswered + one.unanswered,
            unsaved: sum.unsaved + one.unsaved,
            beaten: sum.beaten + one.beaten,
            failed: sum.failed + one.failed,
            refused: sum.refused + one.refused,
        })
    }
}

/// Many workers.
pub struct Workers {
    pub running: Vec<Worker>,
    killed: Tally,
}

impl Workers {
    /// Starts this many, and waits until each has a token.
    pub async fn start(number: usize, job: impl Fn(usize) -> Job) -> Self {
        let running = (0..number).map(|index| Worker::start(&job(index))).collect();
        let workers = Workers { running, killed: Tally::default() };
        let limit = Duration::from_secs(120);
        until("all workers have a token", limit, async || workers.running.iter().all(Worker::is_ready)).await;
        workers
    }

    /// The worker that fetches a token under the lease, once there is one. The server must hold its response.
    pub async fn holder(&self) -> usize {
        let mut found = None;
        until("a worker has the lease", Duration::from_secs(60), async || {
            // The response of an earlier one may be on its way.
            let before = found;
            found = self.running.iter().position(Worker::has_lease);
            tokio::time::sleep(Duration::from_millis(200)).await;
            found.is_some() && found == before
        })
        .await;
        found.unwrap()
    }

    /// `kill -9` of one of them.
    pub fn kill(&mut self, index: usize) {
        let worker = self.running.swap_remove(index);
        self.killed = [self.killed, worker.tally()].into_iter().sum();
        worker.kill();
    }

    /// What happened to all until now.
    pub fn tally(&self) -> Tally {
        self.running.iter().map(Worker::tally).chain([self.killed]).sum()
    }

    /// When those that run began to fetch under the lease, in order.
    pub fn fetches(&self) -> Vec<Duration> {
        let mut all: Vec<_> =
            self.running.iter().flat_map(|worker| worker.seen.fetches.lock().unwrap().clone()).collect();
        all.sort_unstable();
        all
    }

    /// How many leave the store alone now.
    pub fn suspended(&self) -> u64 {
        u64::try_from(self.running.iter().filter(|worker| worker.is_suspended()).count()).unwrap()
    }

    /// Lets all end, and adds up their reports.
    pub fn stop(self) -> Report {
        assert_eq!(self.tally().needless, 0, "fetches without the lease, although the store answered");
        let mut all = Report::default();
        for worker in self.running {
            let report = worker.stop();
            all.accepted += report.accepted;
            all.refused += report.refused;
            all.failed += report.failed;
            all.failed_with_token += report.failed_with_token;
            all.errors.extend(report.errors);
            all.first_ms = all.first_ms.max(report.first_ms);
            all.longest_ms = all.longest_ms.max(report.longest_ms);
        }
        all
    }
}
