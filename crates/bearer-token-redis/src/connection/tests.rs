//! Connections to a server that never answers.

use std::{
    cell::RefCell,
    future::Future,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    pin::{Pin, pin},
    sync::mpsc,
    task::{Context, Waker},
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};

use super::*;

/// A server that accepts connections, keeps them, and says nothing.
struct Silent(TcpListener, RefCell<Vec<TcpStream>>);

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Silent(listener, RefCell::default())
    }

    fn url(&self) -> String {
        format!("redis://{}", self.0.local_addr().unwrap())
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

async fn ping(mut connection: Connection) -> RedisResult<Value> {
    connection.req_packed_command(Cmd::new().arg("PING")).await
}

/// Begins a command on a runtime that is not driven afterwards.
fn begin(runtime: &Runtime, command: Pin<&mut impl Future>) {
    let _guard = runtime.enter();
    assert!(command.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[allow(clippy::disallowed_methods, reason = "a call that the caller gives up, on a real connection")]
fn give_up(runtime: &Runtime, connection: &Connection) {
    let call = async { tokio::time::timeout(Duration::from_millis(100), ping(connection.clone())).await };
    assert!(runtime.block_on(call).is_err(), "the server never answers");
}

#[test]
fn a_runtime_that_is_not_driven_holds_up_no_other() {
    let server = Silent::new();
    let connection = Connection::to_server(server.url()).unwrap();
    let (stopped, driven) = (runtime(), runtime());
    let mut command = pin!(ping(connection.clone()));
    begin(&stopped, command.as_mut());
    give_up(&driven, &connection);
    assert_eq!(server.accepted(), 2, "each runtime has a connection");
    // The attempt goes on with the next call.
    give_up(&driven, &connection);
    assert_eq!(server.accepted(), 0);
}

/// A server that responds to its only connection once it is told to.
#[allow(clippy::disallowed_methods, reason = "a server that blocks")]
fn late() -> (String, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (go, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        told.recv().unwrap();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            let commands = buffer[..length].split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"*"));
            stream.write_all(&b"+OK\r\n".repeat(commands.count())).unwrap();
        }
    });
    (url, go)
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a bound on a real connection")]
fn a_connection_that_takes_longer_than_a_call_is_made_meanwhile() {
    let ((url, go), runtime) = (late(), runtime());
    let connection = Connection::to_server(url).unwrap();
    give_up(&runtime, &connection);
    go.send(()).unwrap();
    let is_made = || connection.shared.attempts.lock().unwrap().iter().all(|(_, attempt)| attempt.peek().is_some());
    let made = async {
        // No call has to follow.
        while !is_made() {
            tokio::task::yield_now().await;
        }
    };
    runtime.block_on(async { tokio::time::timeout(CONNECTION_TIMEOUT, made).await }).unwrap();
    runtime.block_on(ping(connection)).unwrap();
}

#[test]
fn runtimes_that_are_gone_leave_no_more_than_four_attempts() {
    let server = Silent::new();
    let connection = Connection::to_server(server.url()).unwrap();
    for _ in 0..MOST_RUNTIMES + 2 {
        give_up(&runtime(), &connection);
    }
    assert_eq!(connection.shared.attempts.lock().unwrap().len(), MOST_RUNTIMES);
}

#[cfg(feature = "sentinel")]
#[test]
fn a_lookup_that_is_not_driven_holds_up_no_other() {
    let server = Silent::new();
    let connection = Connection::to_sentinels([server.url()], "tokens", None).unwrap();
    let (stopped, driven) = (runtime(), runtime());
    let mut command = pin!(ping(connection.clone()));
    begin(&stopped, command.as_mut());
    give_up(&driven, &connection);
    assert_eq!(server.accepted(), 2);
}

#[cfg(feature = "sentinel")]
#[tokio::test(start_paused = true)]
async fn sentinels_that_say_nothing_are_given_up() {
    let (one, other) = (Silent::new(), Silent::new());
    let connection = Connection::to_sentinels([one.url(), other.url()], "tokens", None).unwrap();
    let error = ping(connection.clone()).await.unwrap_err();
    assert!(error.is_io_error(), "{error}");
    assert_eq!((one.accepted(), other.accepted()), (1, 1), "all of them were asked at once");
    assert!(connection.shared.attempts.lock().unwrap().is_empty(), "the next call asks again");
}
