//! Dates as servers write them, and the clock of the server.
//!
//! `httpdate` reads the three forms of RFC 9110. Servers also write `UTC`, offsets, days of one digit, no weekday, and
//! RFC 3339. A date that cannot be read means no delay or no lifetime, so tolerance is worth its lines.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{
    HeaderMap,
    header::{AGE, DATE},
};

/// The server's time of day when it wrote the response (RFC 9110 section 6.6.1), if there is exactly one `Date`.
pub(crate) fn server_time(headers: &HeaderMap) -> Option<SystemTime> {
    let mut dates = headers.get_all(DATE).iter();
    let (Some(date), None) = (dates.next(), dates.next()) else { return None };
    let date = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
    // A cache says how long it has kept the response (RFC 9111 section 5.1).
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or_default();
    date.checked_add(Duration::from_secs(age))
}

/// Parses a date in any of the forms that servers use.
///
/// These are the three of RFC 9110 section 5.6.7 and the form of RFC 3339. They may have `UTC` or an offset in place of
/// `GMT`, without the name of the day, or a day of one digit.
pub(crate) fn parse_date(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let (text, offset) = split_zone(text);
    let date = parse_gmt(text).or_else(|| parse_rfc3339(text))?;
    let shift = Duration::from_secs(offset.unsigned_abs());
    // Noon at +01:00 is 11:00 GMT.
    if offset < 0 { date.checked_add(shift) } else { date.checked_sub(shift).or(Some(UNIX_EPOCH)) }
}

/// Splits the time zone off the end, in seconds east of Greenwich. Without one it is GMT.
///
/// Zones by name other than these four are ambiguous (`EST`, `IST`) and are not guessed: the date is then unreadable.
fn split_zone(text: &str) -> (&str, i64) {
    for zone in ["GMT", "UTC", "UT", "Z"] {
        let Some(start) = text.len().checked_sub(zone.len()) else { continue };
        if let Some((rest, end)) = text.split_at_checked(start)
            && end.eq_ignore_ascii_case(zone)
            && rest.ends_with(|before: char| before == ' ' || before.is_ascii_digit())
        {
            return (rest.trim_end(), 0);
        }
    }
    // A hyphen also separates the parts of a date, so only the part after the time is a zone.
    let time = text.rfind(':').unwrap_or(text.len());
    let search = text.get(..time).and_then(|before| before.rfind([' ', 'T', 't'])).unwrap_or(text.len());
    let start = text.get(search..).and_then(|rest| rest.rfind(['+', '-'])).map(|index| search + index);
    let Some((rest, zone)) = start.and_then(|start| text.split_at_checked(start)) else { return (text, 0) };
    match offset(zone) {
        Some(offset) => (rest.trim_end(), offset),
        None => (text, 0),
    }
}

/// The seconds of `+hhmm`, `-hh:mm` or `+hh`.
fn offset(zone: &str) -> Option<i64> {
    let (sign, digits) = zone.split_at_checked(1)?;
    let digits = digits.replace(':', "");
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(digits.len(), 2 | 4) {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { 0 } else { minutes.parse().ok()? };
    let seconds = (hours.parse::<i64>().ok()? * 60 + minutes) * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

/// Parses the forms of RFC 9110, without their zone.
fn parse_gmt(text: &str) -> Option<SystemTime> {
    let parse = |text: &str| httpdate::parse_http_date(text).ok();
    // The form of `asctime` has no zone.
    if let Some(date) = parse(text).or_else(|| parse(&format!("{text} GMT"))) {
        return Some(date);
    }
    let rest = text.split_once(',').map_or(text, |(_weekday, rest)| rest);
    let mut parts = rest.split_whitespace();
    let (Some(day), Some(month), Some(year), Some(time), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    with_any_weekday(&format!("{day:0>2} {month} {year} {time}"))
}

/// Parses a date whose weekday is missing, or is not checked.
///
/// The parser wants the right weekday, so each of the seven is tried. That costs seven parses of thirty bytes, for a
/// header that most responses do not have.
fn with_any_weekday(date: &str) -> Option<SystemTime> {
    let weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].into_iter();
    weekdays.map(|weekday| format!("{weekday}, {date} GMT")).find_map(|date| httpdate::parse_http_date(&date).ok())
}

/// Parses a date of RFC 3339 without its zone, such as `2026-01-01T12:00:00.5`.
fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let time = time.split_once('.').map_or(time, |(time, _fraction)| time);
    let mut parts = date.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
    with_any_weekday(&format!("{day:0>2} {month} {year} {time}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06T08:49:37Z.
    const EXAMPLE: u64 = 784_111_777;

    #[test]
    fn l46_a_date_is_read_in_every_form() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(0)),
            ("Sun Nov  6 08:49:37 1994", Some(0)),
            ("  Sun, 06 Nov 1994 08:49:37 GMT ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 UTC", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 UT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 Z", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 gmt", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 +0000", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 +0100", Some(-3_600)),
            ("Sun, 06 Nov 1994 08:49:37 -05:30", Some(19_800)),
            ("Sunday, 06-Nov-94 08:49:37 UTC", Some(0)),
            ("Sunday, 06-Nov-94 08:49:37 -0100", Some(3_600)),
            ("Sunday, 06-Nov-94 08:49:37", Some(0)),
            ("6 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 6 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sunday, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Mon, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("1994-11-06T08:49:37Z", Some(0)),
            ("1994-11-06t08:49:37z", Some(0)),
            ("1994-11-06 08:49:37", Some(0)),
            ("1994-11-06T08:49:37", Some(0)),
            ("1994-11-06T08:49:37.123456Z", Some(0)),
            ("1994-11-06T08:49:37+00:00", Some(0)),
            ("1994-11-06T09:49:37+01:00", Some(0)),
            ("1994-11-06T08:49:37-08", Some(28_800)),
            ("", None),
            ("soon", None),
            ("1994-11-07T08:49:37Z", Some(86_400)),
            ("8 Nov 1994 08:49:37 GMT", Some(172_800)),
            ("1994-11-06", None),
            ("1994-13-06T08:49:37Z", None),
            ("1994-00-06T08:49:37Z", None),
            ("Sun, 31 Feb 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 25:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 CEST", None),
            ("Sun, 06 Nov 1994 08:49:37 +1", None),
            ("-1", None),
            ("+5", None),
            ("\u{e4}GMT", None),
        ] {
            let expected =
                expected.map(|seconds| UNIX_EPOCH + Duration::from_secs(EXAMPLE.saturating_add_signed(seconds)));
            assert_eq!(parse_date(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_servers_clock_is_its_date_plus_age() {
        const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (headers, expected) in [
            (&[("date", AT)][..], Some(0)),
            (&[("date", AT), ("age", "60")], Some(60)),
            (&[("date", AT), ("age", "old")], Some(0)),
            (&[("date", AT), ("age", "18446744073709551615")], None),
            (&[("date", AT), ("date", AT)], None),
            (&[("date", "soon")], None),
            (&[], None),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            let expected = expected.map(|seconds| UNIX_EPOCH + Duration::from_secs(EXAMPLE + seconds));
            assert_eq!(server_time(&map), expected, "{headers:?}");
        }
    }
}
