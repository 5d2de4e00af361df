//! One reading of both clocks, and deadlines on both.
//!
//! Every time in the machine is a moment: when a token was issued, when it is refreshed, when it expires. With one
//! clock, a token would outlive a night in a machine that slept (monotonic), or a correction of the time of day (wall).
//! With both, it ends as soon as either of them says so.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
///
/// The monotonic clock never goes back, but may stop while the machine sleeps. The wall clock does not stop, but can be
/// set. A deadline passes as soon as *either* clock has reached it.
///
/// ```
/// use bearer_token::platform::Moment;
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let at = |monotonic, wall| Moment::new(Duration::from_secs(monotonic), UNIX_EPOCH + Duration::from_secs(wall));
/// let deadline = at(100, 1_000).after(Duration::from_secs(10));
/// assert!(!deadline.is_past(at(105, 1_005)));
/// // The machine slept, and its monotonic clock stood still.
/// assert!(deadline.is_past(at(105, 5_000)));
/// // The time of day was set back. The monotonic clock knows better.
/// assert!(deadline.is_past(at(110, 1)));
/// ```
///
/// Times are kept in nanoseconds. A time that does not fit is the latest one there is, in 584 years: no operation
/// overflows or panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    // Nanoseconds: 584 years, and one comparison each on the warm path.
    pub(super) monotonic: u64,
    pub(super) wall: u64,
}

impl Moment {
    /// The earliest one: the beginning of both clocks.
    pub(crate) const START: Moment = Moment { monotonic: 0, wall: 0 };

    /// Creates a reading. `monotonic` counts from an origin that the clock chooses; `wall` is the time of day.
    pub fn new(monotonic: Duration, wall: SystemTime) -> Self {
        let wall = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { monotonic: nanos(monotonic), wall: nanos(wall) }
    }

    /// Time since the origin of the monotonic clock.
    pub fn monotonic(self) -> Duration {
        Duration::from_nanos(self.monotonic)
    }

    /// The time of day. Times before 1970 are shown as the beginning of that year.
    pub fn wall(self) -> SystemTime {
        UNIX_EPOCH + self.since_epoch()
    }

    /// The time since 1970 by the wall clock, as a `NumericDate` of a JWT counts it (RFC 7519 section 2).
    pub fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.wall)
    }

    /// Both clocks moved forward: a deadline on each.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        let time = nanos(time);
        Moment { monotonic: self.monotonic.saturating_add(time), wall: self.wall.saturating_add(time) }
    }

    /// Both clocks moved back, to their beginning at most. For tokens that were old when they arrived.
    pub(crate) fn before(self, time: Duration) -> Self {
        let time = nanos(time);
        Moment { monotonic: self.monotonic.saturating_sub(time), wall: self.wall.saturating_sub(time) }
    }

    /// Whether this moment has passed at `now`, on either clock.
    #[inline]
    pub fn is_past(self, now: Moment) -> bool {
        now.monotonic >= self.monotonic || now.wall >= self.wall
    }

    /// The time until this moment, on the clock that reaches it first. Zero once it has passed.
    pub fn remaining(self, now: Moment) -> Duration {
        let monotonic = self.monotonic.saturating_sub(now.monotonic);
        Duration::from_nanos(monotonic.min(self.wall.saturating_sub(now.wall)))
    }

    /// The monotonic clock as one number, which an atomic can hold.
    pub(crate) fn monotonic_nanos(self) -> u64 {
        self.monotonic
    }
}

/// A duration in nanoseconds, or the largest number if it does not fit.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(monotonic: u64, wall: u64) -> Moment {
        Moment::new(Duration::from_secs(monotonic), UNIX_EPOCH + Duration::from_secs(wall))
    }

    #[test]
    fn a_moment_passes_when_either_clock_reaches_it() {
        let deadline = at(100, 1_000).after(Duration::from_secs(10));
        assert!(!deadline.is_past(at(109, 1_009)));
        assert!(deadline.is_past(at(110, 0)), "monotonic");
        assert!(deadline.is_past(at(0, 1_010)), "wall");
        assert_eq!(deadline.remaining(at(103, 1_004)), Duration::from_secs(6));
        assert_eq!(deadline.remaining(at(103, 5_000)), Duration::ZERO);
    }

    #[test]
    fn no_duration_overflows_a_moment() {
        let late = at(1, 1).after(Duration::MAX).after(Duration::MAX);
        assert!(!late.is_past(at(1, 1)));
        assert_eq!(late.wall().duration_since(UNIX_EPOCH).unwrap(), Duration::from_nanos(u64::MAX));
    }
}
