//! Sentences about JWKs.
//!
//! Each sentence names the section of the specification only where a reader would look it up. Key ids are listed,
//! because choosing one is the usual fix.

use super::{
    expected::{Expected, error},
    files,
};
use crate::{
    error::Error,
    jwt::{
        algorithm::{Algorithm, Curve, ParameterSet},
        formats::{
            jwk::{JwkFault, KeyId},
            jwk_key::{JwkKeyFault, JwkKind, Word},
            key_kind::KeyKind,
        },
    },
    problem::{Advice, Problem},
};

/// More key ids than this are not listed.
const LISTED: usize = 20;

/// A document without a JWK, or without the one that was asked for.
pub(crate) fn jwk(fault: &JwkFault, content: &[u8], expected: Expected) -> Error {
    let problem = |found: String| Problem::new("key", found);
    error(match fault {
        JwkFault::Json { .. } | JwkFault::NotAJwk => return files::content(content, expected),
        JwkFault::OtherKeyId { own, wanted } => {
            let problem = Problem::new("key", format!("found a JWK with `kid` {own}")).expecting(wanted.to_string());
            problem.advise(Advice::set("KeyReader::key_id")).advise(Advice::text("use another key"))
        }
        JwkFault::EmptySet => problem("found an empty JWK set".to_owned())
            .expecting("a private key in it")
            .advise(Advice::text("export it again, with its private keys")),
        JwkFault::Several { keys, ids } => problem(format!("found a JWK set of {keys} keys, {}", listed(ids)))
            .expecting("to be told the `kid` of the one to sign with")
            .advise(Advice::set("KeyReader::key_id")),
        JwkFault::NotInSet { ids, wanted } => {
            let problem = Problem::new("key", format!("found a JWK set with {}", listed(ids)));
            let problem = problem.expecting(format!("a key with `kid` {wanted}"));
            problem.advise(Advice::set("KeyReader::key_id"))
        }
        JwkFault::SameKeyId { keys, wanted } => {
            problem(format!("found {keys} keys with `kid` {wanted} in the JWK set"))
                .expecting("one")
                .advise(Advice::text("remove the others"))
        }
    })
}

/// The ids of a set, up to a limit.
fn listed(ids: &[KeyId]) -> String {
    let names: Vec<_> = ids.iter().take(LISTED).map(ToString::to_string).collect();
    match (names.is_empty(), ids.len().saturating_sub(LISTED)) {
        (true, _) => "no `kid` among them".to_owned(),
        (false, 0) => format!("`kid` {}", names.join(", ")),
        (false, more) => format!("`kid` {} and {more} more", names.join(", ")),
    }
}

/// A JWK that does not sign.
///
/// One arm for each fault, without a default: a new fault must get a sentence.
pub(crate) fn jwk_key(fault: &JwkKeyFault) -> Error {
    const KEY_TYPES: &str = "\"RSA\", \"EC\", \"OKP\", \"AKP\" or \"oct\"";
    let problem = |found: String| Problem::new("key", found);
    error(match fault {
        JwkKeyFault::NoKeyType => problem("found a JWK without `kty`".to_owned()).expecting(KEY_TYPES),
        JwkKeyFault::KeyType(word) => problem(format!("found a JWK with `kty` {}", quoted(*word))).expecting(KEY_TYPES),
        JwkKeyFault::EcCurve(curve) => {
            problem(format!("found an EC JWK with {}", curve_clause(*curve))).expecting(curves())
        }
        JwkKeyFault::OkpCurve(curve) => {
            problem(format!("found an OKP JWK with {}", curve_clause(*curve))).expecting("Ed25519")
        }
        JwkKeyFault::AkpAlgorithm { is_there } => {
            let what = if *is_there { "another `alg`" } else { "no `alg`" };
            let sets = ParameterSet::ALL.map(|set| set.facts().algorithm.name());
            problem(format!("found a JWK with `kty` \"AKP\" and {what}"))
                .expecting(format!("{} (RFC 9964 section 3)", one_of(&sets)))
        }
        JwkKeyFault::Use(word) => problem(format!("found a JWK with `use` {}", quoted(*word)))
            .expecting("\"sig\"")
            .advise(Advice::text("use the key that is for signing")),
        JwkKeyFault::Operations(words) => {
            let words: Vec<_> = words.iter().map(|word| quoted(*word)).collect();
            problem(format!("found a JWK with `key_ops` [{}]", words.join(", ")))
                .expecting("\"sign\" among them")
                .advise(Advice::text("is it the public half?"))
        }
        JwkKeyFault::UnknownAlgorithm(error) => problem(format!("`alg` of the JWK: {error}")),
        JwkKeyFault::OtherAlgorithm { own, wanted } => problem(format!("found a JWK with `alg` {own}"))
            .expecting(wanted.name())
            .advise(Advice::set_to("KeyReader::algorithm", own.name()))
            .advise(Advice::text("use another key")),
        JwkKeyFault::NoAlgorithm(kind) => {
            let found = format!("found {} without `alg`, which fits {}", name(*kind), algorithms_of(*kind));
            let problem = Problem::new("algorithm", found).expecting("the name of the one to sign with");
            problem.advise(Advice::set("KeyReader::algorithm"))
        }
        JwkKeyFault::PublicHalf(kind) => {
            problem(format!("found {} but no private member `{}`", name(*kind), kind.private_member()))
                .expecting("a private JWK")
                .advise(Advice::text(files::PUBLIC_HALF))
        }
        JwkKeyFault::MorePrimes => {
            problem("found an RSA JWK with more than two primes (`oth`)".to_owned()).expecting("two")
        }
        JwkKeyFault::MissingNumbers(missing) => {
            let found = match missing.len() {
                5 => "only `n`, `e` and `d`".to_owned(),
                _ => format!("no `{}`", missing.join("`, `")),
            };
            problem(format!("found an RSA JWK with {found}"))
                .expecting("`p`, `q`, `dp`, `dq` and `qi` as well")
                .advise(Advice::text("export the key again, with all of them"))
                .advise(Advice::text("export it as PEM"))
                .advise(Advice::text(
                    "compute them, with `rsa_recover_prime_factors` of Python's `cryptography` for example",
                ))
        }
        JwkKeyFault::MissingMember(name) => {
            problem(format!("found a JWK without a member `{name}`")).expecting("base64url")
        }
        JwkKeyFault::NotAString(name) => {
            problem(format!("found a JWK whose `{name}` is not a string")).expecting("base64url")
        }
        JwkKeyFault::NotBase64(name) => problem(format!("found a JWK whose `{name}` is not base64url"))
            .expecting("base64url")
            .advise(Advice::text("is it damaged?")),
    })
}

fn name(kind: JwkKind) -> String {
    let key = match kind {
        JwkKind::Secret => "a shared secret".to_owned(),
        JwkKind::Rsa => "an RSA key".to_owned(),
        JwkKind::Ec(_) => "an EC key".to_owned(),
        JwkKind::Ed25519 => KeyKind::Ed25519.to_string(),
        JwkKind::MlDsa(set) => KeyKind::MlDsa(set).to_string(),
    };
    format!("a JWK with {key}")
}

/// The algorithms that a JWK without `alg` may be meant for.
fn algorithms_of(kind: JwkKind) -> String {
    let fitting = Algorithm::ALL.iter().filter(|algorithm| kind.fits(**algorithm)).map(|algorithm| algorithm.name());
    fitting.collect::<Vec<_>>().join(", ")
}

/// The names of the curves.
fn curves() -> String {
    one_of(&Curve::ALL.map(|curve| curve.facts().name))
}

/// A list of alternatives: "P-256, P-384 or P-521".
fn one_of(names: &[&str]) -> String {
    let (last, others) = names.split_last().unwrap_or((&"", &[]));
    format!("{} or {last}", others.join(", "))
}

fn curve_clause(curve: Option<Word>) -> String {
    curve.map_or("no `crv`".to_owned(), |curve| format!("`crv` {}", quoted(curve)))
}

/// A word in quotes, or its length.
fn quoted(word: Word) -> String {
    match word {
        Word::Known(word) => format!("{word:?}"),
        Word::Other(length) => format!("of {length} bytes"),
    }
}
