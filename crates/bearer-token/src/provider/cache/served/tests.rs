use http::header::AUTHORIZATION;

use super::*;
use crate::provider::cache::test_support::{HOUR, at, bearer};

/// The token that a request of this thread carries, and whether it is marked as sensitive.
fn sent(served: &Served, thread: usize, now: u64) -> Option<(String, bool)> {
    let mut headers = HeaderMap::new();
    if served.insert_fresh_from(thread, &mut headers, at(now)).is_none() {
        assert!(headers.is_empty(), "nothing was done");
        let (_, _, is_inserted) = served.insert_from(thread, &mut headers, at(now))?;
        assert!(is_inserted);
    }
    let value = headers.get(AUTHORIZATION)?;
    Some((value.to_str().unwrap().to_owned(), value.is_sensitive()))
}

#[test]
fn every_thread_sees_each_change_at_once() {
    let served = Served::new();
    for (bearers, expected) in [
        (None, None),
        (Some(bearer("one", 0, HOUR)), Some(("Bearer one".to_owned(), true))),
        (Some(bearer("two", 0, HOUR)), Some(("Bearer two".to_owned(), true))),
        (None, None),
    ] {
        served.set(bearers.map(|bearer| bearer.sealed()));
        for thread in [0, 1, 2, usize::MAX, 0] {
            assert_eq!(sent(&served, thread, 0), expected, "{thread}");
        }
    }
}

#[test]
fn an_expired_bearer_is_not_sent_from_a_front_nor_from_the_slot() {
    let served = Served::new();
    served.set(Some(bearer("token", 0, HOUR).sealed()));
    assert!(sent(&served, 0, 0).is_some());
    assert_eq!(sent(&served, 0, 3_600), None);
    let Fronts::Own(fronts) = &served.fronts else { panic!("it has no fronts") };
    let _taken = fronts[0].0.try_lock().unwrap();
    assert!(sent(&served, 0, 0).is_some(), "a taken front is left for the slot");
    assert_eq!(sent(&served, 0, 3_600), None);
}

#[test]
fn the_short_way_sends_a_fresh_bearer_and_no_other() {
    let served = Served::new();
    let fresh = |headers: &mut HeaderMap, now| served.insert_fresh_from(0, headers, at(now));
    assert_eq!(fresh(&mut HeaderMap::new(), 0), None, "there is none");
    let token = bearer("token", 0, HOUR);
    served.set(Some(token.sealed()));
    assert_eq!(fresh(&mut HeaderMap::new(), 0), None, "no front has it");
    assert!(sent(&served, 0, 0).is_some());
    assert_eq!(fresh(&mut HeaderMap::new(), 0), Some(token.ticket()));
    let own = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("own"))]);
    let mut headers = own.clone();
    assert_eq!(fresh(&mut headers, 0), None, "the caller's own header");
    assert_eq!(headers, own);
    let stale = token.deadlines().refresh.monotonic().as_secs() + 1;
    for (now, why) in [(stale, "stale"), (3_600, "expired")] {
        let mut headers = HeaderMap::new();
        assert_eq!(fresh(&mut headers, now), None, "{why}");
        assert!(headers.is_empty(), "{why}");
    }
    {
        let _taken = served.front(0).unwrap().0.try_lock().unwrap();
        assert_eq!(fresh(&mut HeaderMap::new(), 0), None, "taken by another thread");
    }
    served.set(None);
    assert_eq!(fresh(&mut HeaderMap::new(), 0), None, "withdrawn");
}

#[test]
fn a_replaced_bearer_is_kept_by_no_front() {
    let served = Served::new();
    let old = bearer("old", 0, HOUR).sealed();
    let weak = Arc::downgrade(&old);
    served.set(Some(old));
    (0..copies()).for_each(|thread| drop(sent(&served, thread, 0)));
    served.set(Some(bearer("new", 0, HOUR).sealed()));
    assert!(weak.upgrade().is_none());
    let Fronts::Own(fronts) = &served.fronts else { panic!("it has no fronts") };
    assert!(fronts.iter().all(|front| front.0.try_lock().unwrap().is_empty()));
}

/// A copy that a map keeps.
struct OfMap(TryLock<Copied>);

impl Copies for OfMap {
    fn forget(&self) {
        *self.0.try_lock().unwrap() = Copied::default();
    }
}

#[test]
fn a_copy_of_a_map_follows_each_change_and_keeps_nothing() {
    let served = Served::of_many();
    let copies = Arc::new(OfMap(TryLock::new(Copied::default())));
    served.copied_by(Arc::downgrade(&copies) as _);
    for token in ["one", "two"] {
        let bearer = bearer(token, 0, HOUR);
        served.set(Some(bearer.sealed()));
        let mut copied = copies.0.try_lock().unwrap();
        assert!(copied.is_empty());
        for _ in 0..2 {
            let mut headers = HeaderMap::new();
            let (ticket, freshness, is_inserted) = served.insert_copied(&mut copied, &mut headers, at(0)).unwrap();
            assert_eq!(
                (ticket, freshness, is_inserted, copied.is_single()),
                (bearer.ticket(), Freshness::Fresh, true, true)
            );
            assert_eq!(headers[AUTHORIZATION], format!("Bearer {token}"));
            assert!(headers[AUTHORIZATION].is_sensitive());
        }
        assert!(served.insert_copied(&mut copied, &mut HeaderMap::new(), at(3_600)).is_none(), "it has expired");
        assert!(!copied.is_empty());
    }
    served.set(None);
    let mut copied = copies.0.try_lock().unwrap();
    assert!(copied.is_empty());
    assert!(served.insert_copied(&mut copied, &mut HeaderMap::new(), at(0)).is_none());
}
