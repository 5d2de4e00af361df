//! A build without the feature `redis` does not know Redis.

use bearer_token::Problem;
/// Never made.
pub(super) use bearer_token::store::MemorySharedStore as Store;

/// The problem that there is no such store.
pub(super) fn open(_: &str) -> Result<Store, Problem> {
    Err(super::not_compiled_in("redis"))
}
