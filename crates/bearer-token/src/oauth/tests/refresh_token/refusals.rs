//! A refresh token that the server refuses.

use super::*;

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
        let (script, store, grant) = scene([reply(status, body), rotated!("r2")], MemoryStore::new("r1"));
        fetch(&script, &grant).await.unwrap_err();
        assert_eq!(store.get(), Some(StoredToken::new("r1")), "{status} {body}");
        assert_eq!(fetch(&script, &grant).await.unwrap(), "for-r2", "{status} {body}");
        assert_eq!(sent(&script), ["r1", "r1"]);
    }
}

/// Counts the tokens that were not used up.
#[derive(Clone)]
struct Noting(MemoryStore, Arc<AtomicU64>);

impl RefreshTokenStore for Noting {
    async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        self.0.load(platform).await
    }

    async fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> Result<bool, Error> {
        self.0.swap(platform, seen, next).await
    }

    fn not_used_up(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_gateway_without_a_response_may_have_used_it_up() {
    for (status, body, is_unused) in [
        (400, r#"{"error":"invalid_scope"}"#, true),
        (500, "", true),
        (503, "<html>", true),
        (502, "<html>", false),
        (504, "", false),
        (502, r#"{"error":"temporarily_unavailable"}"#, true),
        (200, "garbage", false),
        (200, r#"{"error":"bad_refresh_token"}"#, true),
    ] {
        let store = Noting(MemoryStore::new("r1"), Arc::default());
        let (script, store, grant) = scene([reply(status, body)], store);
        fetch(&script, &grant).await.unwrap_err();
        assert_eq!(store.1.load(Ordering::Relaxed), u64::from(is_unused), "{status} {body}");
    }
}

#[tokio::test]
async fn a_refused_token_stays_stored_and_unsent() {
    for (status, body, code) in [
        (400, GONE, "invalid_grant"),
        (401, GONE, "invalid_grant"),
        (200, r#"{"error":"bad_refresh_token"}"#, "bad_refresh_token"),
    ] {
        let (script, store, grant) =
            scene([reply(status, body), reply(status, body), rotated!("r2")], MemoryStore::new("r1"));
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
        let (script, store, grant) = scene([reply(status, body), rotated!("r2")], MemoryStore::new("r1"));
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
    let (script, store, grant) =
        scene([rotated!("i2"), reply(400, GONE), reply(400, GONE), rotated!("j2")], MemoryStore::default());
    let grant = grant.initial("i1");
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
async fn a_fallback_replaces_a_gone_token_but_no_outage() {
    let (script, store, grant) = scene([reply(503, GONE), reply(400, GONE), rotated!("s2")], MemoryStore::new("r1"));
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
