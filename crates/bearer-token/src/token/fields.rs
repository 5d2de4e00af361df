//! The fields of a JSON document that are needed.
//!
//! A response is read once, for a list of places that was fixed before it arrived. So the cost is one pass over the
//! bytes, and the memory is that of the wanted fields, whatever else the server sent. One field that is malformed does
//! not spoil the others: the token is used even if `scope` has a control character in it.

use std::fmt;

use zeroize::Zeroize;

use crate::token::{
    json::{self, NotAnObject},
    pointer::Pointer,
};

/// The fields of a token response that a grant asked for.
///
/// All other fields are skipped and not stored: a response may carry tokens that the program does not need, or a
/// megabyte of noise. Strings are wiped when dropped, and `Debug` shows names only.
///
/// A grant of your own lists the names in [`Grant::response_fields`](crate::oauth::Grant::response_fields), and gets
/// them in [`Grant::on_response`](crate::oauth::Grant::on_response):
///
/// ```
/// use bearer_token::oauth::ResponseFields;
///
/// /// The part of a grant's `on_response` that reads what it asked for.
/// fn session_of(fields: &ResponseFields) -> Option<String> {
///     fields.text("session_id").filter(|id| !id.is_empty()).map(str::to_owned)
/// }
/// # let _ = session_of;
/// ```
#[derive(Default)]
pub struct ResponseFields(Vec<WantedSlot>);

/// A field that is looked for in every token response.
///
/// The format of the response decides which pointer leads to it. `Error` is read from successes too: several servers
/// report failures with status 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Token,
    TokenType,
    ExpiresIn,
    ExpiresAt,
    RefreshIn,
    Scope,
    Error,
}

/// A field to read, and where it is.
pub(crate) struct Wanted {
    key: FieldKey,
    pointer: Pointer,
}

/// What the reader looks a field up by. It is separate from the pointer, because two keys may point to the same field.
#[derive(PartialEq)]
enum FieldKey {
    Place(Place),
    /// The name that a grant or the user gave.
    Named(String),
}

/// A wanted field, once it was read.
struct WantedSlot {
    wanted: Wanted,
    field: Option<Field>,
}

/// One field, as far as it can be read.
///
/// The variants keep apart what an error message has to say differently. A token that is a number, one that is nested
/// deeper, and one that is not UTF-8 are three mistakes with three fixes.
#[derive(PartialEq)]
pub(crate) enum Field {
    Text(String),
    /// The digits as they were sent.
    /// They are not converted: an `expires_in` of 2^64 must be capped, and not rounded or refused.
    Number(String),
    Truth(bool),
    /// A list of strings, of one at least.
    Texts(Vec<String>),
    /// `[]` or `{}`.
    Empty,
    /// Any other list or object.
    Nested,
    /// A string with bytes that are not UTF-8.
    NotUtf8,
    /// A string with characters that JSON does not allow, or a word that JSON does not have.
    NotJson,
}

impl Wanted {
    pub(crate) fn place(place: Place, pointer: Pointer) -> Self {
        Wanted { key: FieldKey::Place(place), pointer }
    }

    pub(crate) fn named(name: &str, pointer: Pointer) -> Self {
        Wanted { key: FieldKey::Named(name.to_owned()), pointer }
    }
}

impl ResponseFields {
    /// A field that is a string, empty or not. It may be a secret.
    ///
    /// The name is one of those that the grant [asked for](crate::oauth::Grant::response_fields).
    ///
    /// `None` if the response had no such field, if it was `null`, or if it was something other than a string. Copy it
    /// out if it is needed after the call: the fields are wiped when they are dropped.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.named(name) {
            Some(Field::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Reads the wanted fields of a JSON document. A field that cannot be read does not affect the others.
    ///
    /// The document is an object, or a list if one of the fields may be in a list.
    pub(crate) fn read(bytes: &[u8], wanted: Vec<Wanted>) -> Result<Self, NotAnObject> {
        let mut fields = ResponseFields(wanted.into_iter().map(|wanted| WantedSlot { wanted, field: None }).collect());
        let all: Vec<_> = (0..fields.0.len()).collect();
        let may_be_list = fields.0.iter().any(|slot| slot.wanted.pointer.begins_with_index());
        let visit = |name: &str, raw: &[u8]| fields.visit(name, raw, &all, 0);
        if may_be_list {
            json::items(bytes, visit)?;
        } else {
            json::members(bytes, visit)?;
        }
        Ok(fields)
    }

    /// Reads these fields of a JSON object.
    pub(crate) fn of(bytes: &[u8], names: &[&str]) -> Result<Self, NotAnObject> {
        Self::read(bytes, names.iter().map(|name| Wanted::named(name, Pointer::to_field(name))).collect())
    }

    /// Stores a value that is `depth` steps below the document, or the wanted values below it. Only the slots `among`
    /// are candidates.
    ///
    /// The depth is limited by the number of steps of a pointer.
    ///
    /// A value is scanned again only if a wanted field is below it. So a response of 1 MiB with the token at the top is
    /// read once.
    fn visit(&mut self, name: &str, raw: &[u8], among: &[usize], depth: usize) {
        let mut below = Vec::new();
        for &index in among {
            let Some(slot) = self.0.get_mut(index) else { continue };
            let steps = slot.wanted.pointer.steps();
            if steps.get(depth).is_none_or(|step| step != name) {
                continue;
            }
            // If a name occurs twice, the last one counts. The first one may be a secret, so it is wiped.
            wipe(slot.field.take());
            if steps.len() == depth + 1 {
                slot.field = Field::read(raw);
            } else {
                below.push(index);
            }
        }
        if !below.is_empty() {
            // A value of another kind has no fields.
            let _ = json::items(raw, |name, raw| self.visit(name, raw, &below, depth + 1));
        }
    }

    /// A field that is present and not `null`.
    pub(crate) fn get(&self, place: Place) -> Option<&Field> {
        self.0.iter().find(|slot| slot.wanted.key == FieldKey::Place(place))?.field.as_ref()
    }

    /// A field that is present and not `null`, by the name that a grant or the user gave.
    pub(crate) fn named(&self, name: &str) -> Option<&Field> {
        let is_named = |slot: &&WantedSlot| matches!(&slot.wanted.key, FieldKey::Named(other) if other == name);
        self.0.iter().find(is_named)?.field.as_ref()
    }

    /// Takes a field out.
    pub(crate) fn take(&mut self, place: Place) -> Option<Field> {
        self.0.iter_mut().find(|slot| slot.wanted.key == FieldKey::Place(place))?.field.take()
    }
}

impl Field {
    /// Reads a raw value; none for `null`.
    fn read(raw: &[u8]) -> Option<Self> {
        let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
        Some(match raw {
            b"null" => return None,
            b"true" => Field::Truth(true),
            b"false" => Field::Truth(false),
            [b'[' | b'{', ..] if inner.trim_ascii().is_empty() => Field::Empty,
            [b'[', ..] => serde_json::from_slice(raw).map_or(Field::Nested, Field::Texts),
            [b'{', ..] => Field::Nested,
            [b'"', ..] if str::from_utf8(raw).is_err() => Field::NotUtf8,
            [b'"', ..] => json::text(raw).map_or(Field::NotJson, Field::Text),
            _ => json::number(raw).map_or(Field::NotJson, |digits| Field::Number(digits.to_owned())),
        })
    }

    /// Whether it says nothing: `""`, `0`, `false`, `[]` or `{}`.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Field::Text(text) => text.trim().is_empty(),
            Field::Number(digits) => digits.parse() == Ok(0.0),
            Field::Truth(truth) => !truth,
            Field::Empty => true,
            Field::Texts(_) | Field::Nested | Field::NotUtf8 | Field::NotJson => false,
        }
    }
}

/// Overwrites a string before its memory is freed. Numbers and flags are not secrets, and lists are scopes at most.
fn wipe(field: Option<Field>) {
    if let Some(Field::Text(mut text)) = field {
        text.zeroize();
    }
}

impl Drop for ResponseFields {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|slot| wipe(slot.field.take()));
    }
}

impl fmt::Debug for ResponseFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.0.iter().filter(|slot| slot.field.is_some());
        f.debug_tuple("ResponseFields").field(&found.map(|slot| &slot.wanted.pointer).collect::<Vec<_>>()).finish()
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_as_what_it_is() {
        let text = |text: &str| Some(Field::Text(text.to_owned()));
        let number = |digits: &str| Some(Field::Number(digits.to_owned()));
        for (raw, field, empty) in [
            ("\"a\\n\"", text("a\n"), false),
            ("\"\"", text(""), true),
            ("\" \"", text(" "), true),
            ("\"a\tb\"", Some(Field::NotJson), false),
            ("\"\\ud800\"", Some(Field::NotJson), false),
            ("7", number("7"), false),
            ("12345678901234567890123", number("12345678901234567890123"), false),
            ("1e400", number("1e400"), false),
            ("0", number("0"), true),
            ("-0.0", number("-0.0"), true),
            ("NaN", Some(Field::NotJson), false),
            ("true", Some(Field::Truth(true)), false),
            ("false", Some(Field::Truth(false)), true),
            ("null", None, true),
            ("[ ]", Some(Field::Empty), true),
            ("{}", Some(Field::Empty), true),
            ("[\"a\", \"b\"]", Some(Field::Texts(vec!["a".into(), "b".into()])), false),
            ("[\"a\", 7]", Some(Field::Nested), false),
            ("[1e400]", Some(Field::Nested), false),
            ("{\"a\":1}", Some(Field::Nested), false),
        ] {
            let found = Field::read(raw.as_bytes());
            assert_eq!(found.as_ref().is_none_or(Field::is_empty), empty, "{raw}");
            assert!(found == field, "{raw}");
        }
        assert!(Field::read(b"\"t\xf6k\"") == Some(Field::NotUtf8));
    }

    fn read(body: impl AsRef<[u8]>, names: &[&str]) -> ResponseFields {
        ResponseFields::of(body.as_ref(), names).unwrap()
    }

    #[test]
    fn l50_a_wanted_field_that_is_unreadable_costs_no_other() {
        let body = b"{\"a\":\"\xff\",\"b\":1e400,\"c\":\"x\ty\",\"secret\":\"kept\",\"d\":{\"e\":1e999}}";
        let fields = read(body, &["a", "b", "c", "d", "secret", "/d/e"]);
        assert_eq!(fields.text("secret"), Some("kept"));
        assert_eq!((fields.text("a"), fields.text("b"), fields.text("c"), fields.text("d")), (None, None, None, None));
        assert!(fields.named("/d/e") == Some(&Field::Number("1e999".to_owned())));
    }

    #[test]
    fn the_last_of_two_counts() {
        for (body, expected) in [
            (r#"{"a":"1","a":"2"}"#, Some("2")),
            (r#"{"a":"1","a":null}"#, None),
            (r#"{"a":null,"a":"2"}"#, Some("2")),
            (r#"{"a":"1","b":null}"#, Some("1")),
        ] {
            assert_eq!(read(body, &["a"]).text("a"), expected, "{body}");
            let nested = body.replace("\"1\"", "{\"b\":\"1\"}").replace("\"2\"", "[{\"b\":0,\"b\":\"2\"}]");
            let fields = read(nested, &["/a/b", "/a/0/b"]);
            assert_eq!(fields.text("/a/b").or(fields.text("/a/0/b")), expected, "{body}");
            assert!(fields.text("/a/b").is_none() || fields.text("/a/0/b").is_none());
        }
    }

    #[test]
    fn pointers_lead_into_objects_and_lists() {
        let body = b"{\"noise\":{\"token\":\"\xf6\",\"n\":1e999},\"data\":[[],{\"a/b~\":{\"token\":\"deep\",\"\":\"empty\"}},7],\
                     \"token\":\"top\",\"0\":\"zero\"}";
        for (pointer, expected) in [
            ("token", Some("top")),
            ("/token", Some("top")),
            ("/0", Some("zero")),
            ("/data/1/a~1b~0/token", Some("deep")),
            ("/data/1/a~1b~0/", Some("empty")),
            ("/data/01/a~1b~0/token", None),
            ("/data/-/a~1b~0/token", None),
            ("/data/1/token", None),
            ("/data/2/token", None),
            ("/noise/token", None),
            ("/token/0", None),
            ("/", None),
        ] {
            assert_eq!(read(body, &[pointer]).text(pointer), expected, "{pointer}");
        }
        assert_eq!(read("[0,{\"token\":\"listed\"}]", &["/1/token"]).text("/1/token"), Some("listed"));
        let refused = ResponseFields::of(b"[]", &["a"]).unwrap_err();
        assert_eq!(refused, NotAnObject("is JSON, but not an object"));
    }

    #[test]
    fn deep_noise_is_skipped_below_a_pointer() {
        let deep = "[".repeat(50_000) + &"]".repeat(50_000);
        let body = format!("{{\"a\":{{\"x\":{deep},\"b\":\"found\",\"y\":{deep}}}}}");
        assert_eq!(read(body, &["/a/b", "/a/x/0/0/0"]).text("/a/b"), Some("found"));
    }

    #[test]
    fn l38_debug_shows_names_only() {
        let fields = read(br#"{"a": "planted", "b": "planted", "c": {"d": 1}}"#, &["a", "/c/d", "e"]);
        assert_eq!(format!("{fields:?}"), r#"ResponseFields(["/a", "/c/d"])"#);
        assert_eq!((fields.text("a"), fields.text("b"), fields.text("c")), (Some("planted"), None, None));
    }
}
