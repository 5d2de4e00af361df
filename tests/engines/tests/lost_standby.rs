//! PostgreSQL that waits for a standby which is gone: reads are answered, and commits hang.

#![allow(clippy::disallowed_methods, reason = "a real server, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bearer_token::{
    AccessToken, FetchContext, TokenProvider,
    observe::{Event, EventKind, Observer},
    shared::{Fleet, SealingKeys},
    store::{SharedStore, Version},
};
use engines::{
    postgres_server::PostgresServer,
    records::{TTL, key},
    until,
};
use tokio_postgres::NoTls;

/// The pauses for which the store was left alone.
#[derive(Clone, Default)]
struct Pauses(Arc<Mutex<Vec<Duration>>>);

impl Observer for Pauses {
    fn on_event(&self, event: &Event<'_>) {
        if let EventKind::SharedStoreSuspended { pause, .. } = event.kind {
            self.0.lock().unwrap().push(pause);
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_lost_standby_delays_fewer_and_fewer_requests() {
    let server = PostgresServer::start().await;
    let store = server.store();
    store.create_table().await.unwrap();
    let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
    let fleet = Fleet::builder(store, keys).build().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let provider = |pauses: &Pauses| {
        let requests = requests.clone();
        let source = fleet.share_as("orders", move |_cx: FetchContext| {
            let number = requests.fetch_add(1, Ordering::Relaxed);
            async move { Ok(AccessToken::new(format!("token-{number}")).expires_in(Duration::from_secs(3_600))) }
        });
        TokenProvider::builder(source).observer(pauses.clone()).build().unwrap()
    };
    let pauses = Pauses::default();
    let replica = provider(&pauses);
    replica.token().await.unwrap();

    server.query("ALTER SYSTEM SET synchronous_standby_names = 'gone'");
    server.query("SELECT pg_reload_conf()");
    let (begun, mut delayed, mut longest) = (Instant::now(), 0, Duration::ZERO);
    let four = Duration::from_secs(4);
    while pauses.0.lock().unwrap().last() < Some(&four) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", pauses.0.lock().unwrap());
        let asked = Instant::now();
        replica.refresh_now().await.unwrap();
        let wait = asked.elapsed();
        (delayed, longest) = (delayed + u32::from(wait > Duration::from_millis(50)), longest.max(wait));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = pauses.0.lock().unwrap().clone();
    println!("pauses: {found:?}; {delayed} requests were delayed, the longest by {longest:?}, and none failed");
    assert!(found.is_sorted() && found.len() <= 8, "{found:?}");
    few_sessions_are_left(&server, 1).await;

    server.query("ALTER SYSTEM RESET synchronous_standby_names");
    server.query("SELECT pg_reload_conf()");
    let limit = Duration::from_secs(20);
    until("a token that is shared again", limit, async || {
        let fetched = replica.refresh_now().await.unwrap();
        provider(&pauses).token().await.unwrap().secret() == fetched.secret()
    })
    .await;
}

/// Waits until the server has no more sessions than these, besides that which counts them.
async fn few_sessions_are_left(server: &PostgresServer, most: usize) {
    let others =
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    until("few sessions", Duration::from_secs(10), async || server.query(others).parse::<usize>().unwrap() <= most)
        .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn statements_that_are_given_up_leave_no_sessions_behind() {
    let server = PostgresServer::start().await;
    let store = server.store();
    store.create_table().await.unwrap();
    let give_up = async |number: u8| {
        let key = key(number);
        let lease = store.lease(&key, Version::ABSENT, TTL);
        tokio::time::timeout(Duration::from_millis(100), lease).await.unwrap_err();
    };
    // They wait for a lock of another session.
    let (client, traffic) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(traffic);
    client.batch_execute("BEGIN; LOCK TABLE bearer_token").await.unwrap();
    for number in 0..5 {
        give_up(number).await;
    }
    few_sessions_are_left(&server, 1).await;
    drop(client);

    // They wait for a standby.
    server.set("synchronous_standby_names", "gone").await;
    for number in 0..5 {
        give_up(number).await;
    }
    few_sessions_are_left(&server, 0).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_commit_whose_wait_is_cancelled_counts_as_lost() {
    let server = PostgresServer::start().await;
    let store = server.store();
    store.create_table().await.unwrap();
    server.set("synchronous_standby_names", "gone").await;
    let lease = tokio::spawn(async move { store.lease(&key(1), Version::ABSENT, TTL).await });
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    until("a wait that is cancelled", Duration::from_secs(10), async || server.query(cancel) == "1").await;
    lease.await.unwrap().unwrap_err();
    assert_eq!(server.query("SELECT count(*) FROM bearer_token WHERE leased IS NOT NULL"), "1", "it has no standby");
}
