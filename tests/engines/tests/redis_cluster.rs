//! `RedisStore` on a Redis Cluster, and replicas that share a token there.

#![allow(clippy::disallowed_methods, reason = "real servers and processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bearer_token_redis::RedisStore;
use bearer_token_testing::{AuthorizationServer, Client, Tokens};
use engines::{
    fleet::Workers,
    held::{Held, OneServer},
    job::{Job, Store},
    redis_cluster::{RedisCluster, connect},
    until,
};
use redis::cluster_async::ClusterConnection;
use tempfile::NamedTempFile;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_killed_node_fails_no_request() {
    let (server, mut cluster) = (AuthorizationServer::start().unwrap(), RedisCluster::start().await);
    server.register(Client::secret("fleet", "MARKER-secret"));
    server.issue(Tokens::opaque().lifetime(LIFETIME));
    let keys = NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), "bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=\n").unwrap();
    let job = Job {
        store: Store::Cluster { urls: cluster.urls() },
        keys: keys.path().to_owned(),
        token_url: server.token_url(),
        api_url: server.api_url(),
        clock_offset: 0,
        every_ms: 100,
    };
    let workers = Workers::start(10, |_| job.clone()).await;
    let issued = || server.count().tokens_issued;
    println!("start: {} token requests", issued());
    let next_token = async || {
        let before = issued();
        until("another token", LIFETIME * 5, async || issued() > before).await;
        tokio::time::sleep(LIFETIME / 4).await;
        issued() - before
    };
    until("ten processes make one request for a lifetime", LIFETIME * 5, async || next_token().await == 1).await;
    let killed = issued();
    cluster.kill_master_with_records().await;
    until("they share again", LIFETIME * 10, async || next_token().await == 1).await;
    println!("a node killed: {} token requests until they share again", issued() - killed);
    let report = workers.stop();
    println!("{report:?}");
    // A call that was under way can take the lease on the new master, and no replica holds it then. Until it ends,
    // replicas wait; these tokens are shorter than a lease.
    let is_wait = |error: &String| error.contains("another replica has been fetching the token for too long");
    assert!(report.refused == 0 && report.errors.iter().all(is_wait), "{report:?}");
    assert!(report.accepted > 100, "{report:?}");
}
