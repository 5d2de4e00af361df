//! Events of a provider's life, as an observer of the user's gets them.
#![allow(clippy::disallowed_methods, reason = "a task of its own waits for a token")]
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
    platform::{Clock as _, Platform},
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
    assert_eq!(told.iter().map(Seen::name).collect::<Vec<_>>(), ["Built", "FetchStarted", "FetchFailed", "Waited"]);
    assert!(told.iter().all(|seen| seen.provider.as_deref() == Some("orders") && seen.keyed.is_none()), "{told:?}");
    let failed = &told[2].kind;
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
    drop(provider.refresh_now());
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
        // In its last fifth it is stale, whatever the draw.
        clock.advance(Duration::from_secs(500));
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
    let error = provider.token().await.unwrap_err();
    let told = recorder.take();
    assert_eq!(told.iter().map(Seen::name).collect::<Vec<_>>(), ["CallerRefused"]);
    assert!(told[0].kind.contains("the vault is sealed") && error.to_string().contains("the vault is sealed"));
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
    assert_eq!(inner.names(), ["Built", "FetchStarted", "FellBack", "Fetched", "Waited"]);
    assert_eq!(outer.names(), ["Built", "FetchStarted", "Fetched", "Waited"]);
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
    assert_eq!(recorder.names(), ["Built", "FetchStarted", "Fetched", "Waited"]);
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
    let built = |seen: &Seen| (seen.provider.clone(), seen.keyed.clone(), seen.kind.clone());
    let map = || Some("tenants".to_owned());
    assert_eq!(
        shared.take().iter().map(built).collect::<Vec<_>>(),
        [(map(), map(), "Built { source: None, allowed_origins: \"those of each provider\" }".to_owned())]
    );
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

mod metrics {
    use bearer_token::{ErrorKind, KeyedProviders, Retry, TokenProvider, observe::Metrics};
    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

    use super::*;

    /// A recorder for this thread.
    fn recorder() -> (metrics_exporter_prometheus::PrometheusRecorder, PrometheusHandle) {
        let recorder = PrometheusBuilder::new().with_recommended_naming(true).build_recorder();
        let handle = recorder.handle();
        (recorder, handle)
    }

    fn value(handle: &PrometheusHandle, series: &str) -> Option<f64> {
        let text = handle.render();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))?;
        line.parse().ok()
    }

    #[tokio::test]
    async fn every_metric_of_the_table_has_its_value() {
        let (recorder, handle) = recorder();
        let _guard = ::metrics::set_default_local_recorder(&recorder);
        let clock = ManualClock::new();
        let later = Retry::Later { after: Some(Duration::from_secs(60)) };
        let steps = vec![Err(failure().with_retry(later)), Ok(token(600)), Ok(token(600).never_expires())];
        let provider = builder(scripted(steps), &clock).observer(Metrics::new().count_reads()).build().unwrap();
        let start = 1_767_225_600.0;
        let check = |series: &str, expected: f64| {
            let found = value(&handle, series);
            assert_eq!(found, Some(expected), "{series} in\n{}", handle.render());
        };

        let _ = provider.authorize(&mut request()).unwrap();
        provider.token().await.unwrap_err();
        check(r#"bearer_token_cache_reads_total{provider="orders",state="missing"}"#, 1.0);
        check(r#"bearer_token_fetches_total{provider="orders",reason="missing",outcome="unavailable"}"#, 1.0);
        check(r#"bearer_token_failures_in_a_row{provider="orders"}"#, 1.0);
        let next = value(&handle, r#"bearer_token_next_attempt_at_seconds{provider="orders"}"#).unwrap();
        assert!((start + 60.0..start + 120.0).contains(&next), "{next}");
        check(r#"bearer_token_wait_duration_seconds_count{provider="orders",outcome="failed"}"#, 1.0);

        clock.advance(provider.status().cool_down);
        let ticket = provider.token().await.unwrap().ticket();
        check(r#"bearer_token_fetches_total{provider="orders",reason="missing",outcome="fetched"}"#, 1.0);
        check(r#"bearer_token_fetch_duration_seconds_count{provider="orders",outcome="fetched"}"#, 1.0);
        check(r#"bearer_token_failures_in_a_row{provider="orders"}"#, 0.0);
        check(r#"bearer_token_next_attempt_at_seconds{provider="orders"}"#, 0.0);
        let expires = value(&handle, r#"bearer_token_expires_at_seconds{provider="orders"}"#).unwrap();
        assert!((expires - (next + 600.0)).abs() < 1.0, "{expires}");
        for _ in 0..3 {
            let _ = provider.authorize(&mut request()).unwrap();
        }
        check(r#"bearer_token_cache_reads_total{provider="orders",state="fresh"}"#, 3.0);

        let rejection = ticket.reject(&HeaderMap::new());
        check(r#"bearer_token_rejections_total{provider="orders",outcome="renewing"}"#, 1.0);
        bearer_token::adapter::tell_of_replay(ticket, rejection);
        check(r#"bearer_token_replays_total{provider="orders",outcome="renewing"}"#, 1.0);
        bearer_token::adapter::tell_of_no_replay(ticket, rejection);
        check(r#"bearer_token_not_replayed_total{provider="orders",outcome="renewing"}"#, 1.0);
        bearer_token::adapter::tell_of_no_replay(ticket, bearer_token::Rejection::Declined);
        check(r#"bearer_token_not_replayed_total{provider="orders",outcome="renewing"}"#, 1.0);
        provider.token().await.unwrap();
        check(r#"bearer_token_expires_at_seconds{provider="orders"}"#, f64::INFINITY);

        let _ = provider.authorize(&mut Request::get("https://files.example.com/").body(()).unwrap());
        let _ = provider.authorize(&mut Request::get("http://files.example.com/").body(()).unwrap());
        check(r#"bearer_token_requests_without_token_total{provider="orders",outcome="passed"}"#, 1.0);
        check(r#"bearer_token_requests_without_token_total{provider="orders",outcome="refused"}"#, 1.0);

        let refused = scripted(vec![Err(Error::new(ErrorKind::Refused, "no"))]);
        let source = refused.or_else(StaticToken::new(TOKEN));
        builder(source, &clock).observer(Metrics::new()).build().unwrap().token().await.unwrap();
        check(r#"bearer_token_warnings_total{provider="orders",warning="fell_back"}"#, 1.0);
        assert!(!handle.render().contains(TOKEN));
    }

    #[tokio::test]
    async fn ten_thousand_tenants_are_a_bounded_number_of_series() {
        let (recorder, handle) = recorder();
        let _guard = ::metrics::set_default_local_recorder(&recorder);
        let shared = Arc::new(Metrics::new().count_reads().max_providers(8));
        let build = |tenant: &u32| Ok(TokenProvider::builder(StaticToken::new(TOKEN)).name(format!("tenant {tenant}")));
        let tenants = KeyedProviders::builder(build).name("tenants").observer(shared.clone()).build().unwrap();
        for tenant in 0..10_000 {
            tenants.token(&tenant).unwrap().await.unwrap();
            let name = format!("single {tenant}");
            let single = TokenProvider::builder(StaticToken::new(TOKEN)).name(name).observer(shared.clone());
            single.build().unwrap().token().await.unwrap();
        }
        let text = handle.render();
        assert!(!text.contains("\"tenant "), "{text}");
        let fetched = |name: &str| {
            value(
                &handle,
                &format!(r#"bearer_token_fetches_total{{provider="{name}",reason="missing",outcome="fetched"}}"#),
            )
        };
        // Seven others were seen after the map.
        assert_eq!((fetched("tenants"), fetched("_other")), (Some(10_000.0), Some(9_993.0)));
        let fetches = text.lines().filter(|line| line.starts_with("bearer_token_fetches_total"));
        let missing = fetches.filter(|line| line.contains("missing")).count();
        assert_eq!(missing, 9);
        // Nine names with less than seventy lines each, and the headings.
        assert!(text.lines().count() < 650, "{}", text.lines().count());
        assert_eq!(value(&handle, r#"bearer_token_expires_at_seconds{provider="tenants"}"#), None, "not of a map");
    }
}

mod token_requests {
    use bearer_token::{
        oauth::{ClientCredentials, TokenEndpoint},
        observe::Metrics,
        transport::Transport,
    };
    use bytes::Bytes;
    use http::Response;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    /// Responds with this status after a second, or never; and keeps the last `traceparent`.
    struct Server {
        status: Option<u16>,
        clock: ManualClock,
        traceparent: Arc<Mutex<Option<HeaderValue>>>,
    }

    impl Transport for Server {
        async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
            *self.traceparent.lock().unwrap() = request.headers().get("traceparent").cloned();
            self.clock.advance(Duration::from_secs(1));
            let Some(status) = self.status else { return std::future::pending().await };
            let body = r#"{"access_token":"planted-token-marker","token_type":"Bearer","expires_in":600}"#;
            Ok(Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap())
        }
    }

    type Traceparent = Arc<Mutex<Option<HeaderValue>>>;

    fn provider(status: Option<u16>, observer: impl Observer) -> (TokenProvider, ManualClock, Traceparent) {
        let (clock, traceparent) = (ManualClock::new(), Traceparent::default());
        let server = Server { status, clock: clock.clone(), traceparent: Arc::clone(&traceparent) };
        let endpoint = TokenEndpoint::builder("https://as.example.com:8443/token", ClientCredentials::new())
            .transport(server)
            .trace_context(|headers| {
                let span = tracing::Span::current().metadata().map_or("none", |metadata| metadata.name());
                headers.insert("traceparent", HeaderValue::from_str(span).unwrap());
            });
        (builder(endpoint.build().unwrap(), &clock).observer(observer).build().unwrap(), clock, traceparent)
    }

    #[tokio::test]
    async fn each_request_is_told_however_it_ends() {
        for (status, expected) in [
            (Some(200), "status: Some(200), error_type: None, duration: 1s"),
            (Some(503), "status: Some(503), error_type: None, duration: 1s"),
            (None, "status: None, error_type: Some(\"cancelled\"), duration: 10s"),
        ] {
            let recorder = Recorder::default();
            let (provider, clock, asked) = provider(status, recorder.clone());
            let token = tokio::spawn(provider.token());
            while asked.lock().unwrap().is_none() {
                tokio::task::yield_now().await;
            }
            if status.is_none() {
                // The fetch is aborted.
                clock.advance(Duration::from_secs(9));
            }
            assert_eq!(token.await.unwrap().is_ok(), status == Some(200));
            let told = recorder.take();
            let requests: Vec<_> = told.iter().filter(|seen| seen.name() == "TokenRequest").collect();
            let [request] = requests[..] else { panic!("{told:?}") };
            let server = "method: \"POST\", server_address: \"as.example.com\", server_port: 8443";
            assert!(request.kind.contains(server) && request.kind.contains(expected), "{request:?}");
        }
    }

    #[tokio::test]
    async fn the_trace_context_is_that_of_the_requests_span() {
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
        let (provider, _, traceparent) = provider(Some(200), Recorder::default());
        provider.token().await.unwrap();
        assert_eq!(traceparent.lock().unwrap().as_ref().unwrap(), "token_request");
    }

    #[tokio::test]
    async fn a_request_has_the_labels_of_the_semantic_conventions() {
        let recorder = PrometheusBuilder::new().with_recommended_naming(true).build_recorder();
        let handle = recorder.handle();
        let _guard = ::metrics::set_default_local_recorder(&recorder);
        let (provider, ..) = provider(Some(503), Metrics::new());
        provider.token().await.unwrap_err();
        let expected = "http_client_request_duration_seconds_sum{provider=\"orders\",http_request_method=\"POST\",\
                        server_address=\"as.example.com\",server_port=\"8443\",http_response_status_code=\"503\",\
                        error_type=\"503\"} 1";
        assert!(handle.render().contains(expected), "{}", handle.render());
    }
}

mod readiness {
    use bearer_token::{ProviderState, Readiness, Retry};

    use super::*;

    async fn settled(provider: &TokenProvider) {
        while provider.status().is_fetching {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_probe_makes_an_idle_provider_ready_and_lets_it_recover() {
        let clock = ManualClock::new();
        let later = || failure().with_retry(Retry::Later { after: Some(Duration::from_secs(30)) });
        let steps = vec![Err(later()), Ok(token(600)), Err(later()), Err(later()), Ok(token(600))];
        let provider = builder(scripted(steps), &clock).build().unwrap();
        let status = provider.status();
        assert_eq!((status.readiness(), status.readiness().http_status().as_u16()), (Readiness::NotReady, 503));
        assert!(!status.is_fetching, "looking starts nothing");
        assert!(provider.probe().is_fetching);
        settled(&provider).await;

        let status = provider.probe();
        assert_eq!((status.state, status.is_fetching), (ProviderState::CoolingDown, false));
        let text = status.to_string();
        assert!(
            text.starts_with("orders: not ready; there is no token; 1 failure in a row, the last: the vault"),
            "{text}"
        );
        assert!(text.contains("the next attempt is in "), "{text}");
        assert_eq!(status.next_attempt_at, Some(clock.now().after(status.cool_down).wall()));

        clock.advance(status.cool_down);
        provider.probe();
        settled(&provider).await;
        let status = provider.probe();
        assert_eq!((status.readiness(), status.next_attempt_at), (Readiness::Ready, None));
        let left = status.remaining_life.unwrap();
        assert!(left > Duration::from_secs(580) && left < Duration::from_secs(600), "{left:?}");
        assert!(status.to_string().starts_with("orders: ready; the token serves for 9m 5"), "{status}");
        assert_eq!(
            status.generation,
            provider.cached().map(|bearer| {
                let ticket = format!("{:?}", bearer.ticket());
                ticket.split("generation: ").nth(1).unwrap().trim_end_matches(" }").parse().unwrap()
            })
        );

        // Stale, and the refresh fails: requests are still served.
        clock.advance(Duration::from_secs(500));
        provider.probe();
        settled(&provider).await;
        let status = provider.probe();
        assert_eq!((status.readiness(), status.readiness().http_status().as_u16()), (Readiness::Degraded, 200));
        assert!(status.to_string().contains("degraded"), "{status}");

        // Then it expires.
        clock.advance(Duration::from_secs(100));
        assert_eq!(provider.probe().readiness(), Readiness::NotReady);
        settled(&provider).await;
        clock.advance(provider.status().cool_down);
        provider.probe();
        settled(&provider).await;
        assert_eq!(provider.probe().readiness(), Readiness::Ready);
    }
}
