//! The place of the file behind all its names.
//!
//! Kubernetes mounts secrets as links to links, and people link configuration files. The lock, the drafts and the
//! rename have to be beside the real file: a rename over a link would replace the link.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::files::regular;

/// The number of links that are followed, as on Linux.
const MOST_LINKS: usize = 40;

/// The canonical path of the file, or the one that it will have. All names of the file have the same canonical path.
///
/// Links to files that do not exist yet are followed by hand, because `canonicalize` fails for them.
pub(super) fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::canonicalize(&path) {
            Ok(real) => return fs::metadata(&real).and_then(|found| regular::check(&found)).map(|()| real),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let directory = fs::canonicalize(directory(&path))?;
        let Some(name) = path.file_name() else { break };
        let real = directory.join(name);
        match fs::read_link(&real) {
            // A link to a file that does not exist yet.
            Ok(target) => path = directory.join(target),
            Err(_) => return Ok(real),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "found no file name, or too many links"))
}

/// `NAME` and a suffix, in the same directory.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The directory of a path.
pub(super) fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Forces the names in a directory to the disk. Only on Unix can directories be opened.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = (directory, File::open::<&Path>);
    Ok(())
}
