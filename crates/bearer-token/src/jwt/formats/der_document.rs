//! Recognises what a whole DER document is, when it is not a key that can be read.
//!
//! DER has no labels, so a document is recognised by the shape of its first elements: the number of integers, an
//! identifier, a string. The shapes are ambiguous only in ways that do not matter for the advice.

use super::{
    der::{BIT_STRING, CONTEXT_0, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, take},
    key_kind::identify,
};

/// What a DER document holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DerDocument {
    /// PKCS#8, PKCS#1 or SEC1.
    PrivateKey,
    /// PKCS#8 that is encrypted (RFC 5958 section 3).
    EncryptedKey,
    /// RFC 7292: `.p12`, `.pfx`.
    Pkcs12,
    /// RFC 5280 section 4.1.
    Certificate,
    /// RFC 2986 section 4.
    CertificateRequest,
    /// RFC 5280 section 4.1.2.7, or RFC 8017 appendix A.1.1.
    PublicKey,
    /// RFC 5652 section 3: `.p7b`, `.p7c`.
    Pkcs7,
    Other,
}

impl DerDocument {
    /// The document that begins here. If it is cut off, it is `Other`, unless its first bytes are enough.
    pub(crate) fn of(der: &[u8]) -> Self {
        if identify(der).is_some() {
            return DerDocument::PrivateKey;
        }
        Self::with_two_parts(der).unwrap_or(match inside(der) {
            // The versions of private keys are 0 and 1.
            Some([2, 1, 3, SEQUENCE, ..]) => DerDocument::Pkcs12,
            // The object identifiers of PKCS#7, 1.2.840.113549.1.7.
            Some([6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, ..]) => DerDocument::Pkcs7,
            _ => DerDocument::Other,
        })
    }

    /// The kind of a document that is none of a private key's structures. A sequence of two or three parts, of which
    /// the first two tell the kind: public keys, encrypted keys, requests and certificates.
    fn with_two_parts(der: &[u8]) -> Option<Self> {
        let (document, _) = take(der, SEQUENCE)?;
        if let Some((_, rest)) = take(document, INTEGER) {
            return take(rest, INTEGER).is_some_and(|(_, rest)| rest.is_empty()).then_some(DerDocument::PublicKey);
        }
        let (first, rest) = take(document, SEQUENCE)?;
        if take(first, OBJECT_IDENTIFIER).is_some() {
            return match rest.first() {
                Some(&OCTET_STRING) => Some(DerDocument::EncryptedKey),
                Some(&BIT_STRING) => Some(DerDocument::PublicKey),
                _ => None,
            };
        }
        // Both are signed: what is signed, an algorithm, a signature.
        let (_, signature) = take(rest, SEQUENCE)?;
        take(signature, BIT_STRING)?;
        let is_request = take(first, INTEGER).is_some_and(|(_, rest)| {
            // The serial number of a certificate is followed by an algorithm, which begins with its identifier.
            take(rest, SEQUENCE).is_some_and(|(name, _)| take(name, OBJECT_IDENTIFIER).is_none())
        });
        let has_version = take(first, CONTEXT_0).is_some();
        Some(if is_request && !has_version { DerDocument::CertificateRequest } else { DerDocument::Certificate })
    }
}

/// The content of a sequence (DER or BER), which may be cut off.
pub(crate) fn inside(content: &[u8]) -> Option<&[u8]> {
    match content {
        // Short ones are whole, or too short to be anything else than random.
        [SEQUENCE, length @ ..0x80, inside @ ..] if inside.len() == usize::from(*length) => Some(inside),
        [SEQUENCE, 0x80, inside @ ..]
        | [SEQUENCE, 0x81, _, inside @ ..]
        | [SEQUENCE, 0x82, _, _, inside @ ..]
        | [SEQUENCE, 0x83, _, _, _, inside @ ..] => Some(inside),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::test_support::{pem, testdata};

    fn block(name: &str) -> Vec<u8> {
        ::pem::parse_many(pem(name)).unwrap().pop().unwrap().into_contents()
    }

    #[test]
    fn l53_each_document_is_recognised() {
        for (der, document) in [
            (block("rsa2048"), DerDocument::PrivateKey),
            (block("rsa2048.pkcs1"), DerDocument::PrivateKey),
            (block("p256.sec1"), DerDocument::PrivateKey),
            (block("rsa2048.encrypted"), DerDocument::EncryptedKey),
            (block("p256.pbes1.encrypted"), DerDocument::EncryptedKey),
            (block("certificate"), DerDocument::Certificate),
            (block("p256.certificate"), DerDocument::Certificate),
            (block("request"), DerDocument::CertificateRequest),
            (block("rsa2048.pub"), DerDocument::PublicKey),
            (block("rsa2048.pkcs1.pub"), DerDocument::PublicKey),
            (block("ed25519.pub"), DerDocument::PublicKey),
            (block("pkcs7"), DerDocument::Pkcs7),
            (testdata("rsa2048.p12"), DerDocument::Pkcs12),
            (b"\x30\x82\x09\xd1\x02\x01\x03\x30\x82\x09\x97".to_vec(), DerDocument::Pkcs12),
            (b"\x30\x80\x02\x01\x03\x30\x80".to_vec(), DerDocument::Pkcs12),
            (b"\x30\x03\x02\x01\x07".to_vec(), DerDocument::Other),
            (Vec::new(), DerDocument::Other),
        ] {
            assert_eq!(DerDocument::of(&der), document);
            for length in 0..der.len() {
                let _no_panic = DerDocument::of(&der[..length]);
            }
        }
    }
}
