//! Processes that end with their guard.

use std::{
    ffi::OsStr,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A process that is killed when this is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a server, with its output in a file. `user` is for programs that refuse to run as root.
    ///
    /// The kernel kills it when this process ends.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or the program not be started.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        user: Option<&str>,
        log: &Path,
    ) -> std::io::Result<Self> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new("setpriv");
        if let Some(user) = user {
            command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        }
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let (sender, receiver) = mpsc::channel();
        drop(spawner().send((command, sender)));
        let spawned = receiver.recv().map_err(std::io::Error::other)?;
        Ok(Process { child: spawned? })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// `SIGSTOP`.
    pub fn pause(&self) {
        signal(self.pid(), Signal::STOP);
    }

    /// `SIGCONT`.
    pub fn resume(&self) {
        signal(self.pid(), Signal::CONT);
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server that is a process.
#[allow(async_fn_in_trait, reason = "nothing here is published")]
pub trait Server: Sized {
    fn process(&mut self) -> &mut Process;

    /// Whether it answers now.
    async fn answers(&self) -> bool;

    /// Waits until it answers, for as long as its process runs, and for twenty seconds at most.
    async fn is_up(&mut self) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        while self.process().is_running() && Instant::now() < end {
            if self.answers().await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// Starts it on a free port. Another test may have taken that one meanwhile, so there are several attempts.
    async fn start_on_free_port(name: &str, launch: impl Fn(u16) -> Self) -> Self {
        for _ in 0..5 {
            let mut server = launch(free_port());
            if server.is_up().await {
                return server;
            }
        }
        panic!("{name} could not be started");
    }
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// A thread that starts processes: the kernel kills them when the thread ends that has started them.
fn spawner() -> mpsc::Sender<Order> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                drop(answer.send(command.spawn()));
            }
        });
        Mutex::new(sender)
    });
    spawner.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Sends a signal to one process. A process that has ended is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback has free ports").port()
}

/// The program with this name in one of these directories or in `PATH`.
pub fn find(name: &str, directories: &[&str]) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path).collect::<Vec<_>>();
    directories.iter().map(Into::into).chain(path).map(|directory| directory.join(name)).find(|file| file.is_file())
}
