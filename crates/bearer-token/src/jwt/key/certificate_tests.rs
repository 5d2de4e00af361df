//! Certificates of keys in JWTs: which one belongs to the key, and how both are replaced.

use std::{fs, path::PathBuf};

use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
    signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::{
    error::{Error, ErrorKind},
    jwt::{
        Algorithm, JwtTemplate, JwtTemplateBuilder, SignedJwt, Signer, SigningKey,
        test_support::{key_der, part, pem, testdata, testdata_path},
    },
    sync::{Mutex, lock},
    test_support::platform_at,
    value::Value,
};

/// A P-256 key, and its certificate.
struct Pair {
    key: KeyPair,
    certificate: rcgen::Certificate,
}

impl Pair {
    fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = CertificateParams::new(vec!["me.example.com".to_owned()]).unwrap().self_signed(&key).unwrap();
        Pair { key, certificate }
    }

    /// Checks that everything in a JWT belongs to this pair.
    fn check(&self, jwt: &SignedJwt) {
        let der = self.certificate.der();
        let encoded = |digest: aws_lc_rs::digest::Digest| BASE64_URL_SAFE_NO_PAD.encode(digest);
        let header = part(jwt, 0);
        assert_eq!(header["x5t#S256"], encoded(digest(&SHA256, der)));
        assert_eq!(header["x5t"], encoded(digest(&SHA1_FOR_LEGACY_USE_ONLY, der)));
        assert_eq!(header["x5c"], json!([BASE64_STANDARD.encode(der)]));
        let public_key = self.key.subject_public_key_info();
        assert_eq!(part(jwt, 1)["key"], encoded(digest(&SHA256, &public_key)));
        let (input, signature) = jwt.secret().rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public_key).verify(input.as_bytes(), &signature).unwrap();
    }
}

async fn sign(template: &JwtTemplate) -> SignedJwt {
    template.sign(&platform_at(1_000)).await.unwrap()
}

/// A template with every member that is derived from a key and its certificate.
fn everything(key: SigningKey, certificate: impl Into<Value>) -> JwtTemplateBuilder {
    JwtTemplate::builder(key)
        .certificate(certificate)
        .x5t()
        .x5t_s256()
        .certificate_chain()
        .computed("key", |cx| Ok(cx.public_key_sha256()?.base64url()))
}

fn in_directory() -> (TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (key, certificate) = (directory.path().join("key.pem"), directory.path().join("certificate.pem"));
    (directory, key, certificate)
}

// shows: 7515/4.1.7
#[tokio::test]
async fn l56_a_key_and_its_certificate_are_replaced_together() {
    let (_directory, key_path, certificate_path) = in_directory();
    let write_key = |pair: &Pair| fs::write(&key_path, pair.key.serialize_pem()).unwrap();
    let write_certificate = |pair: &Pair| fs::write(&certificate_path, pair.certificate.pem()).unwrap();
    let first = Pair::new();
    write_key(&first);
    write_certificate(&first);
    let key = SigningKey::from_file(Algorithm::ES256, &key_path).unwrap();
    let template = everything(key, Value::file(&certificate_path)).build().unwrap();
    first.check(&sign(&template).await);

    // The key first, as some managers write it; then the certificate first, as others do.
    let second = Pair::new();
    write_key(&second);
    assert!(template.has_changed());
    first.check(&sign(&template).await);
    write_certificate(&second);
    assert!(template.has_changed());
    second.check(&sign(&template).await);
    let third = Pair::new();
    write_certificate(&third);
    for _ in 0..2 {
        second.check(&sign(&template).await);
    }
    write_key(&third);
    third.check(&sign(&template).await);

    // Half a file, another file, no file.
    fs::write(&certificate_path, &third.certificate.pem()[..100]).unwrap();
    third.check(&sign(&template).await);
    fs::write(&certificate_path, pem("certificate")).unwrap();
    third.check(&sign(&template).await);
    fs::remove_file(&certificate_path).unwrap();
    fs::remove_file(&key_path).unwrap();
    third.check(&sign(&template).await);
    write_key(&first);
    write_certificate(&first);
    first.check(&sign(&template).await);
}

#[tokio::test]
async fn l56_one_file_may_hold_key_and_certificate() {
    let (_directory, path, _) = in_directory();
    let write = |pair: &Pair, beside: &Pair| {
        let content = [pair.key.serialize_pem(), beside.certificate.pem(), pair.certificate.pem()].concat();
        fs::write(&path, content).unwrap();
    };
    let pairs = [(); 3].map(|()| Pair::new());
    write(&pairs[0], &pairs[0]);
    let key = SigningKey::from_file(Algorithm::ES256, &path).unwrap();
    let template = JwtTemplate::builder(key).certificate(Value::file(&path)).x5t_s256().build().unwrap();
    for (pair, beside) in [(0, 0), (1, 0), (2, 1)] {
        write(&pairs[pair], &pairs[beside]);
        let der = pairs[pair].certificate.der();
        assert_eq!(part(&sign(&template).await, 0)["x5t#S256"], BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, der)));
    }
}

/// A certificate that may certify others.
fn issuer(name: &str, above: Option<&CertifiedIssuer<'static, KeyPair>>) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    match above {
        None => CertifiedIssuer::self_signed(params, key).unwrap(),
        Some(above) => CertifiedIssuer::signed_by(params, key, above).unwrap(),
    }
}

// shows: 7515/4.1.6a 7515/4.1.6b
#[tokio::test]
async fn a_chain_begins_with_the_certificate_of_the_key() {
    let root = issuer("root", None);
    let middle = issuer("middle", Some(&root));
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let params = CertificateParams::new(vec!["me.example.com".to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &middle).unwrap();
    let signing = || SigningKey::from_pem(Algorithm::ES256, key.serialize_pem()).unwrap();
    let encoded = [leaf.der(), middle.der(), root.der()].map(|der| Json::from(BASE64_STANDARD.encode(der)));
    for (text, expected) in [
        ([leaf.pem(), middle.pem(), root.pem()].concat(), &encoded[..]),
        ([root.pem(), leaf.pem(), middle.pem()].concat(), &encoded[..]),
        ([leaf.pem(), middle.pem()].concat(), &encoded[..2]),
        (leaf.pem(), &encoded[..1]),
    ] {
        let template = JwtTemplate::builder(signing()).certificate(text).certificate_chain().build().unwrap();
        assert_eq!(part(&sign(&template).await, 0)["x5c"], json!(expected));
    }
    let stranger = Pair::new().certificate.pem();
    for (text, expected) in [
        ([leaf.pem(), stranger.clone()].concat(), "found 1 that do not belong to the chain of the key's certificate"),
        ([leaf.pem(), root.pem()].concat(), "found 1 that do not belong to the chain"),
    ] {
        let builder = || JwtTemplate::builder(signing()).certificate(text.clone());
        let error = builder().certificate_chain().build().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        builder().x5t().build().unwrap();
    }
}

#[tokio::test]
async fn a_certificate_may_be_written_in_any_form() {
    let template = |certificate: Value| {
        let key = SigningKey::from_pem(Algorithm::PS256, pem("rsa2048")).unwrap();
        JwtTemplate::builder(key).certificate(certificate).x5t_s256().build().unwrap()
    };
    let expected = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &key_der("certificate")));
    let (_directory, binary, _) = in_directory();
    fs::write(&binary, key_der("certificate")).unwrap();
    let text = pem("certificate");
    for value in [
        Value::from(text.as_str()),
        Value::from(text.replace('\n', "\\n")),
        Value::from(BASE64_STANDARD.encode(&text)),
        Value::from(BASE64_STANDARD.encode(key_der("certificate"))),
        Value::from(json!({ "tls.crt": text }).to_string()).member("/tls.crt"),
        Value::file(testdata_path("certificate.pem")),
        Value::file(&binary),
    ] {
        assert_eq!(part(&sign(&template(value)).await, 0)["x5t#S256"], expected);
    }
}

#[test]
fn an_unusable_certificate_is_one_problem() {
    let key = || SigningKey::from_pem(Algorithm::RS256, pem("rsa2048")).unwrap();
    let hmac = SigningKey::hmac(Algorithm::HS256, [7; 32]).unwrap();
    let (_directory, p12, missing) = in_directory();
    fs::write(&p12, testdata("rsa2048.p12")).unwrap();
    let damaged = ::pem::encode(&::pem::Pem::new("CERTIFICATE", [7; 30]));
    let provider = crate::provider::TokenProvider::builder(crate::StaticToken::new("a")).build().unwrap();
    for (builder, expected) in [
        (
            everything(key(), pem("p256.certificate")),
            "certificate: found the certificate of another key; expected the certificate of the key that signs: was \
             only one of the two replaced?",
        ),
        (
            everything(key(), pem("p256.certificate").repeat(2)),
            "certificate: found 2 certificates of other keys; expected the certificate of the key",
        ),
        (
            everything(key(), pem("rsa2048")),
            "certificate: found a PEM with label PRIVATE KEY; expected a certificate as PEM (CERTIFICATE) or DER: \
             give the",
        ),
        (everything(key(), pem("request")), "certificate: found a PEM with label CERTIFICATE REQUEST; expected a cert"),
        (everything(key(), &pem("certificate")[..200]), "certificate: found a PEM that cannot be read"),
        (everything(key(), damaged), "certificate: found a PEM block that does not contain a certificate"),
        (everything(key(), Value::file(&p12)), "certificate: found PKCS#12 (.p12, .pfx); expected"),
        (everything(key(), "{\"tls.crt\": \"\"}"), "certificate: found JSON; expected a certificate as PEM"),
        (everything(key(), "thumbprint"), "certificate: found neither PEM nor DER"),
        (everything(key(), Value::file(&missing)), "certificate: the file `"),
        (everything(key(), Value::file(&p12).member("x")), "certificate: found a member that does not begin with `/`"),
        (everything(key(), Value::token_of(provider)), "certificate: found the token of another provider"),
        (
            JwtTemplate::builder(hmac).certificate(pem("certificate")),
            "key: found a shared secret, which HS256 signs with; expected a private key",
        ),
        (
            JwtTemplate::builder(key()).x5t(),
            "computed_header.x5t: found no certificate; expected the certificate of the key: call `.certificate(..)`",
        ),
        (
            JwtTemplate::builder(key()).certificate_chain(),
            "certificate_chain: found no certificate to send: call `.certificate(..)`",
        ),
        (
            JwtTemplate::builder(key()).certificate(pem("certificate")).x5t().header("x5t", "AQ"),
            "computed_header.x5t: found the same member among the fixed ones",
        ),
    ] {
        let error = builder.build().unwrap_err();
        let problems: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
        assert!(problems[0].starts_with(expected), "{expected}: {problems:?}");
        assert_eq!(problems.len(), 1, "{problems:?}");
    }
}

/// A remote key whose public half changes.
#[derive(Clone)]
struct Remote(std::sync::Arc<Mutex<Option<Vec<u8>>>>);

impl Signer for Remote {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }

    fn public_key(&self) -> Option<Vec<u8>> {
        lock(&self.0).clone()
    }

    async fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![7; 64])
    }
}

#[tokio::test]
async fn l56_a_remote_key_never_signs_under_another_certificate() {
    let public = |pair: &Pair| Some(pair.key.subject_public_key_info());
    let (first, second) = (Pair::new(), Pair::new());
    let (_directory, _, path) = in_directory();
    fs::write(&path, first.certificate.pem()).unwrap();
    let remote = Remote(std::sync::Arc::new(Mutex::new(None)));
    let build = || {
        let key = SigningKey::remote(remote.clone());
        JwtTemplate::builder(key).certificate(Value::file(&path)).x5t_s256().build()
    };
    let error = build().unwrap_err();
    assert!(error.to_string().contains("key: found a remote signer that does not provide its public key"), "{error}");
    *lock(&remote.0) = public(&second);
    assert!(build().unwrap_err().to_string().contains("found the certificate of another key"));
    *lock(&remote.0) = public(&first);
    let template = build().unwrap();
    sign(&template).await;
    *lock(&remote.0) = public(&second);
    let error = template.sign(&platform_at(1_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Signing);
    assert!(error.to_string().contains("found the certificate of another key"), "{error}");
    fs::write(&path, second.certificate.pem()).unwrap();
    let expected = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, second.certificate.der()));
    assert_eq!(part(&sign(&template).await, 0)["x5t#S256"], expected);
}
