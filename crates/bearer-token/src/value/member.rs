//! One member of a JSON document that holds secrets.
//!
//! An account file of a cloud provider has a private key, an id and a dozen other members. Parsing it as a whole would
//! leave each of them in memory that is freed without being wiped. So this reader walks to one member and decodes only
//! that one, into a buffer that is wiped.

use zeroize::Zeroizing;

use crate::{
    secret::string,
    token::{json, pointer::Pointer},
};

/// The most member names that an error lists.
///
/// Names are listed for the top level only, where the usual mistake is: `/client_secret` in a file that calls it
/// `/secret`.
const MOST_NAMES: usize = 16;

/// The member at a JSON pointer (RFC 6901), or the problem with it. It is a string, or the digits of a number.
///
/// Other members are not decoded, because their secrets would stay in memory. If a name occurs twice, the last one
/// counts.
///
/// Each step scans its part of the document again. Documents have kilobytes and pointers have one or two steps, so this
/// costs less than building a tree.
pub(super) fn member(document: &[u8], pointer: &str) -> Result<Zeroizing<String>, String> {
    let mut raw = string::trim(document);
    for (depth, step) in Pointer::new(pointer).steps().iter().enumerate() {
        let (mut next, mut names) = (None, Vec::new());
        let read = json::items(raw, |name, value| {
            if name == step {
                next = Some(value);
            }
            if depth == 0 && names.len() < MOST_NAMES {
                names.push(format!("`/{}`", name.replace('~', "~0").replace('/', "~1")));
            }
        });
        if depth == 0 && read.is_err() {
            return Err("found something that is not JSON; expected a JSON document with the member".to_owned());
        }
        raw = next.ok_or_else(|| {
            let members = if names.is_empty() { String::new() } else { format!(": it has {}", names.join(", ")) };
            format!("found no member `{pointer}`; expected a JSON pointer to one{members}")
        })?;
    }
    let number = || json::number(raw).map(|digits| Zeroizing::new(digits.to_owned()));
    text(raw).or_else(number).ok_or_else(|| format!("found `{pointer}`, which is not a string; expected a string"))
}

/// Decodes a raw JSON string. Unlike serde, it leaves no copy of the string in memory.
///
/// The buffer has its final capacity from the start: one that grew would leave its first half behind.
fn text(raw: &[u8]) -> Option<Zeroizing<String>> {
    let escaped = str::from_utf8(raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?).ok()?;
    // Every escape is longer than its character.
    let mut text = Zeroizing::new(String::with_capacity(escaped.len()));
    let mut chars = escaped.chars();
    while let Some(char) = chars.next() {
        text.push(match char {
            '\\' => match chars.next()? {
                char @ ('"' | '\\' | '/') => char,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => utf16(&mut chars)?,
                _ => return None,
            },
            '\0'..='\u{1f}' => return None,
            char => char,
        });
    }
    Some(text)
}

/// The character after `\u`: one unit of UTF-16, or two with another `\u` between them.
///
/// Half a surrogate pair alone is an error: no Rust string can hold it (RFC 8259 section 8.2).
fn utf16(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let unit = |chars: &mut std::str::Chars<'_>| {
        (0..4).try_fold(0, |unit, _| Some(unit << 4 | u16::try_from(chars.next()?.to_digit(16)?).ok()?))
    };
    let first = unit(chars)?;
    if let Some(Ok(char)) = char::decode_utf16([first]).next() {
        return Some(char);
    }
    chars.next().filter(|char| *char == '\\')?;
    chars.next().filter(|char| *char == 'u')?;
    char::decode_utf16([first, unit(chars)?]).next()?.ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_text_is_the_same_as_serdes() {
        for raw in [
            r#""""#,
            r#""plain \u00e4""#,
            r#""-----BEGIN\nA\/B\\\"\t\b\f\r""#,
            r#""\ud83d\ude00 \u0000 \uFFFF""#,
            r#""\ud83d""#,
            r#""\ud83d\ud83d""#,
            r#""\ude00\ud83d""#,
            r#""\u00g0""#,
            r#""\u+123""#,
            r#""\u12""#,
            r#""\x""#,
            "\"\\",
            "\"a\nb\"",
            "\"",
            "a",
        ] {
            let expected = serde_json::from_str::<String>(raw).ok();
            assert_eq!(text(raw.as_bytes()).as_deref().cloned(), expected, "{raw}");
        }
        assert_eq!(text(b"\"\xff\""), None);
    }

    #[test]
    fn a_pointer_leads_into_objects_and_lists() {
        let document = br#"{"a":{"b":["x",{"c/d":"y","":"z"}]},"~e":1.50,"twice":"1","twice":"2","n":null,"o":{}}"#;
        for (pointer, expected) in [
            ("/a/b/0", Ok("x")),
            ("/a/b/1/c~1d", Ok("y")),
            ("/a/b/1/", Ok("z")),
            ("/~0e", Ok("1.50")),
            ("/twice", Ok("2")),
            ("/n", Err("not a string")),
            ("/o", Err("not a string")),
            ("/a/b", Err("not a string")),
            ("", Err("not a string")),
            ("/a/b/2", Err("found no member `/a/b/2`; expected a JSON pointer to one")),
            ("/a/b/00", Err("found no member")),
            ("/twice/x", Err("found no member")),
            ("/x", Err("it has `/a`, `/~0e`, `/twice`, `/twice`, `/n`, `/o`")),
        ] {
            match (member(document, pointer), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "{pointer}"),
                (Err(problem), Err(words)) => assert!(problem.contains(words), "{pointer}: {problem}"),
                (found, _) => panic!("{pointer}: {found:?}"),
            }
        }
        assert_eq!(*member(b"\xef\xbb\xbf\"a string\"\n", "").unwrap(), "a string");
        for document in [&b""[..], b"plain", b"{\"a\":", b"{} {}", b"7"] {
            assert!(member(document, "/a").unwrap_err().contains("not JSON"), "{document:?}");
        }
    }

    /// Documents of at most three levels, whose names are hard to write in a pointer.
    fn document() -> impl Strategy<Value = Value> {
        let name = || proptest::sample::select(vec!["a", "0", "", "/", "~", "~1", "\u{e4}\"\\"]);
        let leaf =
            prop_oneof![any::<i64>().prop_map(Value::from), any::<String>().prop_map(Value::from), Just(Value::Null)];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map(name(), inner, 0..4).prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_member_is_what_serde_finds(document in document(), pointer in "(/(a|0|1|~0|~1|~01|\u{e4}\"\\\\)?){0,4}") {
            let expected = match document.pointer(&pointer) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            let found = member(document.to_string().as_bytes(), &pointer).ok().map(|text| text.to_string());
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn garbage_is_no_document(bytes in any::<Vec<u8>>(), pointer in ".{0,9}") {
            let _ = member(&bytes, &pointer);
            let _ = text(&bytes);
        }
    }
}
