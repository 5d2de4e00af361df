//! Lets one caller read at a time.
//!
//! A mutex would be enough if all file systems responded. On one that hangs, each fetch would leave a blocked thread
//! behind, until the pool of blocking threads is used up. So a caller waits for a second at most, and then uses the
//! last good value, or fails with an error that says so.

use std::{
    mem,
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

/// Lets one caller read at a time. Otherwise an older reading could replace a newer one.
pub(crate) struct Turn {
    /// How long a caller waits for the reading of another one.
    patience: Duration,
    /// The mutex of `std` and not of `crate::sync`, because the model checker has no time.
    is_taken: Mutex<bool>,
    ended: Condvar,
}

/// A turn, until it is dropped.
pub(crate) struct Taken<'a>(&'a Turn);

/// A local file is read in far less. On a file system that hangs, each fetch would leave another thread behind.
const PATIENCE: Duration = Duration::from_secs(1);

impl Turn {
    /// A turn for which callers wait for up to a second.
    pub(crate) fn new() -> Self {
        Turn::with_patience(PATIENCE)
    }

    /// A turn with another patience, for tests.
    pub(crate) fn with_patience(patience: Duration) -> Self {
        Turn { patience, is_taken: Mutex::new(false), ended: Condvar::new() }
    }

    /// Waits for the turn. Returns `None` if another caller has had it for too long.
    pub(crate) fn take(&self) -> Option<Taken<'_>> {
        let is_taken = self.is_taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.wait_timeout_while(is_taken, self.patience, |is_taken| *is_taken);
        let (mut is_taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if mem::replace(&mut *is_taken, true) { None } else { Some(Taken(self)) }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.0.is_taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.ended.notify_one();
    }
}
