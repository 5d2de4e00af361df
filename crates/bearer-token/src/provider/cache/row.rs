//! Which row of the table of legal states the cache is in.
//!
//! The row is computed and not stored: it is a check of the state, and a name for it in tests and models. In release
//! builds it costs nothing.

use super::{Cache, State};
use crate::{platform::nanos, sync::Ordering};

/// One row of the [table](super#the-legal-states).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Empty,
    Failed,
    Fetching,
    Serving,
    Refreshing,
    Renewing,
    Withdrawn,
}

impl Cache {
    /// The row that the state is in, or `None` if the combination is illegal.
    pub(super) fn row(&self, state: &State) -> Option<Row> {
        let (slot, failure) = (self.slot.get(), self.failure.get());
        let row = match (slot.is_some(), state.flight.is_some(), state.suspect.is_some()) {
            (false, false, false) if failure.is_none() => Row::Empty,
            (false, false, false) => Row::Failed,
            (false, true, false) => Row::Fetching,
            (true, false, false) => Row::Serving,
            (true, true, false) => Row::Refreshing,
            (false, true, true) => Row::Renewing,
            (false, false, true) => Row::Withdrawn,
            // The suspect would be served by readers, though its renewal has not ended.
            (true, _, true) => return None,
        };
        let gate = self.gate.load(Ordering::Relaxed);
        let is_gate_set = match &state.flight {
            Some(current) => gate == nanos(current.flight.overdue()),
            None => gate >= self.closed_until(state),
        };
        let is_counted = failure.is_none_or(|failure| failure.in_a_row > 0);
        let are_told = state.challenges.is_none() || slot.is_some() || state.suspect.is_some();
        (is_gate_set && is_counted && are_told).then_some(row)
    }

    /// Fails in debug builds if the state is not in any row.
    pub(super) fn check(&self, state: &State) {
        debug_assert!(self.row(state).is_some(), "an illegal combination of slot, flight, suspect, failure and gate");
    }
}
