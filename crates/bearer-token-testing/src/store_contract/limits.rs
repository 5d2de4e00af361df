//! Clauses about futures that are dropped, calls that meet, and the longest and shortest times.

use std::{future::Future, time::Duration};

use bearer_token::store::{Leased, Saved, SharedStore, Version};

use super::{LONG, SHORT, Subject, any_key, granted, held, lease, read, save, saved, shared};

/// Longer than one packet or page of most stores.
const WHOLE: [u8; 10_000] = [b'w'; 10_000];

/// Drops a call after this many polls, if it has not ended before.
async fn dropped_after(polls: usize, call: impl Future) {
    let some_polls = async {
        for _ in 0..polls {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = call => {}
        () = some_polls => {}
    }
}

/// A lease whose call was dropped is granted or is not. The store goes on in either case.
pub async fn a_dropped_lease_is_granted_or_is_not(subject: impl Subject) {
    for polls in 0..8 {
        let key = any_key();
        dropped_after(polls, subject.store().lease(&key, Version::ABSENT, SHORT)).await;
        match lease(&subject, &key, Version::ABSENT, SHORT).await {
            Leased::Granted(_) => {}
            Leased::Held(remaining) => assert!(remaining <= SHORT, "found {remaining:?} of {SHORT:?}"),
            other => panic!("found {other:?} after a dropped lease; expected `Granted` or `Held`"),
        }
        subject.pass(SHORT + SHORT / 2).await;
        saved(&subject, &key, b"a record", Version::ABSENT).await;
    }
}

/// A save whose call was dropped has saved the whole record or nothing.
pub async fn a_dropped_save_saves_all_or_nothing(subject: impl Subject) {
    for polls in 0..8 {
        let key = any_key();
        let fence = granted(&subject, &key, Version::ABSENT, LONG).await;
        dropped_after(polls, subject.store().save(&key, &WHOLE, LONG, fence, Version::ABSENT)).await;
        if let Some(found) = read(&subject, &key).await {
            assert!(found.record == WHOLE, "found {} bytes of {}", found.record.len(), WHOLE.len());
        }
        // It may take effect a moment later.
        match save(&subject, &key, &WHOLE, fence, Version::ABSENT).await {
            Saved::Saved(_) => {}
            Saved::Changed(found) => assert!(found.record == WHOLE, "found {} bytes", found.record.len()),
            Saved::Fenced => panic!("found `Fenced`; expected a save, because no later lease was granted"),
        }
        assert!(read(&subject, &key).await.expect("the record").record == WHOLE);
    }
}

/// While a holder saves, other callers find the lease held or the new record, and nothing in between.
pub async fn a_lease_that_meets_a_save_is_held_or_shows_the_record(subject: impl Subject) {
    let (subject, key) = (shared(subject), any_key());
    let fence = granted(&*subject, &key, Version::ABSENT, LONG).await;
    let mut leases = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (subject, key) = (subject.clone(), key.clone());
        leases.spawn(async move {
            for _ in 0..number {
                tokio::task::yield_now().await;
            }
            lease(&*subject, &key, Version::ABSENT, LONG).await
        });
    }
    tokio::task::yield_now().await;
    let saved = save(&*subject, &key, &WHOLE, fence, Version::ABSENT).await;
    assert!(matches!(saved, Saved::Saved(_)), "{saved:?}");
    for answer in leases.join_all().await {
        match answer {
            Leased::Held(_) => {}
            Leased::Newer(found) => assert!(found.record == WHOLE, "found {} bytes", found.record.len()),
            Leased::Granted(_) => panic!("found `Granted`; expected `Held` before the save and `Newer` after it"),
        }
    }
}

/// Leases may be as long and as short as a `Duration`. A store may shorten those of years.
pub async fn a_lease_may_have_any_time(subject: impl Subject) {
    let key = any_key();
    let fence = granted(&subject, &key, Version::ABSENT, Duration::MAX).await;
    let remaining = held(&subject, &key, Version::ABSENT).await;
    assert!(remaining > LONG, "found {remaining:?} of the longest lease");
    subject.store().release(&key, fence).await.expect("an answer");
    for ttl in [Duration::ZERO, Duration::from_nanos(1)] {
        granted(&subject, &key, Version::ABSENT, ttl).await;
        subject.pass(SHORT).await;
    }
    granted(&subject, &key, Version::ABSENT, LONG).await;
}

/// Lives may be as long and as short as a `Duration`. A store may shorten those of years.
pub async fn a_record_may_have_any_life(subject: impl Subject) {
    let key = any_key();
    let mut seen = Version::ABSENT;
    for life in [Duration::MAX, Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let fence = granted(&subject, &key, seen, LONG).await;
        let answer = subject.store().save(&key, b"a record", life, fence, seen).await.expect("an answer");
        assert!(matches!(answer, Saved::Saved(_)), "{answer:?} with a life of {life:?}");
        subject.pass(SHORT).await;
        let found = read(&subject, &key).await;
        assert_eq!(found.is_some(), life > LONG, "a life of {life:?}");
        assert!(found.as_ref().is_none_or(|found| found.life > LONG), "found {found:?} of the longest life");
        seen = found.map_or(Version::ABSENT, |found| found.version);
    }
}
