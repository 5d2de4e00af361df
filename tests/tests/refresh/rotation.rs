//! One process, and a server that rotates refresh tokens.

use std::sync::{Arc, OnceLock};

use bearer_token::{ErrorKind, ProviderState, Retry, TokenSource, oauth::ClientCredentials, store::StoredToken};
use bearer_token_testing::Fault;

use super::*;

/// A store that checks at each save whether the provider has published anything yet.
struct Watching {
    file: FileStore,
    provider: Arc<OnceLock<TokenProvider>>,
}

impl RefreshTokenStore for Watching {
    async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        self.file.load(platform).await
    }

    async fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> Result<bool, Error> {
        let state = || self.provider.get().unwrap().status().state;
        assert_eq!(state(), ProviderState::Empty);
        let done = self.file.swap(platform, seen, next).await;
        assert_eq!(state(), ProviderState::Empty);
        done
    }
}

// shows: 6749/6d 9700/2.2.2
#[tokio::test]
async fn l27_the_successor_is_saved_before_the_access_token_is_used() {
    let bench = Bench::new(RefreshTokens::rotating()).await;
    let first = bench.kept().await;
    let provider = Arc::new(OnceLock::new());
    let store = Watching { file: FileStore::new(bench.file()), provider: Arc::clone(&provider) };
    let built = bench.build(TokenProvider::builder(bench.source(RefreshToken::new(store))));
    provider.set(built).unwrap();
    assert_eq!(call(&bench, provider.get().unwrap()).await.unwrap(), 200);
    assert_ne!(bench.kept().await, first);
    assert_eq!(bench.sent(), [first]);
}

#[tokio::test]
async fn refreshes_and_restarts_use_the_latest_refresh_token() {
    let bench = Bench::new(RefreshTokens::rotating()).await;
    for _ in 0..3 {
        let provider = bench.provider();
        for _ in 0..3 {
            let kept = bench.kept().await;
            provider.refresh_now().await.unwrap();
            assert_eq!(bench.sent().last(), Some(&kept));
        }
        assert_eq!(call(&bench, &provider).await.unwrap(), 200);
    }
    let counts = bench.server.count();
    assert_eq!((counts.tokens_issued, counts.refresh_tokens_issued, counts.refresh_tokens_reused), (9, 10, 0));
    let last = bench.server.requests().into_iter().rev().find(|request| request.parameter("refresh_token").is_some());
    assert_eq!(last.unwrap().parameter("scope"), None);
}

#[tokio::test]
async fn l27_a_lost_response_is_retried_where_allowed() {
    for retry in [true, false] {
        for fault in [Fault::cut_off(), Fault::stall()] {
            let settings = RefreshTokens::rotating();
            let bench = Bench::new(if retry { settings.allow_retry() } else { settings }).await;
            let provider = bench.provider();
            bench.server.token_endpoint().next(fault);
            // The stalled fetch reaches its deadline.
            let fetch = provider.token();
            let watch = async {
                bench.server.wait_for(|counts| counts.tokens_issued == 1).await;
                bench.clock.wait_for_sleepers(1).await;
                bench.clock.advance(Duration::from_secs(10));
            };
            let (lost, ()) = tokio::join!(fetch, watch);
            let lost = lost.unwrap_err();
            assert!(matches!(lost.kind(), ErrorKind::Transport | ErrorKind::Timeout), "{lost:?}");
            assert_eq!(bench.sent().len(), 1, "and not at once again");

            bench.clock.advance(LATER);
            let result = call(&bench, &provider).await;
            let sent = bench.sent();
            assert_eq!(sent[0], sent[1], "there is no other");
            if retry {
                assert_eq!((result.unwrap(), bench.server.count().refresh_tokens_reused), (200, 0));
            } else {
                assert_eq!(result.unwrap_err().oauth_code(), Some("invalid_grant"));
                assert_eq!(bench.server.count().refresh_tokens_reused, 1, "such a server takes it for theft");
            }
        }
    }
}

#[tokio::test]
async fn l19_an_outage_leaves_the_file_alone_and_passes() {
    let bench = Bench::new(RefreshTokens::rotating()).await;
    let provider = bench.provider();
    let kept = bench.kept().await;
    for status in [500, 503, 429] {
        bench.server.token_endpoint().next(Fault::oauth_error(status, "invalid_grant"));
        let error = provider.refresh_now().await.unwrap_err();
        assert_eq!((error.kind(), error.oauth_code()), (ErrorKind::Unavailable, Some("invalid_grant")));
        assert_eq!(bench.kept().await, kept);
    }
    bench.clock.advance(LATER);
    assert_eq!(call(&bench, &provider).await.unwrap(), 200);
}

#[tokio::test]
async fn l07_a_new_consent_needs_no_restart() {
    let bench = Bench::new(RefreshTokens::rotating()).await;
    let provider = bench.provider();
    bench.server.end_consents();
    let error = provider.token().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Refused, Retry::AfterChange));
    assert!(error.to_string().contains("A person has to consent again"), "{error}");
    for _ in 0..3 {
        bench.clock.advance(Duration::from_secs(60));
        provider.token().await.unwrap_err();
    }
    assert_eq!(bench.sent().len(), 1, "the server is not asked again and again");

    // Another program writes it, long before the cool-down ends.
    bench.consent().await;
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(call(&bench, &provider).await.unwrap(), 200);
}

#[tokio::test]
async fn l07_a_half_written_file_recovers_when_complete() {
    let bench = Bench::new(RefreshTokens::rotating()).await;
    let provider = bench.provider();
    let whole = std::fs::read(bench.file()).unwrap();
    std::fs::write(bench.file(), &whole[..whole.len() / 2]).unwrap();
    let error = provider.token().await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("refresh.json"), "{error}");
    assert!(bench.sent().is_empty());
    std::fs::write(bench.file(), &whole).unwrap();
    bench.clock.advance(LATER);
    assert_eq!(call(&bench, &provider).await.unwrap(), 200);
}

#[tokio::test]
async fn a_service_account_replaces_an_ended_consent() {
    let bench = Bench::new(RefreshTokens::rotating()).await;
    let service = TokenEndpoint::builder(bench.server.token_url(), ClientCredentials::new())
        .client_auth(ClientAuth::basic("app", "a secret"))
        .build()
        .unwrap();
    let provider = bench.build(TokenProvider::builder(bench.source(bench.grant()).or_else(service)));
    let who = async || {
        let bearer = provider.refresh_now().await.unwrap();
        let request = reqwest::Client::builder().no_proxy().build().unwrap().get(bench.server.api_url());
        let reply = request.header("authorization", bearer.header_value()).send().await.unwrap();
        let echo: serde_json::Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
        echo["subject"].as_str().unwrap().to_owned()
    };
    assert_eq!(who().await, "alice");
    bench.server.end_consents();
    assert_eq!(who().await, "app");
    bench.consent().await;
    assert_eq!(who().await, "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_sharing_a_grant_never_reuse_a_refresh_token() {
    let bench = Bench::new(RefreshTokens::rotating()).await;
    let grant = bench.grant();
    let providers: Vec<_> = (0..8).map(|_| bench.build(TokenProvider::builder(bench.source(grant.clone())))).collect();
    for _ in 0..3 {
        let waiting: Vec<_> = providers.iter().map(|provider| tokio::spawn(provider.refresh_now())).collect();
        for fetch in waiting {
            fetch.await.unwrap().unwrap();
        }
    }
    let counts = bench.server.count();
    assert_eq!((counts.tokens_issued, counts.refresh_tokens_reused), (24, 0));
    assert_eq!(counts.token_requests_peak, 1, "one after the other");
}

#[cfg(unix)]
#[tokio::test]
async fn grants_on_one_file_take_turns_as_processes_do() {
    let bench = Bench::new(RefreshTokens::rotating()).await;
    let (one, other) = (bench.provider(), bench.provider());
    let gate = bench.server.token_endpoint().hold();
    let first = tokio::spawn(one.token());
    bench.server.wait_for_token_requests(1).await;
    let second = tokio::spawn(other.token());
    // Two waiters, two fetch deadlines, and one poll of the lock.
    bench.clock.wait_for_sleepers(5).await;
    gate.release();
    first.await.unwrap().unwrap();
    assert_eq!(bench.sent().len(), 1, "the other waits for the lock");
    bench.clock.advance(Duration::from_millis(50));
    second.await.unwrap().unwrap();
    assert_eq!(bench.sent().len(), 2);
    assert_eq!(bench.server.count().refresh_tokens_reused, 0);
}
