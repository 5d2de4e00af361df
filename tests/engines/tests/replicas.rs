//! Fifty processes with one token, and one fault after another.

#![allow(clippy::disallowed_methods, reason = "real processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use bearer_token_testing::Fault;
use engines::{
    fleet::Workers,
    job::{Job, Store},
    proxy::{Mode, Proxy},
    redis_server::RedisServer,
    sentinel::{NAME, SentinelGroup},
    world::World,
};

const LIFETIME: Duration = Duration::from_secs(4);
const PROCESSES: usize = 50;

/// The job of a worker whose clock is off by up to an hour.
fn job(world: &World, index: usize, store: Store) -> Job {
    let clock_offset = i64::try_from(index).unwrap() * 7200 / 49 - 3600;
    Job { clock_offset, every_ms: 200, ..world.job(store) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn l41_fifty_processes_make_one_request_for_each_lifetime() {
    let (world, mut redis) = (World::new(LIFETIME), RedisServer::start().await);
    let proxy = Proxy::start(redis.port()).await;
    let store = Store::Redis { url: format!("redis://127.0.0.1:{}", proxy.port()) };
    let mut workers = Workers::start(PROCESSES, |index| job(&world, index, store.clone())).await;
    println!("start: {} token requests", world.requests());

    // Ten lifetimes, each with the next token a good while after the one before.
    world.next_token().await;
    let (before, mut last) = (world.requests(), Instant::now());
    for number in 1..=10 {
        world.next_token().await;
        println!("token {number} after {:?}: {} requests", last.elapsed(), world.requests() - before);
        assert!(last.elapsed() > LIFETIME / 2, "{:?}", last.elapsed());
        last = Instant::now();
    }
    assert_eq!(world.requests() - before, 10, "ten lifetimes, {PROCESSES} processes");

    // One revocation for all.
    let before = world.requests();
    world.server.revoke_all();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.requests() - before, 1, "a revocation costs one request");

    // The store is killed, and starts again empty.
    world.next_token().await;
    redis.restart().await;
    let restart = world.during("store restarted empty", LIFETIME * 2).await;
    assert!((1..=4).contains(&restart), "{restart}");

    // The holder of the lease is killed while the server holds its response.
    let before = world.requests();
    let gate = world.server.token_endpoint().hold();
    let holder = workers.fetching().await;
    workers.0.swap_remove(holder).kill();
    gate.release();
    tokio::time::sleep(LIFETIME * 2).await;
    println!("holder killed: {} token requests in two lifetimes", world.requests() - before);

    // One direction only, nothing at all, and no connection: each replica fetches for itself, and no request fails.
    for mode in [Mode::RequestsOnly, Mode::BlackHole, Mode::Cut] {
        proxy.set(mode);
        world.during(&format!("{mode:?}"), LIFETIME).await;
        proxy.set(Mode::Pass);
        tokio::time::sleep(LIFETIME).await;
    }

    // An outage of the authorization server: the fleet makes the attempts of one.
    world.server.token_endpoint().always(Fault::status(503));
    tokio::time::sleep(LIFETIME).await;
    let outage = world.during("outage", LIFETIME * 2).await;
    assert!(outage <= 12, "{outage} requests of {PROCESSES} processes");
    world.server.token_endpoint().recover();

    let report = workers.stop();
    println!(
        "{} requests accepted, {} refused, {} without a token, the longest wait {:.0} ms, the first token after {:.0} ms",
        report.accepted, report.refused, report.failed, report.longest_ms, report.first_ms
    );
    // Only the outage, which was longer than the token's life, may fail requests: no worker's first failures are
    // others.
    assert!(report.errors.iter().all(|error| error.contains("503")), "{:?}", report.errors);
    assert!(report.accepted > 10_000, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server and redis-sentinel"]
async fn l63_a_failover_fails_no_request() {
    let (world, mut group) = (World::new(LIFETIME), SentinelGroup::start().await);
    let store = Store::Sentinel { urls: group.urls(), name: NAME.to_owned() };
    let workers = Workers::start(20, |index| job(&world, index, store.clone())).await;
    let before = world.requests();
    group.fail_over().await;
    tokio::time::sleep(LIFETIME * 2).await;
    println!("failover by command: {} token requests", world.requests() - before);
    let before = world.requests();
    group.kill_master().await;
    tokio::time::sleep(LIFETIME * 2).await;
    println!("failover by kill: {} token requests", world.requests() - before);
    let report = workers.stop();
    println!("{report:?}");
    assert_eq!((report.failed, report.refused), (0, 0), "{report:?}");
}
