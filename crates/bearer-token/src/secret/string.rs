//! The reader of all secrets that users pass as strings: literals, environment variables and the content of files.
//!
//! Surplus characters around a secret are treated the same for every origin (`L49`). A leading byte order mark and
//! exactly one trailing newline are removed. Every other surplus is a problem. Secrets that are passed as bytes do not
//! come here. Of secrets in an encoding, only the encoded form does.
//!
//! | reader | removes | refuses besides what no secret may contain |
//! |---|---|---|
//! | [`read`] | mark, one newline | quotes, spaces, escapes, paths |
//! | [`read_declared`] | mark, one newline | quotes, spaces, escapes |
//! | [`read_token`] | mark, all white space around it | quotes, escapes, paths |
//! | [`read_verbatim`] | nothing | nothing |
//! | [`check`] | nothing | quotes, spaces, escapes |

use std::fmt;

pub(crate) use super::path::looks_like_path;

/// UTF-8's byte order mark, as Notepad and Windows PowerShell write it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The reason why a string is not a secret as it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StringProblem {
    Empty,
    Utf16,
    NotUtf8,
    Quotes,
    Placeholder,
    Newline,
    EscapedNewline,
    Space,
    Control,
    Path,
}

impl StringProblem {
    /// What was found and what to change. It does not repeat the string.
    pub(crate) fn message(self) -> &'static str {
        match self {
            StringProblem::Empty => "found an empty string; expected the value itself",
            StringProblem::Utf16 => "found UTF-16; expected UTF-8: save it so",
            StringProblem::NotUtf8 => "found bytes that are not UTF-8; expected a string",
            StringProblem::Quotes => "found quotes around the value; expected the value alone: remove them",
            StringProblem::Placeholder => {
                "found a placeholder in angle brackets; expected the value itself: put it in the placeholder's place"
            }
            StringProblem::Newline => {
                "found a newline inside the value, or more than one at its end; expected one line: remove it"
            }
            StringProblem::EscapedNewline => {
                "found `\\n` at the start or end of the value, as two characters; expected the value alone: remove it"
            }
            StringProblem::Space => {
                "found a space or an invisible character at the start or end of the value; expected the value alone: \
                 remove it"
            }
            StringProblem::Control => {
                "found a control character, such as a tab or a zero byte; expected one line of text: remove it"
            }
            StringProblem::Path => {
                "found what looks like the path of a file; expected the value itself: give the path as a file"
            }
        }
    }
}

impl fmt::Display for StringProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// Reads a secret, without a byte order mark and one trailing newline. Every other surplus is a problem.
pub(crate) fn read(bytes: &[u8]) -> Result<&str, StringProblem> {
    let secret = read_declared(bytes)?;
    if looks_like_path(secret) { Err(StringProblem::Path) } else { Ok(secret) }
}

/// Reads a secret of which it is certain that it is not a path.
pub(crate) fn read_declared(bytes: &[u8]) -> Result<&str, StringProblem> {
    let secret = read_verbatim(trim(bytes))?;
    check_ends(secret)?;
    Ok(secret)
}

/// Reads a bearer token. All spaces around it are removed, because no token contains one (RFC 6750 section 2.1).
pub(crate) fn read_token(bytes: &[u8]) -> Result<&str, StringProblem> {
    read(trim(bytes).trim_ascii())
}

/// Reads a string whose quotes and spaces are part of it, because it was encoded or declared verbatim.
///
/// Only what no secret may contain is a problem (RFC 6749 appendices A.1 and A.2).
pub(crate) fn read_verbatim(bytes: &[u8]) -> Result<&str, StringProblem> {
    if is_utf16(bytes) {
        return Err(StringProblem::Utf16);
    }
    let text = str::from_utf8(bytes).map_err(|_| StringProblem::NotUtf8)?;
    if text.chars().all(char::is_whitespace) {
        return Err(StringProblem::Empty);
    }
    check_controls(text)?;
    Ok(text)
}

/// Checks an identifier or another public value, in which nothing is removed.
#[allow(dead_code, reason = "used with the features `jwt` and `oauth`")]
pub(crate) fn check(value: &str) -> Result<(), StringProblem> {
    read_verbatim(value.as_bytes()).and_then(check_ends)
}

/// The bytes without a leading byte order mark and without one trailing newline, LF or CRLF.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    match bytes.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => bytes,
    }
}

/// Refuses control characters, and tells newlines from the rest: they have another cause, and another remedy.
fn check_controls(text: &str) -> Result<(), StringProblem> {
    match text.chars().find(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        None => Ok(()),
        Some('\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}') => Err(StringProblem::Newline),
        Some(_) => Err(StringProblem::Control),
    }
}

/// Refuses what was copied along with a value. Only the ends count: a space inside of a secret may be part of it.
fn check_ends(text: &str) -> Result<(), StringProblem> {
    let (first, last) = (text.chars().next(), text.chars().next_back());
    if [first, last].into_iter().flatten().any(is_space_or_mark) {
        return Err(StringProblem::Space);
    }
    if text.chars().nth(1).is_some() && first.zip(last).is_some_and(|ends| QUOTES.contains(&ends)) {
        return Err(StringProblem::Quotes);
    }
    if is_placeholder(text) {
        return Err(StringProblem::Placeholder);
    }
    let escapes = ["\\n", "\\r"];
    if escapes.iter().any(|escape| text.starts_with(escape) || text.ends_with(escape)) {
        return Err(StringProblem::EscapedNewline);
    }
    Ok(())
}

/// Quotes as shells, YAML and word processors put them around a value.
const QUOTES: [(char, char); 6] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{201c}', '\u{201d}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{201e}', '\u{201c}'),
];

/// Whether the whole value is a name in angle brackets, as in `<client-id>`.
///
/// Other characters inside the brackets are allowed: a generated secret may begin and end with a bracket.
fn is_placeholder(text: &str) -> bool {
    let Some(name) = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')) else { return false };
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_.".contains(&byte))
}

/// Spaces of every kind, and the zero-width characters that browsers and editors copy along.
fn is_space_or_mark(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Whether the bytes are UTF-16: by their byte order mark, or because every other byte is zero.
fn is_utf16(bytes: &[u8]) -> bool {
    let zero_at = |offset: usize| bytes.iter().skip(offset).step_by(2).all(|byte| *byte == 0);
    bytes.starts_with(b"\xff\xfe")
        || bytes.starts_with(b"\xfe\xff")
        || (bytes.len() >= 4 && bytes.len().is_multiple_of(2) && (zero_at(0) != zero_at(1)))
}

#[cfg(test)]
mod tests {
    use StringProblem::{Control, Empty, EscapedNewline, Newline, NotUtf8, Path, Placeholder, Quotes, Space, Utf16};

    use super::*;

    #[test]
    fn l49_one_newline_and_a_byte_order_mark_are_removed() {
        for bytes in ["s3cret", "s3cret\n", "s3cret\r\n", "\u{feff}s3cret", "\u{feff}s3cret\r\n"] {
            assert_eq!(read(bytes.as_bytes()), Ok("s3cret"), "{bytes:?}");
        }
        for inner in [
            "a b",
            "a\"b",
            "it's",
            "\"",
            "<a",
            "<a>b",
            "<>",
            "<7a>",
            "<a+b/c=>",
            "'a\"",
            "\"a",
            "a\\nb",
            "\u{e4}\u{f6}",
            "a=",
            "  \u{e4}".trim(),
        ] {
            assert_eq!(read(inner.as_bytes()), Ok(inner));
        }
    }

    #[test]
    fn l49_every_other_surplus_is_named_and_not_guessed() {
        for (bytes, problem) in [
            (&b""[..], Empty),
            (b"\n", Empty),
            (b"\r\n", Empty),
            (b" \t \n", Empty),
            (b"\xef\xbb\xbf", Empty),
            (b"\xef\xbb\xbf\r\n", Empty),
            (b"MARKER\n\n", Newline),
            (b"MARKER\r\n\r\n", Newline),
            (b"MARKER\r", Newline),
            (b"MARKER\n\r", Newline),
            (b"\nMARKER", Newline),
            (b"MARKER\nMARKER", Newline),
            ("MARKER\u{2028}".as_bytes(), Newline),
            ("MARKER\u{85}".as_bytes(), Newline),
            (b"MARKER\0", Control),
            (b"MARKER\t", Control),
            (b"MAR\x1bKER", Control),
            (b"MARKER\x7f", Control),
            (b"MARKER ", Space),
            (b" MARKER", Space),
            (b"MARKER \n", Space),
            ("MARKER\u{a0}".as_bytes(), Space),
            ("\u{200b}MARKER".as_bytes(), Space),
            ("MARKER\u{feff}".as_bytes(), Space),
            ("\u{feff}\u{feff}MARKER".as_bytes(), Space),
            (b"\"MARKER\"", Quotes),
            (b"\"MARKER\"\n", Quotes),
            (b"'MARKER'", Quotes),
            (b"`MARKER`", Quotes),
            (b"\"\"", Quotes),
            ("\u{201c}MARKER\u{201d}".as_bytes(), Quotes),
            (b"<MARKER>", Placeholder),
            (b"<your MARKER-2_a.b>\n", Placeholder),
            (b"MARKER\\n", EscapedNewline),
            (b"MARKER\\r\\n", EscapedNewline),
            (b"\\nMARKER", EscapedNewline),
            (b"\xff\xfeM\0A\0", Utf16),
            (b"\xfe\xff\0M\0A", Utf16),
            (b"M\0A\0R\0", Utf16),
            (b"\0M\0A\0R", Utf16),
            (b"MARKER\xff", NotUtf8),
            (b"/run/secrets/MARKER", Path),
            (b"MARKER.pem\n", Path),
        ] {
            assert_eq!(read(bytes), Err(problem), "{:?}", String::from_utf8_lossy(bytes));
            assert!(!problem.to_string().contains("MARKER"));
        }
    }

    #[test]
    fn l49_spaces_around_a_token_are_removed() {
        for bytes in ["t0ken", " \tt0ken\r\n\n", "\u{feff}\r\nt0ken "] {
            assert_eq!(read_token(bytes.as_bytes()), Ok("t0ken"), "{bytes:?}");
        }
        for (bytes, problem) in [("'t0ken'\n", Quotes), ("t\n0ken", Newline), ("t0ken\0", Control), (" \n", Empty)] {
            assert_eq!(read_token(bytes.as_bytes()), Err(problem), "{bytes:?}");
        }
    }

    #[test]
    fn l49_a_secret_that_was_encoded_loses_no_byte() {
        for value in ["\"a\"", " a ", "\u{feff}a", "/run/secrets/a", "a\\n"] {
            assert_eq!(read_verbatim(value.as_bytes()), Ok(value));
        }
        for (value, problem) in [("a\n", Newline), ("a\0", Control), ("", Empty)] {
            assert_eq!(read_verbatim(value.as_bytes()), Err(problem), "{value:?}");
        }
    }

    #[test]
    fn l52_nothing_is_removed_from_a_public_value() {
        for (value, expected) in [
            ("reports", Ok(())),
            ("/reports", Ok(())),
            ("reports.json", Ok(())),
            ("reports\n", Err(Newline)),
            ("reports ", Err(Space)),
            ("\u{feff}reports", Err(Space)),
            ("\"reports\"", Err(Quotes)),
            ("<reports>", Err(Placeholder)),
            ("reports <a@example.com>", Ok(())),
            ("", Err(Empty)),
        ] {
            assert_eq!(check(value), expected, "{value:?}");
        }
    }
}
