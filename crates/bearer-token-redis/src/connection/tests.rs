//! Sentinels that never answer.

use std::net::TcpListener;

use super::*;

/// A server that says nothing: the operating system accepts the connections, and nothing reads them.
struct Silent(TcpListener);

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Silent(listener)
    }

    fn url(&self) -> String {
        format!("redis://{}", self.0.local_addr().unwrap())
    }

    fn accepted(&self) -> usize {
        self.0.incoming().take_while(Result::is_ok).count()
    }
}

async fn ping(mut connection: Connection) -> RedisResult<Value> {
    connection.req_packed_command(Cmd::new().arg("PING")).await
}

#[tokio::test(start_paused = true)]
async fn sentinels_that_say_nothing_are_given_up() {
    let (one, other) = (Silent::new(), Silent::new());
    let connection = Connection::to_sentinels([one.url(), other.url()], "tokens", None).unwrap();
    for _ in 0..2 {
        let error = ping(connection.clone()).await.unwrap_err();
        assert!(error.is_io_error(), "{error}");
        assert_eq!(
            (one.accepted(), other.accepted()),
            (1, 1),
            "all of them are asked at once, and again by the next call"
        );
    }
}
