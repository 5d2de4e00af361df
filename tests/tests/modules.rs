//! Each file of Rust is part of a crate: one that no module names is not compiled, and its tests never fail.

#![cfg(test)]

use std::path::{Path, PathBuf};

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The files whose `mod` item may name this one.
fn parents(file: &Path) -> Vec<PathBuf> {
    let directory = file.parent().unwrap();
    let mut parents = vec![directory.join("lib.rs"), directory.join("main.rs"), directory.join("mod.rs")];
    parents.push(directory.with_extension("rs"));
    parents
}

/// An attribute that names the file of a module.
#[allow(clippy::ptr_arg, reason = "the argument of `filter`")]
fn is_path(line: &String) -> bool {
    line.contains("path = \"")
}

#[test]
fn every_file_is_named_by_a_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut roots: Vec<_> = std::fs::read_dir(root.join("crates")).unwrap().map(|it| it.unwrap().path()).collect();
    roots.push(root.join("tests/engines"));
    let mut found = Vec::new();
    for root in &roots {
        files(&root.join("src"), &mut found);
    }
    assert!(found.len() > 300, "{}", found.len());
    let text = |file: &Path| std::fs::read_to_string(file).unwrap_or_default();
    let by_path: Vec<String> = found
        .iter()
        .flat_map(|file| text(file).lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(is_path)
        .collect();
    let lost: Vec<_> = found
        .iter()
        .filter(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let is_root = ["lib", "main"].contains(&name) || file.parent().is_some_and(|it| it.ends_with("src/bin"));
            let (item, path) = (format!("mod {name};"), format!("/{name}.rs\""));
            let is_named = |parent: &PathBuf| text(parent).lines().any(|line| line.trim_end().ends_with(&item));
            !is_root && !parents(file).iter().any(is_named) && !by_path.iter().any(|line| line.contains(&path))
        })
        .collect();
    assert!(lost.is_empty(), "add `mod` items for these files: {lost:#?}");
}
