//! Some seconds of real time through the real adapters, against servers on loopback that misbehave at random.
//!
//! `SOAK_SECONDS=3600` runs for an hour; `SOAK_SEED` repeats the random choices, but not their timing. The test has its
//! own binary, because it measures the file descriptors and memory of the whole process.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "real time, real clocks and real tasks are what this is about")]

#[path = "../stack/support.rs"]
#[allow(dead_code, reason = "it serves the tests of the stack as well")]
mod support;

use std::{
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bearer_token::{
    AccessToken, Backoff, Error, FetchContext, Policy, TokenProvider, TokenSource,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};
use bearer_token_testing::{AuthorizationServer, Client as Registered, Endpoint, Fault, Tokens};
use fastrand::Rng;
use serde_json::json;
use support::{Adapter, CLIENT, Client, SECRET};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

const MILLI: Duration = Duration::from_millis(1);
const CALLERS: usize = 32;
/// The shortest pause after a failure: half of the policy's.
const FIRST_WAIT: Duration = Duration::from_millis(100);

fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// A source that counts its living instances and its fetches.
struct Counted {
    endpoint: TokenEndpoint,
    fetches: Arc<AtomicU64>,
}

impl TokenSource for Counted {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        self.endpoint.fetch(cx).await
    }
}

fn provider(server: &AuthorizationServer, fetches: &Arc<AtomicU64>) -> TokenProvider {
    let endpoint = TokenEndpoint::builder(server.token_url(), ClientCredentials::new())
        .client_auth(ClientAuth::basic(CLIENT, SECRET))
        .build()
        .unwrap();
    let backoff = Backoff::new(2 * FIRST_WAIT, 1_000 * MILLI);
    let policy = Policy::default()
        .fetch_timeout(300 * MILLI)
        .refresh_timeout(300 * MILLI)
        .transient_backoff(backoff)
        .terminal_backoff(backoff)
        .rejection_backoff(backoff);
    TokenProvider::builder(Counted { endpoint, fetches: fetches.clone() })
        .allow_origin(server.issuer())
        .policy(policy)
        .build()
        .unwrap()
}

/// The fault of one token request.
fn token_fault(rng: &mut Rng) -> Fault {
    match rng.u8(0..14) {
        0 => Fault::disconnect(),
        1 => Fault::cut_off(),
        2 => Fault::hang(),
        3 => Fault::stall(),
        4 => Fault::html(),
        5 => Fault::broken_json(),
        6 => Fault::flood(2 * 1024 * 1024),
        7 => Fault::status(503),
        8 => Fault::status(429).header("retry-after", "1"),
        9 => Fault::oauth_error(500, "invalid_grant"),
        10 => Fault::oauth_error(400, "invalid_client"),
        11 => Fault::json(200, &json!({ "access_token": "", "token_type": "Bearer" })),
        12 => Fault::redirect("https://files.example.net/token"),
        _ => Fault::delay(rng.u32(1..400) * MILLI),
    }
}

fn api_fault(rng: &mut Rng) -> Fault {
    match rng.u8(0..5) {
        0 => Fault::disconnect(),
        1 => Fault::invalid_token(),
        2 => Fault::status(500),
        3 => Fault::stall(),
        _ => Fault::delay(rng.u32(1..50) * MILLI),
    }
}

/// Causes every fault until the end. Revokes tokens only if asked to.
async fn misbehave(server: AuthorizationServer, mut rng: Rng, revokes: bool, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        sleep(rng.u32(1..30) * MILLI).await;
        match rng.u8(0..10) {
            0 => server.token_endpoint().next(token_fault(&mut rng)),
            1..5 => server.api().next(api_fault(&mut rng)),
            5 if revokes => server.revoke_all(),
            6 => server.close_connections(),
            // The stated lifetime is shorter than the real one, so the API refuses only a token long past its expiry.
            _ => server.issue(Tokens::opaque().lifetime(6_000 * MILLI).expires_in(rng.u64(0..3))),
        }
    }
}

/// Sends requests one after another, with or without a timeout. Returns their number.
async fn call(client: Client, ours: String, theirs: String, mut rng: Rng, over: Arc<AtomicBool>) -> u64 {
    let mut requests = 0;
    while !over.load(Ordering::Relaxed) {
        let url = if rng.u8(0..10) == 0 { &theirs } else { &ours };
        let patience = rng.u64(0..4) * 5 * MILLI.as_millis() as u64 + if rng.bool() { 1_000 } else { 1 };
        // Errors of connection, token or timeout are expected; the servers see what matters.
        let reply = timeout(Duration::from_millis(patience), client.get(url)).await;
        requests += 1;
        if !matches!(reply, Ok(Ok(_))) {
            sleep(MILLI).await;
        }
    }
    requests
}

/// Runs for a while, and checks what the servers saw.
async fn stretch(seed: u64, time: Duration, revokes: bool) -> (u64, u64) {
    let (server, other) = (AuthorizationServer::start().unwrap(), AuthorizationServer::start().unwrap());
    server.register(Registered::secret(CLIENT, SECRET));
    server.issue(Tokens::opaque().lifetime(6_000 * MILLI).expires_in(1));
    let (over, fetches) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (ours, theirs) = (format!("{}/x", server.api_url()), format!("{}/x", other.api_url()));
    let providers = Adapter::BOTH.map(|adapter| (adapter, provider(&server, &fetches)));
    let mut tasks = JoinSet::new();
    for number in 0..CALLERS {
        let (adapter, provider) = &providers[number % 2];
        let rng = Rng::with_seed(seed + number as u64);
        tasks.spawn(call(adapter.client(provider), ours.clone(), theirs.clone(), rng, over.clone()));
    }
    let started = Instant::now();
    let trouble = tokio::spawn(misbehave(server.clone(), Rng::with_seed(seed), revokes, over.clone()));
    sleep(time).await;
    over.store(true, Ordering::Relaxed);
    trouble.await.unwrap();
    let requests: u64 = tasks.join_all().await.into_iter().sum();
    let took = started.elapsed();

    let counts = server.count();
    // Without revocations no token is refused, so none was sent long past its expiry.
    assert!(revokes || counts.api_rejected == 0, "{counts:?}");
    let carried = |server: &AuthorizationServer| {
        let requests = server.requests();
        let api = requests.iter().filter(|request| request.endpoint() == Endpoint::Api);
        api.map(|request| request.header("authorization").is_some()).collect::<Vec<_>>()
    };
    let (here, elsewhere) = (carried(&server), carried(&other));
    assert!(here.iter().all(|token| *token), "a request was sent without a token");
    assert!(elsewhere.iter().all(|token| !token), "a token was sent elsewhere");
    assert!(!here.is_empty() && !elsewhere.is_empty());
    // A failing provider fetches at most once in a tenth of a second, and a broken connection makes one fetch two
    // requests. Tokens without a lifetime are fetched for each waiter, as fast as they arrive.
    let fetches = fetches.load(Ordering::Relaxed);
    assert!(counts.token_requests <= 2 * fetches, "{fetches} fetches, {counts:?}");
    assert!(counts.tokens_issued + 2 * (took.as_millis() / FIRST_WAIT.as_millis()) as u64 + 4 >= fetches, "{counts:?}");

    // The servers work again, and so does every client.
    server.token_endpoint().recover();
    server.api().recover();
    server.issue(Tokens::opaque());
    for (adapter, provider) in &providers {
        let client = adapter.client(provider);
        let recovered = async {
            // A token that is too short-lived to be kept may still arrive: it is used and leaves nothing behind.
            while !client.get(&ours).await.is_ok_and(|reply| reply.status == 200) || !provider.status().is_ready() {
                sleep(10 * MILLI).await;
            }
        };
        // `Retry-After: 1` is the longest cool-down, and a last token may be rejected.
        timeout(Duration::from_secs(10), recovered).await.expect("it does not recover");
    }
    server.stop();
    other.stop();
    (requests, counts.token_requests)
}

/// The number of open file descriptors and of pages in memory, where the system tells.
fn resources() -> Option<(usize, u64)> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    let pages = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some((open, pages))
}

fn run(seed: u64, time: Duration, revokes: bool) -> Option<(usize, u64)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (requests, token_requests) = runtime.block_on(stretch(seed, time, revokes));
    runtime.shutdown_timeout(Duration::from_secs(10));
    println!("SOAK_SEED={seed}: {requests} requests, {token_requests} token requests in {time:?}, {:?}", resources());
    resources()
}

#[test]
fn the_invariants_hold_through_real_clients() {
    let seed = number("SOAK_SEED", 1);
    let time = Duration::from_millis(number("SOAK_SECONDS", 3) * 1_000 / 4);
    let first = run(seed, time, false);
    let second = run(seed + 1_000, time, true);
    let third = run(seed + 2_000, time, false);
    let last = run(seed + 3_000, time, true);
    if let (Some((open, _)), Some((_, pages)), Some((now, _)), Some((end, later))) = (first, second, third, last) {
        assert!(now.max(end) <= open + 2, "file descriptors: {open}, then {now} and {end}");
        // 32 MiB in pages of 4 KiB: the recorded requests, whose memory allocators do not return at once.
        assert!(later <= pages + 8_192, "pages in memory: {pages}, then {later}");
    }
}
