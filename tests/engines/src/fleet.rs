//! Many worker processes.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
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

/// What a worker has written.
#[derive(Default)]
struct Seen {
    is_ready: AtomicBool,
    is_fetching: AtomicBool,
    fetches: AtomicU64,
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
                match line.as_str() {
                    "ready" => kept.is_ready.store(true, Ordering::Relaxed),
                    "fetch" => {
                        kept.is_fetching.store(true, Ordering::Relaxed);
                        kept.fetches.fetch_add(1, Ordering::Relaxed);
                    }
                    "refused" => drop(kept.refused.fetch_add(1, Ordering::Relaxed)),
                    "failed" => drop(kept.failed.fetch_add(1, Ordering::Relaxed)),
                    "done" => kept.is_fetching.store(false, Ordering::Relaxed),
                    other => {
                        let report = other.strip_prefix("report ").and_then(|json| serde_json::from_str(json).ok());
                        *kept.report.lock().unwrap() = report;
                    }
                }
            }
        });
        Worker { child, input, seen, reader: Some(reader) }
    }

    pub fn is_ready(&self) -> bool {
        self.seen.is_ready.load(Ordering::Relaxed)
    }

    /// Whether it fetches a token now.
    pub fn is_fetching(&self) -> bool {
        self.seen.is_fetching.load(Ordering::Relaxed)
    }

    /// How often it fetched a token.
    pub fn fetches(&self) -> u64 {
        self.seen.fetches.load(Ordering::Relaxed)
    }

    /// How often it got no token.
    pub fn failed(&self) -> u64 {
        self.seen.failed.load(Ordering::Relaxed)
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

/// Many workers.
pub struct Workers(pub Vec<Worker>);

impl Workers {
    /// Starts this many, and waits until each has a token.
    pub async fn start(number: usize, job: impl Fn(usize) -> Job) -> Self {
        let workers = Workers((0..number).map(|index| Worker::start(&job(index))).collect());
        until("all workers have a token", Duration::from_secs(60), async || workers.0.iter().all(Worker::is_ready))
            .await;
        workers
    }

    /// The worker that is fetching a token, once there is one.
    pub async fn fetching(&self) -> usize {
        let find = || self.0.iter().position(Worker::is_fetching);
        until("a worker fetches", Duration::from_secs(30), async || find().is_some()).await;
        find().unwrap()
    }

    /// How often the API refused their tokens until now.
    pub fn refused(&self) -> u64 {
        self.0.iter().map(|worker| worker.seen.refused.load(Ordering::Relaxed)).sum()
    }

    /// How often they got no token until now.
    pub fn failed(&self) -> u64 {
        self.0.iter().map(Worker::failed).sum()
    }

    /// Lets all end, and adds up their reports.
    pub fn stop(self) -> Report {
        let mut all = Report::default();
        for worker in self.0 {
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
