//! Whole fetches, against a transport that follows a script.

use std::{
    collections::VecDeque,
    error::Error as _,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};

use super::*;
use crate::{
    AccessToken, Error, ErrorKind, FetchContext, PassThrough, TokenSource,
    error::Retry,
    platform::{Clock, Platform},
    test_support::{ManualClock, first_fetch},
    token::{Expiry, FetchReason},
    transport::Transport,
};

#[cfg(feature = "jwt")]
mod assertions;
mod discovery;
mod federated;
mod refresh_token;
mod requests;
mod secret_file;
mod token_exchange;

const URL: &str = "https://as.example.com/token";

type Reply = Result<Response<Bytes>, Error>;

/// Responds as the script says, and keeps the requests. Every response takes three seconds.
#[derive(Clone, Default)]
struct Script {
    clock: ManualClock,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Script {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let script = Script::default();
        script.replies.lock().unwrap().extend(replies);
        script
    }

    fn context(&self) -> FetchContext {
        first_fetch(self.clock.platform())
    }

    fn bodies(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|request| String::from_utf8(request.body().to_vec()).unwrap()).collect()
    }
}

impl Transport for Script {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        self.requests.lock().unwrap().push(request);
        self.clock.advance(Duration::from_secs(3));
        self.replies.lock().unwrap().pop_front().expect("the script has ended")
    }
}

/// A grant whose parameters differ each time, and take two seconds to make.
struct Counting {
    clock: ManualClock,
    repeatable: bool,
    count: AtomicU64,
}

impl Counting {
    fn new(script: &Script, repeatable: bool) -> Self {
        Counting { clock: script.clock.clone(), repeatable, count: AtomicU64::new(1) }
    }
}

impl Grant for Counting {
    async fn parameters(&self, _cx: &FetchContext) -> Result<Parameters, Error> {
        self.clock.advance(Duration::from_secs(2));
        Ok(Parameters::new("count").with("n", self.count.fetch_add(1, Ordering::Relaxed).to_string()))
    }

    fn is_repeatable(&self) -> bool {
        self.repeatable
    }
}

fn reply(status: u16, body: &'static str) -> Reply {
    Ok(Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap())
}

fn broken(kind: ErrorKind) -> Reply {
    Err(Error::new(kind, "scripted"))
}

const TOKEN: &str = r#"{"access_token":"a token","token_type":"Bearer","expires_in":60}"#;

// shows: 6749/3.2a 6749/3.2c 6749/4.4.2a 8707/2e
#[tokio::test]
async fn the_request_is_a_form_with_every_parameter() {
    let script = Script::new([reply(200, TOKEN)]);
    let source = TokenEndpoint::builder("https://as.example.com/token?grant=x&account=7", ClientCredentials::new())
        .client_auth(ClientAuth::basic("client-id", "client-secret"))
        .scope("read write")
        .parameter("audience", "https://api.example.com/")
        .parameter("resource", "a")
        .parameter("resource", "b")
        .parameter("left_out", "")
        .header("X-Tenant", "seven")
        .header("x-tenant", "eight")
        .transport(script.clone())
        .build()
        .unwrap();
    let token = source.fetch(script.context()).await.unwrap();
    assert_eq!((token.secret(), token.expiry()), ("a token", Expiry::In(Duration::from_secs(60))));

    let requests = script.requests.lock().unwrap();
    let request = &requests[0];
    assert_eq!(request.method(), "POST");
    assert_eq!(*request.uri(), "https://as.example.com/token?grant=x&account=7");
    assert_eq!(
        request.body(),
        "grant_type=client_credentials&scope=read+write&audience=https%3A%2F%2Fapi.example.com%2F&resource=a&resource=b"
    );
    let headers = request.headers();
    assert_eq!(headers["accept"], "application/json");
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(headers["authorization"], "Basic Y2xpZW50LWlkOmNsaWVudC1zZWNyZXQ=");
    assert_eq!(headers.get_all("x-tenant").iter().collect::<Vec<_>>(), ["seven", "eight"]);
    assert!(headers["authorization"].is_sensitive() && headers["x-tenant"].is_sensitive());
    assert_eq!(headers["accept-encoding"], "identity");
    assert_eq!(headers.len(), 6);
    assert!(request.extensions().get::<PassThrough>().is_some());
}

#[tokio::test]
async fn the_grant_type_can_have_another_name() {
    let script = Script::new([reply(200, TOKEN)]);
    let source = TokenEndpoint::builder(URL, ClientCredentials::new())
        .client_auth(ClientAuth::post("id", "secret"))
        .grant_type("account_credentials")
        .transport(script.clone())
        .build()
        .unwrap();
    source.fetch(script.context()).await.unwrap();
    assert_eq!(script.bodies(), ["grant_type=account_credentials&client_id=id&client_secret=secret"]);
}

#[tokio::test]
async fn a_token_is_issued_when_its_request_is_sent() {
    let script = Script::new([broken(ErrorKind::Transport), reply(200, TOKEN)]);
    let source = TokenEndpoint::builder(URL, Counting::new(&script, true)).transport(script.clone()).build().unwrap();
    let start = script.clock.now();
    let token = source.fetch(script.context()).await.unwrap();
    // Two seconds for the first grant, three for the broken connection, two for the second grant.
    assert_eq!(token.issued_moment().unwrap(), start.after(Duration::from_secs(7)));
}

#[tokio::test]
async fn l44_l20_a_broken_connection_is_retried_with_a_new_request() {
    let script = Script::new([broken(ErrorKind::Transport), reply(200, TOKEN)]);
    let source = TokenEndpoint::builder(URL, Counting::new(&script, true)).transport(script.clone()).build().unwrap();
    assert!(source.fetch(script.context()).await.is_ok());
    assert_eq!(script.bodies(), ["grant_type=count&n=1", "grant_type=count&n=2"]);
}

#[tokio::test]
async fn l44_only_a_broken_connection_is_retried_once() {
    for (name, repeatable, replies, late, sent, kind) in [
        ("twice broken", true, vec![broken(ErrorKind::Transport); 2], 0, 2, ErrorKind::Transport),
        ("not repeatable", false, vec![broken(ErrorKind::Transport)], 0, 1, ErrorKind::Transport),
        ("too late", true, vec![broken(ErrorKind::Transport)], 6, 1, ErrorKind::Transport),
        ("timed out", true, vec![broken(ErrorKind::Timeout)], 0, 1, ErrorKind::Timeout),
        ("too large", true, vec![broken(ErrorKind::Response)], 0, 1, ErrorKind::Response),
        ("misconfigured", true, vec![broken(ErrorKind::Config)], 0, 1, ErrorKind::Config),
        ("outage", true, vec![reply(503, "")], 0, 1, ErrorKind::Unavailable),
        ("refused", true, vec![reply(400, r#"{"error":"invalid_grant"}"#)], 0, 1, ErrorKind::Refused),
        ("garbage", true, vec![reply(200, "garbage")], 0, 1, ErrorKind::Response),
    ] {
        let script = Script::new(replies);
        let grant = Counting::new(&script, repeatable);
        let source = TokenEndpoint::builder(URL, grant).transport(script.clone()).build().unwrap();
        let context = script.context();
        script.clock.advance(Duration::from_secs(late));
        let error = source.fetch(context).await.unwrap_err();
        assert_eq!((error.kind(), script.bodies().len()), (kind, sent), "{name}");
    }
}

#[tokio::test]
async fn a_failed_grant_sends_nothing_and_is_final() {
    struct Failing(AtomicU64);
    impl Grant for Failing {
        async fn parameters(&self, _cx: &FetchContext) -> Result<Parameters, Error> {
            assert_eq!(self.0.fetch_add(1, Ordering::Relaxed), 0);
            Err(Error::new(ErrorKind::Transport, "the vault is away"))
        }
    }
    let script = Script::default();
    let source = TokenEndpoint::builder(URL, Failing(AtomicU64::new(0))).transport(script.clone()).build().unwrap();
    assert_eq!(source.fetch(script.context()).await.unwrap_err().to_string(), "the vault is away");
    assert!(script.bodies().is_empty());
}

#[tokio::test]
async fn retry_after_dates_count_from_the_platforms_clock() {
    let mut unavailable = reply(503, "").unwrap();
    // The clock starts at 08:49:37, and the response takes three seconds.
    unavailable.headers_mut().insert("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT".parse().unwrap());
    let script = Script::new([Ok(unavailable)]);
    let source = TokenEndpoint::builder(URL, ClientCredentials::new()).transport(script.clone()).build().unwrap();
    let error = source.fetch(script.context()).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Later { after: Some(Duration::from_secs(27)) });
}

#[tokio::test]
async fn special_characters_in_a_refused_login_hint_at_encoding() {
    for (auth, hint) in [
        (ClientAuth::basic("id", "mar/ker"), Some("try `ClientAuth::basic_raw`")),
        (ClientAuth::basic("id", "marker"), None),
        (ClientAuth::post("id", "mar/ker"), None),
    ] {
        let script = Script::new([reply(401, r#"{"error":"invalid_client"}"#)]);
        let source = TokenEndpoint::builder(URL, ClientCredentials::new())
            .client_auth(auth.clone())
            .transport(script.clone())
            .build()
            .unwrap();
        let text = source.fetch(script.context()).await.unwrap_err().to_string();
        assert_eq!(text.contains("basic_raw"), hint.is_some(), "{auth:?}: {text}");
        assert!(text.contains(hint.unwrap_or_default()) && !text.contains("mar/ker") && !text.contains("marker"));
    }
}

#[test]
fn all_problems_are_reported_at_once_without_secrets() {
    let error = TokenEndpoint::builder("http://as.example.com/marker#marker", ClientCredentials::new())
        .client_auth(ClientAuth::basic("", "mar\nker"))
        .grant_type("")
        .scope("a")
        .parameter("scope", "b")
        .parameter("", "marker")
        .parameter("client_secret", "marker")
        .parameter("client_assertion", "marker")
        .parameter("assertion", "marker")
        .parameter("grant_type", "marker")
        .header("no header", "marker")
        .header("x-ok", "mar\nker")
        .header("Content-Type", "application/json")
        .header("Authorization", "marker")
        .keep("access_token")
        .accept_token_type("DPoP")
        .transport(Script::default())
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let paths: Vec<_> = error.problems().iter().map(crate::Problem::path).collect();
    assert_eq!(
        paths,
        [
            "url",
            "client_auth.client_id",
            "client_auth.client_secret",
            "parameter.scope",
            "parameter",
            "parameter.client_secret",
            "parameter.client_assertion",
            "parameter.assertion",
            "parameter.grant_type",
            "grant_type",
            "header",
            "header.x-ok",
            "header.content-type",
            "header.authorization",
            "accept_token_type",
            "keep",
        ]
    );
    assert!(!format!("{error} {error:?}").contains("marker"), "{error}");
}

// shows: 6749/2.3 6749/3.2e 7523/2.2b
#[test]
fn only_one_side_sends_the_client_id() {
    let build = |auth| {
        let builder = TokenEndpoint::builder(URL, ClientCredentials::new()).parameter("client_id", "id");
        builder.client_auth(auth).transport(Script::default()).build()
    };
    // Some servers want it beside Basic.
    assert!(build(ClientAuth::basic("id", "secret")).is_ok());
    let error = build(ClientAuth::public("id")).unwrap_err();
    assert_eq!(error.problems()[0].path(), "parameter.client_id");
}

#[cfg(not(feature = "http-transport"))]
#[test]
fn without_a_transport_the_error_names_the_way_out() {
    let error = TokenEndpoint::builder(URL, ClientCredentials::new()).build().unwrap_err();
    assert!(error.to_string().contains(".transport(..)") && error.to_string().contains("`http-transport`"), "{error}");
}

#[tokio::test]
async fn l38_no_secret_or_server_text_is_shown() {
    const SECRETS: [&str; 6] =
        ["planted-secret", "planted-param", "planted-header", "planted-query", "planted-body", "planted-grant"];
    let show = |what: &dyn fmt::Debug| {
        let text = format!("{what:?} {what:#?}");
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    };
    let replies = [
        reply(200, r#"{"access_token":"planted-body","token_type":"planted-body"}"#),
        reply(200, r#"{"error":"planted-body","error_description":"planted-body"}"#),
        reply(200, "planted-body"),
        reply(302, "planted-body"),
        reply(401, r#"{"error":"invalid_client","error_description":"planted-body","error_uri":"planted-body"}"#),
        reply(500, "planted-body"),
    ];
    let script = Script::new(replies);
    for auth in [
        ClientAuth::basic("id", "planted-secret"),
        ClientAuth::basic_raw("id", "planted-secret"),
        ClientAuth::post("id", "planted-secret"),
    ] {
        show(&auth);
        let builder =
            TokenEndpoint::builder("https://as.example.com/token?key=planted-query", ClientCredentials::new())
                .client_auth(auth)
                .parameter("account_key", "planted-param")
                .header("x-key", "planted-header")
                .transport(script.clone());
        show(&builder);
        let source = builder.build().unwrap();
        show(&source);
        for _ in 0..2 {
            let error = source.fetch(script.context()).await.unwrap_err();
            show(&error);
            show(&error.to_string());
            assert!(error.source().is_none());
        }
    }
    show(&Parameters::new("password").with("password", "planted-grant"));
    let requests = script.requests.lock().unwrap();
    assert_eq!(requests.len(), 6);
    // A transport that logs its requests shows no credentials of a header either.
    assert!(requests.iter().all(|request| !format!("{:?}", request.headers()).contains("planted")));
}
