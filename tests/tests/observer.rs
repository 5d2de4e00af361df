//! Events of a provider's life, as an observer of the user's gets them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what helpers of tests find wrong must end the test"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bearer_token::{
    AccessToken, Authorized, Error, ErrorKind, FetchContext, KeyedProviders, StaticToken, TokenProvider,
    TokenProviderBuilder, TokenSource,
    observe::{CacheRead, Event, Observer, WaitOutcome},
    platform::Platform,
};
use bearer_token_testing::ManualClock;
use http::{HeaderMap, HeaderValue, Request, header::AUTHORIZATION};

/// One event: its provider, its map, and the kind as `Debug` shows it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    provider: Option<String>,
    keyed: Option<String>,
    kind: String,
}

#[derive(Clone, Default)]
struct Recorder {
    seen: Arc<Mutex<Vec<Seen>>>,
    counts: bool,
}

impl Observer for Recorder {
    fn on_event(&self, event: &Event<'_>) {
        let (provider, keyed) = (event.provider.map(str::to_owned), event.keyed.map(str::to_owned));
        self.seen.lock().unwrap().push(Seen { provider, keyed, kind: format!("{:?}", event.kind) });
    }

    fn counts_reads(&self) -> bool {
        self.counts
    }
}

impl Recorder {
    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// Takes the events, and returns their names.
    fn names(&self) -> Vec<String> {
        self.take().iter().map(Seen::name).collect()
    }
}

impl Seen {
    fn name(&self) -> String {
        self.kind.split([' ', '{']).next().unwrap_or_default().to_owned()
    }
}

const TOKEN: &str = "planted-token-marker";

/// A source that does one thing after the other.
fn scripted(steps: Vec<Result<AccessToken, Error>>) -> impl TokenSource {
    let steps = Arc::new(Mutex::new(steps.into_iter()));
    move |_cx: FetchContext| {
        let steps = steps.clone();
        async move { steps.lock().unwrap().next().expect("another step") }
    }
}

fn token(seconds: u64) -> AccessToken {
    AccessToken::new(TOKEN).expires_in(Duration::from_secs(seconds))
}

fn failure() -> Error {
    Error::new(ErrorKind::Unavailable, "the vault is sealed")
}

fn builder(source: impl TokenSource, clock: &ManualClock) -> TokenProviderBuilder {
    TokenProvider::builder(source)
        .allow_origin("https://api.example.com")
        .name("orders")
        .platform(Platform::system().with_clock(clock.clone()))
}

fn request() -> Request<()> {
    Request::get("https://api.example.com/").body(()).unwrap()
}

#[tokio::test]
async fn a_fetch_is_told_from_start_to_end() {
    let (clock, recorder) = (ManualClock::new(), Recorder::default());
    let steps = vec![Err(failure()), Ok(token(600))];
    let provider = builder(scripted(steps), &clock).observer(recorder.clone()).build().unwrap();
    provider.token().await.unwrap_err();
    let told = recorder.take();
    assert_eq!(told.iter().map(Seen::name).collect::<Vec<_>>(), ["FetchStarted", "FetchFailed", "Waited"]);
    assert!(told.iter().all(|seen| seen.provider.as_deref() == Some("orders") && seen.keyed.is_none()), "{told:?}");
    let failed = &told[1].kind;
    for part in ["reason: Missing", "the vault is sealed", "failures_in_a_row: 1", "next_attempt_in: ", "duration: 0ns"]
    {
        assert!(failed.contains(part), "{part} in {failed}");
    }

    clock.advance(provider.status().cool_down);
    let bearer = provider.token().await.unwrap();
    let told = recorder.take();
    let fetched = &told.iter().find(|seen| seen.name() == "Fetched").unwrap().kind;
    let generation = format!("{:?}", bearer.ticket());
    let generation = generation.split("generation: ").nth(1).unwrap().trim_end_matches(" }");
    for part in ["remaining_life: Some(600s)", &format!("generation: {generation},"), "refresh_in: Some("] {
        assert!(fetched.contains(part), "{part} in {fetched}");
    }
    let _ = provider.refresh_now();
    assert!(recorder.take().is_empty(), "a future that is not polled does nothing");
}

#[tokio::test]
async fn a_warm_request_tells_nothing_unless_asked_to() {
    for counts in [false, true] {
        let (clock, recorder) = (ManualClock::new(), Recorder { counts, ..Recorder::default() });
        let source = scripted(vec![Ok(token(600)), Ok(token(600))]);
        let provider = builder(source, &clock).observer(recorder.clone()).build().unwrap();
        let reads = || {
            let told = recorder.take();
            told.into_iter().filter(|seen| seen.name() == "CacheRead").map(|seen| seen.kind).collect::<Vec<_>>()
        };
        let expected = |state: CacheRead| {
            if counts { vec![format!("CacheRead {{ state: {state:?} }}")] } else { Vec::new() }
        };
        let _ = provider.authorize(&mut request()).unwrap();
        assert_eq!(reads(), expected(CacheRead::Missing));
        provider.token().await.unwrap();
        assert!(reads().is_empty(), "a caller that waits is an event of its own");
        let _ = provider.authorize(&mut request()).unwrap();
        assert_eq!(reads(), expected(CacheRead::Fresh));
        provider.token().await.unwrap();
        assert_eq!(reads(), expected(CacheRead::Fresh));
        // In its second half it is stale.
        clock.advance(Duration::from_secs(400));
        let Authorized::Inserted(_) = provider.authorize(&mut request()).unwrap() else { panic!("it is usable") };
        assert_eq!(reads(), expected(CacheRead::Stale));
        // Neither a credential of the caller's nor another origin reads the cache.
        let mut own = request();
        own.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Basic eDp5"));
        assert_eq!(provider.authorize(&mut own).unwrap(), Authorized::Passed);
        let mut elsewhere = Request::get("https://files.example.com/").body(()).unwrap();
        assert_eq!(provider.authorize(&mut elsewhere).unwrap(), Authorized::Passed);
        assert_eq!(recorder.names(), ["SentWithoutToken"]);
        // The rule of origins is the same as without counting.
        for refused in ["http://api.example.com/", "ftp://api.example.com/"] {
            provider.authorize(&mut Request::get(refused).body(()).unwrap()).unwrap_err();
        }
        assert_eq!(recorder.names(), ["RequestRefused", "RequestRefused"]);
    }
}

#[tokio::test]
async fn each_wait_ends_with_its_outcome() {
    let (clock, recorder) = (ManualClock::new(), Recorder::default());
    let waits = || {
        let told = recorder.take();
        told.into_iter().filter(|seen| seen.name() == "Waited").map(|seen| seen.kind).collect::<Vec<_>>()
    };
    let expected = |outcome: WaitOutcome| vec![format!("Waited {{ outcome: {outcome:?}, duration: 0ns }}")];
    let steps = vec![Err(failure()), Ok(token(600)), Ok(token(600))];
    let provider = builder(scripted(steps), &clock).observer(recorder.clone()).build().unwrap();
    provider.token().await.unwrap_err();
    assert_eq!(waits(), expected(WaitOutcome::Failed));
    // The cool-down refuses at once.
    provider.token().await.unwrap_err();
    assert!(waits().is_empty());
    clock.advance(provider.status().cool_down);
    provider.token().await.unwrap();
    assert_eq!(waits(), expected(WaitOutcome::Served));

    let pending = async |_cx: FetchContext| std::future::pending().await;
    let provider = builder(pending, &clock).observer(recorder.clone()).build().unwrap();
    let mut waiting = Box::pin(provider.token());
    tokio::select! { biased; _ = &mut waiting => {}, () = tokio::task::yield_now() => {} }
    drop(waiting);
    assert_eq!(waits(), expected(WaitOutcome::Dropped));
}

#[tokio::test]
async fn events_of_a_source_find_its_provider() {
    let (clock, outer, inner) = (ManualClock::new(), Recorder::default(), Recorder::default());
    let refused = || scripted(vec![Err(Error::new(ErrorKind::Refused, "the account is closed"))]);
    let stage = builder(refused().or_else(StaticToken::new(TOKEN)), &clock).name("stage").observer(inner.clone());
    let stage = stage.build().unwrap();
    let source = move |_cx: FetchContext| {
        let stage = stage.clone();
        async move { stage.token().await.map(|bearer| AccessToken::new(bearer.secret())) }
    };
    let source = source.or_else(StaticToken::new("unused"));
    builder(source, &clock).observer(outer.clone()).build().unwrap().token().await.unwrap();
    assert_eq!(inner.names(), ["FetchStarted", "FellBack", "Fetched", "Waited"]);
    assert_eq!(outer.names(), ["FetchStarted", "Fetched", "Waited"]);
}

#[tokio::test]
async fn an_observer_that_panics_harms_nothing_else() {
    struct Faulty;
    impl Observer for Faulty {
        fn on_event(&self, _: &Event<'_>) {
            std::panic::resume_unwind(Box::new("observed"));
        }
    }
    let (clock, recorder) = (ManualClock::new(), Recorder::default());
    let source = scripted(vec![Ok(token(600)), Ok(AccessToken::new("next"))]);
    let provider = builder(source, &clock).observer(Faulty).observer(recorder.clone()).build().unwrap();
    let ticket = provider.token().await.unwrap().ticket();
    assert_eq!(recorder.names(), ["FetchStarted", "Fetched", "Waited"]);
    let _ = ticket.reject(&HeaderMap::new());
    assert!(recorder.names().contains(&"Rejected".to_owned()));
    assert_eq!(provider.token().await.unwrap().secret(), "next");
}

#[tokio::test]
async fn providers_of_a_map_share_its_name() {
    let (own, shared) = (Recorder::default(), Recorder::default());
    let observer = own.clone();
    let tenants = KeyedProviders::builder(move |tenant: &String| {
        Ok(TokenProvider::builder(StaticToken::new(TOKEN)).name(tenant.clone()).observer(observer.clone()))
    });
    let tenants = tenants.name("tenants").observer(Arc::new(shared.clone())).build().unwrap();
    for tenant in ["acme", "umbrella"] {
        tenants.token(tenant).unwrap().await.unwrap();
        let told = shared.take();
        assert!(told.len() > 2, "{told:?}");
        for seen in &told {
            let expected = (Some(tenant), Some("tenants"));
            assert_eq!((seen.provider.as_deref(), seen.keyed.as_deref()), expected);
        }
        assert_eq!(own.take(), told);
    }
    let error = KeyedProviders::builder(|_: &String| Ok(TokenProvider::builder(StaticToken::new(TOKEN))));
    let error = error.name("two\nlines").build().unwrap_err();
    assert_eq!(error.problems()[0].path(), "name");
}

#[tokio::test]
async fn no_event_shows_a_token() {
    let (clock, recorder) = (ManualClock::new(), Recorder { counts: true, ..Recorder::default() });
    let steps = vec![Ok(token(600)), Err(failure()), Ok(token(0)), Ok(AccessToken::new("next"))];
    let provider = builder(scripted(steps), &clock).observer(recorder.clone()).build().unwrap();
    let ticket = provider.token().await.unwrap().ticket();
    let _ = provider.authorize(&mut request());
    for uri in [format!("https://{TOKEN}.evil.example/"), format!("http://{TOKEN}.evil.example/")] {
        let _ = provider.authorize(&mut Request::get(uri).body(()).unwrap());
    }
    let _ = ticket.reject(&HeaderMap::new());
    for _ in 0..3 {
        let _ = provider.refresh_now().await;
    }
    let told = recorder.take();
    assert!(told.len() > 10, "{told:?}");
    assert!(!format!("{told:?}").contains(TOKEN), "{told:?}");
}
