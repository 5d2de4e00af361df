//! A refresh token in a file.

use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{RefreshTokenStore, StoredToken, Turn};
use crate::{
    error::{Error, ErrorKind},
    platform::Platform,
    watched_file::WatchedFile,
};

mod disk;
mod lock;

/// Keeps a refresh token in a file, across restarts and crashes.
///
/// - The file is JSON with the token in the member `refresh_token`. Whoever signs a person in may write it; programs in
///   Rust do so with [`RefreshToken::replace`](crate::token_endpoint::RefreshToken::replace).
/// - It is replaced as a whole: written beside it, forced to the disk, renamed over it, and the rename forced to the disk.
///   So it is always the old file or the new one. A symbolic link is followed.
/// - On Unix the file is made with mode 0600. One that others may read, as an operator made it, is narrowed to that when
///   it is read, if this process may; a read-only mount stays as it is. Elsewhere the directory's rights decide.
/// - On Unix processes take turns, by a lock on a file beside it, `NAME.lock`, that stays there. So no two of them use one
///   refresh token at a time, as long as they share a file system on which `flock` works: on others, and elsewhere
///   than on Unix, a process may find its token used up, and then tries again with the one that it finds in the file.
/// - All of it happens on threads that may wait ([`Platform::run_blocking`]).
///
/// | the file | |
/// |---|---|
/// | is not there | there is no refresh token yet; it is made when there is one |
/// | its directory is not there, or it may not be read or written | an error of kind [`Config`](ErrorKind::Config) |
/// | is half written, or something else | an error of kind [`Source`](ErrorKind::Source), for which waiting may help: it is read again at the next fetch, and left alone until then. What memory holds is kept |
///
/// A file that another has written ends the cool-down that waits for it, within a second.
#[derive(Clone)]
pub struct FileStore {
    file: Arc<WatchedFile>,
}

impl FileStore {
    /// Keeps the refresh token in this file. Nothing is read or written yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileStore { file: Arc::new(WatchedFile::new(path)) }
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

    async fn turn(&self, platform: &Platform) -> Result<Turn, Error> {
        lock::turn(self.file.path(), platform).await
    }

    fn changed(&self) -> bool {
        self.file.changed()
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("path", &self.path()).finish()
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
        _ => Error::new(ErrorKind::Source, format!("the refresh token file `{path}` cannot be {doing}")),
    }
    .with_source(error)
}

#[cfg(test)]
mod tests;
