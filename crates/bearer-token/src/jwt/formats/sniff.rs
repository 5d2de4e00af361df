//! Recognises the format of content, even if it is cut off.
//!
//! An HMAC takes any bytes as its secret. So a part of another format, or the wrong file, must be recognised. Otherwise
//! a JWK without its last brace would be used as a secret.
//!
//!
//! The order of the guesses matters. SSH formats have fixed first words, JSON begins with a bracket, PEM has dashes,
//! UTF-16 has zero bytes, and DER has a length that fits. Base64 is looked into last and twice at most, because a
//! Kubernetes secret that was encoded by hand is encoded twice.

use zeroize::Zeroizing;

use super::{
    der_document::{self, DerDocument},
    encoding,
    json::begins_like_json,
    jwk,
    openssh::OpenSshKey,
    pem,
};

/// The format that content seems to have.
///
/// A guess, and good enough for a sentence of advice. No key is ever loaded because of it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sniffed {
    /// A PEM, or a part of one: a BEGIN or an END line is enough.
    Pem,
    /// JSON with a member name that JWKs have.
    Jwk,
    /// JSON, perhaps cut off, without a member name that JWKs have.
    Json,
    /// A PEM that PowerShell or an editor has saved as UTF-16.
    Utf16Pem,
    Utf16Jwk,
    Utf16,
    /// Binary DER, perhaps cut off.
    Der(DerDocument),
    /// The base64 of DER: the inside of a PEM.
    Base64Der(DerDocument),
    /// A PEM or JWK in base64, cut off perhaps.
    Base64,
    /// A PEM or JWK in base64 twice, or in base64 and UTF-16.
    TwiceBase64,
    /// Java's key store: JKS, JCEKS.
    Jks,
    /// A private key of `PuTTY` (`.ppk`), in any version.
    Putty(OpenSshKey),
    /// A private key in the format of SSH2 (ssh.com).
    Ssh2Private,
    /// A public key as SSH writes it, in one line or in the format of RFC 4716.
    SshPublic,
    /// No known format, so it may be a secret.
    Plain,
}

impl Sniffed {
    /// Looks at the content as it is, and then inside of Base64.
    pub(crate) fn of(content: &[u8]) -> Self {
        match Sniffed::outside(content) {
            Sniffed::Plain => decoded(content).map_or(Sniffed::Plain, |inside| Sniffed::inside_base64(&inside)),
            sniffed => sniffed,
        }
    }

    /// The format of content that was decoded from Base64. Only formats that are certain count here: random bytes
    /// decode from many strings.
    fn inside_base64(content: &[u8]) -> Self {
        match Sniffed::outside(content) {
            Sniffed::Pem | Sniffed::Jwk | Sniffed::Json => Sniffed::Base64,
            Sniffed::Der(document) => Sniffed::Base64Der(document),
            Sniffed::Utf16Pem | Sniffed::Utf16Jwk => Sniffed::TwiceBase64,
            Sniffed::Plain => match decoded(content).map(|inside| Sniffed::outside(&inside)) {
                Some(Sniffed::Pem | Sniffed::Jwk | Sniffed::Json) => Sniffed::TwiceBase64,
                _ => Sniffed::Plain,
            },
            sniffed @ (Sniffed::Jks | Sniffed::Putty(_) | Sniffed::Ssh2Private) => sniffed,
            _ => Sniffed::Plain,
        }
    }

    /// The format without a look into base64.
    ///
    /// UTF-16 is decoded and looked at again, so "a PEM in UTF-16" can be told from other text. The recursion is one
    /// level deep, because the decoded text has no zero bytes.
    fn outside(content: &[u8]) -> Self {
        if let Some(ssh) = ssh(content) {
            ssh
        } else if looks_like_json(content) {
            if jwk::has_word(content) { Sniffed::Jwk } else { Sniffed::Json }
        } else if pem::looks_like_pem(content) {
            Sniffed::Pem
        } else if let Some(text) = utf16(content) {
            match Sniffed::outside(text.as_bytes()) {
                Sniffed::Pem => Sniffed::Utf16Pem,
                Sniffed::Jwk => Sniffed::Utf16Jwk,
                _ => Sniffed::Utf16,
            }
        } else if content.starts_with(b"\xfe\xed\xfe\xed") || content.starts_with(b"\xce\xce\xce\xce") {
            Sniffed::Jks
        } else if is_der(content) {
            Sniffed::Der(DerDocument::of(content))
        } else {
            Sniffed::Plain
        }
    }
}

/// The formats of SSH tools, which are text, apart from `OPENSSH PRIVATE KEY`, which is PEM.
fn ssh(content: &[u8]) -> Option<Sniffed> {
    let text = encoding::without_mark(content).trim_ascii_start();
    if let Some(rest) = text.strip_prefix(b"PuTTY-User-Key-File-") {
        let line = rest.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let kind = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        return Some(Sniffed::Putty(OpenSshKey::of_type(kind)));
    }
    if text.starts_with(b"---- BEGIN SSH2 ") {
        let is_private = text.windows(11).take(40).any(|window| window == b"PRIVATE KEY");
        return Some(if is_private { Sniffed::Ssh2Private } else { Sniffed::SshPublic });
    }
    // The type, a space, and base64 that begins with the length of the type.
    let (kind, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b' ')?)?;
    let is_known = OpenSshKey::of_type(kind) != OpenSshKey::Other || kind == b"ssh-dss" || kind.starts_with(b"sk-");
    (is_known && rest.starts_with(b" AAAA")).then_some(Sniffed::SshPublic)
}

/// Whether the content begins like a JSON object or list.
///
/// A brace and any text are enough, because the rest may be damaged. A brace alone is not, because binary secrets may
/// begin with one.
fn looks_like_json(content: &[u8]) -> bool {
    let is_object = jwk::object(content)
        .is_some_and(|text| is_text(text) || text.first_chunk::<16>().is_some_and(|text| is_text(text)));
    // A PEM between braces is still a PEM.
    is_object && (begins_like_json(content) || !pem::looks_like_pem(content))
        || begins_like_json(content) && is_text(content)
}

/// Whether it is text without control characters. If it is cut off, the last character may be incomplete.
pub(crate) fn is_text(content: &[u8]) -> bool {
    let controls = content.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace());
    let is_utf8 = match str::from_utf8(content) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && !controls
}

/// Decodes base64 that may be cut off anywhere.
fn decoded(content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(content.to_vec());
    text.retain(|byte| !byte.is_ascii_whitespace());
    while text.ends_with(b"=") {
        text.pop();
    }
    // A single character of a group says nothing yet.
    let length = text.len();
    text.truncate(length - usize::from(length % 4 == 1));
    encoding::base64(&text).or_else(|| {
        text.truncate(length / 4 * 4);
        encoding::base64(&text)
    })
}

/// Decodes UTF-16 of either byte order, which is recognised by its mark or by its first letters.
///
/// PowerShell's redirection writes UTF-16 with a byte order mark, and some editors write it without one.
fn utf16(content: &[u8]) -> Option<Zeroizing<String>> {
    let unit: fn([u8; 2]) -> u16 = match content {
        [0xff, 0xfe, 1..=0x7f, 0, ..] | [1..=0x7f, 0, 1..=0x7f, 0, 1..=0x7f, 0, 1..=0x7f, 0, ..] => u16::from_le_bytes,
        [0xfe, 0xff, 0, 1..=0x7f, ..] | [0, 1..=0x7f, 0, 1..=0x7f, 0, 1..=0x7f, 0, 1..=0x7f, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let (pairs, _) = content.as_chunks::<2>();
    // Of its full size from the start: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * content.len()));
    text.extend(char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).map(|unit| unit.unwrap_or('?')));
    Some(text)
}

/// A DER (or BER) sequence, perhaps cut off. Text may begin like one, but has no control characters.
fn is_der(content: &[u8]) -> bool {
    !is_text(content) && matches!(der_document::inside(content), Some([2 | 6 | 0x30, ..]))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use serde_json::json;

    use super::*;
    use crate::jwt::test_support::{jwk_set, jwk_text, key_der, pem, testdata};

    fn utf16_of(text: &str, mark: bool, encode: fn(u16) -> [u8; 2]) -> Vec<u8> {
        mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).flat_map(encode).collect()
    }

    #[test]
    fn l24_every_beginning_of_a_key_is_told_from_a_secret() {
        for text in [
            pem("rsa2048"),
            pem("p256.sec1"),
            jwk_text("oct", json!({ "kid": "\u{e4}" })),
            format!("\u{feff}\n {}", jwk_text("p256", json!({}))),
            jwk_set(&[jwk_text("oct", json!({}))]),
        ] {
            // A secret of fewer bytes needs an opt-in.
            for length in 32..=text.len() {
                let torn = &text.as_bytes()[..length];
                assert!(matches!(Sniffed::of(torn), Sniffed::Pem | Sniffed::Jwk | Sniffed::Json), "{torn:?}");
            }
            let wrapped = BASE64_STANDARD.encode(&text);
            for length in (32..=wrapped.len()).filter(|_| !text.starts_with("\u{feff}")) {
                assert_ne!(Sniffed::of(&wrapped.as_bytes()[..length]), Sniffed::Plain, "{length} of {wrapped}");
            }
        }
    }

    #[test]
    fn l23_formats_are_told_by_their_first_bytes() {
        let (key, jwk) = (pem("p256"), jwk_text("oct", json!({})));
        let der = key_der("p256");
        let once = BASE64_STANDARD.encode(&key);
        let (le, be) = (u16::to_le_bytes, u16::to_be_bytes);
        for (content, sniffed) in [
            (key.clone().into_bytes(), Sniffed::Pem),
            (b"----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49".to_vec(), Sniffed::Pem),
            (b"MIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----".to_vec(), Sniffed::Pem),
            (b"-----BE".to_vec(), Sniffed::Pem),
            (jwk.clone().into_bytes(), Sniffed::Jwk),
            (br#" {"type": "service_account"}"#.to_vec(), Sniffed::Json),
            (json!({ "private_key": key }).to_string().into_bytes(), Sniffed::Json),
            (json!([{ "private_key": key }]).to_string().into_bytes(), Sniffed::Json),
            (b"{ a secret that begins with a brace".to_vec(), Sniffed::Json),
            (utf16_of(&key, true, le), Sniffed::Utf16Pem),
            (utf16_of(&key, true, be), Sniffed::Utf16Pem),
            (utf16_of(&key, false, le), Sniffed::Utf16Pem),
            (utf16_of(&jwk, true, le), Sniffed::Utf16Jwk),
            (utf16_of("a secret", true, be), Sniffed::Utf16),
            (der.clone(), Sniffed::Der(DerDocument::PrivateKey)),
            (der[..40].to_vec(), Sniffed::Der(DerDocument::Other)),
            (key_der("certificate"), Sniffed::Der(DerDocument::Certificate)),
            (key_der("ed25519"), Sniffed::Der(DerDocument::PrivateKey)),
            (testdata("rsa2048.p12"), Sniffed::Der(DerDocument::Pkcs12)),
            (testdata("rsa2048.jks"), Sniffed::Jks),
            (testdata("rsa.v3.ppk"), Sniffed::Putty(OpenSshKey::Rsa)),
            (testdata("ec.v2.ppk"), Sniffed::Putty(OpenSshKey::Ec)),
            (testdata("ed25519.v3.ppk"), Sniffed::Putty(OpenSshKey::Ed25519)),
            (testdata("rsa.ssh2"), Sniffed::Ssh2Private),
            (testdata("rsa.ssh2.pub"), Sniffed::SshPublic),
            (testdata("rsa.ssh.pub"), Sniffed::SshPublic),
            (testdata("ec.ssh.pub"), Sniffed::SshPublic),
            (testdata("ed25519.ssh.pub"), Sniffed::SshPublic),
            (BASE64_STANDARD.encode(&der).into_bytes(), Sniffed::Base64Der(DerDocument::PrivateKey)),
            (BASE64_STANDARD.encode(testdata("rsa2048.p12")).into_bytes(), Sniffed::Base64Der(DerDocument::Pkcs12)),
            (BASE64_STANDARD.encode(testdata("rsa2048.jks")).into_bytes(), Sniffed::Jks),
            (once.clone().into_bytes(), Sniffed::Base64),
            (BASE64_STANDARD.encode(&once).into_bytes(), Sniffed::TwiceBase64),
            (BASE64_STANDARD.encode(utf16_of(&key, false, le)).into_bytes(), Sniffed::TwiceBase64),
        ] {
            assert_eq!(Sniffed::of(&content), sniffed, "{content:?}");
        }
    }

    #[test]
    fn secrets_in_text_base64_hex_and_bytes_are_plain() {
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
                    assert_eq!(Sniffed::of(secret), Sniffed::Plain, "{secret:?}");
                }
            }
        }
        // Secrets that look like something else at first.
        let braced = [b"{".as_slice(), &[0x9d; 31]].concat();
        for secret in [
            &b""[..],
            b"0>0> is not the beginning of a sequence in DER, and 64 bytes long.",
            b"a secret - with dashes ----- and {braces}",
            b"ssh-rsa is a type of key and this a secret",
            b"[brackets] are not a list in JSON",
            &braced,
        ] {
            assert_eq!(Sniffed::of(secret), Sniffed::Plain, "{secret:?}");
        }
    }
}
