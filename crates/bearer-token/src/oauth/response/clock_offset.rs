//! The offset of this machine's clock from the authorization server's, and assertions that are signed with the server's
//! time.
//!
//! An assertion has an `iat` and an `exp`, and a server refuses those that do not fit its own clock. A machine whose
//! clock is wrong by minutes would be locked out permanently, with an error that names everything but the clock. The
//! server's `Date` is the remedy: it is the clock that judges.
//!
//! ```text
//!         refusal that may be about times, and Date differs by more than 5 s + uncertainty
//!   none ────────────────────────────────────────────────────────────────────────────────► trial
//!    ▲                                                                                      │ accepted
//!    │  refused again (an assertion signed with the offset)                                 ▼
//!    └──────────────────────────────────────────────────────────────────────────────────  kept
//! ```
//!
//! It moves nothing but the times in assertions for this server. Deadlines, cool-downs and the lives of tokens go on
//! with our clock. It happens only after a refusal, so a gateway with a wrong clock cannot break what works.

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
    observe::{self, EventKind, Text},
    platform::{BoxFuture, Clock, Moment, Platform},
};

/// How far the clock of this machine is from that of the authorization server.
///
/// [`TokenEndpoint::clock_offset`](crate::oauth::TokenEndpoint::clock_offset) returns it, and the events
/// `ClockCorrected` and `ClockDiffers` have it as a string.
///
/// ```
/// use std::time::Duration;
/// use bearer_token::oauth::ClockOffset;
///
/// assert_eq!(ClockOffset::Behind(Duration::from_secs(300)).to_string(), "300 s behind");
/// assert_eq!(ClockOffset::Ahead(Duration::from_millis(7600)).to_string(), "8 s ahead");
/// ```
///
/// The measurement has an uncertainty of a second, by which `Date` is rounded, and of half the round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockOffset {
    /// This machine's clock is behind by this time.
    Behind(Duration),
    /// This machine's clock is ahead by this time.
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

/// The largest offset that is corrected by default.
///
/// It covers machines without NTP, and those whose time is wrong by an hour because of a time zone. A larger offset
/// should be noticed and fixed.
pub(crate) const LIMIT: Duration = Duration::from_secs(3600);

/// The largest offset that does not cause a retry.
///
/// It is half of the 10 s by which `iat` is back-dated. The `Date` may be from another machine than the one that
/// judges.
const TOLERANCE: Nanos = 5_000_000_000;

/// Nanoseconds to add to our time of day to get the server's. They suffice for 292 years.
///
/// An atomic of this size exists on every platform that is supported; a pair of a sign and a duration would need a
/// lock.
type Nanos = i64;

/// What one token endpoint knows about its server's clock.
///
/// Relaxed atomics suffice: the offset stands for itself, and a fetch that misses a new one is corrected by a refusal.
pub(crate) struct ServerClock {
    limit: Duration,
    /// The offset with which the server accepted the last assertion. Zero means none.
    kept: AtomicI64,
}

impl ServerClock {
    pub(crate) fn new(limit: Duration) -> Self {
        ServerClock { limit, kept: AtomicI64::new(0) }
    }

    pub(crate) fn offset(&self) -> Option<ClockOffset> {
        named(self.kept.load(Ordering::Relaxed))
    }

    /// Starts the correction of one fetch. It does nothing unless the requests are `dated`, because they are signed
    /// here.
    pub(crate) fn correction(&self, dated: bool) -> Correction<'_> {
        let used = if dated { self.kept.load(Ordering::Relaxed) } else { 0 };
        Correction { clock: self, dated, used, retried: false }
    }
}

/// The time of day that one fetch signs with.
///
/// It lives for one fetch, and allows one retry. A second would only repeat what the first has shown.
pub(crate) struct Correction<'a> {
    clock: &'a ServerClock,
    dated: bool,
    used: Nanos,
    retried: bool,
}

impl Correction<'_> {
    /// The platform whose clock signs.
    pub(crate) fn platform(&self, platform: &Platform) -> Platform {
        if self.used == 0 {
            return platform.clone();
        }
        platform.clone().with_clock(Shifted { platform: platform.clone(), by: self.used })
    }

    /// Keeps the offset, because the server accepted what was signed with it.
    pub(crate) fn accepted(&self) {
        if self.dated {
            self.clock.kept.store(self.used, Ordering::Relaxed);
        }
    }

    /// Judges a refusal: returns the error, which names a clock that is off, and whether to sign once more.
    ///
    /// There are three cases. Without a trustworthy `Date`, nothing is known. If the clocks agree, a stored offset was
    /// wrong and is dropped. If they differ, the error names by how much, and what was done about it.
    pub(crate) fn refused(
        &mut self,
        error: Error,
        response: &Response<Bytes>,
        sent: Moment,
        received: Moment,
    ) -> (Error, bool) {
        if !self.dated || !is_suspicious(&error, response.status()) {
            return (error, false);
        }
        // The offset did not help. If it is right, it is measured again.
        self.clock.kept.store(0, Ordering::Relaxed);
        let Some(measured) = Measured::of(response.headers(), sent, received) else { return (error, false) };
        let Some(offset) = measured.is_off_from(0).then(|| named(measured.offset)).flatten() else {
            // The clock is right, so the stored offset is wrong.
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
            observe::tell(EventKind::ClockCorrected { offset: Text(&offset) });
            (self.used, self.retried) = (measured.offset, true);
            "and no time was left to sign again with the server's time: set the clock".to_owned()
        } else if limit.is_zero() {
            "and the correction is turned off: set the clock".to_owned()
        } else if beyond {
            format!("more than the {} s that are corrected: set the clock", limit.as_secs())
        } else {
            "and an assertion that was signed with the server's time was refused as well: set the clock, and look for \
             another cause"
                .to_owned()
        };
        (noted(error, offset, &outcome), again)
    }
}

/// Whether a refusal may be about the times in an assertion: it has a code of RFC 7521 sections 4.1.1 and 4.2.1, a code
/// that other servers use instead, or no known code.
fn is_suspicious(error: &Error, status: StatusCode) -> bool {
    const CODES: [&str; 6] =
        ["invalid_client", "invalid_grant", "invalid_assertion", "invalid_token", "expired_token", "invalid_request"];
    let status = matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    error.kind() == ErrorKind::Refused && status && error.oauth_code().is_none_or(|code| CODES.contains(&code))
}

/// The server's clock, measured by one response.
///
/// A response from a cache has an `Age` and is ignored, and so is one with two dates: the `Date` must be from this
/// exchange.
struct Measured {
    offset: Nanos,
    uncertainty: Nanos,
}

impl Measured {
    fn of(headers: &HeaderMap, sent: Moment, received: Moment) -> Option<Self> {
        let mut dates = headers.get_all(DATE).iter();
        let (Some(date), None, false) = (dates.next(), dates.next(), headers.contains_key(AGE)) else { return None };
        let date = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
        // The server wrote it between the request and its response (RFC 9110 section 6.6.1), rounded down to a second.
        // So an assertion signed with it is not from the future.
        let took = received.monotonic().saturating_sub(sent.monotonic());
        let server = nanos(date.duration_since(UNIX_EPOCH).ok()?);
        let ours = nanos(received.since_epoch()).saturating_sub(nanos(took / 2));
        let uncertainty = Duration::from_secs(1).saturating_add(took / 2);
        Some(Measured { offset: server.saturating_sub(ours), uncertainty: nanos(uncertainty) })
    }

    /// Whether the server's clock differs from ours plus this offset by more than the measurement can be wrong.
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

/// Adds the offset to the error's sentence: often it is the cause, and it is always worth knowing.
fn noted(error: Error, offset: ClockOffset, outcome: &str) -> Error {
    let of = if matches!(offset, ClockOffset::Ahead(_)) { " of" } else { "" };
    let message = format!("{error}; the clock of this machine is {offset}{of} the server's, {outcome}");
    error.with_message(message)
}

/// The platform's clock with another time of day.
///
/// Monotonic time and sleeping are the original's, so deadlines inside of the signature do not move.
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

    /// What a client whose clock shows `ours`, in milliseconds of 1994-11-06T08:49:37Z, learns from a response after
    /// `took`.
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
    fn l22_the_offset_is_measured_amid_the_exchange() {
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
    fn l22_a_slow_response_says_less_about_the_clock() {
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
    fn a_shifted_clock_moves_the_time_of_day_only() {
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
