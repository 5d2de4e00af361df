//! Sentences about certificates that cannot be used.
//!
//! These errors appear at `build()` for a certificate that is wrong from the start, and as an event for one that
//! becomes wrong later.

use super::files::{CUT_OFF, counted};
use crate::{
    error::Error,
    jwt::formats::{der_document::DerDocument, pem::PemFault, sniff::Sniffed},
    problem::{Advice, Problem},
};

const EXPECTED: &str = "a certificate as PEM (CERTIFICATE) or DER";

/// The error about one problem.
pub(crate) fn error(problem: Problem) -> Error {
    Error::config("the certificate cannot be used", [problem])
}

fn found(found: impl Into<String>) -> Problem {
    Problem::new("certificate", found.into())
}

/// A template without a certificate, for a JWT that needs one.
pub(crate) fn missing() -> Error {
    error(found("found no certificate").expecting("the certificate of the key").advise(Advice::set("certificate")))
}

/// Certificates that belong to another key than the one that signs.
pub(crate) fn of_another_key(certificates: usize) -> Error {
    let problem = match certificates {
        1 => found("found the certificate of another key"),
        more => found(format!("found {more} certificates of other keys")),
    };
    let problem = problem.expecting("the certificate of the key that signs");
    error(problem.advise(Advice::text("was only one of the two replaced?")))
}

/// Certificates that are neither the key's nor of its chain of issuers.
pub(crate) fn outside_chain(certificates: usize) -> Error {
    let problem = found(format!("found {certificates} that do not belong to the chain of the key's certificate"));
    let problem = problem.expecting("the certificate of the key, and those of its issuers");
    error(problem.advise(Advice::text("remove the others")).advise(Advice::remove("certificate_chain")))
}

/// A chain of more certificates than a header should have.
pub(crate) fn long_chain(certificates: usize, most: usize) -> Error {
    let problem = found(format!("found {certificates} certificates")).expecting(format!("a chain of at most {most}"));
    error(problem.advise(Advice::text("remove the others")).advise(Advice::remove("certificate_chain")))
}

/// A PEM block whose content is not a certificate.
pub(crate) fn damaged() -> Error {
    let problem = found("found a PEM block that does not contain a certificate").expecting(EXPECTED);
    error(problem.advise(Advice::text("is the file damaged?")))
}

/// PEM text without certificates.
pub(crate) fn pem(fault: &PemFault) -> Error {
    error(match fault {
        PemFault::Labels(labels) => {
            let problem = found(format!("found a PEM with label {}", counted(labels))).expecting(EXPECTED);
            problem.advise(Advice::text("give the certificate that belongs to the key"))
        }
        PemFault::Unreadable | PemFault::Several(_) => {
            found("found a PEM that cannot be read").expecting(EXPECTED).advise(Advice::text(CUT_OFF))
        }
    })
}

/// Content that is neither PEM nor a certificate in DER.
pub(crate) fn content(content: &[u8]) -> Error {
    let (what, advice) = match Sniffed::of(content) {
        Sniffed::Der(DerDocument::Pkcs12) | Sniffed::Base64Der(DerDocument::Pkcs12) => (
            "found PKCS#12 (.p12, .pfx)",
            Some("take the certificate out with `openssl pkcs12 -legacy -in KEY.p12 -nokeys -out CERTIFICATE.pem`"),
        ),
        Sniffed::Der(DerDocument::Pkcs7) | Sniffed::Base64Der(DerDocument::Pkcs7) => (
            "found certificates as PKCS#7 (.p7b)",
            Some("convert it with `openssl pkcs7 -inform DER -print_certs -in FILE.p7b -out CERTIFICATE.pem`"),
        ),
        Sniffed::Der(_) | Sniffed::Base64Der(_) => ("found DER that is not a certificate", None),
        Sniffed::Jwk | Sniffed::Json => ("found JSON", Some("point at the member that holds the certificate")),
        Sniffed::Plain if content.trim_ascii().is_empty() => ("found nothing", None),
        _ => ("found neither PEM nor DER", None),
    };
    let problem = found(what).expecting(EXPECTED);
    error(advice.into_iter().map(Advice::text).fold(problem, Problem::advise))
}
