//! The check of configured strings that are sent to a server.
//!
//! One rule for every string that goes to a server: no control characters, and none that cannot be seen. It is stricter
//! than what a form could encode. In a client id or a scope, such a character is always a mistake of the file that it
//! came from.

use crate::problem::{Advice, Problem, Problems};

/// Reports a string with a newline or another control character, and returns whether it has none.
///
/// No parameter of RFC 6749 may contain one (appendix A). A newline often comes from a file or a variable.
pub(crate) fn check(path: &str, text: &str, problems: &mut Problems) -> bool {
    check_expecting("a string without control characters", path, text, problems)
}

/// Does the same as [`check`], with another clause for what was expected.
pub(crate) fn check_expecting(expected: &'static str, path: &str, text: &str, problems: &mut Problems) -> bool {
    match control_character(text) {
        Some(found) => {
            problems.add(Problem::new(path, found).expecting(expected).advise(Advice::text("remove it")));
            false
        }
        None => true,
    }
}

/// The first character that may not be sent, and its place.
///
/// The place is "at the end" for a newline there, however many follow: the commonest case, and the clearest sentence.
fn control_character(text: &str) -> Option<String> {
    let (index, char) = text.char_indices().find(|(_, char)| is_invisible(*char))?;
    let name = match char {
        '\n' | '\r' => "a newline",
        '\t' => "a tab",
        '\0' => "a NUL byte",
        '\u{feff}' => "a byte order mark",
        '\u{2028}' | '\u{2029}' => "a line separator",
        _ => "a control character",
    };
    let is_last = text.get(index..).is_some_and(|rest| rest.chars().all(is_invisible));
    let place = match index {
        0 => "at the beginning".to_owned(),
        _ if is_last => "at the end".to_owned(),
        _ => format!("after byte {index}"),
    };
    Some(format!("found {name} {place}"))
}

fn is_invisible(char: char) -> bool {
    char.is_control() || matches!(char, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l52_a_control_character_is_named_with_its_place() {
        for (text, found) in [
            ("read write", None),
            ("", None),
            ("\u{e4}\u{20ac}", None),
            ("me\n", Some("found a newline at the end")),
            ("me\r\n", Some("found a newline at the end")),
            ("\nme", Some("found a newline at the beginning")),
            ("a\nb", Some("found a newline after byte 1")),
            ("a\tb", Some("found a tab after byte 1")),
            ("a\0", Some("found a NUL byte at the end")),
            ("\u{feff}a", Some("found a byte order mark at the beginning")),
            ("a\u{2028}", Some("found a line separator at the end")),
            ("a\u{7f}", Some("found a control character at the end")),
            ("a\u{85}b", Some("found a control character after byte 1")),
        ] {
            assert_eq!(control_character(text).as_deref(), found, "{text:?}");
            let mut problems = Problems::default();
            assert_eq!(check("scope", text, &mut problems), found.is_none());
            assert_eq!(problems.is_empty(), found.is_none());
        }
    }
}
