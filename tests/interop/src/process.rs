//! A server as a process of its own, which can be stopped and started.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::time::{Instant, sleep};

/// A started server. Dropping it ends the whole process group.
pub(crate) struct Process {
    script: PathBuf,
    environment: Vec<(String, String)>,
    work: PathBuf,
    child: Option<Child>,
    ready_url: String,
    start_limit: Duration,
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Process {
    /// Describes a server: `start` of its folder, run in `work`. It is ready when `ready_url` responds with success.
    pub(crate) fn new(
        folder: &Path,
        work: &Path,
        environment: Vec<(String, String)>,
        ready_url: String,
        start_limit: Duration,
    ) -> Self {
        let script = folder.join("start");
        Process { script, environment, work: work.to_owned(), child: None, ready_url, start_limit }
    }

    /// Starts the server and waits until it is ready.
    pub(crate) async fn start(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the server runs already");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.work.join("server.log"))?;
        let child = Command::new(&self.script)
            .current_dir(&self.work)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.script.display()))?;
        // So the script that called this program can end the group, whatever happens to this program.
        std::fs::write(self.work.join("group"), child.id().to_string())?;
        self.child = Some(child);
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let deadline = Instant::now() + self.start_limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose()) {
                bail!("the server ended while it started: {}\n{}", status?, self.end_of_log());
            }
            if http.get(&self.ready_url).send().await.is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
        bail!("the server was not ready within {:?}\n{}", self.start_limit, self.end_of_log())
    }

    /// Ends the server and all that it started: first by asking, then by force.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let group = group(&child)?;
        let _ = kill_process_group(group, Signal::TERM);
        for _ in 0..50 {
            // Reaps the first process, without which the group would live on.
            let ended = child.try_wait()?.is_some();
            if ended && test_kill_process_group(group).is_err() {
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
        let _ = kill_process_group(group, Signal::KILL);
        child.wait()?;
        Ok(())
    }

    /// The last lines that the server wrote.
    pub(crate) fn end_of_log(&self) -> String {
        let log = std::fs::read(self.work.join("server.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(25)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if let Ok(group) = group(&child) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait();
    }
}

fn group(child: &Child) -> Result<Pid> {
    Pid::from_raw(i32::try_from(child.id())?).context("the process has no id")
}
