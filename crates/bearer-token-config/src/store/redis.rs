//! Stores on Redis and Valkey.

use bearer_token::Problem;
pub(super) use bearer_token_redis::RedisStore as Store;

use crate::report::error_at;

/// The store with this URL. Nothing is sent yet.
pub(super) fn open(url: &str) -> Result<Store, Problem> {
    // The error does not repeat the URL.
    Store::from_url(url).map_err(|error| error_at("url", &error))
}
