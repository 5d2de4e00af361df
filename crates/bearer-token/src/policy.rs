//! When a token is fresh, stale or expired, and when the next fetch may start: pure arithmetic, no clock, no lock.

use std::time::Duration;

use crate::{
    error::{Error, Problems, Retry},
    platform::Now,
    source::Expiry,
};

/// The numbers behind caching, refreshing and backing off.
///
/// The defaults fit nearly everybody. For a token with lifetime `L`, counted from before the request for it was sent:
///
/// - it is **never sent** in its last `min(`[`reserve`](Self::reserve)`, L/10)`;
/// - it is **refreshed** in the background `min(`[`refresh_ahead`](Self::refresh_ahead)`, L/5)` before it expires, but
///   not later than `min(30 s, 3L/10)` before, and each bearer up to `L/5` earlier than that by a draw of its own, so
///   that fleets spread out. All this together never takes more than half of `L`;
/// - a failed fetch is followed by a **cool-down** in which no other starts.
///
/// ```
/// use bearer_token::Policy;
/// use std::time::Duration;
///
/// let policy = Policy::default().fetch_timeout(Duration::from_secs(3));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(crate) reserve: Duration,
    pub(crate) refresh_ahead: Duration,
    pub(crate) jitter: bool,
    pub(crate) fetch_timeout: Duration,
    pub(crate) refresh_timeout: Duration,
    pub(crate) transient_backoff: Backoff,
    pub(crate) terminal_backoff: Backoff,
    pub(crate) rejection_backoff: Backoff,
    pub(crate) retry_after_limit: Duration,
    pub(crate) default_lifetime: Duration,
    pub(crate) max_lifetime: Duration,
}

/// A wait that doubles with each failure in a row.
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

    /// The wait after so many failures in a row, before any randomness.
    pub fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.limit)
    }

    /// The longest wait.
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

impl Default for Policy {
    fn default() -> Self {
        Policy {
            reserve: 10 * SECOND,
            refresh_ahead: 15 * MINUTE,
            jitter: true,
            fetch_timeout: 10 * SECOND,
            refresh_timeout: 10 * SECOND,
            transient_backoff: Backoff::new(SECOND, MINUTE),
            terminal_backoff: Backoff::new(5 * SECOND, 5 * MINUTE),
            rejection_backoff: Backoff::new(5 * SECOND, 5 * MINUTE),
            retry_after_limit: 60 * MINUTE,
            default_lifetime: 5 * MINUTE,
            max_lifetime: 30 * 24 * 60 * MINUTE,
        }
    }
}

impl Policy {
    /// A token is never sent in its last `min(reserve, L/10)`: it could expire on the way. Default: 10 s.
    #[must_use]
    pub fn reserve(mut self, time: Duration) -> Self {
        self.reserve = time;
        self
    }

    /// A token is refreshed in the background `min(time, L/5)` before it expires. Default: 15 min.
    #[must_use]
    pub fn refresh_ahead(mut self, time: Duration) -> Self {
        self.refresh_ahead = time;
        self
    }

    /// Whether each bearer draws up to `L/5` by which it is refreshed still earlier, so that instances which were
    /// started together do not refresh together. Default: yes.
    #[must_use]
    pub fn jitter(mut self, on: bool) -> Self {
        self.jitter = on;
        self
    }

    /// How long a fetch may take that callers wait for. Default: 10 s.
    #[must_use]
    pub fn fetch_timeout(mut self, time: Duration) -> Self {
        self.fetch_timeout = time;
        self
    }

    /// How long a refresh in the background may take. A token with little time left gets less, so that there is time
    /// for another try: half of what is left, but not below 5 s. Default: 10 s.
    #[must_use]
    pub fn refresh_timeout(mut self, time: Duration) -> Self {
        self.refresh_timeout = time;
        self
    }

    /// The cool-down after failures that may pass by themselves. Each wait is multiplied by a draw between one half
    /// and one. Default: 1 s, doubling to 60 s.
    #[must_use]
    pub fn transient_backoff(mut self, backoff: Backoff) -> Self {
        self.transient_backoff = backoff;
        self
    }

    /// The cool-down after failures that need a change of key, permission or configuration. Default: 5 s, doubling
    /// to 5 min. It never becomes a stop: what was mended at the server needs no restart here.
    #[must_use]
    pub fn terminal_backoff(mut self, backoff: Backoff) -> Self {
        self.terminal_backoff = backoff;
        self
    }

    /// The least time between two renewals that rejections force while the renewed bearers are rejected young; the
    /// first is immediate. Young means: before they have been in service as long as the limit. Default: 5 s, doubling
    /// to 5 min.
    #[must_use]
    pub fn rejection_backoff(mut self, backoff: Backoff) -> Self {
        self.rejection_backoff = backoff;
        self
    }

    /// The longest `Retry-After` that is believed. Default: 1 h.
    #[must_use]
    pub fn retry_after_limit(mut self, time: Duration) -> Self {
        self.retry_after_limit = time;
        self
    }

    /// The lifetime of tokens whose source does not know it. Default: 5 min.
    #[must_use]
    pub fn default_lifetime(mut self, time: Duration) -> Self {
        self.default_lifetime = time;
        self
    }

    /// The longest lifetime that is believed; a token that claims more is renewed after this. Default: 30 days.
    #[must_use]
    pub fn max_lifetime(mut self, time: Duration) -> Self {
        self.max_lifetime = time;
        self
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        let backoffs = [
            ("transient_backoff", self.transient_backoff),
            ("terminal_backoff", self.terminal_backoff),
            ("rejection_backoff", self.rejection_backoff),
        ];
        for (name, time) in [
            ("fetch_timeout", self.fetch_timeout),
            ("refresh_timeout", self.refresh_timeout),
            ("default_lifetime", self.default_lifetime),
            ("max_lifetime", self.max_lifetime),
        ]
        .into_iter()
        // A wait of zero would be a request storm at a server that is down already.
        .chain(backoffs.map(|(name, backoff)| (name, backoff.first)))
        {
            if time.is_zero() {
                problems.push(format!("policy.{name}"), "found 0 s; expected a time above zero");
            }
        }
        for (name, Backoff { first, limit }) in backoffs {
            if limit < first {
                let found = format!("found a limit of {limit:?} below the first wait of {first:?}; raise the limit");
                problems.push(format!("policy.{name}"), found);
            }
        }
    }
}

/// The moments that decide over one bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// From here on it is stale: served, and refreshed in the background.
    pub(crate) refresh: Now,
    /// From here on it is not sent any more.
    pub(crate) reserve: Now,
    /// When it expires, as far as anybody knows.
    pub(crate) expires: Option<Now>,
}

/// What may be done with a bearer at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    Stale,
    Expired,
}

/// A uniform draw between zero and one, as a fraction of `u32::MAX`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw(pub(crate) u32);

impl Draw {
    /// What the greatest draw would give; for when there is no randomness.
    pub(crate) const MAX: Draw = Draw(u32::MAX);

    fn of(self, whole: Duration) -> Duration {
        let nanos = whole.as_nanos() * u128::from(self.0) / u128::from(u32::MAX);
        u64::try_from(nanos).map_or(whole, Duration::from_nanos)
    }
}

const FOREVER: Duration = Duration::MAX;

impl Deadlines {
    pub(crate) fn freshness(&self, now: Now) -> Freshness {
        if !self.refresh.is_past(now) {
            Freshness::Fresh
        } else if !self.reserve.is_past(now) {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }

    /// Whether the other ones reach further.
    pub(crate) fn is_later_than(&self, other: &Deadlines) -> bool {
        self.reserve.since_epoch() > other.reserve.since_epoch()
    }
}

impl Policy {
    /// The deadlines of a token that was issued at `issued`.
    pub(crate) fn deadlines(&self, issued: Now, expiry: Expiry, draw: Draw) -> Deadlines {
        let lifetime = match expiry {
            Expiry::Never => {
                let never = issued.after(FOREVER);
                return Deadlines { refresh: never, reserve: never, expires: None };
            }
            Expiry::Unknown => self.default_lifetime,
            Expiry::In(lifetime) => lifetime,
            Expiry::At(time) => match time.duration_since(issued.wall()) {
                Ok(lifetime) => lifetime,
                Err(_) => {
                    // It keeps its own time: were it dated to now, the same token would look later each time.
                    let past = Now::new(issued.monotonic(), time);
                    return Deadlines { refresh: past, reserve: past, expires: Some(past) };
                }
            },
        };
        let lifetime = lifetime.min(self.max_lifetime);
        let reserve = self.reserve.min(lifetime / 10);
        // 30 s give a slow server two tries, but of a short lifetime there must be something left, and room for the
        // draw: 3/10 and 2/10 make half of it.
        let latest = (30 * SECOND).min(lifetime / 10 * 3);
        let ahead = self.refresh_ahead.min(lifetime / 5).max(latest).max(reserve);
        let draw = if self.jitter { draw.of(lifetime / 5) } else { Duration::ZERO };
        Deadlines {
            refresh: issued.after(lifetime - ahead - draw),
            reserve: issued.after(lifetime - reserve),
            expires: Some(issued.after(lifetime)),
        }
    }

    /// How long a fetch may take: a refresh must leave time for another one before the token expires. Yet one that
    /// cannot succeed is worse than none: its cool-down would meet the callers who come after the expiry.
    pub(crate) fn timeout(&self, stale_for: Option<Duration>) -> Duration {
        match stale_for {
            Some(left) => self.refresh_timeout.min((left / 2).max(5 * SECOND)),
            None => self.fetch_timeout,
        }
    }

    /// The cool-down after the given number of failures in a row.
    pub(crate) fn cool_down(&self, error: &Error, failures: u32, draw: Draw) -> Duration {
        match error.retry() {
            Retry::Later { after } => {
                let asked = after.unwrap_or_default().min(self.retry_after_limit);
                self.transient_wait(failures, draw).max(asked)
            }
            Retry::AfterChange => self.terminal_backoff.after(failures),
        }
    }

    /// The wait before the next refresh when the last one brought nothing new.
    pub(crate) fn nothing_new(&self, times: u32, draw: Draw) -> Duration {
        self.transient_wait(times, draw)
    }

    fn transient_wait(&self, failures: u32, draw: Draw) -> Duration {
        let wait = self.transient_backoff.after(failures);
        wait / 2 + draw.of(wait / 2)
    }
}
