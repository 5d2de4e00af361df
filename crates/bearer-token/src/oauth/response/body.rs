//! The kind of a body that is not JSON.
//!
//! These words make an error's sentence concrete. "an HTML page" is a login page or a proxy, "an XML document" another
//! product, "a form" another protocol. Everything else is "a body".

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

/// Names the content type if it is a common mistake. The header itself is never repeated.
pub(crate) fn kind(headers: &HeaderMap) -> &'static str {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "text/html" | "application/xhtml+xml" => "an HTML page",
        "text/xml" | "application/xml" => "an XML document",
        "application/x-www-form-urlencoded" => "a form",
        _ => "a body",
    }
}

/// The encoding of a compressed body, by its header or its first bytes.
///
/// The bytes count more than the header: proxies compress without saying so, and say so without compressing.
pub(crate) fn encoding(headers: &HeaderMap, body: &[u8]) -> Option<&'static str> {
    match body {
        [] => return None,
        [0x1f, 0x8b, ..] => return Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => return Some("zstd"),
        _ => {}
    }
    let values = headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut words = values.flat_map(|text| text.split(',')).map(|word| word.trim().to_ascii_lowercase());
    words.find(|word| !word.is_empty() && word != "identity").map(|word| match word.as_str() {
        "gzip" | "x-gzip" => "gzip",
        "deflate" => "deflate",
        "br" => "br",
        "zstd" => "zstd",
        "compress" | "x-compress" => "compress",
        _ => "in an unknown encoding",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l51_a_compressed_body_is_recognised() {
        for (header, body, expected) in [
            (None, &b"{}"[..], None),
            (Some("identity"), b"{}", None),
            (Some(""), b"{}", None),
            (Some("gzip"), b"", None),
            (None, b"\x1f\x8b\x08\x00", Some("gzip")),
            (Some("gzip"), b"\x1f\x8b\x08\x00", Some("gzip")),
            (Some("GZip"), b"x", Some("gzip")),
            (Some("x-gzip"), b"x", Some("gzip")),
            (Some("deflate"), b"x\x9c", Some("deflate")),
            (Some("br"), b"\x8b", Some("br")),
            (Some("identity, br"), b"\x8b", Some("br")),
            (None, b"\x28\xb5\x2f\xfd", Some("zstd")),
            (Some("planted"), b"x", Some("in an unknown encoding")),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(header.map(|value| (CONTENT_ENCODING, value.parse().unwrap())));
            assert_eq!(encoding(&headers, body), expected, "{header:?} {body:?}");
        }
    }
}
