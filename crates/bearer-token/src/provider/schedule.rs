//! The schedule of fetches: when a token is fresh, stale or expired, and when the next attempt may start.
//!
//! It is pure arithmetic on the numbers of the [`Policy`]: no clock, no lock.
//!
//! ```text
//! issued                          refresh                 reserve     expires
//!   |                                |                       |           |
//!   |<-- lifetime - ahead - draw --->|                       |           |
//!   |                                                        |<-reserve->|
//!   |                                |<-------- ahead (and draw) ------->|
//!
//! ahead   = the largest of min(refresh_ahead, L/5), min(30 s, 3L/10), and the reserve
//! draw    = a random share of L/5
//! reserve = min(reserve, L/10)
//! ```
//!
//! The shares are chosen so that `ahead + draw` never exceeds `L/2`, for every lifetime and every setting: property
//! tests show it. So a token always serves for at least half of its life, and a short one is not refreshed at each
//! request.
//!
//! Deadlines are [`Moment`]s, so each is one on both clocks.

use std::time::{Duration, UNIX_EPOCH};

use crate::{
    error::{Error, Retry},
    platform::Moment,
    provider::{
        constants::{
            AHEAD_SHARE, JITTER_SHARE, LATEST_REFRESH, LATEST_SHARE, LEAST_HINT, LEAST_REFRESH_TIMEOUT, RESERVE_SHARE,
        },
        jitter::Draw,
        policy::Policy,
    },
    source::Timing,
    token::Expiry,
};

/// The moments at which one bearer changes its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Only the first is read for a fresh bearer.
#[repr(C)]
pub(crate) struct Deadlines {
    /// From here on it is stale: served, and refreshed in the background.
    pub(crate) refresh: Moment,
    /// From here on it is not sent any more.
    pub(crate) reserve: Moment,
    /// When it expires, as far as is known.
    pub(crate) expires: Option<Moment>,
}

/// What may be done with a bearer at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It is sent, and nothing is started.
    Fresh,
    /// It is sent, and refreshed in the background.
    Stale,
    /// It is not sent.
    Expired,
}

/// The life of a token without an end.
const FOREVER: Duration = Duration::MAX;

impl Deadlines {
    /// The state at a moment. Two comparisons on each clock; every request makes the first of them.
    #[inline]
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        if !self.refresh.is_past(now) {
            Freshness::Fresh
        } else if !self.reserve.is_past(now) {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }

    /// The deadlines of a token that was this old when it arrived.
    pub(crate) fn earlier_by(self, age: Duration) -> Self {
        let Deadlines { refresh, reserve, expires } = self;
        Deadlines {
            refresh: refresh.before(age),
            reserve: reserve.before(age),
            expires: expires.map(|expires| expires.before(age)),
        }
    }

    /// Whether these are later than the others.
    pub(crate) fn is_later_than(&self, other: &Deadlines) -> bool {
        self.reserve.since_epoch() > other.reserve.since_epoch()
    }
}

impl Policy {
    /// The deadlines of a token that was issued at `issued`.
    pub(crate) fn deadlines(&self, issued: Moment, expiry: Expiry, draw: Draw) -> Deadlines {
        let lifetime = match expiry {
            Expiry::Never => {
                let never = issued.after(FOREVER);
                return Deadlines { refresh: never, reserve: never, expires: None };
            }
            Expiry::Unknown => self.default_lifetime,
            Expiry::In(lifetime) => lifetime,
            Expiry::At(time) => match time.duration_since(issued.wall()) {
                Ok(lifetime) if !lifetime.is_zero() => lifetime,
                _ => {
                    // Earlier than all other deadlines. With the current time instead, the same token would seem to
                    // expire later each time.
                    let past = Moment::new(Duration::ZERO, UNIX_EPOCH);
                    let expires = Moment::new(issued.monotonic(), time);
                    return Deadlines { refresh: past, reserve: past, expires: Some(expires) };
                }
            },
        };
        let lifetime = lifetime.min(self.max_lifetime);
        let reserve = self.reserve.min(lifetime / RESERVE_SHARE);
        let (part, whole) = LATEST_SHARE;
        let latest = LATEST_REFRESH.min(lifetime / whole * part);
        let ahead = self.refresh_ahead.min(lifetime / AHEAD_SHARE).max(latest).max(reserve);
        let draw = if self.jitter { draw.of(lifetime / JITTER_SHARE) } else { Duration::ZERO };
        Deadlines {
            refresh: issued.after(lifetime - ahead - draw),
            reserve: issued.after(lifetime - reserve),
            expires: Some(issued.after(lifetime)),
        }
    }

    /// The same deadlines with the source's hint at when to get the next token: the earlier refresh counts.
    pub(crate) fn hinted(&self, deadlines: Deadlines, issued: Moment, hint: Duration, draw: Draw) -> Deadlines {
        let draw = if self.jitter { draw.of(hint / JITTER_SHARE) } else { Duration::ZERO };
        let hinted = issued.after((hint - draw).max(LEAST_HINT));
        let is_earlier = hinted.monotonic() < deadlines.refresh.monotonic();
        Deadlines { refresh: if is_earlier { hinted } else { deadlines.refresh }, ..deadlines }
    }

    /// The limit of a fetch. A refresh must leave time for another one before the token expires.
    pub(crate) fn timeout(&self, stale_for: Option<Duration>) -> Duration {
        match stale_for {
            Some(left) => self.refresh_timeout.min((left / 2).max(LEAST_REFRESH_TIMEOUT)),
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

    /// The same for a provider that still serves a bearer, which leaves service after `left`.
    ///
    /// It ends with the bearer: the request that finds none left then tries again, and does not fail for an outage that
    /// may be over. It is never shorter than after a first failure, nor than the server asked for.
    pub(crate) fn cool_down_beside(&self, error: &Error, failures: u32, draw: Draw, left: Duration) -> Duration {
        self.cool_down(error, failures, draw).min(left.max(self.cool_down(error, 1, draw)))
    }

    /// The wait before the next refresh if the last one brought nothing new.
    pub(crate) fn nothing_new(&self, times: u32, draw: Draw) -> Duration {
        self.transient_wait(times, draw)
    }

    /// The lifetime that counts, without the time of day.
    fn lifetime(&self, expiry: Expiry) -> Duration {
        match expiry {
            Expiry::In(lifetime) => lifetime.min(self.max_lifetime),
            Expiry::Unknown => self.default_lifetime.min(self.max_lifetime),
            Expiry::Never | Expiry::At(_) => self.max_lifetime,
        }
    }

    /// The wait after failures that may pass, spread over its second half: an outage ends for all instances at once.
    fn transient_wait(&self, failures: u32, draw: Draw) -> Duration {
        let wait = self.transient_backoff.after(failures);
        wait / 2 + draw.of(wait / 2)
    }
}

impl Timing for Policy {
    fn lives(&self, expiry: Expiry) -> (Duration, Duration) {
        let lifetime = self.lifetime(expiry);
        (lifetime, lifetime.saturating_sub(self.reserve.min(lifetime / RESERVE_SHARE)))
    }

    fn cool_down(&self, error: &Error, failures: u32, draw: u32) -> Duration {
        Policy::cool_down(self, error, failures, Draw(draw))
    }

    fn cool_down_beside(&self, error: &Error, failures: u32, draw: u32, left: Duration) -> Duration {
        Policy::cool_down_beside(self, error, failures, Draw(draw), left)
    }

    fn longest_rejection_pause(&self) -> Duration {
        self.rejection_backoff.limit()
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests;
