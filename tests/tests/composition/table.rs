//! Keeps `docs/COMPOSITION.md` and these tests together.

use std::collections::BTreeSet;

const TABLE: &str = include_str!("../../../docs/COMPOSITION.md");

const SOURCES: [&str; 13] = [
    include_str!("headers.rs"),
    include_str!("limits.rs"),
    include_str!("redirects.rs"),
    include_str!("replay.rs"),
    include_str!("replay_events.rs"),
    include_str!("reqwest_bodies.rs"),
    include_str!("reqwest_replay.rs"),
    include_str!("reqwest_retry.rs"),
    include_str!("reqwest_settings.rs"),
    include_str!("retry.rs"),
    include_str!("same_stack.rs"),
    include_str!("sending.rs"),
    include_str!("stack.rs"),
];

/// The entry that repeats the test of the previous line.
const DITTO: &str = "the same";

/// The names in backticks. One with this many underscores is a test, not a type or a method.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() >= 3)
}

/// The functions with a test attribute, in any combination with others.
fn tests(source: &str) -> Vec<&str> {
    let (mut tests, mut marked) = (Vec::new(), false);
    for line in source.lines() {
        let function = line.trim_start_matches("async ").strip_prefix("fn ");
        match function.and_then(|rest| rest.split(['(', '<']).next()) {
            Some(name) if marked => tests.push(name),
            _ => marked |= line == "#[test]" || line.starts_with("#[tokio::test"),
        }
        marked &= function.is_none();
    }
    tests
}

/// The lines of the tables that name no test.
fn untested(table: &str) -> Vec<&str> {
    let lines = table.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let shows = |line: &&str| {
        let last = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
        named(last).next().is_some() || [DITTO, "shown by"].contains(&last)
    };
    lines.filter(|line| !shows(line)).collect()
}

#[test]
fn table_lines_and_tests_correspond() {
    assert_eq!(named(TABLE).collect::<BTreeSet<_>>(), SOURCES.into_iter().flat_map(tests).collect());
    assert!(untested(TABLE).is_empty(), "{:?}", untested(TABLE));
}

#[test]
fn no_kind_of_test_and_no_line_is_overlooked() {
    let source = "#[test]\nfn one_two_three_four() {\n    fn inner() {}\n}\n\nfn helper() {}\n\
        #[tokio::test(flavor = \"multi_thread\")]\n#[allow(unused)]\nasync fn five_six_seven_eight() {}\nfn other() {}\n";
    assert_eq!(tests(source), ["one_two_three_four", "five_six_seven_eight"]);
    let table =
        "| layer | shown by |\n|---|---|\n| a | `one_two_three_four` |\n| b | the same |\n| c | |\n| `d` | `e_f` |\n";
    assert_eq!(untested(table), ["| c | |", "| `d` | `e_f` |"]);
}
