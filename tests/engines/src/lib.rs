//! Real servers on loopback for the tests of the shared stores, and fleets of real processes that use them.
//!
//! A server is ended when its guard is dropped, and by the kernel when the test that started it dies.

#![allow(missing_docs, reason = "nothing here is published")]
#![allow(clippy::disallowed_methods, reason = "real servers and processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "only tests use this")]

pub mod black_hole;
pub mod compatible;
pub mod draws;
pub mod faulty;
pub mod fleet;
pub mod held;
pub mod job;
pub mod markers;
pub mod monitor;
pub mod phase;
pub mod pooler;
pub mod postgres_server;
pub mod process;
pub mod proxy;
pub mod reason;
pub mod records;
pub mod redis_cluster;
pub mod redis_server;
pub mod sentinel;
pub mod tls;
pub mod world;

use std::time::{Duration, Instant};

/// Asks until the answer is yes, for as long as this; fails with the name of what did not happen.
pub async fn until(what: &str, limit: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + limit;
    while !is_so().await {
        assert!(Instant::now() < end, "this did not happen within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A number once it is quiet: it has not changed for this time. Asks for a minute at most.
pub async fn quiet(what: &str, time: Duration, number: impl Fn() -> u64) -> u64 {
    let (mut last, mut since) = (number(), Instant::now());
    until(what, Duration::from_secs(60), async || {
        let now = number();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() >= time
    })
    .await;
    last
}
