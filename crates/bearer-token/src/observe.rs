//! Events of the token life cycle, and where they go.
//!
//! An [`Observer`] of yours gets every [`Event`] of a provider. With feature `tracing` each event is recorded as a
//! `tracing` event too, without an observer. With feature `metrics`, `Metrics` counts them.
//!
//! ```
//! use bearer_token::{
//!     StaticToken, TokenProvider,
//!     observe::{Event, EventKind, Observer},
//! };
//!
//! /// Raises an alarm when fetches fail.
//! struct Alarm;
//!
//! impl Observer for Alarm {
//!     fn on_event(&self, event: &Event<'_>) {
//!         if let EventKind::FetchFailed { error, failures_in_a_row, next_attempt_in, .. } = &event.kind
//!             && *failures_in_a_row >= 3
//!         {
//!             let name = event.provider.unwrap_or("a token source");
//!             eprintln!("{name}: {error:#}; the next attempt is in {next_attempt_in:?}");
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), bearer_token::Error> {
//! let provider = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA"))
//!     .allow_origin("https://api.example.com")
//!     .name("billing")
//!     .observer(Alarm)
//!     .build()?;
//! # Ok(()) }
//! ```
//!
//! # What an event contains
//!
//! Events are flat values: names, numbers, times and the crate's own errors. An event never contains a token or a key.
//! Of the strings that a server sent, it contains only origins and known error codes. An origin that repeats the token
//! is withheld.
//!
//! # What a request costs
//!
//! A warm request causes no event, and no instruction is spent on the question. Only an observer that
//! [asks for it](Observer::counts_reads) is told of each look at the cache.
//!
//! # How the parts play together
//!
//! ```text
//! provider, cache, flight ----- tell(kind) -----------------+
//!                                                           v
//! source, grant, store, file -- tell(kind) --> the scope of the fetch that is polled on this thread
//!                                                           |
//!                                        +------------------+----------------+
//!                                        v                                   v
//!                                  `tracing` (feature)            each observer of the provider
//!                                                                  (`Metrics` is one of them)
//! ```
//!
//! The guide's chapter on observability has a paragraph for each event, with its level and message in `tracing`, and
//! the alerts for the metrics.
//!
//! # Whose events they are
//!
//! An observer belongs to a provider, or to a [map of providers](crate::KeyedProviders). It gets the events of the
//! provider itself, and those of its source while a fetch is polled. The second kind finds its provider by a
//! thread-local value, as `tracing` finds the current span. Events outside of any fetch, such as those of a template
//! that is used by hand, go to `tracing` only.

use std::sync::Arc;

#[cfg(feature = "oauth")]
mod calls;
mod event;
mod first_time;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(feature = "tracing"))]
mod no_tracing;
mod outcome;
mod scope;
#[cfg(all(test, feature = "metrics", feature = "tracing"))]
mod sinks_tests;
#[cfg(feature = "tracing")]
mod tracing;

#[cfg(feature = "oauth")]
pub(crate) use self::calls::{TokenCall, store_call};
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use self::metrics::Metrics;
#[cfg(not(feature = "tracing"))]
use self::no_tracing as recorder;
#[cfg(feature = "tracing")]
use self::tracing as recorder;
pub use self::{
    event::{Event, EventKind, Text},
    outcome::{CacheRead, StoreOperation, StoreOutcome, WaitOutcome},
};
pub(crate) use self::{
    first_time::FirstTimes,
    scope::{Observers, Scope, tell},
};

/// A sink of events.
///
/// It is called by the thread on which the event happened, often inside the poll of a request or a fetch. So it must
/// return soon, and must not block. If it panics, the panic ends the call of this observer only, and an event of
/// `tracing` reports it.
///
/// An `Arc` of an observer is an observer, so several providers can share one.
pub trait Observer: Send + Sync + 'static {
    /// Receives an event.
    ///
    /// Its borrowed parts live for this call only: copy what you keep. An error is cheap to clone.
    fn on_event(&self, event: &Event<'_>);

    /// Whether the observer wants [`EventKind::CacheRead`], one for each request. Default: no.
    ///
    /// It is asked once, when the provider is built. If any observer of a provider wants them, its warm requests take a
    /// longer path.
    fn counts_reads(&self) -> bool {
        false
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn on_event(&self, event: &Event<'_>) {
        (**self).on_event(event);
    }

    fn counts_reads(&self) -> bool {
        (**self).counts_reads()
    }
}
