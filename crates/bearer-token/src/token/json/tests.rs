//! What is read, what is skipped, and what is not an object.

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

#[cfg(feature = "oauth")]
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
