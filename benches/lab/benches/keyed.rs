//! What a provider for each key costs: a warm request through a selector, many tenants, and a tenant that hangs.

#[cfg(feature = "peers")]
use std::hash::BuildHasher;
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

use bearer_token::{AccessToken, Authorized, FetchContext, KeyedProviders, Select, Selected, TokenProvider};
use http::Request;
use lab::{
    report::Report,
    statistics::{Turns, median},
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
const ROUNDS: usize = 101;
/// Requests of one turn, and how many of them are made before the clock is read.
const REQUESTS: usize = 2_048;
const FEW: usize = 16;
const MIB: f64 = 1_048_576.0;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Tenant(String);

fn main() -> ExitCode {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let runtime = runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build().expect("a runtime");
    let mut report = Report::new("keyed");
    warm_requests(&runtime, &mut report);
    maps(&mut report);
    many_tenants(&runtime, &mut report);
    cold_crowd(&runtime, &mut report);
    hung_tenant(&runtime, &mut report);
    report.finish()
}

fn tenant(number: usize) -> Tenant {
    Tenant(format!("tenant-{number:06}"))
}

/// Providers whose tokens are made at once, and how many fetches there were.
fn tenants(bound: usize) -> (KeyedProviders<Tenant>, Arc<AtomicU64>) {
    let fetches = Arc::new(AtomicU64::new(0));
    let counted = fetches.clone();
    let tenants = KeyedProviders::builder(move |_: &Tenant| {
        let counted = counted.clone();
        let source = move |_cx: FetchContext| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(AccessToken::new(warm::token()).expires_in(Duration::from_secs(3_600))) }
        };
        Ok(TokenProvider::builder(source).allow_origin(ORIGIN))
    });
    (tenants.max_providers(bound).build().expect("a map"), fetches)
}

fn unkeyed(runtime: &Runtime) -> TokenProvider {
    let source = async |_cx: FetchContext| Ok(AccessToken::new(warm::token()).expires_in(Duration::from_secs(3_600)));
    let provider = TokenProvider::builder(source).allow_origin(ORIGIN).build().expect("a provider");
    runtime.block_on(provider.token()).expect("a token");
    provider
}

fn by_tenant(tenants: &KeyedProviders<Tenant>) -> Select<Tenant> {
    tenants.select(|head| Ok(Selected::key_or_none(head.extension::<Tenant>())))
}

fn request(number: usize) -> Request<()> {
    let mut request = warm::request();
    request.extensions_mut().insert(tenant(number));
    request
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
    let one = unkeyed(runtime);
    let (map, _) = tenants(KEYS);
    runtime.block_on(map.warm_up((0..KEYS).map(tenant), 64));
    let mut noop = Noop::<Infallible>::new();
    let mut plain = BearerLayer::new(one).layer(Noop::<Infallible>::new());
    let mut keyed = BearerLayer::new(by_tenant(&map)).layer(Noop::<Infallible>::new());
    let mut next = 0;
    let mut any = move || {
        // Neighbours in this order are not neighbours in memory.
        next = (next + 6_151) % KEYS;
        next
    };
    let turns = Turns::take(4, ROUNDS, |contender| match contender {
        0 => bare(&mut noop, REQUESTS, || 7),
        1 => bare(&mut plain, REQUESTS, || 7),
        2 => bare(&mut keyed, REQUESTS, || 7),
        _ => bare(&mut keyed, REQUESTS, &mut any),
    });
    let net = |one: usize| turns.net(one, 0) / REQUESTS as f64 * 1e9;
    let allocations = |keyed: &mut BearerService<Noop, Select<Tenant>>| {
        let requests: Vec<_> = (0..64).map(request).collect();
        let region = Region::new(ALLOCATOR);
        for request in requests {
            drop(black_box(lab::drive::at_once(keyed.call(request))));
        }
        region.change().allocations as f64 / 64.0
    };
    let plain_allocations = {
        let requests: Vec<_> = (0..64).map(request).collect();
        let region = Region::new(ALLOCATOR);
        for request in requests {
            drop(black_box(lab::drive::at_once(plain.call(request))));
        }
        region.change().allocations as f64 / 64.0
    };
    let keyed_allocations = allocations(&mut keyed);
    let hot = hot_key(runtime, &plain, &keyed);
    report.table(
        &["warm request", "net ns", "by the unkeyed layer's", "allocations"],
        vec![
            vec!["unkeyed layer".into(), format!("{:.0}", net(1)), "1.00".into(), format!("{plain_allocations:.2}")],
            vec![
                format!("one of {KEYS} keys, again and again"),
                format!("{:.0}", net(2)),
                format!("{:.2}", net(2) / net(1)),
                format!("{keyed_allocations:.2}"),
            ],
            vec![
                format!("{KEYS} keys, one after the other"),
                format!("{:.0}", net(3)),
                format!("{:.2}", net(3) / net(1)),
                String::new(),
            ],
        ],
    );
    report.text(format!(
        "Medians of {ROUNDS} rounds of {REQUESTS} requests, less the time of a service that responds at once. The second \
         row is what the selector and the map cost. In the third each request finds its provider, bearer and header \
         value outside of the processor's nearer caches."
    ));
    report.at_most(
        "keyed-net",
        "warm request through a selector, 10,000 keys, net time by the unkeyed layer's",
        1.3,
        net(2) / net(1),
    );
    report.at_most(
        "keyed-allocations",
        "allocations of a warm keyed request beyond the unkeyed one",
        0.0,
        keyed_allocations - plain_allocations,
    );
    report.at_least("keyed-hot", "one hot key on two threads, throughput by the unkeyed layer's", 0.85, hot);
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

/// How long a look into a map takes by itself, ours beside others: on one thread and on two, one key and many.
#[cfg(feature = "peers")]
fn maps(report: &mut Report) {
    const LOOKS: usize = 1 << 18;
    let keys: Vec<String> = (0..KEYS).map(|number| tenant(number).0).collect();
    let quick = quick_cache::sync::Cache::<String, Arc<AtomicU64>>::new(2 * KEYS);
    let papaya = papaya::HashMap::<String, Arc<AtomicU64>>::new();
    // The map of keyed providers, reduced to its way of reading.
    let hasher = std::hash::RandomState::new();
    let mut tables = vec![hashbrown::HashTable::<(String, Arc<AtomicU64>)>::new(); 512];
    for key in &keys {
        quick.insert(key.clone(), Arc::default());
        papaya.pin().insert(key.clone(), Arc::default());
        let hash = hasher.hash_one(key);
        let table = &mut tables[(hash >> 32) as usize & 511];
        table.insert_unique(hash, (key.clone(), Arc::default()), |(key, _)| hasher.hash_one(key));
    }
    let tables: Vec<_> = tables.into_iter().map(arc_swap::ArcSwap::from_pointee).collect();
    let look = |map: usize, key: &String| match map {
        0 => quick.get(key).map_or(1, |value| value.load(Ordering::Relaxed)),
        1 => papaya.pin().get(key).map_or(1, |value| value.load(Ordering::Relaxed)),
        _ => {
            let hash = hasher.hash_one(key);
            let table = tables[(hash >> 32) as usize & 511].load();
            table.find(hash, |(other, _)| other == key).map_or(1, |(_, value)| value.load(Ordering::Relaxed))
        }
    };
    let rows = [(1, true), (1, false), (2, true), (2, false)].map(|(threads, hot)| {
        let turns = Turns::take(3, 11, |map| {
            let started = Instant::now();
            thread::scope(|scope| {
                for thread in 0..threads {
                    let (keys, look) = (&keys, &look);
                    scope.spawn(move || {
                        let mut sum = 0;
                        for at in 0..LOOKS {
                            let place = if hot { 7 } else { (at * 6_151 + thread * 77) % KEYS };
                            sum += look(map, &keys[place]);
                        }
                        black_box(sum);
                    });
                }
            });
            started.elapsed()
        });
        let nanos = |map| turns.seconds(map) / LOOKS as f64 * 1e9;
        vec![
            format!(
                "{threads} thread{}, {}",
                if threads == 1 { "" } else { "s" },
                if hot { "one key" } else { "all keys" }
            ),
            format!("{:.0}", nanos(0)),
            format!("{:.0}", nanos(1)),
            format!("{:.0}", nanos(2)),
        ]
    });
    let head = ["ns per look", "quick_cache, clone of an Arc", "papaya, in place", "tables in arc-swaps, in place"];
    report.table(&head, rows.to_vec());
}

#[cfg(not(feature = "peers"))]
fn maps(_report: &mut Report) {}

fn many_tenants(runtime: &Runtime, report: &mut Report) {
    let region = Region::new(ALLOCATOR);
    let (map, fetches) = tenants(KEYS);
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
