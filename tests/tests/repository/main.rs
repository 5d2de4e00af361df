//! What the files of the repository promise about each other: links of the documents, manifests of the published
//! crates, how much is documented, and the messages that were recorded.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::path::{Path, PathBuf};

mod documentation;
mod links;
mod packages;
mod recorded;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file below this directory with this extension, without what is built or downloaded.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            let is_generated = name.starts_with('.') || matches!(&*name, "target" | "node_modules" | "corpus");
            if path.is_dir() && !path.is_symlink() && !is_generated {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
