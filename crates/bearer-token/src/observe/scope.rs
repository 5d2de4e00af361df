//! Whom an event is told: the observers of one provider, or those of the fetch that is being polled.
//!
//! A source does not know its provider: it may be wrapped, shared, or used by hand. So while a fetch is polled, its
//! provider's observers are in a thread-local value, as the current span is for `tracing`. An event of the source, of
//! its store, key or file finds them there.
//!
//! ```text
//! provider "orders"  fetch --> poll ( CURRENT = observers of "orders" )
//!                                 |  needs the token of "identity"
//!                                 +--> its own task --> poll ( CURRENT = observers of "identity" )
//! ```
//!
//! A fetch of another provider runs in its own task with its own scope. So the events of a chain belong to the stage in
//! which they happened.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
};

use super::{Event, EventKind, Observer, recorder};
use crate::{error::ProviderName, platform::Platform, token::FetchReason};

/// The observers of one provider, and its name. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Observers(Arc<Inner>);

/// The sinks of one provider, and what they are told of it.
struct Inner {
    provider: ProviderName,
    #[cfg_attr(not(feature = "oauth"), allow(dead_code, reason = "only token requests are timed here"))]
    platform: Platform,
    keyed: Option<Arc<str>>,
    observers: Vec<Arc<dyn Observer>>,
    counts_reads: bool,
}

impl Observers {
    /// The sinks of a provider, in the order in which they were added. `keyed` is the map that it belongs to.
    pub(crate) fn new(
        provider: ProviderName,
        platform: Platform,
        keyed: Option<Arc<str>>,
        observers: Vec<Arc<dyn Observer>>,
    ) -> Self {
        // User code, called once.
        let counts_reads = observers.iter().any(Observer::counts_reads);
        Observers(Arc::new(Inner { provider, platform, keyed, observers, counts_reads }))
    }

    /// Whether any sink gets events. If not, values that only events need are not computed.
    pub(crate) fn is_on(&self) -> bool {
        recorder::IS_ON || !self.0.observers.is_empty()
    }

    /// Whether each look at the cache is an event.
    pub(crate) fn counts_reads(&self) -> bool {
        self.0.counts_reads
    }

    /// The provider's platform.
    #[cfg(feature = "oauth")]
    pub(super) fn platform(&self) -> &Platform {
        &self.0.platform
    }

    /// Tells an event of this provider.
    pub(crate) fn tell(&self, kind: EventKind<'_>) {
        recorder::record(Some(self.0.provider.as_str()), &kind);
        self.tell_observers(kind);
    }

    /// Tells the observers, each on its own: one that panics is reported, and the next one is told all the same.
    fn tell_observers(&self, kind: EventKind<'_>) {
        let Inner { provider, keyed, observers, .. } = &*self.0;
        if observers.is_empty() {
            return;
        }
        let event = Event { provider: Some(provider.as_str()), keyed: keyed.as_deref(), kind };
        for observer in observers {
            if catch_unwind(AssertUnwindSafe(|| observer.on_event(&event))).is_err() {
                recorder::observer_panicked(provider.as_str());
            }
        }
    }
}

/// Tells an event of what a fetch uses. It goes to the observers of the fetch that is being polled on this thread.
pub(crate) fn tell(kind: EventKind<'_>) {
    let current = CURRENT.with_borrow(Clone::clone);
    tell_to(current.as_ref(), kind);
}

/// Tells an event of a fetch, whose span names the provider.
pub(super) fn tell_to(observers: Option<&Observers>, kind: EventKind<'_>) {
    recorder::record(None, &kind);
    if let Some(observers) = observers {
        observers.tell_observers(kind);
    }
}

/// The observers of the fetch that is being polled on this thread.
#[cfg(any(feature = "oauth", feature = "shared"))]
pub(super) fn current() -> Option<Observers> {
    CURRENT.with_borrow(Clone::clone)
}

thread_local! {
    /// Set for the time of one poll, and restored after it. A fetch may be polled on another thread the next time.
    static CURRENT: RefCell<Option<Observers>> = const { RefCell::new(None) };
}

/// Where the events of a fetch go: its span, and the observers of its provider.
pub(crate) struct Scope {
    span: recorder::Span,
    observers: Option<Observers>,
}

impl Scope {
    /// The scope of a new fetch.
    pub(crate) fn of_fetch(observers: &Observers, reason: FetchReason) -> Self {
        let span = recorder::fetch_span(observers.0.provider.as_str(), reason);
        Scope { span, observers: Some(observers.clone()) }
    }

    /// The scope of the fetch that is being polled on this thread, for tasks that it spawns.
    #[cfg(any(feature = "oauth", feature = "shared"))]
    pub(crate) fn current() -> Self {
        Scope { span: recorder::current_span(), observers: current() }
    }

    /// Polls a future inside the scope. Its span is entered for the same time.
    pub(crate) async fn run<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let _previous = Entered(CURRENT.replace(self.observers.clone()));
            recorder::in_span(&self.span, || future.as_mut().poll(cx))
        })
        .await
    }
}

/// Restores the scope around this one, even if the poll panics.
struct Entered(Option<Observers>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
