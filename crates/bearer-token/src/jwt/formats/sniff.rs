//! What the content of a key looks like from the outside, whole or not.
//!
//! An HMAC takes any bytes as its secret. So what looks like another format, and can only be a part of it or the wrong
//! file, must be told apart from a secret: a JWK without its last brace would sign all the same.

use zeroize::Zeroizing;

use super::{encoding as decode, jwk, pem as private_key};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Pem,
    Jwk,
    /// JSON, as far as it goes, without a word of a JWK.
    Json,
    Utf16Pem,
    Utf16Jwk,
    Utf16,
    Pkcs12,
    Der,
    /// The base64 of DER: the inside of a PEM.
    Base64Der,
    /// A PEM or JWK in base64, cut off perhaps.
    Base64,
    /// The same in base64 twice, or in base64 and UTF-16.
    TwiceBase64,
    /// Nothing in particular: what a secret looks like.
    Plain,
}

impl Look {
    pub(crate) fn of(content: &[u8]) -> Self {
        match Look::outside(content) {
            Look::Plain => match decoded(content).map(|inside| (Look::outside(&inside), inside)) {
                Some((Look::Pem | Look::Jwk | Look::Json, _)) => Look::Base64,
                Some((Look::Der | Look::Pkcs12, _)) => Look::Base64Der,
                Some((Look::Utf16Pem | Look::Utf16Jwk, _)) => Look::TwiceBase64,
                Some((Look::Plain, inside)) => match decoded(&inside).map(|inside| Look::outside(&inside)) {
                    Some(Look::Pem | Look::Jwk | Look::Json) => Look::TwiceBase64,
                    _ => Look::Plain,
                },
                _ => Look::Plain,
            },
            look => look,
        }
    }

    /// Without a look into base64.
    fn outside(content: &[u8]) -> Self {
        if private_key::looks_like_pem(content) {
            Look::Pem
        } else if begins_like_json(content) {
            if jwk::has_word(content) { Look::Jwk } else { Look::Json }
        } else if let Some(text) = utf16(content) {
            match Look::outside(text.as_bytes()) {
                Look::Pem => Look::Utf16Pem,
                Look::Jwk => Look::Utf16Jwk,
                _ => Look::Utf16,
            }
        } else {
            match der(content) {
                // RFC 7292 section 4; the versions of private keys are 0 and 1.
                Some([2, 1, 3, 0x30, ..]) => Look::Pkcs12,
                Some([2 | 0x30, ..]) => Look::Der,
                _ => Look::Plain,
            }
        }
    }

    /// What was found, and what to do about it.
    pub(crate) fn found(self) -> Option<&'static str> {
        Some(match self {
            Look::Pem => "found a PEM",
            Look::Jwk => "found a JWK that is not whole",
            Look::Json => "found JSON that is no JWK; take the key out of it",
            Look::Utf16Pem => {
                "found a PEM in UTF-16, as `>` of PowerShell writes it; write it in UTF-8: `Get-Content KEY.pem | \
                 Set-Content -Encoding utf8 NEW.pem`"
            }
            Look::Utf16Jwk => {
                "found a JWK in UTF-16, as `>` of PowerShell writes it; write it in UTF-8: `Get-Content KEY.json | \
                 Set-Content -Encoding utf8 NEW.json`"
            }
            Look::Utf16 => "found text in UTF-16; write it in UTF-8",
            Look::Pkcs12 => {
                "found PKCS#12 (.p12, .pfx); take the private key out with `openssl pkcs12 -in KEY.p12 -nocerts -nodes \
                 -out KEY.pem`"
            }
            Look::Der => "found binary DER; convert it with `openssl pkey -inform DER -in KEY.der -out KEY.pem`",
            Look::Base64Der => {
                "found the inside of a PEM without its first and last line; put `-----BEGIN PRIVATE KEY-----` and \
                 `-----END PRIVATE KEY-----` around it"
            }
            Look::Base64 => "found a PEM or JWK in base64 that is not whole; is it cut off?",
            Look::TwiceBase64 => "found a PEM or JWK that is encoded twice, with base64 on the outside; decode it once",
            Look::Plain => return None,
        })
    }
}

/// A brace, and text: binary secrets begin with a brace, too, once in a while. Some text is enough, as the rest may be
/// damaged.
fn begins_like_json(content: &[u8]) -> bool {
    jwk::object(content).is_some_and(|text| is_text(text) || text.first_chunk::<16>().is_some_and(|text| is_text(text)))
}

/// Where it is cut off, a character may be cut as well.
fn is_text(content: &[u8]) -> bool {
    let controls = content.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace());
    let is_utf8 = match str::from_utf8(content) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && !controls
}

/// Base64, cut off anywhere.
fn decoded(content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(content.to_vec());
    text.retain(|byte| !byte.is_ascii_whitespace());
    while text.ends_with(b"=") {
        text.pop();
    }
    // A character too many says nothing yet.
    let length = text.len();
    text.truncate(length - usize::from(length % 4 == 1));
    decode::base64(&text).or_else(|| {
        text.truncate(length / 4 * 4);
        decode::base64(&text)
    })
}

/// Text in UTF-16 of either order, told by its mark or by its first letters.
fn utf16(content: &[u8]) -> Option<Zeroizing<String>> {
    let unit: fn([u8; 2]) -> u16 = match content {
        [0xff, 0xfe, 1..=0x7f, 0, ..] | [1..=0x7f, 0, 1..=0x7f, 0, 1..=0x7f, 0, 1..=0x7f, 0, ..] => u16::from_le_bytes,
        [0xfe, 0xff, 0, 1..=0x7f, ..] | [0, 1..=0x7f, 0, 1..=0x7f, 0, 1..=0x7f, 0, 1..=0x7f, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let (pairs, _) = content.as_chunks::<2>();
    // Of its full size from the start: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * content.len()));
    text.extend(char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).map(|unit| unit.unwrap_or('?')));
    Some(text)
}

/// The inside of a DER (or BER) sequence, cut off perhaps. Text may begin like one, but has no control characters.
fn der(content: &[u8]) -> Option<&[u8]> {
    if is_text(content) {
        return None;
    }
    match content {
        // Short ones are whole, or too short to be anything else than random.
        [0x30, length @ ..0x80, inside @ ..] if inside.len() == usize::from(*length) => Some(inside),
        [0x30, 0x80, inside @ ..]
        | [0x30, 0x81, _, inside @ ..]
        | [0x30, 0x82, _, _, inside @ ..]
        | [0x30, 0x83, _, _, _, inside @ ..] => Some(inside),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use serde_json::json;

    use super::*;
    use crate::jwt::test_support::{jwk_set, jwk_text, pem};

    fn utf16_of(text: &str, mark: bool, encode: fn(u16) -> [u8; 2]) -> Vec<u8> {
        mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).flat_map(encode).collect()
    }

    #[test]
    fn l24_every_beginning_of_a_pem_or_jwk_is_told_from_a_secret() {
        for text in [
            pem("rsa2048"),
            pem("p256.sec1"),
            jwk_text("oct", json!({ "kid": "\u{e4}" })),
            format!("\u{feff}\n {}", jwk_text("p256", json!({}))),
            jwk_set(&[jwk_text("oct", json!({}))]),
        ] {
            // A secret of fewer bytes has to be asked for.
            for length in 32..=text.len() {
                let torn = &text.as_bytes()[..length];
                assert!(matches!(Look::of(torn), Look::Pem | Look::Jwk | Look::Json), "{torn:?}");
            }
            let wrapped = BASE64_STANDARD.encode(&text);
            for length in (32..=wrapped.len()).filter(|_| !text.starts_with("\u{feff}")) {
                assert_ne!(Look::of(&wrapped.as_bytes()[..length]), Look::Plain, "{length} of {wrapped}");
            }
        }
    }

    #[test]
    fn l23_formats_are_told_by_their_first_bytes() {
        let (key, jwk) = (pem("p256"), jwk_text("oct", json!({})));
        let der = ::pem::parse(&key).unwrap().into_contents();
        let once = BASE64_STANDARD.encode(&key);
        let (le, be) = (u16::to_le_bytes, u16::to_be_bytes);
        for (content, look) in [
            (key.clone().into_bytes(), Look::Pem),
            (b"----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49".to_vec(), Look::Pem),
            (b"MIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----".to_vec(), Look::Pem),
            (b"-----BE".to_vec(), Look::Pem),
            (jwk.clone().into_bytes(), Look::Jwk),
            (br#" {"type": "service_account"}"#.to_vec(), Look::Json),
            (b"{ a secret that begins with a brace".to_vec(), Look::Json),
            (utf16_of(&key, true, le), Look::Utf16Pem),
            (utf16_of(&key, true, be), Look::Utf16Pem),
            (utf16_of(&key, false, le), Look::Utf16Pem),
            (utf16_of(&jwk, true, le), Look::Utf16Jwk),
            (utf16_of("a secret", true, be), Look::Utf16),
            (der.clone(), Look::Der),
            (der[..40].to_vec(), Look::Der),
            (::pem::parse(pem("certificate")).unwrap().into_contents(), Look::Der),
            (::pem::parse(pem("ed25519")).unwrap().into_contents(), Look::Der),
            (b"\x30\x82\x09\xd1\x02\x01\x03\x30\x82\x09\x97".to_vec(), Look::Pkcs12),
            (b"\x30\x80\x02\x01\x03\x30\x80".to_vec(), Look::Pkcs12),
            (BASE64_STANDARD.encode(&der).into_bytes(), Look::Base64Der),
            (once.clone().into_bytes(), Look::Base64),
            (BASE64_STANDARD.encode(&once).into_bytes(), Look::TwiceBase64),
            (BASE64_STANDARD.encode(utf16_of(&key, false, le)).into_bytes(), Look::TwiceBase64),
        ] {
            assert_eq!(Look::of(&content), look, "{content:?}");
            assert!(look.found().is_some());
        }
    }

    #[test]
    fn secrets_of_text_base64_hex_and_random_bytes_are_plain() {
        // Marsaglia's xorshift: the same in each run.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..8).flat_map(|_| random()).collect();
            for length in [32, 48, 64] {
                let bytes = &bytes[..length];
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                for secret in [bytes, BASE64_STANDARD.encode(bytes).as_bytes(), hex.as_bytes()] {
                    assert_eq!(Look::of(secret), Look::Plain, "{secret:?}");
                }
            }
        }
        // What may look like something else at first.
        let braced = [b"{".as_slice(), &[0x9d; 31]].concat();
        for secret in [
            &b""[..],
            b"0>0> is not the beginning of a sequence in DER, and 64 bytes long.",
            b"a secret - with dashes ----- and {braces}",
            &braced,
        ] {
            assert_eq!(Look::of(secret), Look::Plain, "{secret:?}");
        }
    }
}
