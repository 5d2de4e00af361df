//! `RedisStore` on Valkey and on the oldest servers that it supports, and processes that share a token there.
//!
//! | module | server | its program |
//! |---|---|---|
//! | `valkey` | Valkey | the variable `VALKEY_SERVER`, or `valkey-server` in `PATH` |
//! | `valkey7` | Valkey 7.2 | `VALKEY7_SERVER` |
//! | `redis6` | Redis 6 | `REDIS6_SERVER` |

#![allow(clippy::disallowed_methods, reason = "real servers and processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use bearer_token_redis::RedisStore;
use engines::{
    compatible,
    held::{Held, OneServer},
    redis_server::RedisServer,
};

mod valkey {
    use super::*;

    static SERVER: OneServer<RedisServer> = OneServer::new();

    async fn start() -> RedisServer {
        compatible::start("VALKEY_SERVER", Some("valkey-server"), "valkey_version").await
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
        compatible::ten_processes_share_a_token(start().await).await;
    }
}

mod valkey7 {
    use super::*;

    static SERVER: OneServer<RedisServer> = OneServer::new();

    async fn start() -> RedisServer {
        compatible::start("VALKEY7_SERVER", None, "valkey_version:7.2").await
    }

    async fn held() -> Held<RedisStore, RedisServer> {
        let server = SERVER.get(start()).await;
        Held(RedisStore::from_url(server.url()).unwrap(), server)
    }

    bearer_token_testing::store_contract!(
        #[ignore = "needs valkey-server 7.2"]
        held
    );

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs valkey-server 7.2"]
    async fn ten_processes_make_one_request_for_each_lifetime() {
        compatible::ten_processes_share_a_token(start().await).await;
    }
}

mod redis6 {
    use super::*;

    static SERVER: OneServer<RedisServer> = OneServer::new();

    async fn start() -> RedisServer {
        compatible::start("REDIS6_SERVER", None, "redis_version:6.").await
    }

    async fn held() -> Held<RedisStore, RedisServer> {
        let server = SERVER.get(start()).await;
        Held(RedisStore::from_url(server.url()).unwrap(), server)
    }

    bearer_token_testing::store_contract!(
        #[ignore = "needs redis-server 6"]
        held
    );

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs redis-server 6"]
    async fn ten_processes_make_one_request_for_each_lifetime() {
        compatible::ten_processes_share_a_token(start().await).await;
    }
}
