//! What the guide says in tables and lists, against the code: a new event, metric or number without its line fails
//! here. Its snippets are doctests of this package, and `tests/troubleshooting` checks its messages.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what helpers of tests find wrong must end the test"
)]

use std::{fs, path::Path};

mod configuration;
mod errors;
mod fleets;
mod life;
mod observability;
mod queries;
mod security;

/// The text of a chapter.
fn chapter(name: &str) -> String {
    source(&format!("guide/{name}.md"))
}

/// A file of the core's sources.
fn source(path: &str) -> String {
    let core = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/bearer-token/src"));
    fs::read_to_string(core.join(path)).unwrap()
}

/// The code blocks of a chapter in one language.
fn blocks(chapter: &str, language: &str) -> Vec<String> {
    let fences = chapter.split("\n```").skip(1).step_by(2);
    let blocks = fences.filter_map(|block| block.split_once('\n'));
    blocks.filter(|(first, _)| *first == language).map(|(_, block)| block.to_owned()).collect()
}

/// The cells of the table that has this heading.
fn table(chapter: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, rows) = chapter.split_once(&format!("\n{heading}\n")).expect(heading);
    let rows = rows.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn the_contents_list_every_chapter() {
    let contents = source("guide.rs");
    let chapters: Vec<&str> =
        contents.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(" {}")).collect();
    assert!(chapters.len() > 10, "{chapters:?}");
    let of_tests = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    for name in chapters {
        assert!(contents.contains(&format!("| [`{name}`] |")), "the table has no row for {name}");
        assert!(of_tests.split_whitespace().any(|word| word == name), "the snippets of {name} are not compiled");
    }
}
