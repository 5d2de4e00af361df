//! The refresh token grant, with a transport that follows a script and a store that fails when it is told to.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tokio::sync::Notify;

use super::*;
use crate::{
    oauth::RefreshToken,
    source::StaticToken,
    source::TokenSource,
    store::{Lease, MemoryStore, RefreshTokenStore, StoredToken},
    test_support::NoSpawn,
};

/// A response with a new refresh token.
macro_rules! rotated {
    ($token:literal) => {
        reply(
            200,
            concat!(r#"{"access_token":"for-"#, $token, r#"","expires_in":60,"refresh_token":""#, $token, r#""}"#),
        )
    };
}

/// A store whose saving can be made to fail or to wait.
#[derive(Clone, Default)]
struct Moody(Arc<Mood>);

#[derive(Default)]
struct Mood {
    kept: MemoryStore,
    broken: std::sync::atomic::AtomicBool,
    slow: std::sync::atomic::AtomicBool,
    savings: AtomicU64,
    go: Notify,
}

impl Moody {
    fn new(token: &str) -> Self {
        let moody = Moody::default();
        moody.0.kept.set(Some(StoredToken::new(token)));
        moody
    }

    fn break_down(&self, broken: bool) {
        self.0.broken.store(broken, Ordering::Relaxed);
    }

    fn hold(&self) {
        self.0.slow.store(true, Ordering::Relaxed);
    }

    fn release(&self) {
        self.0.slow.store(false, Ordering::Relaxed);
        self.0.go.notify_waiters();
    }

    fn token(&self) -> String {
        self.0.kept.get().map(|kept| kept.secret().to_owned()).unwrap_or_default()
    }
}

impl RefreshTokenStore for Moody {
    async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        self.0.kept.load(platform).await
    }

    async fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> Result<bool, Error> {
        self.0.savings.fetch_add(1, Ordering::Relaxed);
        if self.0.slow.load(Ordering::Relaxed) {
            self.0.go.notified().await;
        }
        if self.0.broken.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Source, "the disk is full"));
        }
        self.0.kept.swap(platform, seen, next).await
    }
}

fn endpoint(script: &Script, grant: &RefreshToken) -> TokenEndpoint {
    let builder = TokenEndpoint::builder(URL, grant.clone()).client_auth(ClientAuth::public("app"));
    builder.transport(script.clone()).build().unwrap()
}

/// The access token of one fetch.
async fn fetch(script: &Script, grant: &RefreshToken) -> Result<String, Error> {
    endpoint(script, grant).fetch(script.context()).await.map(|token| token.secret().to_owned())
}

/// The refresh tokens that were sent.
fn sent(script: &Script) -> Vec<String> {
    let token = |body: &String| {
        let form: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        form.iter().find(|(name, _)| name == "refresh_token").map(|(_, token)| token.clone()).unwrap_or_default()
    };
    script.bodies().iter().map(token).collect()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

const GONE: &str = r#"{"error":"invalid_grant"}"#;

#[tokio::test]
async fn the_next_fetch_sends_the_successor() {
    let script = Script::new([rotated!("r2"), rotated!("r3")]);
    let store = MemoryStore::new("r 1");
    let grant = RefreshToken::new(store.clone());
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-r2");
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-r3");
    assert_eq!(script.bodies()[0], "grant_type=refresh_token&refresh_token=r+1&client_id=app");
    assert_eq!(sent(&script), ["r 1", "r2"]);
    assert_eq!(store.get(), Some(StoredToken::new("r3")));
}

#[tokio::test]
async fn without_a_new_refresh_token_the_old_one_stays() {
    for body in [
        r#"{"access_token":"a"}"#,
        r#"{"access_token":"a","refresh_token":null}"#,
        r#"{"access_token":"a","refresh_token":""}"#,
        r#"{"access_token":"a","refresh_token":"r1"}"#,
    ] {
        let script = Script::new([reply(200, body)]);
        let store = Moody::new("r1");
        // There is nothing to save.
        store.break_down(true);
        assert_eq!(fetch(&script, &RefreshToken::new(store.clone())).await.unwrap(), "a");
        assert_eq!(store.token(), "r1", "{body}");
    }
}

#[tokio::test]
async fn a_scope_is_sent_only_if_one_was_set() {
    let script = Script::new([rotated!("r2"), rotated!("r3")]);
    let grant = RefreshToken::new(MemoryStore::new("r1"));
    fetch(&script, &grant).await.unwrap();
    let endpoint = TokenEndpoint::builder(URL, grant).scope("read").transport(script.clone()).build().unwrap();
    endpoint.fetch(script.context()).await.unwrap();
    let scopes: Vec<_> = script.bodies().iter().map(|body| body.contains("scope=read")).collect();
    assert_eq!(scopes, [false, true]);
}

#[tokio::test]
async fn other_grants_ignore_a_refresh_token() {
    let script = Script::new([rotated!("r2"), rotated!("r3")]);
    let source = TokenEndpoint::builder(URL, ClientCredentials::new())
        .client_auth(ClientAuth::post("id", "secret"))
        .transport(script.clone())
        .build()
        .unwrap();
    for _ in 0..2 {
        source.fetch(script.context()).await.unwrap();
    }
    assert_eq!(sent(&script), ["", ""], "RFC 6749 section 4.4.3");
}

#[tokio::test]
async fn l27_the_access_token_waits_for_the_save() {
    let script = Script::new([rotated!("r2")]);
    let store = Moody::new("r1");
    store.hold();
    let grant = RefreshToken::new(store.clone());
    let mut fetch = pin!(fetch(&script, &grant));
    for _ in 0..10 {
        assert!(poll(fetch.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!((sent(&script).len(), store.token().as_str()), (1, "r1"));
    store.release();
    assert_eq!(fetch.await.unwrap(), "for-r2");
    assert_eq!(store.token(), "r2");
}

#[tokio::test]
async fn l27_an_unsaved_token_is_saved_before_anything_else() {
    let script = Script::new([rotated!("r2"), rotated!("r3")]);
    let store = Moody::new("r1");
    store.break_down(true);
    let grant = RefreshToken::new(store.clone());
    for _ in 0..3 {
        let error = fetch(&script, &grant).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source);
        assert!(error.is_transient());
        assert_eq!(error.source().unwrap().to_string(), "the disk is full");
    }
    assert_eq!(sent(&script), ["r1"], "nothing is sent that could cost another one");
    store.break_down(false);
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-r3");
    assert_eq!(sent(&script), ["r1", "r2"]);
    assert_eq!(store.token(), "r3");
}

#[tokio::test]
async fn l27_saving_goes_on_when_the_fetch_is_dropped() {
    let script = Script::new([rotated!("r2"), rotated!("r3")]);
    let store = Moody::new("r1");
    store.hold();
    let grant = RefreshToken::new(store.clone());
    {
        let mut fetch = pin!(fetch(&script, &grant));
        assert!(poll(fetch.as_mut()).is_pending());
    }
    tokio::task::yield_now().await;
    assert_eq!(store.token(), "r1");
    store.release();
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.token(), "r2", "although no fetch waited");
    fetch(&script, &grant).await.unwrap();
    assert_eq!(sent(&script), ["r1", "r2"]);
}

#[tokio::test]
async fn l27_without_a_spawner_the_next_fetch_saves() {
    let script = Script::new([rotated!("r2"), rotated!("r3")]);
    let store = Moody::new("r1");
    store.hold();
    let grant = RefreshToken::new(store.clone());
    let context = || first_fetch(script.clock.platform().with_spawn(NoSpawn::default()));
    let endpoint = endpoint(&script, &grant);
    {
        let mut fetch = pin!(endpoint.fetch(context()));
        assert!(poll(fetch.as_mut()).is_pending());
    }
    store.release();
    tokio::task::yield_now().await;
    assert_eq!(store.token(), "r1", "there was no task to save it");
    assert_eq!(endpoint.fetch(context()).await.unwrap().secret(), "for-r3");
    assert_eq!(sent(&script), ["r1", "r2"]);
}

#[tokio::test]
async fn l27_only_the_next_fetch_repeats_a_lost_request() {
    let script = Script::new([broken(ErrorKind::Transport), rotated!("r2"), rotated!("r3"), rotated!("r4")]);
    let store = Moody::new("r1");
    let grant = RefreshToken::new(store.clone());
    assert_eq!(fetch(&script, &grant).await.unwrap_err().kind(), ErrorKind::Transport);
    assert_eq!(sent(&script), ["r1"]);

    // The process crashes before the new refresh token is saved, and is restarted.
    store.break_down(true);
    fetch(&script, &grant).await.unwrap_err();
    drop(grant);
    store.break_down(false);
    let grant = RefreshToken::new(store.clone());
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-r3");
    // And once more, after it was saved.
    drop(grant);
    assert_eq!(fetch(&script, &RefreshToken::new(store.clone())).await.unwrap(), "for-r4");
    assert_eq!(sent(&script), ["r1", "r1", "r1", "r3"]);
}

#[tokio::test]
async fn l44_a_reusable_token_is_repeated_at_once() {
    let script = Script::new([broken(ErrorKind::Transport), reply(200, TOKEN)]);
    assert!(fetch(&script, &RefreshToken::new(MemoryStore::new("r1")).reusable()).await.is_ok());
    assert_eq!(sent(&script), ["r1", "r1"]);
}

#[tokio::test]
async fn l27_an_unusable_access_token_does_not_stop_the_save() {
    for body in [
        r#"{"access_token":"a","token_type":"DPoP","refresh_token":"r2"}"#,
        r#"{"access_token":"","refresh_token":"r2"}"#,
        r#"{"refresh_token":"r2"}"#,
        r#"{"access_token":"a","expires_in":-5,"refresh_token":"r2"}"#,
    ] {
        let script = Script::new([reply(200, body)]);
        let store = MemoryStore::new("r1");
        let error = fetch(&script, &RefreshToken::new(store.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Response, "{body}");
        assert_eq!(store.get(), Some(StoredToken::new("r2")), "{body}");
    }
}

#[tokio::test]
async fn l19_an_outage_never_costs_the_refresh_token() {
    for (status, body) in [
        (500, GONE),
        (503, GONE),
        (503, r#"{"error":"invalid_grant","refresh_token":"r9"}"#),
        (429, GONE),
        (408, GONE),
        (502, "<html>"),
        (400, r#"{"error":"temporarily_unavailable","refresh_token":"r9"}"#),
        (401, r#"{"error":"invalid_client"}"#),
        (400, r#"{"error":"invalid_scope"}"#),
        (404, ""),
        (200, r#"{"error":"unknown words","refresh_token":"r9"}"#),
        (200, "garbage"),
        (302, ""),
    ] {
        let script = Script::new([reply(status, body), rotated!("r2")]);
        let store = MemoryStore::new("r1");
        let grant = RefreshToken::new(store.clone());
        fetch(&script, &grant).await.unwrap_err();
        assert_eq!(store.get(), Some(StoredToken::new("r1")), "{status} {body}");
        assert_eq!(fetch(&script, &grant).await.unwrap(), "for-r2", "{status} {body}");
        assert_eq!(sent(&script), ["r1", "r1"]);
    }
}

#[tokio::test]
async fn a_refused_token_stays_stored_and_unsent() {
    for (status, body, code) in [
        (400, GONE, "invalid_grant"),
        (401, GONE, "invalid_grant"),
        (200, r#"{"error":"bad_refresh_token"}"#, "bad_refresh_token"),
    ] {
        let script = Script::new([reply(status, body), reply(status, body), rotated!("r2")]);
        let store = MemoryStore::new("r1");
        let grant = RefreshToken::new(store.clone());
        for _ in 0..3 {
            let error = fetch(&script, &grant).await.unwrap_err();
            assert_eq!((error.kind(), error.oauth_code()), (ErrorKind::Refused, Some(code)));
            assert_eq!(error.retry(), Retry::AfterChange);
            assert!(error.to_string().contains("has to consent again"), "{error}");
            assert!(error.source().unwrap().to_string().contains(&status.to_string()), "what the server said");
            script.clock.advance(Duration::from_secs(60));
        }
        assert_eq!(sent(&script), ["r1"]);
        assert_eq!(store.get(), Some(StoredToken::new("r1")));

        // An explicit refresh returns what the server says now.
        let by_hand =
            FetchContext::new(script.context().platform().clone(), Duration::from_secs(10), FetchReason::Requested);
        endpoint(&script, &grant).fetch(by_hand).await.unwrap_err();
        assert_eq!(sent(&script).len(), 2);
        // L07: no error is for ever.
        script.clock.advance(Duration::from_secs(300));
        assert_eq!(fetch(&script, &grant).await.unwrap(), "for-r2");
    }
}

#[tokio::test]
async fn l58_a_token_refused_in_other_words_is_gone() {
    for (status, body) in [
        (400, ""),
        (400, r#"{"error":"invalid_request"}"#),
        (400, r#"{"error":"invalid_request","error_description":"refresh token is invalid"}"#),
        (400, r#"{"error":"refresh_token_expired"}"#),
        (400, r#"{"message":"token revoked"}"#),
        (400, "<html>no</html>"),
        (401, ""),
        (401, r#"{"message":"Unauthorized"}"#),
        (403, ""),
        (403, "<html>no</html>"),
        (403, r#"{"error":"access_denied"}"#),
        (422, r#"{"error":{"code":"expired"}}"#),
    ] {
        let script = Script::new([reply(status, body), rotated!("r2")]);
        let store = MemoryStore::new("r1");
        let grant = RefreshToken::new(store.clone());
        for _ in 0..3 {
            let error = fetch(&script, &grant).await.unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Refused, Retry::AfterChange), "{status} {body}");
            assert!(error.to_string().contains("probably gone"), "{error}");
            assert!(error.source().unwrap().to_string().contains(&status.to_string()), "the server's response");
            script.clock.advance(Duration::from_secs(60));
        }
        assert_eq!(sent(&script), ["r1"], "{status} {body}");
        assert_eq!(store.get(), Some(StoredToken::new("r1")), "servers make mistakes");
        script.clock.advance(Duration::from_secs(300));
        assert_eq!(fetch(&script, &grant).await.unwrap(), "for-r2", "no error is for ever");
    }
}

#[tokio::test]
async fn l58_a_challenge_for_the_client_is_no_verdict() {
    let challenge = |scheme: &str| {
        reply(401, "").map(|mut response| {
            response.headers_mut().insert("www-authenticate", scheme.parse().unwrap());
            response
        })
    };
    for (scheme, is_gone) in [("Basic realm=\"as\"", false), ("Bearer error=\"invalid_token\"", true)] {
        let script = Script::new([challenge(scheme), rotated!("r2")]);
        let grant = RefreshToken::new(MemoryStore::new("r1"));
        fetch(&script, &grant).await.unwrap_err();
        assert_eq!(fetch(&script, &grant).await.is_err(), is_gone, "{scheme}");
    }
}

#[tokio::test]
async fn l07_a_new_stored_token_needs_no_restart() {
    let script = Script::new([reply(400, GONE), rotated!("s2"), rotated!("t2")]);
    let store = MemoryStore::default();
    let grant = RefreshToken::new(store.clone());
    let error = fetch(&script, &grant).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Source, Retry::AfterChange));
    assert!(error.to_string().contains("has to consent first"), "{error}");
    store.set(Some(StoredToken::new("r1")));
    fetch(&script, &grant).await.unwrap_err();
    // Another program writes into the store, or this one does.
    store.set(Some(StoredToken::new("s1")));
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-s2");
    grant.replace(&Platform::system(), "t1").await.unwrap();
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-t2");
    assert_eq!(sent(&script), ["r1", "s1", "t1"]);
    grant.clear(&Platform::system()).await.unwrap();
    assert_eq!(store.get(), None);
    assert!(fetch(&script, &grant).await.unwrap_err().to_string().contains("has to consent first"));
}

#[tokio::test]
async fn a_new_consent_replaces_a_pending_successor() {
    let script = Script::new([rotated!("r2"), rotated!("s2")]);
    let store = Moody::new("r1");
    store.break_down(true);
    let grant = RefreshToken::new(store.clone());
    fetch(&script, &grant).await.unwrap_err();
    store.break_down(false);
    store.0.kept.set(Some(StoredToken::new("s1")));
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-s2");
    assert_eq!(sent(&script), ["r1", "s1"], "`r2` was dropped");
}

#[tokio::test]
async fn a_pending_successor_ends_with_the_sign_out() {
    let script = Script::new([rotated!("i2"), rotated!("i3")]);
    let store = Moody::default();
    store.break_down(true);
    let grant = RefreshToken::new(store.clone()).initial("i1");
    fetch(&script, &grant).await.unwrap_err();
    store.break_down(false);
    grant.clear(&Platform::system()).await.unwrap();
    fetch(&script, &grant).await.unwrap();
    assert_eq!(sent(&script), ["i1", "i1"], "`i2` was forgotten");
}

#[tokio::test]
async fn l27_a_slow_save_still_keeps_others_out() {
    let script = Script::new([rotated!("r2"), rotated!("r3")]);
    let store = Moody::new("r1");
    store.hold();
    let grant = RefreshToken::new(store.clone());
    {
        let mut first = pin!(fetch(&script, &grant));
        assert!(poll(first.as_mut()).is_pending());
    }
    tokio::task::yield_now().await;
    script.clock.advance(Duration::from_secs(20));
    let mut second = pin!(fetch(&script, &grant));
    assert!(poll(second.as_mut()).is_pending());
    assert_eq!(store.0.savings.load(Ordering::Relaxed), 1, "no other fetch saves it meanwhile");
    store.release();
    assert_eq!(second.await.unwrap(), "for-r3");
    assert_eq!(sent(&script), ["r1", "r2"]);
}

#[tokio::test]
async fn l27_saving_is_given_up_after_a_minute() {
    let script = Script::new([rotated!("r2"), rotated!("r3")]);
    let store = Moody::new("r1");
    store.hold();
    let grant = RefreshToken::new(store.clone());
    {
        let mut first = pin!(fetch(&script, &grant));
        for seconds in [0, 59] {
            script.clock.advance(Duration::from_secs(seconds));
            assert!(poll(first.as_mut()).is_pending(), "after {seconds} s");
            tokio::task::yield_now().await;
        }
        script.clock.advance(Duration::from_millis(500));
        let mut second = pin!(fetch(&script, &grant));
        assert!(poll(second.as_mut()).is_pending());
        assert_eq!(store.0.savings.load(Ordering::Relaxed), 1, "no other fetch saves it meanwhile");
        script.clock.advance(Duration::from_millis(500));
        let error = first.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("within 60s"), "{error}");
    }
    store.release();
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-r3");
    assert_eq!(sent(&script), ["r1", "r2"], "the next fetch saved it first");
}

/// A store that counts its leases, and those that are held.
#[derive(Clone, Default)]
struct Leased(MemoryStore, Arc<AtomicU64>, Arc<()>);

impl RefreshTokenStore for Leased {
    async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        assert_eq!(Arc::strong_count(&self.2), 3, "the lease is held");
        self.0.load(platform).await
    }

    async fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> Result<bool, Error> {
        assert_eq!(Arc::strong_count(&self.2), 3, "the lease is held");
        self.0.swap(platform, seen, next).await
    }

    async fn lease(&self, _: &Platform) -> Result<Lease, Error> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(Lease::holding(Arc::clone(&self.2)))
    }
}

#[tokio::test]
async fn l11_a_fetch_holds_the_stores_lease_until_the_save() {
    let script = Script::new([rotated!("r2"), rotated!("r3")]);
    let store = Leased::default();
    store.0.set(Some(StoredToken::new("r1")));
    let grant = RefreshToken::new(store.clone());
    for leases in 1..=2 {
        fetch(&script, &grant).await.unwrap();
        assert_eq!((store.1.load(Ordering::Relaxed), Arc::strong_count(&store.2)), (leases, 2), "it is released");
    }
}

#[tokio::test]
async fn l27_a_late_response_does_not_replace_the_pending_successor() {
    let script = Script::new([]);
    let store = Moody::new("r1");
    let grant = RefreshToken::new(store.clone());
    let successor = |token: &str| {
        let json = format!(r#"{{"refresh_token":"{token}"}}"#);
        ResponseFields::read(json.as_bytes(), |_| true).unwrap_or_else(|_| panic!("it is JSON"))
    };
    let (overdue_cx, overdue) = (script.context(), grant.parameters(&script.context()).await.unwrap());
    // The deadline of the first fetch has passed, so the second one takes its turn.
    script.clock.advance(Duration::from_secs(12));
    let (cx, second) = (script.context(), grant.parameters(&script.context()).await.unwrap());
    store.break_down(true);
    grant.on_response(&cx, &second, &successor("r2")).await.unwrap_err();
    grant.on_response(&overdue_cx, &overdue, &successor("r9")).await.unwrap_err();
    drop((overdue, second));
    store.break_down(false);
    grant.parameters(&script.context()).await.unwrap();
    assert_eq!(store.token(), "r2");
}

/// A transport that lets something happen while a request is on its way.
struct Meanwhile<F>(Script, F);

impl<F: Fn(&Script) + Send + Sync + 'static> Transport for Meanwhile<F> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        (self.1)(&self.0);
        self.0.send(request).await
    }
}

#[tokio::test]
async fn the_token_of_a_faster_process_is_used_at_once() {
    let script = Script::new([reply(400, GONE), rotated!("r3")]);
    let store = MemoryStore::new("r1");
    let others = store.clone();
    let meanwhile = Meanwhile(script.clone(), move |script: &Script| {
        if script.bodies().is_empty() {
            others.set(Some(StoredToken::new("r2")));
        }
    });
    let grant = RefreshToken::new(store.clone());
    let source = TokenEndpoint::builder(URL, grant).transport(meanwhile).build().unwrap();
    assert_eq!(source.fetch(script.context()).await.unwrap().secret(), "for-r3");
    assert_eq!(sent(&script), ["r1", "r2"]);
}

#[tokio::test]
async fn a_store_that_always_changes_ends_a_fetch() {
    let script = Script::new(vec![reply(400, GONE); 10]);
    let store = MemoryStore::new("r0");
    let others = store.clone();
    let meanwhile = Meanwhile(script.clone(), move |script: &Script| {
        others.set(Some(StoredToken::new(format!("r{}", script.bodies().len() + 1))));
    });
    let source = TokenEndpoint::builder(URL, RefreshToken::new(store)).transport(meanwhile).build().unwrap();
    let cx = FetchContext::new(script.context().platform().clone(), Duration::from_secs(600), FetchReason::Missing);
    assert_eq!(source.fetch(cx).await.unwrap_err().oauth_code(), Some("invalid_grant"));
    assert_eq!(sent(&script), ["r0", "r1", "r2", "r3"]);
}

#[tokio::test]
async fn the_previous_token_is_sent_only_on_request() {
    for keep in [false, true] {
        let script =
            Script::new([rotated!("r2"), reply(400, GONE), rotated!("r3"), reply(200, TOKEN), reply(400, GONE)]);
        let grant = RefreshToken::new(MemoryStore::new("r1"));
        let grant = if keep { grant.retry_previous() } else { grant };
        fetch(&script, &grant).await.unwrap();
        assert_eq!(fetch(&script, &grant).await.is_ok(), keep);
        if keep {
            // `r3` is taken: the one before it has no use any more.
            fetch(&script, &grant).await.unwrap();
            fetch(&script, &grant).await.unwrap_err();
            assert_eq!(sent(&script), ["r1", "r2", "r1", "r3", "r3"]);
        } else {
            assert_eq!(sent(&script), ["r1", "r2"]);
        }
    }
}

#[tokio::test]
async fn a_new_initial_token_replaces_one_that_is_gone() {
    let script = Script::new([rotated!("i2"), reply(400, GONE), reply(400, GONE), rotated!("j2")]);
    let store = MemoryStore::default();
    let grant = RefreshToken::new(store.clone()).initial("i1");
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-i2");
    assert_eq!(store.get().unwrap().secret(), "i2");
    // Where `i2` comes from is used up, and not tried.
    fetch(&script, &grant).await.unwrap_err();
    assert_eq!(sent(&script), ["i1", "i2"]);
    // Started again, with what a new consent gave.
    let grant = RefreshToken::new(store.clone()).initial("j1");
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-j2");
    assert_eq!(sent(&script), ["i1", "i2", "i2", "j1"]);
    assert_eq!(store.get().unwrap().secret(), "j2");
}

#[tokio::test]
async fn two_sources_never_send_the_same_token() {
    let script = Script::new([rotated!("r2"), rotated!("r3"), rotated!("r4"), rotated!("r5")]);
    let store = Moody::new("r1");
    store.hold();
    let grant = RefreshToken::new(store.clone());
    let fetches: Vec<_> = (0..4)
        .map(|_| {
            let (source, cx) = (endpoint(&script, &grant), script.context());
            #[allow(clippy::disallowed_methods, reason = "as two providers would")]
            tokio::spawn(async move { source.fetch(cx).await })
        })
        .collect();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(sent(&script), ["r1"], "the others wait until its successor is saved");
    store.release();
    for fetch in fetches {
        fetch.await.unwrap().unwrap();
    }
    assert_eq!(sent(&script), ["r1", "r2", "r3", "r4"]);
    assert_eq!(store.token(), "r5");
}

#[tokio::test]
async fn l11_an_undriven_fetch_does_not_block_others() {
    /// Never responds.
    struct Silence;
    impl Transport for Silence {
        async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, Error> {
            std::future::pending().await
        }
    }
    let script = Script::new([rotated!("r2")]);
    let grant = RefreshToken::new(MemoryStore::new("r1"));
    let silent = TokenEndpoint::builder(URL, grant.clone()).transport(Silence).build().unwrap();
    let mut frozen = pin!(silent.fetch(script.context()));
    assert!(poll(frozen.as_mut()).is_pending());
    let source = endpoint(&script, &grant);
    {
        let mut waiting = pin!(source.fetch(script.context()));
        assert!(poll(waiting.as_mut()).is_pending(), "it is the other's turn");
    }
    // The deadline of the first, and a second of grace.
    script.clock.advance(Duration::from_secs(11));
    assert_eq!(source.fetch(script.context()).await.unwrap().secret(), "for-r2");
}

#[tokio::test]
async fn a_fallback_replaces_a_gone_token_but_no_outage() {
    let script = Script::new([reply(503, GONE), reply(400, GONE), rotated!("s2")]);
    let store = MemoryStore::new("r1");
    let grant = RefreshToken::new(store.clone());
    let source = endpoint(&script, &grant).or_else(StaticToken::new("of-the-service"));
    let fetch = async || {
        let cx = script.context();
        source.fetch(cx).await.map(|token| token.secret().to_owned())
    };
    assert_eq!(fetch().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(fetch().await.unwrap(), "of-the-service");
    assert_eq!(fetch().await.unwrap(), "of-the-service");
    store.set(Some(StoredToken::new("s1")));
    assert_eq!(fetch().await.unwrap(), "for-s2");
    assert_eq!(sent(&script), ["r1", "r1", "s1"]);
}

#[tokio::test]
async fn l38_no_refresh_token_is_ever_shown() {
    let script = Script::new([
        reply(200, r#"{"access_token":"planted","refresh_token":"planted-2"}"#),
        reply(400, r#"{"error":"invalid_grant","error_description":"planted"}"#),
        reply(400, GONE),
    ]);
    let store = Moody::new("planted-1");
    let grant = RefreshToken::new(store.clone()).initial("planted-0");
    let mut shown = format!("{grant:?} {:?} {:?}", store.0.kept, endpoint(&script, &grant));
    store.break_down(true);
    for broken in [true, false, false] {
        store.break_down(broken);
        let error = fetch(&script, &grant).await.unwrap_err();
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            shown += &format!("{error} {error:?}");
            cause = error.source();
        }
    }
    assert!(!shown.contains("planted"), "{shown}");
}

#[tokio::test]
async fn l07_only_a_token_from_elsewhere_is_a_change() {
    let platform = Platform::system();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("refresh.json");
    for own in [false, true] {
        let grant = RefreshToken::new(crate::store::FileStore::new(&path));
        let elsewhere = if own { grant.clone() } else { RefreshToken::new(crate::store::FileStore::new(&path)) };
        elsewhere.replace(&platform, "first").await.unwrap();
        let gone = || reply(400, r#"{"error":"invalid_grant"}"#);
        let script = Script::new([rotated!("second"), gone(), rotated!("fourth")]);
        let source = TokenEndpoint::builder(URL, grant).transport(script.clone()).build().unwrap();
        source.fetch(script.context()).await.unwrap();
        assert!(!source.has_changed(), "it was this grant that wrote");
        source.fetch(script.context()).await.unwrap_err();
        assert!(!source.has_changed());
        elsewhere.replace(&platform, "third").await.unwrap();
        assert!(source.has_changed(), "own: {own}");
        source.fetch(script.context()).await.unwrap();
        assert!(!source.has_changed());
        assert!(script.bodies()[2].ends_with("=third"));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn l07_a_new_client_secret_is_a_change() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let (path, secret) = (directory.path().join("refresh.json"), directory.path().join("secret"));
    std::fs::write(&path, r#"{"refresh_token":"first"}"#).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&secret, "one").unwrap();
    let script = Script::new([reply(401, r#"{"error":"invalid_client"}"#)]);
    let source = TokenEndpoint::builder(URL, RefreshToken::new(crate::store::FileStore::new(&path)))
        .client_auth(ClientAuth::basic("id", ClientSecret::from_file(&secret)))
        .transport(script.clone())
        .build()
        .unwrap();
    source.fetch(script.context()).await.unwrap_err();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert!(!source.has_changed());
    std::fs::write(&secret, "two").unwrap();
    assert!(source.has_changed());
}

#[tokio::test]
async fn l11_without_room_for_a_successor_nothing_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    // So long that the name of a draft is longer than any: also the superuser cannot create it.
    let path = directory.path().join("r".repeat(240));
    std::fs::write(&path, r#"{"refresh_token":"first"}"#).unwrap();
    let script = Script::new([reply(200, r#"{"access_token":"a","expires_in":60}"#)]);
    let grant = RefreshToken::new(crate::store::FileStore::new(&path));
    let error = fetch(&script, &grant).await.unwrap_err();
    assert!(error.to_string().contains("no refresh token is sent, since its successor could not be saved"), "{error}");
    assert!(sent(&script).is_empty(), "{error}");
    fetch(&script, &grant.reusable()).await.unwrap();
    assert_eq!(sent(&script), ["first"]);
}
