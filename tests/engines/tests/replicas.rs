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

/// The most requests for tokens that follow each other in this time, for each that asks by itself: no token is
/// refreshed in the first half of its life.
fn most(time: Duration, askers: usize) -> u64 {
    let each = time.as_millis() / (LIFETIME / 2).as_millis() + 1;
    u64::try_from(each).unwrap() * u64::try_from(askers).unwrap()
}

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

    // A replica that was behind adopts the token that was revoked as well. It is refused once more, and the fleet's one
    // exchange follows at once.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let refused = workers.refused();
    println!("revocation: {refused} requests of {PROCESSES} replicas refused");
    assert!(refused <= 4 * u64::try_from(PROCESSES).unwrap(), "{refused}");

    // The store is killed, and starts again empty.
    world.next_token().await;
    redis.restart().await;
    let restart = world.during("store restarted empty", LIFETIME * 2).await;
    assert!((1..=most(LIFETIME * 2, 1)).contains(&restart), "{restart}");
    assert_eq!((workers.failed(), workers.refused()), (0, refused), "with a store, without it, and with an empty one");

    // The holder of the lease is killed while the server holds its response.
    let before = world.requests();
    let gate = world.server.token_endpoint().hold();
    let holder = workers.fetching().await;
    workers.0.swap_remove(holder).kill();
    gate.release();
    tokio::time::sleep(LIFETIME * 2).await;
    let killed = world.requests() - before;
    println!("holder killed: {killed} token requests in two lifetimes");
    // One more than without the fault, which is the request of the killed one.
    assert!((2..=most(LIFETIME * 2, 1) + 1).contains(&killed), "{killed}");
    assert_eq!(workers.failed(), 0, "the holder's lease ends in time");

    // One direction only, nothing at all, and no connection: each replica fetches for itself, and no request fails.
    let replicas = workers.0.len();
    for mode in [Mode::RequestsOnly, Mode::ResponsesOnly, Mode::BlackHole, Mode::Cut] {
        proxy.set(mode);
        let alone = world.during(&format!("{mode:?}"), LIFETIME).await;
        proxy.set(Mode::Pass);
        assert!(alone > u64::try_from(replicas / 2).unwrap(), "{mode:?} was not noticed: {alone}");
        assert!(alone <= most(LIFETIME, replicas), "{mode:?}: {alone}");
        // The store is left alone for up to four seconds after that, and then they share again.
        tokio::time::sleep(LIFETIME).await;
        let shared = world.during(&format!("after {mode:?}"), LIFETIME * 2).await;
        assert!(shared <= most(LIFETIME * 2, 1) + 1, "{mode:?}: {shared}");
        assert_eq!(workers.failed(), 0, "{mode:?}");
    }

    // An outage of the authorization server: the fleet makes the attempts of one, after 0.5 to 1 s, 1 to 2 s, 2 to 4 s
    // and
    // 4 to 8 s. So there are five at most in three lifetimes, and three at most in the last two.
    world.server.token_endpoint().always(Fault::status(503));
    let first = world.during("outage begins", LIFETIME).await;
    let outage = world.during("outage", LIFETIME * 2).await;
    assert!((1..=3).contains(&outage) && first + outage <= 5, "{first} and {outage} requests of {replicas} processes");
    world.server.token_endpoint().recover();

    let report = workers.stop();
    println!(
        "{} requests accepted, {} refused, {} without a token, the longest wait {:.0} ms, the first token after {:.0} ms",
        report.accepted, report.refused, report.failed, report.longest_ms, report.first_ms
    );
    // Only the outage fails requests, because it was longer than the token's life, and none for which there was a
    // token.
    assert_eq!(report.failed_with_token, 0, "{report:?}");
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
    let ordered = world.requests() - before;
    println!("failover by command: {ordered} token requests");
    // While there is no master, each replica may fetch for itself, once.
    let bound = most(LIFETIME * 2, 1) + u64::try_from(workers.0.len()).unwrap();
    assert!((1..=bound).contains(&ordered), "{ordered}");
    let before = world.requests();
    group.kill_master().await;
    tokio::time::sleep(LIFETIME * 2).await;
    let killed = world.requests() - before;
    println!("failover by kill: {killed} token requests");
    assert!((1..=bound).contains(&killed), "{killed}");
    let report = workers.stop();
    println!("{report:?}");
    assert_eq!((report.failed, report.refused), (0, 0), "{report:?}");
}
