//! Stores on Redis and Valkey.

use bearer_token::{
    Problem,
    shared::{Fleet, FleetBuilder, SealingKeys},
};
use bearer_token_redis::RedisStore;

/// A fleet over the server with this URL. Nothing is sent yet.
pub(super) fn builder(url: &str, keys: SealingKeys) -> Result<FleetBuilder, Problem> {
    match RedisStore::from_url(url) {
        Ok(store) => Ok(Fleet::builder(store, keys)),
        // The URL may contain a password, and is not repeated.
        Err(error) => Err(error.problems().first().cloned().unwrap_or_else(|| Problem::new("url", error.to_string()))),
    }
}
