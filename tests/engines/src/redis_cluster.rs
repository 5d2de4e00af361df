//! A Redis Cluster: three masters, each with a replica.

use std::time::Duration;

use redis::{RedisResult, cluster::ClusterClient, cluster_async::ClusterConnection};

use crate::{process::free_port, redis_server::RedisServer, until};

/// The number of slots of every cluster.
const SLOTS: usize = 16384;
const MASTERS: usize = 3;

/// Six servers, which fail over by themselves.
pub struct RedisCluster {
    pub servers: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts them, and waits until each knows all others and all slots are served.
    pub async fn start() -> Self {
        let (mut servers, mut buses) = (Vec::new(), Vec::new());
        for _ in 0..MASTERS * 2 {
            let bus = free_port().to_string();
            let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", &bus];
            servers.push(RedisServer::start_with(&arguments).await);
            buses.push(bus);
        }
        let cluster = RedisCluster { servers };
        for (number, server) in cluster.servers.iter().enumerate() {
            let epoch = (number + 1).to_string();
            server.command::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await.unwrap();
            let first = cluster.servers[0].port().to_string();
            server.command::<()>(&["CLUSTER", "MEET", "127.0.0.1", &first, &buses[0]]).await.unwrap();
            if number < MASTERS {
                let (from, to) = (SLOTS * number / MASTERS, SLOTS * (number + 1) / MASTERS - 1);
                let range = [from.to_string(), to.to_string()];
                server.command::<()>(&["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]]).await.unwrap();
            }
        }
        cluster.all_say("cluster_known_nodes:6").await;
        for (replica, master) in cluster.servers[MASTERS..].iter().zip(&cluster.servers) {
            let id: String = master.command(&["CLUSTER", "MYID"]).await.unwrap();
            // It may not know yet that the other one is a master.
            until("a replica", Duration::from_secs(10), async || {
                replica.command::<()>(&["CLUSTER", "REPLICATE", &id]).await.is_ok()
            })
            .await;
            replica.until(&["INFO", "replication"], "master_link_status:up").await;
        }
        cluster.all_say("cluster_state:ok").await;
        cluster
    }

    async fn all_say(&self, expected: &str) {
        for server in &self.servers {
            server.until(&["CLUSTER", "INFO"], expected).await;
        }
    }

    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(RedisServer::url).collect()
    }

    /// `kill -9` of the master that has records, and waits until its replica is a master.
    pub async fn kill_master_with_records(&mut self) {
        for number in 0..MASTERS {
            if self.servers[number].command::<u64>(&["DBSIZE"]).await.unwrap() > 0 {
                self.servers[number].kill();
                self.servers[number + MASTERS].until(&["INFO", "replication"], "role:master").await;
                return;
            }
        }
        panic!("no master has a record");
    }
}

/// A connection as `RedisStore` recommends it.
///
/// # Errors
///
/// If no node can be reached.
pub async fn connect(urls: Vec<String>) -> RedisResult<ClusterConnection> {
    let client = ClusterClient::builder(urls)
        .response_timeout(Duration::from_millis(90))
        .connection_timeout(Duration::from_millis(500))
        .retries(1);
    client.build()?.get_async_connection().await
}
