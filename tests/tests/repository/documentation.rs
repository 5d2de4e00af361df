//! How much of the core is documentation: of the sources and the guide together, and of the sources alone.
//!
//! Counted are lines that are not blank, without tests. A comment `//` is not documentation.

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
fn a_third_of_the_core_with_its_guide_is_documentation() {
    let mut lines = Lines::default();
    let core = root().join("crates/bearer-token/src");
    for path in files(&core, "rs").iter().filter(|path| !is_tests(path.strip_prefix(&core).unwrap())) {
        count(&fs::read_to_string(path).unwrap(), &mut lines);
    }
    let Lines { documentation, others } = lines;
    assert!(documentation > 5_000 && others > 10_000, "{documentation} and {others}: not all files were found");
    let percent = |documentation: usize| 100 * documentation / (documentation + others);
    // The chapters of the guide are modules of the core's documentation.
    let lines_of = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter(|line| !line.trim().is_empty()).count()
    };
    let guide: usize = files(&core, "md").iter().map(lines_of).sum();
    println!("sources alone: {} %; with the guide: {} %", percent(documentation), percent(documentation + guide));
    assert!(percent(documentation) >= 30, "{documentation} lines of the sources' {}", documentation + others);
    assert!(
        percent(documentation + guide) >= 33,
        "{} lines of {}",
        documentation + guide,
        documentation + guide + others
    );
}
