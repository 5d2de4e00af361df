//! A refresh token in a file.
//!
//! A file looks like the simplest store, but it has the most ways to lose a token. A crash between two writes, a full
//! disk, two processes, a symbolic link and a backup tool are five. The parts:
//!
//! | file | question |
//! |---|---|
//! | `location.rs` | which file is meant, behind all its names |
//! | `lock.rs`, `guard.rs` | which process, and which job of this one, may change it |
//! | `disk.rs` | what is in it, and how it is replaced |
//! | `draft.rs` | what a crash left behind |
//! | `token_file.rs` | what the clones of a store share, and the errors |
//!
//! ```text
//! lease ─► lock NAME.lock ─► settle drafts of a crash ─► load ─► probe: could a successor be saved?
//!                                                                   │ the request is sent
//!       ◄─ unlock ◄─ sync the directory ◄─ rename over NAME ◄─ write and sync NAME.VERSION.SUFFIX.new
//! ```

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Lease, RefreshTokenStore, StoredToken};
use crate::{error::Error, platform::Platform};

mod disk;
mod draft;
mod guard;
mod location;
mod lock;
mod token_file;

use self::{
    guard::{Guard, Seen},
    token_file::TokenFile,
};

/// Keeps a refresh token in a file, across restarts and crashes.
///
/// - The file is JSON with the token in the member `refresh_token`. The program in which a person signs in may write
///   it; programs in Rust do so with [`RefreshToken::replace`](crate::oauth::RefreshToken::replace).
/// - The file is replaced as a whole: a draft is written beside it, forced to the disk, and renamed over it. Then the
///   rename is forced to the disk. So the file always has the old content or the new one. Symbolic links are followed,
///   also to a file that does not exist yet.
/// - A process that crashed may leave a draft, `NAME.*.new`. The next process that locks the file checks the draft. A
///   whole draft that is the direct successor of the file is used; every other draft is removed.
/// - On Unix each file that is written here has mode 0600. A file that another program has made keeps its mode until it
///   is replaced; reading changes nothing. On other systems the directory's rights decide.
/// - Processes take turns, by a lock on a file beside it, `NAME.lock`. No two of them use one refresh token at a time,
///   even if they reach it through different links. The lock lasts until the last write under it has ended, even if the
///   fetch was dropped. It needs a file system with locks. Without locks, a process may find that its token is used up,
///   and then tries the one in the file. A hard link counts as another file.
/// - If nothing can be saved, a refresh token that the server would replace is not sent. One that is
///   [reusable](crate::oauth::RefreshToken::reusable) is.
/// - Everything runs on threads that may block ([`Platform::run_blocking`]).
///
/// | the file | effect |
/// |---|---|
/// | does not exist | there is no refresh token yet; the file is created with the first one |
/// | is empty | the same, unless it contained a refresh token before: then another program is writing it |
/// | is removed during a fetch | it is created again, with the refresh token that follows |
/// | is in a directory that does not exist, or may not be read or written; is a directory, a pipe or a device | an error of kind [`Config`](crate::ErrorKind::Config) |
/// | is half written, or contains something else | an error of kind [`Source`](crate::ErrorKind::Source) for which waiting may help. The file is read again at the next fetch and not changed until then; the refresh token in memory is kept. [`replace`](crate::oauth::RefreshToken::replace) and `clear` overwrite a file that is empty, all zeros, or JSON with the member `refresh_token`, whole or cut off. They never overwrite anything else. |
///
/// If another program writes the file, a cool-down that waits for it ends within a second.
///
/// ```
/// use bearer_token::{Error, oauth::RefreshToken, platform::Platform, store::{FileStore, RefreshTokenStore}};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("refresh-token.json");
/// let store = FileStore::new(&path);
/// let platform = Platform::system();
/// assert!(store.load(&platform).await?.is_none());
///
/// // After a sign-in. The provider that uses the grant finds the token at its next fetch.
/// let grant = RefreshToken::new(store.clone());
/// grant.replace(&platform, "tGzv3JOkF0XG5Qx2TlKWIA").await?;
/// assert_eq!(store.load(&platform).await?.unwrap().secret(), "tGzv3JOkF0XG5Qx2TlKWIA");
/// # Ok(()) }
/// ```
///
/// Put the file on a local disk that survives restarts: a volume of its own in a container. Network file systems often
/// have no locks, or locks that a restart forgets. For several hosts, use a shared store.
#[derive(Clone)]
pub struct FileStore {
    file: Arc<TokenFile>,
}

impl FileStore {
    /// Keeps the refresh token in this file. Nothing is read or written yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileStore { file: Arc::new(TokenFile::new(path)) }
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Runs a job on a thread that may block. The guard is dropped when the job ends, even if its caller was dropped
    /// earlier.
    ///
    /// The job takes the guard along: a fetch that is dropped ends its wait, and not the write or the lock.
    async fn run<T: Send + 'static>(
        &self,
        platform: &Platform,
        guard: Option<Arc<Guard>>,
        job: impl FnOnce(&TokenFile, &mut Seen) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let file = Arc::clone(&self.file);
        let job = move || match guard {
            Some(guard) => guard.work(|seen| job(&file, seen)),
            None => job(&file, &mut Seen::default()),
        };
        platform.run_blocking(job).await?
    }

    /// The guard of the lease in progress, or else one for a single call.
    ///
    /// A swap outside of a lease, as from an application's own code, locks for itself.
    async fn guard(&self, platform: &Platform) -> Result<Arc<Guard>, Error> {
        match self.file.exclusion.current() {
            Some(guard) => Ok(guard),
            None => self.acquire(platform).await,
        }
    }

    async fn acquire(&self, platform: &Platform) -> Result<Arc<Guard>, Error> {
        let acquired = guard::acquire(&self.file.exclusion, self.path(), platform).await?;
        acquired.map_err(|error| self.file.failed("locked", error))
    }
}

impl RefreshTokenStore for FileStore {
    async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        self.run(platform, self.file.exclusion.current(), disk::load).await
    }

    async fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> Result<bool, Error> {
        let guard = self.guard(platform).await?;
        let (expected, next, suffix) = (seen.cloned(), next.cloned(), draft::suffix(platform));
        self.run(platform, Some(guard), move |file, loaded| {
            disk::swap(file, loaded, expected.as_ref(), next.as_ref(), &suffix)
        })
        .await
    }

    async fn put(&self, platform: &Platform, next: Option<&StoredToken>) -> Result<(), Error> {
        let guard = self.guard(platform).await?;
        let (next, suffix) = (next.cloned(), draft::suffix(platform));
        self.run(platform, Some(guard), move |file, seen| disk::put(file, seen, next.as_ref(), &suffix)).await
    }

    async fn prepare(&self, platform: &Platform) -> Result<(), Error> {
        let suffix = draft::suffix(platform);
        self.run(platform, self.file.exclusion.current(), move |file, _| disk::prepare(file, &suffix)).await
    }

    async fn lease(&self, platform: &Platform) -> Result<Lease, Error> {
        self.acquire(platform).await.map(Lease::holding)
    }

    fn has_changed(&self) -> bool {
        self.file.watched.has_changed()
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("path", &self.path()).finish()
    }
}

#[cfg(test)]
mod tests;
