//! Clauses about records.

use std::time::Duration;

use bearer_token::store::{Saved, SharedStore, Version};

use super::{LONG, SHORT, Subject, any_key, granted, held, read, save, saved};

/// An unknown key has no record.
pub async fn an_unknown_key_has_no_record(subject: impl Subject) {
    assert_eq!(read(&subject, &any_key()).await, None);
}

/// A record is read as it was saved, with the version that the save returned.
pub async fn a_saved_record_is_read_back(subject: impl Subject) {
    let key = any_key();
    let version = saved(&subject, &key, b"a record", Version::ABSENT).await;
    let snapshot = read(&subject, &key).await.expect("the record");
    assert_eq!((snapshot.record.as_slice(), snapshot.version), (&b"a record"[..], version));
    assert_ne!(version, Version::ABSENT, "a record that is there has another version than an absent one");
}

/// A record may have 64 KiB, and any bytes.
pub async fn a_record_may_be_large_and_of_any_bytes<S: Subject>(subject: S) {
    let key = any_key();
    let record: Vec<u8> = (0..=u8::MAX).cycle().take(S::Store::MAX_RECORD).collect();
    saved(&subject, &key, &record, Version::ABSENT).await;
    let snapshot = read(&subject, &key).await.expect("the record");
    assert!(snapshot.record == record, "found {} bytes, or other ones", snapshot.record.len());
}

/// The remaining life is counted by the store.
pub async fn the_life_of_a_record_counts_down(subject: impl Subject) {
    let key = any_key();
    saved(&subject, &key, b"a record", Version::ABSENT).await;
    let first = read(&subject, &key).await.expect("the record").life;
    assert!(first <= LONG && first > LONG / 2, "found a life of {first:?} right after saving {LONG:?}");
    subject.pass(SHORT).await;
    let second = read(&subject, &key).await.expect("the record").life;
    let passed = first.saturating_sub(second);
    assert!(passed >= SHORT * 9 / 10, "found that {passed:?} had passed; expected {SHORT:?}");
}

/// A record is absent after its life, and a new one can be saved.
pub async fn a_record_ends_with_its_life(subject: impl Subject) {
    let key = any_key();
    let fence = granted(&subject, &key, Version::ABSENT, LONG).await;
    let short = subject.store().save(&key, b"short", SHORT, fence, Version::ABSENT).await.expect("an answer");
    assert!(matches!(short, Saved::Saved(_)), "{short:?}");
    subject.pass(SHORT + SHORT / 2).await;
    assert_eq!(read(&subject, &key).await, None);
    saved(&subject, &key, b"the next", Version::ABSENT).await;
    assert_eq!(read(&subject, &key).await.expect("the record").record, b"the next");
}

/// Saves of a key under different leases have different versions.
pub async fn each_lease_saves_another_version(subject: impl Subject) {
    let key = any_key();
    let mut versions = vec![Version::ABSENT];
    for _ in 0..5 {
        let seen = *versions.last().expect("a version");
        // The same bytes: versions are those of saves, not of contents.
        let version = saved(&subject, &key, b"a record", seen).await;
        assert!(!versions.contains(&version), "found {version:?} a second time");
        versions.push(version);
    }
}

/// The holder of a lease may save again, over the version of its last save, until a later lease is granted.
///
/// A refresh token is marked as sent, and replaced by its successor, under one lease.
pub async fn one_lease_may_save_twice(subject: impl Subject) {
    let key = any_key();
    let fence = granted(&subject, &key, Version::ABSENT, LONG).await;
    let mut seen = Version::ABSENT;
    for record in [&b"first"[..], b"second", b"third"] {
        match save(&subject, &key, record, fence, seen).await {
            Saved::Saved(version) => seen = version,
            other => panic!("found {other:?}; expected `Saved`, because the lease is the latest one"),
        }
        let found = read(&subject, &key).await.expect("the record");
        assert_eq!((&*found.record, found.version), (record, seen));
    }
    let later = granted(&subject, &key, seen, LONG).await;
    let late = save(&subject, &key, b"fourth", fence, seen).await;
    assert!(matches!(late, Saved::Fenced), "found {late:?}; expected `Fenced`, because a later lease was granted");
    let next = save(&subject, &key, b"fifth", later, seen).await;
    assert!(matches!(next, Saved::Saved(version) if version != seen), "{next:?}");
}

/// A save over another version than the one that was seen is refused, and changes nothing.
pub async fn a_save_over_an_unseen_record_is_refused(subject: impl Subject) {
    let key = any_key();
    let first = saved(&subject, &key, b"first", Version::ABSENT).await;
    let second = saved(&subject, &key, b"second", first).await;
    let fence = granted(&subject, &key, second, LONG).await;
    for seen in [Version::ABSENT, first] {
        match save(&subject, &key, b"third", fence, seen).await {
            Saved::Changed(found) => assert_eq!((&*found.record, found.version), (&b"second"[..], second)),
            other => panic!("found {other:?}; expected `Changed`, because {seen:?} is not the version in the store"),
        }
        assert_eq!(read(&subject, &key).await.expect("the record").record, b"second");
        held(&subject, &key, second).await;
    }
    let saved = save(&subject, &key, b"third", fence, second).await;
    assert!(matches!(saved, Saved::Saved(_)), "{saved:?}");
}

/// A record that is gone is no change.
pub async fn an_absent_record_refuses_no_save(subject: impl Subject) {
    let key = any_key();
    let fence = granted(&subject, &key, Version::ABSENT, LONG).await;
    let Saved::Saved(seen) =
        subject.store().save(&key, b"short", SHORT, fence, Version::ABSENT).await.expect("an answer")
    else {
        panic!("expected a save");
    };
    let fence = granted(&subject, &key, seen, LONG).await;
    subject.pass(SHORT + SHORT / 2).await;
    let late = save(&subject, &key, b"the next", fence, seen).await;
    assert!(matches!(late, Saved::Saved(_)), "{late:?}");
    assert_eq!(read(&subject, &key).await.expect("the record").record, b"the next");
}

/// Records and leases of one key are not those of another.
pub async fn keys_do_not_affect_each_other(subject: impl Subject) {
    let (one, other) = (any_key(), any_key());
    saved(&subject, &one, b"one", Version::ABSENT).await;
    assert_eq!(read(&subject, &other).await, None);
    let fence = granted(&subject, &other, Version::ABSENT, LONG).await;
    let seen = read(&subject, &one).await.expect("the record").version;
    let fence_of_one = granted(&subject, &one, seen, LONG).await;
    subject.store().release(&one, fence_of_one).await.expect("an answer");
    held(&subject, &other, Version::ABSENT).await;
    let saved = save(&subject, &other, b"other", fence, Version::ABSENT).await;
    assert!(matches!(saved, Saved::Saved(_)), "{saved:?}");
    assert_eq!(read(&subject, &one).await.expect("the record").record, b"one");
}

/// Waiting for a change ends, whether or not there is one.
#[allow(clippy::disallowed_methods, reason = "a bound for a store whose wait does not end, on whatever clock it is")]
pub async fn a_wait_for_a_change_ends_in_time(subject: impl Subject) {
    let (key, platform) = (any_key(), subject.platform());
    let wait = subject.store().changed(&platform, &key, Version::ABSENT, SHORT);
    let pass = async {
        // The wait begins first.
        tokio::task::yield_now().await;
        subject.pass(SHORT * 2).await;
    };
    let limit = Duration::from_secs(10);
    let both = async { tokio::join!(wait, pass) };
    tokio::time::timeout(limit, both).await.expect("the wait ends with its time");
}
