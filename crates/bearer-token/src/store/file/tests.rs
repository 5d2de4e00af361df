use std::fs;

mod dropped;

use tempfile::TempDir;

use super::*;
use crate::error::ErrorKind;

fn store() -> (TempDir, FileStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path().join("token.json"));
    (directory, store)
}

async fn load(store: &FileStore) -> Result<Option<StoredToken>, Error> {
    store.load(&Platform::system()).await
}

async fn swap(store: &FileStore, seen: Option<&StoredToken>, next: Option<&StoredToken>) -> Result<bool, Error> {
    store.swap(&Platform::system(), seen, next).await
}

fn names(directory: &TempDir) -> Vec<String> {
    let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn l60_a_swap_replaces_only_what_was_seen() {
    let (directory, store) = store();
    let [a, b, c] = ["a", "b", "c"].map(StoredToken::new);
    for (seen, next, done, left) in [
        (Some(&a), Some(&b), false, None),
        (None, Some(&a), true, Some(&a)),
        (None, Some(&c), false, Some(&a)),
        (Some(&a), Some(&b), true, Some(&b)),
        (Some(&a), Some(&b), true, Some(&b)),
        (Some(&a), None, false, Some(&b)),
        (Some(&b), None, true, None),
        (Some(&b), None, true, None),
        (None, Some(&c), true, Some(&c)),
    ] {
        assert_eq!(swap(&store, seen, next).await.unwrap(), done, "{next:?}");
        assert_eq!(load(&FileStore::new(store.path())).await.unwrap().as_ref(), left);
    }
    assert_eq!(names(&directory), ["token.json"], "no draft stays");
    assert_eq!(fs::read_to_string(store.path()).unwrap(), r#"{"refresh_token":"c"}"#);
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_is_not_changed() {
    let (_directory, store) = store();
    let (a, b) = (StoredToken::new("planted-a"), StoredToken::new("planted-b"));
    for garbage in [r#"{"refresh_token":"plan"#, "planted", "{}", "\u{0}\u{0}"] {
        fs::write(store.path(), garbage).unwrap();
        for error in [load(&store).await.unwrap_err(), swap(&store, Some(&a), Some(&b)).await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Source);
            assert!(error.is_transient());
            let text = format!("{error} {error:?}");
            assert!(text.contains("token.json") && text.contains("restore it, or remove it"), "{text}");
            assert!(!text.contains("plan"), "{text}");
        }
        assert_eq!(fs::read_to_string(store.path()).unwrap(), garbage);
    }
    fs::write(store.path(), a.to_json().unwrap().as_bytes()).unwrap();
    assert!(swap(&store, Some(&a), Some(&b)).await.unwrap());

    fs::write(store.path(), vec![b' '; 300 * 1024]).unwrap();
    assert!(load(&store).await.unwrap_err().to_string().contains("more than 256 KiB"));
}

#[tokio::test]
async fn a_new_consent_overwrites_a_damaged_file_and_no_other() {
    let (_directory, store) = store();
    let (platform, token) = (Platform::system(), StoredToken::new("a"));
    let whole = r#"{"refresh_token":"planted","previous":"p"}"#;
    let torn = (0..=whole.len()).map(|length| whole[..length].to_owned());
    let damaged =
        [" \n", "\0\0\0", "{}", "{\"refresh_token\": null}", "{\"refresh_token\":\"b\"}-a\"}"].map(str::to_owned);
    for content in torn.chain(damaged) {
        for next in [Some(&token), None] {
            fs::write(store.path(), &content).unwrap();
            store.put(&platform, next).await.unwrap();
            assert_eq!(load(&store).await.unwrap().as_ref(), next, "{content}");
        }
    }
    store.put(&platform, None).await.unwrap();
    for foreign in [
        "planted",
        "[]",
        "{\"kty\":\"oct\"}",
        "{\"kty\":\"oct\",\"k\":\"0123456789abcdef\"}",
        "{\"name\": \"x",
        "-----BEGIN ",
        "\u{7f}ELF",
    ] {
        fs::write(store.path(), foreign).unwrap();
        for next in [Some(&token), None] {
            let error = store.put(&platform, next).await.unwrap_err();
            assert!(error.to_string().contains("contains something else, and is not overwritten"), "{error}");
            assert!(!error.is_transient());
        }
        assert_eq!(fs::read_to_string(store.path()).unwrap(), foreign);
    }
}

#[tokio::test]
async fn an_empty_file_is_no_token_unless_it_had_one() {
    let (_directory, store) = store();
    let (a, b) = (StoredToken::new("a"), StoredToken::new("b"));
    fs::write(store.path(), "\n").unwrap();
    assert_eq!(load(&store).await.unwrap(), None);
    assert!(swap(&store, None, Some(&a)).await.unwrap());
    fs::write(store.path(), "").unwrap();
    // Another program is writing it: the token before may be used up.
    for error in [load(&store).await.unwrap_err(), swap(&store, None, Some(&b)).await.unwrap_err()] {
        assert!(error.is_transient() && error.to_string().contains("restore it, or remove it"), "{error}");
    }
}

#[tokio::test]
async fn a_file_is_read_up_to_its_limit() {
    let (_directory, store) = store();
    let json = r#"{"refresh_token":"a"}"#;
    for (length, is_read) in [(2_000, true), (draft::TOKEN_FILE_LIMIT, true), (draft::TOKEN_FILE_LIMIT + 1, false)] {
        fs::write(store.path(), [json, &" ".repeat(length - json.len())].concat()).unwrap();
        assert_eq!(load(&store).await.is_ok(), is_read, "{length} bytes");
    }
    assert_eq!(draft::TOKEN_FILE_LIMIT, 262_144);
}

#[tokio::test]
async fn a_missing_directory_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path().join("nowhere/token.json"));
    let token = StoredToken::new("a");
    let lease = store.lease(&Platform::system()).await.err();
    for error in [load(&store).await.err(), swap(&store, None, Some(&token)).await.err(), lease] {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("its directory does not exist"), "{error}");
    }
}

#[tokio::test]
async fn a_path_without_a_directory_is_in_the_current_one() {
    // No test may change that one, so nothing is written.
    let store = FileStore::new("bearer-token-test-no-such-file.json");
    assert_eq!(load(&store).await.unwrap(), None);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::test_support::LeapingClock;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn only_the_owner_can_read_a_written_file() {
        let (directory, store) = store();
        let (a, b) = (StoredToken::new("a"), StoredToken::new("b"));
        assert!(swap(&store, None, Some(&a)).await.unwrap());
        assert_eq!(mode(store.path()), 0o600);
        fs::set_permissions(store.path(), fs::Permissions::from_mode(0o644)).unwrap();
        let lease = store.lease(&Platform::system()).await.unwrap();
        assert_eq!(mode(&location::beside(store.path(), ".lock")), 0o600);
        assert_eq!(load(&store).await.unwrap().as_ref(), Some(&a));
        store.prepare(&Platform::system()).await.unwrap();
        drop(lease);
        assert_eq!((mode(store.path()), names(&directory)), (0o644, vec!["token.json".to_owned()]));
        assert!(swap(&store, Some(&a), Some(&b)).await.unwrap());
        assert_eq!(mode(store.path()), 0o600);
    }

    #[tokio::test]
    #[allow(clippy::disallowed_methods, reason = "a failure would hang")]
    async fn a_pipe_or_a_directory_is_an_error_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (token, pipe) = (StoredToken::new("a"), directory.path().join("pipe"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::create_dir(directory.path().join("directory")).unwrap();
        for name in ["pipe", "directory"] {
            let path = directory.path().join(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            let store = FileStore::new(&path);
            let platform = Platform::system();
            for error in [
                store.lease(&platform).await.map(drop).unwrap_err(),
                load(&store).await.map(drop).unwrap_err(),
                swap(&store, None, Some(&token)).await.map(drop).unwrap_err(),
                store.put(&platform, Some(&token)).await.unwrap_err(),
                store.prepare(&platform).await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::Config);
            }
            let error = load(&store).await.unwrap_err().to_string();
            assert!(error.contains("expected a regular file"), "{error}");
            assert_eq!(mode(&path), 0o755);
        }
        assert_eq!(names(&directory), ["directory", "pipe"], "no lock and no draft");
    }

    #[tokio::test]
    async fn l11_all_names_of_a_file_share_its_lock() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("real")).unwrap();
        symlink("real", at("alias")).unwrap();
        symlink("alias/token.json", at("link.json")).unwrap();
        symlink("link.json", at("link-of-link.json")).unwrap();
        let platform = LeapingClock::new().platform();
        // Before the file exists, and after.
        for _ in 0..2 {
            let lease = FileStore::new(at("real/token.json")).lease(&platform).await.unwrap();
            for name in ["alias/token.json", "link.json", "link-of-link.json", "real/../alias/token.json"] {
                let error = FileStore::new(at(name)).lease(&platform).await.unwrap_err();
                assert!(error.to_string().contains("another process"), "{name}: {error}");
            }
            drop(lease);
            fs::write(at("real/token.json"), r#"{"refresh_token":"a"}"#).unwrap();
        }
    }

    #[tokio::test]
    async fn a_link_to_a_missing_file_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("data")).unwrap();
        symlink("data/token.json", at("token.json")).unwrap();
        let store = FileStore::new(at("token.json"));
        let token = StoredToken::new("a");
        assert_eq!(load(&store).await.unwrap(), None);
        assert!(swap(&store, None, Some(&token)).await.unwrap());
        assert!(fs::symlink_metadata(at("token.json")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(at("data/token.json")).unwrap(), r#"{"refresh_token":"a"}"#);

        symlink("loop.json", at("loop.json")).unwrap();
        symlink("nowhere/token.json", at("dangling.json")).unwrap();
        for name in ["loop.json", "dangling.json"] {
            swap(&FileStore::new(at(name)), None, Some(&token)).await.unwrap_err();
            assert!(fs::symlink_metadata(at(name)).unwrap().is_symlink(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_link_to_the_file_stays_a_link() {
        let (directory, store) = store();
        let (a, b) = (StoredToken::new("a"), StoredToken::new("b"));
        let elsewhere = directory.path().join("elsewhere.json");
        fs::write(&elsewhere, a.to_json().unwrap().as_bytes()).unwrap();
        symlink(&elsewhere, store.path()).unwrap();
        assert!(swap(&store, Some(&a), Some(&b)).await.unwrap());
        assert!(fs::symlink_metadata(store.path()).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), r#"{"refresh_token":"b"}"#);
        assert_eq!(names(&directory), ["elsewhere.json", "token.json"]);
    }

    #[tokio::test]
    async fn a_lease_is_waited_for_up_to_a_limit() {
        let (_directory, store) = store();
        let other = FileStore::new(store.path());
        let clock = LeapingClock::new();
        let platform = clock.platform();

        let first = store.lease(&platform).await.unwrap();
        clock.at_sleep(3, || drop(first));
        let lease = other.lease(&platform).await.unwrap();
        assert_eq!(clock.sleeps(), 3, "the first lease was released then");

        let error = store.lease(&platform).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source);
        assert!(error.is_transient() && error.to_string().contains("another process"), "{error}");
        drop(lease);
        store.lease(&platform).await.unwrap();
    }
}
