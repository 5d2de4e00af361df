//! Where statements are sent: over a connection of the store, or over clients of the application.

use std::{
    future::{Future, poll_fn},
    ops::Deref,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, ready},
    time::Duration,
};

use bearer_token::store::{Connections, Connector, Down, InUse, NotConnected};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Handle,
    task::AbortHandle,
};
use tokio_postgres::{
    AsyncMessage, CancelToken, Client, Config, Row, Socket,
    config::Host,
    tls::{MakeTlsConnect, TlsConnect},
    types::{ToSql, Type},
};

use crate::refusal::{self, Lost};

/// What a statement is given.
pub(crate) type Arguments<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Connect = Box<dyn Fn() -> BoxFuture<Result<Arc<Open>, Down>> + Send + Sync>;
type Get = Box<dyn Fn() -> BoxFuture<Result<Given, Down>> + Send + Sync>;
type Cancel = Box<dyn Fn(CancelToken) -> BoxFuture<()> + Send + Sync>;
type Given = Box<dyn Deref<Target = Client> + Send + Sync>;

/// The database connects within this time, or counts as down. A connection goes on over several calls.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle connections are probed this often, so that a NAT gateway keeps them.
const KEEPALIVE: Duration = Duration::from_secs(15);
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;
/// After this time without a confirmation from the host, the operating system closes the connection.
const UNCONFIRMED: Duration = Duration::from_secs(30);
/// A statement is repeated this often after conflicts. Each of them means that another replica got further.
const CONFLICTS: usize = 10;
/// The server is asked this often to end a statement that the replica has given up: others may follow it.
const CANCELS: u32 = 3;
const BETWEEN_CANCELS: Duration = Duration::from_millis(500);
/// The interval of tokio-postgres, which is too long to keep anything alive.
const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(2 * 60 * 60);

/// Sends statements. Those of several calls follow each other without waiting for the results.
pub(crate) enum Connection {
    /// One for each runtime, which is made again after it broke.
    Own(Connections<Server>),
    /// A client of the application for each statement.
    Given(Get),
}

/// How a connection is made.
pub(crate) struct Server(Connect);

/// A connection. It is closed with its last user.
pub(crate) struct Open {
    client: Client,
    /// Reads and writes.
    traffic: AbortHandle,
    /// How many statements have no result yet. Those that were given up are among them.
    unanswered: AtomicUsize,
    cancel: Cancel,
}

impl Open {
    async fn query(&self, statement: &str, arguments: Arguments<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        let result = self.client.query_typed(statement, arguments).await;
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
        result
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let is_busy = *self.unanswered.get_mut() > 0 && !self.client.is_closed();
        // It would wait for the results of a server that hangs.
        self.traffic.abort();
        // A session that waits for a lock or a standby does not notice that its connection was closed. Without this, each
        // statement that is given up would leave one behind.
        if is_busy && let Ok(runtime) = Handle::try_current() {
            runtime.spawn((self.cancel)(self.client.cancel_token()));
        }
    }
}

impl Connector for Server {
    type Connection = Arc<Open>;
    type Error = Down;

    fn connect(&self) -> impl Future<Output = Result<Arc<Open>, Down>> + Send {
        (self.0)()
    }

    async fn answers(&self, open: &Arc<Open>) -> bool {
        open.client.check_connection().await.is_ok()
    }
}

impl Connection {
    pub(crate) fn new<T>(mut config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        complete(&mut config);
        // The timeout is that of each host, and ends with the TCP connection. What follows gets as much.
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1) + 1;
        let one = config.get_connect_timeout().copied().unwrap_or(CONNECTION_TIMEOUT);
        let limit = one.saturating_mul(u32::try_from(hosts).unwrap_or(u32::MAX));
        let connect = move || {
            let (config, tls, to_cancel) = (config.clone(), tls.clone(), tls.clone());
            let attempt = async move {
                let (client, traffic) = config.connect(tls).await.map_err(|error| refusal::down(&error))?;
                // Statements are sent and answered while their callers wait for others.
                let traffic = Handle::current().spawn(read_and_write(traffic)).abort_handle();
                Ok(Arc::new(Open {
                    client,
                    traffic,
                    unanswered: AtomicUsize::new(0),
                    cancel: canceller(to_cancel, one),
                }))
            };
            Box::pin(async move {
                #[allow(clippy::disallowed_methods, reason = "the socket is tokio's as well")]
                let opened = tokio::time::timeout(limit, attempt).await;
                opened.unwrap_or_else(|_| Err(Down::new("PostgreSQL did not connect in time")))
            }) as BoxFuture<_>
        };
        Connection::Own(Connections::new(Server(Box::new(connect))))
    }

    pub(crate) fn given<C, F>(get: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        C: Deref<Target = Client> + Send + Sync + 'static,
        F: Future<Output = Result<C, Down>> + Send + 'static,
    {
        Connection::Given(Box::new(move || {
            let client = get();
            Box::pin(async move { Ok(Box::new(client.await?) as Given) })
        }))
    }

    /// Runs one statement. If the connection had been closed before it was sent, it is sent on another one. It is sent
    /// again after a conflict with another replica, of which serializable transactions tell.
    pub(crate) async fn query(&self, statement: &str, arguments: Arguments<'_>) -> Result<Vec<Row>, Lost> {
        let mut result = self.once(statement, arguments).await;
        for _ in 0..CONFLICTS {
            if !result.as_ref().is_err_and(|lost| lost.was_conflict) {
                break;
            }
            result = self.once(statement, arguments).await;
        }
        result
    }

    async fn once(&self, statement: &str, arguments: Arguments<'_>) -> Result<Vec<Row>, Lost> {
        match self {
            Connection::Given(get) => {
                let client = get().await?;
                client.query_typed(statement, arguments).await.map_err(|error| Lost::by(&error))
            }
            Connection::Own(connections) => {
                let mut in_use = connect(connections).await?;
                if in_use.connection().client.is_closed() {
                    drop(in_use);
                    in_use = connect(connections).await?;
                }
                let result = in_use.connection().query(statement, arguments).await;
                // Without it, the connection is replaced: also if the caller gives up, because the connection hangs.
                if result.as_ref().err().is_none_or(|error| error.as_db_error().is_some() && !refusal::is_fatal(error))
                {
                    in_use.answered();
                }
                result.map_err(|error| Lost::by(&error))
            }
        }
    }
}

async fn connect(connections: &Connections<Server>) -> Result<InUse<'_, Server>, Down> {
    connections.get().await.map_err(|error| match error {
        NotConnected::NoRuntime => Down::new("the connection to PostgreSQL needs a tokio runtime"),
        NotConnected::Failed(down) => down,
    })
}

/// Drives a connection, until it ends. It also ends if a commit was acknowledged before a standby had it, because an
/// administrator cancelled the wait. Then the statement has no result, rather than one that a promotion may lose.
async fn read_and_write<S, T>(mut traffic: tokio_postgres::Connection<S, T>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|cx| {
        loop {
            match ready!(traffic.poll_message(cx)) {
                // The warning has no code of its own, and its words are translated.
                Some(Ok(AsyncMessage::Notice(notice))) if notice.routine() == Some("SyncRepWaitForLSN") => break,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            }
        }
        Poll::Ready(())
    })
    .await;
}

/// Asks the server to end what it does for a connection, within a bound.
fn canceller<T>(tls: T, limit: Duration) -> Cancel
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    #[allow(clippy::disallowed_methods, reason = "the socket is tokio's as well")]
    Box::new(move |token| {
        let tls = tls.clone();
        Box::pin(async move {
            for _ in 0..CANCELS {
                // It tells nothing of its success. Without one, the session ends with its wait.
                let _ = tokio::time::timeout(limit, token.cancel_query(tls.clone())).await;
                tokio::time::sleep(BETWEEN_CANCELS).await;
            }
        })
    })
}

/// Adds what the application has not set: limits on the time after which a dead connection is noticed.
fn complete(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECTION_TIMEOUT);
    }
    if config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_))) && config.get_hostaddrs().is_empty() {
        return;
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNCONFIRMED);
    }
    if config.get_keepalives_idle() == DEFAULT_KEEPALIVE {
        config.keepalives_idle(KEEPALIVE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(PROBE_INTERVAL);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(PROBES);
    }
}

#[cfg(test)]
mod tests;
