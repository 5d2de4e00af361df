//! CA certificates and client identities in PEM.

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error, PemObject, SectionKind},
    },
};
use zeroize::Zeroizing;

use super::tls::Identity;

/// The certificates of CAs. The error says what was found instead, and repeats none of it.
pub(super) fn cas(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    const EXPECTED: &str = "expected CA certificates in PEM, which begin with `-----BEGIN CERTIFICATE-----`";
    let found = Sections::read(pem).map_err(|found| format!("{found}; {EXPECTED}"))?;
    if found.has_key {
        return Err(format!("found a private key; {EXPECTED}: a CA's key does not belong here"));
    }
    if found.certificates.is_empty() {
        return Err(format!("found {}; {EXPECTED}", found.instead));
    }
    let mut roots = RootCertStore::empty();
    for (index, certificate) in found.certificates.iter().enumerate() {
        if roots.add(certificate.clone()).is_err() {
            return Err(format!("found a damaged certificate (number {}); {EXPECTED}", index + 1));
        }
    }
    Ok(found.certificates)
}

/// A client certificate, its chain and its key. The error says what was found instead, and repeats none of it.
pub(super) fn identity(pem: &[u8]) -> Result<Identity, String> {
    const EXPECTED: &str = "expected a client certificate, its chain and its private key, all in PEM";
    let found = Sections::read(pem).map_err(|found| format!("{found}; {EXPECTED}"))?;
    let Some(key) = found.key else {
        return Err(match (found.has_key, found.certificates.is_empty()) {
            (true, _) => format!(
                "found an encrypted private key; {EXPECTED}: decrypt the key with `openssl pkey -in KEY -out PLAIN`"
            ),
            (false, true) => format!("found {}; {EXPECTED}", found.instead),
            (false, false) => format!("found no private key; {EXPECTED}: append the key to the certificates"),
        });
    };
    if found.certificates.is_empty() {
        return Err(format!("found a private key and no certificate; {EXPECTED}: put the certificates before the key"));
    }
    let identity = Identity { chain: found.certificates, key };
    identity.check()?;
    Ok(identity)
}

/// What a PEM contains.
struct Sections {
    certificates: Vec<CertificateDer<'static>>,
    key: Option<PrivateKeyDer<'static>>,
    /// Also true for a key that is encrypted.
    has_key: bool,
    /// What is there, if there is neither a certificate nor a key.
    instead: &'static str,
}

impl Sections {
    fn read(pem: &[u8]) -> Result<Self, String> {
        let pem = normalized(pem);
        let encrypted = contains(&pem, b"ENCRYPTED");
        let mut sections = Sections {
            certificates: Vec::new(),
            key: None,
            has_key: encrypted,
            instead: match pem.first() {
                None => "nothing",
                // The tag of an ASN.1 SEQUENCE, which every certificate begins with.
                Some(0x30) => "binary data, perhaps DER (`openssl x509 -inform DER` converts it)",
                Some(b'/' | b'.') => "what looks like a path, instead of the file's contents",
                Some(_) if contains(&pem, b"-----BEGIN ") => "a PEM of another kind",
                Some(_) => "no PEM",
            },
        };
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&pem) {
            let (kind, der) = section.map_err(|error| damaged(&error))?;
            match kind {
                SectionKind::Certificate => sections.certificates.push(der.into()),
                SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                    sections.has_key = true;
                    if !encrypted {
                        sections.key = PrivateKeyDer::from_pem(kind, der);
                    }
                }
                _ => (),
            }
        }
        Ok(sections)
    }
}

/// Without a byte order mark, and without what indentation in a configuration adds to the lines.
fn normalized(pem: &[u8]) -> Zeroizing<Vec<u8>> {
    let pem = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem).trim_ascii();
    let mut lines = Zeroizing::new(Vec::with_capacity(pem.len() + 1));
    for line in pem.split(|byte| *byte == b'\n') {
        if !lines.is_empty() {
            lines.push(b'\n');
        }
        lines.extend_from_slice(line.trim_ascii());
    }
    lines
}

fn damaged(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { .. } => "found a PEM without its `-----END ..-----` line",
        Error::IllegalSectionStart { .. } => "found a PEM with a damaged `-----BEGIN ..-----` line",
        Error::Base64Decode(_) => "found a PEM whose base64 is damaged",
        _ => "found a PEM that cannot be read",
    }
    .into()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
