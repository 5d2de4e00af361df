//! The stores on connections that the application has made: the whole contract holds there too.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use bearer_token_postgres::PostgresStore;
use bearer_token_redis::RedisStore;
use engines::{
    held::{Held, OneServer},
    postgres_server::PostgresServer,
    redis_server::RedisServer,
};

static REDIS: OneServer<RedisServer> = OneServer::new();
static POSTGRES: OneServer<PostgresServer> = OneServer::new();

/// `ClusterConnection` is in `redis_cluster.rs`.
mod redis_multiplexed {
    use ::redis::aio::MultiplexedConnection;

    use super::*;

    async fn held() -> Held<RedisStore<MultiplexedConnection>, RedisServer> {
        let server = REDIS.get(RedisServer::start()).await;
        let client = ::redis::Client::open(server.url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        Held(RedisStore::new(connection), server)
    }

    bearer_token_testing::store_contract!(
        #[ignore = "needs redis-server"]
        held
    );
}

mod redis_manager {
    use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
    use bearer_token::store::{SharedStore, Version};
    use engines::{
        records::{granted, key},
        until,
    };

    use super::*;

    async fn store(server: &RedisServer) -> RedisStore<ConnectionManager> {
        // As `RedisStore` recommends it, with a longer timeout, since a busy machine is not what is tested.
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(Duration::from_secs(5)))
            .set_connection_timeout(Some(Duration::from_millis(500)))
            .set_number_of_retries(1);
        let client = ::redis::Client::open(server.url()).unwrap();
        RedisStore::new(ConnectionManager::new_with_config(client, config).await.unwrap())
    }

    async fn held() -> Held<RedisStore<ConnectionManager>, RedisServer> {
        let server = REDIS.get(RedisServer::start()).await;
        Held(store(&server).await, server)
    }

    bearer_token_testing::store_contract!(
        #[ignore = "needs redis-server"]
        held
    );

    #[tokio::test]
    #[ignore = "needs redis-server"]
    async fn a_server_that_was_restarted_is_used_again() {
        let mut server = RedisServer::start().await;
        let store = store(&server).await;
        granted(&store, &key(1), Version::ABSENT).await;
        server.restart().await;
        until("the manager connects again", Duration::from_secs(10), async || store.read(&key(1)).await.is_ok()).await;
        granted(&store, &key(1), Version::ABSENT).await;
    }
}

mod postgresql {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use bearer_token::store::{Down, SharedStore, Version};
    use engines::records::{granted, key};
    use tokio_postgres::{Client, NoTls};

    use super::*;

    async fn client(url: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A pool as applications have: its clients in turn.
    async fn store(server: &PostgresServer) -> PostgresStore {
        let pool = Arc::new([Arc::new(client(&server.url()).await), Arc::new(client(&server.url()).await)]);
        let next = Arc::new(AtomicUsize::new(0));
        let store = PostgresStore::with_clients(move || {
            let client = Arc::clone(&pool[next.fetch_add(1, Relaxed) % pool.len()]);
            async move { Ok(client) }
        })
        .test_server();
        store.create_table().await.unwrap();
        store
    }

    async fn held() -> Held<PostgresStore, PostgresServer> {
        let server = POSTGRES.get(PostgresServer::start()).await;
        Held(store(&server).await, server)
    }

    bearer_token_testing::store_contract!(
        #[ignore = "needs PostgreSQL"]
        held
    );

    #[tokio::test]
    #[ignore = "needs PostgreSQL"]
    async fn an_ended_client_and_an_empty_pool_are_down() {
        let server = PostgresServer::start().await;
        let ended = Arc::new(client(&server.url()).await);
        let given = Arc::clone(&ended);
        let store = PostgresStore::with_clients(move || {
            let client = Arc::clone(&given);
            async move { Ok(client) }
        })
        .test_server();
        store.create_table().await.unwrap();
        granted(&store, &key(77), Version::ABSENT).await;
        server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()");
        engines::until("the end of the client", Duration::from_secs(10), async || ended.is_closed()).await;
        let error = store.read(&key(77)).await.unwrap_err().to_string();
        assert!(error.contains("closed the connection"), "{error}");
        let store = PostgresStore::with_clients::<Arc<Client>, _>(|| async { Err(Down::new("the pool is empty")) });
        assert_eq!(store.read(&key(77)).await.unwrap_err().to_string(), "the pool is empty");
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL"]
    async fn commits_that_are_not_durable_count_as_down() {
        let server = POSTGRES.get(PostgresServer::start()).await;
        let client = Arc::new(client(&server.url()).await);
        let given = Arc::clone(&client);
        let store = PostgresStore::with_clients(move || {
            let client = Arc::clone(&given);
            async move { Ok(client) }
        })
        .test_server();
        store.create_table().await.unwrap();
        let fence = granted(&store, &key(78), Version::ABSENT).await;
        // Another part of the application may change it at any time.
        let life = Duration::from_secs(60);
        for (setting, key_of_none) in [("off", key(79)), ("local", key(80))] {
            client.batch_execute(&format!("SET synchronous_commit = {setting}")).await.unwrap();
            let errors = [
                store.read(&key(78)).await.err(),
                store.read(&key_of_none).await.err(),
                store.lease(&key_of_none, Version::ABSENT, life).await.err(),
                store.save(&key(78), b"record", life, fence, Version::ABSENT).await.err(),
            ];
            for error in errors {
                assert!(error.unwrap().to_string().contains("synchronous_commit"), "{setting}");
            }
        }
    }
}
