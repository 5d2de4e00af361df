//! Where values come from, and what the steps make of them.

use std::{fs, future, time::Duration};

use super::*;
use crate::{
    AccessToken, FetchContext, StaticToken,
    platform::Platform,
    sync::{Mutex, lock},
    test_support::{ManualClock, first_fetch},
};

const ACCOUNT: &str = r#"{"client_email":"me@example.com","nested":{"list":["a","b"]},"number":7,"empty":""}"#;

async fn read(value: &Value) -> Result<String, String> {
    let read = value.read(&first_fetch(Platform::system())).await;
    read.map(|text| text.to_string()).map_err(|error| error.to_string())
}

async fn read_bytes(value: &Value) -> Result<Vec<u8>, String> {
    let read = value.read_bytes(&first_fetch(Platform::system())).await;
    read.map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn steps_are_applied_in_their_order() {
    for (value, expected) in [
        (Value::from("plain"), Ok("plain")),
        (Value::from("plain\n"), Ok("plain")),
        (Value::from("\u{feff}plain\r\n"), Ok("plain")),
        (Value::from("id:secret:more").before(":"), Ok("id")),
        (Value::from("id:secret:more").after(":"), Ok("secret:more")),
        (Value::from("id:secret").suffix("!").prefix("Key ").after(":"), Ok("Key secret!")),
        (Value::from(ACCOUNT).member("/client_email"), Ok("me@example.com")),
        (Value::from(ACCOUNT).member("/client_email").before("@"), Ok("me")),
        (Value::from(ACCOUNT).member("/nested/list/1"), Ok("b")),
        (Value::from(ACCOUNT).member("/number"), Ok("7")),
        (Value::from("id:c2VjcmV0").after(":").encoding(Encoding::Base64).prefix("Key "), Ok("Key secret")),
        (Value::from(r#"{"a":"_-_z"}"#).member("/a").encoding(Encoding::Base64), Err("not UTF-8")),
        (Value::from("73656372 6574\n").encoding(Encoding::Hex), Ok("secret")),
        (Value::from(" plain").encoding(Encoding::Binary), Ok(" plain")),
        (Value::from("id").after(":"), Err("found no `:` in it")),
        (Value::from("me@example.com").encoding(Encoding::Base64), Err("found something that is not base64")),
        (Value::from("736").encoding(Encoding::Hex), Err("found something that is not hex")),
        (Value::from("0a").encoding(Encoding::Hex), Err("found an empty string")),
        (Value::from("610a62").encoding(Encoding::Hex), Err("found a newline inside")),
        (Value::from("id:").after(":"), Err("found an empty string")),
        (Value::from(""), Err("found an empty string")),
        (Value::from("two\nlines"), Err("found a newline inside")),
        (Value::from("plain").member("/a"), Err("not JSON")),
        (Value::from(ACCOUNT).member("/nested"), Err("not a string")),
        (Value::from(ACCOUNT).member("/empty"), Err("found an empty string")),
        (Value::from(ACCOUNT).member("/email"), Err("it has `/client_email`, `/nested`, `/number`, `/empty`")),
    ] {
        let found = read(&value).await;
        match expected {
            Ok(text) => assert_eq!(found.as_deref(), Ok(text)),
            Err(words) => {
                let error = found.unwrap_err();
                assert!(error.contains(words) && !error.contains("me@example.com"), "{error}");
            }
        }
    }
    for value in [Value::from("a").before(""), Value::from("{}").member("email"), Value::from("a").prefix("a\n")] {
        assert!(value.problem("subject_token").is_some_and(|problem| problem.path() == "subject_token"));
    }
}

#[tokio::test]
async fn bytes_are_what_was_found_to_the_last_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, b"\xef\xbb\xbf\xff\n\n").unwrap();
    assert_eq!(read_bytes(&Value::file(&path)).await.unwrap(), b"\xef\xbb\xbf\xff\n\n");
    assert!(read(&Value::file(&path)).await.unwrap_err().contains("key`: found"));
    let value = Value::file(&path);
    for (content, expected) in [("first", "first"), ("", "first"), ("second", "second")] {
        fs::write(&path, content).unwrap();
        assert_eq!(read_bytes(&value).await.unwrap(), expected.as_bytes(), "an emptied file changes nothing");
    }
    for (value, expected) in [
        (Value::from(r#"{"key":"-----BEGIN\nA\n"}"#).member("/key"), &b"-----BEGIN\nA\n"[..]),
        (Value::from("id:00ff").after(":").encoding(Encoding::Hex), b"\x00\xff"),
        (Value::from("AP8=\n").encoding(Encoding::Base64).prefix("<").suffix(">"), b"<\x00\xff>"),
    ] {
        assert_eq!(read_bytes(&value).await.unwrap(), expected, "{value:?}");
    }
}

#[tokio::test]
async fn a_file_is_read_again_until_unusable() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("account.json");
    let value = Value::file(&path).member("/client_email");
    assert!(read(&value).await.unwrap_err().contains("cannot be read"));
    fs::write(&path, ACCOUNT).unwrap();
    assert!(value.has_changed());
    assert_eq!(read(&value).await.unwrap(), "me@example.com");
    // Half a document.
    fs::write(&path, &ACCOUNT[..20]).unwrap();
    assert_eq!(read(&value).await.unwrap(), "me@example.com");
    fs::write(&path, ACCOUNT.replace("me@", "other@")).unwrap();
    assert_eq!(read(&value).await.unwrap(), "other@example.com");
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_named() {
    let error = read(&Value::env("BEARER_TOKEN_TEST_THAT_IS_NOT_SET")).await.unwrap_err();
    assert!(error.contains("`BEARER_TOKEN_TEST_THAT_IS_NOT_SET`: the environment variable is not set"), "{error}");
    assert!(!read(&Value::env("PATH")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_token_is_cached_unless_asked_for_fresh() {
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    let source = move |_cx: FetchContext| {
        *lock(&counted) += 1;
        let token = format!("token-{}", lock(&counted));
        async { Ok(AccessToken::new(token)) }
    };
    let provider = TokenProvider::builder(source).build().unwrap();
    let value = Value::from(provider).prefix("Bearer ");
    for _ in 0..3 {
        assert_eq!(read(&value).await.unwrap(), "Bearer token-1");
    }
    let value = value.fresh();
    assert_eq!(read(&value).await.unwrap(), "Bearer token-2");
    assert_eq!(read(&value).await.unwrap(), "Bearer token-3");
}

#[tokio::test]
async fn the_error_of_another_provider_names_it_once() {
    let failing = |name: Option<&str>, inner: Option<Value>| {
        let source = move |cx: FetchContext| {
            let inner = inner.clone();
            async move {
                match inner {
                    Some(inner) => inner.read(&cx).await.map(|token| AccessToken::new(token.as_str())),
                    None => {
                        Err(Error::new(ErrorKind::Refused, "the client is unknown").with_oauth_code("invalid_client"))
                    }
                }
            }
        };
        let builder = TokenProvider::builder(source);
        Value::from(name.into_iter().fold(builder, crate::TokenProviderBuilder::name).build().unwrap())
    };
    let inner = || failing(Some("platform"), None);
    for (value, message, provider) in [
        (inner(), "the token of another provider is missing: platform: the client is unknown", "platform"),
        (
            failing(None, None),
            "the token of another provider is missing: token source: the client is unknown",
            "token source",
        ),
        (
            failing(Some("exchange"), Some(inner())),
            "the token of another provider is missing: exchange: the token of another provider is missing: platform: \
             the client is unknown",
            "platform",
        ),
    ] {
        let error = value.read(&first_fetch(Platform::system())).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.provider()), (message, Some(provider)));
        assert_eq!(format!("{error:#}"), message, "no cause says more");
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Refused, Retry::AfterChange));
        assert_eq!(error.oauth_code(), Some("invalid_client"));
    }
}

#[test]
fn debug_shows_the_origin_and_nothing_of_the_value() {
    let provider = TokenProvider::builder(StaticToken::new("planted")).build().unwrap();
    for value in [Value::from("planted"), Value::env("NAME").prefix("planted"), Value::from(provider).suffix("planted")]
    {
        let shown = format!("{value:?}");
        assert!(!shown.contains("planted"), "{shown}");
    }
}

/// A chain of three, whose last stage never comes to an end.
#[tokio::test]
async fn a_stage_that_hangs_is_named_when_time_runs_out() {
    for (timeouts, expected) in [
        // The first stage runs out of time before the others.
        (
            [10, 20, 30],
            "reports: the token source gave no token within 10s; the fetch was aborted; it was waiting for the token of \
             `exchange`, which was waiting for the token of `platform`",
        ),
        (
            [30, 10, 20],
            "the token of another provider is missing: exchange: the token source gave no token within 10s; the fetch \
             was aborted; it was waiting for the token of `platform`",
        ),
        (
            [30, 20, 10],
            "the token of another provider is missing: exchange: the token of another provider is missing: platform: \
             the token source gave no token within 10s; the fetch was aborted",
        ),
    ] {
        let clock = ManualClock::default();
        let stage = |name: &str, timeout: u64, inner: Option<Value>| {
            let source = move |cx: FetchContext| {
                let inner = inner.clone();
                async move {
                    match inner {
                        Some(inner) => inner.read(&cx).await.map(|token| AccessToken::new(token.as_str())),
                        None => future::pending().await,
                    }
                }
            };
            let policy = crate::Policy::default().fetch_timeout(Duration::from_secs(timeout));
            TokenProvider::builder(source).name(name).policy(policy).platform(clock.platform()).build().unwrap()
        };
        let platform = stage("platform", timeouts[2], None);
        let exchange = stage("exchange", timeouts[1], Some(platform.into()));
        let reports = stage("reports", timeouts[0], Some(exchange.into()));
        let time = async {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            clock.advance(Duration::from_secs(10));
        };
        let (token, ()) = tokio::join!(reports.token(), time);
        let error = token.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn a_ring_of_providers_ends_in_its_description() {
    let waits = crate::source::Waits::default();
    let mut waiting = std::pin::pin!(waits.on("itself", &waits, future::pending::<()>()));
    let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
    assert!(waiting.as_mut().poll(cx).is_pending());
    assert_eq!(waits.stages().len(), 8);
}
