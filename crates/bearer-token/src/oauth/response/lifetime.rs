//! How long a token lives: `expires_in`, the times in a JWT, and the clocks that may be wrong.
//!
//! The table of all forms is in the docs of [`TokenEndpoint`](crate::oauth::TokenEndpoint).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{
    oauth::response::clock_offset::ClockOffset,
    token::{Expiry, fields::Field, jwt_times::JwtTimes},
};

/// The clocks at the moment when a response arrived.
#[derive(Clone, Copy)]
pub(crate) struct Clocks {
    /// This machine's.
    pub(crate) ours: SystemTime,
    /// The server's, as the response's `Date` shows it.
    pub(crate) server: Option<SystemTime>,
}

/// What the times of a token say.
#[derive(Debug, PartialEq)]
pub(crate) struct Lifetime {
    pub(crate) expiry: Expiry,
    pub(crate) findings: Findings,
}

/// What is odd about the times of a token, for events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The clocks differ by more than [`NOTABLE`].
    pub(crate) clock: Option<ClockOffset>,
    /// The token had expired before it arrived, by so much.
    pub(crate) expired: Option<Duration>,
}

/// The difference of two clocks from which it is told: well above what a slow response or a gateway can cause.
const NOTABLE: Duration = Duration::from_secs(60);

/// Judges the times of a token, or returns [`Negative`]: the earlier end counts.
pub(crate) fn lifetime(expires_in: Option<&Field>, jwt: &JwtTimes, clocks: Clocks) -> Result<Lifetime, Negative> {
    let stated = match expires_in.map(parse).transpose()?.flatten() {
        Some(seconds) => Stated::of(seconds, clocks),
        None => Stated::Nothing,
    };
    let by_server = clocks.server.and_then(|now| left(jwt.expires?, now));
    let by_ours = jwt.expires.and_then(|expires| left(expires, clocks.ours));
    // `iat` and `exp` are of one clock, `exp` and `Date` are of one server. This machine's clock is the last resort, and
    // a JWT that has expired by it alone may be a good one: it then says nothing.
    let own = match (jwt.life(), by_server) {
        (Some(life), Some(left)) => Some(life.min(left)),
        (life, left) => life.or(left),
    };
    let expiry = match (stated, own, by_ours) {
        (Stated::Life(stated), Some(own), _) => Expiry::In(stated.min(own)),
        (_, Some(own), _) => Expiry::In(own),
        (Stated::Life(stated), None, Some(left)) if stated <= left => Expiry::In(stated),
        (_, None, Some(_)) => jwt.expires.map_or(Expiry::Unknown, Expiry::At),
        (Stated::Life(stated), None, None) => Expiry::In(stated),
        (Stated::Over(_) | Stated::Nothing, None, None) => Expiry::Unknown,
    };
    let now = clocks.server.unwrap_or(clocks.ours);
    let over = match stated {
        Stated::Over(ago) => Some(ago),
        Stated::Life(Duration::ZERO) => Some(Duration::ZERO),
        Stated::Life(_) | Stated::Nothing => None,
    };
    let expired = jwt.expires.and_then(|expires| now.duration_since(expires).ok()).or(over);
    let clock = clocks.server.filter(|_| jwt.expires.is_some()).and_then(|server| differ(clocks.ours, server));
    Ok(Lifetime { expiry, findings: Findings { clock, expired } })
}

/// What `expires_in` says.
#[derive(Clone, Copy)]
enum Stated {
    Nothing,
    /// Zero for a token that is not to be kept.
    Life(Duration),
    /// A time of day that is over.
    Over(Duration),
}

impl Stated {
    /// A number of seconds, unless it can only be a time of day: one within some years of now, counted from 1970 in
    /// seconds or in milliseconds.
    fn of(seconds: Duration, clocks: Clocks) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        // As a lifetime it would be more than thirty years.
        if seconds < Duration::from_secs(1_000_000_000) {
            return Stated::Life(seconds);
        }
        let now = clocks.server.unwrap_or(clocks.ours);
        let times = [Some(seconds), Some(seconds / 1_000)].into_iter().flatten();
        let mut times = times.filter_map(|since_epoch| UNIX_EPOCH.checked_add(since_epoch));
        let is_near = |time: &SystemTime| match time.duration_since(now) {
            Ok(ahead) => ahead <= 10 * YEAR,
            Err(error) => error.duration() <= YEAR,
        };
        match times.find(is_near) {
            Some(time) => match time.duration_since(now) {
                Ok(left) if !left.is_zero() => Stated::Life(left),
                Ok(_) => Stated::Over(Duration::ZERO),
                Err(error) => Stated::Over(error.duration()),
            },
            None => Stated::Life(seconds),
        }
    }
}

/// The whole seconds of `expires_in` (RFC 6749 section 5.1); none if it cannot be read as a number.
fn parse(field: &Field) -> Result<Option<Duration>, Negative> {
    // Entra's first version and others send a string.
    let (Field::Number(text) | Field::Text(text)) = field else { return Ok(None) };
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Ok(Some(Duration::from_secs(seconds)));
    }
    // Rust would also parse `inf` and `NaN`.
    let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(seconds) if has_digits && seconds < 0.0 => Err(Negative),
        // Rounded down. More than a duration can hold is capped by the policy anyway.
        Ok(seconds) if has_digits => Ok(Some(Duration::try_from_secs_f64(seconds.trunc()).unwrap_or(Duration::MAX))),
        _ => Ok(None),
    }
}

/// The time that is left, if any.
fn left(end: SystemTime, now: SystemTime) -> Option<Duration> {
    end.duration_since(now).ok().filter(|left| !left.is_zero())
}

fn differ(ours: SystemTime, server: SystemTime) -> Option<ClockOffset> {
    let offset = match ours.duration_since(server) {
        Ok(ahead) => ClockOffset::Ahead(ahead),
        Err(error) => ClockOffset::Behind(error.duration()),
    };
    let (ClockOffset::Ahead(time) | ClockOffset::Behind(time)) = offset;
    Some(offset).filter(|_| time > NOTABLE)
}

/// The lifetime is below zero.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Negative;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::fields::ResponseFields;

    // 2026-01-01 00:00:00 UTC.
    const NOW: u64 = 1_767_225_600;
    const HOUR: u64 = 3_600;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn judge(expires_in: &str, iat: Option<u64>, exp: Option<u64>, clocks: Clocks) -> Result<Lifetime, Negative> {
        let body = format!("{{\"expires_in\":{expires_in}}}");
        let mut fields = ResponseFields::read(body.as_bytes(), |_| true).unwrap();
        let jwt = JwtTimes { issued_at: iat.map(at), expires: exp.map(at) };
        lifetime(fields.take("expires_in").as_ref(), &jwt, clocks)
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
}
