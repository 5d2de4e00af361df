//! `PostgresStore` behind PgBouncer, in each of its modes.

#![allow(clippy::disallowed_methods, reason = "real servers and processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod pgbouncer {
    use std::time::Duration;

    use bearer_token::{
        AccessToken, FetchContext, TokenProvider,
        shared::{Fleet, SealingKeys},
        store::{SharedStore, Version},
    };
    use bearer_token_postgres::PostgresStore;
    use engines::{
        held::{Held, OneServer},
        pooler::Pooler,
        postgres_server::PostgresServer,
        records::{LIFE, granted, key},
        until,
        world::KEY,
    };

    type Both = (PostgresServer, Pooler);

    async fn both(mode: &str, connections: u32) -> Both {
        let server = PostgresServer::start().await;
        server.store().create_table().await.unwrap();
        let pooler = Pooler::start(server.port(), mode, connections).await;
        (server, pooler)
    }

    fn store(pooler: &Pooler) -> PostgresStore {
        PostgresStore::from_url(pooler.url()).unwrap().test_server()
    }

    /// The contract of a store, in one mode.
    macro_rules! mode {
        ($mode:ident, $connections:literal) => {
            mod $mode {
                use super::*;

                static SERVER: OneServer<Both> = OneServer::new();

                async fn held() -> Held<PostgresStore, Both> {
                    let both = SERVER.get(both(stringify!($mode), $connections)).await;
                    Held(store(&both.1), both)
                }

                bearer_token_testing::store_contract!(
                    #[ignore = "needs PostgreSQL and PgBouncer"]
                    held
                );
            }
        };
    }

    mode!(session, 60);
    mode!(transaction, 3);
    mode!(statement, 3);

    #[tokio::test]
    #[ignore = "needs PostgreSQL and PgBouncer"]
    async fn many_replicas_share_few_connections() {
        let (server, pooler) = both("transaction", 2).await;
        let fence = granted(&store(&pooler), &key(1), Version::ABSENT).await;
        store(&pooler).save(&key(1), b"record", LIFE, fence, Version::ABSENT).await.unwrap();
        let replicas: Vec<_> = (0..40).map(|_| store(&pooler)).collect();
        for replica in &replicas {
            let read = async || replica.read(&key(1)).await.is_ok_and(|found| found.is_some());
            until("a replica reads the record", Duration::from_secs(10), read).await;
        }
        let connections = server.query("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%bearer_token%'");
        assert!(connections.parse::<u32>().unwrap() <= 3, "with that of this query: {connections}");
    }

    /// Pooling by session gives each replica a connection of its own. Where there is none, the replica fetches for itself.
    #[tokio::test]
    #[ignore = "needs PostgreSQL and PgBouncer"]
    async fn a_replica_that_gets_no_connection_of_the_pooler_fetches_for_itself() {
        let (_server, pooler) = both("session", 1).await;
        let first = store(&pooler);
        assert_eq!(first.read(&key(1)).await.unwrap(), None);
        let refused = store(&pooler).read(&key(1)).await.unwrap_err().to_string();
        assert!(refused.contains("pooler"), "{refused}");
        let fleet = Fleet::builder(store(&pooler), SealingKeys::new(KEY)).build().unwrap();
        let source = |_cx: FetchContext| async { Ok(AccessToken::new("token").expires_in(LIFE)) };
        let provider = TokenProvider::builder(fleet.share_as("orders", source)).build().unwrap();
        assert_eq!(provider.token().await.unwrap().secret(), "token");
        drop(first);
    }
}
