//! Sentences about content that is not the key that was expected: other formats, wrong files.
//!
//! The commands are tested against real files of each format, made by the tools that the messages name
//! (`testdata/make.sh`).

use super::{
    expected::{Expected, REWRITE, error},
    json::fault_clause,
};
use crate::{
    error::Error,
    jwt::formats::{
        der_document::DerDocument,
        encoding, json,
        jwk::{self, JwkFault},
        openssh::OpenSshKey,
        pem::{PemFault, PemLabel},
        sniff::Sniffed,
    },
    problem::{Advice, Problem},
};

/// For every form of a public key, so the same mistake reads the same.
pub(super) const PUBLIC_HALF: &str = "this is the public half, which verifies; give the private key that it belongs to";
pub(super) const CUT_OFF: &str = "is the file cut off? A block has no matching END line, or its content is not base64";
/// For files that usually are in the same folder as the key.
const BESIDE: &str = "it holds the public half; give the key file beside it";
const UTF8: &str = "save it as UTF-8, in PowerShell with `Get-Content KEY | Set-Content -Encoding utf8 NEW`";
/// Neither OpenSSL nor ssh-keygen before version 9.6 converts these keys.
const OPENSSH_ED25519: &str = "make a new key with `openssl genpkey -algorithm ed25519 -out KEY.pem`";

/// Content that cannot be read as the key.
pub(crate) fn content(content: &[u8], expected: Expected) -> Error {
    let sniffed = Sniffed::of(content);
    let (found, advice) = describe(sniffed, content, expected);
    let problem = advice.into_iter().fold(expected.problem(found), Problem::advise);
    if expected.is_secret() && sniffed != Sniffed::Plain {
        let problem = problem.advise(Advice::text("if it is a shared secret, write it as base64"));
        return error(problem.advise(Advice::set_to("KeyReader::encoding", "base64")));
    }
    error(problem)
}

/// What was found, and what to do about it.
///
/// One row per format. Where a tool exists that converts it, the advice is a command that can be pasted.
fn describe(sniffed: Sniffed, content: &[u8], expected: Expected) -> (String, Vec<Advice>) {
    let text = |found: &str, advice: &'static str| (found.to_owned(), vec![Advice::text(advice)]);
    match sniffed {
        Sniffed::Pem => ("found a PEM".to_owned(), vec![Advice::set("SigningKey::from_pem")]),
        Sniffed::Jwk if jwk::is_jwk(content) => ("found a JWK".to_owned(), vec![Advice::set("SigningKey::from_jwk")]),
        Sniffed::Jwk | Sniffed::Json => json_content(content),
        Sniffed::Utf16Pem => text("found a PEM in UTF-16", UTF8),
        Sniffed::Utf16Jwk => text("found a JWK in UTF-16", UTF8),
        Sniffed::Utf16 => text("found text in UTF-16", UTF8),
        Sniffed::Der(document) => der(document, "binary DER"),
        Sniffed::Base64Der(document) => der(document, "base64"),
        Sniffed::Base64 if expected == Expected::Pem && is_wrapped_jwk(content) => {
            ("found a JWK in base64".to_owned(), vec![Advice::set("KeyReader::read")])
        }
        Sniffed::Base64 => text("found a PEM or JWK in base64 that is not whole", "is it cut off?"),
        Sniffed::TwiceBase64 => {
            text("found a PEM or JWK that is encoded twice, with base64 on the outside", "decode it once")
        }
        Sniffed::Jks => (
            "found a Java key store (JKS)".to_owned(),
            vec![Advice::text(
                "convert it with `keytool -importkeystore -srckeystore KEY.jks -destkeystore KEY.p12 -deststoretype \
                 PKCS12`, then `openssl pkcs12 -legacy -in KEY.p12 -nocerts -noenc -out KEY.pem`",
            )],
        ),
        Sniffed::Putty(OpenSshKey::Ed25519) => text("found a private key of PuTTY (.ppk), Ed25519", OPENSSH_ED25519),
        Sniffed::Putty(OpenSshKey::Rsa | OpenSshKey::Ec | OpenSshKey::Other) => text(
            "found a private key of PuTTY (.ppk)",
            "convert it with `puttygen KEY.ppk -O private-openssh -o KEY.pem`",
        ),
        Sniffed::Ssh2Private => text(
            "found a private key in the SSH2 format of ssh.com",
            "convert it with `puttygen KEY -O private-openssh -o KEY.pem`",
        ),
        Sniffed::SshPublic => text("found a public key of SSH", PUBLIC_HALF),
        Sniffed::Plain if content.trim_ascii().is_empty() => ("found nothing".to_owned(), Vec::new()),
        Sniffed::Plain => match expected {
            Expected::Jwk => ("found text that is not JSON".to_owned(), Vec::new()),
            Expected::Pem | Expected::Key(_) => ("found no PEM block (-----BEGIN ...)".to_owned(), Vec::new()),
        },
    }
}

/// Whether it is a whole JWK in Base64, which a constructor for PEM refuses and a reader accepts.
fn is_wrapped_jwk(content: &[u8]) -> bool {
    encoding::base64(content).is_some_and(|inside| jwk::is_jwk(&inside))
}

/// A DER document, in binary or in base64 alone.
///
/// Binary and Base64 differ by one step before the same command.
fn der(document: DerDocument, how: &str) -> (String, Vec<Advice>) {
    let is_binary = how == "binary DER";
    let convert = |command: &str| {
        let decoded = if is_binary { "" } else { "decode the base64, then " };
        vec![Advice::text(format!("{decoded}convert it with `openssl {command} -in KEY.der -out KEY.pem`"))]
    };
    let text = |found: &str, advice: &'static str| (format!("found {found} ({how})"), vec![Advice::text(advice)]);
    match document {
        DerDocument::PrivateKey | DerDocument::Other if is_binary => {
            ("found binary DER".to_owned(), convert("pkey -inform DER"))
        }
        DerDocument::PrivateKey | DerDocument::Other => (
            "found the inside of a PEM without its first and last line".to_owned(),
            vec![Advice::text("put `-----BEGIN PRIVATE KEY-----` and `-----END PRIVATE KEY-----` around it")],
        ),
        DerDocument::EncryptedKey => (
            format!("found an encrypted private key ({how})"),
            convert("pkcs8 -topk8 -v2 aes-256-cbc -provider legacy -provider default -inform DER"),
        ),
        DerDocument::Pkcs12 => (
            format!("found PKCS#12 (.p12, .pfx), {how}"),
            vec![Advice::text(
                "take the private key out with `openssl pkcs12 -legacy -in KEY.p12 -nocerts -noenc -out KEY.pem`",
            )],
        ),
        DerDocument::Certificate => text("a certificate", BESIDE),
        DerDocument::CertificateRequest => text("a certificate request", BESIDE),
        DerDocument::PublicKey => text("a public key", PUBLIC_HALF),
        DerDocument::Pkcs7 => text("certificates as PKCS#7 (.p7b)", BESIDE),
    }
}

/// JSON that is not a whole JWK. A key inside it is named but not used: there may be several, and the wrong one must
/// not sign.
///
/// For a PEM member, `Value::member` comes first: then the file can stay as its provider made it.
fn json_content(content: &[u8]) -> (String, Vec<Advice>) {
    let document = json::read(content).unwrap_or_default();
    let file = if document.is_service_account { "a service account file (JSON)" } else { "JSON" };
    let Some(key) = document.key else {
        if let Err(fault @ JwkFault::Json { .. }) = jwk::read(content) {
            return fault_clause(&fault);
        }
        let found = "found JSON with neither `kty` nor `keys`, which is not a JWK (RFC 7517)".to_owned();
        return (found, vec![Advice::text("if it has a key, take it out; otherwise get the file that has one")]);
    };
    let format = if key.is_pem { "a private key as PEM" } else { "a JWK" };
    let (option, extension) = if key.is_pem { ("-r", "pem") } else { ("-c", "jwk") };
    match key.filter {
        Some(filter) => {
            let point = key.pointer.filter(|_| key.is_pem).map(|pointer| Advice::set_to("Value::member", pointer));
            let take = Advice::text(format!("take it out with `jq {option} '{filter}' FILE.json > KEY.{extension}`"));
            (format!("found {file} with {format} in its member `{filter}`"), point.into_iter().chain([take]).collect())
        }
        None => {
            let found = format!("found {file} with {format} in one of its members");
            (
                found,
                vec![Advice::text(format!(
                    "take that member out with `jq {option} .MEMBER FILE.json > KEY.{extension}`"
                ))],
            )
        }
    }
}

/// PEM text without exactly one usable private key.
pub(crate) fn pem(fault: &PemFault, expected: Expected) -> Error {
    error(match fault {
        PemFault::Unreadable => expected.problem("found a PEM that cannot be read").advise(Advice::text(CUT_OFF)),
        PemFault::Several(keys) => {
            let problem = Problem::new("key", format!("found {keys} private keys in one PEM")).expecting("one");
            problem.advise(Advice::text("remove the others"))
        }
        PemFault::Labels(labels) => {
            let problem = expected.problem(format!("found a PEM with label {}", counted(labels)));
            labels.iter().find_map(|label| label_advice(*label)).into_iter().flatten().fold(problem, Problem::advise)
        }
    })
}

/// An encrypted PKCS#8 key without a passphrase.
pub(crate) fn encrypted_without_passphrase(expected: Expected) -> Error {
    let problem = expected.problem("found a PEM with label ENCRYPTED PRIVATE KEY");
    error(problem.advise(passphrase_advice()).advise(Advice::text(DECRYPT)))
}

#[cfg(feature = "encrypted-keys")]
fn passphrase_advice() -> Advice {
    Advice::set("KeyReader::passphrase")
}

#[cfg(not(feature = "encrypted-keys"))]
fn passphrase_advice() -> Advice {
    Advice::Feature("encrypted-keys")
}

/// A passphrase for a key that is not encrypted.
pub(crate) fn plain_with_passphrase() -> Error {
    let problem = Problem::new("key", "found a private key that is not encrypted").expecting("ENCRYPTED PRIVATE KEY");
    let problem = problem.advise(Advice::remove("KeyReader::passphrase"));
    error(problem.advise(Advice::text(format!("encrypt the key with {REWRITE}"))))
}

const DECRYPT: &str =
    "decrypt it with `openssl pkey -provider legacy -provider default -in KEY.pem -out DECRYPTED.pem`";

/// The name of a label as an error repeats it.
fn label_name(label: PemLabel) -> String {
    match label {
        PemLabel::PrivateKey => "PRIVATE KEY".to_owned(),
        PemLabel::OldEncryption(name) => format!("{name}, encrypted"),
        PemLabel::OpenSsh(OpenSshKey::Rsa) => "OPENSSH PRIVATE KEY (RSA)".to_owned(),
        PemLabel::OpenSsh(OpenSshKey::Ec) => "OPENSSH PRIVATE KEY (EC)".to_owned(),
        PemLabel::OpenSsh(OpenSshKey::Ed25519) => "OPENSSH PRIVATE KEY (Ed25519)".to_owned(),
        PemLabel::OpenSsh(OpenSshKey::Other) => "OPENSSH PRIVATE KEY".to_owned(),
        PemLabel::Dsa => "DSA PRIVATE KEY".to_owned(),
        PemLabel::Tpm => "TSS2 PRIVATE KEY".to_owned(),
        PemLabel::PublicKey(name)
        | PemLabel::Certificate(name)
        | PemLabel::Request(name)
        | PemLabel::Pgp(name)
        | PemLabel::Unrelated(name) => name.to_owned(),
        PemLabel::Unknown => "that is unknown".to_owned(),
    }
}

/// What to do about a block with this label. The first label with advice decides. Certificates around a key are common,
/// and are not the mistake.
fn label_advice(label: PemLabel) -> Option<Vec<Advice>> {
    Some(match label {
        PemLabel::OldEncryption(_) => vec![
            Advice::text(format!("this old encryption (DEK-Info) is not supported; rewrite it with {REWRITE}")),
            Advice::text(DECRYPT),
        ],
        PemLabel::OpenSsh(OpenSshKey::Ed25519) => vec![Advice::text(OPENSSH_ED25519)],
        PemLabel::OpenSsh(OpenSshKey::Rsa | OpenSshKey::Ec | OpenSshKey::Other) => {
            vec![Advice::text("rewrite a copy of it with `ssh-keygen -p -m PKCS8 -f COPY`")]
        }
        PemLabel::Dsa => vec![Advice::text("use another key: no JWT algorithm signs with DSA")],
        PemLabel::PublicKey(_) => vec![Advice::text(PUBLIC_HALF)],
        PemLabel::Certificate(_) => vec![Advice::text(BESIDE)],
        PemLabel::Request(_) => vec![Advice::text("give the key file that it was made with")],
        PemLabel::Pgp(_) => vec![Advice::text("use another key: keys of PGP do not sign JWTs")],
        PemLabel::Tpm => vec![Advice::text("sign through the TPM that holds the key, as a remote signer")],
        // A private key is listed only where a certificate was expected.
        PemLabel::PrivateKey | PemLabel::Unrelated(_) | PemLabel::Unknown => return None,
    })
}

/// Each name once, and how often: a bundle has hundreds of certificates.
pub(super) fn counted(labels: &[PemLabel]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for name in labels.iter().map(|label| label_name(*label)) {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let named = counts.into_iter().map(|(name, count)| match count {
        1 => name,
        count => format!("{name} ({count} times)"),
    });
    named.collect::<Vec<_>>().join(", ")
}
