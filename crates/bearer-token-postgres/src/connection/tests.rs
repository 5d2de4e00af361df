//! Connections to a server that never answers.

use std::{
    cell::RefCell,
    io::ErrorKind,
    net::{TcpListener, TcpStream},
    task::Waker,
};

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::NoTls;

use super::*;

/// A server that accepts connections, keeps them, and says nothing.
struct Silent(TcpListener, RefCell<Vec<TcpStream>>);

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Silent(listener, RefCell::default())
    }

    fn connection(&self) -> Connection {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.0.local_addr().unwrap().port()).user("u");
        Connection::new(config, NoTls)
    }

    fn accepted(&self) -> usize {
        let mut accepted = 0;
        loop {
            match self.0.accept() {
                Ok((stream, _)) => {
                    self.1.borrow_mut().push(stream);
                    accepted += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return accepted,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[allow(clippy::disallowed_methods, reason = "a call that the caller gives up, on a real connection")]
fn give_up(runtime: &Runtime, connection: &Connection) {
    let call = async { tokio::time::timeout(Duration::from_millis(100), connection.query("SELECT 1", &[])).await };
    assert!(runtime.block_on(call).is_err(), "the server never answers");
}

#[test]
fn a_runtime_that_is_not_driven_holds_up_no_other() {
    let server = Silent::new();
    let connection = server.connection();
    let (stopped, driven) = (runtime(), runtime());
    // A statement that has begun, and that nothing goes on with.
    let mut statement = pin!(connection.query("SELECT 1", &[]));
    {
        let _guard = stopped.enter();
        assert!(statement.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    give_up(&driven, &connection);
    assert_eq!(server.accepted(), 2, "each runtime has a connection");
    // The attempt goes on with the next call.
    give_up(&driven, &connection);
    assert_eq!(server.accepted(), 0);
}

#[test]
fn runtimes_that_are_gone_leave_no_more_than_four_connections() {
    let server = Silent::new();
    let connection = server.connection();
    for _ in 0..MOST_RUNTIMES + 2 {
        give_up(&runtime(), &connection);
    }
    assert_eq!(connection.runtimes.lock().unwrap().len(), MOST_RUNTIMES);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let server = Silent::new();
    let connection = server.connection();
    for _ in 0..2 {
        let error = connection.query("SELECT 1", &[]).await.unwrap_err().to_string();
        assert!(error.contains("in time") || error.contains("timed out"), "{error}");
    }
    assert_eq!(server.accepted(), 2, "the next call connects again");
}
