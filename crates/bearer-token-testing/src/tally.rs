//! Counters that tests can wait for.

use tokio::sync::watch;

/// Counters behind one lock: reads are consistent, and a future can wait for a value. Needs no runtime.
pub(crate) struct Tally<T>(watch::Sender<T>);

impl<T: Copy + Default + Send + Sync> Tally<T> {
    pub(crate) fn get(&self) -> T {
        *self.0.borrow()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut T)) {
        self.0.send_modify(change);
    }

    pub(crate) async fn wait_for(&self, mut reached: impl FnMut(&T) -> bool + Send) -> T {
        let mut counts = self.0.subscribe();
        loop {
            let now = *counts.borrow_and_update();
            // The sender is in `self`, so this cannot fail before the condition is met.
            if reached(&now) || counts.changed().await.is_err() {
                return now;
            }
        }
    }
}

impl<T: Default> Default for Tally<T> {
    fn default() -> Self {
        Tally(watch::Sender::new(T::default()))
    }
}
