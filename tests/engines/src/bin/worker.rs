//! One replica: calls an API with the token of its fleet until its input ends.
//!
//! It writes what happens, one word for each:
//!
//! | word | what happens |
//! |---|---|
//! | `ready` | it has its first token |
//! | `fetch` | it begins to fetch a token under the lease, at the time that follows: milliseconds of the monotonic clock |
//! | `alone` | it begins to fetch a token for itself: its call to the store got no answer, or the store is left alone |
//! | `needless` | it begins to fetch a token for itself, although the store answers |
//! | `done` | each of these has ended |
//! | `unanswered` | a call to the store got no answer |
//! | `unsaved` | so did this one, which was a save |
//! | `suspended` | the store is left alone, for the milliseconds that follow |
//! | `beaten` | its save was refused, because another replica was faster |
//! | `failed` | it gets no token |
//! | `refused` | the API refuses its token |
//! | `report` | the rest of the line is its report, at the end |

#![allow(clippy::disallowed_methods, reason = "a program, in real time")]

use std::{
    io::Write,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result};
use bearer_token::{
    AccessToken, Bearer, Error, FetchContext, Identity, TokenProvider, TokenSource,
    oauth::{ClientAuth, ClientCredentials, RefreshToken, TokenEndpoint},
    observe::{Event, Observer},
    platform::{BoxFuture, Clock, Moment, Platform, SystemClock},
    shared::{Fleet, SealingKeys, SharedRefreshToken},
    store::SharedStore,
};
use bearer_token_postgres::PostgresStore;
use bearer_token_redis::{Connection, RedisStore};
use engines::{
    faulty::{Fault, Faulty, NoDraws, OwnDraw},
    job::{Job, Report, Store, VARIABLE},
    reason::Said,
    redis_cluster,
};
use redis::{TlsMode, sentinel::SentinelNodeConnectionInfo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The clock of a host whose time of day is wrong.
struct OffClock(i64);

impl Clock for OffClock {
    fn now(&self) -> Moment {
        let now = SystemClock.now();
        let off = Duration::from_secs(self.0.unsigned_abs());
        let wall: SystemTime = if self.0 < 0 { now.wall() - off } else { now.wall() + off };
        Moment::new(now.monotonic(), wall)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        SystemClock.sleep_until(deadline)
    }
}

/// What a provider keeps of a token's life as a reserve: it is a tenth, of lives of four seconds.
const RESERVE: Duration = Duration::from_millis(500);

/// Whether a token is still good by the clock of this host.
fn is_usable(bearer: &Bearer, clock: &OffClock) -> bool {
    bearer.expires_at().is_some_and(|end| end > clock.now().wall() + RESERVE)
}

/// What the store has said.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Said>>);

impl Asked {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Asked {
    fn on_event(&self, event: &Event<'_>) {
        for word in self.said().heard(&event.kind, Instant::now()) {
            tell(&word);
        }
    }
}

/// Tells when it fetches.
struct Telling<S> {
    source: S,
    asked: Asked,
    failed: Arc<AtomicBool>,
}

impl<S: TokenSource> TokenSource for Telling<S> {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let reason = self.asked.said().reason(Instant::now());
        if reason == "fetch" {
            // This clock is the same in all processes of a machine with Linux.
            tell(&format!("fetch {}", SystemClock.now().monotonic().as_millis()));
        } else {
            tell(reason);
        }
        let result = self.source.fetch(cx).await;
        self.failed.store(result.is_err(), Ordering::Relaxed);
        tell("done");
        result
    }

    fn identity(&self, identity: &mut Identity) {
        self.source.identity(identity);
    }
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

fn share(job: &Job, store: impl SharedStore) -> Result<TokenProvider> {
    let (asked, failed) = (Asked::default(), Arc::<AtomicBool>::default());
    let source = Telling { source: endpoint(job)?, asked: asked.clone(), failed: Arc::clone(&failed) };
    if job.fault == Some(Fault::AsksNothing) {
        return provider(job, source, asked);
    }
    let fleet = Fleet::builder(Faulty::new(store, job.fault, failed), SealingKeys::file(&job.keys)).build()?;
    let shared = fleet.share(source)?;
    match job.fault {
        Some(Fault::DrawsForItself) => provider(job, OwnDraw::new(shared), asked),
        _ => provider(job, shared, asked),
    }
}

fn endpoint(job: &Job) -> Result<TokenEndpoint> {
    let builder = TokenEndpoint::builder(&job.token_url, ClientCredentials::new());
    Ok(builder.client_auth(ClientAuth::basic("fleet", "MARKER-secret")).build()?)
}

/// A provider for itself.
fn alone(job: &Job, endpoint: TokenEndpoint) -> Result<TokenProvider> {
    let asked = Asked(Arc::new(Mutex::new(Said::without_store())));
    provider(job, Telling { source: endpoint, asked: asked.clone(), failed: Arc::default() }, asked)
}

fn provider(job: &Job, source: impl TokenSource, asked: Asked) -> Result<TokenProvider> {
    let platform = Platform::system().with_clock(OffClock(job.clock_offset));
    let platform = match job.fault {
        Some(Fault::DrawsForItself) => platform.with_entropy(NoDraws),
        _ => platform,
    };
    let origin: String = job.api_url.split('/').take(3).collect::<Vec<_>>().join("/");
    Ok(TokenProvider::builder(source).allow_origin(origin).platform(platform).observer(asked).build()?)
}

async fn make(job: &Job) -> Result<TokenProvider> {
    match &job.store {
        Store::Redis { url } => share(job, RedisStore::from_url(url)?),
        Store::Sentinel { urls, name } => {
            let by_tls = urls.iter().any(|url| url.starts_with("rediss:"));
            let node = by_tls.then(|| SentinelNodeConnectionInfo::default().set_tls_mode(TlsMode::Secure));
            share(job, RedisStore::new(Connection::to_sentinels(urls, name, node)?))
        }
        Store::Cluster { urls } => share(job, RedisStore::new(redis_cluster::connect(urls.clone()).await?)),
        Store::Table { url } => share(job, PostgresStore::from_url(url)?.test_server()),
        Store::None => alone(job, endpoint(job)?),
        Store::Postgres { url, lease_ms } => {
            let keys = SealingKeys::file(&job.keys);
            let store = Faulty::new(PostgresStore::from_url(url)?.test_server(), job.fault, Arc::default());
            let store = SharedRefreshToken::new(store, keys, "consent");
            let grant = RefreshToken::new(store.lease_for(Duration::from_millis(*lease_ms)));
            let builder = TokenEndpoint::builder(&job.token_url, grant);
            alone(job, builder.client_auth(ClientAuth::public("app")).build()?)
        }
    }
}

/// One request to the API. Returns the status.
async fn call(url: &str, token: &str) -> Result<u16> {
    let (address, path) =
        url.trim_start_matches("http://").split_once('/').unwrap_or((url.trim_start_matches("http://"), ""));
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    response.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let job: Job = serde_json::from_str(&std::env::var(VARIABLE).context("this is started by the tests")?)?;
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let provider = make(&job).await?;
    let (mut report, begun) = (Report::default(), Instant::now());
    let (mut accepted, clock) = (None, OffClock(job.clock_offset));
    let always = matches!(job.store, Store::Postgres { .. });
    let work = async {
        loop {
            let asked = Instant::now();
            let token = if always { provider.refresh_now() } else { provider.token() };
            match token.await {
                Ok(bearer) => {
                    if report.first_ms == 0.0 {
                        report.first_ms = begun.elapsed().as_secs_f64() * 1000.0;
                        tell("ready");
                    } else {
                        report.longest_ms = report.longest_ms.max(asked.elapsed().as_secs_f64() * 1000.0);
                    }
                    match call(&job.api_url, bearer.secret()).await {
                        Ok(401) => {
                            report.refused += 1;
                            accepted = None;
                            tell("refused");
                            bearer.ticket().reject(&http::HeaderMap::new());
                        }
                        Ok(200) => {
                            report.accepted += 1;
                            accepted = Some(bearer);
                        }
                        other => drop(other),
                    }
                }
                Err(error) => {
                    report.failed += 1;
                    if accepted.as_ref().is_some_and(|bearer| is_usable(bearer, &clock)) {
                        report.failed_with_token += 1;
                    }
                    tell("failed");
                    if report.errors.len() < 3 {
                        report.errors.push(format!("{:?} ms: {error:#}", begun.elapsed().as_millis()));
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(job.every_ms)).await;
        }
    };
    let mut input = Vec::new();
    let mut stdin = tokio::io::stdin();
    tokio::select! {
        () = work => {}
        _ = stdin.read_to_end(&mut input) => {}
    }
    tell(&format!("report {}", serde_json::to_string(&report)?));
    // A thread that reads the input keeps the runtime from ending.
    std::process::exit(0)
}
