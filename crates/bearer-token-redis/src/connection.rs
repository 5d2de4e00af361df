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

/// Less than the deadline of a call (95 ms), so that a connection that hangs is noticed and replaced.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(90);
const CONNECTION_TIMEOUT: Duration = Duration::from_millis(500);

/// One connection for all clones, made at the first command and again after it broke. Needs a tokio runtime.
///
/// A connection that takes longer than one call goes on with the next one. With Sentinel, the master is asked for again
/// when the server turns out to be a replica, and the command is repeated there.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<SharedConnection>,
}

struct SharedConnection {
    target: Target,
    db: i64,
    attempt: Mutex<Option<Attempt>>,
}

type Attempt = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

#[derive(Clone)]
enum Target {
    Server(Arc<Client>),
    #[cfg(feature = "sentinel")]
    Sentinel(Arc<tokio::sync::Mutex<redis::sentinel::SentinelClient>>),
}

impl Connection {
    /// Connects to one server: `redis://[user][:password@]host[:port][/db]`, `rediss://` with the feature `tls`, or
    /// `unix:` with a path. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// Fails with kind [`Config`](ErrorKind::Config) if it is not such a URL. The error does not repeat it, because it
    /// may contain a password.
    pub fn to_server(url: impl AsRef<str>) -> Result<Self, Error> {
        let info = url.as_ref().into_connection_info().map_err(|error| not_a_url(&error))?;
        let db = info.redis_settings().db();
        let client = Client::open(info).map_err(|error| not_a_url(&error))?;
        Ok(Connection::new(Target::Server(Arc::new(client)), db))
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
        use redis::sentinel::{SentinelClient, SentinelServerType};
        let parse = |url: &dyn AsRef<str>| url.as_ref().into_connection_info();
        let sentinels: Result<Vec<_>, _> = sentinels.into_iter().map(|url| parse(&url)).collect();
        let sentinels = sentinels.map_err(|error| not_a_url(&error))?;
        let client = SentinelClient::build(sentinels, name.into(), node, SentinelServerType::Master);
        let client = client.map_err(|error| not_a_url(&error))?;
        Ok(Connection::new(Target::Sentinel(Arc::new(tokio::sync::Mutex::new(client))), 0))
    }

    fn new(target: Target, db: i64) -> Self {
        Connection { shared: Arc::new(SharedConnection { target, db, attempt: Mutex::new(None) }) }
    }

    /// The connection, or the attempt to make one that all callers share.
    async fn current(&self) -> RedisResult<(Attempt, MultiplexedConnection)> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err((RedisKind::Client, "the connection needs a tokio runtime").into());
        }
        let attempt = {
            let mut attempt = self.shared.attempt.lock().unwrap_or_else(PoisonError::into_inner);
            attempt.get_or_insert_with(|| connect(self.shared.target.clone()).boxed().shared()).clone()
        };
        match attempt.clone().await {
            Ok(connection) => Ok((attempt, connection)),
            Err(error) => {
                self.forget(&attempt);
                Err(error)
            }
        }
    }

    /// Makes a new connection for the next command, unless that has happened already.
    fn forget(&self, broken: &Attempt) {
        let mut attempt = self.shared.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        attempt.take_if(|attempt| attempt.ptr_eq(broken));
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
        Target::Sentinel(client) => client.lock().await.async_get_client().await.map(Arc::new)?,
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
