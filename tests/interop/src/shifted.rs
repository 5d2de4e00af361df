//! A clock whose time of day is wrong.

use std::time::Duration;

use bearer_token::platform::{BoxFuture, Clock, Moment, SystemClock};

/// The system's clocks, with the time of day behind.
pub(crate) struct Shifted(Duration);

impl Shifted {
    pub(crate) fn behind_by_minutes(minutes: u64) -> Self {
        Shifted(Duration::from_secs(60 * minutes))
    }
}

impl Clock for Shifted {
    fn now(&self) -> Moment {
        let now = SystemClock.now();
        Moment::new(now.monotonic(), now.wall() - self.0)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        SystemClock.sleep_until(deadline)
    }
}
