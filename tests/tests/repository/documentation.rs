//! How much of the core is documentation.

use std::{fs, path::Path};

use crate::{files, root};

#[derive(Default)]
struct Lines {
    documentation: usize,
    others: usize,
}

/// Whether a file has nothing but tests.
fn is_tests(path: &Path) -> bool {
    let mut parts = path.components().map(|part| part.as_os_str().to_string_lossy());
    parts.any(|part| {
        let name = part.strip_suffix(".rs").unwrap_or(&part);
        name == "tests" || name.ends_with("_tests") || name == "test_support"
    })
}

/// Counts the lines of a source that are not blank and in no module of tests.
fn count(text: &str, lines: &mut Lines) {
    let mut skipped = false;
    for line in text.lines() {
        if line == "#[cfg(test)]" {
            skipped = true;
        }
        // A module of tests ends with a brace in the first column, a declaration with its semicolon.
        if skipped {
            skipped = !(line == "}" || (line.contains("mod ") && line.ends_with(';')));
            continue;
        }
        match line.trim() {
            "" => {}
            line if line.starts_with("///") || line.starts_with("//!") => lines.documentation += 1,
            _ => lines.others += 1,
        }
    }
}

#[test]
fn a_third_of_the_core_is_documentation() {
    let mut lines = Lines::default();
    let core = root().join("crates/bearer-token/src");
    for path in files(&core, "rs").iter().filter(|path| !is_tests(path.strip_prefix(&core).unwrap())) {
        count(&fs::read_to_string(path).unwrap(), &mut lines);
    }
    // The chapters of the guide are modules of the core's documentation.
    for path in files(&core, "md") {
        let text = fs::read_to_string(&path).unwrap();
        lines.documentation += text.lines().filter(|line| !line.trim().is_empty()).count();
    }
    let Lines { documentation, others } = lines;
    assert!(documentation > 5_000 && others > 10_000, "{documentation} and {others}: not all files were found");
    assert!(3 * documentation >= documentation + others, "{documentation} lines of {}", documentation + others);
    println!("{documentation} of {} lines", documentation + others);
}
