//! Why bars are missed, and what was tried: a Markdown file for each such bar in `missed`.
//!
//! The report shows a file only while its bar is missed.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::report::Bar;

/// Bars for short tokens are missed for the same reason as those for long ones.
fn topic(key: &str) -> &str {
    key.strip_suffix("-short").unwrap_or(key)
}

/// The file about the bar with this key.
fn file(key: &str) -> PathBuf {
    directory().join(format!("{key}.md"))
}

/// A section about each missed bar.
///
/// # Errors
///
/// If a file is unreadable, or is about a bar that does not exist.
pub fn sections<'a>(bars: impl IntoIterator<Item = &'a Bar>) -> io::Result<String> {
    let mut text = String::new();
    let mut keys = BTreeSet::new();
    for bar in bars {
        keys.insert(bar.key.as_str());
        if bar.reached {
            continue;
        }
        let about = match fs::read_to_string(file(topic(&bar.key))) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                eprintln!(
                    "missed, and nothing says why: {}; write benches/lab/missed/{}.md",
                    bar.what,
                    topic(&bar.key)
                );
                "Nothing is known yet about why.".to_owned()
            }
            Err(error) => return Err(error),
        };
        text.push_str(&format!(
            "\n### Missed: {}\n\nExpected: {}; found: {}.\n\n{}\n",
            bar.what,
            bar.expected,
            bar.found,
            about.trim()
        ));
    }
    for entry in fs::read_dir(directory())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(key) = name.strip_suffix(".md").filter(|&key| key != "README")
            && !keys.contains(key)
        {
            return Err(io::Error::other(format!("missed/{name}: no bar has this key; the keys are {keys:?}")));
        }
    }
    Ok(text)
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("missed")
}
