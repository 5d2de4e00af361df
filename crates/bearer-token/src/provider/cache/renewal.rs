//! The brake on renewals that rejections force.
//!
//! An API that refuses every token would cost one token request for each refused request. So renewals are counted, and
//! the pause between them doubles while each renewed bearer is refused *young*. That is before it was in service for as
//! long as the longest pause. A bearer that lived longer than that was good, and its rejection starts again with the
//! first pause.
//!
//! ```text
//! renewal  refused young   renewal  refused young    renewal   serves for 10 min   refused   renewal
//!    |---- 5 s ----|          |----- 10 s -----|        |------------------------------|        |
//!               declined                    declined                                   at once, pause 5 s
//! ```
//!
//! # Replicas
//!
//! Replicas that share a token share this pause, too. The record says how many renewals in a row were forced when its
//! token was fetched. A token that a *forced* renewal brought has its pause in every replica that adopts it, from when
//! its fetch ended. So an API that refuses every token costs the fleet one token request for each pause.
//!
//! Any other token that is adopted has none: no token request was made because of a rejection yet. It may have been
//! refreshed a moment before all tokens were revoked. Its rejection is the first, and the fleet's one token request
//! follows at once.

use crate::{
    platform::Moment,
    provider::{bearer::Bearer, policy::Policy, ticket::Generation},
    token::Adopted,
};

/// When the next renewal may be forced, and how often that happened in a row.
#[derive(Default)]
pub(super) struct Renewal {
    allowed_from: u64,
    in_a_row: u32,
    /// The bearer that the last forced renewal brought, and when; and whether it was rejected while it was young.
    brought: Option<(Generation, Moment)>,
    young: bool,
}

impl Renewal {
    pub(super) fn is_allowed(&self, now: Moment) -> bool {
        now.monotonic_nanos() >= self.allowed_from
    }

    /// Notes a rejection, including one that is declined. A bearer that is always rejected then still counts as
    /// rejected young.
    pub(super) fn note(&mut self, rejected: &Bearer, policy: &Policy, now: Moment) {
        let Some((_, since)) = self.brought.filter(|(brought, _)| *brought == rejected.generation()) else {
            self.young = false;
            return;
        };
        // Counted from when it came into service, not from when it was issued: a source may bring an old token.
        let age = now.monotonic().saturating_sub(since.monotonic());
        self.young |= age < policy.rejection_backoff.limit();
    }

    /// Counts one more renewal that a rejection forces.
    pub(super) fn count(&mut self) {
        self.in_a_row = if self.young { self.in_a_row.saturating_add(1) } else { 1 };
    }

    /// Remembers what the renewal put into service, and sets the time of the next one. The pause begins at the end of
    /// the renewal: requests wait while a renewal hangs, and they must be served for longer than they waited.
    pub(super) fn brought(&mut self, bearer: &Bearer, policy: &Policy, now: Moment) {
        self.brought = Some((bearer.generation(), now));
        self.young = false;
        self.allowed_from = now.after(policy.rejection_backoff.after(self.in_a_row)).monotonic_nanos();
    }

    /// Remembers a token that another replica had fetched. The pause of the fleet counts from then.
    pub(super) fn adopted(&mut self, bearer: &Bearer, adopted: Adopted, policy: &Policy, now: Moment) {
        (self.brought, self.young) = (None, false);
        if adopted.forced == 0 {
            // Also not that of an earlier renewal of this replica, which brought another token.
            self.allowed_from = 0;
            return;
        }
        self.brought = Some((bearer.generation(), now));
        self.in_a_row = adopted.forced;
        let pause = policy.rejection_backoff.after(self.in_a_row).saturating_sub(adopted.since);
        self.allowed_from = self.allowed_from.max(now.after(pause).monotonic_nanos());
    }
}
