//! The connection of a store that was given a URL.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bearer_token::{Error, ErrorKind, Retry};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind as RedisKind, IntoConnectionInfo, Pipeline, RedisError, RedisFuture,
    RedisResult, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::runtime::{Handle, Id};

#[cfg(feature = "sentinel")]
mod sentinels;
#[cfg_attr(not(feature = "tls"), path = "connection/no_tls.rs")]
mod tls;

/// Less than the deadline of a call (95 ms), so that a connection that hangs is noticed and replaced.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(90);
const CONNECTION_TIMEOUT: Duration = Duration::from_millis(500);
/// The most runtimes that have a connection each. The first one loses it.
const MOST_RUNTIMES: usize = 4;

/// One connection for all clones, made at the first command and again after it broke. Needs a tokio runtime.
///
/// A connection that takes longer than one call is made meanwhile, for the next one. A process with several runtimes
/// has a connection for each of them, up to four. With Sentinel, the master is asked for again when the server turns
/// out to be a replica, and the command is repeated there.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<SharedConnection>,
}

struct SharedConnection {
    target: Target,
    db: i64,
    /// A connection is driven by the runtime that made it. Another one may go on while that one is not driven.
    attempts: Mutex<Vec<(Id, Attempt)>>,
}

type Attempt = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

#[derive(Clone)]
enum Target {
    Server(Arc<Client>),
    #[cfg(feature = "sentinel")]
    Sentinels(Arc<sentinels::Sentinels>),
}

impl Connection {
    /// Connects to one server: `redis://[user][:password@]host[:port][/db]`, `rediss://` with the feature `tls`, or
    /// `unix:` with a path. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// Fails with kind [`Config`](ErrorKind::Config) if it is not such a URL. The error does not repeat it, because it
    /// may contain a password. It also fails for `rediss://` in a process that has installed no `CryptoProvider` of
    /// rustls.
    pub fn to_server(url: impl AsRef<str>) -> Result<Self, Error> {
        let info = url.as_ref().into_connection_info().map_err(|error| not_a_url(&error))?;
        tls::check(&info)?;
        let db = info.redis_settings().db();
        let client = Client::open(info).map_err(|error| not_a_url(&error))?;
        Ok(Connection::new(Target::Server(Arc::new(client)), db))
    }

    /// Connects as this client is configured: with a private CA, for example, or a certificate of its own.
    pub fn to_client(client: Client) -> Self {
        let db = client.get_connection_info().redis_settings().db();
        Connection::new(Target::Server(Arc::new(client)), db)
    }

    /// Connects to the master with this name, as these sentinels know it.
    ///
    /// The sentinels are URLs as for [`to_server`](Self::to_server), with the credentials of the sentinels. `node` has
    /// the credentials of the servers, their database and TLS.
    ///
    /// # Errors
    ///
    /// As [`to_server`](Self::to_server).
    #[cfg(feature = "sentinel")]
    pub fn to_sentinels(
        sentinels: impl IntoIterator<Item = impl AsRef<str>>,
        name: impl Into<String>,
        node: Option<redis::sentinel::SentinelNodeConnectionInfo>,
    ) -> Result<Self, Error> {
        let sentinels = sentinels::Sentinels::new(sentinels, name.into(), node).map_err(|error| not_a_url(&error))?;
        Ok(Connection::new(Target::Sentinels(Arc::new(sentinels)), 0))
    }

    fn new(target: Target, db: i64) -> Self {
        Connection { shared: Arc::new(SharedConnection { target, db, attempts: Mutex::default() }) }
    }

    /// The connection, or the attempt to make one that all callers of a runtime share.
    async fn current(&self) -> RedisResult<(Attempt, MultiplexedConnection)> {
        let Ok(runtime) = Handle::try_current() else {
            return Err((RedisKind::Client, "the connection needs a tokio runtime").into());
        };
        let attempt = self.attempt(&runtime);
        match attempt.clone().await {
            Ok(connection) => Ok((attempt, connection)),
            Err(error) => {
                self.forget(&attempt);
                Err(error)
            }
        }
    }

    fn attempt(&self, runtime: &Handle) -> Attempt {
        let mut attempts = self.shared.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, attempt)) = attempts.iter().find(|(of, _)| *of == runtime.id()) {
            return attempt.clone();
        }
        let attempt = connect(self.shared.target.clone()).boxed().shared();
        let surplus = (attempts.len() + 1).saturating_sub(MOST_RUNTIMES);
        attempts.drain(..surplus);
        attempts.push((runtime.id(), attempt.clone()));
        // It may take longer than one call, and no call may follow for seconds. The timeout of the connection ends it.
        drop(runtime.spawn(attempt.clone()));
        attempt
    }

    /// Makes a new connection for the next command, unless that has happened already.
    fn forget(&self, broken: &Attempt) {
        let mut attempts = self.shared.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|(_, attempt)| !attempt.ptr_eq(broken));
    }

    async fn run<'a, T>(
        &self,
        command: impl Fn(MultiplexedConnection) -> RedisFuture<'a, T> + Send + Sync,
    ) -> RedisResult<T> {
        let (attempt, connection) = self.current().await?;
        let result = command(connection).await;
        let Err(error) = &result else { return result };
        if !is_replica(error) {
            if error.is_io_error() || error.is_unrecoverable_error() {
                self.forget(&attempt);
            }
            return result;
        }
        // The server did nothing, so the command can be repeated.
        self.forget(&attempt);
        command(self.current().await?.1).await
    }
}

#[cfg_attr(
    not(feature = "sentinel"),
    allow(clippy::infallible_destructuring_match, reason = "another feature adds a target")
)]
async fn connect(target: Target) -> RedisResult<MultiplexedConnection> {
    let client = match target {
        Target::Server(client) => client,
        #[cfg(feature = "sentinel")]
        Target::Sentinels(sentinels) => Arc::new(sentinels.master().await?),
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECTION_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// Whether the server is not the master, or not yet: nothing was done.
fn is_replica(error: &RedisError) -> bool {
    let RedisKind::Server(kind) = error.kind() else { return false };
    matches!(kind, ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
}

fn not_a_url(error: &RedisError) -> Error {
    // The error of the client may show the URL; its category does not.
    let message = format!(
        "the URL of Redis is unusable ({}); expected `redis://[user][:password@]host[:port][/db]`, or `rediss://` with the \
         feature `tls`",
        error.category()
    );
    Error::new(ErrorKind::Config, message).with_retry(Retry::AfterChange)
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.run(move |mut connection| async move { connection.send_packed_command(cmd).await }.boxed()).boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.run(move |mut connection| {
            async move { connection.send_packed_commands(pipeline, offset, count).await }.boxed()
        })
        .boxed()
    }

    fn get_db(&self) -> i64 {
        self.shared.db
    }
}

/// Shows nothing of the URL.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
