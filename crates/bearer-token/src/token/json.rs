//! The members of a JSON object, found without reading the values that are not needed.
//!
//! A value that is skipped may hold bytes that are not UTF-8, raw control characters, and numbers of any size. Servers
//! send such values beside a usable token. A value that is used is read strictly, by its user.

use std::borrow::Cow;

/// The reason why a document is not the JSON object that was expected. It never repeats any of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAnObject(pub(crate) &'static str);

const NOT_JSON: NotAnObject = NotAnObject("is not JSON");
const BREAKS_OFF: NotAnObject = NotAnObject("is JSON that breaks off");

/// Visits each member of an object with its decoded name and its raw value. A name that is not UTF-8 is skipped.
///
/// A document that continues after its object is refused: two responses may have been mixed up.
pub(crate) fn members<'a>(bytes: &'a [u8], mut visit: impl FnMut(&str, &'a [u8])) -> Result<(), NotAnObject> {
    // A byte order mark may be ignored (RFC 8259 section 8.1), and some servers send one.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut scanner = Scanner { bytes, at: 0 };
    scanner.skip_space();
    match scanner.peek() {
        None => return Err(NotAnObject("is empty")),
        Some(b'{') => {}
        Some(_) => return Err(other_than_object(bytes)),
    }
    scanner.object(&mut visit).map_err(|why| if str::from_utf8(bytes).is_err() { not_utf8(why) } else { why })?;
    scanner.skip_space();
    if scanner.peek().is_some() {
        return Err(NotAnObject("is JSON with something after it"));
    }
    Ok(())
}

/// The text of a raw string value. `None` if it is another value, or not a string that RFC 8259 allows.
pub(crate) fn text(raw: &[u8]) -> Option<String> {
    serde_json::from_slice(raw).ok()
}

/// The text of a raw string value, with U+FFFD and spaces for the bytes that JSON does not allow in a string.
#[cfg(feature = "oauth")]
pub(crate) fn lossy_text(raw: &[u8]) -> Option<String> {
    raw.strip_prefix(b"\"")?;
    let cleaned = String::from_utf8_lossy(raw).replace(|char: char| char.is_ascii_control(), " ");
    serde_json::from_str(&cleaned).ok()
}

/// The digits of a raw number value. The number may be beyond every Rust type.
pub(crate) fn number(raw: &[u8]) -> Option<&str> {
    let digits = raw.strip_prefix(b"-").unwrap_or(raw);
    let starts_well = digits.first().is_some_and(u8::is_ascii_digit);
    str::from_utf8(raw).ok().filter(|text| starts_well && text.parse::<f64>().is_ok())
}

fn not_utf8(why: NotAnObject) -> NotAnObject {
    if why == BREAKS_OFF { why } else { NotAnObject("is not UTF-8") }
}

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

    /// A number or a literal. Words that JSON does not have, such as `NaN`, are skipped like others.
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, NotAnObject> {
        let mut list = Vec::new();
        members(bytes, |name, raw| list.push((name.to_owned(), raw.to_vec()))).map(|()| list)
    }

    /// The raw value of the last member, which is called `a`.
    fn last(body: &[u8]) -> Vec<u8> {
        let (name, raw) = found(body).unwrap_or_else(|why| panic!("{body:?}: {why:?}")).pop().unwrap();
        assert_eq!(name, "a");
        raw
    }

    #[test]
    fn l50_whatever_is_skipped_costs_nothing() {
        let deep = "[".repeat(50_000) + &"]".repeat(50_000);
        let objects = "{\"x\":".repeat(50_000) + "1" + &"}".repeat(50_000);
        let nested = [deep.as_bytes(), objects.as_bytes()];
        let skipped: [&[u8]; 22] = [
            b"\"J\xf6rg\"",
            b"\"\xff\xfe\"",
            b"\"a\tb\"",
            b"\"a\nb\x00\"",
            b"\"\\x41\\'\"",
            b"\"\\ud800\"",
            b"\"\\\"}{\"",
            b"1e400",
            b"-1e400",
            b"1e3001",
            b"NaN",
            b"-Infinity",
            b"+1",
            b"007",
            b".5",
            b"0x1f",
            b"[1e999,[],{},[{\"b\":[null,true]}]]",
            b"{\"\xf6\":\"\xf6\",\"c\":{}}",
            b"{ }",
            b"[ \r\n\t]",
            b"[{},{\"b\":1},[[]]]",
            b"\"\"",
        ];
        for value in skipped.into_iter().chain(nested) {
            for (open, close) in [("", ""), ("[1,", "]"), ("{\"k\": ", " }")] {
                let value = [open.as_bytes(), value, close.as_bytes()].concat();
                let body = [b"{\"noise\": ", value.as_slice(), b" , \"a\" : 7\n}"].concat();
                assert_eq!(last(&body), b"7", "{:?}", &body[..body.len().min(60)]);
            }
        }
    }

    #[test]
    fn names_are_decoded_and_repetitions_arrive_in_order() {
        let body = b"\xef\xbb\xbf {\"\\u0061\":1,\"\xff\":2,\"a\\ud800\":3,\"\":4,\"a\":5} ";
        let names: Vec<_> = found(body).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "", "a"]);
        assert_eq!(found(b"{}").unwrap(), []);
    }

    #[test]
    fn l50_what_is_not_an_object_has_a_reason() {
        for (bytes, reason) in [
            (&b""[..], "is empty"),
            (b" \r\n", "is empty"),
            (b"<html>", "is not JSON"),
            (b"access_token=a&token_type=bearer", "is not JSON"),
            (b"true story", "is not JSON"),
            (b"{\"a\":1} trailing", "is JSON with something after it"),
            (b"{\"a\":1}{\"a\":2}", "is JSON with something after it"),
            (b"{\"a\":1}\0", "is JSON with something after it"),
            (b"{\"a\":1", "is JSON that breaks off"),
            (b"{\"a\":\"\xff", "is JSON that breaks off"),
            (b"{\"a\":[{\"b\":\"", "is JSON that breaks off"),
            (b"[1,", "is JSON that breaks off"),
            (b"{", "is JSON that breaks off"),
            (b"{,}", "is not JSON"),
            (b"{\"a\"}", "is not JSON"),
            (b"{\"a\":}", "is not JSON"),
            (b"{\"a\":1,}", "is not JSON"),
            (b"{\"a\":[1,]}", "is not JSON"),
            (b"{\"a\":[1}}", "is not JSON"),
            (b"{\"a\":{1}}", "is not JSON"),
            (b"{\"a\":1 2}", "is not JSON"),
            (b"{a:1}", "is not JSON"),
            (b"{'a':1}", "is not JSON"),
            (b"\"text\"", "is JSON, but not an object"),
            (b"[{}]", "is JSON, but not an object"),
            (b"null", "is JSON, but not an object"),
            (b"\xff\xfe{\0}\0", "is not UTF-8"),
            (b"\x1f\x8b\x08", "is not UTF-8"),
            (b"{\"a\":\xff}", "is not UTF-8"),
        ] {
            assert_eq!(found(bytes), Err(NotAnObject(reason)), "{bytes:?}");
        }
        let deep = "{\"a\":".repeat(50_000);
        assert_eq!(found(deep.as_bytes()), Err(BREAKS_OFF));
    }

    #[test]
    fn values_that_are_used_are_read_strictly() {
        for (raw, strict, lossy) in [
            (&b"\"a\\u00e4\""[..], Some("a\u{e4}"), Some("a\u{e4}")),
            (b"\"t\xf6k\"", None, Some("t\u{fffd}k")),
            (b"\"a\tb\"", None, Some("a b")),
            (b"\"\\ud800\"", None, None),
            (b"7", None, None),
            (b"{}", None, None),
        ] {
            assert_eq!((text(raw).as_deref(), lossy_text(raw).as_deref()), (strict, lossy), "{raw:?}");
        }
        for (raw, expected) in [
            ("7", true),
            ("-7.5e3", true),
            ("1e400", true),
            ("NaN", false),
            ("-Infinity", false),
            ("+1", false),
            ("", false),
            ("0x1", false),
            ("\"7\"", false),
        ] {
            assert_eq!(number(raw.as_bytes()).is_some(), expected, "{raw}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_have_an_outcome(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = found(&bytes);
            let _ = found(&[b"{\"a\":", bytes.as_slice(), b"}"].concat());
        }

        /// Made of the pieces of JSON, so that many are nearly right.
        #[test]
        fn what_serde_reads_is_read_alike(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "\"\\n\"", "1", "-2.5e3", "true", "null", " ",
            ]), 0..20),
        ) {
            let document = ["{\"a\":", &pieces.concat(), "}"].concat();
            if let Ok(value) = serde_json::from_str::<serde_json::Map<_, _>>(&document) {
                let mut read = serde_json::Map::new();
                members(document.as_bytes(), |name, raw| {
                    read.insert(name.to_owned(), serde_json::from_slice(raw).unwrap());
                })
                .unwrap();
                prop_assert_eq!(read, value);
            }
        }
    }
}
