//! Reading and replacing the file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{StoredToken, beside, failed};
use crate::{
    error::{Error, ErrorKind},
    watched_file::WatchedFile,
};

/// No refresh token is longer, and no garbage is worth more.
const LIMIT: usize = 256 * 1024;

pub(super) fn load(watched: &WatchedFile) -> Result<Option<StoredToken>, Error> {
    let path = watched.path();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => {
            watched.saw(None);
            let absent = error.kind() == io::ErrorKind::NotFound && directory(path).is_dir();
            return if absent { Ok(None) } else { Err(failed(path, "read", error)) };
        }
    };
    narrow(&file);
    watched.saw(file.metadata().ok().as_ref());
    // Of its full size from the start: a buffer that grows leaves copies of secrets behind.
    let size = file.metadata().map_or(0, |metadata| usize::try_from(metadata.len()).unwrap_or(LIMIT));
    let mut json = Zeroizing::new(Vec::with_capacity(size.min(LIMIT) + 64));
    file.take(LIMIT as u64 + 1).read_to_end(&mut json).map_err(|error| failed(path, "read", error))?;
    if json.len() > LIMIT {
        let message =
            format!("the refresh token file `{}` is longer than any: remove it, or restore it", path.display());
        return Err(Error::new(ErrorKind::Source, message));
    }
    StoredToken::from_json(&*json).map(Some).map_err(|error| {
        let message = format!("the refresh token file `{}` cannot be used: restore it, or remove it", path.display());
        Error::new(ErrorKind::Source, message).with_source(error)
    })
}

pub(super) fn swap(
    watched: &WatchedFile,
    seen: Option<&StoredToken>,
    next: Option<&StoredToken>,
) -> Result<bool, Error> {
    let (kept, path) = (load(watched)?, watched.path());
    let write_failed = |error| failed(path, "written", error);
    // Not beside a link to it, but beside the file itself.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if kept.as_ref() == next {
        // An earlier call may have ended before this.
        return sync(&directory(&path)).map(|()| true).map_err(write_failed);
    }
    if kept.as_ref() != seen {
        return Ok(false);
    }
    let replaced = match next {
        Some(next) => replace(&path, next.to_json()?.as_bytes()),
        None => fs::remove_file(&path),
    };
    watched.saw(fs::metadata(&path).ok().as_ref());
    replaced.and_then(|()| sync(&directory(&path))).map(|()| true).map_err(write_failed)
}

fn replace(path: &Path, json: &[u8]) -> io::Result<()> {
    // Of this process alone, even where there is no lock.
    let draft = beside(path, &format!(".{}.new", std::process::id()));
    // What a crash left behind. Made anew, and not opened: nobody can have put a link in its place.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = create(&draft).and_then(|mut file| {
        file.write_all(json)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&draft, path)).inspect_err(|_| drop(fs::remove_file(&draft)))
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Takes rights from others. Where that is not possible, as with a secret that is mounted for reading, they stay.
fn narrow(file: &File) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let mode = file.metadata().map_or(0, |metadata| metadata.permissions().mode());
        if mode & 0o077 != 0 {
            drop(file.set_permissions(fs::Permissions::from_mode(mode & 0o700)));
        }
    }
    #[cfg(not(unix))]
    let _ = file;
}

/// Where the file is, or will be.
fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Forces the names in a directory to the disk. Elsewhere than on Unix directories cannot be opened.
fn sync(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}
