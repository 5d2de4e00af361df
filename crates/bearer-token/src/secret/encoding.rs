//! Strings, secrets and keys that are written in base64 or hex.
//!
//! The decoders are lenient in what does not change the bytes (padding, alphabet, white space), because providers hand
//! out all of these forms. They are strict in everything else, and their errors have no character of the input.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The encoding of a value, a key or a secret.
///
/// With [`Text`](Self::Text), a byte order mark and one trailing newline are removed. With every other encoding, all
/// bytes are used.
///
/// ```
/// use bearer_token::Encoding;
///
/// assert_eq!(Encoding::Base64.decode(b"c2VjcmV0").unwrap(), b"secret");
/// // URL-safe, without padding, with a newline of an editor.
/// assert_eq!(Encoding::Base64.decode(b"-_8\n").unwrap(), [0xfb, 0xff]);
/// assert_eq!(Encoding::Hex.decode(b"0aFF").unwrap(), [0x0a, 0xff]);
/// assert!(Encoding::Hex.decode(b"0aF").is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encoding {
    /// As text, in UTF-8. Content that is not UTF-8 is used as `Binary`.
    #[default]
    Text,
    /// As the bytes themselves.
    Binary,
    /// As base64: standard or URL-safe, padded or not. A configuration may call it `base64url`, too.
    #[serde(alias = "base64url")]
    Base64,
    /// As two hex digits for each byte.
    Hex,
}

impl Encoding {
    /// Decodes bytes of this encoding, or returns `None` if they are not valid. The result may be a secret: wipe it.
    pub fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        let decoded = match self {
            Encoding::Text | Encoding::Binary => return Some(text.to_vec()),
            Encoding::Base64 => base64(text),
            Encoding::Hex => str::from_utf8(text).ok().and_then(hex),
        };
        decoded.map(|mut bytes| std::mem::take(&mut *bytes))
    }

    /// The word for error messages, which is the one of the configuration.
    #[allow(dead_code, reason = "used by key files, with the feature `jwt`, and by values")]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Encoding::Text => "text",
            Encoding::Binary => "binary",
            Encoding::Base64 => "base64",
            Encoding::Hex => "hex",
        }
    }
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD_ALPHABET: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const URL_ALPHABET: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Decodes base64: standard or URL-safe, padded or not, with or without whitespace.
///
/// The decoder's own error is left out on purpose: it quotes a character of the secret.
pub(crate) fn base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = without_whitespace(without_mark(text));
    let url_safe = text.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = if url_safe { URL_ALPHABET } else { STANDARD_ALPHABET };
    engine.decode(text.as_slice()).ok().map(Zeroizing::new)
}

/// Decodes hex in either case.
pub(crate) fn hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = without_whitespace(without_mark(text.as_bytes()));
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for &[high, low] in pairs {
        bytes.push(digit(high)? << 4 | digit(low)?);
    }
    Some(bytes)
}

/// The bytes after a byte order mark in UTF-8, if there is one.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// A copy without white space, in one buffer of the final size: growing it would leave parts of the secret behind.
fn without_whitespace(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(text.len()));
    kept.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_may_have_either_alphabet_and_padding() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        for text in ["+//+AQ==", "+//+AQ", "-__-AQ==", "-__-AQ", " +//+\r\nAQ==\n", "\u{feff}+//+AQ=="] {
            assert_eq!(base64(text.as_bytes()).as_deref().map(Vec::as_slice), Some(&bytes[..]), "{text:?}");
        }
        for text in ["+//-AQ", "A", "AQ=A", "a secret!"] {
            assert!(base64(text.as_bytes()).is_none(), "{text:?}");
        }
    }

    #[test]
    fn hex_is_read_in_either_case() {
        for text in ["00fFa9", "00ffA9\n", "\u{feff}00ffa9"] {
            assert_eq!(hex(text).as_deref().map(Vec::as_slice), Some(&[0x00, 0xff, 0xa9][..]), "{text:?}");
        }
        for text in ["0", "0g", "0x00", "00+1", "\u{e4}"] {
            assert!(hex(text).is_none(), "{text:?}");
        }
    }
}
