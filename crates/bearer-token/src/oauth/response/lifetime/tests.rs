//! Every form of a lifetime, with right and wrong clocks.

use super::*;
use crate::{oauth::response::ResponseFormat, token::fields::ResponseFields};

// 2026-01-01 00:00:00 UTC.
const NOW: u64 = 1_767_225_600;
const HOUR: u64 = 3_600;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn judge(expires_in: &str, iat: Option<u64>, exp: Option<u64>, clocks: Clocks) -> Result<Lifetime, Negative> {
    let jwt = JwtTimes { issued_at: iat.map(at), expires: exp.map(at) };
    judged(&format!("{{\"expires_in\":{expires_in}}}"), &ResponseFormat::oauth(), &jwt, clocks)
}

fn judged(body: &str, format: &ResponseFormat, jwt: &JwtTimes, clocks: Clocks) -> Result<Lifetime, Negative> {
    let fields = ResponseFields::read(body.as_bytes(), format.wanted()).unwrap();
    lifetime(format.times(&fields), jwt, clocks)
}

const RIGHT: Clocks = Clocks { ours: UNIX_EPOCH, server: None };

fn clocks(ours: u64, server: Option<u64>) -> Clocks {
    Clocks { ours: at(ours), server: server.map(at) }
}

#[test]
fn l14_every_expires_in_has_an_outcome() {
    let seconds = |seconds| Ok(Expiry::In(Duration::from_secs(seconds)));
    for (json, expected) in [
        ("3600", seconds(3_600)),
        ("\"3599\"", seconds(3_599)),
        ("\" 3599 \"", seconds(3_599)),
        ("3599.9", seconds(3_599)),
        ("\"3599.9\"", seconds(3_599)),
        ("3.6e3", seconds(3_600)),
        ("0", seconds(0)),
        ("-0.0", seconds(0)),
        ("\"0\"", seconds(0)),
        ("1099511627776", seconds(1 << 40)),
        ("18446744073709551615", seconds(u64::MAX)),
        ("1e300", Ok(Expiry::In(Duration::MAX))),
        ("1e400", Ok(Expiry::In(Duration::MAX))),
        ("\"1e400\"", Ok(Expiry::In(Duration::MAX))),
        ("99999999999999999999999", Ok(Expiry::In(Duration::MAX))),
        ("-1", Err(Negative)),
        ("-0.5", Err(Negative)),
        ("\"-3600\"", Err(Negative)),
        ("-9223372036854775808", Err(Negative)),
        ("-1e400", Err(Negative)),
        ("\"\"", Ok(Expiry::Unknown)),
        ("\"NaN\"", Ok(Expiry::Unknown)),
        ("NaN", Ok(Expiry::Unknown)),
        ("\"inf\"", Ok(Expiry::Unknown)),
        ("\"-infinity\"", Ok(Expiry::Unknown)),
        ("\"soon\"", Ok(Expiry::Unknown)),
        ("\"2026-01-01T00:00:00Z\"", Ok(Expiry::Unknown)),
        ("true", Ok(Expiry::Unknown)),
        ("[3600]", Ok(Expiry::Unknown)),
        ("{}", Ok(Expiry::Unknown)),
        ("null", Ok(Expiry::Unknown)),
    ] {
        assert_eq!(judge(json, None, None, RIGHT).map(|life| life.expiry), expected, "{json}");
    }
}

#[test]
fn l45_the_earlier_of_both_lifetimes_counts() {
    for (expires_in, own, expected) in [
        ("3600", 900, 900),
        ("120", 3_600, 120),
        ("3600", 3_600, 3_600),
        // Milliseconds, and times of day in seconds and milliseconds.
        ("3600000", 3_600, 3_600),
        ("\"3600000\"", 3_600, 3_600),
        ("1767229200", 3_600, 3_600),
        ("1767229200000", 3_600, 3_600),
        ("1767225900", 3_600, 300),
        ("1767225900000", 3_600, 300),
        ("\"1767225900\"", 3_600, 300),
        ("1e400", 3_600, 3_600),
        ("null", 3_600, 3_600),
        ("\"soon\"", 3_600, 3_600),
        ("0", 3_600, 0),
    ] {
        for server in [None, Some(NOW)] {
            let found = judge(expires_in, Some(NOW), Some(NOW + own), clocks(NOW, server)).unwrap();
            assert_eq!(found.expiry, Expiry::In(Duration::from_secs(expected)), "{expires_in} {own}");
            assert_eq!(found.findings.clock, None);
        }
    }
}

#[test]
fn an_opaque_token_lives_until_a_time_of_day() {
    let over = |seconds| Some(Duration::from_secs(seconds));
    for (expires_in, expiry, expired) in [
        ("1767229200", Expiry::In(Duration::from_secs(HOUR)), None),
        ("1767229200000", Expiry::In(Duration::from_secs(HOUR)), None),
        // A time that is over, like one that is unreadable, leaves the default.
        ("1767225600", Expiry::Unknown, over(0)),
        ("1767225500", Expiry::Unknown, over(100)),
        // Ten years away, or two years ago: a lifetime, which the policy caps.
        ("2092646400", Expiry::In(Duration::from_secs(2_092_646_400)), None),
        ("1700000000", Expiry::In(Duration::from_secs(1_700_000_000)), None),
    ] {
        let found = judge(expires_in, None, None, clocks(NOW, None)).unwrap();
        assert_eq!((found.expiry, found.findings.expired), (expiry, expired), "{expires_in}");
    }
}

#[test]
fn l47_a_wrong_clock_changes_no_lifetime() {
    for offset in [-86_400, -7_200, -30, 0, 30, 3_500, 3_600, 7_200, 86_400] {
        let ours = NOW.saturating_add_signed(offset);
        let by_date = clocks(ours, Some(NOW));
        let hour = Expiry::In(Duration::from_secs(HOUR));
        for (iat, server) in [(Some(NOW), by_date), (Some(NOW), clocks(ours, None)), (None, by_date)] {
            for expires_in in ["null", "3600", "3600000"] {
                let found = judge(expires_in, iat, Some(NOW + HOUR), server).unwrap();
                assert_eq!(found.expiry, hour, "{offset} {iat:?} {expires_in}");
            }
        }
        let notable = match offset {
            61.. => Some(ClockOffset::Ahead(Duration::from_secs(offset.unsigned_abs()))),
            ..=-61 => Some(ClockOffset::Behind(Duration::from_secs(offset.unsigned_abs()))),
            _ => None,
        };
        let found = judge("3600", Some(NOW), Some(NOW + HOUR), by_date).unwrap();
        assert_eq!(found.findings, Findings { clock: notable, expired: None }, "{offset}");
    }
}

#[test]
fn l47_an_expired_jwt_without_dates_lives_for_the_default() {
    for (expires_in, exp, expiry, expired) in [
        ("null", NOW + HOUR, Expiry::At(at(NOW + HOUR)), None),
        ("60", NOW + HOUR, Expiry::In(Duration::from_secs(60)), None),
        ("7200", NOW + HOUR, Expiry::At(at(NOW + HOUR)), None),
        ("null", NOW - HOUR, Expiry::Unknown, Some(HOUR)),
        ("60", NOW - HOUR, Expiry::In(Duration::from_secs(60)), Some(HOUR)),
    ] {
        let found = judge(expires_in, None, Some(exp), clocks(NOW, None)).unwrap();
        assert_eq!((found.expiry, found.findings.expired), (expiry, expired.map(Duration::from_secs)), "{exp}");
    }
}

#[test]
fn l45_a_response_from_a_cache_has_less_life_left() {
    // Issued ten minutes ago, for fifteen.
    let found = judge("900", Some(NOW - 600), Some(NOW + 300), clocks(NOW + HOUR, Some(NOW))).unwrap();
    assert_eq!(found.expiry, Expiry::In(Duration::from_secs(300)));
}

#[test]
fn l47_a_token_that_is_dead_on_arrival_is_told() {
    for (iat, exp, server, expired) in [
        (Some(NOW - 7_200), NOW - 3_600, Some(NOW), Some(3_600)),
        (Some(NOW - 7_200), NOW - 3_600, None, Some(3_600)),
        (None, NOW, Some(NOW), Some(0)),
        (None, NOW + 1, Some(NOW), None),
        // By this machine's clock only, which is wrong.
        (Some(NOW - 7_200), NOW - 3_600, Some(NOW - 7_200), None),
    ] {
        let found = judge("null", iat, Some(exp), clocks(NOW, server)).unwrap();
        assert_eq!(found.findings.expired, expired.map(Duration::from_secs), "{iat:?} {exp} {server:?}");
        assert!(found.expiry != Expiry::In(Duration::ZERO), "one token request per call");
    }
    assert_eq!(judge("0", None, None, RIGHT).unwrap().findings.expired, Some(Duration::ZERO));
}

mod expires_at {
    use super::*;

    fn found(body: &str, format: &ResponseFormat, server: Option<u64>) -> (Expiry, Option<Duration>) {
        let life = judged(body, format, &JwtTimes::default(), clocks(NOW, server)).unwrap();
        (life.expiry, life.findings.expired)
    }

    #[test]
    fn every_form_of_a_time_is_read() {
        let hour = (Expiry::In(Duration::from_secs(HOUR)), None);
        let over = |seconds| (Expiry::Unknown, Some(Duration::from_secs(seconds)));
        let unknown = (Expiry::Unknown, None);
        for (value, expected) in [
            ("\"2026-01-01T01:00:00Z\"", hour),
            ("\"2026-01-01T02:00:00.123+01:00\"", hour),
            ("\"2026-01-01 01:00:00\"", hour),
            ("\"Thu, 01 Jan 2026 01:00:00 GMT\"", hour),
            ("1767229200", hour),
            ("\"1767229200\"", hour),
            ("1767229200.9", hour),
            ("1767229200000", hour),
            ("\" 1767229200000 \"", hour),
            ("1.7672292e12", hour),
            ("1767229200000000", hour),
            ("1767229200000000000", hour),
            ("\"2025-12-31T23:00:00Z\"", over(HOUR)),
            ("1767222000", over(HOUR)),
            ("1767225600", over(0)),
            ("0", over(NOW)),
            ("3600", over(NOW - HOUR)),
            ("-1", unknown),
            ("-62135596800", unknown),
            ("\"soon\"", unknown),
            ("\"\"", unknown),
            ("null", unknown),
            ("true", unknown),
            ("[]", unknown),
            ("NaN", unknown),
            ("1e400", unknown),
        ] {
            for server in [None, Some(NOW)] {
                let format = ResponseFormat::oauth().expires_at("/expiresAt");
                assert_eq!(found(&format!("{{\"expiresAt\":{value}}}"), &format, server), expected, "{value}");
                let format = ResponseFormat::oauth().expires_at("/data/1/at").milliseconds();
                assert_eq!(
                    found(&format!("{{\"data\":[0,{{\"at\":{value}}}]}}"), &format, server),
                    expected,
                    "{value}"
                );
            }
        }
    }

    #[test]
    fn the_servers_clock_counts_if_it_is_known() {
        let format = ResponseFormat::oauth().expires_at("/at");
        let body = "{\"at\":1767229200}";
        for (ours, server, expected) in [
            (NOW + 7_200, Some(NOW), Expiry::In(Duration::from_secs(HOUR))),
            (NOW - 7_200, Some(NOW), Expiry::In(Duration::from_secs(HOUR))),
            (NOW - 7_200, None, Expiry::In(Duration::from_secs(3 * HOUR))),
            // A clock that is ahead does not make a token request of every call.
            (NOW + 7_200, None, Expiry::Unknown),
        ] {
            let life = judged(body, &format, &JwtTimes::default(), clocks(ours, server)).unwrap();
            assert_eq!(life.expiry, expected, "{ours} {server:?}");
        }
    }

    #[test]
    fn l45_the_earliest_of_all_ends_counts() {
        let format = ResponseFormat::oauth().expires_at("/at");
        for (expires_in, at_seconds, jwt, expected) in [
            (600, NOW + 300, None, 300),
            (300, NOW + 600, None, 300),
            (600, NOW - 600, None, 600),
            (600, NOW + 300, Some(120), 120),
            (600, NOW + 300, Some(900), 300),
        ] {
            let jwt = JwtTimes { issued_at: jwt.map(|_| at(NOW)), expires: jwt.map(|life| at(NOW + life)) };
            let body = format!("{{\"expires_in\":{expires_in},\"at\":{at_seconds}}}");
            let life = judged(&body, &format, &jwt, clocks(NOW, Some(NOW))).unwrap();
            assert_eq!(life.expiry, Expiry::In(Duration::from_secs(expected)), "{body}");
        }
    }
}

#[test]
fn a_configured_number_means_that_a_token_stays_valid() {
    let jwt = JwtTimes { issued_at: Some(at(NOW)), expires: Some(at(NOW + HOUR)) };
    let hour = Expiry::In(Duration::from_secs(HOUR));
    for (never, body, alone, of_a_jwt) in [
        (0, "{\"expires_in\":0}", Expiry::Never, hour),
        (0, "{\"expires_in\":\"0\"}", Expiry::Never, hour),
        (0, "{\"expires_in\":0.0}", Expiry::Never, hour),
        (-1, "{\"expires_in\":-1}", Expiry::Never, hour),
        (0, "{\"at\":0}", Expiry::Never, hour),
        (0, "{\"at\":0,\"expires_in\":60}", Expiry::In(Duration::from_secs(60)), Expiry::In(Duration::from_secs(60))),
        (-1, "{\"expires_in\":0}", Expiry::In(Duration::ZERO), Expiry::In(Duration::ZERO)),
        (0, "{\"expires_in\":60}", Expiry::In(Duration::from_secs(60)), Expiry::In(Duration::from_secs(60))),
        (0, "{\"expires_in\":\"\"}", Expiry::Unknown, hour),
        (0, "{\"expires_in\":false}", Expiry::Unknown, hour),
        (0, "{}", Expiry::Unknown, hour),
    ] {
        let format = ResponseFormat::oauth().expires_at("/at").never(never);
        let clocks = clocks(NOW, Some(NOW));
        assert_eq!(judged(body, &format, &JwtTimes::default(), clocks).unwrap().expiry, alone, "{body}");
        assert_eq!(judged(body, &format, &jwt, clocks).unwrap().expiry, of_a_jwt, "{body}");
    }
}

#[test]
fn lifetimes_in_milliseconds_are_read() {
    let format = ResponseFormat::oauth().refresh_in("/refresh_in").milliseconds();
    for (value, expected) in [
        ("3600000", Ok(Expiry::In(Duration::from_secs(HOUR)))),
        ("\"3600000\"", Ok(Expiry::In(Duration::from_secs(HOUR)))),
        ("3.6e6", Ok(Expiry::In(Duration::from_secs(HOUR)))),
        ("1500", Ok(Expiry::In(Duration::from_millis(1_500)))),
        ("1767229200000", Ok(Expiry::In(Duration::from_secs(HOUR)))),
        ("18446744073709551615", Ok(Expiry::In(Duration::from_millis(u64::MAX)))),
        ("-1", Err(Negative)),
    ] {
        let body = format!("{{\"expires_in\":{value},\"refresh_in\":{value}}}");
        let found = judged(&body, &format, &JwtTimes::default(), clocks(NOW, None));
        let hint = found.as_ref().ok().and_then(|life| life.refresh_in);
        assert_eq!(found.map(|life| life.expiry), expected, "{value}");
        assert_eq!(hint.map(Expiry::In).ok_or(Negative), expected, "{value}");
    }
}

#[test]
fn a_hint_is_read_and_never_an_error() {
    let format = ResponseFormat::oauth().refresh_in("/refresh_in");
    for (value, expected) in [
        ("43200", Some(43_200)),
        ("\"43200\"", Some(43_200)),
        ("0", Some(0)),
        ("1767229200", Some(HOUR)),
        ("1767222000", None),
        ("-1", None),
        ("null", None),
        ("\"soon\"", None),
        ("{}", None),
    ] {
        let body = format!("{{\"expires_in\":86400,\"refresh_in\":{value}}}");
        let life = judged(&body, &format, &JwtTimes::default(), clocks(NOW, None)).unwrap();
        assert_eq!(life.expiry, Expiry::In(Duration::from_secs(86_400)));
        assert_eq!(life.refresh_in, expected.map(Duration::from_secs), "{value}");
    }
}

#[test]
fn l45_without_a_date_our_clock_judges_an_old_jwt() {
    const DAYS: u64 = 24 * HOUR;
    for (age, life, ours, server, expected) in [
        // Issued ten days ago for thirty.
        (10 * DAYS, 30 * DAYS, NOW, None, 20 * DAYS),
        (10 * DAYS, 30 * DAYS, NOW + DAYS, Some(NOW), 20 * DAYS),
        // Not old enough to distrust the clock's difference from the server's.
        (DAYS, 30 * DAYS, NOW, None, 30 * DAYS),
        (23 * HOUR, DAYS, NOW, None, DAYS),
        // A clock that is behind.
        (0, 30 * DAYS, NOW - 10 * DAYS, None, 30 * DAYS),
        // Past its end by our clock alone: the clock may be wrong.
        (0, HOUR, NOW + 10 * DAYS, None, HOUR),
    ] {
        let found = judge("null", Some(NOW - age), Some(NOW - age + life), clocks(ours, server)).unwrap();
        assert_eq!(found.expiry, Expiry::In(Duration::from_secs(expected)), "{age} {life} {ours} {server:?}");
    }
}
