//! Stray characters around a key or a secret: in a string, in bytes and in a file (`L49`, `L54`).

use crate::{
    error::Error,
    jwt::{
        Algorithm, Encoding, KeyReader, SigningKey,
        test_support::{self, jwk_text, pem},
    },
    test_support::platform_at,
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn hs256() -> KeyReader {
    KeyReader::new().algorithm(Algorithm::HS256)
}

/// The key from a file with this content.
fn from_file(reader: &KeyReader, content: &[u8]) -> Result<SigningKey, Error> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, content).unwrap();
    reader.read_file(path)
}

/// The key of each way in which this content can be given.
fn all_ways(reader: &KeyReader, content: &[u8]) -> Vec<Result<SigningKey, Error>> {
    vec![reader.read(content), from_file(reader, content)]
}

async fn signature(key: &SigningKey) -> Vec<u8> {
    test_support::signature(&key.sign(&platform_at(0), "message".to_owned()).await.unwrap())
}

async fn hmac(secret: impl AsRef<[u8]>) -> Vec<u8> {
    let reader = hs256().encoding(Encoding::Binary).allow_short_secret(true);
    signature(&reader.read(secret).unwrap()).await
}

#[tokio::test]
async fn l49_a_newline_and_a_mark_are_removed() {
    let expected = hmac(SECRET).await;
    for content in ["", "\n", "\r\n"].map(|end| format!("{SECRET}{end}")) {
        for content in [content.clone(), format!("\u{feff}{content}")] {
            for key in
                all_ways(&hs256(), content.as_bytes()).into_iter().chain([SigningKey::hmac(Algorithm::HS256, &content)])
            {
                assert_eq!(signature(&key.unwrap()).await, expected, "{content:?}");
            }
        }
    }
}

#[test]
fn l49_every_other_surplus_is_named() {
    for (content, expected) in [
        (format!("{SECRET}\n\n"), "found a newline"),
        (format!("{SECRET}\r"), "found a newline"),
        (format!("{SECRET}\n{SECRET}"), "found a newline"),
        (format!("{SECRET}\\n"), "found `\\n` at the start or end"),
        (format!("{SECRET} "), "found a space"),
        (format!("{SECRET} \n"), "found a space"),
        (format!("\u{a0}{SECRET}"), "found a space"),
        (format!("\u{200b}{SECRET}"), "found a space"),
        (format!("\"{SECRET}\""), "found quotes"),
        (format!("'{SECRET}'\n"), "found quotes"),
        (format!("{SECRET}\0"), "found a control character"),
        (format!("{SECRET}\u{1b}[0m"), "found a control character"),
        ("\n".to_owned(), "found an empty secret"),
        ("\u{feff}".to_owned(), "found an empty secret"),
        (" \t \n".to_owned(), "found an empty secret"),
    ] {
        let literal = SigningKey::hmac(Algorithm::HS256, &content);
        for key in all_ways(&hs256(), content.as_bytes()).into_iter().chain([literal]) {
            let error = key.unwrap_err().to_string();
            assert!(error.contains(expected), "{content:?}: expected {expected:?} in: {error}");
            assert!(!error.contains("0123"), "{error}");
        }
        // All of it is the secret if that is said.
        if !expected.contains("empty") {
            hs256().encoding(Encoding::Binary).read(&content).unwrap();
        }
    }
}

#[tokio::test]
async fn l49_a_secret_of_bytes_loses_none() {
    let random: Vec<u8> = (0..32_u8).map(|byte| 0x80 ^ byte.wrapping_mul(37)).collect();
    for end in [&b"\n"[..], b"\r\n", b" ", b"\0", b"\xef\xbb\xbf"] {
        let bytes = [random.as_slice(), end].concat();
        let expected = hmac(&bytes).await;
        // Bytes that are not text, without a word.
        let literal = SigningKey::hmac(Algorithm::HS256, &bytes);
        for key in all_ways(&hs256(), &bytes).into_iter().chain([literal]) {
            assert_eq!(signature(&key.unwrap()).await, expected, "{bytes:?}");
        }
    }
    for text in [format!("{SECRET}\n"), format!("\u{feff}{SECRET}"), format!(" '{SECRET}' "), format!("/run/{SECRET}")]
    {
        let expected = hmac(&text).await;
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let base64 = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &text);
        for (encoding, content) in [
            (Encoding::Binary, text.clone()),
            (Encoding::Hex, format!("\u{feff}{hex}\r\n")),
            (Encoding::Base64, format!("\u{feff}{base64}\n")),
        ] {
            for key in all_ways(&hs256().encoding(encoding), content.as_bytes()) {
                assert_eq!(signature(&key.unwrap()).await, expected, "{encoding:?} {text:?}");
            }
        }
    }
}

#[tokio::test]
async fn l49_keys_are_read_with_a_mark_and_newlines_around() {
    let jwk = jwk_text("p256", serde_json::json!({}));
    for key in [pem("p256"), jwk, base64::Engine::encode(&base64::prelude::BASE64_STANDARD, pem("p256"))] {
        for content in
            [format!("\u{feff}{key}"), format!("{key}\r\n"), format!("\n\n{key}\n\n"), format!("\u{feff} {key} ")]
        {
            for read in all_ways(&KeyReader::new().algorithm(Algorithm::ES256), content.as_bytes()) {
                read.unwrap_or_else(|error| panic!("{content:?}: {error}"));
            }
        }
    }
}

#[tokio::test]
async fn l54_a_pem_with_escaped_newlines_is_read() {
    let expected = signature(&SigningKey::from_pem(Algorithm::RS256, pem("rsa2048")).unwrap()).await;
    let escaped = pem("rsa2048").trim_end().replace('\n', "\\n");
    for text in [
        escaped.clone(),
        format!("\"{escaped}\\n\""),
        format!("'{escaped}'\n"),
        escaped.replace("\\n", "\\r\\n"),
        escaped.replace("\\n", "\\\\n"),
        serde_json::Value::from(pem("rsa2048")).to_string(),
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &escaped),
    ] {
        let literal = SigningKey::from_pem(Algorithm::RS256, &text);
        for key in all_ways(&KeyReader::new().algorithm(Algorithm::RS256), text.as_bytes()).into_iter().chain([literal])
        {
            assert_eq!(signature(&key.unwrap_or_else(|error| panic!("{text}: {error}"))).await, expected);
        }
    }
}
