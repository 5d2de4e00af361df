//! Keys from values: members of files, variables, parts, encodings.

use std::fs;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::{
    Encoding,
    error::{Error, ErrorKind},
    jwt::{
        Algorithm, KeyReader, SigningKey,
        test_support::{self, last_32, pem},
    },
    provider::TokenProvider,
    test_support::platform_at,
    value::Value,
};

async fn signature(key: &SigningKey) -> Vec<u8> {
    let platform = platform_at(0);
    let key = key.now(&platform).await.unwrap();
    test_support::signature(&key.sign(&platform, "message".to_owned()).await.unwrap())
}

fn reader(algorithm: Algorithm) -> KeyReader {
    KeyReader::new().algorithm(algorithm)
}

#[tokio::test]
async fn l24_a_key_in_an_account_file_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("account.json");
    let account = |key: &str| json!({ "type": "service_account", "private_key": key }).to_string();
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let expected = |text: &str| SigningKey::from_pem(Algorithm::EdDSA, text).unwrap();
    let (first, second) = (signature(&expected(&pem("ed25519"))).await, signature(&expected(&other)).await);
    fs::write(&path, account(&pem("ed25519"))).unwrap();
    let value = || Value::file(&path).member("/private_key");
    let key = SigningKey::from_value(Algorithm::EdDSA, value()).unwrap();
    assert_eq!(signature(&key).await, first);
    // Half a document, another document, half a key, another kind of key, a seed.
    for text in [
        account(&other)[..40].to_owned(),
        "{}".to_owned(),
        account(&other[..60]),
        account(&pem("p256")),
        account(&BASE64_STANDARD.encode([7; 32])),
        String::new(),
    ] {
        fs::write(&path, text).unwrap();
        assert!(key.has_changed());
        assert_eq!(signature(&key).await, first);
    }
    fs::write(&path, account(&other)).unwrap();
    assert_eq!(signature(&key).await, second);
    fs::remove_file(&path).unwrap();
    assert_eq!(signature(&key).await, second);
    let error = SigningKey::from_value(Algorithm::EdDSA, value()).unwrap_err();
    assert_eq!((error.kind(), error.problems()[0].path()), (ErrorKind::Config, "key"));
}

#[tokio::test]
async fn parts_and_encodings_of_a_secret_are_decoded_first() {
    let hex = "5e".repeat(32);
    let expected = signature(&SigningKey::hmac(Algorithm::HS256, [0x5e; 32]).unwrap()).await;
    for value in [
        Value::from(format!("id:{hex}")).after(":").encoding(Encoding::Hex),
        Value::from(json!({ "key": format!("id:{hex}") }).to_string())
            .member("/key")
            .after(":")
            .encoding(Encoding::Hex),
        Value::from(BASE64_STANDARD.encode([0x5e; 32])).encoding(Encoding::Base64),
        Value::from("^".repeat(32) + "\n"),
    ] {
        assert_eq!(signature(&reader(Algorithm::HS256).read_value(value).unwrap()).await, expected);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, format!("id:{hex}\n")).unwrap();
    let key = reader(Algorithm::HS256).read_value(Value::file(&path).after(":").encoding(Encoding::Hex)).unwrap();
    assert_eq!(signature(&key).await, expected);
    // Decoded bytes are the secret to the last one, as they are in an encoding of the reader.
    let ends_in_newline = [[0x5e; 32].as_slice(), b"\n"].concat();
    let value = Value::from(BASE64_STANDARD.encode(&ends_in_newline)).encoding(Encoding::Base64);
    let exact = reader(Algorithm::HS256).encoding(Encoding::Binary).read(&ends_in_newline).unwrap();
    assert_eq!(signature(&reader(Algorithm::HS256).read_value(value).unwrap()).await, signature(&exact).await);
    assert_ne!(signature(&exact).await, expected);
}

#[tokio::test]
async fn a_bare_ed25519_key_may_be_binary() {
    let (seed, public) = (last_32("ed25519"), last_32("ed25519.pub"));
    let both = [seed.as_slice(), &public].concat();
    let expected = signature(&SigningKey::from_pem(Algorithm::EdDSA, pem("ed25519")).unwrap()).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    for bytes in [&seed, &both] {
        fs::write(&path, bytes).unwrap();
        let value = Value::file(&path).encoding(Encoding::Binary);
        assert_eq!(signature(&reader(Algorithm::EdDSA).read_value(value).unwrap()).await, expected);
        let value = Value::from(BASE64_STANDARD.encode(bytes)).encoding(Encoding::Base64);
        assert_eq!(signature(&reader(Algorithm::EdDSA).read_value(value).unwrap()).await, expected);
        // As Coinbase hands it out, without an encoding that was set.
        let value = Value::from(json!({ "privateKey": BASE64_STANDARD.encode(bytes) }).to_string());
        let key = reader(Algorithm::EdDSA).read_value(value.member("/privateKey")).unwrap();
        assert_eq!(signature(&key).await, expected);
    }
    let wrong_half = [seed.as_slice(), &[7; 32]].concat();
    for (bytes, words) in [(&wrong_half[..], "whose components do not match"), (&both[..33], "found 33 bytes")] {
        fs::write(&path, bytes).unwrap();
        let error = reader(Algorithm::EdDSA).read_value(Value::file(&path).encoding(Encoding::Binary)).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn l54_a_pem_in_a_variable_may_have_escaped_newlines() {
    // Set in the environment of every test by cargo, and unusable as a key.
    let error = SigningKey::from_value(Algorithm::ES256, Value::env("CARGO_PKG_NAME")).unwrap_err();
    assert!(error.to_string().contains("found no PEM block"), "{error}");
    let escaped = pem("p256").replace('\n', "\\n");
    for text in [escaped.clone(), format!("\"{escaped}\""), format!("'{escaped}'\n"), pem("p256")] {
        SigningKey::from_value(Algorithm::ES256, text.as_str()).unwrap();
        SigningKey::from_value(Algorithm::ES256, Value::from(format!("id|{text}")).after("|")).unwrap();
    }
}

#[test]
fn l38_unusable_values_are_named_and_never_shown() {
    let provider = TokenProvider::builder(crate::StaticToken::new("MARKER")).build().unwrap();
    let read = |value: Value| -> Error { reader(Algorithm::ES256).read_value(value).unwrap_err() };
    for (value, expected) in [
        (Value::env("BEARER_TOKEN_TEST_THAT_IS_NOT_SET"), "key: the environment variable `BEARER_TOKEN_TEST_THAT_IS_N"),
        (
            Value::token_of(provider),
            "key: found the token of another provider; expected a literal, a file or a variable",
        ),
        (Value::from("MARKER").member("private_key"), "key: found a member that does not begin with `/`"),
        (Value::from("{\"a\": \"MARKER\"}").member("/private_key"), "key: found no member `/private_key`"),
        (Value::from("MARKER").encoding(Encoding::Hex), "key: found something that is not hex"),
        (Value::from("MARKER"), "key: found no PEM block (-----BEGIN ...); expected a private key as PEM or JWK"),
        (Value::from("MARKER/key.pem"), "key: found what looks like the path of a file"),
    ] {
        let error = read(value);
        assert_eq!((error.kind(), error.problems().len()), (ErrorKind::Config, 1));
        let shown = format!("{error} {error:?}");
        assert!(error.problems()[0].to_string().starts_with(expected) && !shown.contains("MARKER"), "{shown}");
    }
}
