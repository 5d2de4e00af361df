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

mod changes;
mod refusals;
mod saving;
mod sharing;

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

/// A script, a store, and a grant with that store.
fn scene<S: RefreshTokenStore + Clone>(
    replies: impl IntoIterator<Item = Reply>,
    store: S,
) -> (Script, S, RefreshToken) {
    (Script::new(replies), store.clone(), RefreshToken::new(store))
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

// shows: 6749/6a
#[tokio::test]
async fn the_next_fetch_sends_the_successor() {
    let (script, store, grant) = scene([rotated!("r2"), rotated!("r3")], MemoryStore::new("r 1"));
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

// shows: 6749/6b
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

// shows: 6749/4.4.3
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
async fn l27_only_the_next_fetch_repeats_a_lost_request() {
    let (script, store, grant) =
        scene([broken(ErrorKind::Transport), rotated!("r2"), rotated!("r3"), rotated!("r4")], Moody::new("r1"));
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

// shows: 6749/10.4a
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
