//! `Retry-After`: the header's value.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use bearer_token::{Retry, platform::Moment};
use bearer_token_fuzz::read_response;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use libfuzzer_sys::fuzz_target;

/// The time of the response, since 1970.
const NOW: u64 = 1_700_000_000;

fuzz_target!(|data: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let text = value.to_str().unwrap_or_default().trim();
    let [outage, refusal] = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_REQUEST].map(|status| {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        response.headers_mut().insert(RETRY_AFTER, value.clone());
        let now = Moment::new(Duration::ZERO, UNIX_EPOCH + Duration::from_secs(NOW));
        read_response(response, now).expect_err("it is not a success").retry()
    });
    let Retry::Later { after } = outage else { panic!("an outage passes: {text:?}") };
    // A wait that the server asks for makes any refusal a temporary one.
    let expected = if after.is_some() { outage } else { Retry::AfterChange };
    assert_eq!(refusal, expected, "{text:?}");
    if let Some(expected) = specified(text) {
        assert_eq!(after, Some(expected), "{text:?}");
    } else if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        assert_eq!(after, None, "{text:?}");
    }
});

/// The two forms of RFC 9110 section 10.2.3, and times since 1970, by an independent parser. Other forms (L46) have
/// tests of their own.
fn specified(text: &str) -> Option<Duration> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let date = httpdate::parse_http_date(text).ok()?;
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        return Some(date.duration_since(now).unwrap_or_default());
    }
    let digits = text.trim_start_matches('0').bytes();
    let number = digits.fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    // Eleven digits in seconds and fourteen in milliseconds reach beyond the year 5000.
    let time = match number {
        1_000_000_000..100_000_000_000 => Duration::from_secs(number),
        1_000_000_000_000..100_000_000_000_000 => Duration::from_millis(number),
        _ => return Some(Duration::from_secs(number)),
    };
    Some(time.saturating_sub(Duration::from_secs(NOW)))
}
