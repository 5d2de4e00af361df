//! What observers are told.

use super::*;
use crate::{
    CredentialInUse, HotSwap, TokenProvider,
    error::ProviderName,
    observe::{Event, EventKind, Observer, Observers, Scope},
};

/// The names of the events about shared tokens and credentials, with what is in them.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Told {
    fn on_event(&self, event: &Event<'_>) {
        let told = match event.kind {
            EventKind::SharedTokenAdopted { .. } => "adopted".to_owned(),
            EventKind::SharedRecordIgnored { problem, .. } => format!("ignored: {problem}"),
            EventKind::SharedKeysMissing { error, .. } => format!("no keys: {error}"),
            EventKind::SharedStoreSuspended { error, pause, .. } => format!("suspended for {pause:?}: {error}"),
            EventKind::SharedStoreResumed { .. } => "resumed".to_owned(),
            EventKind::CredentialKept { error, .. } => format!("kept: {error}"),
            EventKind::CredentialReplaced { .. } => "replaced".to_owned(),
            _ => return,
        };
        self.0.lock().unwrap().push(told);
    }
}

fn provider(world: &World, source: impl TokenSource) -> (TokenProvider, Told) {
    let told = Told::default();
    let builder = TokenProvider::builder(source).platform(world.platform.clone()).observer(told.clone());
    (builder.build().unwrap(), told)
}

/// What one fetch of a provider of this source tells.
pub(super) async fn told_by(world: &World, source: Shared) -> Vec<String> {
    let (provider, told) = provider(world, source);
    provider.token().await.unwrap();
    told.take()
}

#[tokio::test(start_paused = true)]
async fn adopting_a_token_is_told_and_fetching_one_is_not() {
    let world = World::new();
    for expected in [&[][..], &["adopted"]] {
        let (provider, told) = provider(&world, world.replica().source);
        provider.token().await.unwrap();
        assert_eq!(told.take(), expected);
        provider.token().await.unwrap();
        assert!(told.take().is_empty(), "a warm request tells nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_used_is_told_with_its_problem() {
    let world = World::new();
    world.token(&world.replica(), FetchReason::Missing).await;
    let other = format!("ZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=\n{KEY}");
    let fleet = Fleet::builder(world.store.clone(), SealingKeys::new(other)).build().unwrap();
    let shared = fleet.share(Client { server: world.server.clone(), credential: "" }).unwrap();
    // It seals with a key that the others do not have.
    world.token(&shared.into(), FetchReason::Requested).await;
    let (provider, told) = provider(&world, world.replica().source);
    provider.token().await.unwrap();
    assert_eq!(told.take(), ["ignored: it was sealed with a key that this program does not have"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_with_foreign_content_is_told_at_each_fetch() {
    let world = World::new();
    let shared = world.replica().source;
    *world.store.foreign.lock().unwrap() = Some(name_of(&shared).await);
    let (provider, told) = provider(&world, shared);
    for _ in 0..3 {
        provider.refresh_now().await.unwrap();
        assert_eq!(told.take(), ["ignored: it is a list"], "and nothing is suspended");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_too_large_for_a_record_is_told() {
    let world = World::new();
    let source = world.fleet().share_as("large", |_cx: FetchContext| async {
        Ok(AccessToken::new("t").expires_in(HOUR).extra("document", "d".repeat(65_536)))
    });
    let (provider, told) = provider(&world, source);
    provider.token().await.unwrap();
    assert_eq!(told.take(), ["ignored: it is larger than 64 KiB"]);
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_missing_are_told_at_each_fetch() {
    let world = World::new();
    let fleet = Fleet::builder(world.store.clone(), SealingKeys::file("/nowhere/keys")).build().unwrap();
    let shared = fleet.share(Client { server: world.server.clone(), credential: "" }).unwrap();
    let (provider, told) = provider(&world, shared);
    for _ in 0..2 {
        provider.refresh_now().await.unwrap();
        let told = told.take();
        assert!(told.len() == 1 && told[0].starts_with("no keys: ") && told[0].contains("/nowhere/keys"), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_store_is_told_with_its_error_and_its_return() {
    let world = World::new();
    let (provider, told) = provider(&world, world.replica().source);
    world.store.set(Fault::Hangs);
    provider.token().await.unwrap();
    assert_eq!(told.take(), ["suspended for 1s: the shared store gave no answer within 95ms"]);
    provider.refresh_now().await.unwrap();
    assert!(told.take().is_empty(), "it was not asked");
    world.pass(SECOND).await;
    world.store.set(None);
    provider.refresh_now().await.unwrap();
    assert_eq!(told.take(), ["resumed"]);

    world.store.set(Fault::Refuses);
    provider.refresh_now().await.unwrap();
    assert!(told.take().is_empty(), "the first quick failure");
    provider.refresh_now().await.unwrap();
    assert_eq!(told.take(), ["suspended for 1s: the connection was refused"]);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_is_dropped_tells_what_its_release_meets() {
    let (world, told) = (World::new(), Told::default());
    let observers =
        Observers::new(ProviderName::given("orders"), world.platform.clone(), None, vec![Arc::new(told.clone())]);
    let replica = world.replica();
    world.server.takes(SECOND * 5);
    let fetch = Box::pin(world.fetch(&replica, FetchReason::Missing));
    let fetch = Scope::of_fetch(&observers, FetchReason::Missing).run(fetch);
    assert!(world.platform.before(world.now() + SECOND, fetch).await.is_none(), "its caller has left");
    world.store.set(Fault::Hangs);
    world.pass(SECOND).await;
    assert_eq!(told.take(), ["suspended for 1s: the shared store gave no answer within 95ms"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_does_not_report_hanging_writes_as_back() {
    let world = World::new();
    let (provider, told) = provider(&world, world.replica().source);
    world.store.set(Fault::WritesHang);
    for pause in ["1s", "1s", "2s", "4s"] {
        provider.refresh_now().await.unwrap();
        assert_eq!(told.take(), [format!("suspended for {pause}: the shared store gave no answer within 95ms")]);
        world.pass(SECOND * 4).await;
    }
    world.store.set(None);
    world.pass(SECOND * 10).await;
    provider.refresh_now().await.unwrap();
    assert_eq!(told.take(), ["resumed"]);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_kept_and_one_that_is_replaced_are_told() {
    let world = World::new();
    let client = |credential| Client { server: world.server.clone(), credential };
    let swap = HotSwap::new(client("old"));
    let (provider, told) = provider(&world, swap.clone());
    provider.token().await.unwrap();
    assert!(told.take().is_empty());
    swap.replace(client("new"));
    world.server.fails_with(Error::new(ErrorKind::Refused, "the server refused the client"));
    provider.refresh_now().await.unwrap();
    assert_eq!(told.take(), ["kept: the server refused the client"]);
    assert!(matches!(swap.in_use(), CredentialInUse::Previous(_)));
    provider.refresh_now().await.unwrap();
    assert_eq!(told.take(), ["replaced"]);
    provider.refresh_now().await.unwrap();
    assert!(told.take().is_empty(), "once");
}
