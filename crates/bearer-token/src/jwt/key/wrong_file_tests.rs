//! The wrong file in place of a key (`L53`): each is named as what it is, with a command that works.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::jwt::{
    Algorithm, KeyReader, SigningKey,
    test_support::{jwk_text, key_der, pem, testdata, testdata_path},
};

const PKCS12: &str = "openssl pkcs12 -legacy -in KEY.p12 -nocerts -noenc -out KEY.pem";
const REWRITE: &str =
    "openssl pkcs8 -topk8 -v2 aes-256-cbc -provider legacy -provider default -in KEY.pem -out NEW.pem";
const PUTTYGEN: &str = "puttygen KEY.ppk -O private-openssh -o KEY.pem";
const SSH_KEYGEN: &str = "ssh-keygen -p -m PKCS8 -f COPY";
const NEW_ED25519: &str = "openssl genpkey -algorithm ed25519 -out KEY.pem";
const PUBLIC: &str = "this is the public half";

/// File, what it is called, and the advice.
const FILES: [(&str, &str, &str); 32] = [
    ("rsa2048.p12", "found PKCS#12 (.p12, .pfx), binary DER", PKCS12),
    ("rsa2048.jks", "found a Java key store (JKS)", "keytool -importkeystore -srckeystore KEY.jks"),
    ("rsa.v2.ppk", "found a private key of PuTTY (.ppk)", PUTTYGEN),
    ("rsa.v3.ppk", "found a private key of PuTTY (.ppk)", PUTTYGEN),
    ("ec.v2.ppk", "found a private key of PuTTY (.ppk)", PUTTYGEN),
    ("ec.v3.ppk", "found a private key of PuTTY (.ppk)", PUTTYGEN),
    ("ed25519.v2.ppk", "found a private key of PuTTY (.ppk), Ed25519", NEW_ED25519),
    ("ed25519.v3.ppk", "found a private key of PuTTY (.ppk), Ed25519", NEW_ED25519),
    ("openssh.rsa.pem", "found a PEM with label OPENSSH PRIVATE KEY (RSA)", SSH_KEYGEN),
    ("openssh.ec.pem", "found a PEM with label OPENSSH PRIVATE KEY (EC)", SSH_KEYGEN),
    ("openssh.ec.encrypted.pem", "found a PEM with label OPENSSH PRIVATE KEY (EC)", SSH_KEYGEN),
    ("openssh.ed25519.pem", "found a PEM with label OPENSSH PRIVATE KEY (Ed25519)", NEW_ED25519),
    ("rsa.ssh2", "found a private key in the SSH2 format of ssh.com", "puttygen KEY -O private-openssh -o KEY.pem"),
    ("rsa.ssh2.pub", "found a public key of SSH", PUBLIC),
    ("rsa.ssh.pub", "found a public key of SSH", PUBLIC),
    ("ec.ssh.pub", "found a public key of SSH", PUBLIC),
    ("ed25519.ssh.pub", "found a public key of SSH", PUBLIC),
    ("certificate.pem", "found a PEM with label CERTIFICATE", "give the key file beside it"),
    ("p256.certificate.pem", "found a PEM with label CERTIFICATE", "give the key file beside it"),
    ("request.pem", "found a PEM with label CERTIFICATE REQUEST", "give the key file that it was made with"),
    ("rsa2048.pub.pem", "found a PEM with label PUBLIC KEY", PUBLIC),
    ("p256.pub.pem", "found a PEM with label PUBLIC KEY", PUBLIC),
    ("rsa2048.pkcs1.pub.pem", "found a PEM with label RSA PUBLIC KEY", PUBLIC),
    ("pkcs7.pem", "found a PEM with label PKCS7", "expected a private key"),
    ("pgp.pem", "found a PEM with label PGP PRIVATE KEY BLOCK", "keys of PGP do not sign JWTs"),
    ("pgp.pub.pem", "found a PEM with label PGP PUBLIC KEY BLOCK", "keys of PGP do not sign JWTs"),
    ("rsa2048.pkcs1.encrypted.pem", "found a PEM with label RSA PRIVATE KEY, encrypted", REWRITE),
    ("rsa2048.des.encrypted.pem", "found a PEM with label RSA PRIVATE KEY, encrypted", REWRITE),
    ("p256.sec1.encrypted.pem", "found a PEM with label EC PRIVATE KEY, encrypted", REWRITE),
    ("rsa2048.encrypted.pem", "found a PEM with label ENCRYPTED PRIVATE KEY", "openssl pkey -provider legacy"),
    ("rsa-pss.pem", "found an RSA key of the kind RSASSA-PSS; RS256 needs an RSA key", "use another key"),
    ("secp256k1.pem", "found an EC secp256k1 key; RS256 needs an RSA key", "use another key"),
];

fn check(message: &str, found: &str, advice: &str, what: &str) {
    assert!(message.contains(found), "{what}: expected {found:?} in: {message}");
    assert!(message.contains(advice), "{what}: expected {advice:?} in: {message}");
    assert!(message.contains("expected") || message.contains("needs"), "{what}: {message}");
}

#[test]
fn l53_each_wrong_file_is_named_with_a_remedy() {
    for (name, found, advice) in FILES {
        let content = testdata(name);
        for how in [&content[..], BASE64_STANDARD.encode(&content).as_bytes()] {
            // Binary formats in base64 are named as what they are too.
            if how != content && !matches!(name, "rsa2048.jks") && !name.ends_with(".pem") {
                continue;
            }
            let error = KeyReader::new().algorithm(Algorithm::RS256).read(how).unwrap_err();
            check(&error.to_string(), found, advice, name);
        }
        let error = SigningKey::from_file(Algorithm::RS256, testdata_path(name)).unwrap_err();
        check(&error.to_string(), found, advice, name);
        // Nor is it a shared secret.
        let error = KeyReader::new().algorithm(Algorithm::HS256).read(&content).unwrap_err().to_string();
        assert!(error.contains("shared secret"), "{name}: {error}");
    }
}

#[test]
fn l53_der_of_each_kind_is_named() {
    for (name, found, advice) in [
        ("certificate", "found a certificate (binary DER)", "give the key file beside it"),
        ("request", "found a certificate request (binary DER)", "give the key file beside it"),
        ("rsa2048.pub", "found a public key (binary DER)", PUBLIC),
        ("rsa2048.pkcs1.pub", "found a public key (binary DER)", PUBLIC),
        ("pkcs7", "found certificates as PKCS#7 (.p7b) (binary DER)", "give the key file beside it"),
        ("rsa2048.encrypted", "found an encrypted private key (binary DER)", "openssl pkcs8 -topk8 -v2 aes-256-cbc"),
    ] {
        let der = key_der(name);
        let error = KeyReader::new().algorithm(Algorithm::RS256).read(&der).unwrap_err();
        check(&error.to_string(), found, advice, name);
        let error = KeyReader::new().algorithm(Algorithm::RS256).read(BASE64_STANDARD.encode(&der)).unwrap_err();
        check(&error.to_string(), &found.replace("binary DER", "base64"), advice, name);
    }
}

#[test]
fn l53_json_with_a_key_inside_names_its_member() {
    let key = pem("rsa2048");
    let certificate = pem("certificate");
    let google =
        json!({ "type": "service_account", "private_key_id": "k1", "private_key": key, "client_email": "a@b" });
    let vault = json!({ "data": { "certificate": certificate, "private_key": key } });
    let kubernetes = json!({ "data": { "tls.key": BASE64_STANDARD.encode(&key) } });
    let unknown = json!({ "MARKER": key });
    for (document, found, advice) in [
        (
            google,
            "found a service account file (JSON) with a private key as PEM in its member `.private_key`",
            ".private_key",
        ),
        (vault, "found JSON with a private key as PEM in its member `.data.private_key`", ".data.private_key"),
        (kubernetes, "found JSON with a private key as PEM in its member `.data[\"tls.key\"]`", ".data[\"tls.key\"]"),
        (unknown, "found JSON with a private key as PEM in one of its members", ".MEMBER"),
        (json!({ "secret": key_json() }), "found JSON with a JWK in its member `.secret`", ".secret"),
        (json!([{ "key": key }]), "found JSON with a private key as PEM in its member `.[0].key`", ".[0].key"),
    ] {
        for text in [document.to_string(), format!("{document:#}"), BASE64_STANDARD.encode(document.to_string())] {
            let error = KeyReader::new().algorithm(Algorithm::RS256).read(&text).unwrap_err().to_string();
            if !text.starts_with(['{', '[']) {
                assert!(error.contains("found a PEM or JWK in base64") || error.contains(found), "{error}");
                continue;
            }
            check(&error, found, advice, &text);
            assert!(error.contains("jq -") && !error.contains("MARKER"), "{error}");
            let error = SigningKey::from_pem(Algorithm::RS256, &text).unwrap_err().to_string();
            check(&error, found, advice, &text);
        }
    }
    let text = json!({ "type": "service_account", "private_key": pem("rsa2048") }).to_string();
    let error = KeyReader::new().algorithm(Algorithm::RS256).read(text).unwrap_err().to_string();
    assert!(error.contains("use `Value::member` with `/private_key`"), "{error}");
}

fn key_json() -> serde_json::Value {
    serde_json::from_str(&jwk_text("rsa2048", json!({}))).unwrap()
}

#[test]
fn l53_a_path_in_place_of_a_key_is_named() {
    let existing = testdata_path("rsa2048.pem");
    for path in
        ["/run/secrets/signing-key", "./key", "../key.pem", "~/key.pem", "C:\\keys\\key.pem", "key.pem", &existing]
    {
        for error in [
            SigningKey::hmac(Algorithm::HS256, path).unwrap_err(),
            SigningKey::from_pem(Algorithm::RS256, path).unwrap_err(),
            SigningKey::from_jwk(path).unwrap_err(),
            KeyReader::new().algorithm(Algorithm::HS256).allow_short_secret(true).read(path).unwrap_err(),
            KeyReader::new().algorithm(Algorithm::ES256).read(path).unwrap_err(),
            KeyReader::new().algorithm(Algorithm::EdDSA).read(format!("{path}\n")).unwrap_err(),
        ] {
            check(&error.to_string(), "found what looks like the path of a file", "`SigningKey::from_file`", path);
        }
        let insisting = KeyReader::new().algorithm(Algorithm::HS256).allow_short_secret(true);
        insisting.encoding(crate::jwt::Encoding::Binary).read(path).unwrap();
    }
}
