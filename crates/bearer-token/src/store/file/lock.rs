//! Processes take turns.

use std::path::Path;

use super::Turn;
use crate::{
    error::{Error, ErrorKind},
    platform::Platform,
};

/// Waits for the lock, but not for ever. Whoever dies with it gives it back.
#[cfg(unix)]
pub(super) async fn turn(path: &Path, platform: &Platform) -> Result<Turn, Error> {
    use std::{fs::File, io, os::unix::fs::OpenOptionsExt, time::Duration};

    use rustix::{
        fs::{FlockOperation, flock},
        io::Errno,
    };

    /// Between two looks. Not one long look: a process that hangs would hold a thread of each other one.
    const PAUSE: Duration = Duration::from_millis(50);
    /// Who has it longer has a slow server, or does not run.
    const PATIENCE: Duration = Duration::from_secs(5);

    let limit = platform.now().after(PATIENCE).monotonic();
    let lock = super::beside(path, ".lock");
    let opened = platform
        .run_blocking(move || File::options().write(true).create(true).truncate(false).mode(0o600).open(lock))
        .await?;
    let mut file = match opened {
        Ok(file) => file,
        // Nothing can be saved here either: there is nothing to take turns about.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            return Ok(Turn::free());
        }
        Err(error) => return Err(super::failed(path, "locked", error)),
    };
    loop {
        let (back, tried) = platform
            .run_blocking(move || {
                let tried = flock(&file, FlockOperation::NonBlockingLockExclusive);
                (file, tried)
            })
            .await?;
        file = back;
        match tried {
            Ok(()) => return Ok(Turn::holding(Locked(file))),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            // A file system without locks.
            Err(_) => return Ok(Turn::free()),
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
struct Locked(std::fs::File);

/// Explicitly: a process that is being started just now has the file too for a moment, and the lock with it.
#[cfg(unix)]
impl Drop for Locked {
    fn drop(&mut self) {
        // A failure leaves it to the closing of the file.
        let _ = rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock);
    }
}

#[cfg(not(unix))]
pub(super) async fn turn(_: &Path, _: &Platform) -> Result<Turn, Error> {
    Ok(Turn::free())
}
