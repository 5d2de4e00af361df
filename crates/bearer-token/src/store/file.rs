//! A refresh token in a file.

use std::{
    ffi::OsString,
    fmt, io,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Lease, RefreshTokenStore, StoredToken};
use crate::{
    error::{Error, ErrorKind},
    files::watched::WatchedFile,
    platform::Platform,
};

mod disk;
mod lock;

/// Keeps a refresh token in a file, across restarts and crashes.
///
/// - The file is JSON with the token in the member `refresh_token`. Whoever signs a person in may write it; programs in
///   Rust do so with [`RefreshToken::replace`](crate::oauth::RefreshToken::replace).
/// - It is replaced as a whole: written beside it, forced to the disk, renamed over it, and the rename forced to the disk.
///   So it is always the old file or the new one. Symbolic links are followed, also where the file is not there yet.
/// - On Unix each file that is written here has mode 0600. One that somebody else has made keeps its rights until then:
///   reading changes nothing. Elsewhere the directory's rights decide.
/// - On Unix processes take turns, by a lock on a file beside it, `NAME.lock`, that is there as long as it is held. So no
///   two of them use one refresh token at a time, whichever links they follow to it, as long as they share a file system
///   on which `flock` works: on others, and elsewhere than on Unix, a process may find its token used up, and then tries
///   again with the one that it finds in the file. A hard link is another file.
/// - Where nothing can be saved, no refresh token is sent that its successor would replace; one that is
///   [reusable](crate::oauth::RefreshToken::reusable) is.
/// - All of it happens on threads that may wait ([`Platform::run_blocking`]).
///
/// | the file | |
/// |---|---|
/// | is not there | there is no refresh token yet; it is made when there is one |
/// | is empty | the same, unless there was a refresh token in it: then it is being written |
/// | its directory is not there, or it may not be read or written; it is a directory, a pipe or a device | an error of kind [`Config`](ErrorKind::Config) |
/// | is half written, or something else | an error of kind [`Source`](ErrorKind::Source), for which waiting may help: it is read again at the next fetch, and left alone until then. What memory holds is kept. [`replace`](crate::oauth::RefreshToken::replace) and `clear` mend it, unless it is something else: whatever is not empty, not all zeros, and no JSON object, whole or cut off, with the member `refresh_token` |
///
/// A file that another has written ends the cool-down that waits for it, within a second.
#[derive(Clone)]
pub struct FileStore {
    file: Arc<TokenFile>,
}

impl FileStore {
    /// Keeps the refresh token in this file. Nothing is read or written yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileStore { file: Arc::new(TokenFile { watched: WatchedFile::new(path), held: AtomicBool::new(false) }) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

impl RefreshTokenStore for FileStore {
    async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        let file = Arc::clone(&self.file);
        platform.run_blocking(move || disk::load(&file)).await?
    }

    async fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> Result<bool, Error> {
        let file = Arc::clone(&self.file);
        let (seen, next) = (seen.cloned(), next.cloned());
        platform.run_blocking(move || disk::swap(&file, seen.as_ref(), next.as_ref())).await?
    }

    async fn put(&self, platform: &Platform, next: Option<&StoredToken>) -> Result<(), Error> {
        let (file, next) = (Arc::clone(&self.file), next.cloned());
        platform.run_blocking(move || disk::put(&file, next.as_ref())).await?
    }

    async fn prepare(&self, platform: &Platform) -> Result<(), Error> {
        let file = Arc::clone(&self.file);
        platform.run_blocking(move || disk::prepare(&file)).await?
    }

    async fn lease(&self, platform: &Platform) -> Result<Lease, Error> {
        lock::lease(self.file.path(), platform).await
    }

    fn has_changed(&self) -> bool {
        self.file.has_changed()
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("path", &self.path()).finish()
    }
}

/// The file, and whether there was a refresh token in it when this process looked last.
struct TokenFile {
    watched: WatchedFile,
    held: AtomicBool,
}

impl TokenFile {
    fn held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    fn holds(&self, token: bool) {
        self.held.store(token, Ordering::Relaxed);
    }
}

impl Deref for TokenFile {
    type Target = WatchedFile;

    fn deref(&self) -> &WatchedFile {
        &self.watched
    }
}

/// `NAME.suffix`, in the same directory.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Says of which file it is, and whether waiting can help.
fn failed(path: &Path, doing: &str, error: io::Error) -> Error {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => Error::new(
            ErrorKind::Config,
            format!("the refresh token file `{path}` cannot be {doing}: its directory is not there; make it first"),
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::new(
            ErrorKind::Config,
            format!("the refresh token file `{path}` cannot be {doing}: give this process the right to, there and in its directory"),
        ),
        io::ErrorKind::InvalidInput => Error::new(
            ErrorKind::Config,
            format!("the refresh token file `{path}` cannot be {doing}: {error}"),
        ),
        _ => Error::new(ErrorKind::Source, format!("the refresh token file `{path}` cannot be {doing}")),
    }
    .with_source(error)
}

#[cfg(test)]
mod tests;
