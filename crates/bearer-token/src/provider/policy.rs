//! The numbers that users can set, and their check.
//!
//! What follows from the numbers is in [`schedule`](super::schedule), and the defaults with their reasons are in
//! [`constants`].

use std::time::Duration;

use super::{backoff::Backoff, constants};
use crate::problem::Problems;

/// The numbers behind caching, refreshing and backing off.
///
/// The defaults fit nearly every service. For a token with lifetime `L`, counted from before its request was sent:
///
/// - it is **never sent** in its last `min(`[`reserve`](Self::reserve)`, L/10)`;
/// - it is **refreshed** in the background `min(`[`refresh_ahead`](Self::refresh_ahead)`, L/5)` before it expires, and
///   no later than `min(30 s, 3L/10)` before. Each bearer is refreshed up to `L/5` earlier still, at random, to spread
///   out a fleet. All this together never takes more than half of `L`;
/// - if the source [hints](crate::AccessToken::refresh_in) at an earlier time for the refresh, that one counts;
/// - a failed fetch is followed by a **cool-down** in which no other starts. While a bearer serves, it ends with the
///   bearer at the latest, but not before the first wait nor before the server's `Retry-After`.
///
/// ```
/// use bearer_token::Policy;
/// use std::time::Duration;
///
/// let policy = Policy::default().fetch_timeout(Duration::from_secs(3));
/// ```
///
/// With the defaults, a token of an hour is fresh for 36 to 48 minutes, depending on the draw. Then it is stale, and
/// the first request refreshes it. It is not sent in its last 10 seconds. The guide's chapter on the life of a token
/// has a table for other lifetimes.
///
/// | setting | default | counts |
/// |---|---|---|
/// | [`reserve`](Self::reserve) | 10 s | back from the expiry |
/// | [`refresh_ahead`](Self::refresh_ahead) | 15 min | back from the expiry |
/// | [`jitter`](Self::jitter) | on | up to a fifth of the lifetime |
/// | [`fetch_timeout`](Self::fetch_timeout), [`refresh_timeout`](Self::refresh_timeout) | 10 s | from the start of a fetch |
/// | [`transient_backoff`](Self::transient_backoff) | 1 s to 60 s | from the end of a failed fetch |
/// | [`terminal_backoff`](Self::terminal_backoff) | 5 s to 5 min | from the end of a failed fetch |
/// | [`rejection_backoff`](Self::rejection_backoff) | 5 s to 5 min | from the end of a renewal |
/// | [`retry_after_limit`](Self::retry_after_limit) | 1 h | from the response |
/// | [`default_lifetime`](Self::default_lifetime) | 5 min | from before the token request |
/// | [`max_lifetime`](Self::max_lifetime) | 30 days | from before the token request |
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

impl Default for Policy {
    fn default() -> Self {
        Policy {
            reserve: constants::RESERVE,
            refresh_ahead: constants::REFRESH_AHEAD,
            jitter: true,
            fetch_timeout: constants::FETCH_TIMEOUT,
            refresh_timeout: constants::REFRESH_TIMEOUT,
            transient_backoff: constants::TRANSIENT_BACKOFF,
            terminal_backoff: constants::TERMINAL_BACKOFF,
            rejection_backoff: constants::REJECTION_BACKOFF,
            retry_after_limit: constants::RETRY_AFTER_LIMIT,
            default_lifetime: constants::DEFAULT_LIFETIME,
            max_lifetime: constants::MAX_LIFETIME,
        }
    }
}

impl Policy {
    /// Keeps a token from being sent in its last `min(reserve, L/10)`: it could expire on the way. Default: 10 s.
    ///
    /// With zero it is sent until it expires.
    #[must_use]
    pub fn reserve(mut self, time: Duration) -> Self {
        self.reserve = time;
        self
    }

    /// Refreshes a token in the background `min(time, L/5)` before it expires. Default: 15 min.
    ///
    /// With zero the refresh is due `min(30 s, 3L/10)` before: there is no way to switch it off.
    #[must_use]
    pub fn refresh_ahead(mut self, time: Duration) -> Self {
        self.refresh_ahead = time;
        self
    }

    /// Sets whether each bearer is refreshed up to `L/5` earlier, at random. Then instances that were started together
    /// do not refresh together. Default: yes.
    #[must_use]
    pub fn jitter(mut self, on: bool) -> Self {
        self.jitter = on;
        self
    }

    /// Limits a fetch that callers wait for. Default: 10 s.
    #[must_use]
    pub fn fetch_timeout(mut self, time: Duration) -> Self {
        self.fetch_timeout = time;
        self
    }

    /// Limits a refresh in the background. If the token has little time left, the limit is half of that time, but at
    /// least 5 s: then there is time for a second attempt. Default: 10 s.
    #[must_use]
    pub fn refresh_timeout(mut self, time: Duration) -> Self {
        self.refresh_timeout = time;
        self
    }

    /// Sets the cool-down after failures that may pass by themselves. Each wait is multiplied by a random number
    /// between one half and one. Default: 1 s, doubling to 60 s.
    #[must_use]
    pub fn transient_backoff(mut self, backoff: Backoff) -> Self {
        self.transient_backoff = backoff;
        self
    }

    /// Sets the cool-down after failures that need a change of key, permission or configuration. Retries never end, so
    /// no restart is needed after the fix. Default: 5 s, doubling to 5 min.
    #[must_use]
    pub fn terminal_backoff(mut self, backoff: Backoff) -> Self {
        self.terminal_backoff = backoff;
        self
    }

    /// Sets the pause between renewals that rejections force. The first renewal is immediate.
    ///
    /// The pause begins when a renewal ends. It doubles while each renewed bearer is rejected before it was in service
    /// for as long as the limit. Default: 5 s, doubling to 5 min.
    ///
    /// Replicas that share a token share this pause. It begins when the fetch of one of them ends. A replica that
    /// adopts a token from an ordinary refresh has no pause: it may renew that token at its first rejection.
    #[must_use]
    pub fn rejection_backoff(mut self, backoff: Backoff) -> Self {
        self.rejection_backoff = backoff;
        self
    }

    /// Limits the `Retry-After` that is believed. Default: 1 h.
    ///
    /// With zero the header is ignored.
    #[must_use]
    pub fn retry_after_limit(mut self, time: Duration) -> Self {
        self.retry_after_limit = time;
        self
    }

    /// Sets the lifetime of tokens whose source does not know it. Default: 5 min.
    #[must_use]
    pub fn default_lifetime(mut self, time: Duration) -> Self {
        self.default_lifetime = time;
        self
    }

    /// Limits the lifetime that is believed. A token that claims more is renewed after this time. Default: 30 days.
    #[must_use]
    pub fn max_lifetime(mut self, time: Duration) -> Self {
        self.max_lifetime = time;
        self
    }

    /// Reports the numbers that cannot work: times of zero, and limits below the first wait.
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
        // A wait of zero would be a storm of requests to a server that is down already.
        .chain(backoffs.map(|(name, backoff)| (name, backoff.first())))
        {
            if time.is_zero() {
                problems.push(format!("policy.{name}"), "found 0 s; expected a time above zero");
            }
        }
        for (name, backoff) in backoffs {
            let (first, limit) = (backoff.first(), backoff.limit());
            if limit < first {
                let found = format!("found a limit of {limit:?} below the first wait of {first:?}; raise the limit");
                problems.push(format!("policy.{name}"), found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn every_number_that_cannot_work_is_named() {
        let zero = Duration::ZERO;
        let policy = Policy::default()
            .fetch_timeout(zero)
            .refresh_timeout(zero)
            .default_lifetime(zero)
            .max_lifetime(zero)
            .transient_backoff(Backoff::new(zero, SECOND))
            .terminal_backoff(Backoff::new(SECOND, MILLI))
            .rejection_backoff(Backoff::new(zero, zero));
        let mut problems = Problems::default();
        policy.check(&mut problems);
        let error = problems.into_result("").unwrap_err();
        let mut paths: Vec<_> = error.problems().iter().map(Problem::path).collect();
        paths.sort_unstable();
        let expected = ["default_lifetime", "fetch_timeout", "max_lifetime", "refresh_timeout", "rejection_backoff"]
            .into_iter()
            .chain(["terminal_backoff", "transient_backoff"]);
        assert_eq!(paths, expected.map(|name| format!("policy.{name}")).collect::<Vec<_>>());

        let mut problems = Problems::default();
        Policy::default().check(&mut problems);
        assert!(problems.is_empty());
    }
}
