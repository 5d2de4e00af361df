//! Logins at a small authorization server, with a person who consents, refuses or is attacked.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Form, Json, Router, extract::State, http::HeaderMap, response::IntoResponse, routing};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::{Config, Ended, cli, command};

const REFRESH_TOKEN: &str = "planted-refresh-token-0123";

/// The authorization server: what it was asked, and how it responds.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    forms: Vec<Vec<(String, String)>>,
    authorizations: Vec<Option<String>>,
    /// When each request arrived.
    times: Vec<Instant>,
    /// The responses to polls, before the token.
    polls: Vec<&'static str>,
    issuer: String,
}

impl Server {
    async fn start() -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::default();
        server.0.lock().unwrap().issuer.clone_from(&url);
        let routes = Router::new()
            .route("/token", routing::post(token))
            .route("/device", routing::post(device))
            .route("/.well-known/openid-configuration", routing::get(metadata))
            .with_state(server.clone());
        // It ends with the test's runtime.
        #[allow(clippy::disallowed_methods, reason = "a server of a test")]
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (server, url)
    }

    fn keep(&self, headers: &HeaderMap, form: Vec<(String, String)>) {
        let mut seen = self.0.lock().unwrap();
        seen.authorizations.push(headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()));
        seen.forms.push(form);
        #[allow(clippy::disallowed_methods, reason = "the command waits in real time")]
        seen.times.push(Instant::now());
    }

    /// A parameter of the last request.
    fn last(&self, name: &str) -> Option<String> {
        let seen = self.0.lock().unwrap();
        seen.forms.last()?.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
    }
}

async fn metadata(State(server): State<Server>) -> Json<Value> {
    let issuer = server.0.lock().unwrap().issuer.clone();
    Json(json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/token"),
        "authorization_endpoint": format!("{issuer}/authorize"),
        "device_authorization_endpoint": format!("{issuer}/device"),
    }))
}

async fn device(
    State(server): State<Server>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Json<Value> {
    server.keep(&headers, form);
    let page = "https://as.example.com/device";
    let code = "WDJB-MJHT\u{1b}[2J";
    Json(json!({ "device_code": "d", "user_code": code, "verification_uri": page, "expires_in": 60, "interval": 1 }))
}

async fn token(
    State(server): State<Server>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> impl IntoResponse {
    server.keep(&headers, form);
    if let Some(error) = server.0.lock().unwrap().polls.pop() {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": error })));
    }
    let token =
        json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 600, "refresh_token": REFRESH_TOKEN });
    (StatusCode::OK, Json(token))
}

fn config(url: &str) -> Config {
    let text = format!(
        r#"
        [refresh_token]
        file = "refresh.json"
        [token_endpoint]
        url = "{url}/token"
        scope = "read"
        client = {{ id = "app", secret = "planted-client-secret" }}
        "#
    );
    Config::new("login.toml", text)
}

/// A login in a browser on this machine: the command, and the page that it names.
struct Browser {
    child: tokio::process::Child,
    err: BufReader<tokio::process::ChildStderr>,
    page: Url,
}

impl Browser {
    async fn open(line: &[&str]) -> Self {
        let mut child = command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut text = String::new();
        while !text.trim_start().starts_with("http") {
            text.clear();
            assert!(err.read_line(&mut text).await.unwrap() > 0, "no page");
        }
        Browser { child, err, page: Url::parse(text.trim()).unwrap() }
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.page.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }

    /// Redirects to the command, and returns the status of its page.
    async fn redirect(&self, parameters: &[(&str, &str)]) -> StatusCode {
        let url = Url::parse_with_params(&self.parameter("redirect_uri").unwrap(), parameters).unwrap();
        reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap().status()
    }

    async fn end(mut self) -> Ended {
        let (mut out, mut err) = (String::new(), String::new());
        self.err.read_to_string(&mut err).await.unwrap();
        self.child.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
        Ended { status: self.child.wait().await.unwrap().code().unwrap(), out, err }
    }
}

/// What the provider sends afterwards.
async fn assert_stored(server: &Server, config: &Config) {
    let stored = std::fs::read_to_string(config.directory.path().join("refresh.json")).unwrap();
    assert!(stored.contains(REFRESH_TOKEN));
    cli(&["token", "--config", &config.path]).await.assert_status(0);
    assert_eq!(server.last("refresh_token").as_deref(), Some(REFRESH_TOKEN));
}

fn assert_nothing_secret(ended: &Ended) {
    assert!(!ended.all().contains("planted"), "{}", ended.all());
}

// shows: 6749/3.1c 6749/3.1.1 6749/3.1.2 6749/3.1.2.3 6749/3.2.1b 6749/4.1.1a 6749/4.1.3
#[tokio::test]
async fn a_browser_login_ends_in_the_store() {
    let (server, url) = Server::start().await;
    let config = config(&url);
    let authorize = format!("{url}/authorize");
    let line =
        ["login", "--config", &config.path, "--authorization-url", &authorize, "--parameter", "access_type=offline"];
    let browser = Browser::open(&line).await;
    assert!(browser.page.as_str().starts_with(&authorize));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "app"),
        ("scope", "read"),
        ("code_challenge_method", "S256"),
        ("access_type", "offline"),
    ] {
        assert_eq!(browser.parameter(name).as_deref(), Some(value), "{name}");
    }
    assert!(browser.parameter("redirect_uri").unwrap().starts_with("http://127.0.0.1:"));

    let (state, challenge) = (browser.parameter("state").unwrap(), browser.parameter("code_challenge").unwrap());
    assert_eq!(browser.redirect(&[("code", "the-code"), ("state", &state)]).await, 200);
    let ended = browser.end().await;
    ended.assert_status(0);
    assert_nothing_secret(&ended);
    assert_eq!(server.last("code").as_deref(), Some("the-code"));
    let verifier = server.last("code_verifier").unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(digest), challenge);
    // As the configuration says, and in one way only.
    assert!(server.0.lock().unwrap().authorizations.last().unwrap().as_ref().unwrap().starts_with("Basic "));
    assert_eq!((server.last("client_id"), server.last("client_secret")), (None, None));
    assert_stored(&server, &config).await;
}

// shows: 6749/4.1.1b 6749/10.12 9700/2.1
#[tokio::test]
async fn a_redirect_with_another_state_is_not_taken() {
    let (server, url) = Server::start().await;
    let config = config(&url);
    let browser = Browser::open(&["login", "--config", &config.path, "--issuer", &url]).await;
    let state = browser.parameter("state").unwrap();
    for parameters in [
        &[("code", "injected"), ("state", "guessed")][..],
        &[("code", "injected")],
        &[("error", "access_denied"), ("state", "guessed")],
        &[("code", "injected"), ("state", &state), ("iss", "https://attacker.example.com")],
    ] {
        assert_eq!(browser.redirect(parameters).await, 400, "{parameters:?}");
    }
    assert!(server.0.lock().unwrap().forms.is_empty());
    assert_eq!(browser.redirect(&[("code", "right"), ("state", &state), ("iss", &url)]).await, 200);
    browser.end().await.assert_status(0);
    assert_eq!(server.last("code").as_deref(), Some("right"));
}

#[tokio::test]
async fn a_refused_consent_stores_nothing() {
    let (server, url) = Server::start().await;
    let config = config(&url);
    let browser = Browser::open(&["login", "--config", &config.path, "--issuer", &url]).await;
    let state = browser.parameter("state").unwrap();
    browser.redirect(&[("error", "access_denied"), ("state", &state)]).await;
    let ended = browser.end().await;
    ended.assert_status(1);
    assert!(ended.err.contains("without a code"), "{}", ended.err);
    assert!(server.0.lock().unwrap().forms.is_empty() && !config.directory.path().join("refresh.json").exists());
}

// shows: 8628/3.1 8628/3.3a 8628/3.3b 8628/3.4a 8628/3.4b 8628/3.5a
#[tokio::test]
async fn a_device_login_polls_until_consent() {
    let (server, url) = Server::start().await;
    let config = config(&url);
    server.0.lock().unwrap().polls = vec!["authorization_pending"];
    let ended =
        cli(&["login", "--config", &config.path, "--issuer", &url, "--device", "--scope", "read offline_access"]).await;
    ended.assert_status(0);
    assert!(ended.err.contains("https://as.example.com/device") && ended.err.contains("WDJB-MJHT"), "{}", ended.err);
    // What a server sends is not written to a terminal as it is.
    assert!(!ended.err.contains('\u{1b}'), "{}", ended.err);
    assert_nothing_secret(&ended);
    let forms = server.0.lock().unwrap().forms.clone();
    assert_eq!(forms.len(), 3);
    assert!(forms[0].contains(&("scope".into(), "read offline_access".into())), "{forms:?}");
    for poll in &forms[1..] {
        assert!(poll.contains(&("device_code".into(), "d".into())), "{poll:?}");
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        assert!(poll.contains(&("grant_type".into(), grant.into())), "{poll:?}");
    }
    let (authorizations, times) = {
        let seen = server.0.lock().unwrap();
        (seen.authorizations.clone(), seen.times.clone())
    };
    assert!(authorizations.iter().all(Option::is_some), "HTTP Basic each time: {authorizations:?}");
    // The interval of the response, in seconds.
    assert!(times[2] - times[1] >= Duration::from_secs(1), "{times:?}");
    assert_stored(&server, &config).await;
}

// shows: 8628/3.5d
#[tokio::test]
async fn a_refused_device_login_names_the_code() {
    let device_url = |url: &str| format!("{url}/device");
    for flag in [&[][..], &["--device"]] {
        let (server, url) = Server::start().await;
        let config = config(&url);
        server.0.lock().unwrap().polls = vec!["access_denied"];
        let line = ["login", "--config", &config.path, "--device-url", &device_url(&url)];
        let ended = cli(&[&line, flag].concat()).await;
        ended.assert_status(4);
        assert!(ended.err.contains("code:  access_denied\n"), "{}", ended.err);
        assert_eq!(server.0.lock().unwrap().forms.len(), 2, "it does not poll again");
    }
}

// shows: 6749/3.1b 6749/10.5
#[tokio::test]
async fn a_login_needs_a_store_and_private_endpoints() {
    let (_, url) = Server::start().await;
    let good = config(&url);
    for (config, line, status, named) in [
        (&Config::new("none.toml", "token = \"t\""), &["--issuer", &url][..], 3, "refresh_token"),
        (&good, &["--authorization-url", "http://as.example.com/authorize"], 2, "https"),
        (&good, &["--issuer", "http://as.example.com"], 2, "https"),
        (&good, &["--issuer", &format!("{url}/tenant")], 4, "--device-url"),
    ] {
        let ended = cli(&[&["login", "--config", &config.path], line].concat()).await;
        ended.assert_status(status);
        assert!(ended.err.contains(named), "{line:?}: {}", ended.err);
    }
}

#[tokio::test]
async fn an_issuer_that_is_down_is_told_from_one_without_metadata() {
    for (status, expected, words) in [
        (StatusCode::SERVICE_UNAVAILABLE, 5, "try again later"),
        (StatusCode::NOT_FOUND, 4, "`token_endpoint.url` in the configuration"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(move || async move { status });
        // It ends with the test's runtime.
        #[allow(clippy::disallowed_methods, reason = "a server of a test")]
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let config = config(&url);
        let ended = cli(&["login", "--config", &config.path, "--issuer", &url]).await;
        ended.assert_status(expected);
        assert!(ended.err.contains(words), "{status}: {}", ended.err);
    }
}

#[tokio::test]
async fn a_login_without_a_token_endpoint_names_both_ways() {
    let (_, url) = Server::start().await;
    let text = format!(
        r#"
        [refresh_token]
        file = "refresh.json"
        [token_endpoint]
        issuer = "{url}"
        client = {{ id = "app", secret = "planted-client-secret" }}
        "#
    );
    let config = Config::new("discovered.toml", text);
    let line = ["login", "--config", &config.path, "--device-url", &format!("{url}/device")];
    let ended = cli(&line).await;
    ended.assert_status(2);
    assert!(ended.err.contains("`token_endpoint.url`") && ended.err.contains("`--issuer`"), "{}", ended.err);
    assert_nothing_secret(&ended);
}
