//! What holds for any `Retry-After` that a server may send.

use http::HeaderValue;
use proptest::{collection::vec, prelude::*};

use super::*;

/// The end of the year 9999, after which an HTTP date cannot be written.
const END: u64 = 253_402_300_799;

fn read(text: &[u8], now: SystemTime) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_bytes(text).ok()?);
    requested_delay(StatusCode::SERVICE_UNAVAILABLE, &headers, now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_read_without_a_panic(
        text in prop_oneof![
            vec(any::<u8>(), 0..40),
            "[0-9A-Za-z:, +.-]{0,40}".prop_map(String::into_bytes),
            "([0-9]{1,5}[.]?[0-9]{0,2} ?(ms|s|m|h|d|GMT|Z)?[,; ]*){0,4}".prop_map(String::into_bytes),
        ],
        now in any::<u32>(),
    ) {
        read(&text, UNIX_EPOCH + Duration::from_secs(now.into()));
    }

    #[test]
    fn seconds_are_read_as_they_are(
        seconds in prop_oneof![0..1_000_000_000_u64, 100_000_000_000_000..=u64::MAX], zeros in 0..4_usize,
    ) {
        let text = format!("{}{seconds}", "0".repeat(zeros));
        prop_assert_eq!(read(text.as_bytes(), UNIX_EPOCH), Some(Duration::from_secs(seconds)));
    }

    #[test]
    fn a_time_since_1970_is_the_time_until_then(time in 1_000_000_000..100_000_000_000_u64, now in 0..=END) {
        let left = Duration::from_secs(time.saturating_sub(now));
        let now = UNIX_EPOCH + Duration::from_secs(now);
        prop_assert_eq!(read(time.to_string().as_bytes(), now), Some(left));
        prop_assert_eq!(read(format!("{time}000").as_bytes(), now), Some(left));
    }

    #[test]
    fn a_date_is_the_time_until_then(date in 0..=END, now in 0..=END) {
        let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(date));
        let found = read(text.as_bytes(), UNIX_EPOCH + Duration::from_secs(now));
        prop_assert_eq!(found, Some(Duration::from_secs(date.saturating_sub(now))));
    }
}
