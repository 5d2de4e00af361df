//! The time that a server asks the client to wait.
//!
//! | header | counts |
//! |---|---|
//! | `Retry-After`, `Retry-After-Ms`, `X-Ms-Retry-After-Ms` | with every refusal; the longest wait of them |
//! | `RateLimit-Reset`, `X-RateLimit-Reset`, `X-Rate-Limit-Reset`, `X-RateLimit-Reset-After`, `RateLimit` | where none of the above is sent: with 429, and with 403 and 503 if nothing remains of the limit |
//!
//! Servers that limit requests send the second kind with every response, so alone it does not ask the client to wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};

use crate::oauth::response::date::{parse_date, server_time};

/// Reads the wait that a refusal asks for (RFC 9110 section 10.2.3, and other words for it). `now` is our time of day,
/// for servers without a `Date`. A value that cannot be read counts as absent.
pub(crate) fn requested_delay(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    // A date is compared with the server's clock, if that is known.
    let now = server_time(headers).unwrap_or(now);
    let longest = |names: &[&str], unit| {
        let values = names.iter().flat_map(|name| headers.get_all(*name)).filter_map(|value| value.to_str().ok());
        values.filter_map(|text| delay(text, unit, now)).max()
    };
    let asked = longest(&[RETRY_AFTER.as_str()], Unit::Seconds);
    let asked = asked.max(longest(&["retry-after-ms", "x-ms-retry-after-ms"], Unit::Milliseconds));
    if asked.is_some() || !is_limited(status, headers) {
        return asked;
    }
    let reset = ["ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset", "x-ratelimit-reset-after"];
    longest(&reset, Unit::Seconds).or_else(|| structured_reset(headers))
}

/// Whether the response says that the client has used up its requests.
///
/// GitHub, for example, responds with 403 and `x-ratelimit-remaining: 0` where others send 429.
fn is_limited(status: StatusCode, headers: &HeaderMap) -> bool {
    let remaining = ["ratelimit-remaining", "x-ratelimit-remaining", "x-rate-limit-remaining"];
    let is_zero = |name: &&str| headers.get(*name).is_some_and(|value| value.as_bytes().trim_ascii() == b"0");
    match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::FORBIDDEN | StatusCode::SERVICE_UNAVAILABLE => remaining.iter().any(is_zero),
        _ => false,
    }
}

/// Reads the reset of `RateLimit: "policy";r=0;t=30`, or `limit=10, remaining=0, reset=30` as earlier drafts have it.
fn structured_reset(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("ratelimit").iter().filter_map(|value| value.to_str().ok());
    let seconds = values.flat_map(|text| text.split([',', ';'])).filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        let is_reset = matches!(name.trim(), "t" | "reset");
        value.trim().parse::<u64>().ok().filter(|_| is_reset)
    });
    seconds.max().map(Duration::from_secs)
}

/// The unit of a number without one.
#[derive(Clone, Copy)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// The longest delay in one header value: a number, a time with units, a date, or a list of them.
fn delay(text: &str, unit: Unit, now: SystemTime) -> Option<Duration> {
    // A date has a comma of its own.
    if let Some(time) = one_delay(text, unit, now) {
        return Some(time);
    }
    let parts: Vec<_> = text.split(',').collect();
    let pairs = parts.windows(2).filter_map(|pair| until(parse_date(&pair.join(","))?, now));
    parts.iter().filter_map(|part| one_delay(part, unit, now)).chain(pairs).max()
}

/// One element of a header: a number, a time with units, or a date.
fn one_delay(text: &str, unit: Unit, now: SystemTime) -> Option<Duration> {
    // Parameters of a structured field do not matter.
    let text = text.split(';').next().unwrap_or_default().trim().trim_matches('"').trim();
    if let Some(number) = Number::parse(text) {
        return number.delay(unit, now);
    }
    with_units(text).or_else(|| until(parse_date(text)?, now))
}

/// The time until a date. A date in the past means no wait.
fn until(time: SystemTime, now: SystemTime) -> Option<Duration> {
    Some(time.duration_since(now).unwrap_or_default())
}

/// A number without a sign, with or without a fraction.
///
/// The digits are kept as text, because both an integer and a fraction can be meant.
struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        Some(Number(text)).filter(|_| !whole.is_empty() && digits(whole) && digits(fraction))
    }

    fn delay(&self, unit: Unit, now: SystemTime) -> Option<Duration> {
        match (unit, self.0.parse::<u64>()) {
            // No server asks for a wait of thirty years: these count from 1970.
            (Unit::Seconds, Ok(seconds @ 1_000_000_000..100_000_000_000)) => {
                until(UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?, now)
            }
            (_, Ok(millis @ 1_000_000_000_000..100_000_000_000_000)) => {
                until(UNIX_EPOCH.checked_add(Duration::from_millis(millis))?, now)
            }
            (Unit::Seconds, Ok(seconds)) => Some(Duration::from_secs(seconds)),
            (Unit::Milliseconds, Ok(millis)) => Some(Duration::from_millis(millis)),
            (Unit::Seconds, Err(_)) => Some(self.times(1.0)),
            (Unit::Milliseconds, Err(_)) => Some(self.times(0.001)),
        }
    }

    /// The number, multiplied by a unit of this many seconds. What exceeds the longest duration becomes its whole
    /// seconds.
    fn times(&self, seconds: f64) -> Duration {
        let number = self.0.parse::<f64>().unwrap_or(f64::MAX);
        Duration::try_from_secs_f64(number * seconds).unwrap_or(Duration::from_secs(u64::MAX))
    }
}

/// Reads a time with units: `30s`, `30 seconds`, `500ms`, `2 minutes`, `1h30m`, `PT30S`.
fn with_units(text: &str) -> Option<Duration> {
    let lower = text.to_ascii_lowercase();
    let mut rest = lower.strip_prefix("pt").unwrap_or(&lower).trim();
    let mut total = Duration::ZERO;
    loop {
        let end = rest.find(|char: char| !(char.is_ascii_digit() || char == '.'))?;
        let (number, tail) = rest.split_at_checked(end)?;
        let tail = tail.trim_start();
        let end = tail.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        let seconds = match unit {
            "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
            "d" | "day" | "days" => 86_400.0,
            _ => return None,
        };
        total = total.saturating_add(Number::parse(number)?.times(seconds));
        rest = tail.trim_start();
        if rest.is_empty() {
            return Some(total);
        }
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests {
    use super::*;

    // 1994-11-06 08:49:37 UTC.
    const NOW: u64 = 784_111_777;
    // 2026-01-01 00:00:00 UTC.
    const LATER: u64 = 1_767_225_600;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn read(status: u16, headers: &[(&str, &str)], now: u64) -> Option<Duration> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        requested_delay(StatusCode::from_u16(status).unwrap(), &map, at(now))
    }

    // shows: 9110/10.2.3
    #[test]
    fn l46_a_delay_is_read_in_every_form() {
        for (text, seconds) in [
            ("0", Some(0.0)),
            ("120", Some(120.0)),
            (" 7 ", Some(7.0)),
            ("007", Some(7.0)),
            ("\"30\"", Some(30.0)),
            ("30;comment=x", Some(30.0)),
            ("1.5", Some(1.5)),
            ("29.999", Some(29.999)),
            ("5.", Some(5.0)),
            ("0.0", Some(0.0)),
            ("30s", Some(30.0)),
            ("30 s", Some(30.0)),
            ("30 sec", Some(30.0)),
            ("30 seconds", Some(30.0)),
            ("1 Second", Some(1.0)),
            ("500ms", Some(0.5)),
            ("500 milliseconds", Some(0.5)),
            ("1.5s", Some(1.5)),
            ("2m", Some(120.0)),
            ("2 minutes", Some(120.0)),
            ("1h", Some(3_600.0)),
            ("1 hour", Some(3_600.0)),
            ("1d", Some(86_400.0)),
            ("1m30s", Some(90.0)),
            ("1h 2m 3s", Some(3_723.0)),
            ("6m0s", Some(360.0)),
            ("PT30S", Some(30.0)),
            ("PT1M30.5S", Some(90.5)),
            ("30, 60", Some(60.0)),
            ("60,30", Some(60.0)),
            ("30, soon", Some(30.0)),
            ("30, 2 minutes", Some(120.0)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30.0)),
            ("Sunday, 06-Nov-94 08:50:07 GMT", Some(30.0)),
            ("Sun Nov  6 08:50:07 1994", Some(30.0)),
            ("Sun, 06 Nov 1994 08:50:07 UTC", Some(30.0)),
            ("Sun, 06 Nov 1994 09:50:07 +0100", Some(30.0)),
            ("1994-11-06T08:50:07Z", Some(30.0)),
            ("Sun, 06 Nov 1994 08:50:07 GMT, Sun, 06 Nov 1994 08:51:07 GMT", Some(90.0)),
            ("10, Sun, 06 Nov 1994 08:50:07 GMT", Some(30.0)),
            ("Sun, 06 Nov 1994 08:50:07 GMT, 40", Some(40.0)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0.0)),
            ("", None),
            (",", None),
            ("-5", None),
            ("+5", None),
            ("-5s", None),
            ("1.2.3", None),
            (".", None),
            ("1e3", None),
            ("0x10", None),
            ("s", None),
            ("30 apples", None),
            ("30s apples", None),
            ("soon", None),
            ("NaN", None),
            ("inf", None),
        ] {
            let found = read(503, &[("retry-after", text)], NOW);
            assert_eq!(found, seconds.map(Duration::from_secs_f64), "{text:?}");
        }
        for text in ["99999999999999999999999", "1e999999s", "99999999999999999999999 days"] {
            let found = read(503, &[("retry-after", text)], NOW);
            assert!(found.is_none_or(|time| time.as_secs() == u64::MAX), "{text}: {found:?}");
        }
        assert_eq!(read(503, &[], NOW), None);
    }

    #[test]
    fn l46_a_time_since_1970_is_not_a_wait() {
        for (name, text, seconds) in [
            ("retry-after", "1767225630", 30),
            ("retry-after", "1767225630000", 30),
            ("retry-after", "1767225000", 0),
            ("retry-after-ms", "1767225630000", 30),
            ("x-ratelimit-reset", "1767225630", 30),
            ("x-ratelimit-reset", "1767225630000", 30),
            ("x-rate-limit-reset", "1767225630", 30),
            ("ratelimit-reset", "30", 30),
            ("ratelimit-reset", "2026-01-01T00:00:30Z", 30),
            ("retry-after", "999999999", 999_999_999),
        ] {
            assert_eq!(read(429, &[(name, text)], LATER), Some(Duration::from_secs(seconds)), "{name}: {text}");
        }
    }

    #[test]
    fn l46_a_date_is_compared_with_the_servers_own_clock() {
        let date = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");
        for (name, text) in [
            ("retry-after", "Thu, 01 Jan 2026 00:00:30 GMT"),
            ("x-ratelimit-reset", "1767225630"),
            ("retry-after", "30"),
        ] {
            for now in [0, NOW, LATER - 7_200, LATER + 7_200] {
                assert_eq!(read(429, &[date, (name, text)], now), Some(Duration::from_secs(30)), "{name} at {now}");
            }
        }
    }

    #[test]
    fn l46_each_header_counts_where_it_asks_for_patience() {
        /// Status, headers, and the milliseconds to wait.
        type Row<'a> = (u16, &'a [(&'a str, &'a str)], Option<u64>);

        let retry = ("retry-after", "5");
        let (millis, azure) = (("retry-after-ms", "1500"), ("x-ms-retry-after-ms", "2500"));
        let (reset, draft) = (("ratelimit-reset", "40"), ("x-ratelimit-reset", "50"));
        let used_up = ("x-ratelimit-remaining", "0");
        let some_left = ("x-ratelimit-remaining", "10");
        let rows: [Row<'_>; 27] = [
            (503, &[retry], Some(5_000)),
            (429, &[retry], Some(5_000)),
            (400, &[retry], Some(5_000)),
            (401, &[retry], Some(5_000)),
            (503, &[("retry-after", "3"), ("retry-after", "9")], Some(9_000)),
            (503, &[("retry-after", "soon"), ("retry-after", "9")], Some(9_000)),
            (429, &[millis], Some(1_500)),
            (503, &[azure], Some(2_500)),
            (400, &[millis], Some(1_500)),
            (429, &[("retry-after-ms", "250.5")], Some(250)),
            (429, &[("retry-after-ms", "2s")], Some(2_000)),
            // The longest of those that ask, never one that only informs.
            (429, &[retry, millis, azure], Some(5_000)),
            (429, &[("retry-after", "1"), millis], Some(1_500)),
            (429, &[retry, draft], Some(5_000)),
            (429, &[reset], Some(40_000)),
            (429, &[draft], Some(50_000)),
            (429, &[reset, some_left], Some(40_000)),
            (429, &[("x-ratelimit-reset-after", "1.25")], Some(1_250)),
            (429, &[("ratelimit", "\"default\";r=0;t=30, \"daily\";r=5;t=20")], Some(30_000)),
            (429, &[("ratelimit", "limit=10, remaining=0, reset=30")], Some(30_000)),
            (429, &[("ratelimit", "\"default\"")], None),
            (503, &[reset], None),
            (503, &[reset, used_up], Some(40_000)),
            (403, &[draft, used_up], Some(50_000)),
            (403, &[draft, some_left], None),
            (401, &[draft, used_up], None),
            (400, &[reset, used_up], None),
        ];
        for (status, headers, millis) in rows {
            let found = read(status, headers, LATER).map(|time| time.as_millis());
            assert_eq!(found, millis.map(u128::from), "{status} {headers:?}");
        }
    }
}
