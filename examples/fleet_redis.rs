//! Fifty processes with tokens of four seconds: each for itself, and with one token for all on Redis.
//!
//! `cargo run --example fleet_redis` starts a `redis-server`, an authorization server in a box, and fifty processes
//! twice. It prints a table and a plot of the token requests, and ends within half a minute. The exit status is 0 only
//! if the fleet made the requests of one replica and none failed. Without `redis-server` it says so and ends.

#![allow(clippy::disallowed_methods, reason = "a program, in real time")]

use std::{
    env, fs,
    io::{self, BufRead, BufReader, ErrorKind},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use bearer_token::observe::{Event, EventKind, Observer, StoreOutcome};
use bearer_token_config::ProviderConfig;
use bearer_token_testing::{AuthorizationServer, Client, Tokens};

const PROCESSES: u64 = 50;
const LIFETIME: Duration = Duration::from_secs(4);
/// The variable with the configuration file of a replica.
const REPLICA: &str = "FLEET_REDIS_REPLICA";

fn main() -> Result<ExitCode> {
    if let Some(config) = env::var_os(REPLICA) {
        return replica(&PathBuf::from(config)).map(|()| ExitCode::SUCCESS);
    }
    let directory = tempfile::tempdir()?;
    let Some((_redis, port)) = start_redis(directory.path())? else {
        println!("skipped: there is no redis-server in PATH; install it (Debian's package is `redis-server`)");
        return Ok(ExitCode::SUCCESS);
    };
    let server = AuthorizationServer::start()?;
    server.register(Client::secret("orders", "correct horse battery staple"));
    server.issue(Tokens::opaque().lifetime(LIFETIME));

    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key)?;
    let keys = directory.path().join("fleet.keys");
    fs::write(&keys, BASE64_STANDARD.encode(key))?;
    let alone = format!(
        "token_endpoint.url = '{}'\ntoken_endpoint.client = {{ id = 'orders', secret = 'correct horse battery staple' }}\n",
        server.token_url()
    );
    let shared = format!("[shared]\nurl = 'redis://127.0.0.1:{port}'\nkey = {{ file = '{}' }}\n", keys.display());
    println!("What makes them a fleet, in the configuration of each:\n\n{shared}");
    let run = |name: &str, text: &str, lifetimes: u32| -> Result<Course> {
        let file = directory.path().join(name);
        fs::write(&file, text)?;
        watch(&server, &file, LIFETIME * lifetimes)
    };
    let alone = run("alone.toml", &alone, 2)?;
    let shared =
        run("shared.toml", &format!("{}{shared}", fs::read_to_string(directory.path().join("alone.toml"))?), 3)?;

    println!(
        "| {PROCESSES} processes | at the start | then | for each lifetime | tokens asked for | failed | slow calls |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    alone.row("each for itself");
    shared.row("one token for all");
    println!("\nToken requests in each second:\n");
    alone.plot("each for itself");
    shared.plot("one token for all");

    // A replica whose call to the store was too slow fetches for itself. Where there was no such call, these are the
    // requests of one replica.
    // On a machine that is too busy for most of its calls, this shows nothing.
    let explained = shared.unanswered.min(PROCESSES / 2);
    let is_one = (shared.lifetimes()..=most_of_one(LIFETIME * 3) + explained).contains(&shared.requests())
        && shared.start <= most_of_one(shared.started_in) + explained;
    let is_many = alone.requests() >= PROCESSES * alone.lifetimes();
    let none_failed = alone.failed + shared.failed == 0;
    println!("\n{}", if is_one && is_many && none_failed { "As expected." } else { "NOT as expected." });
    Ok(if is_one && is_many && none_failed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The most token requests of one replica in a time: a token is not refreshed in the first half of its life.
fn most_of_one(time: Duration) -> u64 {
    time.as_secs() / (LIFETIME / 2).as_secs() + 1
}

/// What happened to one fleet.
struct Course {
    /// The token requests until each process had a token.
    start: u64,
    /// The time until then.
    started_in: Duration,
    /// Those of each second after that.
    seconds: Vec<u64>,
    served: u64,
    failed: u64,
    /// The calls to the store that got no answer within 95 ms, as on a machine that is busy with something else.
    unanswered: u64,
}

impl Course {
    fn requests(&self) -> u64 {
        self.seconds.iter().sum()
    }

    fn lifetimes(&self) -> u64 {
        self.seconds.len() as u64 / LIFETIME.as_secs()
    }

    fn row(&self, name: &str) {
        let (start, then, seconds) = (self.start, self.requests(), self.seconds.len());
        let each = then as f64 / self.lifetimes() as f64;
        let Course { served, failed, unanswered, .. } = self;
        println!("| {name} | {start} | {then} in {seconds} s | {each:.1} | {served} | {failed} | {unanswered} |");
    }

    fn plot(&self, name: &str) {
        println!("{name}");
        for (second, &count) in self.seconds.iter().enumerate() {
            let bar = "#".repeat(usize::try_from(count).unwrap_or(usize::MAX).min(100));
            println!("  {:>3} s {count:>4} {bar}", second + 1);
        }
    }
}

/// Starts the processes with this configuration, and counts the token requests for a time.
fn watch(server: &AuthorizationServer, config: &Path, time: Duration) -> Result<Course> {
    let requests = || server.count().token_requests;
    let (before, started) = (requests(), Instant::now());
    let mut replicas = (0..PROCESSES).map(|_| Replica::start(config)).collect::<Result<Vec<_>>>()?;
    for replica in &mut replicas {
        ensure!(replica.line()? == "ready", "a process got no token");
    }
    let (begun, mut last) = (Instant::now(), requests());
    let started_in = begun - started;
    let start = last - before;
    let mut seconds = Vec::new();
    for second in 1..=time.as_secs() {
        thread::sleep(Duration::from_secs(second).saturating_sub(begun.elapsed()));
        let now = requests();
        seconds.push(now - last);
        last = now;
    }
    let (mut served, mut failed, mut unanswered) = (0, 0, 0);
    // All are told first: their input ends.
    replicas.iter_mut().for_each(|replica| drop(replica.child.stdin.take()));
    for mut replica in replicas {
        let line = replica.line()?;
        let numbers = line.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let &[has_served, has_failed, slow] = &*numbers else { bail!("a process ended without its report") };
        (served, failed, unanswered) = (served + has_served, failed + has_failed, unanswered + slow);
    }
    Ok(Course { start, started_in, seconds, served, failed, unanswered })
}

/// One process of the fleet, as its parent sees it. It is killed when this is dropped.
struct Replica {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Replica {
    fn start(config: &Path) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.env(REPLICA, config).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let output = child.stdout.take().context("a process without output")?;
        Ok(Replica { child, output: BufReader::new(output) })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Counts the calls to the store that got no answer in time.
#[derive(Clone, Default)]
struct Unanswered(Arc<AtomicU64>);

impl Observer for Unanswered {
    fn on_event(&self, event: &Event<'_>) {
        if matches!(event.kind, EventKind::StoreCall { outcome: StoreOutcome::Failed, .. }) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What one process does: it needs a token five times a second, until its input ends.
#[tokio::main(flavor = "current_thread")]
async fn replica(config: &Path) -> Result<()> {
    let unanswered = Unanswered::default();
    let provider = ProviderConfig::load(config)?.builder().observer(unanswered.clone()).build()?;
    provider.token().await?;
    println!("ready");
    let (mut served, mut failed) = (0, 0);
    let work = async {
        let mut every = tokio::time::interval(Duration::from_millis(200));
        loop {
            every.tick().await;
            match provider.token().await {
                Ok(_) => served += 1,
                Err(_) => failed += 1,
            }
        }
    };
    let end = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
    tokio::select! {
        () = work => {}
        _ = end => {}
    }
    println!("{served} {failed} {}", unanswered.0.load(Ordering::Relaxed));
    Ok(())
}

/// The server, which is killed when this is dropped.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An empty server on a free port of loopback, or `None` if there is no such program.
fn start_redis(directory: &Path) -> Result<Option<(Redis, u16)>> {
    // Another program may take the free port meanwhile.
    for _ in 0..3 {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string(), "--dir"]).arg(directory);
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut redis = match spawned {
            Ok(child) => Redis(child),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("redis-server could not be started"),
        };
        let end = Instant::now() + Duration::from_secs(5);
        while redis.0.try_wait()?.is_none() && Instant::now() < end {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() && redis.0.try_wait()?.is_none() {
                return Ok(Some((redis, port)));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    bail!("redis-server did not answer")
}
