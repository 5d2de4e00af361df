//! The guide's chapter on troubleshooting has every message of the crates, and no other.
//!
//! The messages are the string literals of the sources that say what was found, and those that begin an error. Two dots
//! stand for what a message fills in.
#![cfg(test)]

use std::{collections::BTreeSet, fs, path::Path};

const CHAPTER: &str = include_str!("../../crates/bearer-token/src/guide/troubleshooting.md");

#[test]
fn every_message_is_in_the_guide() {
    let (written, told) = (messages(), chapter());
    let missing: Vec<_> = written.difference(&told).collect();
    assert!(missing.is_empty(), "add each under a paragraph of {CHAPTER_PATH}: {missing:#?}");
    let gone: Vec<_> = told.difference(&written).collect();
    assert!(gone.is_empty(), "no source has these any more; remove them from {CHAPTER_PATH}: {gone:#?}");
    assert!(written.len() > 300, "{}", written.len());
}

const CHAPTER_PATH: &str = "crates/bearer-token/src/guide/troubleshooting.md";

#[test]
fn every_kind_has_a_paragraph() {
    let source = fs::read_to_string(crates().join("bearer-token/src/error.rs")).unwrap();
    let (_, kinds) = source.split_once("pub enum ErrorKind {").unwrap();
    let (kinds, _) = kinds.split_once("\n}").unwrap();
    let kinds: Vec<_> = kinds.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    assert!(kinds.contains(&"Refused"), "{kinds:?}");
    for kind in kinds {
        assert!(CHAPTER.contains(&format!("\n**`{kind}`.**")), "{CHAPTER_PATH} has no paragraph for {kind}");
    }
}

#[test]
fn a_message_is_read_up_to_its_advice() {
    let found = in_source(
        "f(\"found a `{name}` too long {at:?}; expected {{}}\"); Error::new(ErrorKind::Token, \"it is {}: \\\n  x\")",
    );
    assert_eq!(found, ["found a .. too long ..", "it is ..: x"]);
    assert!(in_source("let found = \"found {kind}\"; // found nothing").is_empty());
}

/// The lines of the chapter's lists of messages.
fn chapter() -> BTreeSet<String> {
    let (_, lists) = CHAPTER.split_once("\n## Messages\n").unwrap();
    let lists = lists.replace("\n  ", " ");
    let lines = lists.lines().filter_map(|line| line.strip_prefix("- "));
    lines.map(|line| line.replace('`', "").trim().to_owned()).collect()
}

fn crates() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates"))
}

fn messages() -> BTreeSet<String> {
    let mut messages = BTreeSet::new();
    let mut directories = vec![crates().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_of_tests = name.contains("test");
            if path.is_dir() && !is_of_tests {
                directories.push(path);
            } else if name.ends_with(".rs") && !is_of_tests {
                messages.extend(in_source(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    messages
}

fn in_source(source: &str) -> Vec<String> {
    let code = source.split("\nmod tests {").next().unwrap();
    let code: Vec<_> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut messages = Vec::new();
    let mut rest = code.as_str();
    let mut before = String::new();
    while let Some(start) = rest.find('"') {
        before.push_str(&rest[..start]);
        let Some(length) = end_of_literal(&rest[start + 1..]) else { break };
        let literal = &rest[start + 1..start + 1 + length];
        // A quote as a character is not the start of a string.
        if before.ends_with('\'') || before.ends_with("'\\") {
            rest = &rest[start + 1..];
            continue;
        }
        let begins_an_error = ["Error::new(", "with_context("].iter().any(|call| {
            let arguments = before.rfind(call).map(|at| &before[at + call.len()..]);
            arguments.is_some_and(|arguments| {
                let arguments = arguments.replace("format!(", "");
                arguments.chars().all(|c| c.is_alphanumeric() || ":_, \n".contains(c))
                    && arguments.matches(',').count() < 2
            })
        });
        if literal.starts_with("found ") || begins_an_error {
            messages.extend(clause(literal));
        }
        rest = &rest[start + length + 2..];
        before.clear();
    }
    messages
}

fn end_of_literal(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// What the message says before its advice, without backticks; `None` if nearly all of it is filled in.
fn clause(literal: &str) -> Option<String> {
    let joined: Vec<_> =
        literal.split("\\\n").enumerate().map(|(n, part)| if n == 0 { part } else { part.trim_start() }).collect();
    let text = joined.concat().replace("\\\"", "\"").replace("\\\\", "\\");
    let text = text.split("; ").next().unwrap_or_default().replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut clause = String::new();
    let mut rest = text.as_str();
    while let Some((start, after)) = rest.split_once('{') {
        clause.push_str(start);
        rest = after;
        match after.split_once('}') {
            Some((name, after)) if name.chars().all(|c| c.is_alphanumeric() || "_:.?".contains(c)) => {
                clause.push_str("..");
                rest = after;
            }
            _ => clause.push('{'),
        }
    }
    clause.push_str(rest);
    let clause = clause.replace('\u{1}', "{").replace('\u{2}', "}").replace('`', "");
    let own = clause.trim_start_matches("found ").chars().filter(char::is_ascii_alphabetic).count();
    (own > 3).then(|| clause.trim().to_owned())
}
