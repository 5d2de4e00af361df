//! Gates: let others wait without a sleep.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

/// What arrives while this gate stands waits until it is released or dropped.
///
/// Made by [`Behaviour::hold`](crate::Behaviour::hold) and [`ScriptedSource::hold`](crate::ScriptedSource::hold). What
/// arrives later is not held, and of several gates each holds what arrived while it stood.
#[must_use = "a gate that is dropped holds nothing"]
pub struct Gate {
    // Those who wait hear of it when this end is gone.
    _open: watch::Sender<()>,
}

impl Gate {
    /// Lets everything pass.
    pub fn release(self) {
        drop(self);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

/// The gates that stand at one place.
#[derive(Default)]
pub(crate) struct Gates(Mutex<Vec<watch::Receiver<()>>>);

/// The gates that stood when somebody arrived.
pub(crate) struct Held(Vec<watch::Receiver<()>>);

impl Gates {
    pub(crate) fn hold(&self) -> Gate {
        let (open, standing) = watch::channel(());
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(stands);
        gates.push(standing);
        Gate { _open: open }
    }

    pub(crate) fn arrive(&self) -> Held {
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Held(gates.iter().filter(|gate| stands(gate)).cloned().collect())
    }
}

impl Held {
    pub(crate) async fn pass(self) {
        for mut gate in self.0 {
            while gate.changed().await.is_ok() {}
        }
    }
}

fn stands(gate: &watch::Receiver<()>) -> bool {
    gate.has_changed().is_ok()
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task};

    use super::*;

    #[test]
    fn a_gate_holds_what_arrived_while_it_stood_and_nothing_else() {
        let mut cx = task::Context::from_waker(task::Waker::noop());
        let gates = Gates::default();
        let before = gates.arrive();
        let first = gates.hold();
        let mut during = pin!(gates.arrive().pass());
        assert!(pin!(before.pass()).poll(&mut cx).is_ready());
        assert!(during.as_mut().poll(&mut cx).is_pending());
        first.release();
        // A gate that is put up again at once does not catch those whom the first one let go.
        let second = gates.hold();
        assert!(during.as_mut().poll(&mut cx).is_ready());
        let mut after = pin!(gates.arrive().pass());
        assert!(after.as_mut().poll(&mut cx).is_pending());
        drop(second);
        assert!(after.as_mut().poll(&mut cx).is_ready());
    }
}
