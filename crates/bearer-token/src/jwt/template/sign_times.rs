//! The times of one JWT.
//!
//! JWTs count whole seconds (RFC 7519 section 2). Rounding never makes a JWT begin later or end later than was asked
//! for. Servers refuse a token from the future, and one that lives too long.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::platform::Moment;

/// The moments of one JWT, as `NumericDate`s (RFC 7519 section 2).
///
/// `signed` is kept for `nbf`, which counts from the signature and not from `iat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignTimes {
    signed: u64,
    /// The `iat`, whether the JWT has one or not.
    issued: u64,
    /// The `exp`, likewise.
    expires: u64,
}

impl SignTimes {
    /// Whole seconds: `iat` and `lifetime` are rounded down and the back-date up. So the JWT never lives longer than
    /// `lifetime`. `exp` is never in the past, because it is at least one second after the current one.
    pub(crate) fn new(now: Moment, backdate: Duration, lifetime: Duration) -> Self {
        let signed = now.since_epoch().as_secs();
        let issued = signed.saturating_sub(whole_backdate(backdate));
        SignTimes { signed, issued, expires: issued.saturating_add(lifetime.as_secs()) }
    }

    pub(crate) fn expires(self) -> SystemTime {
        UNIX_EPOCH.checked_add(self.expires_at()).unwrap_or(UNIX_EPOCH)
    }

    /// The `iat`.
    pub(crate) fn issued_at(self) -> Duration {
        Duration::from_secs(self.issued)
    }

    /// Whole seconds before the signature: its time is rounded down, and the back-date up.
    pub(crate) fn before_signature(self, backdate: Duration) -> Duration {
        Duration::from_secs(self.signed.saturating_sub(whole_backdate(backdate)))
    }

    /// The `exp`.
    pub(crate) fn expires_at(self) -> Duration {
        Duration::from_secs(self.expires)
    }
}

/// Rounds up to whole seconds.
pub(crate) fn whole_backdate(backdate: Duration) -> u64 {
    backdate.as_secs().saturating_add((backdate.subsec_nanos() > 0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(now: (u64, u32), backdate: Duration, lifetime: Duration) -> SignTimes {
        SignTimes::new(Moment::new(Duration::ZERO, UNIX_EPOCH + Duration::new(now.0, now.1)), backdate, lifetime)
    }

    // shows: 7523/3.4 7519/4.1.4 7521/5.1b
    #[test]
    fn l22_the_lifetime_includes_the_back_date() {
        let (ten, sixty) = (Duration::from_secs(10), Duration::from_secs(60));
        assert_eq!(times((1_000, 0), ten, sixty), SignTimes { signed: 1_000, issued: 990, expires: 1_050 });
        assert_eq!(times((1_000, 999_999_999), ten, sixty), SignTimes { signed: 1_000, issued: 990, expires: 1_050 });
        let odd = Duration::from_millis(9_500);
        assert_eq!(
            times((1_000, 0), odd, Duration::from_millis(60_999)),
            SignTimes { signed: 1_000, issued: 990, expires: 1_050 }
        );
        assert_eq!(times((5, 0), ten, sixty), SignTimes { signed: 5, issued: 0, expires: 60 });
    }

    #[test]
    fn another_back_date_counts_from_the_signature() {
        let times = times((1_000, 999_999_999), Duration::from_secs(10), Duration::from_secs(60));
        for (backdate, expected) in [(0, 1_000), (1, 999), (30_000, 970), (30_001, 969), (u64::MAX, 0)] {
            let backdate = Duration::from_millis(backdate);
            assert_eq!(times.before_signature(backdate), Duration::from_secs(expected), "{backdate:?}");
        }
    }

    #[test]
    fn no_time_overflows() {
        let late = times((u64::MAX / 1_000_000_001, 0), Duration::ZERO, Duration::MAX);
        assert_eq!(late.expires, u64::MAX);
        let _no_panic = late.expires();
    }
}
