//! Drafts: files beside the token file that are renamed over it when they are whole.
//!
//! A crash may leave one behind. Its name says which version of the file it was to replace, so it is used only as the
//! direct successor.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{StoredToken, location};
use crate::{
    files::regular,
    observe::{self, EventKind},
    platform::Platform,
};

/// The size beyond which a file is certainly something else.
pub(super) const TOKEN_FILE_LIMIT: usize = 256 * 1024;

/// The space that a refresh token needs, with the one before.
///
/// A refresh token has up to some kilobytes. The probe writes as much, so a disk that is nearly full is noticed before
/// a token is spent.
const ROOM: usize = 16 * 1024;

/// A part of a file name that is unique for each call in each process.
///
/// It contains randomness, because containers that share a directory may have the same process id. If there is no
/// randomness, names may collide. Then creating the draft fails; a draft is never shared.
pub(super) fn suffix(platform: &Platform) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let random = u64::from_le_bytes(platform.random().unwrap_or_default());
    format!("{:x}-{count:x}-{random:016x}", std::process::id())
}

/// Replaces the file as a whole.
///
/// Either the rename happens or the draft is removed. A crash in between leaves a draft, and its name says what it was
/// for.
pub(super) fn replace(path: &Path, json: &[u8], suffix: &str) -> io::Result<()> {
    let draft = location::beside(path, &format!(".{}.{suffix}.new", version(path)));
    let written = create(&draft).and_then(|mut file| {
        file.write_all(json)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&draft, path)).inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// Creates and removes a file of the size of a draft.
pub(super) fn probe(path: &Path, suffix: &str) -> io::Result<()> {
    let probe = location::beside(path, &format!(".{suffix}.probe"));
    let written = create(&probe).and_then(|mut file| file.write_all(&[b' '; ROOM]));
    match fs::remove_file(&probe) {
        // Another process took it for one of a crash.
        Err(error) if error.kind() == io::ErrorKind::NotFound => written,
        removed => written.and(removed),
    }
}

/// Deals with the drafts of crashed processes: the successor of the file is put in its place, all others are removed.
///
/// The caller has the lock, so no draft is in use. `lock` is the metadata of its file.
///
/// The successor is a whole draft whose name has the current version of the file. The token in the file is used up, and
/// a crash kept the draft from its place. All other drafts are older than the file.
pub(super) fn settle(path: &Path, lock: &Metadata, suffix: &str) -> io::Result<()> {
    let found = find_all(path);
    if found.is_empty() {
        return Ok(());
    }
    let version = version(path);
    let owned_like = fs::metadata(path).unwrap_or_else(|_| lock.clone());
    let successors = found.iter().filter(|draft| draft.replaces.as_deref() == Some(&*version));
    let whole = successors.filter_map(|draft| read_whole(&draft.path, &owned_like));
    if let Some((_, json)) = whole.max_by_key(|(written, _)| *written) {
        // By a draft of our own, because another user may own the name of this one.
        replace(path, &json, suffix)?;
        location::sync(&location::directory(path))?;
        observe::tell(EventKind::RefreshTokenRecovered {});
    }
    found.iter().for_each(|draft| drop(fs::remove_file(&draft.path)));
    Ok(())
}

/// Removes all drafts. What cannot be removed is another user's.
pub(super) fn remove_all(path: &Path) {
    find_all(path).iter().for_each(|draft| drop(fs::remove_file(&draft.path)));
}

struct Found {
    path: PathBuf,
    /// The version of the file that the draft was to replace. A probe replaces none.
    replaces: Option<String>,
}

fn find_all(path: &Path) -> Vec<Found> {
    let Some(name) = path.file_name() else { return Vec::new() };
    let entries = fs::read_dir(location::directory(path)).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let replaces = parse_name(name, &entry.file_name())?;
            Some(Found { path: entry.path(), replaces })
        })
        .collect()
}

/// `NAME.VERSION.SUFFIX.new` or `NAME.SUFFIX.probe`, and no other file.
///
/// Exact, because the directory may have other files that begin with the same name.
fn parse_name(name: &OsStr, found: &OsStr) -> Option<Option<String>> {
    let rest = found.as_encoded_bytes().strip_prefix(name.as_encoded_bytes())?;
    let parts: Vec<_> = str::from_utf8(rest).ok()?.split('.').collect();
    let is_hex = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_suffix = |part: &str| part.split('-').count() == 3 && part.split('-').all(is_hex);
    match parts[..] {
        ["", version, suffix, "new"] if is_suffix(suffix) => Some(Some(version.to_owned())),
        ["", suffix, "probe"] if is_suffix(suffix) => Some(None),
        _ => None,
    }
}

/// The version of the file as it is now: the time of the last write, and the length. It reveals nothing of the content.
///
/// A time and a length instead of a digest. A digest of a secret in a file name would be readable by every user that
/// can list the directory.
fn version(path: &Path) -> String {
    let Ok(metadata) = fs::metadata(path) else { return "none".to_owned() };
    let written = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    format!("{:x}-{:x}", written.as_nanos(), metadata.len())
}

/// Reads a draft and the time at which it was written. Returns `None` for an incomplete draft, or one of another user.
fn read_whole(draft: &Path, owned_like: &Metadata) -> Option<(SystemTime, zeroize::Zeroizing<Vec<u8>>)> {
    let (file, metadata) = regular::open_without_links(draft).ok()?;
    if !has_same_owner(&metadata, owned_like) {
        return None;
    }
    let json = regular::read_limited(file, TOKEN_FILE_LIMIT).ok().filter(|json| json.len() <= TOKEN_FILE_LIMIT)?;
    StoredToken::from_json(&*json).ok()?;
    Some((metadata.modified().ok()?, json))
}

/// In a directory like `/tmp` other users can create files with any name.
fn has_same_owner(one: &Metadata, other: &Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::uid(one) == std::os::unix::fs::MetadataExt::uid(other);
    #[cfg(not(unix))]
    return one.is_file() == other.is_file();
}

/// Creates a file that did not exist: a link of that name is not followed.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests;
