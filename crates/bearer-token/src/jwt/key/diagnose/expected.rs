//! What was expected, in the words of every sentence about a key.
//!
//! The clause depends on which constructor was called: one that reads PEM only should not advise a JWK.

use std::borrow::Cow;

use crate::{
    error::Error,
    jwt::algorithm::Algorithm,
    problem::{Advice, Problem},
};

/// The command that turns any encrypted or plain private key into one that can be read.
pub(super) const REWRITE: &str =
    "`openssl pkcs8 -topk8 -v2 aes-256-cbc -provider legacy -provider default -in KEY.pem -out NEW.pem`";

/// What the reader of a key expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Pem,
    Jwk,
    /// Any format that the algorithm can sign with; a shared secret too, if it is an HMAC.
    Key(Option<Algorithm>),
}

impl Expected {
    /// What was expected, as a clause. With an HMAC algorithm nearly anything is a secret, so there the sentence names
    /// the algorithm instead of a format.
    fn clause(self) -> String {
        match self {
            Expected::Pem => "a private key as PEM: PRIVATE KEY (PKCS#8), RSA PRIVATE KEY (PKCS#1) or EC PRIVATE KEY \
                              (SEC1)"
                .to_owned(),
            Expected::Jwk => "a JWK, {\"kty\": ...}, or a JWK set, {\"keys\": [...]}".to_owned(),
            Expected::Key(Some(algorithm)) if algorithm.is_hmac() => format!("the shared secret of {algorithm}"),
            Expected::Key(_) => "a private key as PEM or JWK".to_owned(),
        }
    }

    pub(super) fn problem(self, found: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new("key", found).expecting(self.clause())
    }

    /// Whether content of any form could be meant as the key.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Expected::Key(Some(algorithm)) if algorithm.is_hmac())
    }
}

/// The error about a key that is not there at all.
pub(crate) fn missing(problem: Problem, algorithm: Option<Algorithm>) -> Error {
    let key = Expected::Key(algorithm).clause();
    if problem.expected().is_some() {
        return error(problem.advise(Advice::text(format!("put {key} there"))));
    }
    let problem = problem.expecting(key);
    error(problem.advise(Advice::text("correct where it is")).advise(Advice::text("put it there")))
}

/// The error about one problem.
pub(crate) fn error(problem: Problem) -> Error {
    Error::config("the key cannot be loaded", [problem])
}
