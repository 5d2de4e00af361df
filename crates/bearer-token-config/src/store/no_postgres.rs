//! A build without the feature `postgres` does not know PostgreSQL.

use bearer_token::Problem;
/// Never made.
pub(super) use bearer_token::store::MemorySharedStore as Store;

/// The problem that there is no such store.
pub(super) fn open(_: &str, _: super::Durability) -> Result<Store, Problem> {
    Err(super::not_compiled_in("postgres"))
}
