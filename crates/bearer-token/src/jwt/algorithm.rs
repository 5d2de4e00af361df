//! The signature algorithms: one table with all of their properties.
//!
//! Other code never decides by an algorithm's name. It matches on [`Family`], [`Hash`](enum@Hash) or [`Curve`], without a `_` arm.
//! So a new row does not compile until all of that code handles it.
//!
//! A row has the name in the JOSE header and the family with its parameters. The kind of key, the length of a signature
//! and the curve's identifier depend on it. They are in the tables of [`Curve`] and [`ParameterSet`], once each.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use crate::error::Error;

/// Declares [`Algorithm`] from its rows: documentation, name, family.
///
/// A macro: then the enum, its names and its families cannot disagree.
macro_rules! algorithms {
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal: $family:expr,)*) => {
        /// How a JWT is signed (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9964 section 2). There is no `none`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Algorithm {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Algorithm {
            /// All algorithms.
            pub const ALL: &[Algorithm] = &[$(Algorithm::$variant),*];

            /// The name in the JOSE header, such as `RS256`.
            pub fn name(self) -> &'static str {
                match self { $(Algorithm::$variant => $name,)* }
            }

            /// The kind of key and the parameters that it signs with.
            pub(crate) fn family(self) -> Family {
                match self { $(Algorithm::$variant => $family,)* }
            }
        }
    };
}

algorithms! {
    /// HMAC with SHA-256 and a shared secret.
    /// The secret has at least 32 bytes (RFC 7518 section 3.2).
    HS256 "HS256": Family::Hmac(Hash::Sha256),
    /// HMAC with SHA-384 and a shared secret.
    /// The secret has at least 48 bytes.
    HS384 "HS384": Family::Hmac(Hash::Sha384),
    /// HMAC with SHA-512 and a shared secret.
    /// The secret has at least 64 bytes.
    HS512 "HS512": Family::Hmac(Hash::Sha512),
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    /// Every server knows it. The signature is as long as the key: 256 bytes with 2048 bits.
    RS256 "RS256": Family::Rsa(Padding::Pkcs1, Hash::Sha256),
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384 "RS384": Family::Rsa(Padding::Pkcs1, Hash::Sha384),
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512 "RS512": Family::Rsa(Padding::Pkcs1, Hash::Sha512),
    /// RSASSA-PSS with SHA-256, and a salt as long as the hash.
    /// Entra ID and Yandex Cloud ask for it.
    PS256 "PS256": Family::Rsa(Padding::Pss, Hash::Sha256),
    /// RSASSA-PSS with SHA-384, and a salt as long as the hash.
    PS384 "PS384": Family::Rsa(Padding::Pss, Hash::Sha384),
    /// RSASSA-PSS with SHA-512, and a salt as long as the hash.
    PS512 "PS512": Family::Rsa(Padding::Pss, Hash::Sha512),
    /// ECDSA on P-256 with SHA-256.
    /// The signature has 64 bytes, and takes microseconds.
    ES256 "ES256": Family::Ecdsa(Curve::P256),
    /// ECDSA on P-384 with SHA-384.
    /// The signature has 96 bytes.
    ES384 "ES384": Family::Ecdsa(Curve::P384),
    /// ECDSA on P-521 with SHA-512.
    /// The signature has 132 bytes. The number in the name is that of the hash, not of the curve.
    ES512 "ES512": Family::Ecdsa(Curve::P521),
    /// Ed25519.
    /// The signature has 64 bytes, and signing needs no randomness (RFC 8032 section 5.1.6).
    EdDSA "EdDSA": Family::Ed25519,
    /// ML-DSA-44, which withstands quantum computers. Its signatures have 2,420 bytes: for assertions, not for headers
    /// of API requests. Keys in this process need the feature `ml-dsa`.
    MlDsa44 "ML-DSA-44": Family::MlDsa(ParameterSet::MlDsa44),
    /// ML-DSA-65. Its signatures have 3,309 bytes. Keys in this process need the feature `ml-dsa`.
    MlDsa65 "ML-DSA-65": Family::MlDsa(ParameterSet::MlDsa65),
    /// ML-DSA-87. Its signatures have 4,627 bytes. Keys in this process need the feature `ml-dsa`.
    MlDsa87 "ML-DSA-87": Family::MlDsa(ParameterSet::MlDsa87),
}

/// The sizes of RSA keys in bits. RFC 7518 sections 3.3 and 3.5 ask for 2048; aws-lc stops at 8192.
///
/// Smaller keys are refused, although servers exist that accept 1024 bits: such a key can be factored.
pub(crate) const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// What an algorithm signs with.
///
/// Key checks, lengths and the choice of aws-lc's algorithm match on it, each without a `_` arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// A shared secret, at least as long as the hash (RFC 7518 section 3.2).
    Hmac(Hash),
    /// An RSA key of [`RSA_BITS`].
    Rsa(Padding, Hash),
    /// An EC key on this curve, which also decides the hash (RFC 7518 section 3.4).
    Ecdsa(Curve),
    /// An Ed25519 key (RFC 8037).
    Ed25519,
    /// An ML-DSA key (RFC 9964).
    MlDsa(ParameterSet),
}

/// Declares an enum from its rows: each variant, and what depends on it.
///
/// `ALL` has its length from the rows, so a loop over it cannot miss one.
macro_rules! table {
    ($(#[doc = $doc:literal])* $name:ident: $facts:ident { $($variant:ident: { $($row:tt)* },)* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($variant,)*
        }

        impl $name {
            pub(crate) const ALL: [$name; [$($name::$variant),*].len()] = [$($name::$variant),*];

            pub(crate) fn facts(self) -> $facts {
                match self { $($name::$variant => $facts { $($row)* },)* }
            }
        }
    };
}

table! {
    /// A parameter set of ML-DSA (FIPS 204 section 4).
    ParameterSet: ParameterSetFacts {
        MlDsa44: {
            object_identifier: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17],
            signature_bytes: 2420,
            algorithm: Algorithm::MlDsa44,
        },
        MlDsa65: {
            object_identifier: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18],
            signature_bytes: 3309,
            algorithm: Algorithm::MlDsa65,
        },
        MlDsa87: {
            object_identifier: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 19],
            signature_bytes: 4627,
            algorithm: Algorithm::MlDsa87,
        },
    }
}

/// What depends on a parameter set.
pub(crate) struct ParameterSetFacts {
    /// The DER content of its object identifier (RFC 9881 section 2).
    pub(crate) object_identifier: &'static [u8],
    pub(crate) signature_bytes: usize,
    /// The only algorithm for its keys, which has its name.
    pub(crate) algorithm: Algorithm,
}

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    /// 32 bytes of output: for HS256, RS256, PS256 and ES256.
    Sha256,
    /// 48 bytes of output.
    Sha384,
    /// 64 bytes of output: also for ES512, whose curve has 521 bits.
    Sha512,
}

/// The padding of an RSA signature (RFC 8017 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2): deterministic, and known by every server.
    Pkcs1,
    /// RSASSA-PSS (RFC 8017 section 8.1): randomized. FAPI accepts RSA with this padding only, and Entra ID documents
    /// it.
    Pss,
}

table! {
    /// An elliptic curve for ECDSA.
    Curve: CurveFacts {
        P256: {
            name: "P-256",
            object_identifier: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
            coordinate_bytes: 32,
            algorithm: Algorithm::ES256,
        },
        P384: {
            name: "P-384",
            object_identifier: &[0x2b, 0x81, 4, 0, 34],
            coordinate_bytes: 48,
            algorithm: Algorithm::ES384,
        },
        P521: {
            name: "P-521",
            object_identifier: &[0x2b, 0x81, 4, 0, 35],
            coordinate_bytes: 66,
            algorithm: Algorithm::ES512,
        },
    }
}

/// What depends on a curve.
pub(crate) struct CurveFacts {
    /// The name in a JWK's `crv` (RFC 7518 section 6.2.1.1).
    pub(crate) name: &'static str,
    /// The DER content of its object identifier (RFC 5480 section 2.1.1.1).
    pub(crate) object_identifier: &'static [u8],
    /// The length of a coordinate, of the private number, and of each half of a signature.
    pub(crate) coordinate_bytes: usize,
    /// The only algorithm for keys on this curve.
    pub(crate) algorithm: Algorithm,
}

impl Hash {
    /// The length of its output.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 => 64,
        }
    }
}

impl Curve {
    /// The curve with this name in a JWK.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Curve::ALL.into_iter().find(|curve| curve.facts().name == name)
    }
}

impl Algorithm {
    /// Whether it signs with a secret that the verifier shares, rather than with a private key.
    ///
    /// ```
    /// use bearer_token::jwt::Algorithm;
    ///
    /// assert!(Algorithm::HS256.is_hmac());
    /// assert!(!Algorithm::ES256.is_hmac());
    /// // In a configuration, a user writes the name.
    /// let algorithm: Algorithm = "PS256".parse()?;
    /// assert_eq!(algorithm, Algorithm::PS256);
    /// // Near misses are named; anything that could be a secret is not repeated.
    /// let error = "rs256".parse::<Algorithm>().unwrap_err();
    /// assert!(error.to_string().ends_with("did you mean RS256?"));
    /// # Ok::<(), bearer_token::Error>(())
    /// ```
    pub fn is_hmac(self) -> bool {
        match self.family() {
            Family::Hmac(_) => true,
            Family::Rsa(..) | Family::Ecdsa(_) | Family::Ed25519 | Family::MlDsa(_) => false,
        }
    }

    /// The length of a signature. That of an RSA signature depends on the key, and remote keys reach 16384 bits.
    ///
    /// Checked for remote signatures only: a native one has the right length by construction.
    pub(crate) fn signature_bytes(self) -> RangeInclusive<usize> {
        let (shortest, longest) = match self.family() {
            Family::Hmac(hash) => (hash.bytes(), hash.bytes()),
            Family::Rsa(..) => (RSA_BITS.start() / 8, 2048),
            Family::Ecdsa(curve) => (2 * curve.facts().coordinate_bytes, 2 * curve.facts().coordinate_bytes),
            Family::Ed25519 => (64, 64),
            Family::MlDsa(set) => (set.facts().signature_bytes, set.facts().signature_bytes),
        };
        shortest..=longest
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads the exact name; names are case-sensitive (RFC 7515 section 4.1.1).
impl FromStr for Algorithm {
    type Err = Error;

    ///
    /// The error lists all names. It repeats what was found only if that looks like a name: a field with a wrong value
    /// may have a secret in it.
    fn from_str(name: &str) -> Result<Self, Error> {
        if let Some(known) = Algorithm::ALL.iter().copied().find(|algorithm| algorithm.name() == name) {
            return Ok(known);
        }
        let found = match name.len() {
            0 => "nothing".to_owned(),
            _ if is_quotable(name) => format!("{name:?}"),
            length => format!("a string of {length} bytes"),
        };
        let near = Algorithm::ALL.iter().find(|known| known.name().eq_ignore_ascii_case(name.trim()));
        let advice = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let known = Algorithm::ALL.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ");
        Err(Error::config(format!("found {found}; expected a signature algorithm: {known}{advice}"), []))
    }
}

/// Whether it looks like the name of an algorithm. Anything else could be a secret in the wrong field.
fn is_quotable(name: &str) -> bool {
    let family = name.get(..2).unwrap_or_default().to_ascii_uppercase();
    name == "none" || (name.len() <= 12 && ["HS", "RS", "PS", "ES", "ED", "ML"].contains(&family.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn every_name_is_read_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse::<Algorithm>().unwrap(), *algorithm);
        }
    }

    // shows: 7518/3.6
    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        for name in ["none", "", "hs256", "RS256 ", "ES521", "HS1"] {
            let error = name.parse::<Algorithm>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("HS256, HS384") && error.to_string().contains("EdDSA"), "{error}");
        }
        assert!("none".parse::<Algorithm>().unwrap_err().to_string().contains("found \"none\""));
        assert!("rs256".parse::<Algorithm>().unwrap_err().to_string().contains("did you mean RS256?"));
        let pasted = "MARKER-a-secret-in-the-wrong-field".parse::<Algorithm>().unwrap_err();
        assert!(!pasted.to_string().contains("MARKER"), "{pasted}");
    }

    #[test]
    fn curves_and_algorithms_name_each_other() {
        for curve in Curve::ALL {
            assert_eq!(curve.facts().algorithm.family(), Family::Ecdsa(curve));
            assert_eq!(Curve::named(curve.facts().name), Some(curve));
        }
        let listed = Algorithm::ALL.iter().filter(|algorithm| matches!(algorithm.family(), Family::Ecdsa(_)));
        assert_eq!(listed.count(), Curve::ALL.len());
    }
}
