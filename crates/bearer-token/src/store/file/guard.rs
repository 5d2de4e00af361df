//! The right to change the file. It belongs to the jobs, not to the fetch that started them.
//!
//! Three parties may want the file at a time: another process, another clone of the store, and a job of a fetch that
//! was dropped. The lock file keeps out the first, the flag in [`Exclusion`] the second, and the mutex in [`Guard`] the
//! third.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    StoredToken, draft, location,
    lock::{FileLock, Taken},
};
use crate::{
    error::{Error, ErrorKind},
    platform::Platform,
    provider::constants::{LOCK_PAUSE, LOCK_TIMEOUT},
    sync::{Mutex, lock},
};

/// Keeps the clones of a store from working at the same time, and knows the current guard.
///
/// `current` is a weak reference: the guard ends with its last user, and not with the store.
#[derive(Default)]
pub(super) struct Exclusion {
    is_taken: AtomicBool,
    current: Mutex<Weak<Guard>>,
}

impl Exclusion {
    /// The guard of the lease in progress.
    pub(super) fn current(&self) -> Option<Arc<Guard>> {
        lock(&self.current).upgrade()
    }
}

/// The right to change the file. A lease holds it, and so does every job under the lease until the job has ended.
///
/// A fetch may be dropped while a job of it runs, because its deadline has passed or its runtime was shut down. The
/// lock must outlive that job: otherwise the job would write while the next holder has the lock.
pub(super) struct Guard {
    exclusion: Arc<Exclusion>,
    /// `None` where nothing can be locked.
    lock: Option<FileLock>,
    /// Locked by the running job. A job of an overdue lease may still be running.
    seen: Mutex<Seen>,
}

/// The token that was loaded under the guard, if there was one.
#[derive(Default)]
pub(super) struct Seen(pub(super) Option<StoredToken>);

impl Guard {
    /// Does one job at a time.
    pub(super) fn work<T>(&self, job: impl FnOnce(&mut Seen) -> T) -> T {
        job(&mut lock(&self.seen))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.lock.take());
        self.exclusion.is_taken.store(false, Ordering::Release);
    }
}

/// Waits for the guard, up to a limit. The operating system releases the lock of a process that crashes.
///
/// The inner result is that of the file system.
///
/// Polls every 50 ms for 5 s. Waiting inside the system's lock would hold a thread for as long as another process
/// hangs, for each waiting fetch.
pub(super) async fn acquire(
    exclusion: &Arc<Exclusion>,
    path: &Path,
    platform: &Platform,
) -> Result<io::Result<Arc<Guard>>, Error> {
    let limit = platform.now().after(LOCK_TIMEOUT).monotonic();
    loop {
        let (wanted, path_of_file, suffix) = (Arc::clone(exclusion), path.to_owned(), draft::suffix(platform));
        match platform.run_blocking(move || try_acquire(&wanted, &path_of_file, &suffix)).await? {
            Ok(Some(guard)) => return Ok(Ok(guard)),
            Ok(None) => {}
            Err(error) => return Ok(Err(error)),
        }
        let now = platform.now().monotonic();
        if now >= limit {
            let path = path.display();
            let message = format!(
                "another process, or an earlier call of this one, has used the refresh token in `{path}` for more than \
                 {LOCK_TIMEOUT:?}"
            );
            return Err(Error::new(ErrorKind::Source, message));
        }
        platform.sleep_until(now.saturating_add(LOCK_PAUSE)).await;
    }
}

/// Tries once. `None` if the guard is taken.
fn try_acquire(exclusion: &Arc<Exclusion>, path: &Path, suffix: &str) -> io::Result<Option<Arc<Guard>>> {
    let path = location::resolve(path)?;
    if exclusion.is_taken.swap(true, Ordering::Acquire) {
        return Ok(None);
    }
    // From here on, dropping the guard frees the place for the next one.
    let mut guard = Guard { exclusion: Arc::clone(exclusion), lock: None, seen: Mutex::default() };
    match FileLock::try_take(&path)? {
        Taken::Ours(file_lock) => {
            draft::settle(&path, &file_lock.metadata()?, suffix)?;
            guard.lock = Some(file_lock);
        }
        Taken::Theirs => return Ok(None),
        Taken::Unavailable => {}
    }
    let guard = Arc::new(guard);
    *lock(&exclusion.current) = Arc::downgrade(&guard);
    Ok(Some(guard))
}
