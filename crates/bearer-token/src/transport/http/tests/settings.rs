//! What is wrong with the settings is reported when the transport is built.

use super::{
    tls::{Ca, Leaf},
    *,
};

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

#[test]
fn ca_certificates_that_are_none_are_named() {
    let ca = Ca::new("ca").pem();
    let Leaf { certificate, key } = Ca::new("ca").issue("localhost", 2020, 2120);
    let damaged = ca.replacen("MII", "MIX", 1);
    let binary = certificate.der().to_vec();
    for (pem, found) in [
        (&b""[..], "found nothing"),
        (b" \r\n", "found nothing"),
        (b"planted", "found no PEM"),
        (b"/run/secrets/planted.pem", "found what looks like a path"),
        (&binary, "found binary data, perhaps DER (`openssl x509 -inform DER` converts it)"),
        (b"-----BEGIN PGP MESSAGE-----\nplanted\n-----END PGP MESSAGE-----\n", "found a PEM of another kind"),
        (b"-----BEGIN CERTIFICATE-----\ncGxhbnRlZA==\n", "without its `-----END ..-----` line"),
        (b"-----BEGIN CERTIFICATE-----\n!planted!\n-----END CERTIFICATE-----\n", "whose base64 is damaged"),
        (damaged.as_bytes(), "found a damaged certificate (number 1)"),
        (key.serialize_pem().as_bytes(), "found a private key; expected CA certificates in PEM"),
    ] {
        assert_problem(HttpTransport::builder().ca_pem(pem), "ca_pem", &[found, "-----BEGIN CERTIFICATE-----"]);
        assert_problem(HttpTransport::builder().only_ca_pem(pem), "ca_pem", &[found]);
    }
}

#[test]
fn indented_and_marked_ca_certificates_are_read() {
    let pem = Ca::new("ca").pem();
    let indented = pem.lines().map(|line| format!("    {line}\r\n")).collect::<String>();
    for pem in [pem.clone(), format!("\u{feff}{pem}"), indented, format!("# a comment\n{pem}{pem}")] {
        HttpTransport::builder().only_ca_pem(pem).build().unwrap();
    }
}

#[test]
fn client_identities_that_are_none_are_named() {
    let ca = Ca::new("ca");
    let (one, other) = (ca.issue("one", 2020, 2120), ca.issue("other", 2020, 2120));
    let (certificate, key) = (one.certificate.pem(), one.key.serialize_pem());
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\ncGxhbnRlZA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (pem, parts) in [
        (String::new(), &["found nothing", "a client certificate, its chain and its private key"][..]),
        (certificate.clone(), &["found no private key", "append the key"]),
        (key.clone(), &["found a private key and no certificate", "put the certificates before the key"]),
        (format!("{certificate}{encrypted}"), &["found an encrypted private key", "`openssl pkey -in KEY -out PLAIN`"]),
        (format!("{}{key}", other.certificate.pem()), &["does not belong to the first certificate", "chain"]),
        (format!("{}{certificate}{key}", ca.pem()), &["does not belong to the first certificate", "certificate first"]),
    ] {
        assert_problem(HttpTransport::builder().identity_pem(pem), "identity_pem", parts);
    }
    HttpTransport::builder().identity_pem(format!("{certificate}{}{key}", ca.pem())).build().unwrap();
}

#[test]
fn every_problem_is_reported_at_once() {
    let builder = HttpTransport::builder()
        .ca_pem("planted")
        .identity_pem("planted")
        .proxy("socks5://user:planted@proxy.example.com:1080")
        .connect_timeout(Duration::ZERO)
        .timeout(Duration::ZERO)
        .user_agent("planted\n");
    let problems = problems_of(builder);
    let paths: Vec<_> = problems.iter().map(|problem| problem.split(':').next().unwrap()).collect();
    assert_eq!(paths, ["ca_pem", "identity_pem", "proxy", "connect_timeout", "timeout", "user_agent"]);
    assert_problem(HttpTransport::builder().proxy("http://proxy.example.com").no_proxy(), "proxy", &["`no_proxy`"]);
}
