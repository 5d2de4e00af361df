//! No token is in the store's bytes, in `Debug`, or in an error.

use super::*;

/// Everything that the store was given.
#[derive(Clone)]
struct Recording(Faulty, Arc<Mutex<Vec<u8>>>);

impl SharedStore for Recording {
    const ORDER: Order = Order::LosesWrites;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        self.1.lock().unwrap().extend_from_slice(key.as_str().as_bytes());
        self.0.read(key).await
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        self.0.lease(key, seen, ttl).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        self.1.lock().unwrap().extend_from_slice(record);
        self.0.save(key, record, life, fence, seen).await
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        self.0.release(key, fence).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_planted_marker_is_nowhere() {
    let world = World::new();
    let given = Arc::new(Mutex::new(Vec::new()));
    let store = Recording(world.store.clone(), given.clone());
    let fleet = Fleet::builder(store, SealingKeys::new(KEY)).namespace("MARKER-namespace").build().unwrap();
    let source = fleet.share_as("MARKER-name", Client { server: world.server.clone(), credential: "MARKER-secret" });
    let source = Replica::from(source);
    let token = world.fetch(&source, FetchReason::Missing).await.unwrap();
    world.server.fails_with(Error::new(ErrorKind::Unavailable, "MARKER-message"));
    world.fetch(&source, FetchReason::Stale).await.unwrap_err();
    let adopted = world.fetch(&source.another_provider(), FetchReason::Missing).await.unwrap();
    assert!(token.secret().contains("MARKER") && adopted.secret() == token.secret());

    let given = given.lock().unwrap();
    assert!(given.len() > 200, "a token and a failure were saved");
    assert!(!String::from_utf8_lossy(&given).contains("MARKER"));
    let debug = format!("{source:?} {token:?} {adopted:?} {:?}", world.store.store);
    assert!(!debug.replace("MARKER-namespace", "").contains("MARKER"), "{debug}");
    assert!(!debug.contains(KEY), "{debug}");
}

#[tokio::test(start_paused = true)]
async fn the_cause_of_a_silent_store_is_not_in_the_callers_error() {
    let world = World::new();
    world.store.set(Fault::Refuses);
    world.server.fails_with(Error::new(ErrorKind::Transport, "no connection"));
    let error = world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
    assert_eq!(format!("{error:#}"), "no connection", "the store's failure is an event");
}
