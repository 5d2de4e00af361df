//! The lock between processes, on a file beside the token file.
//!
//! The lock is on a file beside the token file. A lock on the token file itself would be on an inode that the next
//! rename replaces. The name is removed by its holder, so a dry run leaves nothing behind. A process that locked a file
//! whose name is gone has locked nothing, and tries again.

use std::{
    fs::{self, File, Metadata, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::location;
use crate::files::regular;

/// The result of one attempt to lock.
///
/// "Unavailable" is not an error: on a read-only file system nothing can be saved anyway, and a token that is reusable
/// can still be read.
pub(super) enum Taken {
    Ours(FileLock),
    Theirs,
    /// Nothing can be locked here.
    Unavailable,
}

/// A lock that is held until it is dropped.
pub(super) struct FileLock {
    file: File,
    #[cfg_attr(not(unix), allow(dead_code, reason = "the name stays"))]
    path: PathBuf,
}

impl FileLock {
    /// Tries to lock the file of this canonical path. Every name of the file has the same lock.
    pub(super) fn try_take(path: &Path) -> io::Result<Taken> {
        let path = location::beside(path, ".lock");
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600).custom_flags(regular::NO_LINKS_AND_NO_WAIT);
        }
        let file = match options.open(&path) {
            Ok(file) => file,
            Err(error) if can_nothing_be_saved(error.kind(), fs::symlink_metadata(&path).is_ok()) => {
                return Ok(Taken::Unavailable);
            }
            Err(error) => return Err(error),
        };
        regular::check(&file.metadata()?)?;
        match file.try_lock() {
            Ok(()) => {
                let lock = FileLock { file, path };
                // The previous holder may have removed the name in the meantime. Then this lock would not keep other
                // processes out.
                Ok(if lock.has_its_name() { Taken::Ours(lock) } else { Taken::Theirs })
            }
            Err(TryLockError::WouldBlock) => Ok(Taken::Theirs),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(Taken::Theirs),
            // A file system without locks.
            Err(TryLockError::Error(_)) => Ok(Taken::Unavailable),
        }
    }

    /// The metadata of the lock's own file.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Whether the path still leads to the locked file. On Unix another process may have removed or replaced it.
    fn has_its_name(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let (Ok(own), Ok(named)) = (self.file.metadata(), fs::symlink_metadata(&self.path)) else { return false };
            (own.dev(), own.ino()) == (named.dev(), named.ino())
        }
        #[cfg(not(unix))]
        true
    }
}

impl Drop for FileLock {
    /// Unlocks explicitly, because a child process that is just being spawned may still hold the file, and its lock,
    /// for a moment.
    ///
    /// On Unix the name is removed first, while no other process can have the lock.
    fn drop(&mut self) {
        #[cfg(unix)]
        if self.has_its_name() {
            // If the name cannot be removed, the next process locks the same file.
            drop(fs::remove_file(&self.path));
        }
        // If this fails, closing the file unlocks it.
        drop(self.file.unlock());
    }
}

/// Whether an error while opening the lock means that nothing can be saved, so no lock is needed.
///
/// A lock that exists and belongs to another user is respected.
fn can_nothing_be_saved(error: io::ErrorKind, is_there: bool) -> bool {
    match error {
        io::ErrorKind::ReadOnlyFilesystem => true,
        io::ErrorKind::PermissionDenied => !is_there,
        _ => false,
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn take(path: &Path) -> FileLock {
        match FileLock::try_take(path).unwrap() {
            Taken::Ours(lock) => lock,
            Taken::Theirs => panic!("it is locked"),
            Taken::Unavailable => panic!("there are no locks"),
        }
    }

    #[test]
    fn l11_a_lock_of_another_user_is_respected() {
        use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
        for (error, is_there, expected) in [
            (ReadOnlyFilesystem, false, true),
            (ReadOnlyFilesystem, true, true),
            (PermissionDenied, false, true),
            (PermissionDenied, true, false),
            (NotFound, false, false),
        ] {
            assert_eq!(can_nothing_be_saved(error, is_there), expected, "{error:?} {is_there}");
        }
    }

    #[test]
    fn a_lock_keeps_others_out_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let lock = take(&path);
        assert!(location::beside(&path, ".lock").exists());
        assert!(matches!(FileLock::try_take(&path).unwrap(), Taken::Theirs));
        drop(lock);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        take(&path);
    }

    #[test]
    fn a_renamed_lock_excludes_and_removes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (path, name) = (directory.path().join("token"), directory.path().join("token.lock"));
        let first = take(&path);
        assert!(first.has_its_name());
        fs::remove_file(&name).unwrap();
        assert!(!first.has_its_name(), "the name is gone");
        let second = take(&path);
        assert!(!first.has_its_name() && second.has_its_name(), "the name is another file's");
        drop(first);
        assert!(name.exists(), "the second lock keeps its name");
        assert!(matches!(FileLock::try_take(&path).unwrap(), Taken::Theirs));
    }

    #[test]
    fn a_link_as_the_lock_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, victim) = (directory.path().join("token"), directory.path().join("victim"));
        symlink(&victim, directory.path().join("token.lock")).unwrap();
        assert!(FileLock::try_take(&path).is_err());
        assert!(!victim.exists(), "no file is created behind the link");
        fs::write(&victim, "untouched").unwrap();
        assert!(FileLock::try_take(&path).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    }

    #[test]
    fn a_directory_as_the_lock_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("token.lock")).unwrap();
        assert!(FileLock::try_take(&directory.path().join("token")).is_err());
    }
}
