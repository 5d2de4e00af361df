//! A body that is the token itself.
//!
//! Without a structure around it, nearly anything could be a token. So this reader refuses what is more likely
//! something else: a document, a literal, a number, a page. Sending an error page as a bearer would put it into the
//! API's logs.

use http::HeaderMap;

use super::body::{encoding, kind};
use crate::token::json;

/// The digits of a 64-bit number with its sign. A longer run of digits may be a token.
const LONGEST_NUMBER: usize = 20;

/// The kinds of documents with tags.
const MARKUP: [&str; 2] = ["an HTML page", "an XML document"];

/// The token in a body, or what was found instead.
///
/// A document is not a token, even if all its characters could be in a header.
///
/// The encoding is looked at last: bytes that are UTF-8 are not compressed, whatever a header says.
pub(crate) fn token(headers: &HeaderMap, body: &[u8]) -> Result<String, String> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let found = |what: &str| Err(format!("{} of {} bytes that {what}", kind(headers), body.len()));
    match text {
        [] => found("is empty"),
        [b'{' | b'[', ..] => Err("a JSON document; name the place of the token in it".to_owned()),
        [b'<', ..] => found("begins with a tag"),
        b"null" | b"true" | b"false" => found("is a JSON literal"),
        _ if text.len() <= LONGEST_NUMBER && json::number(text).is_some() => found("is a number"),
        _ if MARKUP.contains(&kind(headers)) && text.contains(&b'<') => found("contains a tag"),
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
            (b"null", Err("is a JSON literal")),
            (b" true\n", Err("is a JSON literal")),
            (b"false", Err("is a JSON literal")),
            (b"0", Err("is a number")),
            (b"-17.5e3\n", Err("is a number")),
            (b"18446744073709551615", Err("is a number")),
            (b"184467440737095516150", Ok("184467440737095516150")),
            (b"nullable", Ok("nullable")),
            (b"12ab", Ok("12ab")),
            (b"a<b", Ok("a<b")),
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

    #[test]
    fn a_page_is_not_a_token_wherever_its_markup_begins() {
        for content_type in ["text/html; charset=utf-8", "application/xhtml+xml", "application/xml"] {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::CONTENT_TYPE, content_type.parse().unwrap());
            let found = token(&headers, b"planted<br>").unwrap_err();
            assert!(found.contains("contains a tag") && !found.contains("planted"), "{found}");
            // Some servers send a token as a page.
            assert_eq!(token(&headers, b"eyJ.eyJ.sig").unwrap(), "eyJ.eyJ.sig");
        }
    }
}
