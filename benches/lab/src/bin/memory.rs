//! The memory of one contender: `memory NAME URL HANGING_URL` prints the bytes of each of many providers with a token,
//! and of each of many requests that wait for one.

use std::{
    alloc::System,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use lab::{
    contenders,
    drive::{Driver, Failed},
    endpoint::Endpoint,
    warm,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::{runtime::Runtime, time};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PROVIDERS: usize = 200;
const WAITERS: usize = 1_000;

type Waiter = Pin<Box<dyn Future<Output = Result<(), Failed>> + Send>>;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("a name and two URLs");
    let (name, prompt, hanging) = (next(), Endpoint::at(next()), Endpoint::at(next()));
    match &*name {
        "http::Request" => return println!("NaN {}", requests(|| Box::new(warm::request()))),
        "reqwest::Request" => return println!("NaN {}", requests(|| Box::new(reqwest_request()))),
        _ => {}
    }
    let runtime = Runtime::new().expect("a runtime");
    let provider =
        if name == contenders::REQWEST_HANGING { f64::NAN } else { runtime.block_on(providers(&name, &prompt)) };
    let waiter = if name == "aliri_tokens" {
        // Its constructor waits for the first token.
        f64::NAN
    } else {
        runtime.block_on(waiters(&name, &hanging))
    };
    println!("{provider} {waiter}");
}

fn reqwest_request() -> reqwest::Request {
    warm::request().map(|()| reqwest::Body::default()).try_into().expect("a valid request")
}

/// The bytes of a request by itself.
fn requests<R>(request: impl Fn() -> Box<R>) -> f64 {
    let first = request();
    let mut all = Vec::with_capacity(WAITERS);
    let region = Region::new(ALLOCATOR);
    all.extend((0..WAITERS).map(|_| request()));
    let each = live(&region) / WAITERS as f64;
    drop((first, all));
    each
}

async fn providers(name: &str, endpoint: &Endpoint) -> f64 {
    // What all of them share.
    let first = ready(name, endpoint).await;
    let region = Region::new(ALLOCATOR);
    let mut all = Vec::with_capacity(PROVIDERS);
    for _ in 0..PROVIDERS {
        all.push(ready(name, endpoint).await);
    }
    let each = live(&region) / PROVIDERS as f64;
    drop((first, all));
    each
}

async fn ready(name: &str, endpoint: &Endpoint) -> Box<dyn Driver> {
    let driver = contenders::cold(name, endpoint).await;
    driver.send_one().await.expect("a token");
    driver
}

async fn waiters(name: &str, endpoint: &Endpoint) -> f64 {
    let driver = contenders::cold(name, endpoint).await;
    // The fetch itself, and the connection.
    let mut first = driver.send_one();
    poll(&mut first);
    time::sleep(Duration::from_millis(300)).await;
    let region = Region::new(ALLOCATOR);
    let mut all: Vec<Waiter> = Vec::with_capacity(WAITERS);
    for _ in 0..WAITERS {
        let mut waiter = driver.send_one();
        poll(&mut waiter);
        all.push(waiter);
    }
    let each = live(&region) / WAITERS as f64;
    drop((first, all));
    each
}

fn poll(waiter: &mut Waiter) {
    if let Poll::Ready(ended) = waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        panic!("a request did not wait: {ended:?}");
    }
}

/// Bytes that were allocated since, and are in use.
fn live(region: &Region<'_, System>) -> f64 {
    let change = region.change();
    change.bytes_allocated as f64 - change.bytes_deallocated as f64
}
