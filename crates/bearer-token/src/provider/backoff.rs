//! Waits that double.

use std::time::Duration;

/// A wait that doubles with each consecutive failure.
///
/// ```
/// use bearer_token::Backoff;
/// use std::time::Duration;
///
/// let backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(300));
/// let waits: Vec<u64> = (1..=8).map(|failures| backoff.after(failures).as_secs()).collect();
/// assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
/// ```
///
/// A [`Policy`](crate::Policy) with a first wait of zero, or a limit below it, is a problem of the provider's
/// configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
}

impl Backoff {
    /// Waits `first` after one failure, then doubles up to `limit`.
    pub const fn new(first: Duration, limit: Duration) -> Self {
        Backoff { first, limit }
    }

    /// The wait after this number of consecutive failures, before any randomness.
    pub fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.limit)
    }

    /// The first wait.
    pub(crate) fn first(&self) -> Duration {
        self.first
    }

    /// The longest wait.
    pub const fn limit(&self) -> Duration {
        self.limit
    }
}
