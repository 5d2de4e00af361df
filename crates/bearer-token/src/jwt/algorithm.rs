//! The signature algorithms.

use std::{fmt, str::FromStr};

use crate::error::{Error, ErrorKind};

/// How a JWT is signed (RFC 7518 section 3.1, RFC 8037 section 3.1). There is no `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256 and a shared secret.
    HS256,
    /// HMAC with SHA-384 and a shared secret.
    HS384,
    /// HMAC with SHA-512 and a shared secret.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256, and a salt as long as the hash.
    PS256,
    /// RSASSA-PSS with SHA-384, and a salt as long as the hash.
    PS384,
    /// RSASSA-PSS with SHA-512, and a salt as long as the hash.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// Every one of them.
    pub const ALL: &[Algorithm] = &[
        Algorithm::HS256,
        Algorithm::HS384,
        Algorithm::HS512,
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ];

    /// The name as it stands in the JOSE header, such as `RS256`.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::HS256 => "HS256",
            Algorithm::HS384 => "HS384",
            Algorithm::HS512 => "HS512",
            Algorithm::RS256 => "RS256",
            Algorithm::RS384 => "RS384",
            Algorithm::RS512 => "RS512",
            Algorithm::PS256 => "PS256",
            Algorithm::PS384 => "PS384",
            Algorithm::PS512 => "PS512",
            Algorithm::ES256 => "ES256",
            Algorithm::ES384 => "ES384",
            Algorithm::EdDSA => "EdDSA",
        }
    }

    /// Whether it signs with a secret that the verifier shares, rather than with a private key.
    pub fn is_hmac(self) -> bool {
        matches!(self, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
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

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(known) = Algorithm::ALL.iter().copied().find(|algorithm| algorithm.name() == text) {
            return Ok(known);
        }
        // What does not look like a name could be a secret that was put into the wrong field.
        let family = text.get(..2).unwrap_or_default().to_ascii_uppercase();
        let is_name = text == "none" || (text.len() <= 12 && ["HS", "RS", "PS", "ES", "ED"].contains(&family.as_str()));
        let found = match text.len() {
            0 => "nothing".to_owned(),
            _ if is_name => format!("{text:?}"),
            length => format!("a text of {length} bytes"),
        };
        let known = Algorithm::ALL.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ");
        Err(Error::new(ErrorKind::Config, format!("found {found}; expected a signature algorithm: {known}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse::<Algorithm>().unwrap(), *algorithm);
        }
    }

    #[test]
    fn an_unknown_name_is_told_what_is_known_and_none_does_not_exist() {
        for text in ["none", "", "hs256", "RS256 ", "ES512", "HS1"] {
            let error = text.parse::<Algorithm>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("HS256, HS384") && error.to_string().contains("EdDSA"), "{error}");
        }
        assert!("none".parse::<Algorithm>().unwrap_err().to_string().contains("found \"none\""));
        let pasted = "MARKER-a-secret-in-the-wrong-field".parse::<Algorithm>().unwrap_err();
        assert!(!pasted.to_string().contains("MARKER"), "{pasted}");
    }
}
