//! User code whose panics end nothing but themselves.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code. A panic is reported by the process's panic hook, and then contained.
#[inline]
pub(super) fn contained<T>(user_code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(user_code)).ok()
}
