//! The store.

use std::{fmt, sync::Arc, time::Duration};

use bearer_token::{
    Error,
    store::{Down, Fence, Leased, Order, Saved, SharedStore, Snapshot, StoreKey, Version},
};
use redis::{
    ErrorKind, FromRedisValue, RedisError, RedisResult, Script, ScriptInvocation, ServerErrorKind, aio::ConnectionLike,
};

use crate::{Connection, scripts::Scripts};

/// A hundred years, because Redis cannot count further than some thousands of them.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Keeps records in Redis or Valkey. Clones share it.
///
/// Every step is one script on one key, so it works in a cluster too. The scripts are sent by their hash, and once more
/// in full after a server has forgotten them.
///
/// Redis acknowledges writes before they are replicated, so a failover may lose the latest: [`Order::LosesWrites`]. For
/// access tokens that costs a token request. The records are sealed by the source; their names are
/// `bearer-token:` and a keyed hash.
///
/// # Connections
///
/// [`from_url`](Self::from_url) makes one, with timeouts that suit a cache. [`new`](Self::new) accepts every
/// asynchronous connection of the crate `redis` that can be cloned: `ConnectionManager`, `ClusterConnection`, a pool.
/// Set its response timeout to 90 ms (less than the deadline of a call), its connection timeout to 500 ms and its
/// retries to one. The defaults may wait longer than the token request that the store saves.
///
/// ```
/// # async fn example(client: redis::Client) -> redis::RedisResult<()> {
/// let connection = client.get_multiplexed_async_connection().await?;
/// let store = bearer_token_redis::RedisStore::new(connection).prefix("orders:tokens:");
/// # let _ = store; Ok(()) }
/// ```
///
/// With Sentinel (feature `sentinel`), the name is that of the master:
///
/// ```
/// # #[cfg(feature = "sentinel")]
/// # fn example() -> Result<(), bearer_token::Error> {
/// use bearer_token_redis::{Connection, RedisStore};
///
/// let sentinels = ["redis://sentinel-1.example.com:26379", "redis://sentinel-2.example.com:26379"];
/// let store = RedisStore::new(Connection::to_sentinels(sentinels, "mymaster", None)?);
/// # let _ = store; Ok(()) }
/// ```
///
/// In a Redis Cluster (feature `cluster`):
///
/// ```
/// # #[cfg(feature = "cluster")]
/// # async fn example() -> redis::RedisResult<()> {
/// use std::time::Duration;
///
/// let nodes = vec!["redis://redis-1.example.com", "redis://redis-2.example.com"];
/// let cluster = redis::cluster::ClusterClient::builder(nodes)
///     .response_timeout(Duration::from_millis(90))
///     .connection_timeout(Duration::from_millis(500))
///     .retries(1)
///     .build()?;
/// let store = bearer_token_redis::RedisStore::new(cluster.get_async_connection().await?);
/// # let _ = store; Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisStore<C = Connection> {
    connection: C,
    scripts: Arc<Scripts>,
    prefix: Arc<str>,
}

impl RedisStore {
    /// Keeps the records on the server with this URL. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// As [`Connection::to_server`].
    pub fn from_url(url: impl AsRef<str>) -> Result<Self, Error> {
        Connection::to_server(url).map(RedisStore::new)
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisStore<C> {
    /// Keeps the records where this connection leads.
    pub fn new(connection: C) -> Self {
        RedisStore { connection, scripts: Arc::new(Scripts::new()), prefix: "bearer-token:".into() }
    }

    /// Replaces `bearer-token:`, with which the names of all records begin.
    ///
    /// A server may be restricted to names with a prefix (ACL). The commands are `EVALSHA`, `EVAL`, `SCRIPT LOAD`,
    /// `TIME`, `HMGET`, `HSET`, `HDEL` and `PEXPIRE`.
    #[must_use]
    pub fn prefix(self, prefix: impl AsRef<str>) -> Self {
        RedisStore { prefix: prefix.as_ref().into(), ..self }
    }

    fn call<'a>(&self, script: &'a Script, key: &StoreKey) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(format!("{}{key}", self.prefix));
        call
    }

    fn snapshot(&self, key: &StoreKey, words: &Words) -> Result<Snapshot, Down> {
        match name(words) {
            b"foreign" => {
                let message =
                    "Redis has a value of another type under the name of this record; delete it, or set another prefix";
                return Err(Down::new(message).for_this_key());
            }
            b"large" => {
                let message =
                    format!("Redis has a record that is larger than 64 KiB; delete the key {}{key}", self.prefix);
                return Err(Down::new(message).for_this_key());
            }
            _ => {}
        }
        let record = words.get(1).cloned().unwrap_or_default();
        Ok(Snapshot::new(record, Version::new(number(words, 2)?), Duration::from_micros(number(words, 3)?)))
    }

    async fn answer<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> RedisResult<T> {
        call.invoke_async(&mut self.connection.clone()).await
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> SharedStore for RedisStore<C> {
    const ORDER: Order = Order::LosesWrites;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        let call = self.call(&self.scripts.read, key);
        let answer = match self.answer::<Option<Words>>(&call).await {
            // The connection had been idle, and the server has closed it.
            Err(error) if error.is_connection_dropped() => self.answer(&call).await,
            answer => answer,
        };
        answer.map_err(down)?.map(|words| self.snapshot(key, &words)).transpose()
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        let mut call = self.call(&self.scripts.lease, key);
        let words: Words = self.answer(call.arg(seen.get()).arg(micros(ttl))).await.map_err(down)?;
        match name(&words) {
            b"granted" => Ok(Leased::Granted(Fence::new(number(&words, 1)?))),
            b"held" => Ok(Leased::Held(Duration::from_micros(number(&words, 1)?))),
            _ => self.snapshot(key, &words).map(Leased::Newer),
        }
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        let mut call = self.call(&self.scripts.save, key);
        call.arg(fence.get()).arg(seen.get()).arg(record).arg(micros(life));
        let words: Words = self.answer(&call).await.map_err(down)?;
        match name(&words) {
            b"saved" => Ok(Saved::Saved(Version::new(fence.get()))),
            b"fenced" => Ok(Saved::Fenced),
            _ => self.snapshot(key, &words).map(Saved::Changed),
        }
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        let mut call = self.call(&self.scripts.release, key);
        self.answer::<Words>(call.arg(fence.get())).await.map(drop).map_err(down)
    }
}

/// Shows neither the connection nor a record.
impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// What a script returns: a name, and bytes or decimal numbers.
type Words = Vec<Vec<u8>>;

fn name(words: &Words) -> &[u8] {
    words.first().map(Vec::as_slice).unwrap_or_default()
}

fn number(words: &Words, index: usize) -> Result<u64, Down> {
    let number = words.get(index).and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
    number.ok_or(Down::new("Redis returned something else than the script; is a proxy in between?"))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.min(LONGEST).as_micros()).unwrap_or(u64::MAX)
}

/// What to permit a user.
const RIGHTS: &str = ": permit the commands that `RedisStore::prefix` names";

/// Only the category and the code: the server's words may repeat a part of the command.
#[allow(clippy::needless_pass_by_value, reason = "the argument of `map_err`")]
fn down(error: RedisError) -> Down {
    let advice = match error.kind() {
        ErrorKind::AuthenticationFailed => Some(": correct the user or the password"),
        ErrorKind::Server(ServerErrorKind::NoPerm) => Some(RIGHTS),
        ErrorKind::Server(ServerErrorKind::ReadOnly) => Some(": connect to the master, or through Sentinel"),
        // Redis 7.0 has no code of its own for a command that the user may not run in a script.
        _ if error.detail().is_some_and(|words| words.contains("can't run this command")) => Some(RIGHTS),
        _ => error.code().and_then(advice),
    };
    let advice = advice.unwrap_or_default();
    let code = error.code().map(|code| format!(" ({code})")).unwrap_or_default();
    let down = Down::new(format!("Redis gave no answer: {}{code}{advice}", error.category()));
    // The operating system's words.
    if error.is_io_error() { down.with_source(error) } else { down }
}

/// What to change, by the code of an error. Those of other errors change by themselves.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "BUSY" => ": a script of another program runs for too long",
        "CLUSTERDOWN" => ": some slots of the cluster have no node",
        "CROSSSLOT" | "MOVED" => ": this is a cluster; use a connection to a cluster",
        "LOADING" => ": it reads its data from the disk, and will answer then",
        "MASTERDOWN" => ": it is a replica without its master",
        "MISCONF" => ": it cannot write to its disk, and so refuses writes (`stop-writes-on-bgsave-error`)",
        "NOAUTH" => ": correct the user or the password",
        "NOREPLICAS" => ": it has too few replicas (`min-replicas-to-write`)",
        "OOM" => ": it has reached `maxmemory`; raise it, or set `maxmemory-policy` to `volatile-ttl`",
        _ => return None,
    })
}
