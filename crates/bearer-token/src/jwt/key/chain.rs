//! The certificate of a key, with its chain.
//!
//! Files have certificates in any order, some with the root, some with the key in front. RFC 7515 section 4.1.6 wants
//! the key's own first, then each one's issuer. So the chain is put into order here, by names.

use aws_lc_rs::digest::{Algorithm as Hash, Digest, digest};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::diagnose::certificate as diagnose;
use crate::{
    error::Error,
    jwt::formats::{
        certificate::Certificate,
        encoding,
        pem::{self, looks_like_pem},
    },
};

/// The most certificates of one chain. Headers have limits, and real chains have three or four.
const MOST_CERTIFICATES: usize = 10;

/// A certificate, followed by the issuer of each one before (RFC 7515 section 4.1.6).
pub(crate) struct CertificateChain {
    /// The key's own certificate.
    leaf: Certificate,
    /// Its issuers, in order. Empty if the chain is not sent.
    others: Vec<Certificate>,
}

impl CertificateChain {
    /// Finds the certificate of a public key in content of any form: PEM, DER, or the base64 of one. With `is_whole`,
    /// all other certificates must form a chain with it; without, they are ignored.
    ///
    /// A certificate that belongs to neither key nor chain is an error with `is_whole`: it would be sent, and a server
    /// would refuse the header.
    pub(crate) fn read(content: &[u8], public_key: &[u8], is_whole: bool) -> Result<Self, Error> {
        let mut others = certificates(content)?;
        let found = others.len();
        let own = others.iter().position(|certificate| certificate.is_of(public_key));
        let leaf = others.remove(own.ok_or_else(|| diagnose::of_another_key(found))?);
        if !is_whole {
            return Ok(CertificateChain { leaf, others: Vec::new() });
        }
        let mut chain = Vec::new();
        let mut last = &leaf;
        while !last.is_self_issued()
            && let Some(next) = others.iter().position(|other| last.is_issued_by(other))
        {
            chain.push(others.remove(next));
            if chain.len() == MOST_CERTIFICATES {
                return Err(diagnose::long_chain(found, MOST_CERTIFICATES));
            }
            last = chain.last().unwrap_or(&leaf);
        }
        if others.is_empty() {
            Ok(CertificateChain { leaf, others: chain })
        } else {
            Err(diagnose::outside_chain(others.len()))
        }
    }

    /// The digest of the certificate itself, over its DER.
    pub(crate) fn digest(&self, hash: &'static Hash) -> Digest {
        digest(hash, self.leaf.der())
    }

    /// The certificate and its chain, as `x5c` has them: base64 of DER, not base64url.
    pub(crate) fn base64(&self) -> Vec<String> {
        [&self.leaf].into_iter().chain(&self.others).map(|one| BASE64_STANDARD.encode(one.der())).collect()
    }
}

/// All certificates in the content: PEM, DER, or the Base64 of one of them, once.
fn certificates(content: &[u8]) -> Result<Vec<Certificate>, Error> {
    if looks_like_pem(content) {
        let blocks = pem::certificates(content).map_err(|fault| diagnose::pem(&fault))?;
        return blocks.iter().map(|der| Certificate::read(der).ok_or_else(diagnose::damaged)).collect();
    }
    if let Some(certificate) = Certificate::read(content) {
        return Ok(vec![certificate]);
    }
    let Some(inside) = encoding::base64(content) else { return Err(diagnose::content(content)) };
    match Certificate::read(&inside) {
        Some(certificate) => Ok(vec![certificate]),
        None if looks_like_pem(&inside) => certificates(&inside),
        None => Err(diagnose::content(content)),
    }
}
