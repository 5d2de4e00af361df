//! What a provider for each key costs: a warm request through a selector, a bounded map, and a tenant that hangs.
//!
//! The bench `many_tenants` judges the warm requests of many tenants in turn.

#[cfg(feature = "peers")]
mod maps;

use std::{
    convert::Infallible,
    hint::black_box,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bearer_token::{AccessToken, Authorized, FetchContext, KeyedProviders, Select, TokenProvider};
use http::Request;
use lab::{
    report::Report,
    statistics::{Runs, Turns, median, rounds},
    tenants::{self, REQUESTS, Tenant, by_tenant, request, round_robin, tenant, time_in},
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
/// How many tenants of those that come and go wait for their first token at the same time.
const AT_ONCE: usize = 1_024;
const MIB: f64 = 1_048_576.0;

fn main() -> ExitCode {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let runtime = runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build().expect("a runtime");
    let mut report = Report::new("keyed");
    warm_requests(&runtime, &mut report);
    #[cfg(feature = "peers")]
    maps::maps(&mut report);
    bounded_map(&runtime, &mut report);
    cold_crowd(&runtime, &mut report);
    hung_tenant(&runtime, &mut report);
    report.finish()
}

fn warm_requests(runtime: &Runtime, report: &mut Report) {
    Replies::Bare.begin();
    let map = tenants::with_tokens(runtime, KEYS);
    let mut noop = Noop::<Infallible>::new();
    let mut plain = BearerLayer::new(tenants::unkeyed(runtime)).layer(Noop::<Infallible>::new());
    let mut keyed = BearerLayer::new(by_tenant(&map)).layer(Noop::<Infallible>::new());
    // A tenant's first request on a thread does more than later ones.
    let mut next = 0..KEYS;
    time_in(&mut keyed, KEYS, || next.next().unwrap_or(0));
    let mut in_turn = round_robin(KEYS);
    let runs = Runs::take(RUNS, || {
        Turns::take(4, rounds(ROUNDS), |contender| match contender {
            0 => time_in(&mut noop, REQUESTS, || 7),
            1 => time_in(&mut plain, REQUESTS, || 7),
            2 => time_in(&mut keyed, REQUESTS, || 7),
            _ => time_in(&mut keyed, REQUESTS, &mut in_turn),
        })
    });
    let net = |one: usize| format!("{:.0}", runs.median(|turns| turns.net(one, 0)) / REQUESTS as f64 * 1e9);
    let by_unkeyed = |one: usize| runs.each(|turns| turns.net(one, 0) / turns.net(1, 0));
    let in_all_runs = |one: usize| format!("{:.2}", median(by_unkeyed(one)));
    let plain_allocations = allocations(&mut plain);
    let keyed_allocations = allocations(&mut keyed);
    let hot = hot_key(&plain, &keyed);
    report.table(
        &["warm request", "net ns", "by the unkeyed layer's", "allocations"],
        vec![
            vec!["unkeyed layer".into(), net(1), "1.00".into(), format!("{plain_allocations:.2}")],
            vec![
                format!("one of {KEYS} keys, again and again"),
                net(2),
                in_all_runs(2),
                format!("{keyed_allocations:.2}"),
            ],
            vec![format!("{KEYS} keys, one after the other"), net(3), in_all_runs(3), "not counted".into()],
        ],
    );
    report.text(format!(
        "Medians of {RUNS} runs of {} rounds of {REQUESTS} requests, less the time of a service that responds at once. The \
         second row is what the selector and the map cost for a hot key. Keys in turn find their providers outside of the \
         processor's nearer caches: the bench `many_tenants` compares that row with its floor, and judges it.",
        rounds(ROUNDS)
    ));
    report.at_most(
        "keyed-net",
        "warm request through a selector, one hot key of 10,000, net time by the unkeyed layer's",
        1.3,
        by_unkeyed(2),
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

/// The throughput of two threads that use one key, by that of two that use one provider, in each run.
fn hot_key(plain: &BearerService<Noop, TokenProvider>, keyed: &BearerService<Noop, Select<Tenant>>) -> Vec<f64> {
    fn contend<S>(service: &S) -> Duration
    where
        S: Service<Request<()>> + Clone + Send,
        S::Future: Unpin,
    {
        thread::scope(|scope| {
            let threads = [(); 2].map(|()| {
                let mut service = service.clone();
                scope.spawn(move || time_in(&mut service, 64 * REQUESTS, || 7))
            });
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        })
    }
    let runs = Runs::take(RUNS, || {
        Turns::take(2, rounds(11), |contender| match contender {
            0 => contend(plain),
            _ => contend(keyed),
        })
    });
    runs.each(|turns| turns.ratio(0, 1))
}

/// The bytes on the heap at this moment.
fn heap() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// A map whose fetches take a few turns each, so evictions happen beside them. Counts the fetches, and looks at the heap
/// in each of them.
fn watched(bound: usize, fetches: &Arc<AtomicU64>, peak: &Arc<AtomicUsize>) -> KeyedProviders<Tenant> {
    let (fetches, peak) = (fetches.clone(), peak.clone());
    let map = KeyedProviders::builder(move |_: &Tenant| {
        let (fetches, peak) = (fetches.clone(), peak.clone());
        let source = move |_cx: FetchContext| {
            fetches.fetch_add(1, Ordering::Relaxed);
            let peak = peak.clone();
            async move {
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
                peak.fetch_max(heap(), Ordering::Relaxed);
                Ok(AccessToken::new(warm::token()).expires_in(Duration::from_secs(3_600)))
            }
        };
        Ok(TokenProvider::builder(source).allow_origin(ORIGIN))
    });
    map.max_providers(bound).build().expect("a map")
}

fn bounded_map(runtime: &Runtime, report: &mut Report) {
    let before = heap();
    let (fetches, peak) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(before)));
    let map = watched(KEYS, &fetches, &peak);
    let started = Instant::now();
    let mut most = 0;
    for chunk in 0..MANY / KEYS {
        let failed = runtime.block_on(map.warm_up((chunk * KEYS..(chunk + 1) * KEYS).map(tenant), AT_ONCE));
        assert!(failed.is_empty(), "{} keys got no token", failed.len());
        most = most.max(map.len());
    }
    let took = started.elapsed();
    let in_mib = |bytes: usize| bytes.saturating_sub(before) as f64 / MIB;
    let (rest, peak) = (in_mib(heap()), in_mib(peak.load(Ordering::Relaxed)));
    report.table(
        &[
            "tenants",
            "at once",
            "bound",
            "most providers",
            "fetches",
            "MiB at most",
            "MiB at the end",
            "µs per new tenant",
        ],
        vec![vec![
            MANY.to_string(),
            AT_ONCE.to_string(),
            KEYS.to_string(),
            most.to_string(),
            fetches.load(Ordering::Relaxed).to_string(),
            format!("{peak:.1}"),
            format!("{rest:.1}"),
            format!("{:.1}", took.as_secs_f64() * 1e6 / MANY as f64),
        ]],
    );
    report.text("The most is that of a look in each fetch, with all that the fetches in progress need beside the map.");
    report.at_most(
        "tenants-bounded-memory",
        "100,000 tenants through a map bounded at 10,000, MiB at most",
        64.0,
        peak,
    );
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
    report.at_most(
        "tenant-hangs",
        "one tenant hangs, without a cap on fetches, delay of others in ms",
        1.0,
        (after - before).max(0.0) / 1e3,
    );
}
