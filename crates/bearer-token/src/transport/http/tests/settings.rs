//! What is wrong with the settings is reported when the transport is built.

use tempfile::TempDir;

use super::{
    tls::{Ca, Leaf},
    *,
};
use crate::value::Value;

/// The problems of a build that fails, which show nothing of what was set.
fn problems_of(builder: HttpTransportBuilder) -> Vec<String> {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!shown(&error).contains("planted"), "{}", shown(&error));
    error.problems().iter().map(ToString::to_string).collect()
}

fn assert_problem(builder: HttpTransportBuilder, path: &str, parts: &[&str]) {
    let problems = problems_of(builder);
    let [problem] = &*problems else { panic!("expected one problem: {problems:?}") };
    assert!(problem.starts_with(&format!("{path}: ")), "{problem}");
    for part in parts {
        assert!(problem.contains(part), "`{part}` is missing in: {problem}");
    }
}

/// The same text, and a file with it.
fn both(pem: &[u8], directory: &TempDir) -> Vec<Value> {
    let path = directory.path().join("file.pem");
    std::fs::write(&path, pem).unwrap();
    let literal = str::from_utf8(pem).ok().map(Value::from);
    literal.into_iter().chain([Value::file(path)]).collect()
}

#[test]
fn ca_certificates_that_are_none_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let ca = Ca::new("ca").pem();
    let Leaf { certificate, key } = Ca::new("ca").issue("localhost", 2020, 2120);
    let damaged = ca.replacen("MII", "MIX", 1);
    let binary = certificate.der().to_vec();
    let quoted = format!("\"{ca}\"");
    for (pem, found) in [
        (&b" \r\n"[..], "found nothing"),
        (b"planted", "found no PEM"),
        (b"planted\xff", "found no PEM"),
        (b"/run/secrets/planted.pem", "found what looks like a path"),
        (b"planted.crt", "found what looks like a path"),
        (&binary, "found binary data, perhaps DER (`openssl x509 -inform DER -in FILE` converts it)"),
        (&key.serialize_der(), "perhaps a private key in DER"),
        (b"\x30\x82\x09\x99\x02\x01\x03planted", "found PKCS#12 (`openssl pkcs12"),
        (b"\xfe\xed\xfe\xedplanted", "found a Java key store"),
        (b"\xff\xfep\0l\0", "found UTF-16"),
        (quoted.as_bytes(), "found quotes around the value"),
        (b"-----BEGIN PGP MESSAGE-----\nplanted\n-----END PGP MESSAGE-----\n", "found a PEM of another kind"),
        (b"-----BEGIN PUBLIC KEY-----\nplanted\n-----END PUBLIC KEY-----\n", "found a public key"),
        (
            b"-----BEGIN CERTIFICATE REQUEST-----\ncGxh\n-----END CERTIFICATE REQUEST-----\n",
            "found a certificate request, which a CA has to sign first",
        ),
        (b"-----BEGIN PKCS7-----\ncGxh\n-----END PKCS7-----\n", "found PKCS#7 (`openssl pkcs7 -print_certs"),
        (b"-----BEGIN CERTIFICATE-----\ncGxhbnRlZA==\n", "without its `-----END ..-----` line"),
        (b"-----BEGIN CERTIFICATE-----\n!planted!\n-----END CERTIFICATE-----\n", "whose base64 is damaged"),
        (damaged.as_bytes(), "found a damaged certificate (number 1)"),
        (key.serialize_pem().as_bytes(), "found a private key"),
    ] {
        for pem in both(pem, &directory) {
            let builder = HttpTransport::builder().ca(pem.clone());
            assert_problem(builder, "ca", &[found, "expected CA certificates in PEM", "-----BEGIN CERTIFICATE-----"]);
            assert_problem(HttpTransport::builder().only_ca(pem), "only_ca", &[found]);
        }
    }
    for (value, parts) in [
        (Value::file(directory.path().join("missing.pem")), "missing.pem` cannot be read: "),
        (Value::env("BEARER_TOKEN_TEST_THAT_IS_NOT_SET"), "NOT_SET`: the environment variable is not set"),
        (Value::from(""), "found an empty string"),
    ] {
        assert_problem(HttpTransport::builder().ca(value), "ca", &[parts]);
    }
}

#[test]
fn l54_ca_certificates_may_be_indented_or_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let pem = Ca::new("ca").pem();
    let indented = pem.lines().map(|line| format!("    {line}\r\n")).collect::<String>();
    for text in [
        pem.clone(),
        format!("\u{feff}{pem}"),
        indented,
        format!("# a comment\n{pem}{pem}"),
        pem.replace('\n', "\\n"),
        pem.replace('\n', "\\r\\n"),
        pem.replace('\n', "\\n\n"),
    ] {
        for pem in both(text.as_bytes(), &directory) {
            HttpTransport::builder().only_ca(pem).build().unwrap();
        }
    }
}

#[test]
fn client_identities_that_are_none_are_named() {
    let ca = Ca::new("ca");
    let (one, other) = (ca.issue("one", 2020, 2120), ca.issue("other", 2020, 2120));
    let (certificate, key) = (one.certificate.pem(), one.key.serialize_pem());
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\ncGxhbnRlZA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\ncGxhbnRlZA==\n\
        -----END RSA PRIVATE KEY-----\n";
    let openssh = "-----BEGIN OPENSSH PRIVATE KEY-----\ncGxhbnRlZA==\n-----END OPENSSH PRIVATE KEY-----\n";
    let builder = HttpTransport::builder;
    for (pem, parts) in [
        ("\n".into(), &["found nothing", "the client's certificate, its chain and its private key"][..]),
        (certificate.clone(), &["found no private key", "append the key", "call `.key(..)`"]),
        (key.clone(), &["found a private key and no certificate", "put the certificates before the key"]),
        (format!("{certificate}{encrypted}"), &["found an encrypted private key", "`openssl pkey -in KEY -out PLAIN`"]),
        (format!("{certificate}{old}"), &["found an encrypted private key"]),
        (format!("{certificate}{key}{key}"), &["found several private keys", "keep the one"]),
        (format!("{}{key}", other.certificate.pem()), &["does not belong to the first certificate", "chain"]),
        (format!("{}{certificate}{key}", ca.pem()), &["does not belong to the first certificate", "certificate first"]),
    ] {
        assert_problem(builder().certificate(pem), "certificate", parts);
    }
    builder().certificate(format!("{certificate}{}{key}", ca.pem())).build().unwrap();

    for (pem, parts) in [
        ("\n", &["found nothing; expected the private key of the client's certificate in PEM"][..]),
        (&certificate, &["found a certificate and no private key"]),
        (encrypted, &["found an encrypted private key", "`openssl pkey"]),
        (openssh, &["found a key of OpenSSH"]),
        ("/run/secrets/planted.key", &["found what looks like a path"]),
        (&other.key.serialize_pem(), &["does not belong to the first certificate"]),
    ] {
        assert_problem(builder().certificate(&*certificate).key(pem), "key", parts);
    }
    builder().certificate(&*certificate).key(&*key).build().unwrap();
    // One file with both, named twice.
    let both = format!("{certificate}{key}");
    builder().certificate(&*both).key(&*both).build().unwrap();
    assert_problem(builder().key(&*key), "key", &["is set without the client's certificate", "`.certificate(..)`"]);
    assert_problem(builder().certificate("\n").key(&*key), "certificate", &["found nothing"]);
}

#[test]
fn every_problem_is_reported_at_once() {
    let builder = HttpTransport::builder()
        .ca("planted")
        .certificate("planted")
        .proxy("socks5://user:planted@proxy.example.com:1080")
        .connect_timeout(Duration::ZERO)
        .timeout(Duration::ZERO)
        .user_agent("planted\n");
    let problems = problems_of(builder);
    let paths: Vec<_> = problems.iter().map(|problem| problem.split(':').next().unwrap()).collect();
    assert_eq!(paths, ["proxy", "connect_timeout", "timeout", "user_agent", "ca", "certificate"]);
    assert_problem(HttpTransport::builder().proxy("http://proxy.example.com").no_proxy(), "proxy", &["`no_proxy`"]);
}
