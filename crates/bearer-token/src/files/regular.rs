//! Opens regular files, and nothing else that has a name in a directory.
//!
//! | the name is | [`open`] | `open_without_links` |
//! |---|---|---|
//! | a regular file | opened | opened |
//! | a link to one | opened: Kubernetes and many agents publish files by links | refused: a token file in a directory that others may write to |
//! | a pipe, a device, a directory, a socket | refused, without a wait | refused, without a wait |
//!
//! Both look twice: at the name, and at what was opened. Between the two looks, the name may have been given to
//! something else. `O_NONBLOCK` keeps that from blocking the thread.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    path::Path,
};

use zeroize::Zeroizing;

/// The flags to open a file without following links and without waiting for the other end of a pipe.
#[cfg(all(unix, feature = "oauth"))]
pub(crate) const NO_LINKS_AND_NO_WAIT: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;

/// Opens a regular file for reading, and returns its metadata too.
///
/// A pipe would block the thread until another process writes to it, and opening a device can have side effects. So the
/// name is checked first. The opened file is checked again, because the name may have been replaced in between.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    check(&fs::metadata(path)?)?;
    open_at_once(path)
}

/// Opens without waiting for the other end of a pipe.
fn open_at_once(path: &Path) -> io::Result<(File, Metadata)> {
    open_with(path, {
        #[cfg(unix)]
        {
            libc::O_NONBLOCK
        }
        #[cfg(not(unix))]
        0
    })
}

/// Opens a regular file for reading, unless its name is a symbolic link.
#[cfg(feature = "oauth")]
pub(crate) fn open_without_links(path: &Path) -> io::Result<(File, Metadata)> {
    check(&fs::symlink_metadata(path)?)?;
    open_with(path, {
        #[cfg(unix)]
        {
            NO_LINKS_AND_NO_WAIT
        }
        #[cfg(not(unix))]
        0
    })
}

/// Opens with these flags of Unix, and checks what was opened.
fn open_with(path: &Path, flags: i32) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    #[cfg(not(unix))]
    let _ = flags;
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    check(&metadata)?;
    Ok((file, metadata))
}

/// Reads the content, but at most one byte more than the limit.
pub(crate) fn read_limited(file: File, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    // Large enough at once: a buffer that grows leaves copies of secrets behind.
    let capacity = usize::try_from(length).unwrap_or(limit).min(limit) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// An error for everything that is not a regular file.
pub(crate) fn check(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let found = if metadata.is_dir() { "a directory" } else { "a pipe, a socket, a device or a link" };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("found {found}; expected a regular file")))
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a failure would hang")]
    fn a_pipe_or_a_directory_is_an_error_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Also if it took the place of a file between the two checks.
        for open in [open, open_at_once] {
            for (path, expected) in [(pipe.as_path(), "found a pipe"), (directory.path(), "found a directory")] {
                let (done, ended) = mpsc::channel();
                let path = path.to_owned();
                std::thread::spawn(move || done.send(open(&path).unwrap_err().to_string()));
                let error = ended.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
                assert!(error.contains(expected), "{error}");
            }
        }
    }

    #[cfg(feature = "oauth")]
    #[test]
    fn a_link_is_followed_only_where_that_is_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "content").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(open(&link).is_ok());
        assert!(open_without_links(&file).is_ok());
        assert!(open_without_links(&link).is_err());
        assert!(open_with(&link, NO_LINKS_AND_NO_WAIT).is_err(), "also if the link came between");
    }
}
