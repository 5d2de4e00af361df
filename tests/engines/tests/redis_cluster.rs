//! `RedisStore` on a Redis Cluster, and replicas that share a token there.

#![allow(clippy::disallowed_methods, reason = "real servers and processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use bearer_token_redis::RedisStore;
use engines::{
    fleet::Workers,
    held::{Held, OneServer},
    job::Store,
    redis_cluster::{RedisCluster, connect},
    until,
    world::World,
};
use redis::cluster_async::ClusterConnection;

static CLUSTER: OneServer<RedisCluster> = OneServer::new();

async fn held() -> Held<RedisStore<ClusterConnection>, RedisCluster> {
    let cluster = CLUSTER.get(RedisCluster::start()).await;
    Held(RedisStore::new(connect(cluster.urls()).await.unwrap()), cluster)
}

mod contract {
    bearer_token_testing::store_contract!(
        #[ignore = "needs redis-server"]
        super::held
    );
}

const LIFETIME: Duration = Duration::from_secs(4);
const PROCESSES: u128 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_killed_node_costs_no_more_than_one_lease_of_waits() {
    let (world, mut cluster) = (World::new(LIFETIME), RedisCluster::start().await);
    let job = world.job(Store::Cluster { urls: cluster.urls() });
    let workers = Workers::start(usize::try_from(PROCESSES).unwrap(), |_| job.clone()).await;
    let issued = || world.server.count().tokens_issued;
    println!("start: {} token requests", issued());
    let next_token = async || {
        let before = issued();
        until("another token", LIFETIME * 5, async || issued() > before).await;
        tokio::time::sleep(LIFETIME / 4).await;
        issued() - before
    };
    until("ten processes make one request for a lifetime", LIFETIME * 5, async || next_token().await == 1).await;
    assert_eq!(workers.tally().failed, 0, "nothing has happened yet");
    let (killed, begun) = (issued(), Instant::now());
    cluster.kill_master_with_records().await;
    let down = begun.elapsed();
    until("they share again", LIFETIME * 10, async || next_token().await == 1).await;
    let cost = issued() - killed;
    println!("a node killed, without a master for {down:?}: {cost} token requests until they share again");
    // A token is refreshed after half of its life at the earliest. So a process fetches for itself once, once more for each
    // such time without a master, and once more until its connection knows the new one. Then they share one.
    let alone = down.as_millis() / (LIFETIME / 2).as_millis() + 2;
    assert!(u128::from(cost) <= PROCESSES * alone + 1, "{cost}");
    let failed = workers.tally().failed;
    tokio::time::sleep(LIFETIME * 2).await;
    assert_eq!(workers.tally().failed, failed, "it is over");
    let report = workers.stop();
    println!("{report:?}");
    // A call that was under way can take the lease on the new master, and no replica holds it then: the connection of
    // the crate `redis` sends a command once more to the node that has its slot now, also after the replica has given
    // the call up (95 ms). `retries(0)` would avoid that, and break redirects, which count as retries. The store cannot
    // tell that command from one that is waited for.
    let is_wait = |error: &String| error.contains("another replica has been fetching the token for too long");
    assert!(report.refused == 0 && report.errors.iter().all(is_wait), "{report:?}");
    assert_eq!(report.failed_with_token, 0, "{report:?}");
    // That lease lasts for 5 s at most. A refresh waits for 4 s of its 5 s. If the token ends meanwhile, the request that
    // waits fails, and so do those of the cool-down of a second. After that a fetch waits for 8 s, which is longer than the
    // lease. A process asks for ten tokens in each second at most.
    assert!(u128::from(report.failed) <= PROCESSES * (1 + 10), "{report:?}");
    assert!(report.accepted > 100, "{report:?}");
}
