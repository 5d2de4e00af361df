//! What a source may ask of its provider's policy.
//!
//! A source that keeps tokens itself, as a shared one does, must judge them by the numbers of the provider. Otherwise
//! it would adopt a token that the provider does not send. The trait keeps the dependency pointing down, from the
//! provider to its sources.

use std::{fmt, time::Duration};

use crate::{error::Error, token::Expiry};

/// The numbers of the provider for which a source fetches, for a source that keeps tokens itself.
#[cfg_attr(not(feature = "shared"), allow(dead_code, reason = "asked by shared sources"))]
pub(crate) trait Timing: Send + Sync + fmt::Debug {
    /// For how long a token is alive and for how long it may be sent, both counted from when it was issued.
    fn lives(&self, expiry: Expiry) -> (Duration, Duration);

    /// The cool-down after this many failures in a row. `draw` is a share of `u32::MAX`.
    fn cool_down(&self, error: &Error, failures: u32, draw: u32) -> Duration;

    /// The same beside a token that may be sent for as long as `left`. The cool-down ends with the token.
    fn cool_down_beside(&self, error: &Error, failures: u32, draw: u32, left: Duration) -> Duration;

    /// The longest pause between renewals that rejections force. A token that is rejected later was good.
    #[cfg_attr(not(feature = "shared"), allow(dead_code, reason = "asked by shared sources"))]
    fn longest_rejection_pause(&self) -> Duration;
}
