//! A store for a refresh token whose disk may be full.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bearer_token::{
    Error, ErrorKind,
    platform::Platform,
    store::{MemoryStore, RefreshTokenStore, StoredToken},
};

/// A refresh token store in memory that can be read but not written while its disk is full. Clones share it.
///
/// Use it to test what your program does when the server rotates the refresh token and the new one cannot be saved. It
/// also shows which of your alerts fire.
///
/// ```
/// use bearer_token::{platform::Platform, store::{RefreshTokenStore, StoredToken}};
/// use bearer_token_testing::Disk;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
/// let disk = Disk::new("the first"); // for `RefreshToken::new(disk.clone())`
///
/// // What a provider does when it got the next one:
/// let platform = Platform::system();
/// let (seen, next) = (disk.load(&platform).await?, StoredToken::new("the next"));
/// disk.fill();
/// assert!(disk.swap(&platform, seen.as_ref(), Some(&next)).await.is_err());
/// disk.make_room();
/// assert!(disk.swap(&platform, seen.as_ref(), Some(&next)).await?);
/// assert_eq!(disk.get(), Some(next));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Disk {
    kept: MemoryStore,
    is_full: Arc<AtomicBool>,
}

impl Disk {
    /// Creates a store with this refresh token, on a disk with enough room.
    pub fn new(refresh_token: impl Into<String>) -> Self {
        Disk { kept: MemoryStore::new(refresh_token), is_full: Arc::default() }
    }

    /// Makes each write fail from now on, with an error of kind [`Source`](ErrorKind::Source).
    pub fn fill(&self) {
        self.is_full.store(true, Ordering::Relaxed);
    }

    /// Lets writes succeed again.
    pub fn make_room(&self) {
        self.is_full.store(false, Ordering::Relaxed);
    }

    /// The refresh token that is on the disk.
    pub fn get(&self) -> Option<StoredToken> {
        self.kept.get()
    }
}

impl RefreshTokenStore for Disk {
    async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        self.kept.load(platform).await
    }

    async fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> Result<bool, Error> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Source, "the disk is full"));
        }
        self.kept.swap(platform, seen, next).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_read_but_not_written() {
        let platform = Platform::system();
        let [a, b] = ["a", "b"].map(StoredToken::new);
        let disk = Disk::new("a");
        disk.clone().fill();
        let error = disk.swap(&platform, Some(&a), Some(&b)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source);
        assert_eq!(disk.load(&platform).await.unwrap(), Some(a.clone()));
        disk.make_room();
        assert!(disk.swap(&platform, Some(&a), Some(&b)).await.unwrap());
        assert_eq!(disk.get(), Some(b));
    }

    #[test]
    fn its_debug_output_shows_no_token() {
        let debug = format!("{:?}", Disk::new("MARKER-1234"));
        assert!(!debug.contains("MARKER"), "{debug}");
    }
}
