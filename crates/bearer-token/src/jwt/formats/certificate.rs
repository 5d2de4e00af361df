//! Certificates in DER (RFC 5280 section 4.1), as far as JWTs need them.
//!
//! A JWT may carry its certificate (`x5c`) or name it by a digest (`x5t`, `x5t#S256`). For both, only two questions
//! matter: does this certificate belong to the key that signs, and which one issued it? Nothing is verified, neither
//! signature nor validity. The server decides what it trusts, and a client that disagreed would only be one more source
//! of outages.

use super::{
    der::{BIT_STRING, CONTEXT_0, INTEGER, SEQUENCE, take},
    public_key,
};

/// A certificate, and what it says about itself.
pub(crate) struct Certificate {
    /// The whole certificate, for digests and for `x5c`.
    der: Vec<u8>,
    /// The public key without its algorithm: some certificates name RSASSA-PSS for the same RSA key.
    key: Vec<u8>,
    /// The issuer's distinguished name, in DER. Names are compared as bytes, as chains need no more.
    issuer: Vec<u8>,
    /// The distinguished name of the certificate itself.
    subject: Vec<u8>,
}

impl Certificate {
    /// Reads a whole certificate; `None` if the bytes are something else.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (certificate, b"") = take(der, SEQUENCE)? else { return None };
        let (signed, rest) = take(certificate, SEQUENCE)?;
        let (_algorithm, rest) = take(rest, SEQUENCE)?;
        let (_signature, b"") = take(rest, BIT_STRING)? else { return None };
        let rest = take(signed, CONTEXT_0).map_or(signed, |(_version, rest)| rest);
        let (_serial_number, rest) = take(rest, INTEGER)?;
        let (_algorithm, rest) = take(rest, SEQUENCE)?;
        let (issuer, rest) = take(rest, SEQUENCE)?;
        let (_validity, rest) = take(rest, SEQUENCE)?;
        let (subject, key) = take(rest, SEQUENCE)?;
        // Extensions may follow.
        let (_, after) = take(key, SEQUENCE)?;
        let key = public_key::bits(key.get(..key.len() - after.len())?)?;
        Some(Certificate { der: der.to_vec(), key: key.to_vec(), issuer: issuer.to_vec(), subject: subject.to_vec() })
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it certifies this public key, which is given as `SubjectPublicKeyInfo`.
    ///
    /// The bits are compared, not the algorithm beside them. An EC point may be compressed in one of the two.
    pub(crate) fn is_of(&self, public_key: &[u8]) -> bool {
        public_key::bits(public_key)
            .is_some_and(|key| key == self.key || compressed(key).is_some_and(|key| key == self.key))
    }

    /// Whether the other certificate is the issuer of this one, by their names.
    ///
    /// By name alone. Two issuers with one name, as after a renewal of a CA, are told apart by the server.
    pub(crate) fn is_issued_by(&self, other: &Certificate) -> bool {
        self.issuer == other.subject
    }

    /// Whether it is a root: the end of a chain.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }
}

/// The compressed form of an uncompressed point of an elliptic curve (SEC 1 section 2.3.3).
fn compressed(point: &[u8]) -> Option<Vec<u8>> {
    let numbers = point.strip_prefix(&[4])?;
    let (x, y) = numbers.split_at_checked(numbers.len() / 2)?;
    Some([&[2 + (y.last()? & 1)], x].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::test_support::key_der;

    #[test]
    fn a_certificate_belongs_to_one_key() {
        for (name, own, other) in
            [("certificate", "rsa2048.pub", "p256.pub"), ("p256.certificate", "p256.pub", "rsa2048.pub")]
        {
            let certificate = Certificate::read(&key_der(name)).unwrap();
            assert_eq!(certificate.der(), key_der(name));
            assert!(certificate.is_of(&key_der(own)) && !certificate.is_of(&key_der(other)), "{name}");
            assert!(certificate.is_self_issued() && certificate.is_issued_by(&certificate));
        }
    }

    #[test]
    fn a_compressed_point_is_the_same_key() {
        let public = key_der("p256.pub");
        let mut certificate = Certificate::read(&key_der("p256.certificate")).unwrap();
        certificate.key = compressed(&certificate.key).unwrap();
        assert_eq!(certificate.key.len(), 33);
        assert!(certificate.is_of(&public));
        certificate.key[0] ^= 1;
        assert!(!certificate.is_of(&public), "the other point with the same x");
    }

    #[test]
    fn torn_or_foreign_der_is_nothing_and_never_a_panic() {
        let der = key_der("certificate");
        for length in 0..der.len() {
            assert!(Certificate::read(&der[..length]).is_none(), "cut to {length}");
            let mut bent = der.clone();
            bent[length] ^= 0xff;
            let _may_be_anything = Certificate::read(&bent);
        }
        for name in ["request", "p256", "rsa2048.pub", "pkcs7"] {
            assert!(Certificate::read(&key_der(name)).is_none(), "{name}");
        }
    }
}
