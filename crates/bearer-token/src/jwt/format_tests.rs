//! Tests that every format meets every constructor, whole and damaged.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{
    Algorithm, KeyReader, SigningKey,
    test_support::{jwk_set, jwk_text, pem},
};
use crate::error::{Error, ErrorKind};

const SECRET: &str = "a shared secret of more than sixty-four bytes, as every algorithm accepts it";
const BINARY: [u8; 32] = [0x9d; 32];

/// Every format, by name, in forms that hold a key for [`fitting`] algorithms where they hold one.
fn formats() -> Vec<(&'static str, Vec<u8>)> {
    let public = |name| jwk_text(name, json!({ "d": null, "p": null, "q": null, "dp": null, "dq": null, "qi": null }));
    let der = |name| ::pem::parse(pem(name)).unwrap().into_contents();
    let legacy = pem("rsa2048.pkcs1.encrypted");
    [
        ("pkcs8", pem("rsa2048")),
        ("pkcs1", pem("rsa2048.pkcs1")),
        ("sec1", pem("p256.sec1")),
        ("wrapped", BASE64_STANDARD.encode(pem("rsa2048"))),
        ("encrypted", pem("rsa2048.encrypted")),
        ("encrypted with 3DES", pem("rsa2048.des3.encrypted")),
        ("legacy", legacy),
        ("openssh", pem("openssh")),
        ("public pem", pem("rsa2048.pub")),
        ("certificate", pem("certificate")),
        ("jwk", jwk_text("rsa2048", json!({ "alg": "RS256" }))),
        ("jwk ec", jwk_text("p256", json!({}))),
        ("jwk okp", jwk_text("ed25519", json!({}))),
        ("jwk oct", jwk_text("oct", json!({}))),
        ("public jwk", public("rsa2048")),
        ("jwk set", jwk_set(&[jwk_text("rsa2048", json!({ "kid": "a" })), jwk_text("p256", json!({ "kid": "b" }))])),
        ("wrapped jwk", BASE64_STANDARD.encode(jwk_text("rsa2048", json!({})))),
        ("json", r#"{"type": "service_account", "private_key": "x"}"#.to_owned()),
        ("base64 of der", BASE64_STANDARD.encode(der("rsa2048"))),
        ("ed25519 bytes", BASE64_STANDARD.encode(BINARY)),
        ("text", SECRET.to_owned()),
        ("nothing", String::new()),
    ]
    .into_iter()
    .map(|(name, text)| (name, text.into_bytes()))
    .chain([("der", der("rsa2048")), ("binary", BINARY.to_vec())])
    .collect()
}

type Constructor = fn(&[u8]) -> Result<SigningKey, Error>;

/// Every constructor, by name.
fn constructors() -> Vec<(&'static str, Constructor)> {
    fn text(bytes: &[u8]) -> &str {
        str::from_utf8(bytes).unwrap_or("!")
    }
    vec![
        ("from_pem", |bytes| SigningKey::from_pem(Algorithm::RS256, bytes)),
        #[cfg(feature = "encrypted-keys")]
        ("from_encrypted_pem", |bytes| SigningKey::from_encrypted_pem(Algorithm::RS256, bytes, "test")),
        ("from_jwk", |bytes| SigningKey::from_jwk(bytes)),
        ("from_jwk_set", |bytes| SigningKey::from_jwk_set(bytes, "b")),
        ("ed25519", |bytes| SigningKey::ed25519(bytes)),
        ("ed25519_base64", |bytes| SigningKey::ed25519_base64(text(bytes))),
        ("hmac", |bytes| SigningKey::hmac(Algorithm::HS256, bytes)),
        ("hmac_base64", |bytes| SigningKey::hmac_base64(Algorithm::HS256, text(bytes))),
        ("hmac_hex", |bytes| SigningKey::hmac_hex(Algorithm::HS256, text(bytes))),
        ("reader", |bytes| KeyReader::new().algorithm(Algorithm::RS256).read(bytes)),
        ("reader for HS256", |bytes| KeyReader::new().algorithm(Algorithm::HS256).read(bytes)),
        ("reader for EdDSA", |bytes| KeyReader::new().algorithm(Algorithm::EdDSA).read(bytes)),
    ]
}

/// What is expected of a format and a constructor: a key, or an error with this text.
fn expected(format: &str, constructor: &str) -> Result<(), &'static str> {
    let is_jwk = matches!(format, "jwk" | "jwk ec" | "jwk okp" | "jwk oct" | "public jwk" | "jwk set");
    let is_pem = matches!(
        format,
        "pkcs8"
            | "pkcs1"
            | "sec1"
            | "encrypted"
            | "encrypted with 3DES"
            | "legacy"
            | "openssh"
            | "public pem"
            | "certificate"
    );
    match (constructor, format) {
        ("from_pem" | "reader", "pkcs8" | "pkcs1" | "wrapped") => Ok(()),
        ("from_pem" | "reader", "sec1") => Err("found an EC P-256 key; RS256 needs an RSA key"),
        ("from_pem" | "reader" | "reader for EdDSA", "encrypted" | "encrypted with 3DES") => {
            Err("found a PEM with label ENCRYPTED PRIVATE KEY; expected")
        }
        ("from_encrypted_pem", "encrypted" | "encrypted with 3DES") => Ok(()),
        ("from_encrypted_pem", "pkcs8" | "pkcs1" | "sec1" | "wrapped") => {
            Err("found a private key that is not encrypted")
        }
        ("from_pem" | "from_encrypted_pem" | "reader" | "reader for EdDSA", "legacy") => {
            Err("found a PEM with label RSA PRIVATE KEY, encrypted; expected")
        }
        ("from_pem" | "from_encrypted_pem" | "reader" | "reader for EdDSA", "openssh") => {
            Err("label OPENSSH PRIVATE KEY")
        }
        ("from_pem" | "from_encrypted_pem" | "reader" | "reader for EdDSA", "public pem") => {
            Err("label PUBLIC KEY; expected a private key")
        }
        ("from_pem" | "from_encrypted_pem" | "reader" | "reader for EdDSA", "certificate") => {
            Err("label CERTIFICATE; expected")
        }
        ("from_pem" | "from_encrypted_pem", "wrapped jwk") => Err("use `SigningKey::from_jwk`"),
        ("from_pem" | "from_encrypted_pem", _) if is_jwk => Err("use `SigningKey::from_jwk`"),
        ("from_pem" | "from_encrypted_pem", "json") => Err("found JSON that is no JWK"),
        ("reader" | "reader for EdDSA" | "reader for HS256", "json") => Err("found JSON with neither `kty` nor `keys`"),
        ("reader for HS256", "base64 of der") => Err("found the inside of a PEM without its first and last line"),
        ("reader for HS256", "der") => Err("found binary DER; convert it"),
        ("from_pem" | "from_encrypted_pem" | "reader" | "reader for EdDSA", "base64 of der") => {
            Err("found the inside of a PEM without its first and last line")
        }
        ("from_pem" | "from_encrypted_pem" | "reader" | "reader for EdDSA", "der") => {
            Err("found binary DER; convert it")
        }
        ("from_pem" | "from_encrypted_pem" | "reader" | "reader for EdDSA", "nothing") => {
            Err("found nothing; expected")
        }
        ("reader for EdDSA", "ed25519 bytes") => Ok(()),
        ("from_pem" | "from_encrypted_pem" | "reader" | "reader for EdDSA", "ed25519 bytes" | "text" | "binary") => {
            Err("found no PEM block (-----BEGIN ...)")
        }

        ("from_jwk", "jwk" | "jwk ec" | "jwk okp" | "jwk oct") => Ok(()),
        ("from_jwk_set", "jwk" | "jwk ec" | "jwk okp" | "jwk oct" | "jwk set") => Ok(()),
        ("from_jwk", "jwk set") => Err("found a JWK set of 2 keys, `kid` \"a\", \"b\"; expected to be told"),
        ("from_jwk" | "from_jwk_set" | "reader", "public jwk") => {
            Err("found a JWK with an RSA key but no private member `d`")
        }
        ("from_jwk" | "from_jwk_set", "json") => Err("found JSON with neither `kty` nor `keys`"),
        ("from_jwk" | "from_jwk_set", "nothing") => Err("found nothing; expected a JWK"),
        ("from_jwk" | "from_jwk_set", _) if is_pem => Err("use `SigningKey::from_pem`"),
        ("from_jwk" | "from_jwk_set", _) => Err("found text that is not JSON; expected a JWK"),

        ("ed25519", "binary") | ("ed25519_base64", "ed25519 bytes") => Ok(()),
        ("ed25519", _) => Err("bytes; expected the bare bytes of an Ed25519 key"),
        ("ed25519_base64", "wrapped" | "wrapped jwk" | "base64 of der") => {
            Err("bytes; expected the bare bytes of an Ed25519")
        }
        ("ed25519_base64", _) => Err("found text that is not base64; expected the base64 of the 32 or 64 bytes"),

        (
            "hmac",
            "text" | "binary" | "json" | "wrapped" | "wrapped jwk" | "base64 of der" | "ed25519 bytes" | "der",
        ) => Ok(()),
        ("hmac" | "hmac_base64" | "hmac_hex" | "reader for HS256", "nothing") => Err("found an empty secret"),
        ("hmac" | "reader for HS256", _) if is_pem => Err("found a PEM (-----BEGIN ...); HS256 needs a shared secret"),
        ("hmac", _) => Err("found a JWK; HS256 needs a shared secret here"),
        ("hmac_base64", "wrapped") => Err("found a PEM (-----BEGIN ...)"),
        ("hmac_base64", "wrapped jwk") => Err("found a JWK; HS256 needs a shared secret"),
        ("hmac_base64", "base64 of der" | "ed25519 bytes") => Ok(()),
        ("hmac_base64", _) => Err("found text that is not base64"),
        ("hmac_hex", _) => Err("found text that is not hex"),

        ("reader", "jwk" | "wrapped jwk") => Ok(()),
        ("reader", "jwk ec") => Err("found an EC P-256 key; RS256 needs an RSA key"),
        ("reader", "jwk okp") => Err("found an Ed25519 key; RS256 needs an RSA key"),
        ("reader", "jwk oct") => Err("found a JWK with `alg` HS256; expected RS256"),
        ("reader" | "reader for HS256" | "reader for EdDSA", "jwk set") => Err("found a JWK set of 2 keys"),
        ("reader for HS256", "jwk oct" | "text" | "binary" | "ed25519 bytes") => Ok(()),
        ("reader for HS256", "wrapped") => Err("found a PEM (-----BEGIN ...); HS256 needs a shared secret"),
        ("reader for HS256", "jwk ec") => Err("found an EC P-256 key; HS256 needs a shared secret"),
        ("reader for HS256", "jwk okp") => Err("found an Ed25519 key; HS256 needs a shared secret"),
        ("reader for HS256" | "reader for EdDSA", "public jwk" | "jwk" | "wrapped jwk") => {
            Err("found a JWK with `alg` RS256")
        }
        ("reader for EdDSA", "jwk okp") => Ok(()),
        ("reader for EdDSA", "jwk oct") => Err("found a JWK with `alg` HS256; expected EdDSA"),
        ("reader for EdDSA", "jwk ec" | "sec1") => Err("found an EC P-256 key; EdDSA needs an Ed25519 key"),
        ("reader for EdDSA", "pkcs8" | "pkcs1" | "wrapped") => {
            Err("found an RSA key of 2048 bits; EdDSA needs an Ed25519 key")
        }
        _ => panic!("nothing is said of {format} and {constructor}"),
    }
}

#[test]
fn l23_every_format_loads_where_it_belongs_and_is_named_where_it_does_not() {
    for (format, bytes) in formats() {
        for (constructor, load) in constructors() {
            match (load(&bytes), expected(format, constructor)) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err(expected)) => {
                    assert_eq!(error.kind(), ErrorKind::Config);
                    let text = error.to_string();
                    assert!(text.contains(expected), "{constructor} of {format}: expected {expected:?} in: {text}");
                    assert!(text.contains("expected") || text.contains("needs"), "{constructor} of {format}: {text}");
                }
                (Ok(_), Err(expected)) => panic!("{constructor} of {format} is a key; expected {expected:?}"),
                (Err(error), Ok(())) => panic!("{constructor} of {format}: {error}"),
            }
        }
    }
}

/// Pseudo-random numbers, the same in each run (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

#[test]
fn l38_damaged_keys_of_every_format_are_errors_or_keys_but_never_a_panic_and_never_quoted() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    // Opened at once, unlike the others that are encrypted.
    let quick = ("encrypted", pem("p256.aes128.encrypted").into_bytes());
    let formats = formats().into_iter().filter(|(format, _)| !format.starts_with("encrypted"));
    for (format, whole) in formats.chain([quick]) {
        for round in 0..60 {
            let mut bytes = whole.clone();
            match round % 3 {
                0 => bytes.truncate(numbers.below(bytes.len() + 1)),
                1 => {
                    for _ in 0..=numbers.below(3) {
                        if !bytes.is_empty() {
                            let place = numbers.below(bytes.len());
                            bytes[place] ^= u8::try_from(1 << numbers.below(8)).unwrap();
                        }
                    }
                }
                _ => {
                    let (place, from) = (numbers.below(bytes.len() + 1), numbers.below(bytes.len() + 1));
                    let length = numbers.below(40).min(bytes.len() - from);
                    let piece = bytes[from..from + length].to_vec();
                    bytes.splice(place..place, piece);
                }
            }
            for (constructor, load) in constructors() {
                let Err(error) = load(&bytes) else { continue };
                let shown = format!("{error} {error:?}");
                // Longer than any word of ours.
                let quoted = shown
                    .split(|c: char| !c.is_ascii_alphanumeric() && !"+/=_".contains(c))
                    .find(|word| word.len() >= 24);
                assert_eq!(quoted, None, "{constructor} of a damaged {format}: {shown}");
            }
        }
    }
}
