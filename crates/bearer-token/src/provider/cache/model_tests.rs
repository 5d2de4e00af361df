//! Every interleaving of the cache's transitions. See `flight/model_tests.rs` for how to run them.

use loom::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use super::{test_support::*, *};
use crate::{
    error::ErrorKind,
    provider::flight::model_tests::{check, sit},
};

fn spawn<T: Send + 'static>(
    cache: &Arc<Cache>,
    act: impl FnOnce(&Cache) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let cache = cache.clone();
    thread::spawn(move || act(&cache))
}

#[test]
fn of_two_cold_callers_one_begins_and_one_waits() {
    check(|| {
        let cache = Arc::new(cache());
        let rival = spawn(&cache, |cache| cache.decide(Want::Token, at(0)));
        match (cache.decide(Want::Token, at(0)), rival.join().unwrap()) {
            (Decision::Begin(start), Decision::Wait(flight)) | (Decision::Wait(flight), Decision::Begin(start)) => {
                assert!(Arc::ptr_eq(&start.flight, &flight));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(cache.now_in(), Row::Fetching);
    });
}

#[test]
fn two_readers_of_a_stale_bearer_cause_one_fetch() {
    check(|| {
        let cache = Arc::new(Cache::serving(&bearer("old", 0, HOUR)));
        let begun = Arc::new(AtomicU64::new(0));
        let read = |cache: &Cache, begun: &AtomicU64| {
            let now = at(50 * 60);
            let stale = cache.usable(now).is_some_and(|bearer| bearer.deadlines().freshness(now) == Freshness::Stale);
            if stale
                && cache.wants_refresh(now)
                && let Decision::Begin(start) = cache.decide(Want::Refresh, now)
            {
                begun.fetch_add(1, Ordering::Relaxed);
                cache.complete(&start.flight, Ok(bearer("new", 50 * 60, HOUR)), now, Draw::MAX);
            }
        };
        let told = begun.clone();
        let rival = spawn(&cache, move |cache| read(cache, &told));
        read(&cache, &begun);
        rival.join().unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        assert_eq!(cache.now_in(), Row::Serving);
    });
}

#[test]
fn a_rejection_of_the_old_bearer_leaves_the_new_one() {
    check(|| {
        let (old, new) = (bearer("old", 0, HOUR), bearer("new", 1, HOUR));
        let cache = Arc::new(Cache::serving(&old));
        let flight = cache.begin(Want::Renewal, 1).flight;
        let rejecter = spawn(&cache, move |cache| cache.reject(old.generation(), at(1), silence));
        cache.complete(&flight, Ok(new.clone()), at(1), Draw::MAX);
        let (rejection, start) = rejecter.join().unwrap();
        assert!(rejection.is_replay_useful() && start.is_none(), "{rejection:?}");
        assert_eq!(cache.in_service(1), Some(new.generation()));
        assert_eq!(cache.now_in(), Row::Serving);
    });
}

#[test]
fn two_rejections_of_one_generation_start_exactly_one_renewal() {
    check(|| {
        let old = bearer("old", 0, HOUR);
        let generation = old.generation();
        let cache = Arc::new(Cache::serving(&old));
        let rival = spawn(&cache, move |cache| cache.reject(generation, at(1), silence));
        let both = [cache.reject(generation, at(1), silence), rival.join().unwrap()];
        assert!(both.iter().all(|(rejection, _)| *rejection == Rejection::Renewing));
        assert_eq!(both.iter().filter(|(_, start)| start.is_some()).count(), 1);
        assert_eq!(cache.now_in(), Row::Renewing);
    });
}

#[test]
fn of_completion_and_abandonment_one_takes_effect() {
    check(|| {
        let new = bearer("new", 0, HOUR);
        let cache = Arc::new(cache());
        let flight = cache.begin(Want::Token, 0).flight;
        let mut waiter = flight.subscribe();
        let waiter = spawn(&cache, move |cache| {
            // What a waiter does next: settle, or enter again.
            match sit(&mut waiter) {
                Outcome::Done(fetched) => cache.settle(Want::Token, fetched, at(0)).map(|result| result.is_ok()),
                Outcome::Abandoned => Some(!matches!(cache.decide(Want::Token, at(0)), Decision::Wait(_))),
            }
        });
        let late = flight.clone();
        let abandoner = spawn(&cache, move |cache| cache.abandon(&late, at(0)));
        cache.complete(&flight, Ok(new.clone()), at(0), Draw::MAX);
        abandoner.join().unwrap();
        assert_eq!(waiter.join().unwrap(), Some(true));
        assert!(matches!(cache.now_in(), Row::Serving | Row::Fetching | Row::Empty));
        match cache.decide(Want::Token, at(0)) {
            Decision::Serve(bearer) => assert_eq!(bearer.generation(), new.generation()),
            // The waiter began another one, or none has begun yet.
            Decision::Wait(next) => assert!(!Arc::ptr_eq(&next, &flight)),
            Decision::Begin(_) => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_rejected_bearer_is_read_only_after_a_failed_renewal() {
    for renewed in [true, false] {
        check(move || {
            let (old, new) = (bearer("old", 0, HOUR), bearer("new", 1, HOUR));
            let cache = Arc::new(Cache::serving(&old));
            let rejected = old.generation();
            let failed = Arc::new(AtomicBool::new(false));
            let told = failed.clone();
            let rejecter = spawn(&cache, move |cache| {
                let (_, start) = cache.reject(rejected, at(1), silence);
                let first = cache.in_service(1);
                if let Some(StartFetch { flight, .. }) = start {
                    let error = Error::new(ErrorKind::Unavailable, "");
                    told.store(!renewed, Ordering::Release);
                    cache.complete(&flight, if renewed { Ok(new) } else { Err(error) }, at(1), Draw::MAX);
                }
                first
            });
            // A late response to another request with the old bearer.
            let (rejection, start) = cache.reject(rejected, at(1), silence);
            assert!(start.is_none() || rejection == Rejection::Renewing);
            let read = cache.in_service(1);
            let failed = failed.load(Ordering::Acquire);
            assert!(read != Some(rejected) || failed, "{rejection:?}");
            assert!(rejecter.join().unwrap() != Some(rejected) || failed);
            // The flight of the one whose rejection began it: completed, or not.
            assert!(matches!(cache.now_in(), Row::Serving | Row::Renewing));
        });
    }
}

#[test]
fn a_late_waiter_does_not_get_a_rejected_bearer() {
    check(|| {
        let short_lived = bearer("first", 0, HOUR);
        let generation = short_lived.generation();
        let cache = Arc::new(cache());
        let flight = cache.begin(Want::Token, 0).flight;
        let rejected = Arc::new(AtomicBool::new(false));
        let known = rejected.clone();
        let mut waiter = flight.subscribe();
        let waiter = spawn(&cache, move |cache| {
            let Outcome::Done(fetched) = sit(&mut waiter) else { panic!("the flight is not abandoned") };
            let known = known.load(Ordering::Acquire);
            let settled = cache.settle(Want::Token, fetched, at(0));
            assert!(!known || settled.is_none(), "a bearer that is known to be rejected");
        });
        cache.complete(&flight, Ok(short_lived), at(0), Draw::MAX);
        let (rejection, start) = cache.reject(generation, at(0), silence);
        assert!(rejection == Rejection::Renewing && start.is_some());
        rejected.store(true, Ordering::Release);
        waiter.join().unwrap();
        assert_eq!(cache.now_in(), Row::Renewing);
    });
}
