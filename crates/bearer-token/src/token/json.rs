//! The members of a JSON object, found without reading the values that are not needed.
//!
//! A value that is skipped may hold bytes that are not UTF-8, raw control characters, and numbers of any size. Servers
//! send such values beside a usable token. A value that is used is read strictly, by its user.
//!
//! `serde_json` is used for the values, not for the document. It would refuse a whole response because of one invalid
//! byte in a field that is not needed. It would also copy all strings, and the secrets among the copies would have to
//! be wiped.
//!
//! Between the values that it is asked for, the scanner accepts a superset of JSON. It is exact about one thing: where
//! each value begins and ends. A value is handed to its user as raw bytes, and decoded by [`text`] or [`number`].

use std::borrow::Cow;

/// The reason why a document is not the JSON object that was expected. It never repeats any of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAnObject(pub(crate) &'static str);

const NOT_JSON: NotAnObject = NotAnObject("is not JSON");
/// The document ends too early. Kept apart from [`NOT_JSON`]: it points to a connection that ended or a length that was
/// wrong, and not to a wrong URL.
const BREAKS_OFF: NotAnObject = NotAnObject("is JSON that breaks off");

/// Visits each member of an object with its decoded name and its raw value. A name that is not UTF-8 is skipped.
///
/// A document that continues after its object is refused: two responses may have been mixed up.
///
/// Names may repeat; the visitor decides which one counts. All callers take the last one.
pub(crate) fn members<'a>(bytes: &'a [u8], mut visit: impl FnMut(&str, &'a [u8])) -> Result<(), NotAnObject> {
    document(bytes, |scanner, first| (first == b'{').then(|| scanner.object(&mut visit)))
}

/// Visits each member of an object or each element of a list. An element's name is its index, as in a JSON pointer (RFC
/// 6901 section 4).
pub(crate) fn items<'a>(bytes: &'a [u8], mut visit: impl FnMut(&str, &'a [u8])) -> Result<(), NotAnObject> {
    document(bytes, |scanner, first| match first {
        b'{' => Some(scanner.object(&mut visit)),
        b'[' => Some(scanner.list(&mut visit)),
        _ => None,
    })
}

/// Reads a document by its first byte. `read` returns `None` for a document of another kind.
///
/// The order of the checks decides what the error says. A login page in HTML is "not JSON", and a body in UTF-16 is
/// "not UTF-8". A response that was cut in the middle "breaks off", even if the cut is inside a character.
fn document<'a>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Scanner<'a>, u8) -> Option<Result<(), NotAnObject>>,
) -> Result<(), NotAnObject> {
    // A byte order mark may be ignored (RFC 8259 section 8.1), and some servers send one.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut scanner = Scanner { bytes, at: 0 };
    scanner.skip_space();
    let first = scanner.peek().ok_or(NotAnObject("is empty"))?;
    let read = read(&mut scanner, first).ok_or_else(|| other_than_object(bytes))?;
    read.map_err(|why| if str::from_utf8(bytes).is_err() { not_utf8(why) } else { why })?;
    scanner.skip_space();
    if scanner.peek().is_some() {
        return Err(NotAnObject("is JSON with something after it"));
    }
    Ok(())
}

/// The decoded string of a raw value. `None` for other values, and for strings that RFC 8259 does not allow.
pub(crate) fn text(raw: &[u8]) -> Option<String> {
    serde_json::from_slice(raw).ok()
}

/// The decoded string of a raw value. Bytes that JSON does not allow in a string become U+FFFD or spaces.
///
/// For a server's description of an error only. Every other field is read strictly, because a repaired token is a wrong
/// token.
#[cfg(feature = "oauth")]
pub(crate) fn lossy_text(raw: &[u8]) -> Option<String> {
    raw.strip_prefix(b"\"")?;
    let cleaned = String::from_utf8_lossy(raw).replace(|char: char| char.is_ascii_control(), " ");
    serde_json::from_str(&cleaned).ok()
}

/// The digits of a raw number value. The number may be beyond every Rust type.
///
/// `NaN`, `Infinity`, `+1` and `.5` are not numbers (RFC 8259 section 6), although Rust would parse them.
pub(crate) fn number(raw: &[u8]) -> Option<&str> {
    let digits = raw.strip_prefix(b"-").unwrap_or(raw);
    let starts_well = digits.first().is_some_and(u8::is_ascii_digit);
    str::from_utf8(raw).ok().filter(|text| starts_well && text.parse::<f64>().is_ok())
}

/// The reason for a document that is not UTF-8. A document that breaks off inside a character counts as broken off.
fn not_utf8(why: NotAnObject) -> NotAnObject {
    if why == BREAKS_OFF { why } else { NotAnObject("is not UTF-8") }
}

/// The reason why a document does not begin as an object. Only here is the whole document parsed for an error, and only
/// to tell JSON of another kind from something that is not JSON.
fn other_than_object(bytes: &[u8]) -> NotAnObject {
    match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        Ok(_) => NotAnObject("is JSON, but not an object"),
        Err(error) if error.is_eof() => BREAKS_OFF,
        Err(_) => not_utf8_or_json(bytes),
    }
}

fn not_utf8_or_json(bytes: &[u8]) -> NotAnObject {
    if str::from_utf8(bytes).is_err() { not_utf8(NOT_JSON) } else { NOT_JSON }
}

/// Walks over a document once, without recursion: nesting costs one byte of memory a level.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Visits the members of the object at the current position. The visitor gets slices of the document, so nothing is
    /// copied unless a name has an escape.
    fn object(&mut self, visit: &mut impl FnMut(&str, &'a [u8])) -> Result<(), NotAnObject> {
        self.expect(b'{')?;
        self.skip_space();
        if self.peek() == Some(b'}') {
            return self.expect(b'}');
        }
        loop {
            let name = self.name()?;
            self.skip_space();
            let start = self.at;
            self.skip_value()?;
            if let (Some(name), Some(raw)) = (name, self.bytes.get(start..self.at)) {
                visit(&name, raw);
            }
            self.skip_space();
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                _ => return Err(NOT_JSON),
            }
        }
    }

    /// As [`object`](Self::object), for the elements of a list, whose names are their indexes.
    fn list(&mut self, visit: &mut impl FnMut(&str, &'a [u8])) -> Result<(), NotAnObject> {
        self.expect(b'[')?;
        self.skip_space();
        if self.peek() == Some(b']') {
            return self.expect(b']');
        }
        let mut index: usize = 0;
        loop {
            self.skip_space();
            let start = self.at;
            self.skip_value()?;
            if let Some(raw) = self.bytes.get(start..self.at) {
                visit(&index.to_string(), raw);
            }
            self.skip_space();
            match self.next()? {
                b',' => index += 1,
                b']' => return Ok(()),
                _ => return Err(NOT_JSON),
            }
        }
    }

    /// A member's name and the colon after it.
    fn name(&mut self) -> Result<Option<Cow<'a, str>>, NotAnObject> {
        self.skip_space();
        let raw = self.string()?;
        self.skip_space();
        self.expect(b':')?;
        if raw.contains(&b'\\') {
            return Ok(text(raw).map(Cow::Owned));
        }
        let inner = raw.get(1..raw.len() - 1).and_then(|inner| str::from_utf8(inner).ok());
        Ok(inner.map(Cow::Borrowed))
    }

    /// Skips a value of any kind and depth.
    ///
    /// The stack of open brackets is on the heap: a response of a megabyte of `[` costs a megabyte, not the thread's
    /// stack. A recursive scanner would overflow there, which no error handling catches.
    fn skip_value(&mut self) -> Result<(), NotAnObject> {
        // The closing brackets that are still to come.
        let mut open = Vec::new();
        loop {
            self.skip_space();
            let close = match self.peek().ok_or(BREAKS_OFF)? {
                b'{' => Some(b'}'),
                b'[' => Some(b']'),
                b'"' => {
                    self.string()?;
                    None
                }
                _ => {
                    self.word()?;
                    None
                }
            };
            if let Some(close) = close {
                self.at += 1;
                self.skip_space();
                if self.peek() == Some(close) {
                    self.at += 1;
                } else {
                    open.push(close);
                    if close == b'}' {
                        self.name()?;
                    }
                    continue;
                }
            }
            // A value has ended: so may those around it.
            loop {
                let Some(&close) = open.last() else { return Ok(()) };
                self.skip_space();
                match self.next()? {
                    b',' => {
                        if close == b'}' {
                            self.name()?;
                        }
                        break;
                    }
                    byte if byte == close => open.pop(),
                    _ => return Err(NOT_JSON),
                };
            }
        }
    }

    /// A string with its quotes. An escape is skipped as it is, legal or not.
    fn string(&mut self) -> Result<&'a [u8], NotAnObject> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            match self.next()? {
                b'"' => return self.bytes.get(start..self.at).ok_or(BREAKS_OFF),
                b'\\' => _ = self.next()?,
                _ => {}
            }
        }
    }

    /// A number or a literal. Words that are not JSON, such as `NaN`, are skipped in the same way.
    fn word(&mut self) -> Result<(), NotAnObject> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let is_end = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"+-._".contains(byte));
        let length = rest.iter().position(is_end).unwrap_or(rest.len());
        self.at += length;
        if length == 0 { Err(NOT_JSON) } else { Ok(()) }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, NotAnObject> {
        let byte = self.peek().ok_or(BREAKS_OFF)?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, expected: u8) -> Result<(), NotAnObject> {
        if self.next()? == expected { Ok(()) } else { Err(NOT_JSON) }
    }
}

#[cfg(test)]
mod tests;
