//! Key pairs, made for one run.

use anyhow::{Result, anyhow, bail};
use aws_lc_rs::{
    encoding::AsDer,
    rand,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bearer_token::jwt::{Algorithm, SigningKey};
use serde_json::{Value, json};

/// A private key as PEM, and its public JWK.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) algorithm: Algorithm,
    pub(crate) pem: String,
    pub(crate) jwk: Value,
    /// `kid` in the JWK and in the header of assertions.
    pub(crate) id: String,
}

impl Key {
    /// Makes a pair for this algorithm.
    pub(crate) fn generate(algorithm: Algorithm, id: &str) -> Result<Self> {
        let (der, mut jwk) = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => rsa()?,
            Algorithm::ES256 => elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")?,
            Algorithm::ES512 => elliptic(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521")?,
            Algorithm::EdDSA => edwards()?,
            other => bail!("no keys are made for {other:?}"),
        };
        for (name, value) in [("kid", id), ("use", "sig"), ("alg", &format!("{algorithm:?}"))] {
            jwk[name] = value.into();
        }
        let pem = pem::encode(&pem::Pem::new("PRIVATE KEY", der));
        Ok(Key { algorithm, pem, jwk, id: id.to_owned() })
    }

    pub(crate) fn signing_key(&self) -> Result<SigningKey> {
        Ok(SigningKey::from_pem(self.algorithm, &self.pem)?.with_key_id(&self.id))
    }
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa() -> Result<(Vec<u8>, Value)> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let public = pair.public_key();
    let [n, e] = [public.modulus(), public.exponent()].map(|part| encoded(part.big_endian_without_leading_zero()));
    Ok((pair.as_der()?.as_ref().to_vec(), json!({ "kty": "RSA", "n": n, "e": e })))
}

fn elliptic(algorithm: &'static EcdsaSigningAlgorithm, curve: &str) -> Result<(Vec<u8>, Value)> {
    let pair = EcdsaKeyPair::generate(algorithm)?;
    let point = pair.public_key().as_ref();
    // SEC 1 section 2.3.3: 4, x, y.
    let coordinates = point.get(1..).ok_or_else(|| anyhow!("found an empty point"))?;
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let jwk = json!({ "kty": "EC", "crv": curve, "x": encoded(x), "y": encoded(y) });
    Ok((pair.to_pkcs8v1()?.as_ref().to_vec(), jwk))
}

fn edwards() -> Result<(Vec<u8>, Value)> {
    let pair = Ed25519KeyPair::generate()?;
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key().as_ref()) });
    Ok((pair.to_pkcs8v1()?.as_ref().to_vec(), jwk))
}

/// A secret of 32 random bytes, with a marker that leaks are found by.
pub(crate) fn secret(special: bool) -> Result<String> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| anyhow!("found no randomness"))?;
    let random = encoded(&bytes).replace(['-', '_'], "x");
    Ok(if special { format!("p+{random}/=%&:~") } else { format!("s{random}") })
}
