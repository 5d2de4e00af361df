//! User code whose panics end nothing but themselves.
//!
//! The crate calls user code in many places: sources, build functions, selectors, clocks, wakers, observers,
//! destructors of keys. A panic in one of them must not leave a flight without an end or a lock half done. So each call
//! is contained, and each place decides what its absence means: an error, "nothing has changed", the greatest draw.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code. A panic is reported by the process's panic hook, and then contained.
#[inline]
pub(super) fn contained<T>(user_code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(user_code)).ok()
}
