//! Keeps `docs/COMPOSITION.md` and these tests together.

use std::collections::BTreeSet;

const TABLE: &str = include_str!("../../../docs/COMPOSITION.md");

const SOURCES: [&str; 11] = [
    include_str!("headers.rs"),
    include_str!("limits.rs"),
    include_str!("redirects.rs"),
    include_str!("replay.rs"),
    include_str!("reqwest_bodies.rs"),
    include_str!("reqwest_replay.rs"),
    include_str!("reqwest_retry.rs"),
    include_str!("reqwest_settings.rs"),
    include_str!("retry.rs"),
    include_str!("same_stack.rs"),
    include_str!("stack.rs"),
];

#[test]
fn every_line_of_the_table_has_its_test_and_every_test_its_line() {
    // A name in backticks with this many underscores is a test's, not a type's or a method's.
    let named = TABLE.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() >= 3);
    let named: BTreeSet<&str> = named.collect();
    let tests = SOURCES.iter().flat_map(|source| source.split("#[tokio::test]\nasync fn ").skip(1));
    let tests: BTreeSet<&str> = tests.filter_map(|text| text.split('(').next()).collect();
    assert_eq!(named, tests);
}
