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
use crate::problem::{Advice, Problem};

/// The certificates of CAs. The problem says what was found instead, and repeats none of it.
pub(super) fn cas(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let problem = |found: String| {
        Problem::new("ca_pem", found)
            .expecting("CA certificates in PEM, which begin with `-----BEGIN CERTIFICATE-----`")
    };
    let sections = Sections::read(pem).map_err(|found| problem(found.into()))?;
    if sections.has_key {
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

/// A client certificate, its chain and its key. The problem says what was found instead, and repeats none of it.
pub(super) fn identity(pem: &[u8]) -> Result<Identity, Problem> {
    let problem = |found: String| {
        Problem::new("identity_pem", found).expecting("a client certificate, its chain and its private key, all in PEM")
    };
    let sections = Sections::read(pem).map_err(|found| problem(found.into()))?;
    let Some(key) = sections.key else {
        return Err(match (sections.has_key, sections.certificates.is_empty()) {
            (true, _) => problem("found an encrypted private key".into())
                .advise(Advice::text("decrypt it with `openssl pkey -in KEY -out PLAIN`")),
            (false, true) => problem(format!("found {}", sections.instead)),
            (false, false) => {
                problem("found no private key".into()).advise(Advice::text("append the key to the certificates"))
            }
        });
    };
    if sections.certificates.is_empty() {
        return Err(problem("found a private key and no certificate".into())
            .advise(Advice::text("put the certificates before the key")));
    }
    let identity = Identity { chain: sections.certificates, key };
    match identity.check() {
        Ok(()) => Ok(identity),
        Err(found) => Err(problem(found.into())
            .advise(Advice::text("put the client's own certificate first, then its chain, then its key"))),
    }
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
    fn read(pem: &[u8]) -> Result<Self, &'static str> {
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

fn damaged(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "found a PEM without its `-----END ..-----` line",
        Error::IllegalSectionStart { .. } => "found a PEM with a damaged `-----BEGIN ..-----` line",
        Error::Base64Decode(_) => "found a PEM whose base64 is damaged",
        _ => "found a PEM that cannot be read",
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
