//! Clauses about leases and fences.

use bearer_token::store::{Fence, Leased, Saved, SharedStore, Version};

use super::{LONG, SHORT, Subject, any_key, at_once, granted, held, lease, read, save, saved, shared};

/// A second caller is told for how long the lease is held.
pub async fn a_lease_has_one_holder(subject: impl Subject) {
    let key = any_key();
    granted(&subject, &key, Version::ABSENT, LONG).await;
    for _ in 0..2 {
        let remaining = held(&subject, &key, Version::ABSENT).await;
        assert!(remaining <= LONG && remaining > LONG / 2, "found {remaining:?} of {LONG:?}");
    }
}

/// One of many concurrent callers gets the lease, and all others are told that it is held.
pub async fn one_of_many_concurrent_leases_is_granted(subject: impl Subject) {
    let (subject, key) = (shared(subject), any_key());
    let answers = at_once(32, || {
        let (subject, key) = (subject.clone(), key.clone());
        async move { lease(&*subject, &key, Version::ABSENT, LONG).await }
    })
    .await;
    let count = |is: fn(&Leased) -> bool| answers.iter().filter(|answer| is(answer)).count();
    assert_eq!(count(|answer| matches!(answer, Leased::Granted(_))), 1, "{answers:?}");
    assert_eq!(count(|answer| matches!(answer, Leased::Held(_))), 31, "{answers:?}");
}

/// Each fence is greater than the last one, whichever way its lease ended.
pub async fn fences_grow(subject: impl Subject) {
    let key = any_key();
    let first = granted(&subject, &key, Version::ABSENT, LONG).await;
    subject.store().release(&key, first).await.expect("an answer");
    let second = granted(&subject, &key, Version::ABSENT, SHORT).await;
    assert!(second > first, "{second:?} after a release of {first:?}");
    subject.pass(SHORT + SHORT / 2).await;
    let third = granted(&subject, &key, Version::ABSENT, LONG).await;
    assert!(third > second, "{third:?} after the end of {second:?}");
    let Saved::Saved(seen) = save(&subject, &key, b"a record", third, Version::ABSENT).await else {
        panic!("expected a save");
    };
    let fourth = granted(&subject, &key, seen, LONG).await;
    assert!(fourth > third, "{fourth:?} after a save under {third:?}");
}

/// A lease whose holder is gone ends with its time.
pub async fn a_lease_ends_by_itself(subject: impl Subject) {
    let key = any_key();
    granted(&subject, &key, Version::ABSENT, SHORT).await;
    held(&subject, &key, Version::ABSENT).await;
    subject.pass(SHORT + SHORT / 2).await;
    granted(&subject, &key, Version::ABSENT, LONG).await;
}

/// A save ends its lease.
pub async fn a_save_ends_the_lease(subject: impl Subject) {
    let key = any_key();
    let seen = saved(&subject, &key, b"a record", Version::ABSENT).await;
    granted(&subject, &key, seen, LONG).await;
}

/// A release ends its lease, and may be repeated.
pub async fn a_release_ends_the_lease(subject: impl Subject) {
    let key = any_key();
    let fence = granted(&subject, &key, Version::ABSENT, LONG).await;
    for _ in 0..2 {
        subject.store().release(&key, fence).await.expect("an answer");
    }
    granted(&subject, &key, Version::ABSENT, LONG).await;
}

/// Neither an earlier fence nor an unknown one releases the lease.
pub async fn only_the_holder_releases(subject: impl Subject) {
    let key = any_key();
    let earlier = granted(&subject, &key, Version::ABSENT, SHORT).await;
    subject.pass(SHORT + SHORT / 2).await;
    let holder = granted(&subject, &key, Version::ABSENT, LONG).await;
    for other in [earlier, Fence::new(holder.get() + 1)] {
        subject.store().release(&key, other).await.expect("an answer");
        held(&subject, &key, Version::ABSENT).await;
    }
}

/// A holder that was too late saves nothing while a later lease is held.
pub async fn an_earlier_fence_saves_nothing(subject: impl Subject) {
    let key = any_key();
    let earlier = granted(&subject, &key, Version::ABSENT, SHORT).await;
    subject.pass(SHORT + SHORT / 2).await;
    let later = granted(&subject, &key, Version::ABSENT, LONG).await;
    assert_eq!(save(&subject, &key, b"earlier", earlier, Version::ABSENT).await, Saved::Fenced);
    assert_eq!(read(&subject, &key).await, None);
    held(&subject, &key, Version::ABSENT).await;
    let saved = save(&subject, &key, b"later", later, Version::ABSENT).await;
    assert!(matches!(saved, Saved::Saved(_)), "{saved:?}");
}

/// A holder that was too late saves nothing after a later lease has ended, even if it knows the version.
pub async fn an_earlier_fence_saves_nothing_after_a_later_save(subject: impl Subject) {
    let key = any_key();
    let earlier = granted(&subject, &key, Version::ABSENT, SHORT).await;
    subject.pass(SHORT + SHORT / 2).await;
    let seen = saved(&subject, &key, b"later", Version::ABSENT).await;
    assert_eq!(save(&subject, &key, b"earlier", earlier, seen).await, Saved::Fenced);
    assert_eq!(read(&subject, &key).await.expect("the record").record, b"later");

    let released = granted(&subject, &key, seen, LONG).await;
    subject.store().release(&key, released).await.expect("an answer");
    assert_eq!(save(&subject, &key, b"earlier", earlier, seen).await, Saved::Fenced);
}

/// A caller that has not seen the record gets it in place of the lease, also while the lease is held.
pub async fn a_lease_over_an_unseen_record_shows_it(subject: impl Subject) {
    let key = any_key();
    let first = saved(&subject, &key, b"first", Version::ABSENT).await;
    let second = saved(&subject, &key, b"second", first).await;
    for is_held in [false, true] {
        if is_held {
            granted(&subject, &key, second, LONG).await;
        }
        for seen in [Version::ABSENT, first] {
            match lease(&subject, &key, seen, LONG).await {
                Leased::Newer(found) => assert_eq!((&*found.record, found.version), (&b"second"[..], second)),
                other => panic!("found {other:?}; expected `Newer`, because {seen:?} is not the version in the store"),
            }
        }
    }
    held(&subject, &key, second).await;
}
