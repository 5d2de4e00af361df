//! The signatures of the JWTs that a recipe signs.

use std::{collections::BTreeMap, fs};

use aws_lc_rs::{
    hmac,
    rsa::KeyPair as RsaKey,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    },
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};

use crate::expected::directory;

/// The last part of a JWT that another server made.
pub(crate) const OF_OTHERS: &str = "c2lnbmVkLWJ5LWFub3RoZXI";

/// The sample keys, as a server knows them.
pub(crate) struct Keys {
    rsa: Vec<u8>,
    p256: Vec<u8>,
    secret: Option<Vec<u8>>,
}

impl Keys {
    pub(crate) fn new(secret: Option<&BTreeMap<String, String>>) -> Self {
        let secret = secret.map(|secret| match (secret.get("text"), secret.get("hex")) {
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(hex)) => {
                (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
            }
            _ => panic!("expected `text` or `hex`"),
        });
        let rsa = RsaKey::from_pkcs8(&der("rsa.pem")).unwrap().public_key().as_ref().to_vec();
        let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der("p256.pem")).unwrap();
        Keys { rsa, p256: p256.public_key().as_ref().to_vec(), secret }
    }

    /// Panics unless the JWT is signed with one of the keys, or by another server.
    pub(crate) fn verify(&self, algorithm: &str, jwt: &str, signature: &str) {
        if signature == OF_OTHERS || (algorithm == "none" && signature.is_empty()) {
            return;
        }
        let signed = &jwt.as_bytes()[..jwt.len() - signature.len() - 1];
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let verify = |by: &'static dyn VerificationAlgorithm, key: &[u8]| {
            let result = UnparsedPublicKey::new(by, key).verify(signed, &signature);
            assert!(result.is_ok(), "the signature of a JWT with {algorithm} is wrong");
        };
        match algorithm {
            "RS256" => verify(&RSA_PKCS1_2048_8192_SHA256, &self.rsa),
            "RS384" => verify(&RSA_PKCS1_2048_8192_SHA384, &self.rsa),
            "RS512" => verify(&RSA_PKCS1_2048_8192_SHA512, &self.rsa),
            "PS256" => verify(&RSA_PSS_2048_8192_SHA256, &self.rsa),
            "ES256" => verify(&ECDSA_P256_SHA256_FIXED, &self.p256),
            "HS256" => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_deref().expect("`secret` is in the facts"));
                assert!(hmac::verify(&key, signed, &signature).is_ok(), "the HMAC of a JWT is wrong");
            }
            other => panic!("found the algorithm {other}"),
        }
    }
}

/// The content of a file of `examples/providers/keys`, without the PEM around it.
pub(crate) fn der(name: &str) -> Vec<u8> {
    let pem = fs::read_to_string(directory().join("keys").join(name)).unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64_STANDARD.decode(base64).unwrap()
}
