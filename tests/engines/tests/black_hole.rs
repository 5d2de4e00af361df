//! A store whose packets get lost without a word costs one cold request of each fleet that a process has, and that less
//! than 100 ms.
//!
//! No server is needed. The limit of a call is 95 ms, and the rest is what the machine needs to notice its end. The
//! median of some fleets, each of one process, is compared. On a machine that is busy with something else, all of them
//! wait for the processor as well, so up to twenty rounds are made.

#![allow(clippy::disallowed_methods, reason = "real sockets, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use bearer_token::{
    AccessToken, FetchContext, TokenProvider,
    shared::{Fleet, SealingKeys},
    store::SharedStore,
};
use bearer_token_postgres::PostgresStore;
use bearer_token_redis::RedisStore;
use engines::{black_hole::BlackHole, world::KEY};
use tokio::task::JoinSet;

const FLEETS: usize = 11;
const ROUNDS: usize = 20;
const AT_A_TIME: usize = 5;
const MOST: Duration = Duration::from_millis(100);

/// A source that costs nothing, so that only the store is measured.
fn provider(fleet: &Fleet, name: &str) -> TokenProvider {
    let source = |_cx: FetchContext| async { Ok(AccessToken::new("token").expires_in(Duration::from_secs(3600))) };
    TokenProvider::builder(fleet.share_as(name, source)).build().unwrap()
}

async fn cold(provider: TokenProvider) -> Duration {
    let asked = Instant::now();
    provider.token().await.unwrap();
    asked.elapsed()
}

/// What one fleet waits for: the first cold requests, which come at a time, and the next one.
async fn waits(store: impl SharedStore) -> (Duration, Duration) {
    let fleet = Fleet::builder(store, SealingKeys::new(KEY)).build().unwrap();
    let mut requests = JoinSet::new();
    for number in 0..AT_A_TIME {
        requests.spawn(cold(provider(&fleet, &number.to_string())));
    }
    let first = requests.join_all().await.into_iter().max().unwrap();
    (first, cold(provider(&fleet, "next")).await)
}

async fn costs_one_request<S: SharedStore>(what: &str, store: impl Fn(u16) -> S, black_hole: BlackHole) {
    let mut medians = Vec::new();
    for _ in 0..ROUNDS {
        let (mut firsts, mut nexts) = (Vec::new(), Vec::new());
        for _ in 0..FLEETS {
            let (first, next) = waits(store(black_hole.port())).await;
            firsts.push(first);
            nexts.push(next);
        }
        firsts.sort();
        nexts.sort();
        let (first, next) = (firsts[FLEETS / 2], nexts[FLEETS / 2]);
        println!(
            "{what}: the median of {AT_A_TIME} cold requests at a time {first:?} ({:?} to {:?}), of the next one {next:?}",
            firsts[0],
            firsts[FLEETS - 1]
        );
        assert!(firsts[0] >= Duration::from_millis(80), "{what}: the store answered: {firsts:?}");
        if first <= MOST && next <= MOST / 10 {
            return;
        }
        medians.push((first, next));
    }
    panic!("{what}: {medians:?}");
}

fn redis(port: u16) -> RedisStore {
    RedisStore::from_url(format!("redis://127.0.0.1:{port}")).unwrap()
}

fn postgresql(port: u16) -> PostgresStore {
    PostgresStore::from_url(format!("postgres://user@127.0.0.1:{port}/tokens")).unwrap()
}

mod accepts_and_says_nothing {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn redis_costs_one_cold_request_100_ms() {
        costs_one_request("Redis, silent", redis, BlackHole::silent().await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgresql_costs_one_cold_request_100_ms() {
        costs_one_request("PostgreSQL, silent", postgresql, BlackHole::silent().await).await;
    }
}

mod drops_every_packet {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn redis_costs_one_cold_request_100_ms() {
        costs_one_request("Redis, unreachable", redis, BlackHole::unreachable().await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgresql_costs_one_cold_request_100_ms() {
        costs_one_request("PostgreSQL, unreachable", postgresql, BlackHole::unreachable().await).await;
    }
}
