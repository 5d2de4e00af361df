//! What crates.io and docs.rs read of the published crates.

use std::{
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use crate::{files, root};

/// Categories of crates.io that our crates may have: it drops unknown ones without a word.
const CATEGORIES: [&str; 7] = [
    "asynchronous",
    "authentication",
    "caching",
    "command-line-utilities",
    "database",
    "development-tools::testing",
    "web-programming::http-client",
];

fn manifest(path: &Path) -> Table {
    fs::read_to_string(path.join("Cargo.toml")).unwrap().parse().unwrap()
}

/// The directories of the published crates, with their manifests.
fn published() -> Vec<(PathBuf, Table)> {
    let entries = fs::read_dir(root().join("crates")).unwrap();
    entries.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), manifest(&path))).collect()
}

/// A field of `[package]`, or of `[workspace.package]` if the crate inherits it.
fn field<'a>(manifest: &'a Table, workspace: &'a Table, name: &str) -> Option<&'a Value> {
    let own = manifest["package"].get(name)?;
    if own.get("workspace").is_some() { workspace["workspace"]["package"].get(name) } else { Some(own) }
}

#[test]
fn every_crate_tells_crates_io_what_it_is() {
    let (workspace, crates) = (manifest(&root()), published());
    assert!(crates.len() >= 9, "found {} crates", crates.len());
    for (path, manifest) in &crates {
        let text = |name: &str| {
            let value = field(manifest, &workspace, name).and_then(Value::as_str);
            value.unwrap_or_else(|| panic!("{} has no `{name}`", path.display())).to_owned()
        };
        let list = |name: &str| {
            let value = field(manifest, &workspace, name).and_then(Value::as_array);
            let value = value.unwrap_or_else(|| panic!("{} has no `{name}`", path.display()));
            value.iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(text("license"), "MIT OR Apache-2.0", "{}", path.display());
        for file in [&*text("readme"), "LICENSE-APACHE", "LICENSE-MIT"] {
            assert!(path.join(file).is_file(), "{} has no {file}", path.display());
        }
        for name in ["description", "repository", "rust-version", "version", "edition"] {
            assert!(!text(name).is_empty(), "{name} of {}", path.display());
        }
        // The rules of crates.io.
        let keywords = list("keywords");
        assert!((3..=5).contains(&keywords.len()), "{keywords:?}");
        assert!(keywords.iter().all(|word| word.len() <= 20 && !word.contains(' ')), "{keywords:?}");
        for category in list("categories") {
            assert!(CATEGORIES.contains(&&*category), "{category} of {}", path.display());
        }
    }
}

#[test]
fn docs_rs_builds_every_library_with_all_features() {
    for (path, manifest) in published() {
        let library = path.join("src/lib.rs");
        // The command has no documentation of an API.
        if !library.is_file() {
            assert_eq!(manifest["bin"][0]["doc"].as_bool(), Some(false), "{}", path.display());
            continue;
        }
        let settings = manifest["package"].get("metadata").and_then(|metadata| metadata.get("docs")?.get("rs"));
        let settings = settings.unwrap_or_else(|| panic!("{} has no [package.metadata.docs.rs]", path.display()));
        assert_eq!(settings.get("all-features").and_then(Value::as_bool), Some(true), "{}", path.display());
        let arguments = settings.get("rustdoc-args").and_then(Value::as_array).cloned().unwrap_or_default();
        assert_eq!(arguments, ["--cfg", "docsrs"].map(Value::from), "{}", path.display());
        // With it, docs.rs says which feature an item needs.
        let code = fs::read_to_string(&library).unwrap();
        assert!(code.contains("#![cfg_attr(docsrs, feature(doc_cfg))]"), "{}", library.display());
    }
}

/// Lines that are neither blank, nor a comment, nor of a test.
#[test]
fn the_command_has_less_than_800_lines_of_code() {
    let mut lines = 0;
    for file in files(&root().join("crates/bearer-token-cli/src"), "rs") {
        let text = fs::read_to_string(file).unwrap();
        let code = text.lines().map(str::trim).take_while(|line| *line != "#[cfg(test)]");
        lines += code.filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    }
    assert!((1..800).contains(&lines), "found {lines}");
}
