//! The answer of a token endpoint: `STATUS RETRY-AFTER`, a line end, and the body.
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
    let mut answer = Response::new(Bytes::copy_from_slice(body));
    *answer.status_mut() = status;
    if let Ok(value) = HeaderValue::from_bytes(header) {
        answer.headers_mut().insert(RETRY_AFTER, value.clone());
        answer.headers_mut().insert(CONTENT_TYPE, value);
    }
    let now = Moment::new(Duration::from_secs(1_000), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    match read_response(answer, now) {
        Ok(token) => {
            assert!(status.is_success());
            let sent: serde_json::Value = serde_json::from_slice(body).expect("a token comes out of JSON");
            assert!(!token.secret().is_empty());
            assert_eq!(sent.get("access_token").and_then(|token| token.as_str()), Some(token.secret()));
            if token.secret().contains(MARKER) {
                assert_hidden(&"token", &format!("{token:?}"));
            }
        }
        Err(error) => assert_hidden(&status, &shown(&error)),
    }
});
