//! Other headers, schemes and refusals, and the time in which an API learns of a token.

use std::{fs, path::PathBuf};

use bearer_token::{Rejection, Sending, Value};
use bearer_token_testing::Outcome;
use http::{HeaderValue, Request, StatusCode, header::WWW_AUTHENTICATE};
use tempfile::TempDir;

use super::*;

/// A bench whose provider sends bearers like this.
fn bench(sending: Sending) -> Bench {
    let (clock, source) = (ManualClock::new(), ScriptedSource::new());
    let provider = TokenProvider::builder(source.clone())
        .allow_origin("https://api.example.com")
        .sending(sending)
        .policy(steady())
        .platform(Platform::system().with_clock(clock.clone()).with_entropy(Highest))
        .build()
        .unwrap();
    Bench { clock, source, provider }
}

/// A directory, and the path of a file in it with this content.
fn file(content: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    fs::write(&file, content).unwrap();
    (directory, file)
}

fn authorized(bench: &Bench, own: &[(&'static str, &'static str)]) -> (Authorized, Vec<String>) {
    let mut request = Request::get("https://api.example.com/orders").body(()).unwrap();
    for (name, value) in own {
        request.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    let authorized = bench.provider.authorize(&mut request).unwrap();
    let mut shown: Vec<_> =
        request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    shown.sort();
    (authorized, shown)
}

fn ticket(bench: &Bench) -> Ticket {
    match authorized(bench, &[]).0 {
        Authorized::Inserted(ticket) => ticket,
        other => panic!("a bearer is there, found {other:?}"),
    }
}

mod headers {
    use super::*;

    #[tokio::test]
    async fn another_header_leaves_the_callers_own_alone() {
        let bench = bench(Sending::new().header("X-Vault-Token").scheme(""));
        assert_eq!(authorized(&bench, &[]), (Authorized::NotReady, vec![]));
        // Cold, too, a credential of its own needs no token.
        assert_eq!(authorized(&bench, &[("x-vault-token", "own")]).0, Authorized::Passed);
        let bearer = bench.provider.token().await.unwrap();
        assert_eq!(
            (bearer.header_name().as_str(), bearer.header_value().to_str().unwrap()),
            ("x-vault-token", "token-1")
        );
        assert_eq!(bearer.secret(), "token-1");

        assert_eq!(authorized(&bench, &[]).1, ["x-vault-token: token-1"]);
        assert_eq!(
            authorized(&bench, &[("x-vault-token", "own")]),
            (Authorized::Passed, vec!["x-vault-token: own".into()])
        );
        let (with_basic, shown) = authorized(&bench, &[("authorization", "Basic eDp5")]);
        assert!(matches!(with_basic, Authorized::Inserted(_)));
        assert_eq!(shown, ["authorization: Basic eDp5", "x-vault-token: token-1"]);
    }

    #[tokio::test]
    async fn another_scheme_is_not_part_of_the_secret() {
        let bench = bench(Sending::new().scheme("SSWS"));
        let bearer = bench.provider.token().await.unwrap();
        assert_eq!(authorized(&bench, &[]).1, ["authorization: SSWS token-1"]);
        assert_eq!(bearer.secret(), "token-1");
    }

    #[tokio::test]
    async fn fixed_headers_are_read_again_with_each_token() {
        let (_directory, file) = file("key-1\n");
        let sending = Sending::new().fixed_header("x-version", "2022-11-28").fixed_header("x-key", Value::file(&file));
        let bench = bench(sending);
        let bearer = bench.provider.token().await.unwrap();
        let expected = ["authorization: Bearer token-1", "x-key: key-1", "x-version: 2022-11-28"];
        assert_eq!(authorized(&bench, &[]).1, expected);
        assert!(bearer.headers().all(|(_, value)| value.is_sensitive()));
        assert_eq!(bearer.headers().count(), 3);

        fs::write(&file, "key-2\n").unwrap();
        assert_eq!(authorized(&bench, &[]).1, expected, "they belong to the token");
        bench.provider.refresh_now().await.unwrap();
        let expected = ["authorization: Bearer token-2", "x-key: key-2", "x-version: 2022-11-28"];
        assert_eq!(authorized(&bench, &[]).1, expected);
        let own = authorized(&bench, &[("x-version", "mine")]).1;
        assert_eq!(own, ["authorization: Bearer token-2", "x-key: key-2", "x-version: mine"]);
    }

    #[tokio::test]
    async fn an_unchanged_token_gets_the_new_fixed_headers() {
        let (_directory, file) = file("key-1");
        let bench = bench(Sending::new().fixed_header("x-key", Value::file(&file)));
        let token = || Outcome::token("same").expires_in(HOUR);
        bench.source.push(token());
        let first = bench.provider.token().await.unwrap();
        for (number, later) in [(2, SECOND), (3, Duration::ZERO)] {
            fs::write(&file, format!("key-{number}")).unwrap();
            bench.clock.advance(later);
            bench.source.push(token());
            bench.provider.refresh_now().await.unwrap();
            let expected = ["authorization: Bearer same".to_owned(), format!("x-key: key-{number}")];
            assert_eq!(authorized(&bench, &[]).1, expected);
            assert_eq!(ticket(&bench), first.ticket(), "a rejection of the token is a rejection of this one too");
        }
    }

    #[tokio::test]
    async fn a_fixed_header_that_cannot_be_read_costs_no_token() {
        let (_directory, file) = file("key");
        let bench = bench(Sending::new().fixed_header("x-key", Value::file(&file)));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        // What was read at `build` was good, and stays.
        assert_eq!(secret(bench.provider.token().await), Ok("token-1".into()));

        let missing = Value::token_of(failing());
        let bench = super::bench(Sending::new().fixed_header("x-key", missing));
        let error = bench.provider.token().await.unwrap_err();
        assert!(error.to_string().starts_with("the fixed header `x-key` cannot be read: "), "{error}");
        assert_eq!(bench.started(), 0);
    }

    fn failing() -> TokenProvider {
        let source = ScriptedSource::new();
        source.push(Outcome::error(Error::new(ErrorKind::Refused, "the account is closed")));
        TokenProvider::builder(source).build().unwrap()
    }
}

mod refusals {
    use super::*;

    #[tokio::test]
    async fn a_declared_refusal_is_a_rejection() {
        let bench = bench(Sending::new().reject_on_status(StatusCode::FORBIDDEN));
        assert!(bench.provider.is_rejection(StatusCode::FORBIDDEN, &HeaderMap::new()));
        assert!(bench.provider.is_rejection(StatusCode::UNAUTHORIZED, &HeaderMap::new()));
        assert!(!bench.provider.is_rejection(StatusCode::NOT_FOUND, &HeaderMap::new()));
    }
}

mod settling_time {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(5);

    async fn serving() -> Bench {
        let bench = bench(Sending::new().settle(SETTLE));
        bench.provider.token().await.unwrap();
        bench
    }

    #[tokio::test]
    async fn a_refusal_within_it_changes_nothing() {
        let bench = serving().await;
        let ticket = ticket(&bench);
        for _ in 0..5 {
            let rejection = ticket.reject(&HeaderMap::new());
            assert!(rejection == Rejection::Settling && !rejection.is_replay_useful());
            bench.clock.advance(SECOND);
        }
        settle().await;
        assert_eq!(bench.started(), 1);
        assert_eq!(authorized(&bench, &[]).1, ["authorization: Bearer token-1"]);
        assert_eq!(ticket.reject(&HeaderMap::new()), Rejection::Renewing, "now it is a rejection");
        settle().await;
        assert_eq!(bench.started(), 2);
    }

    #[tokio::test]
    async fn an_api_that_knows_the_token_is_believed() {
        for (challenge, expected) in [
            (r#"Bearer error="invalid_token""#, Rejection::Settling),
            ("Bearer", Rejection::Settling),
            (r#"Bearer error="insufficient_claims", claims="e30""#, Rejection::Renewing),
            (r#"Bearer error="insufficient_user_authentication", acr_values="gold""#, Rejection::Renewing),
        ] {
            let bench = serving().await;
            let headers = [(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))].into_iter().collect();
            assert_eq!(ticket(&bench).reject(&headers), expected, "{challenge}");
        }
    }

    #[tokio::test]
    async fn it_counts_from_the_first_fetch_of_a_token() {
        let bench = bench(Sending::new().settle(SETTLE));
        for _ in 0..2 {
            bench.source.push(Outcome::token("same").expires_in(HOUR));
            bench.provider.refresh_now().await.unwrap();
            bench.clock.advance(3 * SECOND);
        }
        assert_eq!(ticket(&bench).reject(&HeaderMap::new()), Rejection::Renewing);
    }

    #[tokio::test]
    async fn a_late_refusal_of_an_older_token_is_superseded() {
        let bench = serving().await;
        let old = ticket(&bench);
        bench.provider.refresh_now().await.unwrap();
        assert_eq!(old.reject(&HeaderMap::new()), Rejection::Superseded);
    }

    #[tokio::test]
    async fn each_replay_waits_from_its_own_refusal() {
        let bench = serving().await;
        let ticket = ticket(&bench);
        bench.clock.advance(3 * SECOND);
        let mut waiting = Box::pin(ticket.settled());
        assert!(poll_once(&mut waiting).is_pending());
        bench.clock.advance(SETTLE - SECOND);
        assert!(poll_once(&mut waiting).is_pending());
        bench.clock.advance(SECOND);
        assert!(poll_once(&mut waiting).is_ready());
        drop(bench);
        assert!(poll_once(&mut Box::pin(ticket.settled())).is_ready(), "the provider is gone");
    }
}
