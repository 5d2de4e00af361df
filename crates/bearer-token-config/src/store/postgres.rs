//! Stores on PostgreSQL.

use bearer_token::Problem;
pub(super) use bearer_token_postgres::PostgresStore as Store;

use super::Durability;
use crate::report::error_at;

/// The store with this URL. Nothing is sent yet.
pub(super) fn open(url: &str, durability: Durability) -> Result<Store, Problem> {
    // The error does not repeat the URL.
    let mut store = Store::from_url(url).map_err(|error| error_at("url", &error))?;
    if durability.test_server {
        store = store.test_server();
    }
    if durability.whole_pages {
        store = store.whole_pages();
    }
    if durability.synchronous_standby {
        store = store.synchronous_standby();
    }
    Ok(store)
}
