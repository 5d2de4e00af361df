//! Fifty processes with one token, and one fault after another. [`engines::phase`] tells what a fault may cost.

#![allow(clippy::disallowed_methods, reason = "real processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use bearer_token_testing::{Fault, Tokens};
use engines::{
    draws::{Draws, LIFETIME, LIFETIMES},
    faulty::Fault as Wrong,
    fleet::{Tally, Workers},
    job::{Job, Store},
    phase::Phase,
    proxy::{Mode, Proxy},
    quiet,
    redis_server::RedisServer,
    sentinel::{NAME, SentinelGroup},
    until,
    world::World,
};
use tokio::sync::Mutex;

const PROCESSES: usize = 50;
const LIMIT: Duration = Duration::from_secs(60);

/// Two fleets at a time would be in each other's way.
static ONE_FLEET: Mutex<()> = Mutex::const_new(());

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

/// Waits until this number of tokens was fetched under the lease.
async fn shared(phase: &Phase<'_>, workers: &Workers, number: u64) {
    until("a token for all", LIMIT, async || workers.tally().shared >= phase.tally.shared + number).await;
}

/// No request was without a token.
fn none_failed(what: &str, workers: &Workers) {
    assert_eq!(workers.tally().failed, 0, "{what}");
}

/// Sixteen lifetimes, each with the next token a good while after the one before.
async fn lifetimes(phase: &Phase<'_>, workers: &Workers) -> Draws {
    shared(phase, workers, 1).await;
    tokio::time::sleep(LIFETIME / 8).await;
    let mut draws = Draws::begin(workers);
    for number in 1..=LIFETIMES {
        let (before, begun) = (workers.tally(), Instant::now());
        shared(phase, workers, number + 1).await;
        let was_answered = workers.tally().unanswered == before.unanswered;
        let took = begun.elapsed();
        assert!(took > LIFETIME / 4 || !was_answered, "token {number} came after {took:?}");
        tokio::time::sleep(LIFETIME / 8).await;
        draws.note(workers);
    }
    draws
}

/// The check of draws notices fifty replicas that draw for themselves, in one of eight attempts: where a request comes
/// late, a time may be as long as with one draw.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn replicas_that_draw_for_themselves_are_noticed() {
    let _one = ONE_FLEET.lock().await;
    let (world, redis) = (World::new(LIFETIME), RedisServer::start().await);
    let store = Store::Redis { url: redis.url() };
    let fault = Some(Wrong::DrawsForItself);
    let workers = Workers::start(PROCESSES, |index| Job { fault, ..job(&world, index, store.clone()) }).await;
    for attempt in 1..=8 {
        let phase = Phase::begin("fifty draws for each token", &world, &workers);
        let draws = lifetimes(&phase, &workers).await;
        // By the number of token requests alone it would pass.
        phase.costs(&workers, LIFETIMES + 1..=LIFETIMES + 1);
        if let Err(wrong) = draws.check() {
            println!("attempt {attempt}: {wrong}");
            if wrong.contains("the earliest of many draws decides") {
                return;
            }
        }
    }
    panic!("replicas that draw for themselves were not noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn l41_fifty_processes_make_one_request_for_each_lifetime() {
    let _one = ONE_FLEET.lock().await;
    let (world, mut redis) = (World::new(LIFETIME), RedisServer::start().await);
    let store = Store::Redis { url: redis.url() };
    let mut workers = Workers::start(PROCESSES, |index| job(&world, index, store.clone())).await;
    println!("start: {} token requests", world.requests());

    let phase = Phase::begin("sixteen lifetimes, and the token before", &world, &workers);
    lifetimes(&phase, &workers).await.check().unwrap();
    phase.costs(&workers, LIFETIMES + 1..=LIFETIMES + 1);
    none_failed("sixteen lifetimes", &workers);

    // One revocation for all.
    let phase = Phase::begin("revocation", &world, &workers);
    world.server.revoke_all();
    until("a token after the revocation", LIMIT, async || world.requests() > phase.requests).await;
    tokio::time::sleep(LIFETIME / 4).await;
    phase.costs(&workers, 1..=1);

    // Each process sends one request at a time, so a token that was revoked is refused once for each that has it. One that
    // is behind has the token before as well, and adopts the last one after that. So it is refused twice, and no third
    // time: the exchange comes after the revocation. A process that looks in the moment of the revocation is not refused.
    let refused = quiet("no more refusals", LIFETIME / 2, || workers.tally().refused).await;
    println!("revocation: {refused} requests of {PROCESSES} replicas refused");
    let processes = u64::try_from(PROCESSES).unwrap();
    assert!((processes / 4..=processes * 2).contains(&refused), "{refused}");

    // The store is killed, and starts again empty.
    let phase = Phase::begin("the store starts again, empty", &world, &workers);
    redis.restart().await;
    tokio::time::sleep(LIFETIME * 2).await;
    phase.costs(&workers, 1..=most(phase.begun.elapsed(), 1));
    let tally = workers.tally();
    assert_eq!((tally.failed, tally.refused), (0, refused), "with a store, without it, and with an empty one");

    // The holder of the lease is killed while the server holds its response.
    let phase = Phase::begin("the holder is killed", &world, &workers);
    let gate = world.server.token_endpoint().hold();
    let holder = workers.holder().await;
    workers.kill(holder);
    gate.release();
    tokio::time::sleep(LIFETIME * 2).await;
    // One more than without the fault, which is the request of the killed one.
    phase.costs(&workers, 2..=most(phase.begun.elapsed(), 1) + 1);
    none_failed("the holder's lease ends in time", &workers);

    // The holder is stopped past its lease, and goes on.
    let phase = Phase::begin("the holder is stopped", &world, &workers);
    let gate = world.server.token_endpoint().hold();
    let holder = &workers.running[workers.holder().await];
    holder.pause();
    // With tokens of 4 s, its own would have ended by then, and it would not even try to save it.
    world.server.issue(Tokens::opaque().lifetime(LIFETIME * 3));
    gate.release();
    let (stopped, before) = (holder.tally(), workers.tally().shared);
    until("another holder", LIMIT, async || workers.tally().shared > before).await;
    tokio::time::sleep(LIFETIME / 8).await;
    holder.resume();
    // On a machine that is slow, its save may get no answer.
    let ended = |now: Tally| now.beaten + now.unanswered > stopped.beaten + stopped.unanswered;
    until("the end of its save", LIMIT, async || ended(holder.tally())).await;
    let saves = holder.tally().beaten - stopped.beaten;
    println!("the holder is stopped: {saves} save was refused");
    phase.costs(&workers, 2..=most(phase.begun.elapsed(), 1) + 1);
    world.server.issue(Tokens::opaque().lifetime(LIFETIME));
    shared(&Phase::begin("the next token", &world, &workers), &workers, 1).await;
    tokio::time::sleep(LIFETIME / 4).await;
    none_failed("those that wait take the lease, and the stopped one takes their token", &workers);

    // An outage of the authorization server: the fleet makes the attempts of one, after 0.5 to 1 s, 1 to 2 s, 2 to 4 s
    // and 4 to 8 s. So there are five at most in three lifetimes.
    let phase = Phase::begin("the authorization server is down", &world, &workers);
    world.server.token_endpoint().always(Fault::status(503));
    tokio::time::sleep(LIFETIME * 3).await;
    phase.costs(&workers, 2..=5);
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
    assert!(report.accepted > 2_000, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_broken_network_fails_no_request() {
    let _one = ONE_FLEET.lock().await;
    let (world, redis) = (World::new(LIFETIME), RedisServer::start().await);
    let proxy = Proxy::start(redis.port()).await;
    let store = Store::Redis { url: format!("redis://127.0.0.1:{}", proxy.port()) };
    let workers = Workers::start(PROCESSES, |index| job(&world, index, store.clone())).await;
    // One direction only, nothing at all, and no connection: each replica fetches for itself, and no request fails.
    for mode in [Mode::RequestsOnly, Mode::ResponsesOnly, Mode::BlackHole, Mode::Cut] {
        let name = format!("{mode:?}");
        let phase = Phase::begin(&name, &world, &workers);
        proxy.set(mode);
        tokio::time::sleep(LIFETIME).await;
        proxy.set(Mode::Pass);
        let alone = phase.is_explained(&workers);
        assert!(alone > u64::try_from(PROCESSES / 2).unwrap(), "{mode:?} was not noticed: {alone}");
        assert!(alone <= most(phase.begun.elapsed(), PROCESSES), "{mode:?}: {alone}");
        // The store is left alone for up to four seconds after that, and then they share again.
        tokio::time::sleep(LIFETIME).await;
        let name = format!("after {mode:?}");
        let phase = Phase::begin(&name, &world, &workers);
        tokio::time::sleep(LIFETIME * 2).await;
        phase.costs(&workers, 1..=most(phase.begun.elapsed(), 1) + 1);
        none_failed(&name, &workers);
    }
    let report = workers.stop();
    println!("{} requests accepted, the longest wait {:.0} ms", report.accepted, report.longest_ms);
    assert_eq!((report.failed, report.refused), (0, 0), "{report:?}");
    assert!(report.accepted > 2_000, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server and redis-sentinel"]
async fn l63_a_failover_fails_no_request() {
    let _one = ONE_FLEET.lock().await;
    let (world, mut group) = (World::new(LIFETIME), SentinelGroup::start().await);
    let store = Store::Sentinel { urls: group.urls(), name: NAME.to_owned() };
    let workers = Workers::start(20, |index| job(&world, index, store.clone())).await;
    let phase = Phase::begin("failover by command", &world, &workers);
    group.fail_over().await;
    tokio::time::sleep(LIFETIME * 2).await;
    // A token whose record is lost is fetched once more.
    phase.costs(&workers, 1..=most(phase.begun.elapsed(), 1) + 1);
    none_failed("failover by command", &workers);
    let phase = Phase::begin("failover by kill", &world, &workers);
    group.kill_master().await;
    tokio::time::sleep(LIFETIME * 2).await;
    phase.costs(&workers, 1..=most(phase.begun.elapsed(), 1) + 1);
    let report = workers.stop();
    println!("{report:?}");
    assert_eq!((report.failed, report.refused), (0, 0), "{report:?}");
}
