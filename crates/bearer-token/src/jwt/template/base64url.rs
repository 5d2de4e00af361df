//! Text in base64url, written in pieces.
//!
//! serde writes claims in small pieces, and Base64 encodes three bytes at a time. So pieces are gathered in a small
//! buffer whose length is a multiple of three, and encoded from there. The plain claims never exist as a whole.

use std::io;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// What is encoded at once: a multiple of three, so no padding is in between. The claims of most assertions fit.
const CHUNK: usize = 192;

/// Appends to a string in base64url without padding (RFC 7515 section 2), without a copy of the whole.
pub(super) struct Base64Url<'a> {
    out: &'a mut String,
    pending: [u8; CHUNK],
    length: usize,
}

impl<'a> Base64Url<'a> {
    pub(super) fn new(out: &'a mut String) -> Self {
        Base64Url { out, pending: [0; CHUNK], length: 0 }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        loop {
            let (fitting, rest) = bytes.split_at(bytes.len().min(CHUNK - self.length));
            self.pending[self.length..self.length + fitting.len()].copy_from_slice(fitting);
            self.length += fitting.len();
            if rest.is_empty() {
                return;
            }
            self.flush_pending();
            bytes = rest;
        }
    }

    /// Encodes what is left.
    pub(super) fn finish(mut self) {
        self.flush_pending();
    }

    fn flush_pending(&mut self) {
        append_base64url(&self.pending[..self.length], self.out);
        self.length = 0;
    }
}

/// Appends the bytes in base64url without padding (RFC 7515 section 2).
pub(crate) fn append_base64url(bytes: &[u8], out: &mut String) {
    for bytes in bytes.chunks(CHUNK) {
        let mut encoded = [0; CHUNK / 3 * 4];
        // Neither fails: there is room for all of it, and base64 is text.
        let length = BASE64_URL_SAFE_NO_PAD.encode_slice(bytes, &mut encoded).unwrap_or(0);
        out.push_str(str::from_utf8(&encoded[..length]).unwrap_or_default());
    }
}

impl io::Write for Base64Url<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.push(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_are_encoded_as_one() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(3 * CHUNK + 7).collect();
        for length in [0, 1, 2, 3, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, bytes.len()] {
            for piece in [1, 2, 3, 100, CHUNK, 2 * CHUNK + 1] {
                let mut text = "before.".to_owned();
                let mut out = Base64Url::new(&mut text);
                bytes[..length].chunks(piece).for_each(|piece| out.push(piece));
                out.finish();
                assert_eq!(text, format!("before.{}", BASE64_URL_SAFE_NO_PAD.encode(&bytes[..length])), "{piece}");
            }
        }
    }
}
