//! What the scripts ask of a server: nothing that Redis 6.0 and Valkey 7.2 do not have, and nothing undocumented.

use std::collections::BTreeSet;

use super::*;

/// Each command with the version of Redis that introduced it in the form in which it is used here, by its documentation
/// at redis.io. Valkey began with all of Redis 7.2.
const COMMANDS: [(&str, u32); 5] = [
    ("HDEL", 20000),
    ("HMGET", 20000),
    // With several fields.
    ("HSET", 40000),
    ("PEXPIRE", 20600),
    // A script that reads the time may write since 5.0, where its effects are replicated and not the script.
    ("TIME", 50000),
];

/// Our own functions, and those of Lua 5.1 and of `redis`, which all versions have.
const FUNCTIONS: [&str; 13] = [
    "keep",
    "math.ceil",
    "math.max",
    "number",
    "redis.call",
    "redis.pcall",
    "snapshot",
    "string.find",
    "string.format",
    "string.match",
    "tonumber",
    "unpack",
    "whole",
];

/// How commands are called. An error of the second is a value, so a script can tell what it found.
const CALLS: [&str; 2] = ["redis.call(", "redis.pcall("];

fn all() -> [String; 4] {
    [READ, LEASE, SAVE, RELEASE].map(|body| format!("{COMMON}{body}"))
}

/// The words after which there is an opening parenthesis.
fn called(script: &str) -> BTreeSet<&str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || ".:_".contains(letter);
    let before = script.match_indices('(').map(|(at, _)| &script[..at]);
    let words = before.filter_map(|before| before.rsplit(|letter: char| !is_part(letter)).next());
    words.filter(|word| !word.is_empty() && *word != "or").collect()
}

fn commands(script: &str) -> BTreeSet<&str> {
    let calls = CALLS.iter().flat_map(|call| script.split(call).skip(1));
    calls.filter_map(|rest| rest.strip_prefix('\'')?.split('\'').next()).collect()
}

#[test]
fn every_command_is_in_the_oldest_version() {
    let all = all();
    let found: BTreeSet<_> = all.iter().flat_map(|script| commands(script)).collect();
    assert_eq!(found, COMMANDS.map(|(name, _)| name).into());
    for (name, version) in COMMANDS {
        assert!(version <= 60000, "{name} is newer than Redis 6.0");
    }
}

#[test]
fn every_function_is_known() {
    let all = all();
    let found: BTreeSet<_> = all.iter().flat_map(|script| called(script)).collect();
    assert_eq!(found, FUNCTIONS.into());
}

#[test]
fn commands_are_called_by_their_names_only() {
    for script in all() {
        for call in CALLS {
            let by_name = format!("{call}'");
            assert_eq!(script.matches(call).count(), script.matches(&by_name).count(), "a computed name is not found");
        }
    }
}

#[test]
fn the_documentation_names_what_an_acl_has_to_permit() {
    let documentation = include_str!("../store.rs");
    for (name, _) in COMMANDS {
        assert!(documentation.contains(&format!("`{name}`")), "{name}");
    }
}
