//! The primitives that the model checker replaces, under a cfg of our own.
//!
//! With `--cfg bearer_loom`, the mutexes and atomics of the state machines are loom's. A model runs them in every
//! order that two or three threads can have. All rooms take their locks from here. The cache, the flight, the map of
//! providers and the permits have models, next to their code.
//!
//! | primitive | in production | under the model checker |
//! |---|---|---|
//! | [`Mutex`], [`AtomicU64`] | the standard library's | loom's |
//! | [`Slot`] | `arc_swap`, which loom cannot look into | a mutex around an `Arc` |
//!
//! A mutex is a sound model of a slot: it shows what holds for each order of whole operations. `arc_swap` promises that
//! its operations are whole.

pub(crate) mod permits;

#[cfg(bearer_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
#[cfg(not(bearer_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
use std::{
    ops::DerefMut,
    sync::{Arc, PoisonError},
};

/// Locks. A poisoned lock guards nothing half-done. Little user code runs under one: keys are cloned, compared or
/// dropped. It runs before anything is changed, or after everything is.
///
/// So a panic in user code costs the call in which it happened. If a poisoned lock were an error, one panic would end
/// the provider for the life of the process.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lock that is only tried, never waited for: taking it is one atomic change, and giving it back a plain store.
#[cfg(not(bearer_loom))]
pub(crate) struct TryLock<T>(try_lock::TryLock<T>);

#[cfg(not(bearer_loom))]
impl<T> TryLock<T> {
    pub(crate) fn new(value: T) -> Self {
        TryLock(try_lock::TryLock::new(value))
    }

    /// The value, unless another thread holds it at this moment.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<impl DerefMut<Target = T> + '_> {
        self.0.try_lock()
    }
}

/// The lock for the model checker.
#[cfg(bearer_loom)]
pub(crate) struct TryLock<T>(Mutex<T>);

#[cfg(bearer_loom)]
impl<T> TryLock<T> {
    pub(crate) fn new(value: T) -> Self {
        TryLock(Mutex::new(value))
    }

    pub(crate) fn try_lock(&self) -> Option<impl DerefMut<Target = T> + '_> {
        self.0.try_lock().ok()
    }
}

/// Access to the value of a [`Slot`] as it was at one moment.
#[cfg(not(bearer_loom))]
pub(crate) type SlotGuard<T> = arc_swap::Guard<Option<Arc<T>>>;
#[cfg(bearer_loom)]
pub(crate) type SlotGuard<T> = Box<Option<Arc<T>>>;

/// A shared value that is read without a lock and replaced as a whole.
///
/// It has three ways to read. [`read`](Self::read) is for the warm path: no count is touched. [`load`](Self::load) is
/// the same for callers that must keep the value over several statements. Keep it short, because a thread has few
/// guards that cost nothing. [`get`](Self::get) counts a reference, and is for code that keeps the value.
#[cfg(not(bearer_loom))]
#[derive(Debug)]
pub(crate) struct Slot<T>(arc_swap::ArcSwapOption<T>);

#[cfg(not(bearer_loom))]
impl<T> Slot<T> {
    /// A slot with its first value.
    pub(crate) fn new(value: Option<Arc<T>>) -> Self {
        Slot(arc_swap::ArcSwapOption::new(value))
    }

    /// Looks at the value through a guard, without touching its reference count, which would be contended.
    #[inline]
    pub(crate) fn read<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> R {
        look(self.0.load().as_deref())
    }

    /// The value through a guard, for callers that cannot pass a closure.
    #[inline]
    pub(crate) fn load(&self) -> SlotGuard<T> {
        self.0.load()
    }

    /// The value, with a reference of its own.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.0.load_full()
    }

    /// Replaces the value. Readers see the old one or the new one, never a mixture. The old one is dropped when its
    /// last reader is done, which may be here: set slots where the value's destructor may run.
    pub(crate) fn set(&self, value: Option<Arc<T>>) {
        self.0.store(value);
    }
}

/// The slot for the model checker, which cannot look into arc-swap.
#[cfg(bearer_loom)]
#[derive(Debug)]
pub(crate) struct Slot<T>(Mutex<Option<Arc<T>>>);

#[cfg(bearer_loom)]
impl<T> Slot<T> {
    pub(crate) fn new(value: Option<Arc<T>>) -> Self {
        Slot(Mutex::new(value))
    }

    pub(crate) fn read<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> R {
        look(self.get().as_deref())
    }

    pub(crate) fn load(&self) -> SlotGuard<T> {
        Box::new(self.get())
    }

    pub(crate) fn get(&self) -> Option<Arc<T>> {
        lock(&self.0).clone()
    }

    pub(crate) fn set(&self, value: Option<Arc<T>>) {
        *lock(&self.0) = value;
    }
}
