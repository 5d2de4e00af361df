//! One connection to the database, which is polled by the calls that use it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bearer_token::store::Down;
use tokio::runtime::{Handle, Id};
use tokio_postgres::{
    Client, Config, Error, Row, Socket,
    error::SqlState,
    tls::{MakeTlsConnect, TlsConnect},
    types::{ToSql, Type},
};

/// What a statement is given.
pub(crate) type Arguments<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Connect = Box<dyn Fn() -> BoxFuture<Result<Open, Down>> + Send + Sync>;

/// The database connects within this time, or counts as down. A connection goes on over several calls.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// The most runtimes that have a connection each. The first one loses it.
const MOST_RUNTIMES: usize = 4;

/// A connection that is made at the first statement, and again after it broke. One statement runs at a time.
pub(crate) struct Connection {
    connect: Connect,
    /// A socket belongs to the runtime that made it. Another one may go on while that one is not driven, in the middle
    /// of a statement too.
    runtimes: Mutex<Vec<(Id, Arc<OfRuntime>)>>,
}

/// What one runtime has.
type OfRuntime = tokio::sync::Mutex<State>;

enum State {
    Closed,
    /// A connection that takes longer than one call goes on with the next one.
    Connecting(BoxFuture<Result<Open, Down>>),
    Open(Open),
}

struct Open {
    client: Client,
    /// Reads and writes. It ends when the connection does.
    traffic: BoxFuture<Result<(), Error>>,
    /// Whether commits are durable here.
    is_checked: bool,
    /// Whether a statement was begun and did not end: its caller gave up, perhaps because the connection hangs.
    is_busy: bool,
}

impl Connection {
    pub(crate) fn new<T>(mut config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECTION_TIMEOUT);
        }
        // The timeout is that of each host, and ends with the TCP connection. What follows gets as much.
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1) + 1;
        let one = config.get_connect_timeout().copied().unwrap_or(CONNECTION_TIMEOUT);
        let limit = one.saturating_mul(u32::try_from(hosts).unwrap_or(u32::MAX));
        let connect = move || {
            let (config, tls) = (config.clone(), tls.clone());
            let attempt = async move {
                let (client, traffic) = config.connect(tls).await.map_err(|error| down(&error))?;
                Ok(Open { client, traffic: Box::pin(traffic), is_checked: false, is_busy: false })
            };
            Box::pin(async move {
                #[allow(clippy::disallowed_methods, reason = "the socket is tokio's as well")]
                let opened = tokio::time::timeout(limit, attempt).await;
                opened.unwrap_or_else(|_| Err(Down::new("PostgreSQL did not connect in time")))
            }) as BoxFuture<_>
        };
        Connection { connect: Box::new(connect), runtimes: Mutex::default() }
    }

    /// Runs one statement. If the connection had been closed before it was sent, it is sent on another one.
    pub(crate) async fn query(&self, statement: &str, arguments: Arguments<'_>) -> Result<Vec<Row>, Down> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(Down::new("the connection to PostgreSQL needs a tokio runtime"));
        };
        let of_runtime = self.of_runtime(runtime.id());
        let mut state = of_runtime.lock().await;
        if let State::Open(open) = &mut *state
            && (open.is_busy || open.has_ended().await)
        {
            *state = State::Closed;
        }
        let open = self.open(&mut state).await?;
        let result = open.run(statement, arguments).await;
        if let Err(error) = &result
            && error.as_db_error().is_none_or(|error| is_fatal(error.code()))
        {
            *state = State::Closed;
        }
        result.map_err(|error| down(&error))
    }

    fn of_runtime(&self, runtime: Id) -> Arc<OfRuntime> {
        let mut runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = runtimes.iter().find(|(of, _)| *of == runtime) {
            return Arc::clone(found);
        }
        let new = Arc::new(OfRuntime::new(State::Closed));
        let surplus = (runtimes.len() + 1).saturating_sub(MOST_RUNTIMES);
        runtimes.drain(..surplus);
        runtimes.push((runtime, Arc::clone(&new)));
        new
    }

    async fn open<'a>(&self, state: &'a mut State) -> Result<&'a mut Open, Down> {
        if matches!(state, State::Closed) {
            *state = State::Connecting((self.connect)());
        }
        if let State::Connecting(attempt) = state {
            let connected = attempt.await;
            *state = State::Closed;
            *state = State::Open(connected?);
        }
        let State::Open(open) = state else { return Err(Down::new("PostgreSQL is not connected")) };
        if !open.is_checked {
            open.check().await?;
        }
        Ok(open)
    }
}

impl Open {
    async fn run(&mut self, statement: &str, arguments: Arguments<'_>) -> Result<Vec<Row>, Error> {
        let mut work = pin!(self.client.query_typed(statement, arguments));
        let traffic = &mut self.traffic;
        let mut has_ended = false;
        self.is_busy = true;
        let result = poll_fn(|cx| {
            if !has_ended && let Poll::Ready(end) = traffic.as_mut().poll(cx) {
                has_ended = true;
                if let Err(error) = end {
                    return Poll::Ready(Err(error));
                }
            }
            work.as_mut().poll(cx)
        })
        .await;
        self.is_busy = false;
        result
    }

    /// Whether the connection was closed while no statement used it.
    async fn has_ended(&mut self) -> bool {
        poll_fn(|cx: &mut Context<'_>| Poll::Ready(self.traffic.as_mut().poll(cx).is_ready())).await
    }

    /// A user or a database may be set to acknowledge commits before they are durable.
    async fn check(&mut self) -> Result<(), Down> {
        let rows = self.run("SELECT current_setting('synchronous_commit')", &[]).await.map_err(|error| down(&error))?;
        let setting = rows.first().and_then(|row| row.try_get::<_, String>(0).ok());
        if setting.as_deref() == Some("off") {
            return Err(Down::new(
                "PostgreSQL acknowledges commits before they are durable, so a crash may lose tokens: set \
                 `synchronous_commit` to `on` for this user or database",
            ));
        }
        self.is_checked = true;
        Ok(())
    }
}

/// Whether the server ends the connection after this error.
fn is_fatal(code: &SqlState) -> bool {
    ["08", "57P", "25006"].iter().any(|class| code.code().starts_with(class))
}

/// Only the code: the server's words may repeat a part of the statement.
pub(crate) fn down(error: &Error) -> Down {
    let code = error.code().map(SqlState::code);
    let advice = match code {
        Some("42P01") => ": create the table with `PostgresStore::create_table`",
        Some("42501") => ": grant this user SELECT, INSERT, UPDATE and DELETE on the table",
        Some("28P01" | "28000") => ": correct the user or the password",
        Some("25006") => ": connect to the primary server, not to a standby",
        _ => "",
    };
    match (code, std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>())) {
        (Some(code), _) => Down::new(format!("PostgreSQL refused a statement with SQLSTATE {code}{advice}")),
        (None, Some(io)) => Down::new(format!("PostgreSQL gave no answer: {}", io.kind())),
        (None, None) if error.is_closed() => Down::new("PostgreSQL closed the connection"),
        (None, None) => Down::new("PostgreSQL gave no answer: check the host, TLS and the credentials"),
    }
}

#[cfg(test)]
mod tests;
