//! `RedisStore` on Valkey, and processes that share a token there.
//!
//! The server is the program in the variable `VALKEY_SERVER`, or `valkey-server` in `PATH`.

#![allow(clippy::disallowed_methods, reason = "real servers and processes, in real time")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod valkey {
    use std::{path::PathBuf, time::Duration};

    use bearer_token_redis::RedisStore;
    use bearer_token_testing::{AuthorizationServer, Client, Tokens};
    use engines::{
        fleet::Workers,
        held::{Held, OneServer},
        job::{Job, Store},
        process::find,
        redis_server::RedisServer,
        until,
    };
    use tempfile::NamedTempFile;

    static SERVER: OneServer<RedisServer> = OneServer::new();

    async fn start() -> RedisServer {
        let program = std::env::var_os("VALKEY_SERVER").map(PathBuf::from).or_else(|| find("valkey-server", &[]));
        let program = program.expect("install valkey-server, or name it in VALKEY_SERVER");
        let server = RedisServer::start_program(program, &[]).await;
        let info: String = server.command(&["INFO", "server"]).await.unwrap();
        assert!(info.contains("valkey_version"), "{info}");
        server
    }

    async fn held() -> Held<RedisStore, RedisServer> {
        let server = SERVER.get(start()).await;
        Held(RedisStore::from_url(server.url()).unwrap(), server)
    }

    bearer_token_testing::store_contract!(
        #[ignore = "needs valkey-server"]
        held
    );

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs valkey-server"]
    async fn ten_processes_make_one_request_for_each_lifetime() {
        let (server, mut valkey) = (AuthorizationServer::start().unwrap(), start().await);
        server.register(Client::secret("fleet", "MARKER-secret"));
        server.issue(Tokens::opaque().lifetime(Duration::from_secs(4)));
        let keys = NamedTempFile::new().unwrap();
        std::fs::write(keys.path(), "bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=\n").unwrap();
        let job = Job {
            store: Store::Redis { url: valkey.url() },
            keys: keys.path().to_owned(),
            token_url: server.token_url(),
            api_url: server.api_url(),
            clock_offset: 0,
            every_ms: 100,
        };
        let workers = Workers::start(10, |_| job.clone()).await;
        let issued = || server.count().tokens_issued;
        assert_eq!(issued(), 1);
        for number in 2..=3 {
            until("another token", Duration::from_secs(12), async || issued() == number).await;
        }
        // Scripts are sent again to a server that has lost everything.
        valkey.restart().await;
        until("a token after the restart", Duration::from_secs(12), async || issued() > 3).await;
        let report = workers.stop();
        assert_eq!((report.failed, report.refused), (0, 0), "{report:?}");
    }
}
