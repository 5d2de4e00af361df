//! When a token is fresh, stale or expired, and when the next fetch may start: pure arithmetic, no clock, no lock.

use std::time::{Duration, UNIX_EPOCH};

use crate::{
    error::{Error, Retry},
    platform::Moment,
    problem::Problems,
    token::Expiry,
};

/// The numbers behind caching, refreshing and backing off.
///
/// The defaults fit nearly everybody. For a token with lifetime `L`, counted from before the request for it was sent:
///
/// - it is **never sent** in its last `min(`[`reserve`](Self::reserve)`, L/10)`;
/// - it is **refreshed** in the background `min(`[`refresh_ahead`](Self::refresh_ahead)`, L/5)` before it expires, but
///   not later than `min(30 s, 3L/10)` before, and each bearer up to `L/5` earlier than that by a draw of its own, so
///   that fleets sharded out. All this together never takes more than half of `L`;
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

    /// The least time from the end of one renewal that a rejection forced to the start of the next, while the renewed
    /// bearers are rejected young; the first is immediate. Young means: before they have been in service as long as the
    /// limit. Default: 5 s, doubling to 5 min.
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
    pub(crate) refresh: Moment,
    /// From here on it is not sent any more.
    pub(crate) reserve: Moment,
    /// When it expires, as far as anybody knows.
    pub(crate) expires: Option<Moment>,
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

    /// Whether the other ones reach further.
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
                    // Earlier than any other: were it dated to now, the same token would look later each time.
                    let past = Moment::new(Duration::ZERO, UNIX_EPOCH);
                    let expires = Moment::new(issued.monotonic(), time);
                    return Deadlines { refresh: past, reserve: past, expires: Some(expires) };
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

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorKind, problem::Problem};

    const MILLI: Duration = Duration::from_millis(1);
    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    const MIN: Draw = Draw(0);
    const HALF: Draw = Draw(u32::MAX / 2);

    fn issued() -> Moment {
        Moment::new(5_000 * SECOND, UNIX_EPOCH + Duration::from_secs(1_767_225_600))
    }

    fn since_issued(moment: Moment) -> Duration {
        let monotonic = moment.monotonic() - issued().monotonic();
        assert_eq!(monotonic, moment.since_epoch() - issued().since_epoch(), "both clocks count alike");
        monotonic
    }

    fn lifetimes() -> impl Iterator<Item = Duration> {
        let odd = [0, 1, 2, 9, 10, 11, 999].map(Duration::from_nanos);
        let seconds = [1, 2, 3, 7, 10, 59, 60, 99, 100, 101, 150, 299, 300, 301, 3_599, 3_600, 4_500, 86_400];
        let huge = [30 * DAY, 31 * DAY, Duration::from_secs(1 << 40), Duration::from_secs(u64::MAX), Duration::MAX];
        odd.into_iter().chain(seconds.map(Duration::from_secs)).chain(huge)
    }

    #[test]
    fn deadlines_of_many_lifetimes() {
        // Without the draw: when it is refreshed, when it is no longer sent, when it expires.
        let table = [
            (Duration::ZERO, Duration::ZERO, Duration::ZERO, Duration::ZERO),
            (Duration::from_nanos(1), Duration::from_nanos(1), Duration::from_nanos(1), Duration::from_nanos(1)),
            (SECOND, 700 * MILLI, 900 * MILLI, SECOND),
            (MINUTE, 42 * SECOND, 54 * SECOND, MINUTE),
            (100 * SECOND, 70 * SECOND, 90 * SECOND, 100 * SECOND),
            (300 * SECOND, 240 * SECOND, 290 * SECOND, 300 * SECOND),
            (HOUR, HOUR - 12 * MINUTE, HOUR - 10 * SECOND, HOUR),
            (30 * DAY, 30 * DAY - 15 * MINUTE, 30 * DAY - 10 * SECOND, 30 * DAY),
            // What claims to live longer is renewed after 30 days.
            (Duration::from_secs(1 << 40), 30 * DAY - 15 * MINUTE, 30 * DAY - 10 * SECOND, 30 * DAY),
            (Duration::MAX, 30 * DAY - 15 * MINUTE, 30 * DAY - 10 * SECOND, 30 * DAY),
        ];
        for (lifetime, refresh, reserve, expires) in table {
            let found = Policy::default().deadlines(issued(), Expiry::In(lifetime), MIN);
            assert_eq!(since_issued(found.refresh), refresh, "refresh of {lifetime:?}");
            assert_eq!(since_issued(found.reserve), reserve, "reserve of {lifetime:?}");
            assert_eq!(since_issued(found.expires.unwrap()), expires, "expiry of {lifetime:?}");
        }
    }

    #[test]
    fn an_expiry_by_the_time_of_day_counts_from_the_issue_and_an_unknown_one_is_the_default() {
        let policy = Policy::default();
        let of = |expiry| policy.deadlines(issued(), expiry, HALF);
        assert_eq!(of(Expiry::At(issued().wall() + HOUR)), of(Expiry::In(HOUR)));
        assert_eq!(of(Expiry::Unknown), of(Expiry::In(5 * MINUTE)));

        let never = of(Expiry::Never);
        assert_eq!(never.expires, None);
        assert_eq!(never.freshness(issued().after(1_000 * 365 * DAY / 2)), Freshness::Fresh);

        // One that had expired when it came is no later than it was while it was good, nor when it comes again.
        for past in [issued().wall(), issued().wall() - HOUR] {
            let dead = of(Expiry::At(past));
            assert_eq!(dead.freshness(issued()), Freshness::Expired);
            assert_eq!(dead.expires.map(Moment::wall), Some(past));
            let alive = policy.deadlines(Moment::new(SECOND, past - HOUR), Expiry::At(past), HALF);
            let again = policy.deadlines(issued().after(MINUTE), Expiry::At(past), HALF);
            assert!(!dead.is_later_than(&alive) && !again.is_later_than(&dead));
            assert!(of(Expiry::In(SECOND)).is_later_than(&dead));
        }
    }

    #[test]
    fn l14_margins_never_exceed_half_the_lifetime() {
        let greedy =
            Policy::default().reserve(Duration::MAX).refresh_ahead(Duration::MAX).max_lifetime(500 * 365 * DAY);
        let bare = Policy::default().reserve(Duration::ZERO).refresh_ahead(Duration::ZERO);
        for policy in [Policy::default(), greedy, bare] {
            for (lifetime, draw) in lifetimes().flat_map(|lifetime| [MIN, HALF, Draw::MAX].map(|draw| (lifetime, draw)))
            {
                let found = policy.deadlines(issued(), Expiry::In(lifetime), draw);
                let half = lifetime.min(policy.max_lifetime) / 2;
                assert!(since_issued(found.refresh) >= half, "{lifetime:?} {draw:?}");
                assert!(since_issued(found.refresh) <= since_issued(found.reserve), "{lifetime:?} {draw:?}");
                assert!(since_issued(found.reserve) <= since_issued(found.expires.unwrap()), "{lifetime:?} {draw:?}");
            }
        }
        // No number overflows.
        let endless = Policy::default().max_lifetime(Duration::MAX).reserve(Duration::MAX);
        let found = endless.deadlines(issued(), Expiry::In(Duration::MAX), HALF);
        assert_eq!(found.freshness(issued().after(100 * 365 * DAY)), Freshness::Fresh);
    }

    #[test]
    fn the_draw_only_moves_the_refresh_earlier_and_by_a_fifth_at_most() {
        let policy = Policy::default();
        for lifetime in lifetimes() {
            let refresh = |draw| since_issued(policy.deadlines(issued(), Expiry::In(lifetime), draw).refresh);
            let whole = lifetime.min(30 * DAY);
            assert!(refresh(MIN) >= refresh(HALF) && refresh(HALF) >= refresh(Draw::MAX));
            assert_eq!(refresh(MIN) - refresh(Draw::MAX), whole / 5, "{lifetime:?}");
        }
        let steady = Policy::default().jitter(false);
        let of = |draw| steady.deadlines(issued(), Expiry::In(HOUR), draw);
        assert_eq!(of(Draw::MAX), of(MIN));
    }

    #[test]
    fn l13_a_bearer_grows_old_on_whichever_clock_is_ahead() {
        let deadlines = Policy::default().deadlines(issued(), Expiry::In(HOUR), MIN);
        let at = |monotonic: Duration, wall: i64| {
            let wall = issued().since_epoch().as_secs().saturating_add_signed(wall);
            deadlines.freshness(Moment::new(issued().monotonic() + monotonic, UNIX_EPOCH + Duration::from_secs(wall)))
        };
        let table = [
            (Duration::ZERO, 0, Freshness::Fresh),
            (47 * MINUTE, 47 * 60, Freshness::Fresh),
            (48 * MINUTE, 48 * 60, Freshness::Stale),
            (HOUR - 10 * SECOND, 3_590, Freshness::Expired),
            // The machine slept: the monotonic clock stood still.
            (Duration::ZERO, 48 * 60, Freshness::Stale),
            (Duration::ZERO, 3_600, Freshness::Expired),
            // Somebody set the time of day back.
            (47 * MINUTE, -3_600, Freshness::Fresh),
            (48 * MINUTE, -3_600, Freshness::Stale),
            (HOUR, -3_600, Freshness::Expired),
        ];
        for (monotonic, wall, expected) in table {
            assert_eq!(at(monotonic, wall), expected, "monotonic {monotonic:?}, wall {wall} s");
        }
    }

    #[test]
    fn l05_what_the_server_may_ask_for_is_limited_by_the_user() {
        let asked = Error::new(ErrorKind::Unavailable, "").with_retry(Retry::Later { after: Some(HOUR) });
        assert_eq!(Policy::default().retry_after_limit(MINUTE).cool_down(&asked, 1, MIN), MINUTE);
    }

    #[test]
    fn l05_the_cool_down_doubles_and_the_server_may_ask_for_more() {
        let transient = |after| Error::new(ErrorKind::Unavailable, "").with_retry(Retry::Later { after });
        let terminal = Error::new(ErrorKind::Refused, "");
        let asked = |seconds| transient(Some(Duration::from_secs(seconds)));
        let table = [
            // The draw makes it between one half and the whole.
            (transient(None), 1, MIN, 500 * MILLI),
            (transient(None), 1, Draw::MAX, SECOND),
            (transient(None), 2, Draw::MAX, 2 * SECOND),
            (transient(None), 6, Draw::MAX, 32 * SECOND),
            (transient(None), 7, MIN, 30 * SECOND),
            (transient(None), 7, Draw::MAX, MINUTE),
            (transient(None), u32::MAX, Draw::MAX, MINUTE),
            // The later of the two, and no more than an hour.
            (asked(0), 1, MIN, 500 * MILLI),
            (asked(7), 1, Draw::MAX, 7 * SECOND),
            (asked(7), 5, Draw::MAX, 16 * SECOND),
            (asked(3_600), 1, MIN, HOUR),
            (asked(u64::MAX), 1, MIN, HOUR),
            // Needs a change: slower, and the same for everybody.
            (terminal.clone(), 0, MIN, 5 * SECOND),
            (terminal.clone(), 1, MIN, 5 * SECOND),
            (terminal.clone(), 2, Draw::MAX, 10 * SECOND),
            (terminal.clone(), 6, MIN, 160 * SECOND),
            (terminal.clone(), 7, MIN, 5 * MINUTE),
            (terminal, u32::MAX, MIN, 5 * MINUTE),
        ];
        for (error, failures, draw, expected) in table {
            let found = Policy::default().cool_down(&error, failures, draw);
            assert_eq!(found, expected, "{error:?} after {failures} in a row, {draw:?}");
        }
        let half = Policy::default().cool_down(&transient(None), 1, HALF);
        assert!(half.abs_diff(750 * MILLI) < MILLI, "{half:?}");
    }

    #[test]
    fn a_refresh_leaves_time_for_another_one_and_a_fetch_that_callers_wait_for_has_its_own_timeout() {
        let policy = Policy::default().fetch_timeout(8 * SECOND);
        let table = [
            (None, 8 * SECOND),
            (Some(HOUR), 10 * SECOND),
            (Some(20 * SECOND), 10 * SECOND),
            (Some(14 * SECOND), 7 * SECOND),
            (Some(10 * SECOND), 5 * SECOND),
            (Some(Duration::ZERO), 5 * SECOND),
        ];
        for (left, expected) in table {
            assert_eq!(policy.timeout(left), expected, "{left:?}");
        }
        assert_eq!(policy.refresh_timeout(2 * SECOND).timeout(Some(HOUR)), 2 * SECOND);
    }

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
