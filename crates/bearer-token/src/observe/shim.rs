//! `tracing`, or nothing: the only place that knows which. Without the feature the macros expand to nothing, so no
//! other function needs a `cfg`.

#[cfg(feature = "tracing")]
macro_rules! event {
    ($level:ident, $($rest:tt)+) => { tracing::$level!(target: "bearer_token", $($rest)+) };
}

#[cfg(not(feature = "tracing"))]
macro_rules! event {
    ($($rest:tt)+) => {{}};
}

/// A span that is enabled whenever warnings are, because it explains warnings.
#[cfg(feature = "tracing")]
macro_rules! span {
    ($($rest:tt)+) => { tracing::warn_span!(target: "bearer_token", $($rest)+) };
}

#[cfg(not(feature = "tracing"))]
macro_rules! span {
    ($($rest:tt)+) => {
        $crate::observe::shim::Span
    };
}

#[cfg(feature = "tracing")]
pub(super) use tracing::Span;

#[cfg(not(feature = "tracing"))]
pub(super) struct Span;

#[cfg(not(feature = "tracing"))]
impl Span {
    #[allow(clippy::unused_self, reason = "the same call as tracing's")]
    pub(super) fn in_scope<T>(&self, run: impl FnOnce() -> T) -> T {
        run()
    }
}

pub(super) use {event, span};
