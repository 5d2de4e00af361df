//! A body that is the token itself.

use http::HeaderMap;

use super::body::{encoding, kind};
use crate::token::json;

/// The token in a body, or what was found instead.
///
/// A document is not a token, even if all its characters could be in a header.
pub(crate) fn token(headers: &HeaderMap, body: &[u8]) -> Result<String, String> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let found = |what: &str| Err(format!("{} of {} bytes that {what}", kind(headers), body.len()));
    match text {
        [] => found("is empty"),
        [b'{' | b'[', ..] => Err("a JSON document; name the place of the token in it".to_owned()),
        [b'<', ..] => found("begins with a tag"),
        [b'"', ..] => {
            json::text(text).filter(|text| !text.is_empty()).map_or_else(|| found("is not a JSON string"), Ok)
        }
        _ => match (encoding(headers, body), str::from_utf8(text)) {
            (_, Ok(text)) => Ok(text.to_owned()),
            (Some(encoding), Err(_)) => found(&format!("is compressed ({encoding})")),
            (None, Err(_)) => found("is not UTF-8"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_body_is_the_token() {
        for (body, expected) in [
            (&b"eyJ.eyJ.sig"[..], Ok("eyJ.eyJ.sig")),
            (b"\xef\xbb\xbf opaque\r\n", Ok("opaque")),
            (b"\"quoted\\u0021\"\n", Ok("quoted!")),
            // Refused when it becomes a bearer.
            (b"two words", Ok("two words")),
            (b"", Err("a body of 0 bytes that is empty")),
            (b" \n", Err("a body of 2 bytes that is empty")),
            (b"\"\"", Err("is not a JSON string")),
            (b"\"broken", Err("is not a JSON string")),
            (b"{\"token\":\"planted\"}", Err("a JSON document")),
            (b"[\"planted\"]", Err("a JSON document")),
            (b"<html>planted", Err("begins with a tag")),
            (b"planted\xff", Err("is not UTF-8")),
            (b"\x1f\x8b\x08\xff", Err("compressed (gzip)")),
        ] {
            match (token(&HeaderMap::new(), body), expected) {
                (Ok(text), Ok(expected)) => assert_eq!(text, expected),
                (Err(found), Err(part)) => assert!(found.contains(part) && !found.contains("planted"), "{found}"),
                (found, _) => panic!("{body:?}: {found:?}"),
            }
        }
    }
}
