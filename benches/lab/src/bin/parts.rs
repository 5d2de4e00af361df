//! Ways to read a bearer and to insert its header, of which `TokenProvider::authorize` uses one each: `parts` prints the
//! nanoseconds of each for `docs/performance/WARM.md`. Contenders take turns.

use std::{
    hint::black_box,
    sync::{Arc, Mutex, RwLock},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use lab::{
    statistics::{Turns, median, quantile, rounds},
    warm,
};
use try_lock::TryLock;

/// Headers of one turn, made before the clock is read: few enough to stay in the nearest cache.
const FEW: usize = 16;
const TURNS: usize = 64;
const ROUNDS: usize = 301;
const RUNS: usize = 5;

/// What a request needs of the token in service.
struct Bearer {
    expires: Duration,
    value: HeaderValue,
}

type Way<'a> = (&'a str, Box<dyn FnMut(&mut HeaderMap) -> bool + 'a>);

fn main() {
    reads();
    inserts();
}

fn reads() {
    let started = Instant::now();
    let plain = bearer();
    let (tried, mutex, rwlock) = (TryLock::new(bearer()), Mutex::new(bearer()), RwLock::new(Arc::new(bearer())));
    let fresh = |bearer: &Bearer| started.elapsed() < bearer.expires;
    let attach = |bearer: &Bearer, headers: &mut HeaderMap| {
        fresh(bearer) && headers.insert(AUTHORIZATION, bearer.value.clone()).is_none()
    };
    let ways: Vec<Way<'_>> = vec![
        ("a plain reference, which can never be replaced", Box::new(|headers| attach(black_box(&plain), headers))),
        (
            "a lock that is only tried",
            Box::new(|headers| tried.try_lock().is_some_and(|bearer| attach(&bearer, headers))),
        ),
        ("`RwLock`", Box::new(|headers| rwlock.read().is_ok_and(|bearer| attach(&bearer, headers)))),
        ("`Mutex`", Box::new(|headers| mutex.lock().is_ok_and(|bearer| attach(&bearer, headers)))),
    ];
    measure("read", ways);
}

fn inserts() {
    let value = bearer().value;
    let ways: Vec<Way<'_>> = vec![
        (
            "`insert`, and the caller's own put back",
            Box::new(|headers| match headers.insert(AUTHORIZATION, value.clone()) {
                None => true,
                Some(own) => headers.insert(AUTHORIZATION, own).is_none(),
            }),
        ),
        (
            "`contains_key`, then `append`",
            Box::new(|headers| !headers.contains_key(AUTHORIZATION) && !headers.append(AUTHORIZATION, value.clone())),
        ),
        (
            "`entry`, then the clone",
            Box::new(|headers| match headers.entry(AUTHORIZATION) {
                http::header::Entry::Vacant(place) => {
                    place.insert(value.clone());
                    true
                }
                http::header::Entry::Occupied(_) => false,
            }),
        ),
    ];
    measure("insert", ways);
}

fn bearer() -> Bearer {
    let mut value = HeaderValue::try_from(format!("Bearer {}", warm::token())).expect("a valid value");
    value.set_sensitive(true);
    // The first clone moves the count of references to the heap.
    drop(value.clone());
    Bearer { expires: Duration::from_secs(3_600), value }
}

fn measure(what: &str, mut ways: Vec<Way<'_>>) {
    let runs: Vec<Turns> =
        (0..RUNS).map(|_| Turns::take(ways.len(), rounds(ROUNDS), |one| turn(&mut ways[one].1))).collect();
    println!("\n| {what} | ns | of {RUNS} runs |\n|---|--:|--:|");
    for (one, (name, _)) in ways.iter().enumerate() {
        let nanos: Vec<f64> = runs.iter().map(|turns| turns.seconds(one) / (FEW * TURNS) as f64 * 1e9).collect();
        let at = |share| quantile(nanos.iter().copied(), share);
        println!("| {name} | {:.1} | {:.1} to {:.1} |", median(nanos.iter().copied()), at(0.0), at(1.0));
    }
}

fn turn(way: &mut dyn FnMut(&mut HeaderMap) -> bool) -> Duration {
    let request = warm::request();
    let mut spent = Duration::ZERO;
    for _ in 0..TURNS {
        let mut made: [HeaderMap; FEW] = std::array::from_fn(|_| request.headers().clone());
        let started = Instant::now();
        let all = made.iter_mut().all(&mut *way);
        spent += started.elapsed();
        assert!(all, "a header was not inserted");
        drop(black_box(made));
    }
    spent
}
