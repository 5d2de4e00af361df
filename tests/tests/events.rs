//! Events of a provider's life, as a subscriber sees them: level, target, message and fields.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what helpers of tests find wrong must end the test"
)]
#![allow(clippy::disallowed_methods, reason = "a runtime of its own needs a thread of its own")]

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use bearer_token::{
    AccessToken, Authorized, Error, ErrorKind, FetchContext, FetchReason, Retry, Sending, StaticToken, TokenProvider,
    TokenProviderBuilder, TokenSource, Value,
    jwt::{Algorithm, JwtTemplate, SigningKey},
    oauth::{ClientCredentials, TokenEndpoint},
    platform::Platform,
    transport::Transport,
};
use bearer_token_testing::ManualClock;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

/// One event: its own fields, and those of the spans around it.
#[derive(Clone, Debug)]
struct Told {
    level: Level,
    target: String,
    fields: BTreeMap<String, String>,
}

impl Told {
    fn message(&self) -> &str {
        &self.fields["message"]
    }

    fn provider(&self) -> &str {
        self.fields.get("provider").map_or("", String::as_str)
    }
}

/// The sentence of an error of the provider `orders`. An event has the name in a field of its own.
fn without_name(error: &Error) -> String {
    error.to_string().trim_start_matches("orders: ").to_owned()
}

/// A time as an event shows it.
fn in_milliseconds(time: Duration) -> Duration {
    time - Duration::from_nanos(u64::from(time.subsec_nanos() % 1_000_000))
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Told>>>);

#[derive(Clone, Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Events {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        cx.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in cx.event_scope(event).into_iter().flatten() {
            fields.0.extend(span.extensions().get::<Fields>().cloned().unwrap_or_default().0);
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        // Other crates tell their own.
        if metadata.target().starts_with("bearer") {
            let told = Told { level: *metadata.level(), target: metadata.target().to_owned(), fields: fields.0 };
            self.0.lock().unwrap().push(told);
        }
    }
}

impl Events {
    /// Listens to this thread, which is all that a test needs.
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let events = Events::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
        (events, guard)
    }

    /// Takes what was told since.
    fn take(&self) -> Vec<Told> {
        let told = std::mem::take(&mut *self.0.lock().unwrap());
        for event in &told {
            assert_eq!(event.target, "bearer_token", "the one target: {event:?}");
        }
        told
    }

    /// Takes the events whose message contains these words.
    fn about(&self, words: &str) -> Vec<Told> {
        self.take().into_iter().filter(|told| told.message().contains(words)).collect()
    }
}

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";

fn request(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

async fn warm(build: impl FnOnce(TokenProviderBuilder) -> TokenProviderBuilder) -> TokenProvider {
    let provider = build(TokenProvider::builder(StaticToken::new(TOKEN))).build().unwrap();
    provider.token().await.unwrap();
    provider
}

fn api(builder: TokenProviderBuilder) -> TokenProviderBuilder {
    builder.allow_origin("https://api.example.com").name("orders")
}

#[tokio::test]
async fn a_request_without_a_token_warns_once_per_origin() {
    let provider = warm(api).await;
    let (events, _guard) = Events::listen();
    for (uri, expected) in [
        ("https://files.example.com/a?secret", Some(Level::WARN)),
        ("https://FILES.example.com:443/b", Some(Level::DEBUG)),
        ("https://files.example.com:8443/", Some(Level::WARN)),
        ("https://user:secret@other.example.com/", Some(Level::WARN)),
        ("https://api.example.com/", None),
        // A tunnel has no origin.
        ("files.example.com:443", None),
    ] {
        let _ = provider.authorize(&mut request(uri)).unwrap();
        let told = events.about("goes out without a token");
        assert_eq!(told.first().map(|told| told.level), expected, "{uri}");
        for event in told {
            assert_eq!(event.provider(), "orders");
            assert!(event.fields["origin"].starts_with("https://"), "{event:?}");
            assert!(!format!("{event:?}").contains("secret"), "{event:?}");
        }
    }
    // The caller's own credential is not missing a token.
    let mut own = request("https://elsewhere.example.com/");
    own.headers_mut().insert(AUTHORIZATION, "Basic eDp5".parse().unwrap());
    assert_eq!(provider.authorize(&mut own).unwrap(), Authorized::Passed);
    assert!(events.take().is_empty());
}

#[tokio::test]
async fn warnings_about_origins_are_bounded() {
    let provider = warm(api).await;
    let (events, _guard) = Events::listen();
    for number in 0..1_000 {
        let _ = provider.authorize(&mut request(&format!("https://{number}.example.com/"))).unwrap();
    }
    let told = events.take();
    assert_eq!(told.len(), 1_000);
    assert_eq!(told.iter().filter(|told| told.level == Level::WARN).count(), 64);
}

#[tokio::test]
async fn l38_a_host_made_of_the_token_is_repeated_nowhere() {
    let host = TOKEN.to_ascii_lowercase().replace('_', "-");
    for uri in [format!("https://{host}.evil.example/"), format!("http://{host}.evil.example/")] {
        for refuses_others in [false, true] {
            let provider =
                warm(|builder| if refuses_others { api(builder).refuse_other_origins() } else { api(builder) }).await;
            let (events, _guard) = Events::listen();
            let result = provider.authorize(&mut request(&uri));
            let shown = format!("{result:?} {:?}", events.take());
            assert!(!shown.contains("evil"), "{shown}");
            assert!(!shown.contains(&host), "{shown}");
            if let Err(error) = result {
                assert!(error.to_string().contains("contains a part of the token"), "{error}");
                assert!(!error.to_string().contains("allow_origin"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_provider_without_origins_says_so_when_it_is_built() {
    let (events, _guard) = Events::listen();
    for (build, expected) in [
        ((|builder| builder) as fn(TokenProviderBuilder) -> TokenProviderBuilder, 1),
        (api, 0),
        (|builder| builder.allow_any_https_origin(), 0),
        (|builder| builder.allow_plaintext_origin("http://sidecar"), 0),
    ] {
        build(TokenProvider::builder(StaticToken::new(TOKEN))).build().unwrap();
        assert_eq!(events.about("no origin is allowed").len(), expected);
    }
}

#[test]
fn an_assertion_without_required_claims_is_an_event_at_build() {
    let (events, _guard) = Events::listen();
    let toml = |claims: &str| {
        format!(
            "[jwt]\nalgorithm = \"HS256\"\nkey = \"0123456789abcdef0123456789abcdef\"\naudience = \"a\"\n{claims}\n\
             [token_endpoint]\nurl = \"https://as.example.com/token\""
        )
    };
    let cases: [(&str, &[&str]); 3] =
        [("issuer = \"me\"\nsubject = \"me\"", &[]), ("issuer = \"me\"", &["sub"]), ("", &["iss", "sub"])];
    for (claims, missing) in cases {
        bearer_token_config::ProviderConfig::from_toml(&toml(claims)).unwrap().build().unwrap();
        let told = events.about("RFC 7523 section 3 requires");
        assert_eq!(told.len(), usize::from(!missing.is_empty()), "{claims}");
        assert!(missing.iter().all(|claim| format!("{told:?}").contains(claim)), "{told:?}");
    }
}

/// An authorization server that always sends this body, and whose clock is two hours ahead of a `ManualClock`.
struct Sends(&'static str);

impl Transport for Sends {
    async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let response = Response::builder().header("date", "Thu, 01 Jan 2026 02:00:00 GMT");
        Ok(response.body(Bytes::from_static(self.0.as_bytes())).unwrap())
    }
}

#[tokio::test]
async fn l47_a_dead_token_a_clock_and_a_scope_are_events() {
    for (body, words, field) in [
        (r#"{"access_token":"a","token_type":"Bearer","expires_in":0}"#, "already expired", ("expired_ago", "0ns")),
        // `exp` is at 03:00.
        (
            r#"{"access_token":"e30.eyJleHAiOjE3NjcyMzY0MDB9.c2ln"}"#,
            "clock of this machine differs",
            ("offset", "7200 s behind"),
        ),
        (r#"{"access_token":"a","token_type":"Bearer","scope":"read"}"#, "narrower", ("missing", "write")),
    ] {
        let endpoint = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new());
        let endpoint = endpoint.scope("read write").transport(Sends(body)).build().unwrap();
        let platform = Platform::system().with_clock(ManualClock::new());
        let (events, _guard) = Events::listen();
        endpoint.fetch(FetchContext::new(platform, Duration::from_secs(10), FetchReason::Missing)).await.unwrap();
        let all = events.take();
        let [told] = &all.iter().filter(|told| told.level == Level::WARN).collect::<Vec<_>>()[..] else {
            panic!("{body}")
        };
        assert!(told.message().contains(words), "{told:?}");
        assert_eq!(told.fields["authorization_server"], "https://as.example.com");
        assert_eq!(told.fields[field.0], field.1);
    }
}

#[tokio::test]
async fn a_refusal_is_an_event_before_the_callers_error() {
    let provider = warm(api).await;
    let (events, _guard) = Events::listen();
    for uri in ["http://api.example.com/", "ftp://api.example.com/", "/orders"] {
        let error = provider.authorize(&mut request(uri)).unwrap_err();
        let [told] = &events.about("was not authorized")[..] else { panic!("{uri}") };
        assert_eq!((told.level, told.provider()), (Level::DEBUG, "orders"));
        assert_eq!(told.fields["error"], without_name(&error));
        assert!(error.to_string().starts_with("orders: "), "{error}");
        assert_eq!(error.provider(), Some("orders"));
    }
}

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

#[tokio::test]
async fn every_failed_fetch_is_a_warning_with_the_next_attempt() {
    let clock = ManualClock::new();
    let later = Retry::Later { after: Some(Duration::from_secs(70)) };
    let source = scripted(vec![
        Ok(token(100)),
        // The same token, after its end.
        Ok(AccessToken::new(TOKEN).expires_at(std::time::UNIX_EPOCH)),
        Err(Error::new(ErrorKind::Unavailable, "busy").with_retry(later)),
        // Not a header value.
        Ok(AccessToken::new("two words")),
    ]);
    let platform = Platform::system().with_clock(clock.clone());
    let provider = api(TokenProvider::builder(source)).platform(platform).build().unwrap();
    provider.token().await.unwrap();
    clock.advance(Duration::from_secs(1_000));
    let (events, _guard) = Events::listen();
    for (in_a_row, kind) in [(1, "Source"), (2, "Unavailable"), (3, "Token")] {
        let error = provider.token().await.unwrap_err();
        let [told] = &events.about("could not fetch")[..] else { panic!("{kind}") };
        assert_eq!((told.level, told.provider()), (Level::WARN, "orders"));
        assert_eq!(
            (told.fields["kind"].as_str(), told.fields["error"].as_str()),
            (kind, without_name(&error).as_str())
        );
        assert_eq!(told.fields["failures_in_a_row"], in_a_row.to_string());
        assert_eq!(told.fields["next_attempt_in"], format!("{:?}", in_milliseconds(provider.status().cool_down)));
        clock.advance(Duration::from_secs(1_000));
    }
}

#[tokio::test]
async fn a_token_that_is_dead_on_arrival_is_a_warning() {
    let (events, _guard) = Events::listen();
    let provider = api(TokenProvider::builder(scripted(vec![Ok(token(0)), Ok(token(600))]))).build().unwrap();
    provider.token().await.unwrap();
    assert_eq!(events.about("has expired or is about to").len(), 1);
    provider.token().await.unwrap();
    let told = events.take();
    assert_eq!(told.iter().filter(|told| told.level <= Level::WARN).count(), 0, "{told:?}");
    assert_eq!(told.iter().filter(|told| told.message() == "fetched a token").count(), 1);
}

#[tokio::test]
async fn events_of_a_source_name_the_provider_that_fetches() {
    let (events, _guard) = Events::listen();
    let refused = async |_cx: FetchContext| Err(Error::new(ErrorKind::Refused, "the account is closed"));
    let source = refused.or_else(StaticToken::new(TOKEN));
    // The fetch is polled on this thread.
    api(TokenProvider::builder(source)).build().unwrap().token().await.unwrap();
    let [told] = &events.about("using the fallback")[..] else { panic!("one event") };
    assert_eq!((told.level, told.provider(), told.fields["reason"].as_str()), (Level::WARN, "orders", "missing"));
}

#[tokio::test]
async fn l24_a_key_that_became_unusable_is_told_once() {
    let (events, _guard) = Events::listen();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.json");
    std::fs::write(&path, format!("{{\"key\": \"{}\"}}", "s".repeat(32))).unwrap();
    let key = SigningKey::from_value(Algorithm::HS256, Value::file(&path).member("/key")).unwrap();
    let template = JwtTemplate::builder(key).build().unwrap();
    let told = async || {
        for _ in 0..3 {
            template.sign(&Platform::system()).await.unwrap();
        }
        events.about("the previous one stays in use")
    };
    assert!(told().await.is_empty());
    for text in ["short", "shorter"] {
        std::fs::write(&path, format!("{{\"key\": \"{text}\"}}")).unwrap();
        let [told] = &told().await[..] else { panic!("one event") };
        assert!(told.level == Level::WARN && told.fields["place"].contains("key.json"), "{told:?}");
        assert!(told.fields["problem"].contains(&format!("found a secret of {} bytes", text.len())), "{told:?}");
    }
}

#[tokio::test]
async fn l56_a_key_without_its_certificate_is_told_once() {
    let (events, _guard) = Events::listen();
    let directory = tempfile::tempdir().unwrap();
    let (key, certificate) = (directory.path().join("key.pem"), directory.path().join("certificate.pem"));
    let [first, second] =
        [(); 2].map(|()| rcgen::generate_simple_self_signed(vec!["me.example.com".to_owned()]).unwrap());
    std::fs::write(&key, first.signing_key.serialize_pem()).unwrap();
    std::fs::write(&certificate, first.cert.pem()).unwrap();
    let signing = SigningKey::from_file(Algorithm::ES256, &key).unwrap();
    let template = JwtTemplate::builder(signing).certificate(Value::file(&certificate)).x5t().build().unwrap();
    let told = async || {
        for _ in 0..3 {
            template.sign(&Platform::system()).await.unwrap();
        }
        events.about("the previous pair stays in use")
    };
    assert!(told().await.is_empty());
    std::fs::write(&key, second.signing_key.serialize_pem()).unwrap();
    let [told_once] = &told().await[..] else { panic!("one event") };
    let problem = &told_once.fields["problem"];
    assert!(told_once.level == Level::WARN && problem.contains("found the certificate of another key"), "{problem}");
    std::fs::write(&certificate, second.cert.pem()).unwrap();
    assert!(told().await.is_empty());
}

#[tokio::test]
async fn a_refusal_within_the_settling_time_is_told() {
    let (events, _guard) = Events::listen();
    let builder = api(TokenProvider::builder(scripted(vec![Ok(token(600))])));
    let provider = builder
        .platform(Platform::system().with_clock(ManualClock::new()))
        .sending(Sending::new().settle(Duration::from_secs(5)))
        .build()
        .unwrap();
    let ticket = provider.token().await.unwrap().ticket();
    events.take();
    let _ = ticket.reject(&HeaderMap::new());
    let all = events.take();
    let [told] = &all[..] else { panic!("one event, and no fetch: {all:?}") };
    assert_eq!((told.fields["outcome"].as_str(), told.provider()), ("settling", "orders"));
}

#[tokio::test]
async fn a_rejection_and_an_abandoned_fetch_are_told() {
    let (events, _guard) = Events::listen();
    let clock = ManualClock::new();
    let source = scripted(vec![Ok(token(600)), Ok(AccessToken::new("next"))]);
    let platform = Platform::system().with_clock(clock);
    let provider = api(TokenProvider::builder(source)).platform(platform).build().unwrap();
    let ticket = provider.token().await.unwrap().ticket();
    events.take();
    let _ = ticket.reject(&HeaderMap::new());
    let [told] = &events.about("rejected a token")[..] else { panic!("one event") };
    assert_eq!((told.fields["outcome"].as_str(), told.provider()), ("renewing", "orders"));

    let source = async |_cx: FetchContext| std::future::pending().await;
    let provider = api(TokenProvider::builder(source)).build().unwrap();
    let runtime = std::thread::spawn({
        let provider = provider.clone();
        // A runtime that begins the fetch and is shut down.
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let (events, _guard) = Events::listen();
            runtime.block_on(async {
                tokio::select! { biased; _ = provider.token() => {}, () = tokio::task::yield_now() => {} }
            });
            drop(runtime);
            events.about("without a result").len()
        }
    });
    assert_eq!(runtime.join().unwrap(), 1);
}

#[tokio::test]
async fn a_name_is_in_errors_events_status_and_debug() {
    let failing = || scripted(vec![Err(Error::new(ErrorKind::Source, "the vault is sealed"))]);
    for (given, expected, sentence) in
        [(Some("billing"), "billing", "billing: the vault is sealed"), (None, "token source", "the vault is sealed")]
    {
        let (events, _guard) = Events::listen();
        let mut builder = TokenProvider::builder(failing());
        if let Some(name) = given {
            builder = builder.name(name);
        }
        let provider = builder.build().unwrap();
        let error = provider.token().await.unwrap_err();
        assert_eq!((error.provider(), error.to_string().as_str()), (Some(expected), sentence));
        assert_eq!((provider.name(), provider.status().name.as_str()), (expected, expected));
        assert!(format!("{provider:?}").contains(&format!("name: {expected:?}")), "{provider:?}");
        let told = events.take();
        assert!(told.len() > 1 && told.iter().all(|told| told.provider() == expected), "{told:?}");
    }
    for name in ["", "  ", "two\nlines"] {
        let error = TokenProvider::builder(failing()).name(name).build().unwrap_err();
        assert_eq!(error.problems()[0].path(), "name");
    }
}

#[tokio::test]
async fn an_error_keeps_the_inner_providers_name() {
    let inner = TokenProvider::builder(scripted(vec![Err(Error::new(ErrorKind::Refused, "no"))])).name("inner");
    let inner = inner.build().unwrap();
    let outer = TokenProvider::builder(inner).build().unwrap();
    assert_eq!(outer.name(), "inner", "a provider suggests its own name");
    assert_eq!(outer.token().await.unwrap_err().to_string(), "inner: no");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_under_paused_time_says_that_it_is_paused() {
    // Waits for I/O that does not come; tokio's clock jumps to the deadline.
    let source = async |_cx: FetchContext| std::future::pending().await;
    let error = TokenProvider::builder(source).build().unwrap().token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("tokio's time is paused"), "{error}");

    let clock = ManualClock::new();
    let source = async |_cx: FetchContext| std::future::pending().await;
    let platform = Platform::system().with_clock(clock.clone());
    let provider = TokenProvider::builder(source).platform(platform).build().unwrap();
    let waiting = tokio::spawn(provider.token());
    tokio::task::yield_now().await;
    clock.advance(Duration::from_secs(10));
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.kind() == ErrorKind::Timeout && !error.to_string().contains("paused"), "{error}");
}
