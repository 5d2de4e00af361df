//! One connection to the database, which is polled by the calls that use it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bearer_token::store::Down;
use tokio::{
    runtime::{Handle, Id},
    sync::Mutex,
};
use tokio_postgres::{
    Client, Config, Error, Row, Socket,
    error::SqlState,
    tls::{MakeTlsConnect, TlsConnect},
    types::{ToSql, Type},
};

/// What a statement is given.
pub(crate) type Arguments<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Connect = Box<dyn Fn() -> BoxFuture<Result<Open, Error>> + Send + Sync>;

/// A connection that is made at the first statement, and again after it broke. One statement runs at a time.
pub(crate) struct Connection {
    connect: Connect,
    state: Mutex<State>,
}

enum State {
    Closed,
    /// A connection that takes longer than one call goes on with the next one of the same runtime. Its socket belongs to
    /// that runtime, which may not be driven any more.
    Connecting(Id, BoxFuture<Result<Open, Error>>),
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
    pub(crate) fn new<T>(config: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let connect = move || {
            let (config, tls) = (config.clone(), tls.clone());
            Box::pin(async move {
                let (client, traffic) = config.connect(tls).await?;
                Ok(Open { client, traffic: Box::pin(traffic), is_checked: false, is_busy: false })
            }) as BoxFuture<_>
        };
        Connection { connect: Box::new(connect), state: Mutex::new(State::Closed) }
    }

    /// Runs one statement. If the connection had been closed before it was sent, it is sent on another one.
    pub(crate) async fn query(&self, statement: &str, arguments: Arguments<'_>) -> Result<Vec<Row>, Down> {
        if Handle::try_current().is_err() {
            return Err(Down::new("the connection to PostgreSQL needs a tokio runtime"));
        }
        let mut state = self.state.lock().await;
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

    async fn open<'a>(&self, state: &'a mut State) -> Result<&'a mut Open, Down> {
        let here = Handle::current().id();
        if matches!(state, State::Closed) || matches!(state, State::Connecting(there, _) if *there != here) {
            *state = State::Connecting(here, (self.connect)());
        }
        if let State::Connecting(_, attempt) = state {
            let connected = attempt.await;
            *state = State::Closed;
            *state = State::Open(connected.map_err(|error| down(&error))?);
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
mod tests {
    use std::{io::ErrorKind, net::TcpListener, time::Duration};

    use tokio_postgres::NoTls;

    use super::*;

    #[test]
    fn a_runtime_that_is_not_driven_holds_up_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut config = Config::new();
        config.host("127.0.0.1").port(listener.local_addr().unwrap().port()).user("u");
        let connection = Connection::new(config, NoTls);
        let mut runtimes = Vec::new();
        for _ in 0..2 {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            #[allow(clippy::disallowed_methods, reason = "a call that the caller gives up, on a real connection")]
            let call =
                async { tokio::time::timeout(Duration::from_millis(100), connection.query("SELECT 1", &[])).await };
            assert!(runtime.block_on(call).is_err(), "the server never responds");
            // It exists, and is not driven.
            runtimes.push(runtime);
        }
        let mut accepted = 0;
        loop {
            match listener.accept() {
                Ok(_) => accepted += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(accepted, 2);
    }
}
