//! ML-DSA keys (FIPS 204), with the feature `ml-dsa`.
//!
//! A signature of 2.4 to 4.6 kB is acceptable in a token request, but too large for the header of each API request. So
//! ML-DSA is for assertions, where servers accept it. Keys in PEM have the seed, the expanded key or both; a JWK has
//! the seed (RFC 9964 section 3).

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    error::Unspecified,
    signature::{
        KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm,
    },
};

use super::fault::NativeFault;
use crate::jwt::{algorithm::ParameterSet, formats::key_kind::KeyKind};

/// A parsed key. It knows its parameter set.
pub(crate) struct MlDsaKey(PqdsaKeyPair);

impl MlDsaKey {
    /// PKCS#8 with the seed, the expanded key, or both (RFC 9881 section 6).
    pub(crate) fn from_pkcs8(set: ParameterSet, der: &[u8]) -> Result<Self, NativeFault> {
        PqdsaKeyPair::from_pkcs8(algorithm(set), der)
            .map(MlDsaKey)
            .map_err(|rejected| NativeFault::Inconsistent(KeyKind::MlDsa(set), Some(rejected)))
    }

    /// The seed and the public key of a JWK, which must match.
    pub(crate) fn from_seed(set: ParameterSet, seed: &[u8], public: &[u8]) -> Result<Self, NativeFault> {
        let fault = |rejected| NativeFault::Inconsistent(KeyKind::MlDsa(set), rejected);
        let pair = PqdsaKeyPair::from_seed(algorithm(set), seed).map_err(|rejected| fault(Some(rejected)))?;
        if pair.public_key().as_ref() == public { Ok(MlDsaKey(pair)) } else { Err(fault(None)) }
    }

    pub(crate) fn public_key(&self) -> Result<PublicKeyX509Der<'static>, Unspecified> {
        self.0.public_key().as_der()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut signature = vec![0; self.0.algorithm().signature_len()];
        self.0.sign(message, &mut signature).map(|_| signature)
    }
}

fn algorithm(set: ParameterSet) -> &'static PqdsaSigningAlgorithm {
    match set {
        ParameterSet::MlDsa44 => &ML_DSA_44_SIGNING,
        ParameterSet::MlDsa65 => &ML_DSA_65_SIGNING,
        ParameterSet::MlDsa87 => &ML_DSA_87_SIGNING,
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ML_DSA_44, ML_DSA_65, ML_DSA_87, PqdsaVerificationAlgorithm, UnparsedPublicKey, VerificationAlgorithm,
    };
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;
    use crate::{
        jwt::{
            Algorithm, KeyReader, SigningKey,
            formats::public_key,
            test_support::{key_der, pem, signature},
        },
        test_support::platform_at,
    };

    const SETS: [(ParameterSet, Algorithm, &PqdsaVerificationAlgorithm, &str); 3] = [
        (ParameterSet::MlDsa44, Algorithm::MlDsa44, &ML_DSA_44, "mldsa44"),
        (ParameterSet::MlDsa65, Algorithm::MlDsa65, &ML_DSA_65, "mldsa65"),
        (ParameterSet::MlDsa87, Algorithm::MlDsa87, &ML_DSA_87, "mldsa87"),
    ];

    fn encode(bytes: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The JWK of a seed (RFC 9964 section 3).
    fn jwk(set: ParameterSet, seed: &[u8; 32]) -> serde_json::Value {
        let pair = PqdsaKeyPair::from_seed(algorithm(set), seed).unwrap();
        let public = encode(pair.public_key().as_ref());
        json!({ "kty": "AKP", "alg": set.facts().algorithm.name(), "pub": public, "priv": encode(seed) })
    }

    /// RFC 9964 appendix A: the key of the seed of zeros.
    #[test]
    fn a_seed_has_the_public_key_of_the_rfc() {
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, &[0; 32]).unwrap();
        let public = encode(pair.public_key().as_ref());
        assert!(
            public.starts_with("unH59k4RuutY-pxvu24U5h8YZD2rSVtHU5qRZsoBmBMcRPgmu9VuNOVdteXi1zNIXjnqJg"),
            "{public}"
        );
    }

    #[tokio::test]
    async fn each_form_of_a_key_signs_what_its_public_key_verifies() {
        for (set, algorithm, verification, name) in SETS {
            let from_pem = SigningKey::from_pem(algorithm, pem(name)).unwrap();
            let public = public_key::bits(&key_der(&format!("{name}.pub"))).unwrap().to_vec();
            assert_eq!(from_pem.public_key().unwrap(), key_der(&format!("{name}.pub")));
            check(&from_pem, verification, &public).await;

            let jwk = jwk(set, &[7; 32]);
            let from_jwk = SigningKey::from_jwk(jwk.to_string()).unwrap();
            assert_eq!(from_jwk.algorithm(), algorithm);
            let public = BASE64_URL_SAFE_NO_PAD.decode(jwk["pub"].as_str().unwrap()).unwrap();
            check(&from_jwk, verification, &public).await;
        }
    }

    async fn check(key: &SigningKey, verification: &'static dyn VerificationAlgorithm, public: &[u8]) {
        let signature = signature(&key.sign(&platform_at(0), "header.claims".to_owned()).await.unwrap());
        assert!(key.algorithm().signature_bytes().contains(&signature.len()));
        let public = UnparsedPublicKey::new(verification, public);
        public.verify(b"header.claims", &signature).unwrap();
        assert!(public.verify(b"header.Claims", &signature).is_err());
    }

    #[test]
    fn l23_keys_that_do_not_fit_are_named() {
        let set = ParameterSet::MlDsa44;
        let with = |name: &str, value: serde_json::Value| {
            let mut jwk = jwk(set, &[7; 32]);
            jwk[name] = value;
            jwk.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            KeyReader::new().read(jwk.to_string()).unwrap_err().to_string()
        };
        for (error, expected) in [
            (with("priv", json!(null)), "found a JWK with an ML-DSA-44 key but no private member `priv`"),
            (with("pub", json!(null)), "found a JWK without a member `pub`"),
            (with("pub", json!("AQ")), "found an ML-DSA-44 key whose components do not match"),
            (with("priv", json!("AQ")), "found an ML-DSA-44 key whose components do not match"),
            (with("alg", json!("ML-DSA-65")), "found an ML-DSA-65 key whose components do not match"),
            (with("alg", json!(null)), "found a JWK with `kty` \"AKP\" and no `alg`; expected ML-DSA-44, ML-DSA-65 or"),
            (with("alg", json!("RS256")), "found a JWK with `kty` \"AKP\" and another `alg`; expected ML-DSA-44"),
            (
                SigningKey::from_pem(Algorithm::MlDsa65, pem("mldsa44")).unwrap_err().to_string(),
                "found an ML-DSA-44 key; ML-DSA-65 needs an ML-DSA-65 key: use `KeyReader::algorithm` with `ML-DSA-44`",
            ),
            (
                SigningKey::from_pem(Algorithm::MlDsa44, pem("p256")).unwrap_err().to_string(),
                "found an EC P-256 key; ML-DSA-44 needs an ML-DSA-44 key",
            ),
            (
                SigningKey::from_pem(Algorithm::ES256, pem("mldsa87")).unwrap_err().to_string(),
                "found an ML-DSA-87 key; ES256 needs an EC P-256 key",
            ),
        ] {
            assert!(error.contains(expected), "expected {expected:?} in: {error}");
        }
    }
}
