//! A string that is looked up each time it is needed.
//!
//! Configurations are read once, but the secrets in them change while the process runs: a mounted secret is rewritten,
//! a sidecar renews a token. So builders take a [`Value`] wherever other libraries take a string, and look it up again
//! for each token request.
//!
//! ```text
//!  from where                   what is done with it, in this order               to where
//!  literal   From<&str>       ┐
//!  file      Value::file      │  member -> before/after -> encoding -> prefix,    a parameter, a header,
//!  variable  Value::env       │  (JSON)    (split)         (decode)   suffix      a claim, a secret, a key
//!  provider  Value::token_of  ┘
//! ```
//!
//! Three readers finish a value, and they differ in what they tolerate at its ends. They read text of a request, a
//! client secret, and bytes of a key. All of them fail if nothing is left.

use std::{fmt, path::Path, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    files::last_good::LastGood,
    problem::Problem,
    provider::TokenProvider,
    secret::encoding::Encoding,
};

mod fixed_header;
mod member;
mod reading;
mod steps;
#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests;

use self::steps::{Part, Steps};

/// A string or a secret: a literal, or one that is looked up again for each token request.
///
/// It can come from a file, an environment variable, or another provider's token. The steps are always applied in this
/// order: a [member](Self::member) of a JSON document, a [part](Self::before) of the string, its
/// [encoding](Self::encoding), a [prefix](Self::prefix) and a [suffix](Self::suffix).
///
/// ```
/// use bearer_token::{Encoding, StaticToken, TokenProvider, Value};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let literal = Value::from("https://api.example.com/");
/// let from_json = Value::file("account.json").member("/client_email");
/// // A key in two halves: an id, and a secret in hex.
/// let id = Value::env("ADMIN_KEY").before(":");
/// let secret = Value::env("ADMIN_KEY").after(":").encoding(Encoding::Hex);
///
/// let platform_identity = TokenProvider::builder(StaticToken::new("a token")).build()?;
/// let authorization = Value::token_of(platform_identity).prefix("Bearer ");
/// # let _ = (literal, from_json, id, secret, authorization); Ok(()) }
/// ```
///
/// One trailing newline and a leading byte order mark are removed from every string. Other control characters are an
/// error, unless it is used as [bytes](Self::read_bytes). `Debug` shows where a value comes from, but not the value.
///
/// While a file is missing or unusable, its previous value is used. If a variable or a provider's token is missing, the
/// fetch fails.
///
/// # What happens when it cannot be read
///
/// | origin | missing or unusable at `build()` | later |
/// |---|---|---|
/// | literal | a problem | cannot happen |
/// | file | a problem | the last usable content stays in use; an event says so |
/// | variable | a problem | the fetch fails with kind [`Source`](ErrorKind::Source), after a change |
/// | another provider | not asked | the fetch fails with that provider's error, kind and retry advice |
///
/// A file is read on a thread for blocking work. Its new content is checked before it replaces the previous one, so a
/// half-written file changes nothing.
///
/// # Costs
///
/// A literal or a variable costs nothing worth counting. A file costs one read per token request, which means one per
/// token's lifetime. A provider's token costs nothing while it is fresh, because that provider caches it.
#[derive(Clone)]
pub struct Value {
    lookup: Lookup,
    steps: Steps,
}

/// Where a value comes from. Each clone of a value shares the file's last good content and the provider's cache.
#[derive(Clone)]
enum Lookup {
    Literal(Zeroizing<String>),
    File(LastGood<Zeroizing<Vec<u8>>>),
    Variable(Arc<str>),
    Token { provider: TokenProvider, fresh: bool },
}

impl Value {
    fn new(lookup: Lookup) -> Self {
        Value { lookup, steps: Steps::default() }
    }

    /// The content of a file, read again for each request.
    ///
    /// A pipe is read once, and its content is kept for clones of this value. Two values cannot share a pipe, because
    /// each reads it: clone one, or use a file.
    ///
    /// ```
    /// use bearer_token::Value;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = std::env::temp_dir().join(format!("value-file-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir)?;
    /// # let path = dir.join("api-key");
    /// std::fs::write(&path, "first\n")?;
    /// let key = Value::file(&path);
    /// assert_eq!(*key.read_now()?, "first");
    ///
    /// std::fs::write(&path, "second\n")?;
    /// assert_eq!(*key.read_now()?, "second");
    ///
    /// // A file that was emptied or removed is no reason to fail while there is a last good content.
    /// std::fs::remove_file(&path)?;
    /// assert_eq!(*key.read_now()?, "second");
    /// # std::fs::remove_dir_all(&dir)?; Ok(()) }
    /// ```
    pub fn file(path: impl AsRef<Path>) -> Self {
        Value::new(Lookup::File(LastGood::new_or_pipe(path)))
    }

    /// The value of an environment variable.
    ///
    /// It is read anew for each request, but a process rarely changes its own environment: for a secret that is
    /// rotated, prefer a file. A variable that is not set is an error, and so is an empty one.
    pub fn env(name: impl Into<String>) -> Self {
        Value::new(Lookup::Variable(name.into().into()))
    }

    /// The token of another provider, for a chain of token requests. The provider has its own cache, so each stage
    /// makes one request per lifetime.
    ///
    /// Examples are GitHub's installation tokens, which a server issues for an app's JWT, and a CI's identity token
    /// that another server exchanges. The outer fetch waits for the inner one within its own deadline, and an error
    /// names both stages. A circle of providers cannot be built, because each needs its source first.
    ///
    /// ```
    /// use bearer_token::{StaticToken, TokenProvider, Value};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let app_jwt = TokenProvider::builder(StaticToken::new("eyJhbGciOiJSUzI1NiJ9.e30.c2ln")).name("app").build()?;
    /// let authorization = Value::from(app_jwt).prefix("Bearer ");
    /// assert_eq!(format!("{authorization:?}"), "Value(token of \"app\")");
    /// # Ok(()) }
    /// ```
    pub fn token_of(provider: TokenProvider) -> Self {
        Value::new(Lookup::Token { provider, fresh: false })
    }

    /// Asks the other provider for a new token each time, for servers that accept each token only once.
    ///
    /// Changes nothing for values that are not [tokens](Self::token_of).
    ///
    /// Package registries and some token exchanges remember the `jti` of what they have seen. Without this, the first
    /// refresh there would be refused, because the subject token is still fresh and is sent a second time. It costs one
    /// request of the inner stage for each request of the outer one, so leave it off where it is not asked for.
    #[must_use]
    pub fn fresh(mut self) -> Self {
        if let Lookup::Token { fresh, .. } = &mut self.lookup {
            *fresh = true;
        }
        self
    }

    /// Takes a member of the JSON document that was found, by JSON pointer: `/private_key`, `/data/0/token` (RFC 6901).
    ///
    /// The member is a string, or a number whose digits are used. The other members are not decoded, so a file with
    /// several secrets leaves none of them in memory.
    ///
    /// ```
    /// use bearer_token::Value;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let account = r#"{"client_email": "sync@project.example.com", "project": 4711}"#;
    /// let email = Value::from(account).member("/client_email");
    /// assert_eq!(*email.read_now()?, "sync@project.example.com");
    /// let project = Value::from(account).member("/project").prefix("projects/");
    /// assert_eq!(*project.read_now()?, "projects/4711");
    ///
    /// // The error lists the names that are there, and no values.
    /// let error = Value::from(account).member("/email").read_now().unwrap_err();
    /// assert!(error.to_string().contains("it has `/client_email`, `/project`"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn member(mut self, pointer: impl Into<String>) -> Self {
        self.steps.member = Some(pointer.into().into());
        self
    }

    /// Takes the part before the first occurrence of a separator.
    ///
    /// ```
    /// use bearer_token::{Encoding, Value};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// // A key in two halves, as Ghost and Ably hand out: an id, and a secret.
    /// let key = Value::from("6489e3:0a1b2c3d");
    /// assert_eq!(*key.clone().before(":").read_now()?, "6489e3");
    /// assert_eq!(*key.after(":").encoding(Encoding::Hex).read_bytes_now()?, [0x0a, 0x1b, 0x2c, 0x3d]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Reading fails if the separator does not occur. An empty separator is a problem at `build()`.
    #[must_use]
    pub fn before(mut self, separator: impl Into<String>) -> Self {
        self.steps.part = Some((Part::Before, separator.into().into()));
        self
    }

    /// Takes the part after the first occurrence of a separator.
    ///
    /// Replaces an earlier [`before`](Self::before) or `after`: a value has one part. Further separators belong to the
    /// part.
    #[must_use]
    pub fn after(mut self, separator: impl Into<String>) -> Self {
        self.steps.part = Some((Part::After, separator.into().into()));
        self
    }

    /// Sets the encoding in which the value is found. The decoded value is used. Default: [`Text`](Encoding::Text).
    ///
    /// For a value that ends up in a request, the decoded bytes must be UTF-8 without control characters. Keys and
    /// shared secrets are used as bytes.
    ///
    /// ```
    /// use bearer_token::{Encoding, Value};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// assert_eq!(*Value::from("czNjcjN0").encoding(Encoding::Base64).read_now()?, "s3cr3t");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.steps.encoding = encoding;
        self
    }

    /// Puts a string before the value, such as `Bearer `.
    ///
    /// It is added after decoding, and is used as it is: with `prefix("Bearer ")` the space counts. A control character
    /// in it is a problem at `build()`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.steps.prefix = Zeroizing::new(prefix.into());
        self
    }

    /// Puts a string behind the value.
    #[must_use]
    pub fn suffix(mut self, suffix: impl Into<String>) -> Self {
        self.steps.suffix = Zeroizing::new(suffix.into());
        self
    }

    /// The string itself, if it is a literal.
    ///
    /// Before its steps: `identity` and the checks of assertions only need to know that it is one.
    #[allow(dead_code, reason = "used with the features `jwt` and `oauth`")]
    pub(crate) fn literal(&self) -> Option<&str> {
        match &self.lookup {
            Lookup::Literal(text) => Some(text),
            _ => None,
        }
    }

    /// Describes the value: by what it is, wherever it comes from. The token of another provider cannot be described.
    #[cfg(feature = "oauth")]
    pub(crate) fn identity(&self, name: &str, identity: &mut crate::source::Identity) {
        match self.literal() {
            // It is not sent.
            Some("") => identity.text(name, ""),
            _ if self.is_token() => identity.unknown(name),
            _ => {
                let value = self.clone();
                identity.looked_up(name, move |cx| {
                    let value = value.clone();
                    Box::pin(async move { Ok(Zeroizing::new(value.read(&cx).await?.as_bytes().to_vec())) })
                });
            }
        }
    }

    /// Whether it is the token of another provider.
    #[cfg(feature = "oauth")]
    pub(crate) fn is_token(&self) -> bool {
        matches!(self.lookup, Lookup::Token { .. })
    }

    /// The literal, if it is used as it is, apart from a prefix and a suffix.
    #[cfg(feature = "oauth")]
    pub(crate) fn plain(&self) -> Option<&str> {
        self.literal().filter(|_| self.steps.are_plain())
    }

    /// Whether it is decoded from another encoding than text.
    #[cfg(feature = "jwt")]
    pub(crate) fn is_encoded(&self) -> bool {
        self.steps.encoding != Encoding::Text
    }

    /// Whether its file was written since it was read last, or the other provider's source has changed.
    pub(crate) fn has_changed(&self) -> bool {
        match &self.lookup {
            Lookup::File(file) => file.has_changed(),
            Lookup::Token { provider, .. } => crate::source::TokenSource::has_changed(provider),
            Lookup::Literal(_) | Lookup::Variable(_) => false,
        }
    }

    /// The problem with the current value, if there is one that can be found without asking a provider. Blocks.
    #[allow(dead_code, reason = "used with the features `jwt` and `oauth`")]
    pub(crate) fn problem(&self, path: &str) -> Option<Problem> {
        if let Some((found, expected)) = self.steps.problem() {
            return Some(Problem::new(path, found).expecting(expected));
        }
        let error = match &self.lookup {
            Lookup::Token { .. } => return None,
            _ => self.now(Steps::text).err()?,
        };
        Some(Problem::new(path, error.to_string()))
    }

    /// As [`problem`](Self::problem), for an assertion. A literal one is a problem too: each request needs one that is
    /// valid at its time (`L20`).
    #[cfg(feature = "oauth")]
    pub(crate) fn assertion_problem(&self, path: &str) -> Option<Problem> {
        if self.literal().is_none() {
            return self.problem(path);
        }
        let problem = Problem::new(path, "found a literal, which expires");
        Some(problem.expecting("a file, a variable or a provider that gives a new assertion in time"))
    }

    /// The literal, if it is used as it is.
    #[cfg(feature = "jwt")]
    pub(crate) fn fixed(&self) -> Option<&str> {
        self.literal().filter(|_| self.steps.are_none())
    }

    /// A clause about the value, with the place that it comes from.
    ///
    /// For a literal the path of the problem says it all, so no place is added.
    pub(crate) fn clause(&self, problem: impl fmt::Display) -> String {
        match &self.lookup {
            Lookup::Literal(_) => problem.to_string(),
            _ => format!("{}: {problem}", self.place()),
        }
    }

    /// The place of the value, for errors and events.
    pub(crate) fn place(&self) -> String {
        match &self.lookup {
            Lookup::Literal(_) => "the configuration".to_owned(),
            Lookup::File(file) => format!("the file `{}`", file.path().display()),
            Lookup::Variable(name) => format!("the environment variable `{name}`"),
            Lookup::Token { provider, .. } => format!("the token of the provider `{}`", provider.name()),
        }
    }

    /// An error that names where the value comes from.
    fn error(&self, problem: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Source, self.clause(problem)).with_retry(Retry::AfterChange)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::new(Lookup::Literal(Zeroizing::new(text)))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::from(text.to_owned())
    }
}

impl From<TokenProvider> for Value {
    fn from(provider: TokenProvider) -> Self {
        Value::token_of(provider)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.lookup {
            Lookup::Literal(_) => f.write_str("Value([redacted])"),
            Lookup::File(file) => write!(f, "Value(file {:?})", file.path()),
            Lookup::Variable(name) => write!(f, "Value(variable {name:?})"),
            Lookup::Token { provider, .. } => write!(f, "Value(token of {:?})", provider.name()),
        }
    }
}
