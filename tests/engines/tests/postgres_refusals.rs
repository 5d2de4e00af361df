//! What a database or its administrator refuses: the message says what to change, and no token is lost.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bearer_token::{
    AccessToken, FetchContext, TokenProvider,
    shared::{Fleet, SealingKeys},
    store::{Saved, SharedStore, Version},
};
use bearer_token_postgres::PostgresStore;
use engines::{
    held::{Held, OneServer},
    postgres_server::PostgresServer,
    records::{LIFE, TTL, granted, key},
    until,
    world::KEY,
};

/// A server with the table, and the role `replica`, which may use it.
async fn server() -> PostgresServer {
    let server = PostgresServer::start().await;
    server.store().create_table().await.unwrap();
    server.query("CREATE ROLE replica LOGIN");
    server.query("GRANT ALL ON bearer_token TO replica");
    server
}

fn replica(server: &PostgresServer) -> PostgresStore {
    let url = format!("postgres://replica@127.0.0.1:{}/postgres", server.port());
    PostgresStore::from_url(url).unwrap().test_server()
}

/// A replica with this store gets a token, without it if need be.
async fn gets_a_token(store: PostgresStore) {
    let fleet = Fleet::builder(store, SealingKeys::new(KEY)).build().unwrap();
    let source = |_cx: FetchContext| async { Ok(AccessToken::new("token").expires_in(LIFE)) };
    let provider = TokenProvider::builder(fleet.share_as("orders", source)).build().unwrap();
    assert_eq!(provider.token().await.unwrap().secret(), "token");
}

/// The contract, for transactions that are serializable unless they say otherwise: conflicts are errors there.
mod serializable_by_default {
    use super::*;

    static SERVER: OneServer<PostgresServer> = OneServer::new();

    async fn held() -> Held<PostgresStore, PostgresServer> {
        let start = async {
            let server = server().await;
            server.query("ALTER ROLE replica SET default_transaction_isolation = serializable");
            server
        };
        let server = SERVER.get(start).await;
        Held(replica(&server), server)
    }

    bearer_token_testing::store_contract!(
        #[ignore = "needs PostgreSQL"]
        held
    );

    /// A replica that meets another one is told that the lease is held, and not that the store is down.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL"]
    async fn many_replicas_at_a_time_get_one_lease_and_no_error() {
        let Held(_, server) = held().await;
        for number in 100..110 {
            let mut leases = tokio::task::JoinSet::new();
            for _ in 0..12 {
                let store = replica(&server);
                leases.spawn(async move { store.lease(&key(number), Version::ABSENT, TTL).await });
            }
            let leases = leases.join_all().await;
            let granted = leases.iter().filter(|lease| matches!(lease, Ok(bearer_token::store::Leased::Granted(_))));
            assert_eq!(granted.count(), 1, "{leases:?}");
            assert!(leases.iter().all(Result::is_ok), "{leases:?}");
        }
    }
}

/// A setting of the role or the database, and what the error has to name.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn each_refusal_names_what_to_change() {
    let server = server().await;
    server.query("CREATE TABLE other (id int)");
    server.query("GRANT ALL ON other TO replica");
    let error = async |store: &PostgresStore| store.lease(&key(1), Version::ABSENT, TTL).await.unwrap_err().to_string();
    let table = [
        ("ALTER ROLE replica SET default_transaction_read_only = on", "`default_transaction_read_only`"),
        ("ALTER ROLE replica RESET default_transaction_read_only", ""),
        ("ALTER ROLE replica CONNECTION LIMIT 0", "53300"),
        ("ALTER ROLE replica CONNECTION LIMIT -1", ""),
        ("REVOKE ALL ON bearer_token FROM replica", "grant this user SELECT"),
        ("GRANT ALL ON bearer_token TO replica", ""),
        ("REVOKE USAGE ON SCHEMA public FROM PUBLIC", "USAGE on its schema"),
        ("GRANT USAGE ON SCHEMA public TO PUBLIC", ""),
        ("ALTER ROLE replica NOLOGIN", "28000"),
        ("ALTER ROLE replica LOGIN", ""),
    ];
    for (statement, named) in table {
        server.query(statement);
        let store = replica(&server);
        if named.is_empty() {
            store.read(&key(1)).await.unwrap();
            continue;
        }
        let told = error(&store).await;
        println!("{statement}: {told}");
        assert!(told.contains(named), "{statement}: {told}");
        gets_a_token(replica(&server)).await;
    }
    let other = error(&replica(&server).table("other").unwrap()).await;
    assert!(other.contains("under another name"), "{other}");
    let missing = error(&replica(&server).table("nowhere.tokens").unwrap()).await;
    assert!(missing.contains("create"), "{missing}");
    let url = format!("postgres://replica@127.0.0.1:{}/nowhere", server.port());
    let database = error(&PostgresStore::from_url(url).unwrap()).await;
    assert!(database.contains("3D000") && database.contains("name of the database"), "{database}");
    let created = replica(&server).table("more").unwrap().create_table().await.unwrap_err().to_string();
    assert!(created.contains("CREATE on the schema"), "{created}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_row_that_another_statement_holds_is_told_by_the_timeout() {
    let server = server().await;
    for (setting, code) in [("statement_timeout", "57014"), ("lock_timeout", "55P03")] {
        server.query(&format!("ALTER ROLE replica SET {setting} = '40ms'"));
        let store = replica(&server);
        let fence = granted(&store, &key(1), Version::ABSENT).await;
        let port = server.port();
        let (client, traffic) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(traffic);
        client.batch_execute("BEGIN; UPDATE bearer_token SET fence = fence").await.unwrap();
        let told = store.save(&key(1), b"record", LIFE, fence, Version::ABSENT).await.unwrap_err().to_string();
        assert!(told.contains(code) && told.contains(setting), "{port}: {told}");
        client.batch_execute("ROLLBACK").await.unwrap();
        // The same save, once the row is free.
        let saved = store.save(&key(1), b"record", LIFE, fence, Version::ABSENT).await.unwrap();
        assert!(matches!(saved, Saved::Saved(_)), "{saved:?}");
        server.query(&format!("ALTER ROLE replica RESET {setting}"));
        server.query("DELETE FROM bearer_token");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_session_that_the_server_ends_costs_no_call() {
    let server = server().await;
    let store = replica(&server);
    let sessions = async || {
        server.query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'replica'").parse::<u32>().unwrap()
    };
    let ended = async || {
        until("the end of the session", Duration::from_secs(10), async || sessions().await == 0).await;
        // The replica has received it.
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    for number in 1..=5 {
        store.read(&key(number)).await.unwrap();
        server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'replica'");
        ended().await;
        granted(&store, &key(number), Version::ABSENT).await;
    }
    server.query("ALTER ROLE replica SET idle_session_timeout = '100ms'");
    server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'replica'");
    ended().await;
    for number in 11..=13 {
        store.read(&key(number)).await.unwrap();
        ended().await;
        granted(&store, &key(number), Version::ABSENT).await;
    }
}

/// A user who may create functions in a schema of the search path cannot make the store call them.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn functions_of_other_users_are_not_called() {
    let server = server().await;
    let trap = "AS $$ BEGIN RAISE EXCEPTION 'called'; END $$ LANGUAGE plpgsql";
    let text = |number: usize| vec!["text"; number].join(", ");
    for arguments in [text(4), text(5), format!("{}, \"char\"", text(4)), format!("{}, \"char\", boolean", text(4))] {
        server.query(&format!("CREATE FUNCTION concat_ws({arguments}) RETURNS text {trap}"));
    }
    for (name, arguments) in [("current_setting", "varchar"), ("date_part", "varchar, timestamptz")] {
        server.query(&format!("CREATE FUNCTION {name}({arguments}) RETURNS text {trap}"));
    }
    let types = ["smallint", "int", "bigint", "real", "float8", "numeric", "interval"];
    let mut created = 0;
    for left in types {
        for right in types {
            let is_built_in = server.query(&format!(
                "SELECT count(*) FROM pg_operator WHERE oprname = '*' AND oprleft = '{left}'::regtype AND oprright = \
                 '{right}'::regtype"
            )) != "0";
            if is_built_in {
                continue;
            }
            server.query(&format!("CREATE FUNCTION trap({left}, {right}) RETURNS interval {trap}"));
            server.query(&format!("CREATE OPERATOR * (FUNCTION = trap, LEFTARG = {left}, RIGHTARG = {right})"));
            created += 1;
        }
    }
    assert!(created > 10, "{created}");
    let store = replica(&server);
    let fence = granted(&store, &key(1), Version::ABSENT).await;
    let saved = store.save(&key(1), b"record", LIFE, fence, Version::ABSENT).await.unwrap();
    assert_eq!(saved, Saved::Saved(Version::new(fence.get())));
    assert_eq!(store.read(&key(1)).await.unwrap().unwrap().record, b"record");
    let next = granted(&store, &key(1), Version::new(fence.get())).await;
    store.release(&key(1), next).await.unwrap();
    assert_eq!(store.remove_ended().await.unwrap(), 0);
}
