use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::*;
use crate::{
    jwt::test_support::{self, jwk_set, jwk_text, key_der, last_32, pem},
    test_support::platform_at,
};

const SECRET: &str = "a secret of more than thirty-two bytes";

/// The bytes of the Ed25519 key of `testdata`: its seed, and its public half.
fn raw(public: bool) -> Vec<u8> {
    [last_32("ed25519"), if public { last_32("ed25519.pub") } else { Vec::new() }].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn signature(key: &SigningKey) -> Vec<u8> {
    test_support::signature(&key.sign(&platform_at(0), "message".to_owned()).await.unwrap())
}

// shows: 7518/6.4.1
#[tokio::test]
async fn l23_each_format_is_recognised_and_is_the_same_key() {
    let reader = |algorithm| KeyReader::new().algorithm(algorithm);
    let base64 = |text: String| BASE64_STANDARD.encode(text);
    let ed25519 = [
        pem("ed25519"),
        base64(pem("ed25519")),
        jwk_text("ed25519", json!({})),
        base64(jwk_text("ed25519", json!({}))),
        jwk_set(&[jwk_text("ed25519", json!({}))]),
        BASE64_STANDARD.encode(raw(false)),
        BASE64_STANDARD.encode(raw(true)),
        base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(raw(true)) + "\n",
        hex(&raw(false)),
        hex(&raw(true)),
    ];
    let expected = signature(&SigningKey::from_pem(Algorithm::EdDSA, pem("ed25519")).unwrap()).await;
    for text in &ed25519 {
        let key = reader(Algorithm::EdDSA).read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(signature(&key).await, expected, "{text}");
    }
    for (encoding, text) in [(Encoding::Base64, BASE64_STANDARD.encode(raw(true))), (Encoding::Hex, hex(&raw(false)))] {
        let key = reader(Algorithm::EdDSA).encoding(encoding).read(text).unwrap();
        assert_eq!(signature(&key).await, expected);
    }
    let der = key_der("ed25519");
    for bytes in [raw(false), raw(true), der.clone()] {
        let key = reader(Algorithm::EdDSA).encoding(Encoding::Binary).read(&bytes).unwrap();
        assert_eq!(signature(&key).await, expected);
    }
    for text in [der.clone(), BASE64_STANDARD.encode(&der).into_bytes(), format!("'{}'", pem("ed25519")).into_bytes()] {
        assert_eq!(signature(&reader(Algorithm::EdDSA).read(text).unwrap()).await, expected);
    }
    for jwk in
        [Value::from(jwk_text("ed25519", json!({}))).to_string(), format!("'{}'", jwk_text("ed25519", json!({})))]
    {
        assert_eq!(signature(&reader(Algorithm::EdDSA).read(jwk).unwrap()).await, expected);
    }

    let expected = signature(&SigningKey::hmac(Algorithm::HS256, SECRET).unwrap()).await;
    let jwk = json!({ "k": base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(SECRET) });
    for (encoding, text) in [
        (Encoding::Text, SECRET.to_owned()),
        (Encoding::Base64, BASE64_STANDARD.encode(SECRET)),
        (Encoding::Hex, hex(SECRET.as_bytes())),
        (Encoding::Text, jwk_text("oct", jwk)),
    ] {
        let key = reader(Algorithm::HS256).encoding(encoding).read(text).unwrap();
        assert_eq!(signature(&key).await, expected);
    }
    // What only looks like base64 or hex is the secret itself.
    let key = reader(Algorithm::HS256).read(hex(SECRET.as_bytes())).unwrap();
    assert_ne!(signature(&key).await, expected);
}

#[test]
fn a_given_name_overrides_the_one_of_the_key() {
    let named = jwk_text("p256", json!({ "kid": "own" }));
    let id = |key: Result<SigningKey, Error>| key.unwrap().key_id();
    assert_eq!(id(SigningKey::from_jwk(&named)).as_deref(), Some("own"));
    assert_eq!(id(SigningKey::from_jwk(jwk_text("p256", json!({})))), None);
    assert_eq!(id(SigningKey::from_jwk(&named).map(|key| key.with_key_id("given"))).as_deref(), Some("given"));
    let set = jwk_set(&[named, jwk_text("p384", json!({ "kid": "other" }))]);
    let other = KeyReader::new().key_id("other").read(&set).unwrap();
    assert_eq!((other.key_id().as_deref(), other.algorithm()), (Some("other"), Algorithm::ES384));
    let named = KeyReader::new().algorithm(Algorithm::ES256).key_id("given").read(pem("p256"));
    assert_eq!(id(named).as_deref(), Some("given"));
}

#[test]
fn a_setting_that_does_not_fit_is_a_problem() {
    let reader = KeyReader::new;
    for (read, path) in [
        (reader().read(pem("p256")), "algorithm"),
        (reader().read(SECRET), "algorithm"),
        (reader().read(jwk_text("rsa2048", json!({ "alg": null }))), "algorithm"),
        (reader().algorithm(Algorithm::HS256).encoding(Encoding::Base64).read("a secret!"), "encoding"),
        (reader().algorithm(Algorithm::HS256).encoding(Encoding::Hex).read(SECRET), "encoding"),
        #[cfg(feature = "encrypted-keys")]
        (reader().passphrase("test").read(jwk_text("p256", json!({}))), "passphrase"),
        #[cfg(feature = "encrypted-keys")]
        (reader().algorithm(Algorithm::HS256).passphrase("test").read(SECRET), "passphrase"),
    ] {
        let error = read.unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        assert_eq!(error.problems()[0].path(), path, "{error}");
    }
}

#[test]
fn l24_part_of_a_key_is_a_secret_only_when_encoded() {
    let jwk = jwk_text("oct", json!({ "kid": "2026-01" }));
    let utf16: Vec<u8> = pem("p256").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let der = key_der("p256");
    let twice = BASE64_STANDARD.encode(BASE64_STANDARD.encode(pem("p256")));
    for (content, expected) in [
        (&jwk.as_bytes()[..jwk.len() - 1], "found a JWK that breaks off"),
        (jwk.replace("\"k\"", "\"kty\"").as_bytes(), "found a JWK with a member that occurs twice"),
        (br#"{"keys": 5, "made by": "a careless program"}"#, "found a JWK set whose `keys` is not a list"),
        (br#"{"type": "service_account", "private_key": ""}"#, "found JSON with neither `kty` nor `keys`"),
        (b"{a secret that begins with a brace, and is long}", "found JSON that is not valid JSON"),
        (&BASE64_STANDARD.encode(&jwk).as_bytes()[..100], "found a PEM or JWK in base64 that is not whole"),
        (twice.as_bytes(), "encoded twice"),
        (&utf16, "found a PEM in UTF-16"),
        (&der, "found binary DER"),
        (b"\x30\x82\x09\xd1\x02\x01\x03\x30\x82\x09\x97 of two kilobytes or so", "found PKCS#12"),
        (BASE64_STANDARD.encode(&der).as_bytes(), "found the inside of a PEM"),
    ] {
        let reader = || KeyReader::new().algorithm(Algorithm::HS256);
        let error = reader().read(content).unwrap_err();
        assert!(error.to_string().contains(expected), "expected {expected:?} in: {error}");
        assert!(
            error.to_string().contains("write it as base64, or use `KeyReader::encoding` with `base64`"),
            "the way out: {error}"
        );
        // Also where nothing is known of the key.
        let error = KeyReader::new().read(content).unwrap_err();
        assert!(error.to_string().contains(expected), "expected {expected:?} in: {error}");
        SigningKey::hmac(Algorithm::HS256, content).unwrap();
        reader().encoding(Encoding::Base64).read(BASE64_STANDARD.encode(content)).unwrap();
        reader().encoding(Encoding::Hex).read(hex(content)).unwrap();
    }
}

#[test]
fn l38_neither_debug_nor_errors_show_what_was_read() {
    let reader = KeyReader::new().algorithm(Algorithm::ES256).key_id("k");
    #[cfg(feature = "encrypted-keys")]
    let reader = reader.passphrase("MARKER");
    let mut shown = format!("{reader:?}");
    for text in ["MARKER", "{\"kty\": \"EC\", \"d\": \"MARKER\", \"crv\": \"P-256\"}", "-----BEGIN MARKER-----"] {
        let error = reader.read(text).unwrap_err();
        shown += &format!("{error} {error:?}");
    }
    assert!(!shown.contains("MARKER"), "{shown}");
}
