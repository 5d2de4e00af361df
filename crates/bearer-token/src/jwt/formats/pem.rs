//! Finds the private key, or the certificates, in PEM text (RFC 7468).
//!
//! PEM reaches a program through environment variables, JSON, YAML, templates and clipboards, each of which damages it
//! in its own way. Damage that leaves the key recoverable is repaired: escaped newlines, other text around it, missing
//! line breaks. All other damage is reported, with what it looks like. RFC 7468 describes the format and the labels.

use zeroize::Zeroizing;

use super::{encoding, openssh::OpenSshKey};

/// The start of a BEGIN line, up to the label.
const BEGIN: &[u8] = b"-----BEGIN ";
/// The start of an END line, up to the label.
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// A BEGIN line that was copied with a dash too few.
const SHORT_BEGIN: &[u8] = b"----BEGIN ";

/// The DER of the one private key in a PEM text.
///
/// Whether a passphrase is needed is known by the label.
pub(crate) enum PemKey {
    /// PKCS#8, PKCS#1 or SEC1, as its content tells.
    Plain(Der),
    /// PKCS#8's own encryption (RFC 5958 section 3).
    Encrypted(Der),
}

/// The reason why a PEM text has no usable private key.
#[derive(Debug)]
pub(crate) enum PemFault {
    /// A block has no matching END line, or its content is not base64.
    Unreadable,
    /// There are this many private keys, and no way to choose one.
    Several(usize),
    /// The labels of the blocks that were found instead, in their order.
    Labels(Vec<PemLabel>),
}

/// The label of a block that is not a readable key.
///
/// Only known labels are ever repeated: the text between the dashes of a damaged file may be part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PemLabel {
    /// Any private key, where a certificate was expected.
    PrivateKey,
    /// OpenSSL's own encryption (`DEK-Info`), from before PKCS#8.
    OldEncryption(&'static str),
    /// OpenSSH's own format, which `ssh-keygen` has written by default since version 7.8.
    OpenSsh(OpenSshKey),
    /// DSA, for which JOSE has no algorithm.
    Dsa,
    /// The half for verifiers.
    PublicKey(&'static str),
    /// A certificate: usually the file beside the key.
    Certificate(&'static str),
    /// A request for a certificate, which has the public half.
    Request(&'static str),
    /// A key or a message of PGP (RFC 9580).
    Pgp(&'static str),
    /// A key that only its TPM can use.
    Tpm,
    /// No part of a key pair, such as `EC PARAMETERS`.
    Unrelated(&'static str),
    /// A label that is not in the list, so it is not repeated.
    Unknown,
}

/// The content of a block, which may be a private key.
type Der = Zeroizing<Vec<u8>>;

/// Whether the text is PEM, or a part of one, and so not an HMAC secret.
///
/// Generous on purpose: half a PEM must never be taken for a shared secret.
pub(crate) fn looks_like_pem(text: &[u8]) -> bool {
    let trimmed = text.trim_ascii();
    find(text, SHORT_BEGIN).is_some() || find(text, END).is_some() || (trimmed.len() > 4 && BEGIN.starts_with(trimmed))
}

/// Finds the one private key in the text.
///
/// Certificates, parameters and text around the key are ignored. Newlines may be escaped (`\n`), as in environment
/// variables and JSON. That is unambiguous, because base64 has no backslash.
pub(crate) fn private_key(text: &[u8]) -> Result<PemKey, PemFault> {
    let mut keys = Vec::new();
    let mut labels = Vec::new();
    for (content, der) in blocks(text)? {
        match (content, der) {
            (PemContent::Plain, Some(der)) => keys.push(PemKey::Plain(der)),
            (PemContent::Encrypted, Some(der)) => keys.push(PemKey::Encrypted(der)),
            (PemContent::Plain | PemContent::Encrypted, None) => return Err(PemFault::Unreadable),
            (PemContent::Other(label), _) => labels.push(label),
        }
    }
    match (keys.pop(), keys.len()) {
        (Some(key), 0) => Ok(key),
        (Some(_), more) => Err(PemFault::Several(more + 1)),
        (None, _) if labels.is_empty() => Err(PemFault::Unreadable),
        (None, _) => Err(PemFault::Labels(labels)),
    }
}

/// Finds the certificates in the text, in their order. Keys and text around them are ignored.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<Der>, PemFault> {
    let mut certificates = Vec::new();
    let mut labels = Vec::new();
    for (content, der) in blocks(text)? {
        match (content, der) {
            (PemContent::Other(PemLabel::Certificate("CERTIFICATE")), Some(der)) => certificates.push(der),
            (PemContent::Other(PemLabel::Certificate("CERTIFICATE")), None) => return Err(PemFault::Unreadable),
            (PemContent::Other(label), _) => labels.push(label),
            (PemContent::Plain | PemContent::Encrypted, _) => labels.push(PemLabel::PrivateKey),
        }
    }
    match certificates.is_empty() {
        false => Ok(certificates),
        true if labels.is_empty() => Err(PemFault::Unreadable),
        true => Err(PemFault::Labels(labels)),
    }
}

/// What each block of the text holds, in their order.
///
/// The text is copied only if it has a backslash, and then into a buffer that is wiped.
fn blocks(text: &[u8]) -> Result<Vec<(PemContent, Option<Der>)>, PemFault> {
    let unescaped = text.contains(&b'\\').then(|| unescaped(text));
    let mut rest = unescaped.as_deref().map_or(text, Vec::as_slice);
    let mut blocks = Vec::new();
    while let Some(start) = find(rest, BEGIN) {
        let (block, after) = Block::first(rest.get(start..).unwrap_or_default()).ok_or(PemFault::Unreadable)?;
        let der = block.content();
        blocks.push((block.label(der.as_deref().map(Vec::as_slice)), der));
        rest = after;
    }
    Ok(blocks)
}

/// A block between its BEGIN and END lines.
struct Block<'a> {
    label: &'a [u8],
    /// Headers and base64.
    body: &'a [u8],
}

/// What a block holds.
/// Encrypted keys are apart, because they need a passphrase.
enum PemContent {
    Plain,
    Encrypted,
    Other(PemLabel),
}

impl<'a> Block<'a> {
    /// The block at the start of the text, and the text after it.
    fn first(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (label, rest) = split(text.strip_prefix(BEGIN)?, DASHES)?;
        let (body, rest) = split(rest, END)?;
        let (end, rest) = split(rest, DASHES)?;
        (label == end).then_some((Block { label, body }, rest))
    }

    /// The part of the body up to its last header (RFC 1421 section 4.6), which base64 does not contain.
    fn headers(&self) -> &'a [u8] {
        let lines = self.body.iter().rposition(|byte| *byte == b':').map_or(0, |colon| {
            let rest = self.body.get(colon..).unwrap_or_default();
            colon + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
        });
        self.body.get(..lines).unwrap_or_default()
    }

    /// The decoded body; `None` if it is not Base64, or empty.
    fn content(&self) -> Option<Der> {
        encoding::base64(self.body.get(self.headers().len()..)?).filter(|bytes| !bytes.is_empty())
    }

    /// What the block holds, by its label and its headers. Every known label is spelled out, because only those may be
    /// repeated in an error.
    fn label(&self, content: Option<&[u8]>) -> PemContent {
        let is_encrypted = find(self.headers(), b"ENCRYPTED").is_some();
        PemContent::Other(match self.label {
            b"PRIVATE KEY" | b"EC PRIVATE KEY" | b"RSA PRIVATE KEY" if !is_encrypted => return PemContent::Plain,
            b"ENCRYPTED PRIVATE KEY" if !is_encrypted => return PemContent::Encrypted,
            b"EC PRIVATE KEY" => PemLabel::OldEncryption("EC PRIVATE KEY"),
            b"RSA PRIVATE KEY" => PemLabel::OldEncryption("RSA PRIVATE KEY"),
            b"PRIVATE KEY" | b"ENCRYPTED PRIVATE KEY" => PemLabel::OldEncryption("PRIVATE KEY"),
            b"OPENSSH PRIVATE KEY" => PemLabel::OpenSsh(OpenSshKey::of(content.unwrap_or_default())),
            b"DSA PRIVATE KEY" => PemLabel::Dsa,
            b"PUBLIC KEY" => PemLabel::PublicKey("PUBLIC KEY"),
            b"RSA PUBLIC KEY" => PemLabel::PublicKey("RSA PUBLIC KEY"),
            b"CERTIFICATE" | b"X509 CERTIFICATE" => PemLabel::Certificate("CERTIFICATE"),
            b"TRUSTED CERTIFICATE" => PemLabel::Certificate("TRUSTED CERTIFICATE"),
            b"CERTIFICATE REQUEST" => PemLabel::Request("CERTIFICATE REQUEST"),
            b"NEW CERTIFICATE REQUEST" => PemLabel::Request("NEW CERTIFICATE REQUEST"),
            b"PGP PRIVATE KEY BLOCK" => PemLabel::Pgp("PGP PRIVATE KEY BLOCK"),
            b"PGP PUBLIC KEY BLOCK" => PemLabel::Pgp("PGP PUBLIC KEY BLOCK"),
            b"PGP MESSAGE" => PemLabel::Pgp("PGP MESSAGE"),
            b"TSS2 PRIVATE KEY" => PemLabel::Tpm,
            b"EC PARAMETERS" => PemLabel::Unrelated("EC PARAMETERS"),
            b"DH PARAMETERS" => PemLabel::Unrelated("DH PARAMETERS"),
            b"X509 CRL" => PemLabel::Unrelated("X509 CRL"),
            b"PKCS7" => PemLabel::Unrelated("PKCS7"),
            b"CMS" => PemLabel::Unrelated("CMS"),
            _ => PemLabel::Unknown,
        })
    }
}

/// The text with its escapes resolved. These are `\n`, `\r\n` and `\t` as whitespace, `\/` and `\u002b` as JSON has
/// them, and a backslash before a newline, as shells have it. Any number of backslashes counts as one.
///
/// Base64 has no backslash, so every one of them was added on the way.
fn unescaped(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        let backslashes = rest.iter().take_while(|byte| **byte == b'\\').count();
        rest = rest.get(backslashes..).unwrap_or_default();
        match rest {
            [b'n' | b'r', after @ ..] => {
                plain.push(b'\n');
                rest = after;
            }
            [b't', after @ ..] => {
                plain.push(b' ');
                rest = after;
            }
            [b'u', b'0', b'0', high, low, after @ ..] => {
                let digits = [*high, *low];
                let code = str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
                plain.push(code.unwrap_or(b'\\'));
                rest = after;
            }
            // The character itself stays: a slash, a quote, a newline.
            _ => {}
        }
    }
    plain
}

fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    text.windows(mark.len()).position(|window| window == mark)
}

/// The text before and after the mark.
fn split<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (before, rest) = text.split_at_checked(find(text, mark)?)?;
    Some((before, rest.strip_prefix(mark)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::test_support::{key_der, pem};

    fn plain(text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        match private_key(text.as_bytes()) {
            Ok(PemKey::Plain(der)) => Ok(der),
            Ok(PemKey::Encrypted(_)) => Err("encrypted".to_owned()),
            Err(fault) => Err(format!("{fault:?}")),
        }
    }

    #[test]
    fn l23_newlines_and_surroundings_do_not_matter() {
        for name in ["rsa2048", "rsa2048.pkcs1", "p256", "p256.sec1", "p521", "p521.sec1", "ed25519"] {
            let text = pem(name);
            for (how, text) in [
                ("as it is", text.clone()),
                ("CRLF", text.replace('\n', "\r\n")),
                ("CR", text.replace('\n', "\r")),
                ("an empty line after each", text.replace('\n', "\n\n")),
                ("text around", format!("Bag Attributes\n  name: x\n\n{text}\ntrailing words\n")),
                ("a byte order mark", format!("\u{feff}{text}")),
                ("no last newline", text.trim_end().to_owned()),
                ("spaces around", format!("\n  {text}\n\n")),
                ("indented", text.replace('\n', "\n    ")),
                ("spaces for newlines", text.replace('\n', " ")),
                ("a certificate first", pem("certificate") + &text),
                ("a certificate last", text.clone() + &pem("certificate")),
            ] {
                assert_eq!(plain(&text).as_deref(), Ok(&key_der(name)), "{name}, {how}");
            }
        }
    }

    #[test]
    fn l54_escaped_newlines_are_newlines() {
        for name in ["rsa2048", "p256.sec1", "ed25519"] {
            let text = pem(name);
            let escaped = text.trim_end().replace('\n', "\\n");
            for (how, text) in [
                ("\\n", escaped.clone()),
                ("a last one", format!("{escaped}\\n")),
                ("\\r\\n", escaped.replace("\\n", "\\r\\n")),
                ("\\\\n", escaped.replace("\\n", "\\\\n")),
                ("\\\\\\\\n", escaped.replace("\\n", "\\\\\\\\n")),
                ("both", text.replace('\n', "\\n\n")),
                ("double quotes", format!("\"{escaped}\"")),
                ("double quotes and a newline", format!("\"{escaped}\\n\"\n")),
                ("single quotes", format!("'{escaped}\\n'")),
                ("escaped quotes", format!("\\\"{escaped}\\\"")),
                ("a JSON string", serde_json::Value::from(text.as_str()).to_string()),
                ("a JSON string in a JSON string", {
                    serde_json::Value::from(serde_json::Value::from(text.as_str()).to_string()).to_string()
                }),
                ("escaped slashes, as PHP writes them", escaped.replace('/', "\\/")),
                ("escaped signs, as .NET writes them", escaped.replace('+', "\\u002B").replace('/', "\\u002f")),
                ("a shell's continuations", text.replace('\n', "\\\n")),
                ("tabs", text.replace('\n', "\\n\\t")),
            ] {
                assert_eq!(plain(&text).as_deref(), Ok(&key_der(name)), "{name}, {how}");
            }
        }
    }

    #[test]
    fn headers_of_old_encryption_are_found_in_any_form() {
        let text = pem("rsa2048.pkcs1.encrypted");
        for text in [
            text.clone(),
            text.replace('\n', "\r\n"),
            text.replace('\n', "\\n"),
            text.replace('\n', " "),
            text.replace("\n\n", "\n"),
        ] {
            assert_eq!(plain(&text), Err("Labels([OldEncryption(\"RSA PRIVATE KEY\")])".to_owned()));
        }
    }

    #[test]
    fn damaged_text_is_unreadable() {
        let key = pem("rsa2048");
        for text in [
            key[..key.len() - 40].to_owned(),
            key.replacen('-', "", 1),
            key.replacen('M', "!M", 1),
            "-----BEGIN PRIVATE KEY-----\n-----END PUBLIC KEY-----\n".to_owned(),
            "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n".to_owned(),
            "-----BEGIN PRIVATE KEY-----\\".to_owned(),
            "-----BEGIN PRIVATE KEY-----\\u00".to_owned(),
        ] {
            assert_eq!(plain(&text), Err("Unreadable".to_owned()), "{text}");
        }
        assert_eq!(plain(&(key + &pem("p256"))), Err("Several(2)".to_owned()));
    }
}
