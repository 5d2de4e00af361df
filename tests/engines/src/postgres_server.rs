//! One PostgreSQL server.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::process::{Process, find, free_port};

/// A PostgreSQL server on a free port, with a new data directory. Its log shows every statement with its parameters.
pub struct PostgresServer {
    process: Process,
    port: u16,
    directory: TempDir,
    programs: PathBuf,
}

impl PostgresServer {
    pub async fn start() -> Self {
        let mut programs = programs().expect("install PostgreSQL: Debian's package is `postgresql`");
        let mut directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            // PostgreSQL refuses to run as root.
            let owned = Command::new("chown").arg("postgres").arg(directory.path()).status().unwrap();
            assert!(owned.success());
        }
        let mut initdb = as_user(is_root, &programs.join("initdb"));
        initdb.args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"]);
        let output = initdb.arg(&data).output().unwrap();
        assert!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        for _ in 0..5 {
            let port = free_port();
            let process = launch(&programs, directory.path(), port);
            let mut server = PostgresServer { process, port, directory, programs };
            if server.answers().await {
                return server;
            }
            (directory, programs) = (server.directory, server.programs);
        }
        panic!("PostgreSQL did not start");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// `kill -9` of the postmaster, whose children then end by themselves.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again: it recovers from its log.
    pub async fn restart(&mut self) {
        self.process.kill();
        for _ in 0..50 {
            self.process = launch(&self.programs, self.directory.path(), self.port);
            if self.answers().await {
                return;
            }
            // The children of the killed one may still hold its shared memory.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("PostgreSQL did not start again");
    }

    /// The output of psql for this statement.
    pub fn query(&self, statement: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-h", "127.0.0.1", "-U", "postgres", "-At", "-p", &self.port.to_string(), "-c", statement]);
        let output = psql.output().unwrap();
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    async fn answers(&mut self) -> bool {
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while self.process.is_running() && std::time::Instant::now() < end {
            let mut ready = Command::new(self.programs.join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if ready.status().is_ok_and(|status| status.success()) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

/// Where PostgreSQL's programs are: Debian has them outside of `PATH`.
pub fn programs() -> Option<PathBuf> {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    versions.sort();
    let found = versions.into_iter().rev().find(|path| path.join("initdb").is_file());
    found.or_else(|| find("initdb", &[]).and_then(|program| program.parent().map(Path::to_owned)))
}

fn as_user(is_root: bool, program: &Path) -> Command {
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]).arg(program);
    command
}

fn launch(programs: &Path, directory: &Path, port: u16) -> Process {
    let user = rustix::process::geteuid().is_root().then_some("postgres");
    let (data, port) = (directory.join("data").display().to_string(), port.to_string());
    let arguments = ["-D", &data, "-p", &port, "-h", "127.0.0.1", "-k", ""];
    let settings = ["fsync=off", "log_statement=all", "max_connections=200", "shared_buffers=16MB"];
    let settings = settings.into_iter().flat_map(|setting| ["-c", setting]);
    Process::start(&programs.join("postgres"), arguments.into_iter().chain(settings), user, &directory.join("log"))
        .unwrap()
}
