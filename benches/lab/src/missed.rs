//! Why bars are missed, and what was tried: a Markdown file for each such bar in `missed`.
//!
//! The report shows a file only while its bar is missed.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{report::Bar, statistics::is_quick};

/// The bars that one file is about: tokens of both sizes, any number of tasks, each spelling of an origin.
pub(crate) fn topic(key: &str) -> &str {
    let key = key.strip_suffix("-short").unwrap_or(key);
    ["contention", "spelling"].into_iter().find(|topic| key.starts_with(topic)).unwrap_or(key)
}

/// The file about the bar with this key.
fn file(key: &str) -> PathBuf {
    directory().join(format!("{key}.md"))
}

/// A section about each missed bar.
///
/// # Errors
///
/// If a file is unreadable, or is about a bar that does not exist. A quick try does not have all bars, and so does not
/// look for such files.
pub fn sections<'a>(bars: impl IntoIterator<Item = &'a Bar>) -> io::Result<String> {
    let mut text = String::new();
    let mut keys = BTreeSet::new();
    for bar in bars {
        keys.insert(topic(&bar.key));
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
    if is_quick() {
        // Not every bench was tried, so not every bar is here.
        return Ok(text);
    }
    for entry in fs::read_dir(directory())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(key) = name.strip_suffix(".md").filter(|&key| key != "README")
            && !keys.contains(key)
        {
            return Err(io::Error::other(format!(
                "missed/{name}: no bar has this key or begins with it; the keys are {keys:?}"
            )));
        }
    }
    Ok(text)
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("missed")
}
