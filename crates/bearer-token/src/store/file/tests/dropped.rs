//! Calls that are dropped while their work goes on.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use super::*;
use crate::{
    error::ErrorKind,
    platform::{BoxFuture, Job, Spawn},
    test_support::LeapingClock,
};

/// Keeps the jobs until the test runs them: a pool whose threads are busy.
#[derive(Clone, Default)]
struct BusyPool(Arc<Mutex<Vec<Job>>>);

impl BusyPool {
    fn platform(&self) -> Platform {
        Platform::system().with_spawn(self.clone())
    }

    fn run(&self) {
        let jobs = std::mem::take(&mut *self.0.lock().unwrap());
        assert!(!jobs.is_empty());
        jobs.into_iter().for_each(|job| job());
    }

    /// The runtime is shut down before the jobs have begun.
    fn discard(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Spawn for BusyPool {
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        Err(task)
    }

    fn run_blocking(&self, job: Job) -> Result<(), Job> {
        self.0.lock().unwrap().push(job);
        Ok(())
    }
}

/// Polls once, and drops the future.
fn give_up<F: Future>(future: F) {
    assert!(matches!(pin!(future).poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
}

#[tokio::test]
async fn l11_the_lock_lasts_until_dropped_work_has_ended() {
    let (a, b) = (StoredToken::new("a"), StoredToken::new("b"));
    for call in ["load", "swap", "put", "prepare"] {
        for is_run in [true, false] {
            let (directory, store) = store();
            let (pool, clock) = (BusyPool::default(), LeapingClock::new());
            store.put(&Platform::system(), Some(&a)).await.unwrap();
            let lease = store.lease(&Platform::system()).await.unwrap();
            let late = pool.platform();
            match call {
                "load" => give_up(store.load(&late)),
                "swap" => give_up(store.swap(&late, Some(&a), Some(&b))),
                "put" => give_up(store.put(&late, Some(&b))),
                _ => give_up(store.prepare(&late)),
            }
            drop(lease);
            for next in [store.clone(), FileStore::new(store.path())] {
                let error = next.lease(&clock.platform()).await.unwrap_err();
                assert!(error.is_transient() && error.to_string().contains("an earlier call"), "{call}: {error}");
            }
            if is_run {
                pool.run();
            } else {
                pool.discard();
            }
            let lease = FileStore::new(store.path()).lease(&clock.platform()).await.unwrap();
            drop(lease);
            let expected = if is_run && matches!(call, "swap" | "put") { &b } else { &a };
            assert_eq!(load(&store).await.unwrap().as_ref(), Some(expected), "{call}");
            assert_eq!(names(&directory), ["token.json"], "{call}");
        }
    }
}

#[tokio::test]
async fn a_dropped_attempt_to_lock_excludes_nothing() {
    let (_directory, store) = store();
    let pool = BusyPool::default();
    give_up(store.lease(&pool.platform()));
    pool.run();
    let lease = store.lease(&LeapingClock::new().platform()).await.unwrap();
    give_up(store.clone().lease(&pool.platform()));
    drop(lease);
    pool.discard();
    store.lease(&LeapingClock::new().platform()).await.unwrap();
}

#[tokio::test]
async fn without_a_lease_a_write_waits_for_the_lock_itself() {
    let (_directory, store) = store();
    let (a, clock) = (StoredToken::new("a"), LeapingClock::new());
    let platform = clock.platform();
    let lease = FileStore::new(store.path()).lease(&platform).await.unwrap();
    let errors = [store.swap(&platform, None, Some(&a)).await.err(), store.put(&platform, Some(&a)).await.err()];
    for error in errors {
        assert!(error.unwrap().to_string().contains("another process"));
    }
    clock.at_sleep(clock.sleeps() + 2, || drop(lease));
    assert!(store.swap(&platform, None, Some(&a)).await.unwrap());
}

mod a_file_that_vanishes {
    use super::*;

    async fn leased(store: &FileStore, token: &StoredToken) -> Lease {
        let platform = Platform::system();
        store.put(&platform, Some(token)).await.unwrap();
        let lease = store.lease(&platform).await.unwrap();
        assert_eq!(load(store).await.unwrap().as_ref(), Some(token));
        lease
    }

    #[tokio::test]
    async fn l27_during_a_fetch_gets_the_successor_all_the_same() {
        let (_directory, store) = store();
        let [a, b, c] = ["a", "b", "c"].map(StoredToken::new);
        let _lease = leased(&store, &a).await;
        fs::remove_file(store.path()).unwrap();
        assert!(!swap(&store, Some(&c), Some(&b)).await.unwrap(), "it was not there before");
        assert_eq!(load(&store).await.unwrap(), None);
        assert!(swap(&store, Some(&a), Some(&b)).await.unwrap());
        assert_eq!(load(&store).await.unwrap(), Some(b));
    }

    #[tokio::test]
    async fn between_two_fetches_was_signed_out() {
        let (_directory, store) = store();
        let (a, b) = (StoredToken::new("a"), StoredToken::new("b"));
        drop(leased(&store, &a).await);
        fs::remove_file(store.path()).unwrap();
        assert!(!swap(&store, Some(&a), Some(&b)).await.unwrap());
        let _lease = store.lease(&Platform::system()).await.unwrap();
        assert!(!swap(&store, Some(&a), Some(&b)).await.unwrap());
        assert_eq!(load(&store).await.unwrap(), None);
    }

    #[tokio::test]
    async fn because_it_was_cleared_stays_away() {
        let (_directory, store) = store();
        let (a, b) = (StoredToken::new("a"), StoredToken::new("b"));
        let _lease = leased(&store, &a).await;
        store.put(&Platform::system(), None).await.unwrap();
        assert!(!swap(&store, Some(&a), Some(&b)).await.unwrap());
    }
}

#[test]
fn a_missing_draft_is_no_missing_directory() {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let (directory, store) = store();
    let error = store.file.failed("written", missing());
    assert!(error.is_transient(), "{error}");
    let error = FileStore::new(directory.path().join("none/token.json")).file.failed("written", missing());
    assert_eq!(error.kind(), ErrorKind::Config);
}
