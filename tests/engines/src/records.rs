//! What the tests of all engines do with records.

use std::time::Duration;

use bearer_token::store::{Fence, Leased, SharedStore, StoreKey, Version};

pub const TTL: Duration = Duration::from_secs(15);
pub const LIFE: Duration = Duration::from_secs(3600);

pub fn key(number: u8) -> StoreKey {
    StoreKey::new([number; 32])
}

/// The fence of a lease that is free.
pub async fn granted(store: &impl SharedStore, key: &StoreKey, seen: Version) -> Fence {
    match store.lease(key, seen, TTL).await.unwrap() {
        Leased::Granted(fence) => fence,
        other => panic!("expected the lease, found {other:?}"),
    }
}
