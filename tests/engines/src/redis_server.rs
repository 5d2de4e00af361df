//! One Redis server.

use std::{path::Path, time::Duration};

use tempfile::TempDir;

use crate::{
    process::{Process, find, free_port},
    until,
};

/// A Redis server on a free port, with its files in a directory of its own.
pub struct RedisServer {
    process: Process,
    port: u16,
    directory: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts an empty server that writes nothing to the disk.
    pub async fn start() -> Self {
        RedisServer::start_with(&[]).await
    }

    /// Starts an empty server with these further arguments, as in `["--appendonly", "yes"]`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        // Another test may have taken the free port meanwhile.
        for _ in 0..5 {
            let directory = tempfile::tempdir().unwrap();
            let port = free_port();
            let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
            let process = launch(port, directory.path(), &arguments);
            let mut server = RedisServer { process, port, directory, arguments };
            if server.answers().await {
                return server;
            }
        }
        panic!("no redis-server could be started: is it installed? Debian's package is `redis-server`");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port, after [`kill`](Self::kill). Without a file on the disk it is empty.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = launch(self.port, self.directory.path(), &self.arguments);
        assert!(self.answers().await, "the server did not start again");
    }

    /// Whether it answers, within some seconds.
    async fn answers(&mut self) -> bool {
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while self.process.is_running() && std::time::Instant::now() < end {
            if self.command::<String>(&["PING"]).await.is_ok_and(|pong| pong == "PONG") {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// Sends one command over a connection of its own.
    pub async fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        command(self.port, words).await
    }

    /// Waits until a command returns this.
    pub async fn until(&self, words: &[&str], expected: &str) {
        until(&words.join(" "), Duration::from_secs(20), async || {
            self.command::<String>(words).await.is_ok_and(|found| found.contains(expected))
        })
        .await;
    }
}

/// Sends one command over a connection of its own.
pub async fn command<T: redis::FromRedisValue>(port: u16, words: &[&str]) -> redis::RedisResult<T> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    command.query_async(&mut connection).await
}

fn launch(port: u16, directory: &Path, arguments: &[String]) -> Process {
    let program = find("redis-server", &[]).expect("install redis-server: Debian's package is `redis-server`");
    let port = port.to_string();
    let base = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--daemonize", "no", "--dir"];
    let base = base.into_iter().map(str::to_owned);
    let all = base.chain([directory.display().to_string()]).chain(arguments.iter().cloned());
    Process::start(&program, all, None, &directory.join("log")).unwrap()
}
