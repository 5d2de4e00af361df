//! `RedisStore` on Valkey, and on the newest and oldest servers that it supports, and processes that share a token there.
//!
//! | module | server | its program |
//! |---|---|---|
//! | `valkey` | Valkey | the variable `VALKEY_SERVER`, or `valkey-server` in `PATH` |
//! | `valkey8` | Valkey 8 | `VALKEY8_SERVER` |
//! | `valkey7` | Valkey 7.2 | `VALKEY7_SERVER` |
//! | `redis8` | Redis 8 | `REDIS8_SERVER` |
//! | `redis6` | Redis 6 | `REDIS6_SERVER` |
//! | `redis60` | Redis 6.0 | `REDIS60_SERVER` |
//!
//! `.ci/engine` prints the programs.

#![allow(clippy::disallowed_methods, reason = "real servers and processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

/// The tests of one server: where its program is, and what it says about itself.
macro_rules! server {
    ($module:ident, $variable:literal, $name:expr, $says:literal) => {
        mod $module {
            use bearer_token_redis::RedisStore;
            use engines::{
                compatible,
                held::{Held, OneServer},
                redis_server::RedisServer,
            };

            static SERVER: OneServer<RedisServer> = OneServer::new();

            async fn start() -> RedisServer {
                compatible::start($variable, $name, $says).await
            }

            async fn held() -> Held<RedisStore, RedisServer> {
                let server = SERVER.get(start()).await;
                Held(RedisStore::from_url(server.url()).unwrap(), server)
            }

            bearer_token_testing::store_contract!(
                #[ignore = "needs the program of another server"]
                held
            );

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs the program of another server"]
            async fn ten_processes_make_one_request_for_each_lifetime() {
                compatible::ten_processes_share_a_token(start().await).await;
            }
        }
    };
}

server!(valkey, "VALKEY_SERVER", Some("valkey-server"), "valkey_version");
server!(valkey8, "VALKEY8_SERVER", None, "valkey_version:8.");
server!(valkey7, "VALKEY7_SERVER", None, "valkey_version:7.2");
server!(redis8, "REDIS8_SERVER", None, "redis_version:8.");
server!(redis6, "REDIS6_SERVER", None, "redis_version:6.");
server!(redis60, "REDIS60_SERVER", None, "redis_version:6.0");
