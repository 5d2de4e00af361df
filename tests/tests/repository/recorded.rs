//! The errors that the servers of `tests/interop` caused, as they were recorded: they have the words of today.

use std::fs;

use serde_json::Value;

use super::{files, root};

/// The literal text of the core, without the line ends inside of strings.
fn sources() -> String {
    let all: String = files(&root().join("crates/bearer-token/src"), "rs")
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let mut joined = String::new();
    for line in all.lines() {
        match line.trim_start().strip_suffix('\\') {
            Some(begun) => joined.push_str(begun),
            None => joined.extend([line.trim_start(), "\n"]),
        }
    }
    joined.replace("\\\"", "\"")
}

/// The pieces of a message that are in the code as they are: between what is filled in, and of six words at least.
fn pieces(message: &str) -> Vec<&str> {
    let is_end = |place: &(usize, char)| {
        let rest = &message[place.0..];
        matches!(place.1, '`' | ';' | ',') || rest.starts_with(". ") || rest.starts_with(": ")
    };
    let mut found = Vec::new();
    let mut start = 0;
    for (at, end) in message.char_indices().filter(is_end).chain([(message.len(), '.')]) {
        found.push(&message[start..at]);
        start = (at + end.len_utf8()).min(message.len());
    }
    let is_literal = |piece: &&str| {
        piece.split_whitespace().count() > 5 && !piece.contains("http") && !piece.chars().any(|c| c.is_ascii_digit())
    };
    let trimmed = found.into_iter().map(|piece| piece.trim_matches([' ', '.']));
    trimmed.map(|piece| piece.strip_prefix("Or ").unwrap_or(piece)).filter(is_literal).collect()
}

#[test]
fn the_errors_that_servers_caused_are_recorded_in_the_words_of_the_code() {
    let sources = sources();
    let (mut looked, mut wrong) = (0, Vec::new());
    for file in files(&root().join("tests/interop"), "json").iter().filter(|file| file.ends_with("results.json")) {
        let results: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        for error in results["errors"].as_array().unwrap() {
            for piece in pieces(error["message"].as_str().unwrap()) {
                looked += 1;
                if !sources.contains(piece) {
                    wrong.push(format!("{}: {piece}", file.display()));
                }
            }
        }
    }
    assert!(looked > 200, "{looked}");
    assert!(wrong.is_empty(), "a server's run shows other words (`tests/interop/run all` records them): {wrong:#?}");
}
