//! One Redis server.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    process::{Process, Server, find},
    until,
};

/// A Redis server on a free port, with its files in a directory of its own.
pub struct RedisServer {
    program: PathBuf,
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
        let program = find("redis-server", &[]).expect("install redis-server: Debian's package is `redis-server`");
        RedisServer::start_program(program, arguments).await
    }

    /// Starts another program with the protocol and the arguments of Redis.
    pub async fn start_program(program: PathBuf, arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        RedisServer::start_on_free_port(&program.display().to_string(), |port| {
            let directory = tempfile::tempdir().unwrap();
            let process = launch(&program, port, directory.path(), &arguments);
            RedisServer { program: program.clone(), process, port, directory, arguments: arguments.clone() }
        })
        .await
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

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port, after [`kill`](Self::kill). Without a file on the disk it is empty.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = launch(&self.program, self.port, self.directory.path(), &self.arguments);
        assert!(self.is_up().await, "the server did not start again");
    }

    /// Sends one command over a connection of its own.
    ///
    /// # Errors
    ///
    /// The error of the server, or of the connection.
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

impl Server for RedisServer {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    async fn answers(&self) -> bool {
        self.command::<String>(&["PING"]).await.is_ok_and(|pong| pong == "PONG")
    }
}

/// Sends one command over a connection of its own.
///
/// # Errors
///
/// The error of the server, or of the connection.
pub async fn command<T: redis::FromRedisValue>(port: u16, words: &[&str]) -> redis::RedisResult<T> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    command.query_async(&mut connection).await
}

fn launch(program: &Path, port: u16, directory: &Path, arguments: &[String]) -> Process {
    let port = port.to_string();
    let base = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--daemonize", "no", "--dir"];
    let base = base.into_iter().map(str::to_owned);
    let all = base.chain([directory.display().to_string()]).chain(arguments.iter().cloned());
    Process::start(program, all, None, &directory.join("log")).unwrap()
}
