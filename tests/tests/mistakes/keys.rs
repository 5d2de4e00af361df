//! Keys that are something else.

use std::{fs, path::Path};

use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
use bearer_token_testing::TestKey;

use crate::row::{Row, Told};

fn pem(algorithm: Algorithm, text: &str) -> Told {
    Told::result(SigningKey::from_pem(algorithm, text))
}

/// A key file of the crate's own tests.
fn testdata(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/bearer-token/src/jwt/testdata");
    fs::read_to_string(directory.join(name)).unwrap()
}

/// A file with this content, read as a key.
fn file(name: &str, content: &[u8]) -> Told {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, content).unwrap();
    Told::result(SigningKey::from_file(Algorithm::RS256, path))
}

/// Why there is no message: environment variables and editors make such PEMs.
const ACCEPTED: &str = "the key is read in spite of it";

pub(crate) fn rows() -> Vec<Row> {
    let (rsa, ec) = (TestKey::rs256().unwrap(), TestKey::es256().unwrap());
    let (one_line, escaped) = (rsa.private_pem().replace('\n', " "), rsa.private_pem().replace('\n', "\\n"));
    let service_account = format!(
        r#"{{"type":"service_account","project_id":"p","private_key_id":"planted","private_key":"{escaped}","client_email":"a@b"}}"#
    );
    let key = SigningKey::from_pem(Algorithm::ES256, ec.private_pem()).unwrap();
    let p12: &[u8] = &[
        0x30, 0x82, 0x0a, 0x00, 0x02, 0x01, 0x03, 0x30, 0x82, 0x09, 0xc6, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
        0x0d, 0x01, 0x07, 0x01,
    ];
    vec![
        Row::new(
            "1",
            "a public key",
            pem(Algorithm::RS256, rsa.public_pem()),
            ["PUBLIC KEY"],
            ["private key"],
            ["public half"],
        ),
        Row::new(
            "3",
            "an RSA key for ES256",
            pem(Algorithm::ES256, rsa.private_pem()),
            ["RSA", "2048"],
            ["P-256"],
            ["RS256"],
        ),
        Row::new(
            "4",
            "a PEM for HS256",
            pem(Algorithm::HS256, rsa.private_pem()),
            ["PEM"],
            ["shared secret"],
            ["algorithm"],
        ),
        Row::new(
            "6",
            "an RSA key that is too short",
            pem(Algorithm::RS256, &testdata("rsa1024.pem")),
            ["1024"],
            ["2048"],
            ["make a new key"],
        ),
        Row::new(
            "10",
            "an encrypted key without its passphrase",
            pem(Algorithm::RS256, &testdata("rsa2048.encrypted.pem")),
            ["encrypted"],
            ["passphrase"],
            ["openssl"],
        ),
        Row::new("13", "a PEM with `\\n` for newlines", pem(Algorithm::RS256, &escaped), ["no error"], [], [])
            .expects_nothing(ACCEPTED)
            .changes_nothing(ACCEPTED),
        Row::new("13 one line", "a PEM on one line", pem(Algorithm::RS256, &one_line), ["no error"], [], [])
            .expects_nothing(ACCEPTED)
            .changes_nothing(ACCEPTED),
        Row::new(
            "49 certificate",
            "a certificate",
            pem(Algorithm::RS256, &testdata("certificate.pem")),
            ["certificate"],
            ["private key"],
            ["give the key file beside it"],
        ),
        Row::new(
            "49 DER",
            "a public key in DER",
            file("key.der", &der(rsa.public_pem())),
            ["public key", "DER"],
            ["PEM"],
            ["private key"],
        ),
        Row::new(
            "49 JWK",
            "a JWK without `kty`",
            file("key.json", br#"{"k":"planted"}"#),
            ["`kty`"],
            ["JWK"],
            ["if it has a key, take it out"],
        ),
        Row::new(
            "50",
            "a service account's JSON",
            file("account.json", service_account.as_bytes()),
            ["service account"],
            ["private_key"],
            ["`Value::member` with `/private_key`", "jq -r"],
        ),
        Row::new(
            "own: SSH",
            "a key of OpenSSH",
            pem(Algorithm::RS256, &testdata("openssh.rsa.pem")),
            ["OPENSSH"],
            ["PKCS#8"],
            ["ssh-keygen"],
        ),
        Row::new("own: PKCS#12", "a PKCS#12 file", file("key.p12", p12), ["PKCS#12"], ["PEM"], ["openssl pkcs12"]),
        Row::new(
            "own: PuTTY",
            "a key of PuTTY",
            file("key.ppk", b"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: planted\n"),
            ["PuTTY"],
            ["PEM"],
            ["puttygen"],
        ),
        Row::new(
            "own: kid",
            "a key that the set lacks",
            file("keys.json", br#"{"keys":[]}"#),
            ["empty JWK set"],
            ["private key"],
            ["export it again"],
        ),
        Row::new(
            "own: claim of another method",
            "`iss` given twice",
            Told::result(JwtTemplate::builder(key).issuer("app").claim("iss", "planted").build()),
            ["iss"],
            ["set elsewhere"],
            ["remove this claim"],
        ),
    ]
}

fn der(pem: &str) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    STANDARD.decode(text).unwrap()
}
