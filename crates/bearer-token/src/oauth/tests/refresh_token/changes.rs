//! What counts as a change of the refresh token.

use super::*;

#[tokio::test]
async fn l07_a_new_stored_token_needs_no_restart() {
    let (script, store, grant) = scene([reply(400, GONE), rotated!("s2"), rotated!("t2")], MemoryStore::default());
    let error = fetch(&script, &grant).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Source, Retry::AfterChange));
    assert!(error.to_string().contains("has to consent first"), "{error}");
    store.set(Some(StoredToken::new("r1")));
    fetch(&script, &grant).await.unwrap_err();
    // Another program writes into the store, or this one does.
    store.set(Some(StoredToken::new("s1")));
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-s2");
    grant.replace(&Platform::system(), "t1").await.unwrap();
    assert_eq!(fetch(&script, &grant).await.unwrap(), "for-t2");
    assert_eq!(sent(&script), ["r1", "s1", "t1"]);
    grant.clear(&Platform::system()).await.unwrap();
    assert_eq!(store.get(), None);
    assert!(fetch(&script, &grant).await.unwrap_err().to_string().contains("has to consent first"));
}

#[tokio::test]
async fn l07_only_a_token_from_elsewhere_is_a_change() {
    let platform = Platform::system();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("refresh.json");
    for own in [false, true] {
        let grant = RefreshToken::new(crate::store::FileStore::new(&path));
        let elsewhere = if own { grant.clone() } else { RefreshToken::new(crate::store::FileStore::new(&path)) };
        elsewhere.replace(&platform, "first").await.unwrap();
        let gone = || reply(400, r#"{"error":"invalid_grant"}"#);
        let script = Script::new([rotated!("second"), gone(), rotated!("fourth")]);
        let source = TokenEndpoint::builder(URL, grant).transport(script.clone()).build().unwrap();
        source.fetch(script.context()).await.unwrap();
        assert!(!source.has_changed(), "it was this grant that wrote");
        source.fetch(script.context()).await.unwrap_err();
        assert!(!source.has_changed());
        elsewhere.replace(&platform, "third").await.unwrap();
        assert!(source.has_changed(), "own: {own}");
        source.fetch(script.context()).await.unwrap();
        assert!(!source.has_changed());
        assert!(script.bodies()[2].ends_with("=third"));
    }
}

// shows: 6749/6c
#[cfg(unix)]
#[tokio::test]
async fn l07_a_new_client_secret_is_a_change() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let (path, secret) = (directory.path().join("refresh.json"), directory.path().join("secret"));
    std::fs::write(&path, r#"{"refresh_token":"first"}"#).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&secret, "one").unwrap();
    let script = Script::new([reply(401, r#"{"error":"invalid_client"}"#)]);
    let source = TokenEndpoint::builder(URL, RefreshToken::new(crate::store::FileStore::new(&path)))
        .client_auth(ClientAuth::basic("id", ClientSecret::from_file(&secret)))
        .transport(script.clone())
        .build()
        .unwrap();
    source.fetch(script.context()).await.unwrap_err();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert!(!source.has_changed());
    std::fs::write(&secret, "two").unwrap();
    assert!(source.has_changed());
}
