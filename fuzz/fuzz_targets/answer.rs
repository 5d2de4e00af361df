//! The response of a token endpoint: `STATUS RETRY-AFTER`, a newline, and the body.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use bearer_token::platform::Moment;
use bearer_token_fuzz::{MARKER, assert_hidden, read_response, shown};
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (head, body) = data.split_at(end);
    let body = body.strip_prefix(b"\n").unwrap_or_default();
    let (status, header) = head.split_at_checked(3).unwrap_or_default();
    let Ok(status) = StatusCode::from_bytes(status) else { return };
    let mut response = Response::new(Bytes::copy_from_slice(body));
    *response.status_mut() = status;
    if let Ok(value) = HeaderValue::from_bytes(header) {
        response.headers_mut().insert(RETRY_AFTER, value.clone());
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    let now = Moment::new(Duration::from_secs(1_000), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    match read_response(response, now) {
        Ok(token) => {
            assert!(status.is_success());
            assert!(!token.secret().is_empty());
            assert_is_sent(token.secret(), body);
            if token.secret().contains(MARKER) {
                assert_hidden(&"token", &format!("{token:?}"));
            }
        }
        Err(error) => assert_hidden(&status, &shown(&error)),
    }
});

/// Checks that the token is the `access_token` of the body.
///
/// A usable token may be beside members that a strict parser refuses (L50): numbers beyond f64, raw tabs, other bytes.
/// Such a body contains the token literally, unless it contains an escape.
fn assert_is_sent(token: &str, body: &[u8]) {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(sent) => assert_eq!(sent.get("access_token").and_then(|token| token.as_str()), Some(token)),
        Err(_) => {
            let is_literal = body.windows(token.len()).any(|part| part == token.as_bytes());
            assert!(is_literal || body.contains(&b'\\'), "the token is not in the body");
        }
    }
}
