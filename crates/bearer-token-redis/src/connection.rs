//! The connection of a store that was given a URL.

use std::{fmt, sync::Arc, time::Duration};

use bearer_token::{
    Error, ErrorKind, Retry,
    store::{Connections, Connector, InUse, NotConnected},
};
use futures_util::{FutureExt, TryFutureExt};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind as RedisKind, IntoConnectionInfo, Pipeline, RedisError, RedisFuture,
    RedisResult, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};

mod alive;
#[cfg(feature = "sentinel")]
mod sentinels;
#[cfg_attr(not(feature = "tls"), path = "connection/no_tls.rs")]
mod tls;

/// Less than the deadline of a call (95 ms), so that a connection that hangs is noticed and replaced.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(90);
const CONNECTION_TIMEOUT: Duration = Duration::from_millis(500);

/// One connection for all clones, made at the first command and again after it broke. Needs a tokio runtime.
///
/// A connection that takes longer than one call is made meanwhile, for the next one. A process with several runtimes
/// has a connection for each of them, up to 64. With Sentinel, the master is asked for again when the server turns
/// out to be a replica, and the command is repeated there. A connection that was idle for 30 s is asked first whether
/// it still works ([`Connections`]), and has TCP keepalive.
#[derive(Clone)]
pub struct Connection {
    connections: Arc<Connections<Target>>,
    db: i64,
}

enum Target {
    Server(Client),
    #[cfg(feature = "sentinel")]
    Sentinels(sentinels::Sentinels),
}

impl Connector for Target {
    type Connection = MultiplexedConnection;
    type Error = RedisError;

    #[cfg_attr(
        not(feature = "sentinel"),
        allow(clippy::infallible_destructuring_match, reason = "another feature adds a target")
    )]
    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let client = match self {
            Target::Server(client) => client.clone(),
            #[cfg(feature = "sentinel")]
            Target::Sentinels(sentinels) => alive::client(&sentinels.master().await?)?,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// A server that permits no `PING` answers too.
    async fn answers(&self, connection: &MultiplexedConnection) -> bool {
        let pong = connection.clone().send_packed_command(&redis::cmd("PING")).await;
        pong.err().is_none_or(|error| !is_broken(&error))
    }
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
        let client = Client::open(alive::settings(info)).map_err(|error| not_a_url(&error))?;
        Ok(Connection::to_client(client))
    }

    /// Connects as this client is configured: with a private CA, for example, or a certificate of its own.
    ///
    /// Turn on TCP keepalive in its settings. Connections from a URL have it, and probe after 15 s without traffic.
    pub fn to_client(client: Client) -> Self {
        let db = client.get_connection_info().redis_settings().db();
        Connection::new(Target::Server(client), db)
    }

    /// Connects to the master that these sentinels know by `name`.
    ///
    /// The sentinels are URLs as for [`to_server`](Self::to_server), with the credentials of the sentinels. `node` has
    /// the credentials of the servers, their database and TLS: `rediss://` sentinels without a `node` name a server that
    /// is connected to without TLS.
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
        sentinels.infos().try_for_each(tls::check)?;
        Ok(Connection::new(Target::Sentinels(sentinels), 0))
    }

    fn new(target: Target, db: i64) -> Self {
        Connection { connections: Arc::new(Connections::new(target)), db }
    }

    async fn in_use(&self) -> RedisResult<InUse<'_, Target>> {
        let connected = self.connections.get().map_err(|error| match error {
            NotConnected::NoRuntime => (RedisKind::Client, "the connection needs a tokio runtime").into(),
            NotConnected::Failed(error) => error,
        });
        connected.await
    }

    async fn run<'a, T>(
        &self,
        command: impl Fn(MultiplexedConnection) -> RedisFuture<'a, T> + Send + Sync,
    ) -> RedisResult<T> {
        let in_use = self.in_use().await?;
        let result = command(in_use.connection().clone()).await;
        match &result {
            // The server did nothing, so the command can be repeated.
            Err(error) if is_replica(error) => {}
            Err(error) if is_broken(error) => return result,
            _ => {
                in_use.answered();
                return result;
            }
        }
        drop(in_use);
        let in_use = self.in_use().await?;
        let result = command(in_use.connection().clone()).await;
        if result.as_ref().err().is_none_or(|error| !is_broken(error) && !is_replica(error)) {
            in_use.answered();
        }
        result
    }
}

fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error()
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
        self.db
    }
}

/// Shows nothing of the URL.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(feature = "sentinel")]
mod tests;
