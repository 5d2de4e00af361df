//! Reading and replacing the file. Everything here blocks.
//!
//! Every function is one step under the lock, in the order read, compare, write, sync. An error says which file, and
//! whether it was being read or written. The content is never part of an error.

use std::{fs, io};

use zeroize::Zeroizing;

use super::{
    StoredToken,
    draft::{self, TOKEN_FILE_LIMIT},
    guard::Seen,
    location,
    token_file::TokenFile,
};
use crate::{
    error::{Error, ErrorKind, Retry},
    files::regular,
};

/// Loads the token that the file has now. An empty file is "no token" only if there never was one: otherwise another
/// program has truncated it and is about to write.
pub(super) fn load(file: &TokenFile, seen: &mut Seen) -> Result<Option<StoredToken>, Error> {
    let stored = match read(file)? {
        None => None,
        // The file was created and is not written yet. If it contained a token before, another program is rewriting it.
        Some(json) if json.trim_ascii().is_empty() && !file.had_token() => None,
        Some(json) => Some(parse(file, &json)?),
    };
    if stored.is_some() {
        file.note_token(true);
        seen.0.clone_from(&stored);
    }
    Ok(stored)
}

fn parse(file: &TokenFile, json: &[u8]) -> Result<StoredToken, Error> {
    StoredToken::from_json(json).map_err(|error| {
        let path = file.path().display();
        let message = format!("the refresh token file `{path}` cannot be used: restore it, or remove it");
        Error::new(ErrorKind::Source, message).with_source(error)
    })
}

/// The content, if the file exists.
///
/// A missing file is not an error if its directory exists. A missing directory is one, because nothing could be saved
/// there later.
fn read(file: &TokenFile) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let path = file.path();
    let (opened, metadata) = match regular::open(path) {
        Ok(opened) => opened,
        Err(error) => {
            file.watched.saw(None);
            let is_absent = error.kind() == io::ErrorKind::NotFound && location::resolve(path).is_ok();
            return if is_absent { Ok(None) } else { Err(file.failed("read", error)) };
        }
    };
    file.watched.saw(Some(&metadata));
    let json = regular::read_limited(opened, TOKEN_FILE_LIMIT).map_err(|error| file.failed("read", error))?;
    if json.len() > TOKEN_FILE_LIMIT {
        let path = path.display();
        let message = format!("the refresh token file `{path}` has more than 256 KiB: restore it, or remove it");
        return Err(Error::new(ErrorKind::Source, message));
    }
    Ok(Some(json))
}

/// Replaces the token if it is `expected`. `seen` is what was loaded under the same guard.
pub(super) fn swap(
    file: &TokenFile,
    seen: &mut Seen,
    expected: Option<&StoredToken>,
    next: Option<&StoredToken>,
    suffix: &str,
) -> Result<bool, Error> {
    let before = seen.0.clone();
    let stored = load(file, seen)?;
    if stored.as_ref() == next {
        // An earlier call may have ended before this step.
        let synced = location::resolve(file.path()).and_then(|path| location::sync(&location::directory(&path)));
        return synced.map(|()| true).map_err(|error| file.failed("written", error));
    }
    // The file was there under the same lock, so it was removed by hand. The successor is saved all the same.
    let has_vanished = stored.is_none() && expected.is_some() && before.as_ref() == expected;
    if stored.as_ref() != expected && !has_vanished {
        return Ok(false);
    }
    write(file, next, suffix)?;
    seen.0 = next.cloned();
    Ok(true)
}

/// Replaces the content, even if it is empty or cut off, but never if it is something else.
pub(super) fn put(file: &TokenFile, seen: &mut Seen, next: Option<&StoredToken>, suffix: &str) -> Result<(), Error> {
    seen.0 = None;
    let json = read(file)?;
    if json.as_ref().is_some_and(|json| !is_ours(json)) {
        let path = file.path().display();
        let message = format!(
            "the refresh token file `{path}` contains something else, and is not overwritten: remove it, or choose \
             another path"
        );
        return Err(Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange));
    }
    // Drafts of a crashed process belong to the consent that ends now.
    let path = location::resolve(file.path()).map_err(|error| file.failed("written", error))?;
    draft::remove_all(&path);
    if json.is_none() && next.is_none() { Ok(()) } else { write(file, next, suffix) }
}

/// Replaces the file, or removes it if there is no next token. The directory is synced last. Without that, a power
/// failure could undo the rename although the file itself is on the disk.
fn write(file: &TokenFile, next: Option<&StoredToken>, suffix: &str) -> Result<(), Error> {
    // Beside the file itself, not beside a link to it.
    let path = location::resolve(file.path()).map_err(|error| file.failed("written", error))?;
    let replaced = match next {
        Some(next) => draft::replace(&path, next.to_json()?.as_bytes(), suffix),
        None => fs::remove_file(&path),
    };
    file.watched.saw(fs::metadata(&path).ok().as_ref());
    if replaced.is_ok() {
        file.note_token(next.is_some());
    }
    let synced = replaced.and_then(|()| location::sync(&location::directory(&path)));
    synced.map_err(|error| file.failed("written", error))
}

/// Finds out whether a refresh token could be saved now.
pub(super) fn prepare(file: &TokenFile, suffix: &str) -> Result<(), Error> {
    location::resolve(file.path()).and_then(|path| draft::probe(&path, suffix)).map_err(|error| {
        let message = "no refresh token is sent, since its successor could not be saved; if the server accepts the \
                       same one again and again, declare it reusable";
        file.failed("written", error).with_context(message)
    })
}

/// Whether the content is a refresh token's, or the rest of one.
///
/// The rest of one is nothing at all, zeros as a crash may leave them, or a beginning of JSON with the member's name.
fn is_ours(json: &[u8]) -> bool {
    const BEGIN: &[u8] = br#"{"refresh_token""#;
    let visible: Zeroizing<Vec<u8>> =
        json.iter().copied().filter(|b| *b != 0 && !b.is_ascii_whitespace()).collect::<Vec<_>>().into();
    let visible = visible.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&visible);
    let name = BEGIN.get(1..).unwrap_or_default();
    BEGIN.starts_with(visible)
        || visible == b"{}"
        || (visible.starts_with(b"{") && visible.windows(name.len()).any(|window| window == name))
}
