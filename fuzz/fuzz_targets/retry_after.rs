//! `Retry-After`: the header's value.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use bearer_token::{Retry, platform::Moment};
use bearer_token_fuzz::read_response;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let wall = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    // The value by an independent parser.
    let text = value.to_str().unwrap_or_default().trim();
    let seconds = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits = text.trim_start_matches('0');
        Some(digits.bytes().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
    } else {
        let date = httpdate::parse_http_date(text).ok();
        date.map(|date| date.duration_since(wall).map_or(0, |time| time.as_secs()))
    };
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_REQUEST] {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        response.headers_mut().insert(RETRY_AFTER, value.clone());
        let error = read_response(response, Moment::new(Duration::ZERO, wall)).expect_err("it is not a success");
        let expected = match (seconds, status) {
            (None, StatusCode::BAD_REQUEST) => Retry::AfterChange,
            (seconds, _) => Retry::Later { after: seconds.map(Duration::from_secs) },
        };
        assert_eq!(error.retry(), expected, "{text:?}");
    }
});
