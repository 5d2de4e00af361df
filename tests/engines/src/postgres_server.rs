//! One PostgreSQL server.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use bearer_token_postgres::PostgresStore;
use tempfile::TempDir;

use crate::process::{Process, Server, find};

/// A PostgreSQL server on a free port, with a new data directory. Its log shows every statement with its parameters.
///
/// It does not wait for its disk (`fsync = off`), which a crash of a process does not notice.
pub struct PostgresServer {
    process: Process,
    port: u16,
    directory: Arc<TempDir>,
    programs: PathBuf,
    settings: Vec<String>,
}

impl PostgresServer {
    pub async fn start() -> Self {
        PostgresServer::start_with(|_| Vec::new()).await
    }

    /// Starts it with further settings, as in `["ssl=on"]`. They are made for its directory, before that is given to
    /// its user.
    pub async fn start_with(settings: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let programs = programs().expect("install PostgreSQL: Debian's package is `postgresql`");
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let settings = settings(directory.path());
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            // PostgreSQL refuses to run as root.
            let owned = Command::new("chown").args(["-R", "postgres"]).arg(directory.path()).status().unwrap();
            assert!(owned.success());
        }
        let mut initdb = as_user(is_root, &programs.join("initdb"));
        initdb.args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"]);
        let output = initdb.arg(&data).output().unwrap();
        assert!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        // In the file, so that a test can replace it: `set`.
        let mut configuration = OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        writeln!(configuration, "fsync = off").unwrap();
        let directory = Arc::new(directory);
        PostgresServer::start_on_free_port("PostgreSQL", |port| {
            let process = launch(&programs, directory.path(), port, &settings);
            let (directory, programs) = (Arc::clone(&directory), programs.clone());
            PostgresServer { process, port, directory, programs, settings: settings.clone() }
        })
        .await
    }

    /// Starts a standby of it, which names itself `standby`.
    pub async fn standby(&self) -> Self {
        let (programs, is_root) = (self.programs.clone(), rustix::process::geteuid().is_root());
        let directory = tempfile::tempdir().unwrap();
        if is_root {
            let owned = Command::new("chown").arg("postgres").arg(directory.path()).status().unwrap();
            assert!(owned.success());
        }
        let primary = format!("host=127.0.0.1 port={} user=postgres application_name=standby", self.port);
        let mut copy = as_user(is_root, &programs.join("pg_basebackup"));
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-d", &primary, "-D"]);
        let output = copy.arg(directory.path().join("data")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let directory = Arc::new(directory);
        PostgresServer::start_on_free_port("a standby of PostgreSQL", |port| {
            let process = launch(&programs, directory.path(), port, &self.settings);
            let (directory, programs) = (Arc::clone(&directory), programs.clone());
            PostgresServer { process, port, directory, programs, settings: self.settings.clone() }
        })
        .await
    }

    /// Makes a standby the primary server.
    pub fn promote(&self) {
        assert_eq!(self.query("SELECT pg_promote()"), "t");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// A store on it, which accepts that it does not wait for its disk. The table may not exist yet.
    pub fn store(&self) -> PostgresStore {
        PostgresStore::from_url(self.url()).unwrap().test_server()
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
            self.process = launch(&self.programs, self.directory.path(), self.port, &self.settings);
            if self.is_up().await {
                return;
            }
            // The children of the killed one may still hold its shared memory.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("PostgreSQL did not start again");
    }

    /// Changes a setting of the running server.
    pub async fn set(&self, setting: &str, value: &str) {
        self.query(&format!("ALTER SYSTEM SET {setting} = '{value}'"));
        self.query("SELECT pg_reload_conf()");
        let is_set = async || self.query(&format!("SHOW {setting}")) == value;
        crate::until(setting, Duration::from_secs(10), is_set).await;
    }

    /// The output of `pg_dump`.
    pub fn dump(&self) -> Vec<u8> {
        let mut dump = Command::new(self.programs.join("pg_dump"));
        dump.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), "postgres"]);
        let output = dump.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The output of psql for this statement.
    pub fn query(&self, statement: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-h", "127.0.0.1", "-U", "postgres", "-At", "-p", &self.port.to_string(), "-c", statement]);
        let output = psql.output().unwrap();
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Server for PostgresServer {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    async fn answers(&self) -> bool {
        let mut ready = Command::new(self.programs.join("pg_isready"));
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        ready.status().is_ok_and(|status| status.success())
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

fn launch(programs: &Path, directory: &Path, port: u16, further: &[String]) -> Process {
    let user = rustix::process::geteuid().is_root().then_some("postgres");
    let (data, port) = (directory.join("data").display().to_string(), port.to_string());
    let arguments = ["-D", &data, "-p", &port, "-h", "127.0.0.1", "-k", ""];
    let settings = ["log_statement=all", "max_connections=200", "shared_buffers=16MB"];
    let further = further.iter().map(String::as_str);
    let settings = settings.into_iter().chain(further).flat_map(|setting| ["-c", setting]);
    Process::start(&programs.join("postgres"), arguments.into_iter().chain(settings), user, &directory.join("log"))
        .unwrap()
}
