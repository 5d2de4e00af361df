//! Processes take turns.

use std::path::Path;
#[cfg(unix)]
use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::PathBuf,
};

#[cfg(unix)]
use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

use super::Lease;
use crate::{error::Error, platform::Platform};
#[cfg(unix)]
use crate::{error::ErrorKind, files::regular};

/// Waits for the lock, but not for ever. Whoever dies with it gives it back.
#[cfg(unix)]
pub(super) async fn lease(path: &Path, platform: &Platform) -> Result<Lease, Error> {
    use std::time::Duration;

    /// Between two looks. Not one long look: a process that hangs would hold a thread of each other one.
    const PAUSE: Duration = Duration::from_millis(50);
    /// Who has it longer has a slow server, or does not run.
    const PATIENCE: Duration = Duration::from_secs(5);

    let limit = platform.now().after(PATIENCE).monotonic();
    loop {
        let named = path.to_owned();
        match platform.run_blocking(move || take(&named)).await? {
            Ok(Taken::Mine(locked)) => return Ok(Lease::holding(locked)),
            Ok(Taken::Nobodys) => return Ok(Lease::free()),
            Ok(Taken::Others) => {}
            Err(error) => return Err(super::failed(path, "locked", error)),
        }
        let now = platform.now().monotonic();
        if now >= limit {
            let path = path.display();
            let message = format!("another process uses the refresh token in `{path}` for more than {PATIENCE:?}");
            return Err(Error::new(ErrorKind::Source, message));
        }
        platform.sleep_until(now.saturating_add(PAUSE)).await;
    }
}

#[cfg(unix)]
enum Taken {
    Mine(Locked),
    Others,
    /// Nothing can be locked here.
    Nobodys,
}

/// Tries once.
#[cfg(unix)]
fn take(path: &Path) -> io::Result<Taken> {
    // Beside the file itself: whatever name leads to it, there is one lock.
    let lock = super::beside(&super::disk::place(path)?, ".lock");
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(regular::flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
    let file = match options.open(&lock) {
        Ok(file) => file,
        Err(error) if can_nothing_be_saved(error.kind(), fs::symlink_metadata(&lock).is_ok()) => {
            return Ok(Taken::Nobodys);
        }
        Err(error) => return Err(error),
    };
    regular::check(&file.metadata()?)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            let locked = Locked { file, path: lock };
            // Whoever had it before may have taken the name away meanwhile: then this lock keeps nobody out.
            Ok(if locked.has_its_name() { Taken::Mine(locked) } else { Taken::Others })
        }
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(Taken::Others),
        // A file system without locks.
        Err(_) => Ok(Taken::Nobodys),
    }
}

/// Whether the error of opening the lock means that there is nothing to take turns about. A lock that is there, and is
/// another user's, is one to keep.
#[cfg(unix)]
fn can_nothing_be_saved(error: io::ErrorKind, is_there: bool) -> bool {
    match error {
        io::ErrorKind::ReadOnlyFilesystem => true,
        io::ErrorKind::PermissionDenied => !is_there,
        _ => false,
    }
}

#[cfg(unix)]
struct Locked {
    file: File,
    path: PathBuf,
}

#[cfg(unix)]
impl Locked {
    fn has_its_name(&self) -> bool {
        let (Ok(own), Ok(named)) = (self.file.metadata(), fs::symlink_metadata(&self.path)) else { return false };
        (own.dev(), own.ino()) == (named.dev(), named.ino())
    }
}

/// Explicitly: a process that is being started just now has the file too for a moment, and the lock with it. The name goes
/// first, as long as nobody else can have the lock.
#[cfg(unix)]
impl Drop for Locked {
    fn drop(&mut self) {
        if self.has_its_name() {
            // What stays is locked again by the next one.
            drop(fs::remove_file(&self.path));
        }
        // A failure leaves it to the closing of the file.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

#[cfg(not(unix))]
pub(super) async fn lease(_: &Path, _: &Platform) -> Result<Lease, Error> {
    Ok(Lease::free())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn l11_a_lock_of_another_users_is_never_passed_by() {
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
}
