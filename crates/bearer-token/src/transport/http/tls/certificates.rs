//! CA certificates, client certificates and private keys, read from the user's PEM.
//!
//! The same care as for signing keys, with fewer formats: PEM only, because all tools write it. What is not PEM is
//! recognised by its first bytes and named together with the command that converts it.

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error, PemObject, SectionKind},
    },
};
use zeroize::Zeroizing;

use super::Identity;
use crate::{
    problem::{Advice, Problem},
    secret::{encoding, looks_like_path},
    value::Value,
};

/// The certificates of CAs. A problem says what was found instead, without repeating it.
///
/// Each certificate is loaded once here, so a damaged one is reported by its number and not at the first handshake.
pub(super) fn cas(path: &'static str, pem: &Value) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let problem = |found: String| {
        Problem::new(path, pem.clause(found))
            .expecting("CA certificates in PEM, which begin with `-----BEGIN CERTIFICATE-----`")
    };
    let sections = Sections::read(path, pem).map_err(|found| found.problem(problem))?;
    if sections.key.is_some() {
        return Err(problem("found a private key".into()).advise(Advice::text("remove the key")));
    }
    if sections.certificates.is_empty() {
        return Err(problem(format!("found {}", sections.instead)));
    }
    let mut roots = RootCertStore::empty();
    for (index, certificate) in sections.certificates.iter().enumerate() {
        roots
            .add(certificate.clone())
            .map_err(|_| problem(format!("found a damaged certificate (number {})", index + 1)))?;
    }
    Ok(sections.certificates)
}

/// A client certificate, its chain and its private key. The key is in a separate PEM, or follows the certificates.
///
/// The order is that of TLS (RFC 8446 section 4.4.2): the client's own certificate first, then its issuers.
pub(super) fn identity(certificate: &Value, key: Option<&Value>) -> Result<Identity, Problem> {
    let problem = |found: String| {
        Problem::new("certificate", certificate.clause(found)).expecting(if key.is_some() {
            "the client's certificate and its chain in PEM"
        } else {
            "the client's certificate, its chain and its private key in PEM"
        })
    };
    let sections = Sections::read("certificate", certificate).map_err(|found| found.problem(problem))?;
    if sections.certificates.is_empty() {
        return Err(match sections.key {
            None => problem(format!("found {}", sections.instead)),
            Some(_) => problem("found a private key and no certificate".into())
                .advise(Advice::text("put the certificates before the key")),
        });
    }
    let key_der = match (key, sections.key) {
        (Some(key), _) => separate_key(key)?,
        (None, Some(KeySection::Plain(key))) => key,
        (None, Some(unusable)) => return Err(unusable.advise(problem(unusable.found().into()))),
        (None, None) => {
            return Err(problem("found no private key".into())
                .advise(Advice::text("append the key to the certificates"))
                .advise(Advice::set("key")));
        }
    };
    let identity = Identity { chain: sections.certificates, key: key_der };
    match identity.check() {
        Ok(()) => Ok(identity),
        Err(mismatch) => {
            let (path, pem) = key.map_or(("certificate", certificate), |key| ("key", key));
            Err(Problem::new(path, pem.clause(mismatch))
                .expecting("the private key of the client's certificate")
                .advise(Advice::text("put the client's own certificate first, then its chain")))
        }
    }
}

/// The private key from a PEM of its own. Certificates beside the key are ignored: some tools write both into both
/// files.
fn separate_key(pem: &Value) -> Result<Zeroizing<PrivateKeyDer<'static>>, Problem> {
    let problem = |found: String| {
        Problem::new("key", pem.clause(found)).expecting("the private key of the client's certificate in PEM")
    };
    let sections = Sections::read("key", pem).map_err(|found| found.problem(problem))?;
    match sections.key {
        Some(KeySection::Plain(key)) => Ok(key),
        Some(unusable) => Err(unusable.advise(problem(unusable.found().into()))),
        None if sections.certificates.is_empty() => Err(problem(format!("found {}", sections.instead))),
        None => Err(problem("found a certificate and no private key".into())),
    }
}

/// What a PEM contains.
///
/// The sections of one PEM, in the roles that they can have here.
struct Sections {
    certificates: Vec<CertificateDer<'static>>,
    key: Option<KeySection>,
    /// What is there, if there is neither a certificate nor a key.
    instead: &'static str,
}

/// The private key of a PEM.
enum KeySection {
    Plain(Zeroizing<PrivateKeyDer<'static>>),
    Encrypted,
    Several,
}

impl KeySection {
    /// What is wrong with a key that is not plain.
    fn found(&self) -> &'static str {
        match self {
            KeySection::Plain(_) => "found a private key",
            KeySection::Encrypted => "found an encrypted private key",
            KeySection::Several => "found several private keys",
        }
    }

    fn advise(&self, problem: Problem) -> Problem {
        match self {
            KeySection::Plain(_) => problem,
            KeySection::Encrypted => problem.advise(Advice::text("decrypt it with `openssl pkey -in KEY -out PLAIN`")),
            KeySection::Several => problem.advise(Advice::text("keep the one that belongs to the first certificate")),
        }
    }
}

/// The reason why no section was found.
enum Unreadable {
    /// The value is missing.
    Value(Problem),
    /// A clause about the PEM.
    Pem(&'static str),
}

impl Unreadable {
    fn problem(self, problem: impl FnOnce(String) -> Problem) -> Problem {
        match self {
            Unreadable::Value(problem) => problem,
            Unreadable::Pem(found) => problem(found.into()),
        }
    }
}

impl Sections {
    /// Reads the sections of a PEM. Encryption is noticed before parsing, because the headers of the old form look like
    /// damaged Base64.
    fn read(path: &str, pem: &Value) -> Result<Self, Unreadable> {
        let text = normalized(&pem.bytes_now(path).map_err(Unreadable::Value)?);
        let is_encrypted =
            contains(&text, b"BEGIN ENCRYPTED PRIVATE KEY") || contains(&text, b"Proc-Type: 4,ENCRYPTED");
        let mut sections = Sections {
            certificates: Vec::new(),
            key: is_encrypted.then_some(KeySection::Encrypted),
            instead: instead_of_pem(&text),
        };
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&text) {
            let (kind, der) = match section {
                Ok(section) => section,
                // The headers of OpenSSL's old encryption are not base64.
                Err(Error::Base64Decode(_)) if is_encrypted => break,
                Err(error) => return Err(Unreadable::Pem(damaged(&error))),
            };
            match kind {
                SectionKind::Certificate => sections.certificates.push(der.into()),
                SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                    let key = PrivateKeyDer::from_pem(kind, der).map(Zeroizing::new);
                    sections.key = match (sections.key, key) {
                        (None, Some(key)) => Some(KeySection::Plain(key)),
                        (Some(KeySection::Plain(_)), Some(_)) => Some(KeySection::Several),
                        (before, _) => before,
                    };
                }
                _ => (),
            }
        }
        Ok(sections)
    }
}

/// Names what was found, if it is neither a certificate nor a private key in PEM.
fn instead_of_pem(text: &[u8]) -> &'static str {
    /// Common labels of other files, and what to do about them.
    const LABELS: [(&[u8], &str); 6] = [
        (b"-----BEGIN OPENSSH PRIVATE KEY-----", "a key of OpenSSH, which TLS cannot use"),
        (b"-----BEGIN CERTIFICATE REQUEST-----", "a certificate request, which a CA has to sign first"),
        (b"-----BEGIN PUBLIC KEY-----", "a public key"),
        (b"-----BEGIN PKCS7-----", "PKCS#7 (`openssl pkcs7 -print_certs -in FILE` converts it)"),
        (b"-----BEGIN TRUSTED CERTIFICATE-----", "a trusted certificate (`openssl x509 -in FILE` converts it)"),
        (b"-----BEGIN ", "a PEM of another kind"),
    ];
    match text {
        [] => return "nothing",
        // Java's key stores.
        [0xfe, 0xed, 0xfe, 0xed, ..] => {
            return "a Java key store (`keytool -exportcert -rfc` writes a certificate as PEM)";
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return "UTF-16 (save it as UTF-8)",
        // A sequence that begins with the number 3 is PKCS#12 (RFC 7292 section 4), and one that begins with 0 or 1 a
        // private key. A certificate begins with another sequence.
        [0x30, 0x82, _, _, 2, 1, 3, ..] | [0x30, 0x81, _, 2, 1, 3, ..] => {
            return "PKCS#12 (`openssl pkcs12 -in FILE -nodes` converts it)";
        }
        [0x30, 0x82, _, _, 2, 1, ..] | [0x30, 0x81, _, 2, 1, ..] | [0x30, _, 2, 1, ..] => {
            return "binary data, perhaps a private key in DER (`openssl pkey -inform DER -in FILE` converts it)";
        }
        [0x30, ..] => return "binary data, perhaps DER (`openssl x509 -inform DER -in FILE` converts it)",
        [b'"' | b'\'', ..] => return "quotes around the value (remove them)",
        _ => (),
    }
    if let Some((_, words)) = LABELS.iter().find(|(label, _)| contains(text, label)) {
        return words;
    }
    match str::from_utf8(text) {
        Ok(text) if looks_like_path(text) => "what looks like a path, instead of the file's content",
        _ => "no PEM",
    }
}

/// The PEM without a byte order mark and without indentation, and with real newlines in place of `\n`. Base64 has no
/// backslash.
///
/// Wiped, as the text may have a private key. Its capacity is that of the input, which it never exceeds by more than a
/// byte.
fn normalized(pem: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut lines = Zeroizing::new(Vec::with_capacity(pem.len() + 1));
    let mut push = |line: &[u8]| {
        if !lines.is_empty() {
            lines.push(b'\n');
        }
        lines.extend_from_slice(line.trim_ascii());
    };
    for line in encoding::without_mark(pem).trim_ascii().split(|byte| *byte == b'\n') {
        let mut rest = line;
        while let Some((escaped, after)) = split_once(rest, b"\\n") {
            push(escaped.strip_suffix(b"\\r").unwrap_or(escaped));
            rest = after;
        }
        push(rest);
    }
    lines
}

/// What is wrong with a PEM, without the parser's sentence, which quotes the line.
fn damaged(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "found a PEM without its `-----END ..-----` line",
        Error::IllegalSectionStart { .. } => "found a PEM with a damaged `-----BEGIN ..-----` line",
        Error::Base64Decode(_) => "found a PEM whose base64 is damaged",
        _ => "found a PEM that cannot be read",
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    split_once(bytes, part).is_some()
}

/// What is before and after the first occurrence of a part.
fn split_once<'a>(bytes: &'a [u8], part: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(part.len()).position(|window| window == part)?;
    Some((bytes.get(..at)?, bytes.get(at + part.len()..)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::platform::{Clock, SystemClock};

    #[test]
    fn newlines_may_be_real_escaped_or_both() {
        for text in ["a\nb", "a\r\n  b \n", "\u{feff}a\\nb", "a\\r\\nb"] {
            assert_eq!(str::from_utf8(&normalized(text.as_bytes())).unwrap(), "a\nb", "{text:?}");
        }
        assert_eq!(normalized(b"a\\n\nb\\n").as_slice(), b"a\n\nb\n");
    }

    /// As long as the bundle of a system with 150 CAs, which took 17 s in a debug build
    /// when each line was searched to the end of the text.
    #[test]
    fn a_long_bundle_is_read_in_a_moment() {
        let start = SystemClock.now();
        for newline in ["\n", "\\n"] {
            let bundle = format!("{}{newline}", "x".repeat(64)).repeat(3_600);
            assert_eq!(
                normalized(bundle.as_bytes()).split(|byte| *byte == b'\n').filter(|line| line.len() == 64).count(),
                3_600
            );
        }
        assert!(!start.after(Duration::from_secs(5)).is_past(SystemClock.now()), "it took more than 5 s");
    }
}
