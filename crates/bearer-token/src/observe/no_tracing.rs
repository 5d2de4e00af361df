//! The recorder without feature `tracing`: nothing is recorded.
//!
//! It has the functions of the other recorder, so no call of them has a `cfg`. All of this compiles to nothing.

use super::EventKind;
use crate::token::FetchReason;

pub(super) const IS_ON: bool = false;

pub(super) struct Span;

pub(super) fn record(_provider: Option<&str>, _kind: &EventKind<'_>) {}

pub(super) fn observer_panicked(_provider: &str) {}

pub(super) fn fetch_span(_provider: &str, _reason: FetchReason) -> Span {
    Span
}

#[cfg(feature = "oauth")]
pub(super) fn request_span(_method: &str, _address: &str, _port: u16) -> Span {
    Span
}

#[cfg(feature = "oauth")]
pub(super) fn end_request(_span: &Span, _status: Option<u16>, _error_type: Option<&'static str>) {}

#[cfg(feature = "oauth")]
pub(super) fn current_span() -> Span {
    Span
}

pub(super) fn in_span<T>(_span: &Span, run: impl FnOnce() -> T) -> T {
    run()
}
