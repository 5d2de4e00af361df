//! The mistakes of a newcomer, and what the message of each must say: what was found, what was expected, what to
//! change.
//!
//! Rows with a number are the provoked mistakes of a first use, and a word after it is a variant; the others are ours. Every
//! row also holds that the
//! message repeats no planted secret, that it names the provider, and that each path in it is a field, a variable or a
//! builder's method that exists. A row that leaves out what was expected, or what to change, has a reason for it.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests spawn callers, and guard themselves against hanging")]

mod configuration;
mod connections;
mod events;
mod files;
mod keys;
mod names;
mod requests;
mod row;
mod slips;
mod tls;
mod token_requests;
mod world;

use std::collections::BTreeSet;

use self::row::{Named, Row};

/// Runs one table, and reports every row that fails.
fn check(rows: &[Row], named: &Named) {
    assert!(rows.len() >= 3, "a table with rows");
    let only = std::env::var("MISTAKE").ok();
    let mut failures = Vec::new();
    for row in rows.iter().filter(|row| only.as_ref().is_none_or(|only| row.id() == only)) {
        if std::env::var_os("MISTAKES_SHOW").is_some() {
            println!("{row}");
        }
        failures.extend(row.failure(named));
    }
    assert!(failures.is_empty(), "{} of {} rows fail:\n\n{}", failures.len(), rows.len(), failures.join("\n"));
}

#[test]
fn configurations_are_explained() {
    check(&configuration::rows(), &Named::Provider);
}

#[test]
fn variables_are_explained() {
    check(&configuration::variables(), &Named::Provider);
}

#[test]
fn keys_are_explained() {
    check(&keys::rows(), &Named::No("a key is read before there is a provider that could use it"));
}

#[test]
fn refused_token_requests_are_explained() {
    check(&token_requests::rows(), &Named::Provider);
}

#[test]
fn broken_connections_are_explained() {
    check(&connections::rows(), &Named::Provider);
}

#[test]
fn requests_without_a_token_are_explained() {
    check(&requests::rows(), &Named::Provider);
}

#[test]
fn slips_are_explained() {
    check(&slips::rows(), &Named::Provider);
}

#[test]
fn provoked_mistakes_are_numbered_without_a_gap() {
    let tables = [
        configuration::rows(),
        configuration::variables(),
        keys::rows(),
        token_requests::rows(),
        connections::rows(),
        requests::rows(),
        slips::rows(),
    ];
    let rows = || tables.iter().flatten();
    let ids: BTreeSet<&str> = rows().map(Row::id).collect();
    assert_eq!(ids.len(), rows().count(), "two rows have the same id");
    let number = |id: &str| id.split(' ').next().unwrap_or_default().parse::<usize>().ok();
    let unnumbered: Vec<_> = ids.iter().filter(|id| number(id).is_none() && !id.starts_with("own: ")).collect();
    assert!(unnumbered.is_empty(), "rows with neither a number nor `own: `: {unnumbered:?}");
    let numbers: BTreeSet<usize> = ids.iter().filter_map(|id| number(id)).collect();
    assert_eq!(numbers, (1..=52).collect(), "the provoked mistakes");
}
