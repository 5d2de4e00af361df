//! The streaming credentials provider of redis.

use std::{
    iter,
    process::{Child, Command, Stdio},
};

use ::redis::{AsyncConnectionConfig, RedisResult, aio::MultiplexedConnection};
use adoption::redis::RedisCredentials;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::*;

/// Speaks as much of Redis as a connection asks for: it says OK to each command, and reports those that
/// authenticate.
async fn server() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (sender, commands) = mpsc::unbounded_channel();
    Handle::current().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        loop {
            let length = stream.read(&mut buffer).await.unwrap();
            if length == 0 {
                return;
            }
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let count = text.lines().filter(|line| line.starts_with('*')).count();
            // A command is reported before it is answered.
            if text.contains("AUTH") {
                sender.send(text).unwrap();
            }
            stream.write_all("+OK\r\n".repeat(count).as_bytes()).await.unwrap();
        }
    });
    (url, commands)
}

/// How often an open connection looks for a renewed token.
const INTERVAL: Duration = Duration::from_secs(5);
/// The looks within the life of a token.
const LOOKS: usize = 20;

fn credentials(clock: &ManualClock) -> RedisCredentials {
    RedisCredentials {
        username: "reporting".to_owned(),
        provider: numbered(clock),
        platform: Platform::system().with_clock(clock.clone()),
        interval: INTERVAL,
    }
}

/// Waits until an open connection has used the token that it found, and waits for its next look.
async fn looked(clock: &ManualClock) {
    let waits = tokio::time::timeout(Duration::from_secs(60), clock.wait_for_sleepers(1));
    waits.await.unwrap_or_else(|_| panic!("the connection looks for no token any more"));
}

#[tokio::test]
async fn an_open_connection_gets_the_renewed_token() {
    let clock = ManualClock::new();
    let (url, mut commands) = server().await;
    let config = AsyncConnectionConfig::new().set_credentials_provider(credentials(&clock));
    let client = ::redis::Client::open(url).unwrap();
    let connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    let first = commands.recv().await.unwrap();
    assert!(first.contains("reporting") && first.contains("token-1"), "{first}");
    looked(&clock).await;
    // One look starts the refresh in the background, a later one finds its token.
    let mut renewed = Vec::new();
    for _ in 0..LOOKS {
        clock.advance(INTERVAL);
        looked(&clock).await;
        renewed.extend(iter::from_fn(|| commands.try_recv().ok()).filter(|command| !command.contains("token-1")));
    }
    let [command] = &renewed[..] else { panic!("one renewal in the life of a token: {renewed:?}") };
    assert!(command.contains("reporting") && command.contains("token-2"), "{command}");
    drop(connection);
}

/// A real server, whose user `reporting` has one token as password.
struct Server {
    process: Child,
    directory: tempfile::TempDir,
}

impl Server {
    async fn start(token: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket", "socket"])
            .args(["--user", "reporting", "on", &format!(">{token}"), "~*", "+@all"])
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { process, directory };
        for _ in 0..200 {
            if server.client().get_multiplexed_async_connection().await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("redis-server does not start");
    }

    fn client(&self) -> ::redis::Client {
        ::redis::Client::open(format!("redis+unix://{}/socket", self.directory.path().display())).unwrap()
    }

    /// A connection whose tokens come from a provider on this clock.
    async fn connect(&self, clock: &ManualClock) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new().set_credentials_provider(credentials(clock));
        self.client().get_multiplexed_async_connection_with_config(&config).await
    }

    /// How often connections authenticated, and how often in vain.
    async fn authentications(&self) -> (u64, u64) {
        let mut administrator = self.client().get_multiplexed_async_connection().await.unwrap();
        let text: String = ::redis::cmd("INFO").arg("commandstats").query_async(&mut administrator).await.unwrap();
        let Some(line) = text.lines().find_map(|line| line.strip_prefix("cmdstat_auth:")) else { return (0, 0) };
        let field = |name: &str| {
            let found = line.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            found.unwrap().parse::<u64>().unwrap()
        };
        (field("calls"), field("failed_calls"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_real_server_checks_each_token() {
    let server = Server::start("token-1").await;
    let clock = ManualClock::new();
    let mut connection = server.connect(&clock).await.unwrap();
    let user: String = ::redis::cmd("ACL").arg("WHOAMI").query_async(&mut connection).await.unwrap();
    assert_eq!(user, "reporting");
    looked(&clock).await;
    let (connected, failed) = server.authentications().await;
    assert!(connected >= 1 && failed == 0, "{connected} {failed}");

    // The second token replaces the first one, in the server as in the provider.
    let mut administrator = server.client().get_multiplexed_async_connection().await.unwrap();
    let rule = ["SETUSER", "reporting", "resetpass", ">token-2"];
    let _: () = ::redis::cmd("ACL").arg(&rule).query_async(&mut administrator).await.unwrap();
    // A new connection with the first one is refused.
    let error = server.connect(&ManualClock::new()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ::redis::ErrorKind::AuthenticationFailed, "{error}");
    let refused = server.authentications().await;
    // Less than the life of the second token, after which the provider would send a third one.
    for _ in 0..LOOKS {
        clock.advance(INTERVAL);
        looked(&clock).await;
        if server.authentications().await.0 > refused.0 {
            break;
        }
    }
    // The open connection authenticated once more, and the server accepted the second token.
    let (calls, failed) = server.authentications().await;
    assert_eq!((calls - refused.0, failed), (1, refused.1));
    let user: String = ::redis::cmd("ACL").arg("WHOAMI").query_async(&mut connection).await.unwrap();
    assert_eq!(user, "reporting");
}
