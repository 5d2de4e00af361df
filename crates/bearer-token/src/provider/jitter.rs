//! Jitter: a random share of a time, to keep instances from acting at the same moment.
//!
//! Fifty replicas that start together fetch fifty tokens with one lifetime. Without jitter they refresh together, an
//! hour later and at every refresh after that. One draw of four bytes for each token spreads them over a fifth of the
//! lifetime. One for each failure spreads the attempts after an outage.
//!
//! A draw is a value that is passed on: the arithmetic stays pure, and replicas that share a token share its draw.

use std::time::Duration;

use super::contained::contained;
use crate::platform::Platform;

/// A uniform draw between zero and one, as a fraction of `u32::MAX`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw(pub(crate) u32);

impl Draw {
    /// Draws from the platform's randomness. `None` if there is none, or the platform panics.
    pub(super) fn try_new(platform: &Platform) -> Option<Self> {
        let bytes = contained(|| platform.random())?.ok()?;
        Some(Draw(u32::from_ne_bytes(bytes)))
    }

    /// Draws, and takes the greatest draw if there is no randomness.
    pub(super) fn new(platform: &Platform) -> Self {
        Draw::try_new(platform).unwrap_or(Draw::MAX)
    }

    /// The greatest draw, for when there is no randomness.
    pub(crate) const MAX: Draw = Draw(u32::MAX);

    /// This share of a time. All of it for the greatest draw, and for times that do not fit into nanoseconds.
    pub(super) fn of(self, whole: Duration) -> Duration {
        let nanos = whole.as_nanos() * u128::from(self.0) / u128::from(u32::MAX);
        u64::try_from(nanos).map_or(whole, Duration::from_nanos)
    }
}
