//! `docs/FLEETS.md`: each test and command that its table of promises names exists.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::table;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The names of all tests in the sources: functions with an attribute that ends in `test`, and the clauses of the contract
/// of stores, which a macro makes tests of.
fn tests() -> BTreeSet<String> {
    let mut folders: Vec<PathBuf> =
        ["crates", "tests", "examples", "benches"].iter().map(|folder| Path::new(ROOT).join(folder)).collect();
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let is_clause = path.parent().is_some_and(|folder| folder.ends_with("store_contract"));
                add_tests(&text, is_clause, &mut found);
            }
        }
    }
    found
}

fn add_tests(text: &str, all_are_tests: bool, found: &mut BTreeSet<String>) {
    let mut is_test = all_are_tests;
    for line in text.lines().map(str::trim) {
        if let Some((_, rest)) = line.split_once("fn ") {
            found.extend(rest.split(['(', '<']).next().filter(|_| is_test).map(str::to_owned));
            is_test = all_are_tests;
        }
        let attribute = line.strip_prefix("#[").and_then(|rest| rest.split(['(', ']']).next());
        is_test |= attribute.is_some_and(|name| name.ends_with("test"));
    }
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_test_that_a_promise_of_fleets_names_exists() {
    let document = fs::read_to_string(Path::new(ROOT).join("docs/FLEETS.md")).unwrap();
    let rows = table(&document, "| promise | shown by |");
    assert!(rows.len() > 30, "{}", rows.len());
    let tests = tests();
    for row in &rows {
        let [promise, shown] = &row[..] else { panic!("{row:?} has two cells") };
        let names = quoted(shown);
        assert!(!names.is_empty(), "no test shows: {promise}");
        for name in names {
            let is_there = match name.split_once(' ') {
                // A command: its target is a file or a folder.
                Some((_, rest)) => rest.split(' ').any(is_target),
                None => tests.contains(name),
            };
            assert!(is_there, "`{name}` does not exist, which shows: {promise}");
        }
    }
}

/// Whether there is a test or an example with this name.
fn is_target(name: &str) -> bool {
    let places = [
        format!("tests/tests/{name}"),
        format!("tests/engines/tests/{name}.rs"),
        format!("tests/engines/tests/{name}"),
        format!("examples/{name}"),
        format!("examples/{name}.rs"),
    ];
    places.iter().any(|place| Path::new(ROOT).join(place).exists())
}
