//! A refresh token in memory.
//!
//! Small enough to show what a store has to do: compare, replace, and treat a repeated swap as a success.

use std::sync::Arc;

use super::{RefreshTokenStore, StoredToken};
use crate::{
    error::Error,
    platform::Platform,
    sync::{Mutex, lock},
};

/// Keeps a refresh token in memory, for the life of the process. Clones share it.
///
/// It is for servers that do not rotate refresh tokens, for programs that store the token themselves, and for tests. If
/// the server rotates tokens, the first one is used up when the program is restarted.
///
/// ```
/// use bearer_token::store::MemoryStore;
///
/// let store = MemoryStore::new("tGzv3JOkF0XG5Qx2TlKWIA");
/// assert_eq!(store.get().unwrap().secret(), "tGzv3JOkF0XG5Qx2TlKWIA");
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    token: Option<StoredToken>,
    /// Whether the application has set it since it was loaded last.
    replaced: bool,
}

impl MemoryStore {
    /// Creates a store with this refresh token. `MemoryStore::default()` has none.
    pub fn new(refresh_token: impl Into<String>) -> Self {
        let store = MemoryStore::default();
        store.set(Some(StoredToken::new(refresh_token)));
        store
    }

    /// The stored token.
    ///
    /// For programs that save the token themselves, for example when they end.
    pub fn get(&self) -> Option<StoredToken> {
        lock(&self.0).token.clone()
    }

    /// Replaces the stored token unconditionally.
    ///
    /// A provider in a cool-down notices it within a second. `None` empties the store. Then the next fetch uses
    /// [`RefreshToken::initial`](crate::oauth::RefreshToken::initial), if that is set.
    pub fn set(&self, stored: Option<StoredToken>) {
        *lock(&self.0) = Kept { token: stored, replaced: true };
    }
}

impl RefreshTokenStore for MemoryStore {
    async fn load(&self, _: &Platform) -> Result<Option<StoredToken>, Error> {
        let mut kept = lock(&self.0);
        kept.replaced = false;
        Ok(kept.token.clone())
    }

    async fn swap(&self, _: &Platform, seen: Option<&StoredToken>, next: Option<&StoredToken>) -> Result<bool, Error> {
        let mut kept = lock(&self.0);
        let expected = kept.token.as_ref() == seen || kept.token.as_ref() == next;
        if expected {
            kept.token = next.cloned();
        }
        Ok(expected)
    }

    fn has_changed(&self) -> bool {
        lock(&self.0).replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn l60_a_swap_replaces_only_what_was_seen() {
        let platform = Platform::system();
        let [a, b, c] = ["a", "b", "c"].map(StoredToken::new);
        let store = MemoryStore::default();
        for (seen, next, done, left) in [
            (Some(&a), Some(&b), false, None),
            (None, Some(&a), true, Some(&a)),
            (None, Some(&c), false, Some(&a)),
            (Some(&a), Some(&b), true, Some(&b)),
            (Some(&a), Some(&b), true, Some(&b)),
            (Some(&a), None, false, Some(&b)),
            (Some(&b), None, true, None),
        ] {
            assert_eq!(store.swap(&platform, seen, next).await.unwrap(), done);
            assert_eq!(store.load(&platform).await.unwrap().as_ref(), left);
        }
    }

    #[tokio::test]
    async fn it_has_changed_from_set_to_load() {
        let platform = Platform::system();
        let store = MemoryStore::new("a");
        store.load(&platform).await.unwrap();
        assert!(!store.has_changed());
        store.swap(&platform, Some(&StoredToken::new("a")), Some(&StoredToken::new("b"))).await.unwrap();
        assert!(!store.has_changed(), "that was the grant itself");
        store.clone().set(Some(StoredToken::new("c")));
        assert!(store.has_changed());
        store.load(&platform).await.unwrap();
        assert!(!store.has_changed());
    }
}
