//! The file as the clones of a store share it.
//!
//! The errors are here, because they need the path and what was being done. A permission or a directory that is missing
//! is a mistake in the configuration; everything else may pass.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{guard::Exclusion, location};
use crate::{
    error::{Error, ErrorKind},
    files::watched::WatchedFile,
};

/// The file, shared by the clones of a store.
pub(super) struct TokenFile {
    pub(super) watched: WatchedFile,
    /// Whether it contained a refresh token when this process read or wrote it last.
    had_token: AtomicBool,
    pub(super) exclusion: Arc<Exclusion>,
}

impl TokenFile {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        TokenFile { watched: WatchedFile::new(path), had_token: AtomicBool::new(false), exclusion: Arc::default() }
    }

    pub(super) fn path(&self) -> &Path {
        self.watched.path()
    }

    pub(super) fn had_token(&self) -> bool {
        self.had_token.load(Ordering::Relaxed)
    }

    pub(super) fn note_token(&self, is_there: bool) {
        self.had_token.store(is_there, Ordering::Relaxed);
    }

    /// An error that names the file, says what to change, and whether waiting can help.
    pub(super) fn failed(&self, doing: &str, error: io::Error) -> Error {
        let path = self.path().display();
        // A missing file is not an error. A draft that another program removed does not matter the next time.
        let misses_directory = error.kind() == io::ErrorKind::NotFound && location::resolve(self.path()).is_err();
        match error.kind() {
            io::ErrorKind::NotFound if misses_directory => Error::config(
                format!(
                    "the refresh token file `{path}` cannot be {doing}: its directory does not exist; create it first"
                ),
                [],
            ),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::config(
                format!(
                    "the refresh token file `{path}` cannot be {doing}: give this process the permission, for the file \
                     and for its directory"
                ),
                [],
            ),
            io::ErrorKind::InvalidInput => {
                Error::config(format!("the refresh token file `{path}` cannot be {doing}: {error}"), [])
            }
            _ => Error::new(ErrorKind::Source, format!("the refresh token file `{path}` cannot be {doing}")),
        }
        .with_source(error)
    }
}
