//! PgBouncer in front of a PostgreSQL server.

use std::path::Path;

use tempfile::TempDir;

use crate::process::{Process, Server, find};

/// A pooler on a free port, which logs in to the server as `postgres`.
pub struct Pooler {
    process: Process,
    port: u16,
    _directory: TempDir,
}

impl Pooler {
    /// Starts it for the server at this port. It pools by `session`, `transaction` or `statement`, and has at most this
    /// number of connections to the server.
    pub async fn start(server: u16, mode: &str, connections: u32) -> Self {
        // Debian has it outside of the `PATH` of users.
        let program = find("pgbouncer", &["/usr/sbin"]).expect("install PgBouncer: Debian's package is `pgbouncer`");
        Pooler::start_on_free_port("PgBouncer", |port| {
            let directory = tempfile::tempdir().unwrap();
            let process = launch(&program, directory.path(), (port, server), mode, connections);
            Pooler { process, port, _directory: directory }
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Server for Pooler {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    async fn answers(&self) -> bool {
        tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
    }
}

fn launch(program: &Path, directory: &Path, ports: (u16, u16), mode: &str, connections: u32) -> Process {
    let (port, server) = ports;
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = {connections}\n\
         query_wait_timeout = 1\n"
    );
    let file = directory.join("pgbouncer.ini");
    std::fs::write(&file, text).unwrap();
    // PgBouncer refuses to run as root, and its user has to read the file.
    let user = rustix::process::geteuid().is_root().then_some("postgres");
    if let Some(user) = user {
        let owned = std::process::Command::new("chown").args(["-R", user]).arg(directory).status().unwrap();
        assert!(owned.success());
    }
    Process::start(program, [&file], user, &directory.join("log")).unwrap()
}
