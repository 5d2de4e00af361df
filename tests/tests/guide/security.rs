//! The chapter on security: the tests that its tables name exist.

use std::{collections::BTreeSet, fs, path::Path};

use super::{chapter, table};

#[test]
fn every_test_that_the_threats_name_exists() {
    let text = chapter("security");
    let mut rest = text.as_str();
    let mut named = BTreeSet::new();
    let heading = "| threat | what is in the way | tests |";
    while let Some(at) = rest.find(heading) {
        for row in table(&rest[at - 1..], heading) {
            let tests = row[2].split(',').map(|name| name.trim().trim_matches('`').to_owned());
            assert!(tests.clone().all(|name| !name.is_empty()), "{row:?}");
            named.extend(tests);
        }
        rest = &rest[at + heading.len()..];
    }
    assert!(named.len() > 30, "{named:?}");
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut files = vec![root.join("crates"), root.join("tests")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            let inside = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
            files.extend(inside.filter(|path| !path.ends_with("target")));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(path).unwrap();
            named.retain(|name| !source.contains(&format!("fn {name}(")));
        }
    }
    assert!(named.is_empty(), "no such tests: {named:#?}");
}
