//! Connections that never answer, and their settings.

use std::net::TcpListener;

use tokio_postgres::NoTls;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    // The operating system accepts the connections, and nothing reads them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let mut config = Config::new();
    config.host("127.0.0.1").port(silent.local_addr().unwrap().port()).user("u");
    let connection = Connection::new(config, NoTls);
    for _ in 0..2 {
        let error = connection.query("SELECT 1", &[]).await.err().unwrap().down.to_string();
        assert!(error.contains("in time") || error.contains("timed out"), "{error}");
    }
    assert_eq!(silent.incoming().take_while(Result::is_ok).count(), 2, "the next call connects again");
}

#[test]
fn a_dead_connection_is_noticed_unless_the_application_says_otherwise() {
    let completed = |url: &str| {
        let mut config: Config = url.parse().unwrap();
        complete(&mut config);
        (config.get_keepalives_idle(), config.get_tcp_user_timeout().copied(), config.get_connect_timeout().copied())
    };
    assert_eq!(completed("postgres://u@host"), (KEEPALIVE, Some(UNCONFIRMED), Some(CONNECTION_TIMEOUT)));
    let own = "postgres://u@host?keepalives_idle=60&tcp_user_timeout=7&connect_timeout=9";
    let second = Duration::from_secs;
    assert_eq!(completed(own), (second(60), Some(second(7)), Some(second(9))));
}
