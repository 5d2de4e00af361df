//! Sentences about keys that cannot be used: what was found, what was expected, and what to change.
//!
//! The formats and the native keys below report faults as data. Here they become [`Problem`]s. None repeats content of
//! a key, apart from registered words, key ids, and the names of common JSON members.
//!
//! The commands in the advice work with OpenSSL 3. The tests of `wrong_file_tests.rs` run over files of those kinds.
//!
//! A bare "invalid key" says nothing to a user who has the wrong file. Each sentence here says what the content is,
//! what was expected, and the command that converts the one into the other.
//!
//! | file | about |
//! |---|---|
//! | `files.rs` | content of another format, and PEM labels |
//! | `jwk.rs`, `json.rs` | JWKs, and damaged JSON |
//! | `encryption.rs` | passphrases |
//! | `certificate.rs` | certificates and chains |
//! | `expected.rs` | the common clause about what was expected |

pub(crate) mod certificate;
#[cfg(feature = "encrypted-keys")]
mod encryption;
mod expected;
mod files;
mod json;
mod jwk;

#[cfg(feature = "encrypted-keys")]
pub(crate) use self::encryption::encryption;
pub(crate) use self::{
    expected::{Expected, error, missing},
    files::{content, encrypted_without_passphrase, pem, plain_with_passphrase},
    jwk::{jwk, jwk_key},
};
use crate::{
    error::Error,
    jwt::{
        algorithm::{Algorithm, Family, RSA_BITS},
        formats::{encoding::Encoding, key_kind::KeyKind},
        native::NativeFault,
    },
    problem::{Advice, Problem},
    secret::string::StringProblem,
};

/// A file that contained a PEM or JWK before, and now contains something that could be any secret.
///
/// Without this rule, a PEM file that was truncated to its first bytes could become an HMAC secret at a rotation.
pub(crate) fn changed_form() -> Error {
    let problem = Problem::new("key", "found neither a PEM nor a JWK").expecting("one, as the file held before");
    error(problem.advise(Advice::text("is it half written?")))
}

/// A key without a public half, for a JWT that needs the public key.
pub(crate) fn no_public_key(algorithm: Algorithm) -> Error {
    let problem = Problem::new("key", format!("found a shared secret, which {algorithm} signs with"));
    error(
        problem
            .expecting("a private key, because a secret has neither a public half nor a certificate")
            .advise(Advice::text("use another algorithm")),
    )
}

/// A remote signer that does not provide its public key.
pub(crate) fn unknown_public_key() -> Error {
    let problem = Problem::new("key", "found a remote signer that does not provide its public key");
    error(problem.expecting("the public key").advise(Advice::text("implement `Signer::public_key`")))
}

/// A remote signer whose public key is not `SubjectPublicKeyInfo`.
pub(crate) fn no_public_key_info(bytes: usize) -> Error {
    let problem = Problem::new("key", format!("found {bytes} bytes as the public key of the remote signer"));
    error(
        problem
            .expecting("`SubjectPublicKeyInfo` in DER (RFC 5280 section 4.1.2.7)")
            .advise(Advice::text("decode the PEM in `Signer::public_key`")),
    )
}

/// A key in another encoding than the named one.
pub(crate) fn encoding(encoding: Encoding) -> Error {
    let name = encoding.name();
    let problem = Problem::new("encoding", format!("found a key that is not {name}")).expecting(name);
    error(problem.advise(Advice::set_to("KeyReader::encoding", "text")))
}

/// A key that fits several algorithms, and none was set.
pub(crate) fn no_algorithm() -> Error {
    let expected = "the algorithm that the key signs with, because only a JWK can name its own";
    error(Problem::new("algorithm", "found nothing").expecting(expected).advise(Advice::set("KeyReader::algorithm")))
}

/// A passphrase beside a key that has no encryption. It is an error, because the user believes that the key is
/// encrypted.
pub(crate) fn superfluous_passphrase(found: &str) -> Error {
    let problem =
        Problem::new("passphrase", format!("found one for {found}, which is not encrypted")).expecting("none");
    error(problem.advise(Advice::remove("KeyReader::passphrase")))
}

/// A PEM for an algorithm with a shared secret, from a constructor that only takes a PEM.
pub(crate) fn pem_constructor_for_hmac(algorithm: Algorithm) -> Error {
    let problem = Problem::new("algorithm", format!("{algorithm} signs with a shared secret, not with a PEM"));
    error(problem.advise(Advice::set("SigningKey::hmac")).advise(Advice::text("choose the algorithm of the key")))
}

/// A PEM as an HMAC secret. A public key as the secret is a classic attack on JWTs. A private key would leak with the
/// first guess.
pub(crate) fn pem_for_hmac(algorithm: Algorithm) -> Error {
    let problem = Problem::new("key", format!("found a PEM (-----BEGIN ...); {algorithm} needs a shared secret"));
    let advice = "to sign with a private key, choose the algorithm that it was made for";
    error(problem.advise(Advice::text(advice)))
}

/// A JWK where a bare secret was expected. Its JSON must not become the secret.
pub(crate) fn jwk_for_hmac(algorithm: Algorithm) -> Error {
    let problem = Problem::new("key", format!("found a JWK; {algorithm} needs a shared secret here"));
    error(problem.advise(Advice::set("SigningKey::from_jwk")))
}

/// A string that is not a shared secret as it was given: it has surplus characters, or is a path.
///
/// Surplus characters are not trimmed away silently: if they are part of the secret, trimming would break it, and the
/// error would not show why.
pub(crate) fn secret(algorithm: Algorithm, fault: StringProblem) -> Error {
    let verbatim = || Advice::set_to("KeyReader::encoding", "binary");
    let problem = match fault {
        StringProblem::Empty => return native(algorithm, NativeFault::EmptySecret),
        StringProblem::Path => Problem::new("key", "found what looks like the path of a file")
            .expecting(format!("the shared secret of {algorithm}"))
            .advise(Advice::set("SigningKey::from_file")),
        StringProblem::Quotes => Problem::new("key", "found quotes around the secret")
            .expecting("the secret alone")
            .advise(Advice::text("remove them")),
        StringProblem::Placeholder => Problem::new("key", "found a placeholder in angle brackets")
            .expecting("the secret itself")
            .advise(Advice::text("put it in the placeholder's place")),
        StringProblem::Space => {
            Problem::new("key", "found a space or an invisible character at the start or end of the secret")
                .advise(Advice::text("remove it"))
        }
        StringProblem::Newline => Problem::new("key", "found a newline inside the secret, or more than one at its end")
            .advise(Advice::text("remove it")),
        StringProblem::EscapedNewline => {
            Problem::new("key", "found `\\n` at the start or end of the secret, as two characters")
                .advise(Advice::text("remove it"))
        }
        StringProblem::Control => Problem::new("key", "found a control character in the secret, such as a zero byte")
            .advise(Advice::text("remove it")),
        StringProblem::Utf16 => Problem::new("key", "found UTF-16").advise(Advice::text("save it as UTF-8")),
        StringProblem::NotUtf8 => Problem::new("key", "found bytes that are not UTF-8"),
    };
    error(problem.advise(Advice::text("if all of it is the secret, say so")).advise(verbatim()))
}

/// A path where a private key belongs.
pub(crate) fn path(expected: Expected) -> Error {
    let problem = expected.problem("found what looks like the path of a file");
    error(problem.advise(Advice::set("SigningKey::from_file")))
}

/// Why a key does not sign with the algorithm.
///
/// A mismatch names the algorithm that fits the key: in most cases the configuration has the wrong one, and the key is
/// right.
pub(crate) fn native(algorithm: Algorithm, fault: NativeFault) -> Error {
    let needed = needed(algorithm);
    let problem = |found: String| Problem::new("key", found);
    match fault {
        NativeFault::NotAKey => error(
            problem("found a PEM block that does not contain a private key".to_owned())
                .expecting(needed)
                .advise(Advice::text("is the file damaged?")),
        ),
        NativeFault::Mismatch(kind) => {
            let problem = problem(format!("found {kind}; {algorithm} needs {needed}"));
            error(match algorithm_for(kind) {
                Some(other) => problem
                    .advise(Advice::set_to("KeyReader::algorithm", other.name()))
                    .advise(Advice::text("use another key")),
                None => problem.advise(Advice::text("use another key")),
            })
        }
        NativeFault::SecretForKey => error(
            problem(format!("found a secret; {algorithm} signs with a private key"))
                .advise(Advice::text("give a private key"))
                .advise(Advice::text("choose HS256, HS384 or HS512")),
        ),
        NativeFault::RsaSize(bits) => {
            let limit = if bits < *RSA_BITS.start() {
                format!("at least {} (RFC 7518 section 3.3)", RSA_BITS.start())
            } else {
                format!("at most {}", RSA_BITS.end())
            };
            let problem = problem(format!("found an RSA key of {bits} bits; {algorithm} needs {limit}"));
            error(problem.advise(Advice::text("make a new key")))
        }
        NativeFault::Inconsistent(kind, rejected) => {
            let found = format!("found {kind} whose components do not match");
            let error = error(problem(found).advise(Advice::text("is it damaged?")));
            rejected.into_iter().fold(error, Error::with_source)
        }
        NativeFault::EmptySecret => error(problem("found an empty secret".to_owned()).expecting(needed)),
        NativeFault::ShortSecret { found, needed } => error(
            problem(format!(
                "found a secret of {found} bytes; {algorithm} needs at least {needed} (RFC 7518 section 3.2)"
            ))
            .advise(Advice::text("use a longer one"))
            .advise(Advice::turn_on("KeyReader::allow_short_secret")),
        ),
        NativeFault::WithoutMlDsa => {
            let problem = problem("found an ML-DSA key, which this program cannot use".to_owned());
            error(problem.advise(Advice::Feature("ml-dsa")))
        }
        NativeFault::SeedLength(length) => error(
            problem(format!("found {length} bytes"))
                .expecting("the bare bytes of an Ed25519 key, which are 32 (the seed) or 64 (seed and public half)"),
        ),
    }
}

/// The key that an algorithm signs with.
fn needed(algorithm: Algorithm) -> String {
    match algorithm.family() {
        Family::Hmac(_) => "a shared secret".to_owned(),
        Family::Rsa(..) => "an RSA key".to_owned(),
        Family::Ecdsa(curve) => KeyKind::Ec(curve).to_string(),
        Family::Ed25519 => KeyKind::Ed25519.to_string(),
        Family::MlDsa(set) => KeyKind::MlDsa(set).to_string(),
    }
}

/// The algorithm that signs with keys of this kind; for RSA the most common one.
fn algorithm_for(kind: KeyKind) -> Option<Algorithm> {
    match kind {
        KeyKind::Rsa { .. } => Some(Algorithm::RS256),
        KeyKind::Ec(curve) => Some(curve.facts().algorithm),
        KeyKind::Ed25519 => Some(Algorithm::EdDSA),
        KeyKind::MlDsa(set) => Some(set.facts().algorithm),
        KeyKind::UnnamedCurve | KeyKind::Other(_) => None,
    }
}
