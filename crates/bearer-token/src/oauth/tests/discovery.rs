//! The token endpoint in the metadata of an issuer.

use std::collections::HashMap;

use super::*;
use crate::{TokenProvider, platform::Moment};

const ISSUER: &str = "https://as.example.com";
const OAUTH: &str = "https://as.example.com/.well-known/oauth-authorization-server";
const OPENID: &str = "https://as.example.com/.well-known/openid-configuration";
const HOUR: Duration = Duration::from_secs(3_600);

/// Servers with a page at each URL. Without one, the status is 404; an empty page is a connection that fails.
#[derive(Clone, Default)]
struct Site {
    clock: ManualClock,
    pages: Arc<Mutex<HashMap<String, (u16, Bytes)>>>,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Site {
    fn new() -> Self {
        let site = Site::default();
        site.metadata(OAUTH, "https://login.example.com/token");
        site.page("https://login.example.com/token", 200, TOKEN);
        site
    }

    fn page(&self, url: &str, status: u16, body: impl Into<Bytes>) {
        self.pages.lock().unwrap().insert(url.to_owned(), (status, body.into()));
    }

    fn metadata(&self, url: &str, token_endpoint: &str) {
        self.page(url, 200, format!(r#"{{"issuer":"{ISSUER}","x":1e999,"token_endpoint":"{token_endpoint}"}}"#));
    }

    fn builder(&self) -> TokenEndpointBuilder {
        TokenEndpoint::discover(ISSUER, ClientCredentials::new())
            .client_auth(ClientAuth::post("id", "planted"))
            .transport(self.clone())
    }

    async fn fetch(&self, source: &TokenEndpoint) -> Result<AccessToken, Error> {
        source.fetch(first_fetch(self.clock.platform())).await
    }

    /// A source that has fetched once, so it has the metadata.
    async fn used_source(&self) -> TokenEndpoint {
        let source = self.builder().build().unwrap();
        self.fetch(&source).await.unwrap();
        self.take_urls();
        source
    }

    fn take_urls(&self) -> Vec<String> {
        self.requests.lock().unwrap().drain(..).map(|request| request.uri().to_string()).collect()
    }
}

impl Transport for Site {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let page = self.pages.lock().unwrap().get(&request.uri().to_string()).cloned();
        self.requests.lock().unwrap().push(request);
        tokio::task::yield_now().await;
        match page {
            Some((_, body)) if body.is_empty() => Err(Error::new(ErrorKind::Transport, "scripted")),
            Some((status, body)) => Ok(Response::builder().status(status).body(body).unwrap()),
            None => Ok(Response::builder().status(404).body("<p>planted</p>".into()).unwrap()),
        }
    }
}

// shows: 8414/3.1a 8414/3.2b 9700/2.6a
#[allow(clippy::disallowed_methods, reason = "the fetches run at once, on the runtime of the test")]
#[tokio::test]
async fn one_metadata_request_serves_any_number_of_fetches() {
    let site = Site::new();
    let source = site.builder().build().unwrap();
    let fetches: Vec<_> = (0..10)
        .map(|_| {
            let (site, source) = (site.clone(), source.clone());
            tokio::spawn(async move { site.fetch(&source).await.map(|token| token.secret().to_owned()) })
        })
        .collect();
    for fetch in fetches {
        assert_eq!(fetch.await.unwrap().unwrap(), "a token");
    }
    {
        let requests = site.requests.lock().unwrap();
        let metadata = &requests[0];
        assert_eq!((metadata.method().as_str(), metadata.uri().to_string()), ("GET", OAUTH.to_owned()));
        assert!(metadata.body().is_empty() && !format!("{metadata:?}").contains("planted"));
        assert!(metadata.extensions().get::<PassThrough>().is_some());
    }
    let urls = site.take_urls();
    assert_eq!(urls.iter().filter(|url| url.contains("well-known")).count(), 1);
    assert_eq!(urls.iter().filter(|url| *url == "https://login.example.com/token").count(), 10);
    assert!(format!("{source:?}").contains(ISSUER));
}

#[tokio::test]
async fn the_form_that_had_the_metadata_is_asked_first() {
    let site = Site::new();
    site.page(OAUTH, 200, "<html>a page for every URL");
    site.metadata(OPENID, "https://login.example.com/token");
    let source = site.builder().build().unwrap();
    site.fetch(&source).await.unwrap();
    assert_eq!(site.take_urls(), [OAUTH, OPENID, "https://login.example.com/token"]);
    site.clock.advance(25 * HOUR);
    site.fetch(&source).await.unwrap();
    assert_eq!(site.take_urls(), [OPENID, "https://login.example.com/token"]);
}

#[tokio::test]
async fn metadata_is_refreshed_and_outlives_an_outage() {
    let site = Site::new();
    let source = site.used_source().await;
    site.page(OAUTH, 503, "down");
    site.clock.advance(HOUR);
    site.fetch(&source).await.unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let mut urls = site.take_urls();
    urls.sort();
    assert_eq!(urls, [OAUTH, "https://login.example.com/token"]);
    // After a day it is too old.
    site.clock.advance(24 * HOUR);
    let error = site.fetch(&source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("the server of the issuer https://as.example.com responded with 503"),
        "{error}"
    );
}

#[tokio::test]
async fn a_failure_is_shared_except_with_refresh_now() {
    let site = Site::new();
    site.page(OAUTH, 503, "down");
    let source = site.builder().build().unwrap();
    for _ in 0..3 {
        site.fetch(&source).await.unwrap_err();
    }
    assert_eq!(site.take_urls(), [OAUTH]);
    site.metadata(OAUTH, "https://login.example.com/token");
    let cx = FetchContext::new(site.clock.platform(), Duration::from_secs(10), FetchReason::Requested);
    source.fetch(cx).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_moved_is_found_by_the_same_fetch() {
    for (status, body) in [(404, "gone"), (405, "{}"), (410, "{}"), (200, "")] {
        let site = Site::new();
        let source = site.used_source().await;
        site.page("https://login.example.com/token", status, body);
        site.metadata(OAUTH, "https://new.example.com/token");
        site.page("https://new.example.com/token", 200, TOKEN);
        site.fetch(&source).await.unwrap();
        let urls = site.take_urls();
        assert_eq!(urls[urls.len() - 2..], [OAUTH, "https://new.example.com/token"], "{status}");
        site.fetch(&source).await.unwrap();
        assert_eq!(site.take_urls(), ["https://new.example.com/token"]);
    }
}

#[tokio::test]
async fn a_failing_endpoint_costs_one_look_a_fetch() {
    let site = Site::new();
    let source = site.used_source().await;
    for (status, body, looks) in [(404, "gone", 1), (200, "", 1), (401, "{}", 0), (503, "down", 0)] {
        site.page("https://login.example.com/token", status, body);
        let error = site.fetch(&source).await.unwrap_err();
        assert!(error.to_string().contains(ISSUER), "{error}");
        assert_eq!(site.take_urls().iter().filter(|url| *url == OAUTH).count(), looks, "{status}");
    }
}

#[tokio::test]
async fn l19_a_single_use_credential_goes_to_one_server() {
    let site = Site::new();
    let grant = Counting { clock: site.clock.clone(), repeatable: false, count: AtomicU64::new(1) };
    let source = TokenEndpoint::discover(ISSUER, grant).transport(site.clone()).build().unwrap();
    site.page("https://login.example.com/token", 200, "");
    site.metadata(OAUTH, "https://login.example.com/token");
    site.fetch(&source).await.unwrap_err();
    site.metadata(OAUTH, "https://new.example.com/token");
    site.page("https://new.example.com/token", 200, TOKEN);
    site.take_urls();
    site.fetch(&source).await.unwrap_err();
    assert_eq!(site.take_urls(), ["https://login.example.com/token", OAUTH]);
    // The next fetch uses what was read.
    site.fetch(&source).await.unwrap();
    assert_eq!(site.take_urls(), ["https://new.example.com/token"]);
}

// shows: 8414/2b 8414/3.2a 8414/3.3 8414/4 8414/6.2
#[tokio::test]
async fn hostile_metadata_is_an_error_that_names_the_issuer() {
    let document = |issuer: &str, endpoint: &str| format!(r#"{{"issuer":"{issuer}","token_endpoint":"{endpoint}"}}"#);
    let good = "https://as.example.com/planted";
    let huge =
        format!("{{\"issuer\":\"{ISSUER}\",\"token_endpoint\":\"{good}\",\"x\":\"{}\"}}", "x".repeat(128 * 1024));
    for (status, body, words) in [
        (200, document("https://as.example.com/planted", good), "names another issuer; expected exactly this one"),
        (200, document("https://AS.example.com", good), "names another issuer"),
        (200, document("https://as.example.com/", good), "differs by a slash at the end"),
        (200, format!(r#"{{"token_endpoint":"{good}"}}"#), "names no issuer"),
        (200, r#"{"issuer":["https://as.example.com"]}"#.to_owned(), "names no issuer"),
        (200, format!(r#"{{"issuer":"{ISSUER}"}}"#), "has no `token_endpoint`"),
        (200, document(ISSUER, "http://as.example.com/planted"), "with plaintext `http://`"),
        (200, document(ISSUER, "HTTP://127.0.0.1/planted"), "with plaintext `http://`"),
        (200, document(ISSUER, "http://localhost/planted"), "with plaintext `http://`"),
        (200, document(ISSUER, "/planted"), "not an absolute URL"),
        (200, document(ISSUER, "https://id:planted@as.example.com/"), "not an absolute URL"),
        (200, document(ISSUER, "https://as.example.com/#planted"), "not an absolute URL"),
        (200, document(ISSUER, "ftp://as.example.com/planted"), "not an absolute URL"),
        (200, document(ISSUER, "https://as.example.com/?planted"), "with a query"),
        (200, document(ISSUER, ""), "not an absolute URL"),
        (200, huge, "which is more than 131072"),
        (200, "<p>planted</p>".to_owned(), "is not JSON"),
        (200, "[\"planted\"]".to_owned(), "is JSON, but not an object"),
        (200, "\u{0}".to_owned(), "is not JSON"),
        (302, document(ISSUER, good), "responded with 302 and a redirect"),
        (307, document(ISSUER, good), "responded with 307 and a redirect"),
        (401, document(ISSUER, good), "responded with 401 in place of its metadata"),
        (404, document(ISSUER, good), "responded with 404 in place of its metadata"),
        (500, document(ISSUER, good), "is in trouble"),
        (429, document(ISSUER, good), "is in trouble"),
    ] {
        let site = Site::default();
        site.page(OAUTH, status, body.clone());
        let error = site.fetch(&site.builder().build().unwrap()).await.unwrap_err();
        let text = format!("{error} {error:#} {error:?}");
        assert!(error.to_string().contains(words) && text.contains(ISSUER), "{status} {body:.80}: {error}");
        assert!(!text.contains("planted"), "{text}");
        assert!(site.take_urls().iter().all(|url| url.contains("/.well-known/")), "{status}");
        assert_eq!(error.is_transient(), matches!(status, 429 | 500), "{status}");
    }
    let site = Site::default();
    site.page(OAUTH, 200, "");
    let error = site.fetch(&site.builder().build().unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, true));
    assert!(error.to_string().contains("the metadata of the issuer https://as.example.com cannot be read"), "{error}");
}

#[tokio::test]
async fn wrong_metadata_is_reported_before_a_missing_page() {
    let site = Site::default();
    site.page(OPENID, 200, r#"{"issuer":"https://other.example.com"}"#);
    let error = site.fetch(&site.builder().build().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("names another issuer"), "{error}");
    assert_eq!(site.take_urls(), [OAUTH, OPENID]);
}

#[tokio::test]
async fn the_mtls_alias_is_used_by_choice_only() {
    let site = Site::new();
    let body = format!(
        r#"{{"issuer":"{ISSUER}","token_endpoint":"https://login.example.com/token",
            "mtls_endpoint_aliases":{{"token_endpoint":"https://mtls.example.com/token"}}}}"#
    );
    site.page(OAUTH, 200, body);
    site.page("https://mtls.example.com/token", 200, TOKEN);
    for (builder, url) in [
        (site.builder(), "https://login.example.com/token"),
        (site.builder().use_mtls_alias(), "https://mtls.example.com/token"),
    ] {
        site.fetch(&builder.build().unwrap()).await.unwrap();
        assert_eq!(site.take_urls(), [OAUTH, url]);
    }
    // Without an alias, the other one is the only one.
    site.metadata(OAUTH, "https://login.example.com/token");
    site.fetch(&site.builder().use_mtls_alias().build().unwrap()).await.unwrap();
    assert_eq!(site.take_urls(), [OAUTH, "https://login.example.com/token"]);
}

#[tokio::test]
async fn l34_plaintext_is_for_a_plaintext_issuer_only() {
    for (issuer, endpoint, allow) in [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/token", false),
        ("http://127.0.0.1:8080", "https://as.example.com/token", false),
        ("http://as.internal", "http://as.internal/token", true),
    ] {
        let site = Site::default();
        let metadata = format!(r#"{{"issuer":"{issuer}","token_endpoint":"{endpoint}"}}"#);
        site.page(&format!("{issuer}/.well-known/oauth-authorization-server"), 200, metadata);
        site.page(endpoint, 200, TOKEN);
        let builder = TokenEndpoint::discover(issuer, ClientCredentials::new()).transport(site.clone());
        let builder = if allow { builder.allow_plaintext() } else { builder };
        site.fetch(&builder.build().unwrap()).await.unwrap();
    }
    let error = TokenEndpoint::discover("http://as.internal", ClientCredentials::new()).build().unwrap_err();
    assert_eq!(error.problems()[0].path(), "issuer");

    // An issuer at loopback is no choice of plaintext to other hosts.
    let (issuer, endpoint) = ("http://localhost:8080", "http://as.example.com/token");
    let site = Site::default();
    let metadata = format!(r#"{{"issuer":"{issuer}","token_endpoint":"{endpoint}"}}"#);
    site.page(&format!("{issuer}/.well-known/oauth-authorization-server"), 200, metadata);
    site.page(endpoint, 200, TOKEN);
    let source = TokenEndpoint::discover(issuer, ClientCredentials::new()).transport(site.clone()).build().unwrap();
    let error = site.fetch(&source).await.unwrap_err().to_string();
    assert!(error.contains("with plaintext `http://`"), "{error}");
    assert!(!site.take_urls().iter().any(|url| url == endpoint));
}

#[test]
fn what_contradicts_a_discovery_is_a_problem() {
    for (builder, path) in [
        (TokenEndpoint::builder(URL, ClientCredentials::new()).use_mtls_alias(), "use_mtls_alias"),
        (TokenEndpoint::builder(URL, ClientCredentials::new()).issuer(""), "issuer"),
        (TokenEndpoint::builder(URL, ClientCredentials::new()).issuer("a\n"), "issuer"),
        (TokenEndpoint::discover("as.example.com", ClientCredentials::new()), "issuer"),
    ] {
        let error = builder.transport(Site::default()).build().unwrap_err();
        assert_eq!(error.problems().iter().map(crate::Problem::path).collect::<Vec<_>>(), [path]);
    }
}

#[tokio::test]
async fn a_discovered_endpoint_is_named_after_its_issuer() {
    let site = Site::new();
    site.page("https://login.example.com/token", 200, r#"{"access_token":"tok","expires_in":60}"#);
    let source = site.builder().build().unwrap();
    assert_eq!(source.name(), ISSUER);
    let provider = TokenProvider::builder(source)
        .allow_origin("https://api.example.com")
        .platform(site.clock.platform())
        .build()
        .unwrap();
    assert_eq!(provider.token().await.unwrap().secret(), "tok");
    let expires = Moment::new(Duration::ZERO, provider.token().await.unwrap().expires_at().unwrap());
    assert_eq!(expires.since_epoch() - site.clock.now().since_epoch(), Duration::from_secs(60));
}

#[cfg(feature = "jwt")]
mod assertions {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::Value;

    use super::*;
    use crate::jwt::{Algorithm, SigningKey};

    /// The header's `typ` and the `aud` of the last request's client assertion.
    fn sent(site: &Site) -> (String, String) {
        let requests = site.requests.lock().unwrap();
        let body = requests.last().unwrap().body().clone();
        let form: HashMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
        let part = |index| -> Value {
            let part = form["client_assertion"].split('.').nth(index).unwrap();
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        (part(0)["typ"].as_str().unwrap().to_owned(), part(1)["aud"].as_str().unwrap().to_owned())
    }

    // shows: 7523/bis-aud 9700/4.4.2
    #[tokio::test]
    async fn l21_the_audience_is_the_issuer_wherever_the_endpoint_is() {
        let key = || SigningKey::hmac(Algorithm::HS256, "planted-".repeat(8)).unwrap();
        let rule = |audience: &str| ("client-authentication+jwt".to_owned(), audience.to_owned());
        let url = "https://login.example.com/token";
        let discovered = || TokenEndpoint::discover(ISSUER, ClientCredentials::new());
        let known = || TokenEndpoint::builder(url, ClientCredentials::new());
        let auth = || ClientAuth::client_secret_jwt("id", key());
        for (builder, auth, expected) in [
            (discovered(), auth(), rule(ISSUER)),
            (known().issuer("https://tenant.example.com/"), auth(), rule("https://tenant.example.com/")),
            (known(), auth().audience_issuer("https://tenant.example.com/"), rule("https://tenant.example.com/")),
            (known(), auth(), ("JWT".to_owned(), url.to_owned())),
            (known(), auth().audience("other"), ("JWT".to_owned(), "other".to_owned())),
            (discovered(), auth().audience(url), ("JWT".to_owned(), url.to_owned())),
        ] {
            let site = Site::new();
            let source = builder.client_auth(auth).transport(site.clone()).build().unwrap();
            site.fetch(&source).await.unwrap();
            assert_eq!(sent(&site), expected);
            // Another endpoint in the metadata gets an assertion that is good for the issuer only.
            site.metadata(OAUTH, "https://evil.example.com/token");
            site.page("https://evil.example.com/token", 200, TOKEN);
            site.clock.advance(25 * HOUR);
            site.fetch(&source).await.unwrap();
            assert_eq!(sent(&site), expected);
        }
    }
}
