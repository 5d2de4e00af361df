use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::test_support::NoEntropy;

const SUFFIX: &str = "1a-0-00000000000000ff";

/// A directory with a token file of this content, or without one.
fn directory(content: Option<&str>) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    // As the lock's file has it.
    let path = fs::canonicalize(directory.path()).unwrap().join("token.json");
    if let Some(content) = content {
        fs::write(&path, content).unwrap();
    }
    (directory, path)
}

/// A draft as a process that crashed here leaves it.
fn leave(path: &Path, suffix: &str, content: &str) -> PathBuf {
    let draft = location::beside(path, &format!(".{}.{suffix}.new", version(path)));
    fs::write(&draft, content).unwrap();
    draft
}

fn settle_all(path: &Path) {
    let lock = fs::metadata(path.parent().unwrap()).unwrap();
    settle(path, &lock, "2-0-0").unwrap();
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const R1: &str = r#"{"refresh_token":"r1"}"#;
const R2: &str = r#"{"refresh_token":"r2"}"#;
const R3: &str = r#"{"refresh_token":"r3"}"#;

#[test]
fn l27_a_whole_successor_of_a_crash_is_used() {
    for content in [Some(R1), Some("damaged"), None] {
        let (directory, path) = directory(content);
        leave(&path, SUFFIX, R2);
        settle_all(&path);
        assert_eq!(fs::read_to_string(&path).unwrap(), R2, "{content:?}");
        assert_eq!(names(&directory), ["token.json"]);
    }
}

#[test]
fn a_torn_draft_is_removed() {
    for draft in ["", &R2[..R2.len() - 1], "\0\0\0\0", "    ", "{}", &" ".repeat(TOKEN_FILE_LIMIT + 1)] {
        let (directory, path) = directory(Some(R1));
        leave(&path, SUFFIX, draft);
        settle_all(&path);
        assert_eq!(fs::read_to_string(&path).unwrap(), R1, "{draft:.30}");
        assert_eq!(names(&directory), ["token.json"]);
    }
}

#[test]
fn a_draft_of_an_earlier_consent_is_removed() {
    let (directory, path) = directory(Some(R1));
    leave(&path, SUFFIX, R2);
    // A person has consented again, in another program.
    fs::write(&path, r#"{"refresh_token":"a new one"}"#).unwrap();
    settle_all(&path);
    assert!(fs::read_to_string(&path).unwrap().contains("a new one"));
    fs::remove_file(&path).unwrap();
    leave(&path, SUFFIX, R2);
    fs::write(&path, R1).unwrap();
    settle_all(&path);
    assert_eq!(fs::read_to_string(&path).unwrap(), R1, "there was no file, and now there is one");
    assert_eq!(names(&directory), ["token.json"]);
}

#[test]
fn of_several_successors_the_latest_is_used() {
    let (directory, path) = directory(Some(R1));
    let (earlier, later) = (leave(&path, "1-0-0", R3), leave(&path, "1-1-0", R2));
    let now = fs::metadata(&later).unwrap().modified().unwrap();
    for (draft, age) in [(&earlier, 2), (&later, 1)] {
        let file = File::options().write(true).open(draft).unwrap();
        file.set_modified(now - Duration::from_secs(age)).unwrap();
    }
    settle_all(&path);
    assert_eq!(fs::read_to_string(&path).unwrap(), R2);
    assert_eq!(names(&directory), ["token.json"]);
}

#[test]
fn a_new_consent_removes_every_draft() {
    let (directory, path) = directory(Some(R1));
    leave(&path, "1-0-0", R2);
    leave(&path, "1-1-0", "torn");
    remove_all(&path);
    assert_eq!(names(&directory), ["token.json"]);
}

#[test]
fn files_of_other_programs_stay() {
    let others =
        ["token.json.lock", "token.json.new", "token.json.7.new", "token.json.backup.1-2-3.old", "token.jsonx"];
    let (directory, path) = directory(Some(R1));
    for name in others {
        fs::write(directory.path().join(name), R2).unwrap();
    }
    fs::write(location::beside(&path, &format!(".{SUFFIX}.probe")), " ").unwrap();
    settle_all(&path);
    remove_all(&path);
    let mut expected: Vec<_> = others.into_iter().chain(["token.json"]).collect();
    expected.sort_unstable();
    assert_eq!(names(&directory), expected);
    assert_eq!(fs::read_to_string(&path).unwrap(), R1);
}

#[test]
fn a_name_is_a_drafts_only_as_a_whole() {
    for (name, expected) in [
        ("token.json.18c-16.1a-0-ff.new", Some(Some("18c-16"))),
        ("token.json.none.1a-0-ff.new", Some(Some("none"))),
        ("token.json.1a-0-ff.probe", Some(None)),
        ("token.json.18c-16.1a-0.new", None),
        ("token.json.backup.probe", None),
        ("token.json.18c-16.1a-0-fg.new", None),
        ("token.json.18c-16.1a-0-.new", None),
        ("token.json.1a-0-ff.new", None),
        ("token.json.18c-16.1a-0-ff.probe", None),
        ("token.json.18c-16.1a-0-ff.new.old", None),
        ("other.json.18c-16.1a-0-ff.new", None),
        ("xtoken.json.1a-0-ff.probe", None),
        ("token.json", None),
    ] {
        let parsed = parse_name(OsStr::new("token.json"), OsStr::new(name));
        assert_eq!(parsed, expected.map(|version| version.map(str::to_owned)), "{name}");
    }
}

#[test]
fn no_two_suffixes_are_equal() {
    let platforms = [Platform::system(), Platform::system().with_entropy(NoEntropy)];
    let suffixes: Vec<_> = (0..10).flat_map(|_| platforms.iter().map(suffix)).collect();
    let mut unique = suffixes.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), suffixes.len());
    for suffix in suffixes {
        assert!(parse_name(OsStr::new("t"), OsStr::new(&format!("t.none.{suffix}.new"))).is_some(), "{suffix}");
    }
    // Containers that share a process id differ in the random part.
    let random = |suffix: String| suffix.rsplit('-').next().map(str::to_owned);
    assert_ne!(random(suffix(&platforms[0])), random(suffix(&platforms[0])));
}

#[test]
fn a_failed_replacement_leaves_no_draft() {
    let (directory, path) = directory(None);
    fs::create_dir(&path).unwrap();
    replace(&path, R2.as_bytes(), SUFFIX).unwrap_err();
    assert_eq!(names(&directory), ["token.json"]);
    probe(&path, SUFFIX).unwrap();
    assert_eq!(names(&directory), ["token.json"]);
}

#[cfg(unix)]
#[test]
fn a_link_as_a_draft_is_not_followed() {
    use std::os::unix::fs::symlink;

    let (directory, path) = directory(Some(R1));
    let victim = directory.path().join("victim");
    fs::write(&victim, R3).unwrap();
    let draft = location::beside(&path, &format!(".{}.{SUFFIX}.new", version(&path)));
    symlink(&victim, &draft).unwrap();
    let error = replace(&path, R2.as_bytes(), SUFFIX).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&victim).unwrap(), R3);

    symlink(&victim, &draft).unwrap();
    settle_all(&path);
    assert_eq!(fs::read_to_string(&path).unwrap(), R1, "what the link leads to is not a draft");
    assert_eq!(fs::read_to_string(&victim).unwrap(), R3);
}

#[cfg(unix)]
#[test]
fn a_draft_of_another_user_is_not_used() {
    for content in [Some(R1), None] {
        let (_directory, path) = directory(content);
        let draft = leave(&path, SUFFIX, R2);
        if std::os::unix::fs::chown(&draft, Some(65_534), None).is_err() {
            // Only the superuser can make one.
            return;
        }
        settle_all(&path);
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), content);
    }
}
