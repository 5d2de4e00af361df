//! Reading and replacing the file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{StoredToken, TokenFile, beside, failed};
use crate::{
    error::{Error, ErrorKind, Retry},
    files::regular,
};

/// No refresh token is longer, and no garbage is worth more.
const LIMIT: usize = 256 * 1024;

/// More links than this lead nowhere (as on Linux).
const MOST_LINKS: usize = 40;

/// Room that a refresh token needs, with the one before.
const ROOM: usize = 16 * 1024;

/// Where the file is, or would be made: one name for whatever leads to it.
pub(super) fn place(path: &Path) -> io::Result<PathBuf> {
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
            // The end of it is not there yet.
            Ok(target) => path = directory.join(target),
            Err(_) => return Ok(real),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "found no file name, or too many links"))
}

pub(super) fn load(watched: &TokenFile) -> Result<Option<StoredToken>, Error> {
    match read(watched)? {
        None => Ok(None),
        // Made, and not written yet; unless it held one, which somebody is writing anew just now.
        Some(json) if json.trim_ascii().is_empty() && !watched.held() => Ok(None),
        Some(json) => parse(watched.path(), &json).map(Some).inspect(|_| watched.holds(true)),
    }
}

fn parse(path: &Path, json: &[u8]) -> Result<StoredToken, Error> {
    StoredToken::from_json(json).map_err(|error| {
        let message = format!("the refresh token file `{}` cannot be used: restore it, or remove it", path.display());
        Error::new(ErrorKind::Source, message).with_source(error)
    })
}

/// The content, if the file is there.
fn read(watched: &TokenFile) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let path = watched.path();
    let read_failed = |error| failed(path, "read", error);
    let (file, metadata) = match regular::open(path) {
        Ok(opened) => opened,
        Err(error) => {
            watched.saw(None);
            let absent = error.kind() == io::ErrorKind::NotFound && place(path).is_ok();
            return if absent { Ok(None) } else { Err(read_failed(error)) };
        }
    };
    watched.saw(Some(&metadata));
    let json = regular::read_limited(file, LIMIT).map_err(read_failed)?;
    if json.len() > LIMIT {
        let message =
            format!("the refresh token file `{}` is longer than any: remove it, or restore it", path.display());
        return Err(Error::new(ErrorKind::Source, message));
    }
    Ok(Some(json))
}

pub(super) fn swap(watched: &TokenFile, seen: Option<&StoredToken>, next: Option<&StoredToken>) -> Result<bool, Error> {
    let kept = load(watched)?;
    if kept.as_ref() == next {
        // An earlier call may have ended before this.
        let synced = place(watched.path()).and_then(|path| sync(&directory(&path)));
        return synced.map(|()| true).map_err(|error| failed(watched.path(), "written", error));
    }
    if kept.as_ref() != seen {
        return Ok(false);
    }
    write(watched, next).map(|()| true)
}

/// Replaces what is there, also if it is empty or was cut off, but nothing that is something else.
pub(super) fn put(watched: &TokenFile, next: Option<&StoredToken>) -> Result<(), Error> {
    let json = read(watched)?;
    if json.as_ref().is_some_and(|json| !is_ours(json)) {
        let message = format!(
            "the refresh token file `{}` holds something else, and is not overwritten: remove it, or choose another path",
            watched.path().display()
        );
        return Err(Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange));
    }
    if json.is_none() && next.is_none() { Ok(()) } else { write(watched, next) }
}

fn write(watched: &TokenFile, next: Option<&StoredToken>) -> Result<(), Error> {
    let write_failed = |error| failed(watched.path(), "written", error);
    // Not beside a link to it, but beside the file itself.
    let path = place(watched.path()).map_err(write_failed)?;
    let replaced = match next {
        Some(next) => replace(&path, next.to_json()?.as_bytes()),
        None => fs::remove_file(&path),
    };
    watched.saw(fs::metadata(&path).ok().as_ref());
    if replaced.is_ok() {
        watched.holds(next.is_some());
    }
    replaced.and_then(|()| sync(&directory(&path))).map_err(write_failed)
}

/// Whether a refresh token could be saved now: found out by making the draft of one.
pub(super) fn prepare(watched: &TokenFile) -> Result<(), Error> {
    let tried = place(watched.path()).and_then(|path| {
        let draft = draft(&path)?;
        let written = create(&draft).and_then(|mut file| file.write_all(&[b' '; ROOM]));
        written.and(fs::remove_file(&draft))
    });
    tried.map_err(|error| {
        let message = "no refresh token is sent, since its successor could not be saved; if the server takes the same one \
                       again and again, declare it reusable";
        failed(watched.path(), "written", error).with_context(message)
    })
}

/// Whether the content is a refresh token's, or what is left of one: nothing at all, zeros as a crash may leave them, or
/// JSON with the member's name, as far as it goes.
fn is_ours(json: &[u8]) -> bool {
    const BEGIN: &[u8] = br#"{"refresh_token""#;
    let text: Zeroizing<Vec<u8>> =
        json.iter().copied().filter(|b| *b != 0 && !b.is_ascii_whitespace()).collect::<Vec<_>>().into();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let name = BEGIN.get(1..).unwrap_or_default();
    BEGIN.starts_with(text)
        || text == b"{}"
        || (text.starts_with(b"{") && text.windows(name.len()).any(|window| window == name))
}

fn replace(path: &Path, json: &[u8]) -> io::Result<()> {
    let draft = draft(path)?;
    let written = create(&draft).and_then(|mut file| {
        file.write_all(json)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&draft, path)).inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// Where the draft of the file is made.
fn draft(path: &Path) -> io::Result<PathBuf> {
    // Of this process alone, even where there is no lock.
    let draft = beside(path, &format!(".{}.new", std::process::id()));
    // What a crash left behind. Made anew, and not opened: nobody can have put a link in its place.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(draft),
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The directory that a path names.
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
