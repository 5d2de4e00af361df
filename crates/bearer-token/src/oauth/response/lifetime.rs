//! How long a token lives: the fields of a response, the times in a JWT, and the clocks that may be wrong.
//!
//! The table of all forms is in the docs of [`TokenEndpoint`](crate::oauth::TokenEndpoint).
//!
//! Three sources speak about the life of a token. They are the response's `expires_in` or its time of day, the token
//! itself if it is a JWT, and two clocks. All of them can be wrong. The rules:
//!
//! 1. The earliest plausible end counts. A token that is renewed too early costs a request; one that is used too long
//!    costs a rejected call.
//! 2. Differences by one clock are preferred: `exp - iat`, then `exp - Date`. Our own clock is the last resort, and a
//!    JWT that is over by our clock alone is not believed to be over.
//! 3. What cannot be read is unknown, not zero: the policy has a default.
//! 4. What is odd is reported as an event, because a person can fix it and the token can still be used.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{
    oauth::response::{clock_offset::ClockOffset, date::parse_date},
    token::{Expiry, fields::Field, jwt_times::JwtTimes},
};

/// What a response says about the life of its token.
#[derive(Clone, Copy, Default)]
pub(crate) struct Times<'a> {
    pub(crate) expires_in: Option<&'a Field>,
    pub(crate) expires_at: Option<&'a Field>,
    pub(crate) refresh_in: Option<&'a Field>,
    /// Lifetimes are in milliseconds.
    pub(crate) milliseconds: bool,
    /// This number means that the token does not expire.
    pub(crate) never: Option<i64>,
}

/// The clocks at the moment when a response arrived.
#[derive(Clone, Copy)]
pub(crate) struct Clocks {
    /// This machine's.
    pub(crate) ours: SystemTime,
    /// The server's, as the response's `Date` shows it.
    pub(crate) server: Option<SystemTime>,
}

impl Clocks {
    fn now(self) -> SystemTime {
        self.server.unwrap_or(self.ours)
    }
}

/// What the times of a token say.
#[derive(Debug, PartialEq)]
pub(crate) struct Lifetime {
    pub(crate) expiry: Expiry,
    /// When the server recommends a new token.
    pub(crate) refresh_in: Option<Duration>,
    pub(crate) findings: Findings,
}

/// What is odd about the times of a token, for events.
///
/// They do not change the lifetime. They are its explanation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The clocks differ by more than [`NOTABLE`].
    pub(crate) clock: Option<ClockOffset>,
    /// The token had expired this long before it arrived.
    pub(crate) expired: Option<Duration>,
}

/// The smallest clock difference that is reported. It is well above what a slow response or a gateway can cause.
const NOTABLE: Duration = Duration::from_secs(60);

/// The age at which a JWT in a response without `Date` counts as old. A wrong clock is rarely off by so much.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Judges the times of a token, or returns [`Negative`]: the earliest end counts.
pub(crate) fn lifetime(times: Times, jwt: &JwtTimes, clocks: Clocks) -> Result<Lifetime, Negative> {
    let seconds = |field| lasting(field, times.milliseconds);
    let is_never = |field: &Field| times.never.is_some_and(|never| is_number(field, never));
    let life = match times.expires_in {
        Some(field) if is_never(field) => Stated::Never,
        Some(field) => seconds(field)?.map_or(Stated::Nothing, |seconds| Stated::of(seconds, clocks)),
        None => Stated::Nothing,
    };
    let end = match times.expires_at {
        Some(field) if is_never(field) => Stated::Never,
        Some(field) => time_of_day(field).map_or(Stated::Nothing, |time| Stated::until(time, clocks)),
        None => Stated::Nothing,
    };
    let stated = life.and(end);
    let by_server = clocks.server.and_then(|now| left(jwt.expires?, now));
    let by_ours = jwt.expires.and_then(|expires| left(expires, clocks.ours));
    // `iat` and `exp` are of one clock, `exp` and `Date` are of one server. This machine's clock is the last resort. If
    // a JWT has expired by this clock alone, the JWT may still be valid, so its `exp` is ignored.
    let own = match (jwt.life(), by_server, by_ours) {
        (Some(life), Some(left), _) => Some(life.min(left)),
        (Some(life), None, Some(left)) if clocks.server.is_none() && life.saturating_sub(left) > DAY => Some(left),
        (life, left, _) => life.or(left),
    };
    let expiry = match (stated, own, by_ours) {
        (Stated::Life(stated), Some(own), _) => Expiry::In(stated.min(own)),
        (_, Some(own), _) => Expiry::In(own),
        (Stated::Life(stated), None, Some(left)) if stated <= left => Expiry::In(stated),
        (_, None, Some(_)) => jwt.expires.map_or(Expiry::Unknown, Expiry::At),
        (Stated::Life(stated), None, None) => Expiry::In(stated),
        (Stated::Never, None, None) => Expiry::Never,
        (Stated::Over(_) | Stated::Nothing, None, None) => Expiry::Unknown,
    };
    let over = match stated {
        Stated::Over(ago) => Some(ago),
        Stated::Life(Duration::ZERO) => Some(Duration::ZERO),
        Stated::Life(_) | Stated::Nothing | Stated::Never => None,
    };
    let expired = jwt.expires.and_then(|expires| clocks.now().duration_since(expires).ok()).or(over);
    let clock = clocks.server.filter(|_| jwt.expires.is_some()).and_then(|server| differ(clocks.ours, server));
    let refresh_in = times.refresh_in.and_then(|field| seconds(field).ok()?);
    let refresh_in = refresh_in.and_then(|seconds| match Stated::of(seconds, clocks) {
        Stated::Life(life) => Some(life),
        Stated::Over(_) | Stated::Nothing | Stated::Never => None,
    });
    Ok(Lifetime { expiry, refresh_in, findings: Findings { clock, expired } })
}

/// What one field says.
///
/// Nothing, never and "over" are kept apart: an `expires_at` in the past is no lifetime, but it is worth an event.
#[derive(Clone, Copy)]
enum Stated {
    Nothing,
    /// It does not expire.
    Never,
    /// It lives this long. Zero means that it is not kept.
    Life(Duration),
    /// It ended this long ago, by a time of day.
    Over(Duration),
}

impl Stated {
    /// Interprets a number of seconds. It is a time of day, counted from 1970 in seconds or milliseconds, if that is
    /// within some years of the current time. Otherwise it is a lifetime.
    ///
    /// Some servers put the time of day into `expires_in`. A lifetime of more than thirty years is not one. So such a
    /// number is tried as a time since 1970: in seconds, then in milliseconds.
    fn of(seconds: Duration, clocks: Clocks) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        // As a lifetime it would be more than thirty years.
        if seconds < Duration::from_secs(1_000_000_000) {
            return Stated::Life(seconds);
        }
        let now = clocks.now();
        let times = [Some(seconds), Some(seconds / 1_000)].into_iter().flatten();
        let mut times = times.filter_map(|since_epoch| UNIX_EPOCH.checked_add(since_epoch));
        let is_near = |time: &SystemTime| match time.duration_since(now) {
            Ok(ahead) => ahead <= 10 * YEAR,
            Err(error) => error.duration() <= YEAR,
        };
        times.find(is_near).map_or(Stated::Life(seconds), |time| Stated::until(time, clocks))
    }

    fn until(time: SystemTime, clocks: Clocks) -> Self {
        match time.duration_since(clocks.now()) {
            Ok(left) if !left.is_zero() => Stated::Life(left),
            Ok(_) => Stated::Over(Duration::ZERO),
            Err(error) => Stated::Over(error.duration()),
        }
    }

    /// What two fields say together.
    ///
    /// A life wins over "never" and over "over": it is the more specific statement.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Stated::Life(one), Stated::Life(other)) => Stated::Life(one.min(other)),
            (life @ Stated::Life(_), _) | (_, life @ Stated::Life(_)) => life,
            (over @ Stated::Over(_), _) | (_, over @ Stated::Over(_)) => over,
            (Stated::Never, _) | (_, Stated::Never) => Stated::Never,
            (Stated::Nothing, Stated::Nothing) => Stated::Nothing,
        }
    }
}

/// The digits of a number, or of a string. Entra's first version and other servers send strings.
fn digits(field: &Field) -> Option<&str> {
    match field {
        Field::Number(text) | Field::Text(text) => Some(text.trim()),
        _ => None,
    }
}

/// Whether a field is this number. Compares as numbers, so `0`, `"0"` and `0.0` are the same.
fn is_number(field: &Field, number: i64) -> bool {
    let found = digits(field).filter(|text| text.bytes().any(|byte| byte.is_ascii_digit()));
    found.and_then(|text| text.parse::<f64>().ok()).is_some_and(|found| Ok(found) == number.to_string().parse())
}

/// The whole seconds of a lifetime (RFC 6749 section 5.1); none if it cannot be read as a number.
fn lasting(field: &Field, milliseconds: bool) -> Result<Option<Duration>, Negative> {
    let Some(text) = digits(field) else { return Ok(None) };
    if let Ok(number) = text.parse() {
        return Ok(Some(if milliseconds { Duration::from_millis(number) } else { Duration::from_secs(number) }));
    }
    // Rust would also parse `inf` and `NaN`.
    let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(number) if has_digits && number < 0.0 => Err(Negative),
        // Rounded down. More than a duration can hold is capped by the policy anyway.
        Ok(number) if has_digits => {
            let seconds = if milliseconds { number / 1_000.0 } else { number };
            Ok(Some(Duration::try_from_secs_f64(seconds.trunc()).unwrap_or(Duration::MAX)))
        }
        _ => Ok(None),
    }
}

/// The time of day in a field: a date, or a number counted from 1970.
fn time_of_day(field: &Field) -> Option<SystemTime> {
    /// The first number that is not read as seconds: they would be in the year 5138, and milliseconds are in 1973.
    const MOST_SECONDS: f64 = 1e11;
    let text = digits(field)?;
    if let Some(date) = parse_date(text) {
        return Some(date);
    }
    let mut number = json_number(text)?;
    // Milliseconds, microseconds or nanoseconds. Rounded down.
    for _ in 0..3 {
        if number >= MOST_SECONDS {
            number /= 1_000.0;
        }
    }
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(number.trunc()).ok()?)
}

fn json_number(text: &str) -> Option<f64> {
    crate::token::json::number(text.as_bytes())?.parse().ok()
}

/// The time that is left, if any.
///
/// Zero counts as nothing: "over right now" would make a token that cannot be used.
fn left(end: SystemTime, now: SystemTime) -> Option<Duration> {
    end.duration_since(now).ok().filter(|left| !left.is_zero())
}

/// The difference of the clocks, if it is notable.
fn differ(ours: SystemTime, server: SystemTime) -> Option<ClockOffset> {
    let offset = match ours.duration_since(server) {
        Ok(ahead) => ClockOffset::Ahead(ahead),
        Err(error) => ClockOffset::Behind(error.duration()),
    };
    let (ClockOffset::Ahead(time) | ClockOffset::Behind(time)) = offset;
    Some(offset).filter(|_| time > NOTABLE)
}

/// The lifetime is below zero.
///
/// An error and not a zero: no server means it, and a zero would have every request fetch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Negative;

#[cfg(test)]
mod tests;
