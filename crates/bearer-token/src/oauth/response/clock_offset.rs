//! How far this machine's clock is from that of the authorization server, and assertions that are signed by the latter.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{
    HeaderMap, Response, StatusCode,
    header::{AGE, DATE},
};

use crate::{
    error::{Error, ErrorKind},
    observe,
    platform::{BoxFuture, Clock, Moment, Platform},
};

/// How far the clock of this machine is from that of the authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockOffset {
    /// This machine's clock is behind by so much.
    Behind(Duration),
    /// This machine's clock is ahead by so much.
    Ahead(Duration),
}

/// In whole seconds: `300 s behind`.
impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (time, word) = match self {
            ClockOffset::Behind(time) => (time, "behind"),
            ClockOffset::Ahead(time) => (time, "ahead"),
        };
        write!(f, "{} s {word}", time.saturating_add(Duration::from_millis(500)).as_secs())
    }
}

/// The largest offset that is corrected unless the user says otherwise: clocks of machines without NTP, and those that
/// take a local time for UTC in half of the world's hours no more. What is off by more should be seen, and set.
pub(crate) const LIMIT: Duration = Duration::from_secs(3600);

/// Offsets up to this are no reason to try again: half of the 10 s that `iat` is back-dated by, and ample for a `Date`
/// that was made by another machine than the one that judges.
const TOLERANCE: Nanos = 5_000_000_000;

/// Nanoseconds: what has to be added to our time of day to get the server's. Enough for 292 years.
type Nanos = i64;

/// What one token endpoint knows of its server's clock.
pub(crate) struct ServerClock {
    limit: Duration,
    /// The offset by which the server took an assertion last; zero is none.
    kept: AtomicI64,
}

impl ServerClock {
    pub(crate) fn new(limit: Duration) -> Self {
        ServerClock { limit, kept: AtomicI64::new(0) }
    }

    pub(crate) fn offset(&self) -> Option<ClockOffset> {
        named(self.kept.load(Ordering::Relaxed))
    }

    /// For one fetch. Nothing happens unless its requests are `dated`: have something in them that was signed here.
    pub(crate) fn correction(&self, dated: bool) -> Correction<'_> {
        let used = if dated { self.kept.load(Ordering::Relaxed) } else { 0 };
        Correction { clock: self, dated, used, retried: false }
    }
}

/// One fetch's way of telling the time.
pub(crate) struct Correction<'a> {
    clock: &'a ServerClock,
    dated: bool,
    used: Nanos,
    retried: bool,
}

impl Correction<'_> {
    /// The platform to sign with.
    pub(crate) fn platform(&self, platform: &Platform) -> Platform {
        if self.used == 0 {
            return platform.clone();
        }
        platform.clone().with_clock(Shifted { platform: platform.clone(), by: self.used })
    }

    /// The server took what was signed.
    pub(crate) fn accepted(&self) {
        if self.dated {
            self.clock.kept.store(self.used, Ordering::Relaxed);
        }
    }

    /// The server refused the request: the error, which tells of a clock that is off, and whether to sign once more.
    pub(crate) fn refused(
        &mut self,
        error: Error,
        answer: &Response<Bytes>,
        sent: Moment,
        received: Moment,
    ) -> (Error, bool) {
        if !self.dated || !is_suspicious(&error, answer.status()) {
            return (error, false);
        }
        // It did not help, whether it is right or not. If it is, it is learnt again.
        self.clock.kept.store(0, Ordering::Relaxed);
        let Some(measured) = Measured::of(answer.headers(), sent, received) else { return (error, false) };
        let Some(offset) = measured.is_off_from(0).then(|| named(measured.offset)).flatten() else {
            // The clock is right, so what was learnt is wrong.
            let again = self.used != 0 && measured.is_off_from(self.used) && !self.retried;
            if again {
                (self.used, self.retried) = (0, true);
            }
            return (error, again);
        };
        let limit = self.clock.limit;
        let beyond = measured.offset.unsigned_abs() > u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let again = !beyond && !self.retried && measured.is_off_from(self.used);
        let outcome = if again {
            observe::clock_offset(offset);
            (self.used, self.retried) = (measured.offset, true);
            "and no time was left to sign again by the server's: set the clock".to_owned()
        } else if limit.is_zero() {
            "and this is not corrected, as was asked for: set the clock".to_owned()
        } else if beyond {
            format!("more than the {} s that are corrected: set the clock", limit.as_secs())
        } else {
            "and an assertion that was signed by the server's clock was refused as well: set the clock, and look for \
             another cause"
                .to_owned()
        };
        (noted(&error, offset, &outcome), again)
    }
}

/// Whether a verdict may be about the times in an assertion: RFC 7521 sections 4.1.1 and 4.2.1, what other servers say
/// instead, and nothing that is known.
fn is_suspicious(error: &Error, status: StatusCode) -> bool {
    const CODES: [&str; 6] =
        ["invalid_client", "invalid_grant", "invalid_assertion", "invalid_token", "expired_token", "invalid_request"];
    let status = matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    error.kind() == ErrorKind::Refused && status && error.oauth_code().is_none_or(|code| CODES.contains(&code))
}

/// What an answer says of the server's clock.
struct Measured {
    offset: Nanos,
    uncertainty: Nanos,
}

impl Measured {
    fn of(headers: &HeaderMap, sent: Moment, received: Moment) -> Option<Self> {
        let mut dates = headers.get_all(DATE).iter();
        let (Some(date), None, false) = (dates.next(), dates.next(), headers.contains_key(AGE)) else { return None };
        let date = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
        // Written at some time between the request and its answer (RFC 9110 section 6.6.1), as the second that had begun:
        // so what is signed by it is not from the future.
        let took = received.monotonic().saturating_sub(sent.monotonic());
        let server = nanos(date.duration_since(UNIX_EPOCH).ok()?);
        let ours = nanos(received.since_epoch()).saturating_sub(nanos(took / 2));
        let uncertainty = Duration::from_secs(1).saturating_add(took / 2);
        Some(Measured { offset: server.saturating_sub(ours), uncertainty: nanos(uncertainty) })
    }

    fn is_off_from(&self, used: Nanos) -> bool {
        self.offset.saturating_sub(used).saturating_abs() > TOLERANCE.saturating_add(self.uncertainty)
    }
}

fn nanos(time: Duration) -> Nanos {
    Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX)
}

fn named(offset: Nanos) -> Option<ClockOffset> {
    let time = Duration::from_nanos(offset.unsigned_abs());
    match offset {
        0 => None,
        1.. => Some(ClockOffset::Behind(time)),
        _ => Some(ClockOffset::Ahead(time)),
    }
}

fn noted(error: &Error, offset: ClockOffset, outcome: &str) -> Error {
    let of = if matches!(offset, ClockOffset::Ahead(_)) { " of" } else { "" };
    let message = format!("{error}; the clock of this machine is {offset}{of} the server's, {outcome}");
    error.clone().with_context(message)
}

/// The platform's clock with another time of day.
struct Shifted {
    platform: Platform,
    by: Nanos,
}

impl Clock for Shifted {
    fn now(&self) -> Moment {
        let now = self.platform.now();
        let by = Duration::from_nanos(self.by.unsigned_abs());
        let shifted = if self.by < 0 { now.wall().checked_sub(by) } else { now.wall().checked_add(by) };
        Moment::new(now.monotonic(), shifted.unwrap_or(SystemTime::UNIX_EPOCH))
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        self.platform.sleep_until(deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::ManualClock;

    /// What a client whose clock shows `ours`, in milliseconds of 1994-11-06T08:49:37Z, learns from an answer after `took`.
    fn measured(date: &str, ours: i64, took: u64) -> Option<(Nanos, Nanos)> {
        let mut headers = HeaderMap::new();
        for date in date.split('|').filter(|date| !date.is_empty()) {
            headers.append(DATE, date.parse().unwrap());
        }
        let wall = UNIX_EPOCH + Duration::from_millis(784_111_777_000_u64.saturating_add_signed(ours));
        let sent = Moment::new(Duration::from_secs(7), wall);
        let measured = Measured::of(&headers, sent, sent.after(Duration::from_millis(took)))?;
        Some((measured.offset / 1_000_000, measured.uncertainty / 1_000_000))
    }

    #[test]
    fn l22_the_offset_is_measured_in_the_middle_of_the_exchange() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (ours, took, expected) in [
            (0, 0, (0, 1_000)),
            (0, 2_000, (-1_000, 2_000)),
            (-300_000, 0, (300_000, 1_000)),
            (300_500, 1_000, (-301_000, 1_500)),
        ] {
            assert_eq!(measured(DATE, ours, took), Some(expected), "{ours} {took}");
        }
        for none in ["", "soon", "-1", "0", "Sun, 06 Nov 1894 08:49:37 GMT", &format!("{DATE}|{DATE}")] {
            assert_eq!(measured(none, 0, 0), None, "{none:?}");
        }
        assert!(measured("Fri, 31 Dec 9999 23:59:59 GMT", 0, 0).unwrap().0 > 0);
    }

    #[test]
    fn l22_an_answer_that_took_long_says_less_of_the_clock() {
        for (offset, uncertainty, used, off) in [
            (6, 1, 0, false),
            (7, 1, 0, true),
            (-7, 1, 0, true),
            (9, 4, 0, false),
            (300, 1, 300, false),
            (300, 1, 294, false),
            (0, 1, 300, true),
            (i64::MAX / 1_000_000_000, 1, -1, true),
        ] {
            let measured = Measured { offset: offset * 1_000_000_000, uncertainty: uncertainty * 1_000_000_000 };
            assert_eq!(measured.is_off_from(used * 1_000_000_000), off, "{offset} {uncertainty} {used}");
        }
    }

    #[test]
    fn a_shifted_clock_moves_the_time_of_day_alone_and_never_panics() {
        let clock = ManualClock::at(Duration::from_secs(1_000));
        for (by, expected) in [(5, 1_005), (-5, 995), (-2_000, 0), (i64::MAX / 1_000_000_000, u64::MAX)] {
            let now = Shifted { platform: clock.platform(), by: by * 1_000_000_000 }.now();
            assert_eq!(now.monotonic(), clock.now().monotonic());
            if expected < u64::MAX {
                assert_eq!(now.since_epoch(), Duration::from_secs(expected));
            }
        }
    }

    #[test]
    fn offsets_are_shown_in_whole_seconds() {
        for (offset, shown) in [
            (ClockOffset::Behind(Duration::from_millis(299_500)), "300 s behind"),
            (ClockOffset::Ahead(Duration::from_millis(1_499)), "1 s ahead"),
            (ClockOffset::Ahead(Duration::MAX), "18446744073709551615 s ahead"),
        ] {
            assert_eq!(offset.to_string(), shown);
        }
    }
}
