//! L38: markers are planted wherever a secret or a stranger's text can be, the whole life cycle is run, and everything
//! that was printed or traced is searched for them.

use std::{
    collections::{BTreeSet, HashMap},
    error::Error as StdError,
    fmt::{self, Debug, Display, Write as _},
    panic::resume_unwind,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};
use bearer_token::{
    AccessToken, Error, FetchContext, FetchReason, StaticToken, TokenProvider, TokenSource,
    config::ProviderConfig,
    jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey},
    token_endpoint::{ClientAuth, ClientCredentials, JwtBearer, Parameters, TokenEndpoint},
    transport,
};
use bearer_token_testing::{Algorithm as Verified, Client as Registered, Fault, Issuer, TestKey, Tokens};
use bytes::Bytes;
use http::{Extensions, Request, Response, header::AUTHORIZATION};
use http_body_util::Full;
use reqwest_bearer::{BearerMiddleware, MiddlewareTransport};
use reqwest_middleware::{Middleware, Next};
use serde_json::{Value, json};
use tower::Service;
use tower_bearer::{BearerLayer, BearerService, BoxError};
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::support::{Adapter, CLIENT, Client, SECOND, Setup, hyper, hyper_http2, reqwest, within};

/// The crates that are held to all of it. The others are only held to the secrets themselves.
const OURS: [&str; 3] = ["bearer_token", "tower_bearer", "reqwest_bearer"];

/// Everything that is traced while somebody listens, with its target.
static TRACED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
static LISTENERS: AtomicUsize = AtomicUsize::new(0);

fn traced() -> MutexGuard<'static, Vec<(String, String)>> {
    TRACED.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Listener;

impl Listener {
    /// From here on everything is traced, at every level and from every crate and thread.
    fn listen() -> Self {
        // Another test may have set it already.
        let _ = tracing_subscriber::registry().with(Everything).try_init();
        LISTENERS.fetch_add(1, Ordering::SeqCst);
        Listener
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Everything;

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?} {value:#?}", field.name()).unwrap();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {}={value}", field.name()).unwrap();
    }
}

fn keep(metadata: &Metadata<'_>, record: impl FnOnce(&mut Text)) {
    let mut text = Text(metadata.name().to_owned());
    record(&mut text);
    traced().push((metadata.target().to_owned(), text.0));
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Everything {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>, _: Context<'_, S>) -> bool {
        LISTENERS.load(Ordering::Relaxed) > 0
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        keep(attributes.metadata(), |text| attributes.record(text));
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id) {
            keep(span.metadata(), |text| values.record(text));
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        keep(event.metadata(), |text| event.record(text));
    }
}

/// What must not be seen: each in all the forms that it may take on its way, found by its first eight bytes.
#[derive(Default)]
struct Markers(HashMap<[u8; 8], BTreeSet<String>>);

impl Markers {
    fn add(&mut self, form: &str) {
        // Shorter ones would be found everywhere.
        if let Some(start) = form.as_bytes().first_chunk() {
            self.0.entry(*start).or_default().insert(form.to_owned());
        }
    }

    fn plant(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref();
        assert!(text.len() >= 8, "too short to be found for sure");
        self.add(text);
        self.add(&form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
        let hex = text.bytes().fold(String::new(), |all, byte| all + &format!("{byte:02x}"));
        self.add(&hex.to_uppercase());
        self.add(&hex);
        let percent = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        let percent: String = text.bytes().map(percent).collect();
        self.add(&percent.to_lowercase());
        self.add(&percent);
        self.add(format!("{text:?}").trim_matches('"'));
        // A list of bytes, as a `Vec<u8>` prints itself.
        self.add(format!("{:?}", text.as_bytes()).trim_matches(['[', ']']));
        for engine in [BASE64_STANDARD, BASE64_URL_SAFE] {
            // In the middle of a longer text the bits lie in one of three ways; what is cut off depends on the rest.
            for shift in 0..3 {
                let encoded = engine.encode([&" ".repeat(shift), text].concat());
                let whole = encoded.trim_end_matches('=');
                self.add(&whole[4..whole.len() - 2]);
            }
        }
    }

    fn extend(&mut self, others: &Markers) {
        others.0.values().flatten().for_each(|form| self.add(form));
    }

    fn found_in<'a>(&'a self, text: &str) -> Option<&'a str> {
        let at = |(place, start): (usize, &[u8])| {
            let forms = self.0.get(start)?.iter();
            forms.map(String::as_str).find(|form| text.as_bytes()[place..].starts_with(form.as_bytes()))
        };
        text.as_bytes().windows(8).enumerate().find_map(at)
    }
}

/// Everything that was shown, with a word on where it comes from.
#[derive(Default)]
struct Shown(Vec<(String, String)>);

impl Shown {
    fn value(&mut self, what: &str, value: &dyn Debug) {
        self.0.push((what.to_owned(), format!("{value:?}\n{value:#?}")));
    }

    fn text(&mut self, what: &str, value: &dyn Display) {
        self.0.push((what.to_owned(), format!("{value}\n{value:#}")));
    }

    /// An error with all its causes.
    fn error(&mut self, what: &str, error: &(dyn StdError + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.value(what, &error);
            self.text(what, &error);
            if let Some(ours) = error.downcast_ref::<Error>() {
                self.value(what, &(ours.oauth_code(), ours.kind(), ours.retry()));
                ours.problems().iter().for_each(|problem| self.text(what, problem));
            }
            next = error.source();
        }
    }

    fn result<T: Debug>(&mut self, what: &str, result: Result<T, Error>) {
        match result {
            Ok(value) => self.value(what, &value),
            Err(error) => self.error(what, &error),
        }
    }

    fn refusal<T>(&mut self, what: &str, result: Result<T, Error>) {
        self.error(what, &result.err().unwrap_or_else(|| panic!("{what}: has to be refused")));
    }
}

const CLIENT_SECRET: &str = "MARK/client+secret=%&~ of its own";
const HMAC_SECRET: &str = "MARK-hmac-secret-that-is-longer-than-sixty-four-bytes-so-that-it-fits-any-hash";
const PARAMETER: &str = "MARK/parameter value?";
const HEADER: &str = "MARK-header-value";
const QUERY: &str = "MARK-query-value";
const USER: &str = "MARK-user-information";
const STATIC: &str = "MARK-static-token";
const ANSWERED: &str = "MARK-text-of-the-server";
const PANIC: &str = "MARK-payload-of-a-panic";
const CLAIM: &str = "MARK-claim-value";

/// Whether the bearer is marked as sensitive where the request leaves our hands.
#[derive(Clone, Copy)]
struct Sensitive;

#[async_trait::async_trait]
impl Middleware for Sensitive {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
        next.run(request, extensions).await
    }
}

fn search(markers: &Markers, secrets: &Markers, shown: &Shown) {
    let mut found = BTreeSet::new();
    let mut seek = |sought: &Markers, place: &str, text: &str| {
        if let Some(marker) = sought.found_in(text) {
            let start = text.find(marker).unwrap_or_default().saturating_sub(60);
            let excerpt: String = text.chars().skip(start).take(200).collect();
            found.insert(format!("{place} shows {marker}: {excerpt}"));
        }
    };
    for (what, text) in &shown.0 {
        seek(markers, what, text);
    }
    let traced: BTreeSet<_> = traced().iter().cloned().collect();
    let (mut from_us, mut from_others) = (0, BTreeSet::new());
    for (target, text) in &traced {
        let name = target.split("::").next().unwrap_or_default();
        if OURS.contains(&name) {
            from_us += 1;
            seek(markers, target, text);
        } else {
            from_others.insert(name);
            seek(secrets, target, text);
        }
    }
    assert!(found.is_empty(), "{} places: {:#?}", found.len(), found.iter().take(20).collect::<Vec<_>>());
    assert!(from_us > 10, "our own events are there: {from_us}");
    for name in ["h2", "hyper_util", "log"] {
        assert!(from_others.contains(name), "{name} is among {from_others:?}");
    }
}

#[tokio::test]
async fn l38_nothing_that_is_secret_is_shown_or_traced_in_a_whole_life_cycle() {
    let listener = Listener::listen();
    let mut shown = Shown::default();
    // What neither we nor anybody below may show, and what only we may not.
    let (mut secrets, mut markers) = (Markers::default(), Markers::default());
    for secret in [CLIENT_SECRET, HMAC_SECRET, STATIC] {
        secrets.plant(secret);
    }
    for text in [PARAMETER, HEADER, QUERY, USER, ANSWERED, PANIC, CLAIM] {
        markers.plant(text);
    }
    let rsa = TestKey::rs256().unwrap();
    let ec = TestKey::es256().unwrap();
    for pem in [rsa.private_pem(), ec.private_pem()] {
        // The first line of the base64 is the same for every key of a kind.
        pem.lines()
            .skip(2)
            .filter(|line| !line.starts_with("---") && line.len() > 8)
            .for_each(|line| secrets.plant(line));
    }

    values(&mut shown, &rsa, &ec).await;
    configurations(&mut shown, &rsa);
    for adapter in Adapter::BOTH {
        for http2 in [false, true] {
            successes(&mut shown, &mut secrets, adapter, http2, &rsa, &ec).await;
        }
        failures(&mut shown, &mut secrets, adapter).await;
        panics(&mut shown, adapter).await;
    }
    drop(listener);
    markers.extend(&secrets);
    search(&markers, &secrets, &shown);
}

/// Everything that has a `Debug` or a `Display` of its own.
async fn values(shown: &mut Shown, rsa: &TestKey, ec: &TestKey) {
    let key = SigningKey::from_pem(Algorithm::RS256, rsa.private_pem()).unwrap().with_key_id("2026");
    let hmac = SigningKey::hmac(Algorithm::HS512, HMAC_SECRET).unwrap();
    let builder = JwtTemplate::builder(key.clone()).issuer("app").audience("api").claim("planted", CLAIM);
    shown.value("JwtTemplateBuilder", &builder);
    let template = builder.build().unwrap();
    for auth in [
        ClientAuth::none(),
        ClientAuth::public(CLIENT),
        ClientAuth::basic(CLIENT, CLIENT_SECRET),
        ClientAuth::basic_raw(CLIENT, CLIENT_SECRET),
        ClientAuth::post(CLIENT, CLIENT_SECRET),
        ClientAuth::client_secret_jwt(CLIENT, hmac.clone()),
        ClientAuth::private_key_jwt(CLIENT, key.clone()),
        ClientAuth::assertion(CLIENT, template.clone()),
    ] {
        shown.value("ClientAuth", &auth);
        let url = format!("https://as.example.com/token?account={QUERY}");
        let builder = TokenEndpoint::builder(url, ClientCredentials::new())
            .client_auth(auth)
            .parameter("login_hint", PARAMETER)
            .header("x-api-key", HEADER);
        shown.value("TokenEndpointBuilder", &builder);
        shown.result("TokenEndpoint", builder.build());
    }
    shown.value("SigningKey", &(&key, &hmac, SigningKey::from_pem(Algorithm::ES256, ec.private_pem()).unwrap()));
    shown.value("JwtTemplate", &template);
    shown.value("JwtBearer", &JwtBearer::new(template.clone()));
    shown.value("SelfSigned", &SelfSigned::new(template.clone()));
    let platform = bearer_token::platform::Platform::system();
    shown.value("SignedJwt", &template.sign(&platform).await.unwrap());
    shown.value("Parameters", &Parameters::new("custom").with("password", PARAMETER));
    shown.value("StaticToken", &StaticToken::new(STATIC));
    shown.value("AccessToken", &AccessToken::new(STATIC).scope(ANSWERED).extra("instance", ANSWERED));
    let context = FetchContext::new(platform, SECOND, FetchReason::Missing);
    shown.value("FetchContext", &context);

    let builder = TokenProvider::builder(StaticToken::new(STATIC)).allow_origin("https://api.example.com");
    let provider = builder.build().unwrap();
    let waiting = provider.token();
    shown.value("TokenFuture", &waiting);
    let bearer = waiting.await.unwrap();
    shown.value("Bearer", &bearer);
    shown.value("its header value", bearer.header_value());
    shown.value("Ticket", &bearer.ticket());
    shown.value("TokenProvider", &provider);
    shown.value("ProviderStatus", &provider.status());
    shown.value("a provider's own token", &TokenSource::fetch(&provider, context).await.unwrap());
    shown.value("BearerLayer", &BearerLayer::new(provider.clone()));
    shown.value("BearerMiddleware", &BearerMiddleware::new(provider.clone()));
    let mut headers = http::HeaderMap::new();
    headers.insert("x-api-key", HEADER.parse().unwrap());
    let client = crate::support::reqwest_builder().default_headers(headers).build().unwrap();
    shown.value("ReqwestTransport", &transport::ReqwestTransport::from_client(client.clone()));
    shown.value("MiddlewareTransport", &MiddlewareTransport::new(client.into()));

    // Where a request leaves our hands.
    let inner = tower::service_fn(|request: Request<()>| async move {
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
        Ok::<_, BoxError>(Response::new(format!("{request:?}")))
    });
    let mut service = BearerService::new(inner, provider.clone());
    let call = service.call(Request::get("https://api.example.com/").body(()).unwrap());
    shown.value("ResponseFuture", &call);
    shown.text("the request", call.await.unwrap().body());
    let strange = Request::get(format!("https://{USER}:{USER}@x.example.com:80808/?{QUERY}")).body(());
    if let Ok(strange) = strange {
        shown.error("a strange URI", &*service.call(strange).await.unwrap_err());
    }
    for uri in [
        format!("http://{USER}:{USER}@api.example.com/{QUERY}?{QUERY}"),
        format!("ftp://{USER}@api.example.com/{QUERY}"),
        format!("http://{USER}@203.0.113.7/?q={QUERY}"),
    ] {
        shown
            .error("an origin that is refused", &*service.call(Request::get(uri).body(()).unwrap()).await.unwrap_err());
    }
}

/// Configurations that are wrong in every way that comes to mind.
fn configurations(shown: &mut Shown, rsa: &TestKey) {
    let pem = rsa.private_pem();
    let broken_pem = pem.replacen("MII", "!!!", 1);
    for (what, key) in [
        ("a broken PEM", SigningKey::from_pem(Algorithm::RS256, &broken_pem)),
        ("a PEM that is cut off", SigningKey::from_pem(Algorithm::RS256, &pem[..pem.len() / 2])),
        ("no PEM", SigningKey::from_pem(Algorithm::RS256, HMAC_SECRET)),
        ("a key for another algorithm", SigningKey::from_pem(Algorithm::ES256, pem)),
        ("a PEM as a secret", SigningKey::hmac(Algorithm::HS256, pem)),
        ("a PEM for HMAC", SigningKey::from_pem(Algorithm::HS256, pem)),
        ("a secret that is too short", SigningKey::hmac(Algorithm::HS512, &HMAC_SECRET[..30])),
        ("no base64", SigningKey::hmac_base64(Algorithm::HS256, CLIENT_SECRET)),
        ("no hex", SigningKey::hmac_hex(Algorithm::HS256, CLIENT_SECRET)),
    ] {
        shown.refusal(what, key);
    }
    shown.refusal("a secret as an algorithm", HMAC_SECRET.parse::<Algorithm>());
    let key = SigningKey::hmac(Algorithm::HS256, HMAC_SECRET).unwrap();
    let template =
        JwtTemplate::builder(key.clone()).claim("exp", CLAIM).claim("jti", CLAIM).issuer("a").claim("iss", CLAIM);
    shown.refusal("claims that are fixed", template.build());
    let template =
        JwtTemplate::builder(key.clone()).header("alg", CLAIM).header("typ", json!([CLAIM])).header("crit", CLAIM);
    shown.refusal("header members that are not to be set", template.build());

    let url = "https://as.example.com/token";
    let endpoint = |url: &str| TokenEndpoint::builder(url, ClientCredentials::new());
    for (what, endpoint) in [
        ("user information", endpoint(&format!("https://{USER}:{USER}@as.example.com/token"))),
        ("a fragment", endpoint(&format!("https://as.example.com/token#{QUERY}"))),
        ("plaintext", endpoint(&format!("http://as.example.com/token?{QUERY}"))),
        ("no URL", endpoint(QUERY)),
        ("another scheme", endpoint(&format!("ftp://{USER}@as.example.com/{QUERY}"))),
        ("a line end in a secret", endpoint(url).client_auth(ClientAuth::basic(CLIENT, format!("{CLIENT_SECRET}\n")))),
        ("a line end in the body", endpoint(url).client_auth(ClientAuth::post(CLIENT, format!("{CLIENT_SECRET}\n")))),
        ("a secret as a parameter", endpoint(url).parameter("client_secret", CLIENT_SECRET)),
        ("an assertion as a parameter", endpoint(url).parameter("assertion", PARAMETER)),
        ("a header that cannot be", endpoint(url).header("x-api-key", format!("{HEADER}\n"))),
        ("a header's name that cannot be", endpoint(url).header(format!("x {HEADER}"), HEADER)),
        ("a header of the request", endpoint(url).header("content-type", HEADER)),
        (
            "two credentials",
            endpoint(url).client_auth(ClientAuth::basic(CLIENT, CLIENT_SECRET)).header("authorization", HEADER),
        ),
        ("a secret where a key is wanted", endpoint(url).client_auth(ClientAuth::private_key_jwt(CLIENT, key))),
    ] {
        shown.value(what, &endpoint);
        shown.refusal(what, endpoint.build());
    }
    for origin in [
        format!("https://{USER}:{USER}@api.example.com"),
        format!("https://api.example.com/?key={QUERY}"),
        format!("https://api.example.com/{QUERY}"),
        format!("ftp://api.example.com?{QUERY}"),
        format!("http://api.example.com?{QUERY}"),
        format!("not a URI: {QUERY}"),
        format!("https://api.example.com:{QUERY}"),
    ] {
        let builder = TokenProvider::builder(StaticToken::new(STATIC)).allow_origin(&origin);
        shown.refusal(
            "an origin that is none",
            builder.connection_origin(&origin).allow_plaintext_origin(&origin).build(),
        );
    }
    for toml in [
        format!("token = {{ value = \"{STATIC}\nx\" }}"),
        format!("token = \"{STATIC}"),
        format!("tokn = \"{STATIC}\""),
        format!("token = {{ value = \"{STATIC}\", file = \"{STATIC}\" }}"),
        format!("token = {{ file = [\"{STATIC}\"] }}"),
        format!("token = [\"{STATIC}\"]"),
        format!("token = {{ value = \"{STATIC}\", encoding = \"{CLAIM}\" }}"),
        format!("[token_endpoint]\nurl = \"https://{USER}@as.example.com/\"\nclient = \"{CLIENT_SECRET}\""),
        format!(
            "[token_endpoint]\nurl = \"https://as.example.com/\"\n[token_endpoint.client]\nsecret = {{ vaule = \"{CLIENT_SECRET}\" }}"
        ),
        format!(
            "[token_endpoint]\nurl = \"https://as.example.com/\"\nclient = {{ method = \"{CLIENT_SECRET}\", id = 7 }}"
        ),
        format!(
            "[token_endpoint]\nurl = [\"{QUERY}\"]\nparameters = \"{PARAMETER}\"\nheaders = {{ x-api-key = [\"{HEADER}\"] }}"
        ),
        format!("[jwt]\nalgorithm = \"{HMAC_SECRET}\"\nkey = \"{HMAC_SECRET}\""),
        format!("[jwt]\nalgorithm = \"RS256\"\nkey = \"{HMAC_SECRET}\"\nclaims = {{ exp = \"{CLAIM}\" }}"),
        format!("[jwt]\nalgorithm = \"HS256\"\nkey = {{ value = \"{HMAC_SECRET}\", encoding = \"hex\" }}"),
        format!("[jwt]\nalgorithm = \"HS256\"\nkey = '''{pem}'''"),
        format!("[jwt]\nalgorithm = \"ES256\"\nkey = '''{pem}'''\nexpiry_seconds = \"{CLAIM}\""),
        STATIC.to_owned(),
        format!("[policy]\nfetch_timeout_seconds = \"{CLAIM}\"\ntransient_backoff = \"{CLAIM}\""),
    ] {
        match ProviderConfig::from_toml(&toml) {
            Ok(config) => {
                shown.value("ProviderConfig", &config);
                shown.refusal(&format!("a configuration: {toml}"), config.build());
            }
            Err(error) => shown.error("no TOML", &error),
        }
    }
    for text in [format!("{{\"token\": \"{STATIC}\""), format!("{{\"token\": {STATIC}}}"), format!("\"{STATIC}\"")] {
        shown.refusal("no JSON", ProviderConfig::from_json(&text).and_then(ProviderConfig::build));
    }
}

/// A client that prints nothing but what is printed here, over the adapter's transport.
fn client(adapter: Adapter, provider: &TokenProvider, http2: bool) -> Client {
    match (adapter, http2) {
        (Adapter::Tower, false) => Client::Tower(BearerService::new(hyper(), provider.clone())),
        (Adapter::Tower, true) => Client::Tower(BearerService::new(hyper_http2(), provider.clone())),
        (Adapter::Reqwest, _) => {
            let client = if http2 { crate::support::reqwest_http2() } else { reqwest() };
            let middlewares =
                reqwest_middleware::ClientBuilder::new(client).with(BearerMiddleware::new(provider.clone()));
            Client::Reqwest(middlewares.with(Sensitive).build())
        }
    }
}

/// What the server has seen: tokens, assertions and credentials, all of which nobody else may see.
fn plant_what_was_sent(secrets: &mut Markers, setup: &Setup) {
    for request in setup.server.requests() {
        if let Some(value) = request.header("authorization") {
            secrets.plant(value.split_once(' ').unwrap().1);
        }
        for name in ["assertion", "client_assertion", "client_secret"] {
            if let Some(value) = request.parameter(name) {
                // The header of a JWT is no secret; whoever prints one prints the signature as well.
                secrets.plant(value.rsplit('.').next().unwrap());
            }
        }
    }
}

/// Every way to a token, used, rejected and renewed.
async fn successes(
    shown: &mut Shown,
    secrets: &mut Markers,
    adapter: Adapter,
    http2: bool,
    rsa: &TestKey,
    ec: &TestKey,
) {
    let hmac = || SigningKey::hmac(Algorithm::HS512, HMAC_SECRET).unwrap();
    let rs256 = || SigningKey::from_pem(Algorithm::RS256, rsa.private_pem()).unwrap();
    let es256 = || SigningKey::from_pem(Algorithm::ES256, ec.private_pem()).unwrap();
    let hmac_jwt = || Registered::client_secret_jwt(CLIENT, Verified::HS512, HMAC_SECRET);
    let ways: [(ClientAuth, Registered); 5] = [
        (ClientAuth::public(CLIENT), Registered::public(CLIENT)),
        (ClientAuth::basic(CLIENT, CLIENT_SECRET), Registered::secret(CLIENT, CLIENT_SECRET)),
        (ClientAuth::post(CLIENT, CLIENT_SECRET), Registered::secret(CLIENT, CLIENT_SECRET)),
        (ClientAuth::client_secret_jwt(CLIENT, hmac()), hmac_jwt()),
        (ClientAuth::private_key_jwt(CLIENT, es256()), Registered::private_key_jwt(CLIENT, ec.verifying_key())),
    ];
    for (index, (auth, registered)) in ways.into_iter().enumerate() {
        let setup = Setup::start();
        setup.server.register(registered);
        let tokens = if index % 2 == 0 { Tokens::opaque() } else { Tokens::jwt() };
        // What the server says beside the token is its own text as well.
        setup.server.issue(tokens.member("scope", ANSWERED).member("instance_url", ANSWERED).expires_in(ANSWERED));
        let token_url = setup.server.token_url();
        let auth = if index < 3 { auth } else { auth.audience(&token_url) };
        let endpoint = TokenEndpoint::builder(format!("{token_url}?account={QUERY}"), ClientCredentials::new())
            .client_auth(auth)
            .parameter("login_hint", PARAMETER)
            .header("x-api-key", HEADER)
            .keep("instance_url");
        let endpoint = match adapter {
            Adapter::Tower => endpoint.transport(transport::service(if http2 { hyper_http2() } else { hyper() })),
            Adapter::Reqwest if index % 2 == 0 => endpoint.transport(MiddlewareTransport::new(reqwest().into())),
            Adapter::Reqwest => endpoint,
        };
        let provider = setup.builder(endpoint.build().unwrap()).build().unwrap();
        life(shown, &setup, &provider, &client(adapter, &provider, http2)).await;
        assert_eq!(provider.cached().unwrap().extra("instance_url"), Some(ANSWERED));
        plant_what_was_sent(secrets, &setup);
    }

    let setup = Setup::start();
    setup.server.trust(Issuer::new("app", rsa.verifying_key()).self_signed_audience("api"));
    let template = |audience: &str| {
        JwtTemplate::builder(rs256()).issuer("app").subject("app").audience(audience).claim("planted", CLAIM).build()
    };
    let grant = JwtBearer::new(template(&setup.server.token_url()).unwrap());
    let exchanged = TokenEndpoint::builder(setup.server.token_url(), grant).build().unwrap();
    let provider = setup.builder(exchanged).build().unwrap();
    life(shown, &setup, &provider, &client(adapter, &provider, http2)).await;
    let provider = setup.builder(SelfSigned::new(template("api").unwrap())).build().unwrap();
    life(shown, &setup, &provider, &client(adapter, &provider, http2)).await;
    plant_what_was_sent(secrets, &setup);
}

/// Cold, warm, rejected, healed, renewed in the background and by hand.
async fn life(shown: &mut Shown, setup: &Setup, provider: &TokenProvider, client: &Client) {
    let url = setup.api(&format!("orders?q={QUERY}"));
    within(async {
        client.succeed(&url).await;
        client.succeed(&url).await;
        let challenge = format!(r#"Bearer realm="{ANSWERED}", error="invalid_token", error_description="{ANSWERED}""#);
        setup.server.api().next(Fault::status(401).header("www-authenticate", challenge).body(ANSWERED));
        assert_eq!(client.get(&url).await.unwrap().status, 401);
        shown.value("a provider whose bearer was rejected", provider);
        client.succeed(&url).await;
        setup.clock.advance(200 * SECOND);
        client.succeed(&url).await;
        provider.refresh_now().await.unwrap();
        client.succeed(&url).await;
    })
    .await;
    let bearer = provider.cached().unwrap();
    shown.value("a bearer", &bearer);
    shown.value("its header", bearer.header_value());
    shown.value("a provider", provider);
    shown.value("its status", &provider.status());
    if let Client::Tower(service) = client {
        shown.value("BearerService", service);
    }
}

/// What a hostile, broken or unlucky server answers.
fn hostile() -> Vec<(&'static str, Fault)> {
    let text = |status| Fault::status(status).body(ANSWERED).header("x-trace", ANSWERED).header("server", ANSWERED);
    let says = |status: u16, members: Value| Fault::json(status, &members).header("www-authenticate", ANSWERED);
    let token = |members: Value| {
        let mut answer = json!({ "access_token": STATIC, "token_type": "Bearer" });
        answer.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Fault::json(200, &answer)
    };
    vec![
        ("500", text(500)),
        ("503", text(503).header("retry-after", ANSWERED)),
        ("429", text(429)),
        ("404", text(404)),
        ("401", text(401)),
        ("a redirect", text(302).header("location", format!("https://{ANSWERED}.example.com/{ANSWERED}"))),
        ("HTML", Fault::html().body(format!("<p>{ANSWERED}")).header("content-type", format!("text/{ANSWERED}"))),
        (
            "an error",
            says(400, json!({ "error": "invalid_grant", "error_description": ANSWERED, "error_uri": ANSWERED })),
        ),
        ("an error code of its own", says(400, json!({ "error": ANSWERED, "error_description": CLIENT_SECRET }))),
        ("a secret as an error code", says(401, json!({ "error": CLIENT_SECRET }))),
        ("an error that is no text", says(400, json!({ "error": { "message": ANSWERED } }))),
        ("an error with 200", says(200, json!({ "error": ANSWERED, "access_token": STATIC }))),
        ("no token", says(200, json!({ "token": STATIC, "id_token": STATIC }))),
        ("a token that is no text", says(200, json!({ "access_token": [STATIC] }))),
        ("a token with a line end", token(json!({ "access_token": format!("{STATIC}\n{STATIC}") }))),
        ("a token with a blank", token(json!({ "access_token": format!("{STATIC} {STATIC}") }))),
        ("another token type", token(json!({ "token_type": ANSWERED }))),
        ("a token type that is no text", token(json!({ "token_type": [ANSWERED] }))),
        ("a negative lifetime", token(json!({ "expires_in": -1, "scope": ANSWERED }))),
        ("broken JSON", Fault::status(200).body(format!("{{\"access_token\":\"{STATIC}\",\"{ANSWERED}"))),
        ("no JSON", Fault::status(200).body(format!("access_token={STATIC}&scope={ANSWERED}"))),
        ("no UTF-8", Fault::status(200).body([ANSWERED.as_bytes(), b"\xff"].concat())),
        ("nothing", Fault::status(200)),
        ("a flood", Fault::flood(2 * 1024 * 1024)),
        ("no answer", Fault::disconnect()),
        ("half an answer", Fault::cut_off()),
    ]
}

async fn failures(shown: &mut Shown, secrets: &mut Markers, adapter: Adapter) {
    for (what, fault) in hostile() {
        let setup = Setup::start();
        setup.server.register(Registered::secret(CLIENT, CLIENT_SECRET));
        setup.server.issue(Tokens::opaque());
        let url = format!("{}?account={QUERY}", setup.server.token_url());
        let auth = [ClientAuth::basic(CLIENT, CLIENT_SECRET), ClientAuth::post(CLIENT, CLIENT_SECRET)];
        for (index, auth) in auth.into_iter().enumerate() {
            let endpoint = TokenEndpoint::builder(&url, ClientCredentials::new()).client_auth(auth);
            let endpoint = match (adapter, index) {
                (Adapter::Tower, 0) => endpoint.transport(transport::service(hyper())),
                (Adapter::Tower, _) => endpoint.transport(transport::service::<_, Full<Bytes>>(hyper()).with_causes()),
                (Adapter::Reqwest, 0) => endpoint,
                (Adapter::Reqwest, _) => endpoint.transport(MiddlewareTransport::new(reqwest().into())),
            };
            let provider = setup.builder(endpoint.build().unwrap()).build().unwrap();
            let client = client(adapter, &provider, false);
            setup.server.token_endpoint().always(fault.clone());
            let error = within(client.get(&setup.api("orders"))).await.unwrap_err();
            shown.error(what, &*error);
            shown.value("a provider that fails", &provider);
            shown.value("its status", &provider.status());
            setup.server.token_endpoint().heal();
            setup.clock.advance(3_600 * SECOND);
            within(client.succeed(&setup.api("orders"))).await;
            // A refresh in the background that fails, and a rejection that cannot be mended.
            setup.server.token_endpoint().always(fault.clone());
            shown.result(what, within(provider.refresh_now()).await);
            shown.value("a provider with an old token", &provider);
            setup.server.token_endpoint().heal();
        }
        plant_what_was_sent(secrets, &setup);
    }
    // Nobody is there at all.
    let setup = Setup::start();
    let endpoint = TokenEndpoint::builder(format!("{}?{QUERY}", setup.server.token_url()), ClientCredentials::new())
        .client_auth(ClientAuth::post(CLIENT, CLIENT_SECRET));
    let endpoint = match adapter {
        Adapter::Tower => endpoint.transport(transport::service::<_, Full<Bytes>>(hyper()).with_causes()),
        Adapter::Reqwest => endpoint,
    };
    let provider = setup.builder(endpoint.build().unwrap()).build().unwrap();
    let url = setup.api("orders");
    setup.server.stop();
    shown.error("no server", &*within(client(adapter, &provider, false).get(&url)).await.unwrap_err());
}

async fn panics(shown: &mut Shown, adapter: Adapter) {
    let setup = Setup::start();
    // Without the usual report on standard error, which is not ours.
    let source = async |_: FetchContext| -> Result<AccessToken, Error> { resume_unwind(Box::new(PANIC.to_owned())) };
    let provider = setup.builder(source).build().unwrap();
    let error = within(client(adapter, &provider, false).get(&setup.api("orders"))).await.unwrap_err();
    shown.error("a source that panics", &*error);
    shown.value("a provider whose source panics", &provider);

    // A middleware of the stack that carries token requests, with an error that shows too much.
    let careless = reqwest_middleware::ClientBuilder::new(reqwest()).with(Careless).build();
    let endpoint = setup.endpoint().transport(MiddlewareTransport::new(careless)).build().unwrap();
    let provider = setup.builder(endpoint).build().unwrap();
    let error = within(client(adapter, &provider, false).get(&setup.api("orders"))).await.unwrap_err();
    shown.error("a careless middleware", &*error);
    let careless = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Full<Bytes>>, _>(BoxError::from(Shout(CLIENT_SECRET)))
    });
    let endpoint = setup.endpoint().transport(transport::service(careless)).build().unwrap();
    let provider = setup.builder(endpoint).build().unwrap();
    let error = within(client(adapter, &provider, false).get(&setup.api("orders"))).await.unwrap_err();
    shown.error("a careless service", &*error);
}

#[derive(Clone, Copy)]
struct Careless;

#[derive(Debug)]
struct Shout(&'static str);

impl Display for Shout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for Shout {}

#[async_trait::async_trait]
impl Middleware for Careless {
    async fn handle(
        &self,
        _: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        Err(reqwest_middleware::Error::middleware(Shout(CLIENT_SECRET)))
    }
}

#[test]
fn a_marker_is_found_in_every_form() {
    let mut markers = Markers::default();
    markers.plant(CLIENT_SECRET);
    let encoded = |prefix: &str| BASE64_STANDARD.encode(format!("{prefix}{CLIENT_SECRET}:x"));
    for text in [
        format!("id:{CLIENT_SECRET}"),
        encoded("id:"),
        encoded("user:"),
        encoded("a:"),
        BASE64_URL_SAFE.encode(format!("ab:{CLIENT_SECRET}")),
        form_urlencoded::Serializer::new(String::new()).append_pair("client_secret", CLIENT_SECRET).finish(),
        format!("{:?}", CLIENT_SECRET.as_bytes()),
        format!("{CLIENT_SECRET:?}"),
    ] {
        assert!(markers.found_in(&text).is_some(), "{text}");
    }
    assert_eq!(markers.found_in("nothing of it"), None);
}
