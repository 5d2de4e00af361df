//! Every interleaving of a reader of a front and a change of the slot. See `flight/model_tests.rs` for how to run them.

use loom::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::*;
use crate::{
    Bearer,
    provider::{
        cache::test_support::{HOUR, at, bearer},
        flight::model_tests::check,
    },
};

fn served(bearer: &Bearer) -> Arc<Served> {
    let served = Served::new();
    served.set(Some(bearer.sealed()));
    Arc::new(served)
}

/// The ticket that a request of this thread gets: by the short way, or by the other one.
fn sent(served: &Served, thread: usize) -> Option<Ticket> {
    let mut headers = HeaderMap::new();
    let fresh = served.insert_fresh_from(thread, &mut headers, at(0));
    fresh.or_else(|| served.insert_from(thread, &mut headers, at(0)).map(|(ticket, ..)| ticket))
}

#[test]
fn a_withdrawn_bearer_is_never_sent() {
    check(|| {
        let old = bearer("old", 0, HOUR);
        let served = served(&old);
        assert_eq!(sent(&served, 0), Some(old.ticket()));
        let withdrawn = Arc::new(AtomicBool::new(false));
        let (other, told) = (served.clone(), withdrawn.clone());
        let reader = thread::spawn(move || {
            let before = told.load(Ordering::Acquire);
            let found = sent(&other, 0);
            assert!(!before || found.is_none());
        });
        served.set(None);
        withdrawn.store(true, Ordering::Release);
        assert_eq!(sent(&served, 0), None);
        reader.join().unwrap();
        assert_eq!(sent(&served, 0), None);
    });
}

#[test]
fn a_change_during_a_copy_is_copied_next() {
    check(|| {
        let (old, new) = (bearer("old", 0, HOUR), bearer("new", 1, HOUR));
        let served = served(&old);
        let other = served.clone();
        let reader = thread::spawn(move || [sent(&other, 0), sent(&other, 0)]);
        served.set(Some(new.sealed()));
        assert_eq!(sent(&served, 0), Some(new.ticket()));
        let [first, second] = reader.join().unwrap();
        assert!(first == Some(old.ticket()) || (first, second) == (Some(new.ticket()), Some(new.ticket())));
        assert_eq!(sent(&served, 0), Some(new.ticket()));
    });
}

#[test]
fn two_threads_of_one_front_both_get_the_bearer() {
    check(|| {
        let only = bearer("only", 0, HOUR);
        let served = served(&only);
        let other = served.clone();
        let reader = thread::spawn(move || sent(&other, 0));
        assert_eq!(sent(&served, 0), Some(only.ticket()));
        assert_eq!(reader.join().unwrap(), Some(only.ticket()));
    });
}

/// A copy that a map keeps.
struct OfMap(TryLock<Copied>);

impl Copies for OfMap {
    fn forget(&self) {
        if let Some(mut copied) = self.0.try_lock() {
            *copied = Copied::default();
        }
    }
}

#[test]
fn a_copy_of_a_map_is_never_sent_after_a_withdrawal() {
    check(|| {
        let old = bearer("old", 0, HOUR);
        let served = Arc::new(Served::of_many());
        let copies = Arc::new(OfMap(TryLock::new(Copied::default())));
        served.copied_by(Arc::downgrade(&copies) as _);
        served.set(Some(old.sealed()));
        let withdrawn = Arc::new(AtomicBool::new(false));
        let (other, place, told) = (served.clone(), copies.clone(), withdrawn.clone());
        let reader = thread::spawn(move || {
            for _ in 0..2 {
                let before = told.load(Ordering::Acquire);
                let found = place
                    .0
                    .try_lock()
                    .and_then(|mut copied| other.insert_copied(&mut copied, &mut HeaderMap::new(), at(0)));
                assert!(!before || found.is_none());
            }
        });
        served.set(None);
        withdrawn.store(true, Ordering::Release);
        reader.join().unwrap();
        let mut copied = copies.0.try_lock().unwrap();
        assert!(served.insert_copied(&mut copied, &mut HeaderMap::new(), at(0)).is_none());
        assert!(copied.is_empty());
    });
}
