//! What a provider for each key costs: a warm request through a selector, many tenants, and a tenant that hangs.

#[cfg(feature = "peers")]
mod maps;

use std::{
    convert::Infallible,
    hint::black_box,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bearer_token::{AccessToken, Authorized, FetchContext, KeyedProviders, Select, TokenProvider};
use http::Request;
use lab::{
    report::Report,
    statistics::{Runs, Turns, median, rounds},
    tenants::{self, PlainMap, Tenant, by_tenant, request, round_robin, tenant},
    warm::{self, Noop, ORIGIN, Replies},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::{self, Runtime};
use tower::{Layer, Service};
use tower_bearer::{BearerLayer, BearerService};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const KEYS: usize = 10_000;
const MANY: usize = 100_000;
const ROUNDS: usize = 21;
/// A bar is judged by the median of so many runs.
const RUNS: usize = 5;
/// Requests of one turn, and how many of them are made before the clock is read.
const REQUESTS: usize = 2_048;
const FEW: usize = 16;
const MIB: f64 = 1_048_576.0;

fn main() -> ExitCode {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let runtime = runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build().expect("a runtime");
    let mut report = Report::new("keyed");
    warm_requests(&runtime, &mut report);
    #[cfg(feature = "peers")]
    maps::maps(&mut report);
    many_tenants(&runtime, &mut report);
    cold_crowd(&runtime, &mut report);
    hung_tenant(&runtime, &mut report);
    report.finish()
}

/// The time that so many requests spend in a service; they are made before, a few at a time.
fn bare<S>(service: &mut S, requests: usize, mut number: impl FnMut() -> usize) -> Duration
where
    S: Service<Request<()>>,
    S::Future: Unpin,
{
    let mut spent = Duration::ZERO;
    let mut responses = Vec::with_capacity(FEW);
    for _ in 0..requests / FEW {
        let mut made: [_; FEW] = std::array::from_fn(|_| Some(request(number())));
        let started = Instant::now();
        for request in &mut made {
            if let Some(request) = request.take() {
                responses.push(lab::drive::at_once(service.call(request)));
            }
        }
        spent += started.elapsed();
        assert!(responses.iter().all(Result::is_ok), "a warm request failed");
        black_box(&mut responses).clear();
    }
    spent
}

fn warm_requests(runtime: &Runtime, report: &mut Report) {
    Replies::Bare.begin();
    let one = tenants::unkeyed(runtime);
    let [few, many] = [KEYS, MANY].map(|keys| tenants::with_tokens(runtime, keys));
    let mut noop = Noop::<Infallible>::new();
    let mut plain = BearerLayer::new(one).layer(Noop::<Infallible>::new());
    let mut keyed = BearerLayer::new(by_tenant(&few)).layer(Noop::<Infallible>::new());
    let mut crowded = BearerLayer::new(by_tenant(&many)).layer(Noop::<Infallible>::new());
    let (mut any_of_few, mut any_of_many) = (round_robin(KEYS), round_robin(MANY));
    // A tenant's first request on a thread does more than later ones.
    bare(&mut keyed, KEYS, &mut any_of_few);
    bare(&mut crowded, MANY, &mut any_of_many);
    let mut plain_map = PlainMap::of(KEYS);
    let mut any_of_map = round_robin(KEYS);
    let runs = Runs::take(RUNS, || {
        Turns::take(7, rounds(ROUNDS), |contender| match contender {
            0 => bare(&mut noop, REQUESTS, || 7),
            1 => bare(&mut plain, REQUESTS, || 7),
            2 => bare(&mut keyed, REQUESTS, || 7),
            3 => bare(&mut keyed, REQUESTS, &mut any_of_few),
            4 => bare(&mut crowded, REQUESTS, &mut any_of_many),
            5 => bare(&mut plain_map, REQUESTS, || 7),
            _ => bare(&mut plain_map, REQUESTS, &mut any_of_map),
        })
    });
    let net = |one: usize| runs.median(|turns| turns.net(one, 0)) / REQUESTS as f64 * 1e9;
    let net_ratios = |one: usize, other: usize| runs.each(|turns| turns.net(one, 0) / turns.net(other, 0));
    let plain_allocations = allocations(&mut plain);
    let keyed_allocations = allocations(&mut keyed);
    let hot = hot_key(runtime, &plain, &keyed);
    let row = |what: String, one: usize, allocations: String| {
        let by = |other| format!("{:.2}", median(net_ratios(one, other)));
        vec![what, format!("{:.0}", net(one)), by(1), by(2), allocations]
    };
    report.table(
        &["warm request", "net ns", "by the unkeyed layer's", "by one key's", "allocations"],
        vec![
            row("unkeyed layer".into(), 1, format!("{plain_allocations:.2}")),
            row(format!("one of {KEYS} keys, again and again"), 2, format!("{keyed_allocations:.2}")),
            row(format!("{KEYS} keys, one after the other"), 3, String::new()),
            row(format!("{MANY} keys, one after the other"), 4, String::new()),
            row(format!("a plain map of {KEYS} header values, one key again and again"), 5, String::new()),
            row(format!("a plain map of {KEYS} header values, one key after the other"), 6, String::new()),
        ],
    );
    report.text(format!(
        "Medians of {RUNS} runs of {} rounds of {REQUESTS} requests, less the time of a service that responds at once. The \
         second row is what the selector and the map cost. In the third and fourth, each request finds its provider, bearer \
         and header value outside of the processor's nearer caches. The last two are the floor: a `HashMap` that is never \
         changed, without a look at the origin or the expiry.",
        rounds(ROUNDS)
    ));
    report.at_most(
        "keyed-net",
        "warm request through a selector, 10,000 keys, net time by the unkeyed layer's",
        1.3,
        net_ratios(2, 1),
    );
    report.at_most(
        "tenants-round-robin",
        "warm request of one in 10,000 tenants, round robin, net time by one tenant's",
        2.0,
        net_ratios(3, 2),
    );
    report.at_most(
        "keyed-allocations",
        "allocations of a warm keyed request beyond the unkeyed one",
        0.0,
        keyed_allocations - plain_allocations,
    );
    report.at_least("keyed-hot", "one hot key on two threads, throughput by the unkeyed layer's", 0.85, hot);
}

/// The allocations of a warm request.
fn allocations<S>(service: &mut S) -> f64
where
    S: Service<Request<()>>,
    S::Future: Unpin,
{
    let requests: Vec<_> = (0..64).map(request).collect();
    let region = Region::new(ALLOCATOR);
    for request in requests {
        drop(black_box(lab::drive::at_once(service.call(request))));
    }
    region.change().allocations as f64 / 64.0
}

/// The throughput of two threads that use one key, by that of two that use one provider.
fn hot_key(
    runtime: &Runtime,
    plain: &BearerService<Noop, TokenProvider>,
    keyed: &BearerService<Noop, Select<Tenant>>,
) -> f64 {
    fn contend<S>(runtime: &Runtime, service: &S) -> Duration
    where
        S: Service<Request<()>> + Clone + Send + 'static,
        S::Future: Unpin,
    {
        let _ = runtime;
        thread::scope(|scope| {
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let mut service = service.clone();
                    scope.spawn(move || bare(&mut service, 64 * REQUESTS, || 7))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        })
    }
    let turns = Turns::take(2, 11, |contender| match contender {
        0 => contend(runtime, plain),
        _ => contend(runtime, keyed),
    });
    turns.ratio(0, 1)
}

fn many_tenants(runtime: &Runtime, report: &mut Report) {
    let region = Region::new(ALLOCATOR);
    let (map, fetches) = tenants::tenants(KEYS);
    let started = Instant::now();
    let mut most = 0;
    for chunk in 0..MANY / KEYS {
        let failed = runtime.block_on(map.warm_up((chunk * KEYS..(chunk + 1) * KEYS).map(tenant), 64));
        assert!(failed.is_empty(), "{} keys got no token", failed.len());
        most = most.max(map.len());
    }
    let took = started.elapsed();
    let change = region.change();
    let bytes = (change.bytes_allocated - change.bytes_deallocated) as f64;
    report.table(
        &["tenants", "bound", "most providers", "fetches", "MiB", "KiB each", "µs per new tenant"],
        vec![vec![
            MANY.to_string(),
            KEYS.to_string(),
            most.to_string(),
            fetches.load(Ordering::Relaxed).to_string(),
            format!("{:.1}", bytes / MIB),
            format!("{:.2}", bytes / 1_024.0 / map.len() as f64),
            format!("{:.1}", took.as_secs_f64() * 1e6 / MANY as f64),
        ]],
    );
    report.at_most("tenants-bounded-memory", "100,000 tenants through a map bounded at 10,000, MiB", 64.0, bytes / MIB);
    report.at_most(
        "tenants-bounded-fetches",
        "the same, fetches per tenant",
        1.0,
        fetches.load(Ordering::Relaxed) as f64 / MANY as f64,
    );
    report.at_most("tenants-bounded-providers", "the same, providers", KEYS as f64, most as f64);
}

fn cold_crowd(runtime: &Runtime, report: &mut Report) {
    let requests: Arc<Vec<AtomicU64>> = Arc::new((0..KEYS).map(|_| AtomicU64::new(0)).collect());
    let counted = requests.clone();
    let map = KeyedProviders::builder(move |&number: &usize| {
        let counted = counted.clone();
        let source = move |_cx: FetchContext| {
            counted[number].fetch_add(1, Ordering::Relaxed);
            async {
                tokio::time::sleep(Duration::from_millis(250)).await;
                Ok(AccessToken::new(warm::token()).expires_in(Duration::from_secs(3_600)))
            }
        };
        Ok(TokenProvider::builder(source).allow_origin(ORIGIN))
    })
    .max_providers(KEYS)
    .build()
    .expect("a map");
    let started = Instant::now();
    let failed = runtime.block_on(map.warm_up(0..KEYS, KEYS));
    let took = started.elapsed();
    let all: u64 = requests.iter().map(|requests| requests.load(Ordering::Relaxed)).sum();
    let twice = requests.iter().filter(|requests| requests.load(Ordering::Relaxed) > 1).count();
    report.text(format!(
        "{KEYS} tenants cold at once, an authorization server that takes 250 ms: {all} token requests, {twice} tenants with \
         more than one, {} without a token, all told after {} ms.",
        failed.len(),
        took.as_millis()
    ));
    report.at_most(
        "tenants-cold-requests",
        "10,000 tenants cold at once, token requests by tenants",
        1.0,
        all as f64 / KEYS as f64,
    );
    report.at_most("tenants-cold-twice", "the same, tenants with more than one token request", 0.0, twice as f64);
    report.at_most("tenants-cold-failed", "the same, tenants without a token", 0.0, failed.len() as f64);
}

fn hung_tenant(runtime: &Runtime, report: &mut Report) {
    let map = KeyedProviders::builder(|&number: &usize| {
        let source = move |_cx: FetchContext| async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            Ok(AccessToken::new(warm::token()).expires_in(Duration::from_secs(3_600)))
        };
        Ok(TokenProvider::builder(source).allow_origin(ORIGIN))
    })
    .build()
    .expect("a map");
    let time = |map: &KeyedProviders<usize>, numbers: std::ops::Range<usize>| {
        let started = Instant::now();
        for number in numbers {
            runtime.block_on(map.get(&number).expect("a provider").token()).expect("a token");
            let mut request = warm::request();
            assert!(matches!(map.authorize(&number, &mut request), Ok(Authorized::Inserted(_))));
        }
        started.elapsed().as_secs_f64() * 1e6 / 500.0
    };
    let before = median((0..5).map(|round| time(&map, 1 + round * 500..501 + round * 500)));
    let hung = map.get(&0).expect("a provider");
    let waiter = runtime.spawn(async move { hung.token().await });
    let after = median((5..10).map(|round| time(&map, 1 + round * 500..501 + round * 500)));
    waiter.abort();
    report.text(format!(
        "Another tenant's first token and request, alone and while one tenant's fetch hangs: {before:.1} and {after:.1} µs."
    ));
    // A wait for the other would take seconds. Less than a millisecond is the noise of the machine.
    report.at_most("tenant-hangs", "one tenant hangs, delay of others in ms", 1.0, (after - before).max(0.0) / 1e3);
}
