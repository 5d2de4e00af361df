//! Waits that double.

use std::time::Duration;

/// A wait that doubles with each consecutive failure.
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
