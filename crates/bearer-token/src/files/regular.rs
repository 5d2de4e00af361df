//! Opens files, and nothing that only has a name like one.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    path::Path,
};

use zeroize::Zeroizing;

/// Opens a regular file for reading, with what it is.
///
/// A pipe would hold the thread until somebody writes into it, and merely opening a device may change it. So the name is
/// looked at first; and what was opened is looked at again, since somebody may have come between.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    check(&fs::metadata(path)?)?;
    open_waiting_for_nobody(path)
}

fn open_waiting_for_nobody(path: &Path) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags(rustix::fs::OFlags::NONBLOCK));
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    check(&metadata)?;
    Ok((file, metadata))
}

/// The content, or of one that is longer than the limit as much as is needed to see that.
pub(crate) fn read_limited(file: File, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    // Enough at once: a buffer that grows leaves copies of secrets behind.
    let capacity = usize::try_from(length).unwrap_or(limit).min(limit) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// An error for whatever is no regular file.
pub(crate) fn check(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let found = if metadata.is_dir() { "a directory" } else { "a pipe, a socket or a device" };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("found {found}; expected a regular file")))
}

/// As the standard library takes them.
#[cfg(unix)]
pub(crate) fn flags(flags: rustix::fs::OFlags) -> i32 {
    flags.bits().cast_signed()
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "what fails would hang")]
    fn a_pipe_without_a_writer_and_a_directory_are_errors_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Also if it took the place of a file between the two looks.
        for open in [open, open_waiting_for_nobody] {
            for (path, expected) in [(pipe.as_path(), "found a pipe"), (directory.path(), "found a directory")] {
                let (done, ended) = mpsc::channel();
                let path = path.to_owned();
                std::thread::spawn(move || done.send(open(&path).unwrap_err().to_string()));
                let error = ended.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
                assert!(error.contains(expected), "{error}");
            }
        }
    }
}
