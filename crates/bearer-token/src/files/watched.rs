//! A file with a key, a token or a secret, which another program replaces while it is in use.
//!
//! It has no value of its own: [`LastGood`](super::last_good::LastGood) parses and keeps. It knows two things, what is
//! in the file now, and whether that may differ from what was read last.
//!
//! There is no thread that watches, and no notification of the operating system. Those do not work on all file systems,
//! and they miss the switched links of Kubernetes. A look at the metadata costs one system call. It is needed only when
//! a token is fetched, and once a second while a fetch has failed for good.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use zeroize::Zeroizing;

use crate::{
    files::regular,
    sync::{Mutex, lock},
};

/// The size limit. Keys and tokens are far smaller, so a larger file is the wrong one.
const FILE_LIMIT: usize = 1 << 20;

/// A file, and its metadata when it was read last. Everything here blocks.
pub(crate) struct WatchedFile {
    path: PathBuf,
    seen: Mutex<Option<Stamp>>,
}

impl WatchedFile {
    /// A file that was not read yet. It need not exist.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        WatchedFile { path: path.into(), seen: Mutex::new(None) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the content, or says what is wrong with the file.
    ///
    /// The file is always read, even if its times have not changed: two writes within one tick of the file system's
    /// clock have the same time. A pipe or a device is an error.
    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        self.read_by(|path| {
            let (file, _) = regular::open(path)?;
            regular::read_limited(file, FILE_LIMIT)
        })
    }

    /// Reads the content for the first time, also from a pipe. Also returns whether it can be read again.
    pub(crate) fn read_first(&self) -> Result<(Zeroizing<Vec<u8>>, bool), String> {
        let mut again = true;
        let bytes = self.read_by(|path| {
            let file = File::open(path)?;
            again = file.metadata()?.is_file();
            regular::read_limited(file, FILE_LIMIT)
        })?;
        Ok((bytes, again))
    }

    /// Reads between two looks at the metadata. If they differ, the content may be a mixture of two versions.
    fn read_by(
        &self,
        read: impl FnOnce(&Path) -> io::Result<Zeroizing<Vec<u8>>>,
    ) -> Result<Zeroizing<Vec<u8>>, String> {
        let before = Stamp::of(&self.path);
        // Noted even if the reading fails: the file is read again after its next change.
        *lock(&self.seen) = before;
        let path = self.path.display();
        let bytes = read(&self.path).map_err(|error| {
            let mut message = format!("the file `{path}` cannot be read: {error}");
            message.push_str(hint(&self.path, &error));
            message
        })?;
        if bytes.len() > FILE_LIMIT {
            return Err(format!("the file `{path}` has more than 1 MiB; expected a key, a token or a secret"));
        }
        if Stamp::of(&self.path) != before {
            return Err(format!(
                "the file `{path}` was written while it was being read; it is read again at the next fetch"
            ));
        }
        Ok(bytes)
    }

    /// Notes the metadata, for code that reads or writes the file itself. `None` means a missing file.
    #[cfg(feature = "oauth")]
    pub(crate) fn saw(&self, metadata: Option<&Metadata>) {
        *lock(&self.seen) = metadata.and_then(Stamp::from);
    }

    /// The metadata when it was read last.
    pub(super) fn seen(&self) -> Option<Stamp> {
        *lock(&self.seen)
    }

    /// Whether the metadata differs from when it was read last. It costs one system call.
    pub(crate) fn has_changed(&self) -> bool {
        Stamp::of(&self.path) != *lock(&self.seen)
    }
}

/// The metadata that changes when a file is written or replaced.
///
/// It also changes when a symbolic link on its path points to another directory, as Kubernetes does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    identity: [i128; 4],
}

impl Stamp {
    /// The stamp of a regular file. Other files have none.
    fn of(path: &Path) -> Option<Self> {
        Stamp::from(&fs::metadata(path).ok()?)
    }

    /// The stamp of what was opened. Other files than regular ones have none.
    fn from(metadata: &Metadata) -> Option<Self> {
        let (length, modified) = (metadata.len(), metadata.modified().ok());
        metadata.is_file().then(|| Stamp { length, modified, identity: identity(metadata) })
    }
}

/// Device, inode, and the time of the last change of any kind, which no tool can set back.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> [i128; 4] {
    use std::os::unix::fs::MetadataExt;

    [metadata.dev().into(), metadata.ino().into(), metadata.ctime().into(), metadata.ctime_nsec().into()]
}

/// Other systems have no such numbers in the standard library. There, length and modification time have to do.
#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> [i128; 4] {
    [0; 4]
}

/// What is wrong with the path of a file that is not there, if that shows.
fn hint(path: &Path, error: &io::Error) -> &'static str {
    match path.to_str() {
        _ if error.kind() != io::ErrorKind::NotFound => "",
        Some(path) if path.starts_with('~') => "; write the path in full, as only shells replace `~`",
        Some(path) if path.starts_with("file:") => "; write the path alone, without `file:`",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_changed_until_it_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let file = WatchedFile::new(&path);
        assert!(!file.has_changed(), "it is not there, and was not there");
        assert!(file.read().unwrap_err().contains("cannot be read"));

        fs::write(&path, "one").unwrap();
        assert!(file.has_changed());
        assert_eq!(file.read().unwrap().as_slice(), b"one");
        assert!(!file.has_changed());

        // Of the same length, with the old time set again: what a copying tool may do.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let other = directory.path().join("other");
        fs::write(&other, "two").unwrap();
        File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(file.has_changed(), cfg!(unix));
        assert_eq!(file.read().unwrap().as_slice(), b"two");

        fs::remove_file(&path).unwrap();
        assert!(file.has_changed());
        assert!(file.read().is_err());
        assert!(!file.has_changed(), "looked at");
    }

    #[test]
    fn a_file_written_during_a_read_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, "the old one").unwrap();
        let file = WatchedFile::new(&path);
        let torn = file.read_by(|path| {
            let bytes = regular::read_limited(File::open(path)?, FILE_LIMIT);
            fs::write(path, "the new one, which is longer")?;
            bytes
        });
        assert!(torn.unwrap_err().contains("was written while it was being read"));
        assert!(file.has_changed());
        assert_eq!(file.read().unwrap().as_slice(), b"the new one, which is longer");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_another_directory_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["first", "second"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("token"), name).unwrap();
        }
        std::os::unix::fs::symlink("first", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/token", at("token")).unwrap();
        let file = WatchedFile::new(at("token"));
        assert_eq!(file.read().unwrap().as_slice(), b"first");
        std::os::unix::fs::symlink("second", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        assert!(file.has_changed());
        assert_eq!(file.read().unwrap().as_slice(), b"second");
    }

    #[test]
    fn a_large_or_irregular_file_is_an_error_naming_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large");
        File::create(&path).unwrap().set_len(FILE_LIMIT as u64 + 1).unwrap();
        let error = WatchedFile::new(&path).read().unwrap_err();
        assert!(error.contains("large` has more than 1 MiB"), "{error}");
        File::create(&path).unwrap().set_len(FILE_LIMIT as u64).unwrap();
        assert_eq!(WatchedFile::new(&path).read().unwrap().len(), FILE_LIMIT);
        assert!(
            WatchedFile::new(directory.path()).read().unwrap_err().contains("found a directory; expected a regular")
        );
    }
}
