//! Gates: hold requests and fetches without a sleep.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

/// Holds everything that arrives while it is closed, until it is released or dropped.
///
/// Made by [`Behaviour::hold`](crate::Behaviour::hold) and [`ScriptedSource::hold`](crate::ScriptedSource::hold). With
/// several gates, each holds what arrived while it was closed.
#[must_use = "a gate that is dropped holds nothing"]
pub struct Gate {
    // Waiters are told when this end is dropped.
    _open: watch::Sender<()>,
}

impl Gate {
    /// Releases everything that it holds.
    pub fn release(self) {
        drop(self);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

/// The closed gates at one place.
#[derive(Default)]
pub(crate) struct Gates(Mutex<Vec<watch::Receiver<()>>>);

/// The gates that were closed at an arrival.
pub(crate) struct Arrival(Vec<watch::Receiver<()>>);

impl Gates {
    pub(crate) fn hold(&self) -> Gate {
        let (open, closed) = watch::channel(());
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(is_closed);
        gates.push(closed);
        Gate { _open: open }
    }

    pub(crate) fn arrive(&self) -> Arrival {
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arrival(gates.iter().filter(|gate| is_closed(gate)).cloned().collect())
    }
}

impl Arrival {
    pub(crate) async fn pass(self) {
        for mut gate in self.0 {
            while gate.changed().await.is_ok() {}
        }
    }
}

fn is_closed(gate: &watch::Receiver<()>) -> bool {
    gate.has_changed().is_ok()
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task};

    use super::*;

    #[test]
    fn gates_hold_what_arrived_while_they_were_closed() {
        let mut cx = task::Context::from_waker(task::Waker::noop());
        let gates = Gates::default();
        let before = gates.arrive();
        let first = gates.hold();
        let mut during = pin!(gates.arrive().pass());
        assert!(pin!(before.pass()).poll(&mut cx).is_ready());
        assert!(during.as_mut().poll(&mut cx).is_pending());
        first.release();
        // A second gate does not hold what the first one released.
        let second = gates.hold();
        assert!(during.as_mut().poll(&mut cx).is_ready());
        let mut after = pin!(gates.arrive().pass());
        assert!(after.as_mut().poll(&mut cx).is_pending());
        drop(second);
        assert!(after.as_mut().poll(&mut cx).is_ready());
    }
}
