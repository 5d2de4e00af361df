//! Every constant of time in the life cycle of tokens, with its reason. What users can set is here as its default.
//!
//! The constants for refresh tokens are here too, because they are derived from the same times.

use std::time::Duration;

use super::backoff::Backoff;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

// Fixed.

/// The time after a flight's deadline until its waiters stop trusting its driver.
///
/// The driver aborts the fetch at the deadline itself. A runtime that is this late is not driven.
pub(super) const FLIGHT_GRACE: Duration = SECOND;

/// The age at which the outcome of a flight is no longer believed.
///
/// A waiter that is polled this late asks again: the token may have expired, or the cause of the failure may be gone.
pub(super) const LATE_OUTCOME: Duration = Duration::from_secs(10);

/// The wait after a background refresh that was dropped, or could not be spawned.
///
/// If one driver is dropped, the next one usually is too. Without a wait, each request would start one.
pub(super) const ABANDONED_PAUSE: Duration = SECOND;

/// The shortest time between two calls of [`TokenSource::has_changed`](crate::TokenSource::has_changed).
///
/// It usually looks at a file, and it blocks its caller.
pub(super) const ASK_EVERY: Duration = SECOND;

/// The number of abandoned flights after which a waiter gives up.
///
/// Each costs the waiter a timeout and the grace. A flight counts if the waiter began it, or waited until it was
/// overdue.
pub(super) const MOST_ABANDONED: u32 = 5;

/// The shortest timeout of a background refresh, however little time the token has left.
///
/// A refresh that has too little time to succeed does harm: its cool-down would delay the callers after the expiry.
pub(super) const LEAST_REFRESH_TIMEOUT: Duration = Duration::from_secs(5);

/// The latest start of a refresh, before the token expires. It leaves time for two attempts at a slow server.
pub(super) const LATEST_REFRESH: Duration = Duration::from_secs(30);

/// The shortest time until the next token that a source can hint at.
///
/// A source that hints at zero would otherwise be called once for each request.
pub(super) const LEAST_HINT: Duration = MINUTE;

// Refresh tokens.

/// The time for which a refused refresh token is not sent again: the longest cool-down after such an error.
#[cfg(feature = "oauth")]
pub(crate) const REFUSED_TOKEN_REST: Duration = TERMINAL_BACKOFF.limit();

/// The time for which a new refresh token may be saved after its fetch was dropped. Then saving is the next fetch's
/// task.
#[cfg(feature = "oauth")]
pub(crate) const SAVE_TIMEOUT: Duration = MINUTE;

/// How long a lease may be overdue before the next fetch takes it. The same as for a flight.
#[cfg(feature = "oauth")]
pub(crate) const LEASE_GRACE: Duration = FLIGHT_GRACE;

/// The time after which the lock of a token file is given up: its holder has a slow server, or does not run.
#[cfg(feature = "oauth")]
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two attempts to lock. One long wait would hold a thread while another process hangs.
#[cfg(feature = "oauth")]
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(50);

// Tokens that replicas share.

/// The time for one call of a shared store that keeps a refresh token. Without it nothing is sent, so it may take
/// longer.
#[cfg(feature = "shared")]
pub(crate) const SHARED_TOKEN_CALL: Duration = Duration::from_secs(2);

/// For how long a host may use a refresh token that others wait for: a fetch and a margin.
#[cfg(feature = "shared")]
pub(crate) const SHARED_TOKEN_LEASE: Duration = Duration::from_secs(15);

/// The life of a refresh token in a shared store. It ends when the server says so.
#[cfg(feature = "shared")]
pub(crate) const SHARED_TOKEN_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The time for one call of a shared store. A store that is slower costs more than it saves.
///
/// A store that says nothing delays a request by less than 100 ms. The rest is for the timer, which is late on a busy
/// host.
#[cfg(feature = "shared")]
pub(crate) const SHARED_CALL_TIMEOUT: Duration = Duration::from_millis(95);

/// The number of failures in a row after which a shared store is left alone. One that takes half of the time of a call
/// is enough.
#[cfg(feature = "shared")]
pub(crate) const SHARED_FAILURES: u32 = 2;

/// A failure that took longer is no sign of the store: the process stood still.
#[cfg(feature = "shared")]
pub(crate) const SHARED_STOOD_STILL: Duration = SECOND;

/// For how long it is left alone.
#[cfg(feature = "shared")]
pub(crate) const SHARED_PAUSE: Backoff = Backoff::new(SECOND, Duration::from_secs(30));

/// The time by which a lease outlasts the fetch of its holder.
#[cfg(feature = "shared")]
pub(crate) const SHARED_LEASE_MARGIN: Duration = Duration::from_secs(5);

/// The longest lease that is believed in any case. Another replica may have a longer timeout than this one.
#[cfg(feature = "shared")]
pub(crate) const SHARED_LONG_LEASE: Duration = Duration::from_secs(30);

/// The first and the longest wait before a replica without a token looks again.
#[cfg(feature = "shared")]
pub(crate) const SHARED_POLL: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(250));

/// The longest time for which a replica without a connection lets the others go first, after the cool-down of all.
///
/// Longer than the first four waits of a replica, so one that is new or healthy has its turn. Short, because in a real
/// outage all replicas may be waiting.
#[cfg(feature = "shared")]
pub(crate) const SHARED_OTHERS_FIRST: Duration = Duration::from_secs(10);

/// For how long a failure is remembered after twice its cool-down. It tells the next holder that the server may be
/// slow.
#[cfg(feature = "shared")]
pub(crate) const SHARED_MEMORY: Duration = Duration::from_secs(10 * 60);

// Shares of a token's lifetime. A token is never refreshed in the first half of its life: 3/10 and 2/10 add up to the
// other half.

/// The reserve takes at most this share of a lifetime: 1/10.
pub(super) const RESERVE_SHARE: u32 = 10;
/// A token is refreshed early by at most this share of its lifetime: 1/5.
pub(super) const AHEAD_SHARE: u32 = 5;
/// [`LATEST_REFRESH`] takes at most this share of a lifetime: 3/10.
pub(super) const LATEST_SHARE: (u32, u32) = (3, 10);
/// The jitter takes at most this share of a lifetime: 1/5.
pub(super) const JITTER_SHARE: u32 = 5;

// Defaults of the policy.

/// Covers the time that a request takes to the API, and a small difference between the clocks.
pub(super) const RESERVE: Duration = Duration::from_secs(10);
/// Bridges an outage of the authorization server of nearly this time, if tokens live for long enough.
pub(super) const REFRESH_AHEAD: Duration = Duration::from_secs(15 * 60);
/// As long as a caller is likely to wait.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The same as [`FETCH_TIMEOUT`], because it is the same request.
pub(super) const REFRESH_TIMEOUT: Duration = Duration::from_secs(10);
/// Short at first, because most outages are short. At most a minute, to notice the recovery soon.
pub(super) const TRANSIENT_BACKOFF: Backoff = Backoff::new(SECOND, MINUTE);
/// Longer, because a person has to change something first. Retries never end, so no restart is needed after the fix.
pub(super) const TERMINAL_BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(5 * 60));
/// Longer than APIs take to learn of a new token (GitHub: 5 s), and rare enough for servers that limit renewals.
pub(super) const REJECTION_BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(5 * 60));
/// Bounds a `Retry-After` that is a mistake: a date instead of seconds, or milliseconds.
pub(super) const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(60 * 60);
/// Shorter than nearly every real lifetime.
pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// Bounds an `expires_in` that is a mistake.
pub(super) const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
