//! Finds the private key in a PEM text, or says what was found in its place.

use zeroize::Zeroizing;

use super::{encoding as decode, jwk, sniff::Look};
use crate::error::{Error, ErrorKind};
use crate::jwt::key::key_problem;
use crate::problem::{Advice, Problem};

const EXPECTED: &str = "expected a private key as PEM: PRIVATE KEY (PKCS#8), RSA PRIVATE KEY (PKCS#1) or EC PRIVATE \
                        KEY (SEC1)";
const BEGIN: &[u8] = b"-----BEGIN ";

const END: &[u8] = b"-----END ";
/// Copied with a dash too few.
const SHORT_BEGIN: &[u8] = b"----BEGIN ";

/// Whether the text is PEM, or a part of one, so not a secret for an HMAC.
pub(crate) fn looks_like_pem(text: &[u8]) -> bool {
    let has = |mark: &[u8]| text.windows(mark.len()).any(|window| window == mark);
    let trimmed = text.trim_ascii();
    has(SHORT_BEGIN) || has(END) || (trimmed.len() > 4 && BEGIN.starts_with(trimmed))
}

/// The one private key in a PEM text.
enum Found {
    Plain(Zeroizing<Vec<u8>>),
    /// PKCS#8's own encryption (RFC 5958 section 3).
    #[cfg_attr(not(feature = "encrypted-keys"), allow(dead_code, reason = "nobody opens it then"))]
    Encrypted(Zeroizing<Vec<u8>>),
}

/// The DER of the one private key in the text (RFC 7468).
///
/// Certificates, parameters and text around it are passed over. The whole text may be wrapped in base64 once more, as
/// environment variables and secret stores often have it.
pub(crate) fn from_pem(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    match find(text)? {
        Found::Plain(der) => Ok(der),
        Found::Encrypted(_) => Err(key_problem(
            Problem::new("key", format!("found a PEM with label {ENCRYPTED}; {EXPECTED}"))
                .advise(if cfg!(feature = "encrypted-keys") {
                    Advice::set("KeyReader::passphrase")
                } else {
                    Advice::Feature("encrypted-keys")
                })
                .advise(Advice::text(DECRYPT)),
        )),
    }
}

/// The same of a key that is encrypted with a passphrase.
#[cfg(feature = "encrypted-keys")]
pub(crate) fn from_encrypted_pem(text: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    match find(text)? {
        Found::Encrypted(der) => super::encrypted::open(&der, passphrase),
        Found::Plain(_) => Err(config(format!(
            "found a private key that is not encrypted; expected {ENCRYPTED}: leave the passphrase out, or encrypt the \
             key with {}",
            super::encrypted::REWRITE
        ))),
    }
}

fn find(text: &[u8]) -> Result<Found, Error> {
    if !looks_like_pem(text) {
        return match decode::base64(text) {
            Some(inner) if looks_like_pem(&inner) => find(&inner),
            inner => Err(not_pem(text, inner.as_deref().map(Vec::as_slice))),
        };
    }
    // The crate's error is left out: it may quote the text.
    let Ok(blocks) = ::pem::parse_many(text) else { return Err(broken(text)) };
    let mut keys = Vec::new();
    let mut others = Vec::new();
    for block in blocks {
        let encrypted = block.headers().get("Proc-Type").is_some_and(|value| value.contains("ENCRYPTED"));
        let label = Label::of(block.tag(), encrypted);
        let der = Zeroizing::new(block.into_contents());
        match label {
            Label::Key => keys.push(Found::Plain(der)),
            Label::Encrypted => keys.push(Found::Encrypted(der)),
            Label::Other(name, advice) => others.push((name, advice)),
        }
    }
    match (keys.pop(), keys.len()) {
        (Some(key), 0) => Ok(key),
        (Some(_), more) => Err(config(format!("found {} private keys in one PEM; expected one", more + 1))),
        (None, _) if others.is_empty() => Err(broken(text)),
        (None, _) => {
            let names = counted(others.iter().map(|(name, _)| *name));
            let advice = others.iter().map(|(_, advice)| *advice).find(|advice| !advice.is_empty());
            let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
            Err(config(format!("found a PEM with label {names}; {EXPECTED}{advice}")))
        }
    }
}

/// Each name once, and how often: a bundle has hundreds of certificates.
fn counted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for name in names {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let named = counts.into_iter().map(|(name, count)| match count {
        1 => name.to_owned(),
        count => format!("{name} ({count} times)"),
    });
    named.collect::<Vec<_>>().join(", ")
}

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const DECRYPT: &str = "decrypt it with `openssl pkey -in KEY.pem -out DECRYPTED.pem`";

enum Label {
    Key,
    Encrypted,
    /// Its name, and what to do about it.
    Other(&'static str, &'static str),
}

impl Label {
    /// Only labels known here are ever repeated: what stands between the dashes of a damaged file may be key text.
    fn of(label: &str, encrypted: bool) -> Self {
        // OpenSSL's own, from before PKCS#8: one round of MD5 makes the key.
        const OLD: &str = "this old encryption is not read: rewrite it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in \
                           KEY.pem -out NEW.pem`, or decrypt it with `openssl pkey -in KEY.pem -out DECRYPTED.pem`";
        const PUBLIC: &str = "this is the public half, which verifies; signing needs the private key it belongs to";
        let (name, advice) = match label {
            "PRIVATE KEY" | "EC PRIVATE KEY" | "RSA PRIVATE KEY" if !encrypted => return Label::Key,
            ENCRYPTED if !encrypted => return Label::Encrypted,
            "EC PRIVATE KEY" => ("EC PRIVATE KEY, encrypted", OLD),
            "RSA PRIVATE KEY" => ("RSA PRIVATE KEY, encrypted", OLD),
            "PRIVATE KEY" | ENCRYPTED => ("PRIVATE KEY, encrypted", OLD),
            "OPENSSH PRIVATE KEY" => (
                "OPENSSH PRIVATE KEY",
                "rewrite a copy of it with `ssh-keygen -p -m PKCS8 -f COPY`, or make a key with `openssl genpkey`",
            ),
            "DSA PRIVATE KEY" => ("DSA PRIVATE KEY", "no JWT algorithm signs with DSA"),
            "PUBLIC KEY" => ("PUBLIC KEY", PUBLIC),
            "RSA PUBLIC KEY" => ("RSA PUBLIC KEY", PUBLIC),
            "CERTIFICATE" => ("CERTIFICATE", "a certificate holds the public half; give the key file beside it"),
            "TRUSTED CERTIFICATE" => ("TRUSTED CERTIFICATE", "give the key file beside it"),
            "CERTIFICATE REQUEST" => ("CERTIFICATE REQUEST", "give the key file that it was made with"),
            "NEW CERTIFICATE REQUEST" => ("NEW CERTIFICATE REQUEST", "give the key file that it was made with"),
            "EC PARAMETERS" => ("EC PARAMETERS", ""),
            "DH PARAMETERS" => ("DH PARAMETERS", ""),
            "X509 CRL" => ("X509 CRL", ""),
            "PKCS7" => ("PKCS7", ""),
            _ => ("that is not known here", ""),
        };
        Label::Other(name, advice)
    }
}

/// There is a `BEGIN`, but no whole block.
fn broken(text: &[u8]) -> Error {
    let why = if text.windows(2).any(|pair| pair == br"\n") {
        r"the two characters `\n` stand where the lines should end: replace them with line ends"
    } else {
        "a block has no matching END line, or its content is not base64: is the file cut off?"
    };
    config(format!("found a PEM that cannot be read; {EXPECTED}; {why}"))
}

/// Neither the text nor, if it is base64, what is inside has a `BEGIN`.
fn not_pem(text: &[u8], inside: Option<&[u8]>) -> Error {
    let found = if text.trim_ascii().is_empty() {
        "found nothing"
    } else if jwk::looks_like_jwk(text) || inside.is_some_and(jwk::looks_like_jwk) {
        JWK
    } else if let Some(found) = Look::of(text).found() {
        found
    } else if text.first() == Some(&0x30) && str::from_utf8(text).is_err() {
        Look::Der.found().unwrap_or_default()
    } else {
        "found no PEM block (-----BEGIN ...)"
    };
    if found == JWK {
        return key_problem(
            Problem::new("key", format!("{found}; {EXPECTED}")).advise(Advice::set("SigningKey::from_jwk")),
        );
    }
    config(format!("{found}; {EXPECTED}"))
}

const JWK: &str = "found a JWK";

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};

    use super::*;
    use crate::jwt::test_support::pem;

    #[test]
    fn l23_line_ends_surroundings_and_a_base64_wrapping_do_not_matter() {
        for name in ["rsa2048", "rsa2048.pkcs1", "p256", "p256.sec1", "ed25519"] {
            let text = pem(name);
            let plain = from_pem(text.as_bytes()).unwrap();
            let wrapped = BASE64_STANDARD.encode(&text);
            for (how, text) in [
                ("CRLF", text.replace('\n', "\r\n")),
                ("text around", format!("Bag Attributes\n  name: x\n\n{text}\ntrailing words\n")),
                ("a byte order mark", format!("\u{feff}{text}")),
                ("no last line end", text.trim_end().to_owned()),
                ("blanks around", format!("\n  {text}\n\n")),
                ("lines joined by blanks", text.replace('\n', " ")),
                ("a certificate first", pem("certificate") + &text),
                ("a certificate last", text.clone() + &pem("certificate")),
                ("base64", wrapped.clone()),
                ("base64 with a line end", format!("{wrapped}\n")),
            ] {
                let der = from_pem(text.as_bytes()).unwrap_or_else(|error| panic!("{name}, {how}: {error}"));
                assert!(*der == *plain, "{name}, {how}");
            }
        }
    }

    #[test]
    fn l23_what_is_no_private_key_is_named_with_what_to_do() {
        let der = from_pem(pem("rsa2048").as_bytes()).unwrap();
        let key = pem("rsa2048");
        let texts: Vec<(Vec<u8>, &str)> = vec![
            (pem("certificate").into(), "found a PEM with label CERTIFICATE; expected a private key"),
            (pem("rsa2048.pub").into(), "label PUBLIC KEY; expected a private key as PEM: PRIVATE KEY (PKCS#8)"),
            (pem("rsa2048.encrypted").into(), "label ENCRYPTED PRIVATE KEY"),
            (pem("rsa2048.encrypted").into(), "openssl pkey -in"),
            (pem("rsa2048.encrypted").into(), "or decrypt it with `openssl pkey"),
            (pem("rsa2048.pkcs1.encrypted").into(), "label RSA PRIVATE KEY, encrypted"),
            (pem("rsa2048.pkcs1.encrypted").into(), "rewrite it with `openssl pkcs8 -topk8 -v2 aes-256-cbc"),
            (pem("rsa2048.pkcs1.encrypted").replace('\n', "\r\n").into(), "RSA PRIVATE KEY, encrypted"),
            (pem("openssh").into(), "ssh-keygen -p -m PKCS8"),
            ((pem("certificate") + &pem("p256.pub")).into(), "label CERTIFICATE, PUBLIC KEY; expected"),
            (
                (pem("certificate").repeat(500) + &pem("p256.pub")).into(),
                "CERTIFICATE (500 times), PUBLIC KEY; expected",
            ),
            (key.replacen('-', "", 1).into(), "found a PEM that cannot be read"),
            ((key.clone() + &pem("p256")).into(), "found 2 private keys"),
            (der.to_vec(), "found binary DER; convert it with `openssl pkey -inform DER"),
            (BASE64_STANDARD.encode(&*der).into(), "found the inside of a PEM without its first and last line"),
            (b"".into(), "found nothing"),
            (b" \r\n".into(), "found nothing"),
            (b"{\"kty\":\"RSA\"}".into(), "use `SigningKey::from_jwk`"),
            (BASE64_STANDARD.encode("{\"kty\":\"RSA\"}").into(), "found a JWK"),
            (b"{\"private_key\":\"-----\"}".into(), "found JSON that is no JWK; take the key out of it"),
            (b"/run/secrets/key.pem".into(), "found no PEM block"),
            (key[..key.len() - 40].into(), "is the file cut off?"),
            (key.replace('\n', r"\n").into(), r"the two characters `\n`"),
            (b"-----BEGIN PRIVATE KEY-----\n-----END PUBLIC KEY-----\n".into(), "cannot be read"),
            (b"-----BEGIN FANCY-----\nAAAA\n-----END FANCY-----\n".into(), "label that is not known here"),
        ];
        for (text, expected) in texts {
            let error = from_pem(&text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let message = error.to_string();
            assert!(message.contains(expected), "expected {expected:?} in: {message}");
            assert!(message.contains("expected a private key as PEM") || message.contains("expected one"), "{message}");
        }
    }

    #[test]
    fn l38_a_damaged_key_is_not_quoted() {
        let key = pem("p256");
        for text in [
            key.replace("KEY-----\nM", "KEYM"),
            key.replace("\n-----END", "\n----END"),
            key.replacen("-----\n", "\n", 1),
            key.replacen('M', "!M", 1),
        ] {
            let error = from_pem(text.as_bytes()).unwrap_err();
            for line in key.lines().filter(|line| !line.starts_with('-')) {
                assert!(!format!("{error} {error:?}").contains(&line[1..9]), "{error:?}");
            }
        }
    }
}
