//! A new refresh token is saved before anything else happens, whatever comes in between.

use super::*;

#[tokio::test]
async fn l27_the_access_token_waits_for_the_save() {
    let (script, store, grant) = scene([rotated!("r2")], Moody::new("r1"));
    store.hold();
    let mut fetch = pin!(fetch(&script, &grant));
    for _ in 0..10 {
        assert!(poll(fetch.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!((sent(&script).len(), store.token().as_str()), (1, "r1"));
    store.release();
    assert_eq!(fetch.await.unwrap(), "for-r2");
    assert_eq!(store.token(), "r2");
}

#[tokio::test]
async fn l27_an_unsaved_token_is_saved_before_anything_else() {
    let (script, store, grant) = scene([rotated!("r2"), rotated!("r3")], Moody::new("r1"));
    store.break_down(true);
    for _ in 0..3 {
        let error = fetch(&script, &grant).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source);
        assert!(error.is_transient());
        assert_eq!(error.source().unwrap().to_string(), "the disk is full");
    }
    assert_eq!(sent(&script), ["r1"], "nothing is sent that could cost another one");
    store.break_down(false);
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-r3");
    assert_eq!(sent(&script), ["r1", "r2"]);
    assert_eq!(store.token(), "r3");
}

#[tokio::test]
async fn l27_saving_goes_on_when_the_fetch_is_dropped() {
    let (script, store, grant) = scene([rotated!("r2"), rotated!("r3")], Moody::new("r1"));
    store.hold();
    {
        let mut fetch = pin!(fetch(&script, &grant));
        assert!(poll(fetch.as_mut()).is_pending());
    }
    tokio::task::yield_now().await;
    assert_eq!(store.token(), "r1");
    store.release();
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.token(), "r2", "although no fetch waited");
    fetch(&script, &grant).await.unwrap();
    assert_eq!(sent(&script), ["r1", "r2"]);
}

#[tokio::test]
async fn l27_without_a_spawner_the_next_fetch_saves() {
    let (script, store, grant) = scene([rotated!("r2"), rotated!("r3")], Moody::new("r1"));
    store.hold();
    let context = || first_fetch(script.clock.platform().with_spawn(NoSpawn::default()));
    let endpoint = endpoint(&script, &grant);
    {
        let mut fetch = pin!(endpoint.fetch(context()));
        assert!(poll(fetch.as_mut()).is_pending());
    }
    store.release();
    tokio::task::yield_now().await;
    assert_eq!(store.token(), "r1", "there was no task to save it");
    assert_eq!(endpoint.fetch(context()).await.unwrap().secret(), "for-r3");
    assert_eq!(sent(&script), ["r1", "r2"]);
}

#[tokio::test]
async fn l27_an_unusable_access_token_does_not_stop_the_save() {
    for body in [
        r#"{"access_token":"a","token_type":"DPoP","refresh_token":"r2"}"#,
        r#"{"access_token":"","refresh_token":"r2"}"#,
        r#"{"refresh_token":"r2"}"#,
        r#"{"access_token":"a","expires_in":-5,"refresh_token":"r2"}"#,
    ] {
        let script = Script::new([reply(200, body)]);
        let store = MemoryStore::new("r1");
        let error = fetch(&script, &RefreshToken::new(store.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Response, "{body}");
        assert_eq!(store.get(), Some(StoredToken::new("r2")), "{body}");
    }
}

#[tokio::test]
async fn a_new_consent_replaces_a_pending_successor() {
    let (script, store, grant) = scene([rotated!("r2"), rotated!("s2")], Moody::new("r1"));
    store.break_down(true);
    fetch(&script, &grant).await.unwrap_err();
    store.break_down(false);
    store.0.kept.set(Some(StoredToken::new("s1")));
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-s2");
    assert_eq!(sent(&script), ["r1", "s1"], "`r2` was dropped");
}

#[tokio::test]
async fn a_pending_successor_ends_with_the_sign_out() {
    let (script, store, grant) = scene([rotated!("i2"), rotated!("i3")], Moody::default());
    let grant = grant.initial("i1");
    store.break_down(true);
    fetch(&script, &grant).await.unwrap_err();
    store.break_down(false);
    grant.clear(&Platform::system()).await.unwrap();
    fetch(&script, &grant).await.unwrap();
    assert_eq!(sent(&script), ["i1", "i1"], "`i2` was forgotten");
}

#[tokio::test]
async fn l27_a_slow_save_still_keeps_others_out() {
    let (script, store, grant) = scene([rotated!("r2"), rotated!("r3")], Moody::new("r1"));
    store.hold();
    {
        let mut first = pin!(fetch(&script, &grant));
        assert!(poll(first.as_mut()).is_pending());
    }
    tokio::task::yield_now().await;
    script.clock.advance(Duration::from_secs(20));
    let mut second = pin!(fetch(&script, &grant));
    assert!(poll(second.as_mut()).is_pending());
    assert_eq!(store.0.savings.load(Ordering::Relaxed), 1, "no other fetch saves it meanwhile");
    store.release();
    assert_eq!(second.await.unwrap(), "for-r3");
    assert_eq!(sent(&script), ["r1", "r2"]);
}

#[tokio::test]
async fn l27_saving_is_given_up_after_a_minute() {
    let (script, store, grant) = scene([rotated!("r2"), rotated!("r3")], Moody::new("r1"));
    store.hold();
    {
        let mut first = pin!(fetch(&script, &grant));
        for seconds in [0, 59] {
            script.clock.advance(Duration::from_secs(seconds));
            assert!(poll(first.as_mut()).is_pending(), "after {seconds} s");
            tokio::task::yield_now().await;
        }
        script.clock.advance(Duration::from_millis(500));
        let mut second = pin!(fetch(&script, &grant));
        assert!(poll(second.as_mut()).is_pending());
        assert_eq!(store.0.savings.load(Ordering::Relaxed), 1, "no other fetch saves it meanwhile");
        script.clock.advance(Duration::from_millis(500));
        let error = first.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("within 60s"), "{error}");
    }
    store.release();
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-r3");
    assert_eq!(sent(&script), ["r1", "r2"], "the next fetch saved it first");
}

#[tokio::test]
async fn l27_a_late_response_does_not_replace_the_pending_successor() {
    let (script, store, grant) = scene([], Moody::new("r1"));
    let successor = |token: &str| {
        let json = format!(r#"{{"refresh_token":"{token}"}}"#);
        ResponseFields::of(json.as_bytes(), &["refresh_token"]).unwrap_or_else(|_| panic!("it is JSON"))
    };
    let (overdue_cx, overdue) = (script.context(), grant.parameters(&script.context()).await.unwrap());
    // The deadline of the first fetch has passed, so the second one takes its turn.
    script.clock.advance(Duration::from_secs(12));
    let (cx, second) = (script.context(), grant.parameters(&script.context()).await.unwrap());
    store.break_down(true);
    grant.on_response(&cx, &second, &successor("r2")).await.unwrap_err();
    grant.on_response(&overdue_cx, &overdue, &successor("r9")).await.unwrap_err();
    drop((overdue, second));
    store.break_down(false);
    grant.parameters(&script.context()).await.unwrap();
    assert_eq!(store.token(), "r2");
}

#[tokio::test]
async fn l11_without_room_for_a_successor_nothing_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    // So long that the name of a draft is longer than any: also the superuser cannot create it.
    let path = directory.path().join("r".repeat(240));
    std::fs::write(&path, r#"{"refresh_token":"first"}"#).unwrap();
    let script = Script::new([reply(200, r#"{"access_token":"a","expires_in":60}"#)]);
    let grant = RefreshToken::new(crate::store::FileStore::new(&path));
    let error = fetch(&script, &grant).await.unwrap_err();
    assert!(error.to_string().contains("no refresh token is sent, since its successor could not be saved"), "{error}");
    assert!(sent(&script).is_empty(), "{error}");
    fetch(&script, &grant.reusable()).await.unwrap();
    assert_eq!(sent(&script), ["first"]);
}
