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
};
use engines::postgres_server::PostgresServer;

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

    server.query("ALTER SYSTEM RESET synchronous_standby_names");
    server.query("SELECT pg_reload_conf()");
    let limit = Duration::from_secs(20);
    engines::until("a token that is shared again", limit, async || {
        let fetched = replica.refresh_now().await.unwrap();
        provider(&pauses).token().await.unwrap().secret() == fetched.secret()
    })
    .await;
}
