//! Each file of Rust is part of a crate: one that no module names is not compiled, and its tests never fail.

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
    let texts: Vec<_> = found.iter().map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect();
    let lost: Vec<_> = found
        .iter()
        .filter(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let is_root = ["lib", "main"].contains(&name) || file.parent().is_some_and(|it| it.ends_with("src/bin"));
            let item = format!("mod {name};");
            let by_path = format!("/{name}.rs\"");
            let names = |(parent, text): &(PathBuf, String)| {
                (parents(file).contains(parent) && text.lines().any(|line| line.trim_end().ends_with(&item)))
                    || text.lines().any(|line| line.contains("path = \"") && line.contains(&by_path))
            };
            !is_root && !texts.iter().any(names)
        })
        .collect();
    assert!(lost.is_empty(), "add `mod` items for these files: {lost:#?}");
}
