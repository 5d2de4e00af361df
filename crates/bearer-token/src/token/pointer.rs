//! JSON pointers (RFC 6901): where a document has a field.
//!
//! A pointer is a list of names, each after a slash: `/auth/client_token`. In a name, `~1` is a slash and `~0` is a
//! tilde. An index of a list is a name like others: `/data/0/token`. The same pointers name fields of responses,
//! members of JSON files, and places in the body of a request.

use std::fmt;

#[cfg(feature = "oauth")]
use crate::problem::{Advice, Problem, Problems};

/// The most steps of a pointer. Each step reads a part of the response again.
///
/// Real responses nest three deep. The bound keeps a pointer from a configuration from costing a pass for each of a
/// thousand steps.
#[cfg(feature = "oauth")]
const MOST_STEPS: usize = 16;

/// A JSON pointer as it was set, with its decoded steps. The pointer to the whole document has no steps.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// The pointer as the user wrote it, for errors and `Debug`.
    text: String,
    steps: Vec<String>,
}

impl Pointer {
    /// Reads a pointer. If it is malformed, its steps are meaningless.
    ///
    /// The order of the replacements matters: `~01` is the name `~1`, so `~1` is decoded first (RFC 6901 section 4).
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let decoded = |step: &str| step.replace("~1", "/").replace("~0", "~");
        let steps = text.split('/').skip(1).map(decoded).collect();
        Pointer { text, steps }
    }

    pub(crate) fn steps(&self) -> &[String] {
        &self.steps
    }
}

#[cfg(feature = "oauth")]
impl Pointer {
    /// The pointer to a field with this name, or the pointer itself if the name begins with a slash.
    ///
    /// Most users write `access_token`. For a nested field, a pointer goes into the same setting.
    pub(crate) fn to_field(name: &str) -> Self {
        match name.strip_prefix('/') {
            Some(_) => Pointer::new(name),
            None => Pointer { text: format!("/{name}"), steps: vec![name.to_owned()] },
        }
    }

    /// Reports a pointer that is malformed, or that points to the whole document.
    pub(crate) fn check(&self, path: &str, problems: &mut Problems) {
        let expected = "a JSON pointer to a field, such as `/data/token` (RFC 6901)";
        let problem = |found: String| Problem::new(path, found).expecting(expected);
        if self.text.is_empty() {
            problems.add(problem("found an empty string, which is the whole response".to_owned()));
        } else if !self.text.starts_with('/') {
            // Not quoted: a token may have been put here by mistake.
            let advice = Advice::text("write a `/` before each name");
            problems.add(problem("found a pointer that does not begin with `/`".to_owned()).advise(advice));
        } else if has_bad_escape(&self.text) {
            let found = "found a `~` that is not followed by `0` or `1`".to_owned();
            problems.add(problem(found).advise(Advice::text("write `~0` for `~`, and `~1` for `/` in a name")));
        } else if self.steps.len() > MOST_STEPS {
            problems.add(problem(format!("found {} steps, which is more than {MOST_STEPS}", self.steps.len())));
        }
    }

    pub(crate) fn is_whole_document(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the first step may be the index of a list.
    ///
    /// Only then may the document itself be a list. Otherwise a list is an error that says so, because an object was
    /// expected.
    pub(crate) fn begins_with_index(&self) -> bool {
        self.steps.first().is_some_and(|step| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

#[cfg(feature = "oauth")]
fn has_bad_escape(text: &str) -> bool {
    text.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']))
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(all(test, feature = "oauth"))]
mod tests {
    use super::*;

    #[test]
    fn steps_are_decoded_as_rfc_6901_says() {
        for (text, steps) in [
            ("", &[][..]),
            ("/foo", &["foo"]),
            ("/foo/0", &["foo", "0"]),
            ("/", &[""]),
            ("/a~1b", &["a/b"]),
            ("/m~0n", &["m~n"]),
            ("/~01", &["~1"]),
            ("/ /\u{e4}", &[" ", "\u{e4}"]),
        ] {
            let pointer = Pointer::new(text);
            assert_eq!(pointer.as_str(), text);
            assert_eq!(pointer.steps(), steps);
        }
        assert_eq!(Pointer::to_field("a.b/c~1").steps(), ["a.b/c~1"]);
        assert_eq!(Pointer::to_field("/a/b").steps(), ["a", "b"]);
    }

    #[test]
    fn malformed_pointers_say_what_to_write() {
        let problem = |text: &str| {
            let mut problems = Problems::default();
            Pointer::new(text).check("response.token", &mut problems);
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().concat()
        };
        for good in ["/a", "/a/0/b", "/~0~1", "/", "/\u{e4}"] {
            assert_eq!(problem(good), "");
        }
        for (text, words) in [
            ("", "found an empty string, which is the whole response; expected a JSON pointer"),
            (
                "iamToken",
                "found a pointer that does not begin with `/`; expected a JSON pointer to a field, such as `/data",
            ),
            ("data.token", "write a `/` before each name"),
            ("/a~b", "found a `~` that is not followed by `0` or `1`"),
            ("/a~", "write `~0` for `~`"),
            (&"/a".repeat(17), "found 17 steps, which is more than 16"),
        ] {
            assert!(problem(text).contains(words), "{text}: {}", problem(text));
            assert!(text.len() < 5 || !problem(text).contains(text), "it is not quoted: {}", problem(text));
        }
    }
}
