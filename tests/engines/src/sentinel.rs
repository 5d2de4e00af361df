//! One master, two replicas and three sentinels.

use std::time::Duration;

use tempfile::TempDir;

use crate::{
    process::{Process, find, free_port},
    redis_server::{RedisServer, command},
    tls::{self, Files},
    until,
};

/// The name under which the sentinels know the master.
pub const NAME: &str = "tokens";

/// Three servers, one of them the master, and the three sentinels that choose it.
pub struct SentinelGroup {
    pub servers: Vec<RedisServer>,
    sentinels: Vec<(Process, u16)>,
    _directory: TempDir,
}

impl SentinelGroup {
    /// Starts them, and waits until the sentinels know each other and both replicas.
    pub async fn start() -> Self {
        let master = RedisServer::start().await;
        let port = master.port().to_string();
        let mut servers = vec![master];
        for _ in 0..2 {
            let server = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]).await;
            server.until(&["INFO", "replication"], "master_link_status:up").await;
            servers.push(server);
        }
        let directory = tempfile::tempdir().unwrap();
        let sentinels = (0..3).map(|number| sentinel(directory.path(), number, &port)).collect();
        let group = SentinelGroup { servers, sentinels, _directory: directory };
        until("the sentinels know each other", Duration::from_secs(30), async || group.is_complete().await).await;
        group
    }

    async fn is_complete(&self) -> bool {
        for (_, port) in &self.sentinels {
            let found = command::<String>(*port, &["INFO", "sentinel"]).await.unwrap_or_default();
            if !found.contains("slaves=2,sentinels=3") {
                return false;
            }
        }
        true
    }

    /// The URLs of the sentinels.
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(|(_, port)| format!("redis://127.0.0.1:{port}")).collect()
    }

    /// The port of the master, as the sentinels see it.
    pub async fn master(&self) -> u16 {
        let found: (String, u16) =
            command(self.sentinels[0].1, &["SENTINEL", "get-master-addr-by-name", NAME]).await.unwrap();
        found.1
    }

    /// Orders a failover, and waits until there is another master.
    pub async fn fail_over(&self) {
        let before = self.master().await;
        command::<String>(self.sentinels[0].1, &["SENTINEL", "FAILOVER", NAME]).await.unwrap();
        self.has_other_master(before).await;
    }

    /// `kill -9` of the master, and waits until there is another one.
    pub async fn kill_master(&mut self) {
        let before = self.master().await;
        let master = self.servers.iter_mut().find(|server| server.port() == before).unwrap();
        master.kill();
        self.has_other_master(before).await;
    }

    async fn has_other_master(&self, before: u16) {
        until("a failover", Duration::from_secs(40), async || {
            let master = self.master().await;
            let role = command::<String>(master, &["INFO", "replication"]).await.unwrap_or_default();
            master != before && role.contains("role:master")
        })
        .await;
    }
}

/// A master, a replica and one sentinel that speak TLS to each other and to clients.
pub struct TlsGroup {
    pub servers: Vec<RedisServer>,
    sentinel: (Process, u16),
    tls_port: u16,
    _directory: TempDir,
}

impl TlsGroup {
    pub async fn start(files: &Files) -> Self {
        let (mut servers, mut ports) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let port = free_port();
            let mut arguments = tls::arguments(files, port, "no");
            arguments.extend(["--tls-replication".to_owned(), "yes".to_owned()]);
            if let Some(master) = ports.first() {
                arguments.extend(["--replicaof".to_owned(), "127.0.0.1".to_owned(), format!("{master}")]);
            }
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            servers.push(RedisServer::start_with(&arguments).await);
            ports.push(port);
        }
        servers[1].until(&["INFO", "replication"], "master_link_status:up").await;
        let (directory, tls_port) = (tempfile::tempdir().unwrap(), free_port());
        let settings = tls::arguments(files, tls_port, "no");
        let settings = settings.chunks(2).map(|pair| format!("{} {}\n", pair[0].trim_start_matches('-'), pair[1]));
        let settings: String = settings.chain(["tls-replication yes\n".to_owned()]).collect();
        let sentinel = launch_sentinel(directory.path(), 0, &ports[0].to_string(), 1, &settings);
        let group = TlsGroup { servers, sentinel, tls_port, _directory: directory };
        until("the sentinel knows the replica", Duration::from_secs(30), async || {
            let found = command::<String>(group.sentinel.1, &["INFO", "sentinel"]).await.unwrap_or_default();
            found.contains("status=ok") && found.contains("slaves=1")
        })
        .await;
        group
    }

    /// The URL of the sentinel.
    pub fn url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port)
    }

    /// Orders a failover, and waits until the replica is the master.
    pub async fn fail_over(&self) {
        let ordered = async || command::<String>(self.sentinel.1, &["SENTINEL", "FAILOVER", NAME]).await.is_ok();
        until("a failover is possible", Duration::from_secs(30), ordered).await;
        self.servers[1].until(&["INFO", "replication"], "role:master").await;
    }
}

fn sentinel(directory: &std::path::Path, number: usize, master: &str) -> (Process, u16) {
    launch_sentinel(directory, number, master, 2, "")
}

fn launch_sentinel(
    directory: &std::path::Path,
    number: usize,
    master: &str,
    quorum: u8,
    settings: &str,
) -> (Process, u16) {
    let port = free_port();
    // A sentinel rewrites its configuration.
    let file = directory.join(format!("sentinel-{number}.conf"));
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {directory}\nprotected-mode no\n{settings}\
         sentinel monitor {NAME} 127.0.0.1 {master} {quorum}\n\
         sentinel down-after-milliseconds {NAME} 1000\n\
         sentinel failover-timeout {NAME} 6000\n\
         sentinel parallel-syncs {NAME} 1\n",
        directory = directory.display(),
    );
    std::fs::write(&file, text).unwrap();
    let program = find("redis-sentinel", &[]).expect("install redis-sentinel: Debian's package is `redis-sentinel`");
    let log = directory.join(format!("sentinel-{number}.log"));
    (Process::start(&program, [&file], None, &log).unwrap(), port)
}
