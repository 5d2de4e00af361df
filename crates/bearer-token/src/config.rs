//! A provider from a configuration file.
//!
//! What is configured decides how tokens are had:
//!
//! | present | tokens come from |
//! |---|---|
//! | `jwt` | a self-signed JWT, used as the bearer token itself |
//! | `jwt` and `token_endpoint` | the token endpoint, in exchange for the JWT (RFC 7523 section 2.1) |
//! | `token_endpoint` | the token endpoint, with client credentials (RFC 6749 section 4.4) |
//! | `refresh_token` and `token_endpoint` | the token endpoint, in exchange for a refresh token (RFC 6749 section 6) |
//! | `token` | you |
//!
//! ```
//! use bearer_token::config::ProviderConfig;
//!
//! # #[cfg(feature = "http-transport")]
//! # fn main() -> Result<(), bearer_token::Error> {
//! let provider = ProviderConfig::from_toml(r#"
//!     allow_origins = ["https://api.example.com"]
//!
//!     [token_endpoint]
//!     url = "https://as.example.com/token"
//!     scope = "read write"
//!
//!     [token_endpoint.client]
//!     method = "basic"
//!     id = "reporting"
//!     secret = { value = "correct horse battery staple" }   # or { file = ".." }, or { env = ".." }
//! "#)?
//! .build()?;
//! # Ok(()) }
//! # #[cfg(not(feature = "http-transport"))] fn main() {}
//! ```
//!
//! # Fields
//!
//! | field | meaning |
//! |---|---|
//! | `allow_origins` | the origins that tokens may be sent to, such as `https://api.example.com` |
//! | `allow_plaintext_origins` | the same for `http` origins in networks that you trust with your tokens |
//! | `allow_any_https_origin`, `refuse_other_origins`, `connection_origin` | as the methods of [`TokenProviderBuilder`] |
//! | `token` | a token as it is (a secret); one in a file is [read again](crate::FileToken) |
//! | `jwt.algorithm` | `HS256` to `HS512`, `RS256` to `RS512`, `PS256` to `PS512`, `ES256`, `ES384`, `ES512`, `EdDSA`; may be left out if the key is a JWK that says it |
//! | `jwt.key` | the private key as PEM, JWK or JWK set, or the HMAC secret (a secret); one in a file is [read again](crate::jwt::KeyReader::read_file) |
//! | `jwt.kid` | the name of the key: which one of a JWK set it is, and the `kid` in the header; a JWK brings its own |
//! | `jwt.passphrase` | what the PEM is encrypted with (a secret; needs the feature `encrypted-keys`) |
//! | `jwt.allow_short_secret` | accept an HMAC secret that is shorter than RFC 7518 section 3.2 asks for |
//! | `jwt.issuer`, `jwt.subject` | the claims `iss` and `sub` |
//! | `jwt.audience` | the claim `aud`: a string, or a list of strings |
//! | `jwt.expiry_seconds` | `exp` is `iat` plus this; 60 for an assertion, 3600 for a self-signed JWT |
//! | `jwt.backdate_seconds` | how far `iat` lies back, against clocks that run late; 10 |
//! | `jwt.issued_at`, `jwt.expiration_time`, `jwt.jwt_id`, `jwt.not_before` | whether `iat`, `exp`, `jti` (all true) and `nbf` (false) are there |
//! | `jwt.headers` | further members of the JOSE header, such as `kid` |
//! | `jwt.claims` | further claims |
//! | `refresh_token.file` | where the refresh token is kept, which the server replaces: a file in a directory that this process may write to (relative to the configuration file); see [`FileStore`](crate::store::FileStore) |
//! | `refresh_token.initial` | the refresh token to begin with, and to go on with when the one in the file is gone (a secret) |
//! | `refresh_token.reusable` | the server takes the same one again: then `file` may be left out |
//! | `refresh_token.retry_previous` | as the method of [`RefreshToken`](crate::oauth::RefreshToken::retry_previous) |
//! | `token_endpoint.url` | where token requests go |
//! | `token_endpoint.grant_type` | another grant type than the usual one |
//! | `token_endpoint.scope` | the scope to ask for |
//! | `token_endpoint.parameters` | further form parameters, such as `audience` or `resource` |
//! | `token_endpoint.headers` | further headers of the token request |
//! | `token_endpoint.accept_token_types` | words other than `Bearer` by which this server means it |
//! | `token_endpoint.keep` | members of the answer to keep, such as `instance_url` |
//! | `token_endpoint.max_clock_offset_seconds` | how far the clock may be from the server's for refused assertions to be [signed again](crate::oauth::TokenEndpoint#the-clock) by the latter; 3600, and 0 for never |
//! | `token_endpoint.allow_plaintext` | send token requests over `http`, in networks that you trust with your secrets |
//! | `token_endpoint.client.method` | `none`, `public`, `basic`, `basic_raw`, `post`, `client_secret_jwt`, `private_key_jwt` or `assertion`; left out, it follows from what is given |
//! | `token_endpoint.client.id`, `.secret` | the client's id, and its secret (a secret); one in a file is [read again](crate::oauth::ClientSecret::from_file) |
//! | `token_endpoint.client.assertion_file` | a file with an assertion that somebody else signs and keeps fresh, as for workload identities (relative to the configuration file); [read again](crate::FileToken) for each request |
//! | `token_endpoint.client.key`, `.kid`, `.passphrase`, `.algorithm`, `.headers`, `.expiry_seconds` | for signed assertions, as under `jwt` |
//! | `token_endpoint.client.allow_short_secret` | as under `jwt`, where the secret signs |
//! | `token_endpoint.client.audience` | the assertion's `aud`; the token endpoint's URL without its query if left out |
//! | `policy.*_seconds`, `policy.*_backoff`, `policy.jitter` | as the methods of [`Policy`](crate::Policy); times in seconds, a backoff as `{ first_seconds = 1, limit_seconds = 60 }` |
//! | `$schema` | where the schema of this file is: for editors |
//!
//! A **secret** is a text, or a table with one of `value`, `file` (relative to the configuration file) and `env`, and
//! with `encoding` set to `text`, `base64` or `hex` if need be. A line end at the end of a file is not part of it.
//!
//! Keys, tokens and client secrets in files are read again, before each JWT that is signed, each token request, and
//! whenever a token runs out, so that one that is replaced needs no restart. Other secrets are read once: passphrases,
//! parameters, headers, and what is in the environment.
//!
//! The [JSON schema] knows them all. Editors complete and check by it where TOML begins with a line such as
//! `#:schema config.schema.json`, or JSON has a field `$schema`.
//!
//! [JSON schema]: https://github.com/bearer-token/bearer-token/blob/main/docs/config.schema.json
//!
//! # Environment
//!
//! All fields can be given by environment variables too, alone ([`ProviderConfig::from_env`]) or over a file
//! ([`ProviderConfig::override_with_env`]). A variable is called by a prefix of your choice and the field's name in
//! capitals, with `__` where the field has a dot:
//!
//! ```sh
//! BEARER_TOKEN_ALLOW_ORIGINS=https://api.example.com,https://files.example.com
//! BEARER_TOKEN_TOKEN_ENDPOINT__URL=https://as.example.com/token
//! BEARER_TOKEN_TOKEN_ENDPOINT__CLIENT__ID=reporting
//! BEARER_TOKEN_TOKEN_ENDPOINT__CLIENT__SECRET__FILE=/run/secrets/reporting
//! BEARER_TOKEN_POLICY__FETCH_TIMEOUT_SECONDS=5
//! BEARER_TOKEN_POLICY__TRANSIENT_BACKOFF='{ first_seconds = 2, limit_seconds = 60 }'
//! ```
//!
//! - Where the field takes a text, the value is that text, as it is. Otherwise it is TOML: `true`, `2.5`, `["a", "b"]`,
//!   `{ first_seconds = 2 }`. A list may also be written with commas, and `jwt.audience` is one if it looks like
//!   `["a", "b"]`.
//! - A name with a small letter is taken as it is, for members whose names are yours: `.._JWT__CLAIMS__tenantId`. What
//!   no variable can be called, and members that are no text, are given with their table:
//!   `.._JWT__CLAIMS='{ "https://example.com/tenant" = 7 }'`.
//! - A variable with the prefix that is no field is a problem, and so are two that give the same. The path of a problem
//!   is the name of its variable. Kubernetes makes variables for each service that a pod can see, and one called
//!   `bearer-token` gives `BEARER_TOKEN_SERVICE_HOST`: set `enableServiceLinks: false`, or take a prefix that is no
//!   service's name.
//! - Over a file, a variable replaces the field, or the whole table if that is what it gives; a secret is replaced as a
//!   whole. Relative paths are looked for beside the file, and without one in the working directory.
//! - No other variable is looked at, except those that a secret names with `env`.

use std::{
    env,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::{
    error::{Error, ErrorKind},
    problem::Problems,
    provider::{TokenProvider, TokenProviderBuilder},
    transport::{DynTransport, Transport},
};

mod build;
mod client;
mod fields;
mod from_toml;
mod key;
mod names;
mod refresh_token;
mod secret;
mod shape;
mod table;
mod variables;

use self::variables::Variables;

/// The configuration of a [`TokenProvider`].
///
/// Reading one fails only where it is no TOML or JSON at all. Everything else that is wrong with it - unknown fields,
/// values of a wrong type, keys that do not fit, files that are not there - is reported at once, by
/// [`build`](Self::build), each with the path of its field.
///
/// It deserializes with serde too, as a part of a larger configuration. See the [module docs](self) for the fields.
pub struct ProviderConfig {
    /// As it was read: what does not fit is the business of `build`.
    value: Value,
    /// What could not even be read, and its paths.
    misfits: Problems,
    unread: Vec<String>,
    variables: Variables,
    directory: PathBuf,
    transport: Option<Arc<dyn DynTransport>>,
}

impl ProviderConfig {
    /// Reads a file: TOML, or JSON if its name ends in `.json`. Files that it names are looked for beside it.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](ErrorKind::Config) when the file cannot be read, or is not in its format.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map(zeroize::Zeroizing::new).map_err(|error| {
            Error::new(ErrorKind::Config, format!("the configuration file `{}` cannot be read", path.display()))
                .with_source(error)
        })?;
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let config = if is_json { Self::from_json(&text) } else { Self::from_toml(&text) }?;
        Ok(config.relative_to(path.parent().unwrap_or(Path::new(""))))
    }

    /// Reads TOML.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](ErrorKind::Config) when the text is not TOML.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            // Not the error itself: it quotes the line, which may hold a secret.
            let start = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
            Error::new(ErrorKind::Config, format!("line {line} of the configuration is not TOML: {}", error.message()))
        })?;
        let mut config = Self::from_value(Value::Null);
        config.value = from_toml::read(table, &mut config.misfits, &mut config.unread);
        Ok(config)
    }

    /// Reads JSON.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](ErrorKind::Config) when the text is not JSON.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Error::new(ErrorKind::Config, format!("the configuration is not JSON from line {line}, column {column} on"))
        })?;
        Ok(Self::from_value(value))
    }

    fn from_value(value: Value) -> Self {
        ProviderConfig {
            value,
            misfits: Problems::default(),
            unread: Vec::new(),
            variables: Variables::default(),
            directory: PathBuf::new(),
            transport: None,
        }
    }

    /// Reads the environment variables whose names begin with `prefix`, and nothing else. See the
    /// [module docs](self#environment) for how fields are called there.
    ///
    /// ```no_run
    /// use bearer_token::config::ProviderConfig;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let provider = ProviderConfig::from_env("BEARER_TOKEN_").build()?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn from_env(prefix: &str) -> Self {
        Self::from_variables(prefix, env::vars_os())
    }

    /// The same from variables that you give, as names and values.
    ///
    /// ```
    /// use bearer_token::config::ProviderConfig;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let provider = ProviderConfig::from_variables("BILLING_", [
    ///     ("BILLING_ALLOW_ORIGINS", "https://api.example.com"),
    ///     ("BILLING_JWT__ALGORITHM", "HS256"),
    ///     ("BILLING_JWT__KEY", "correct horse battery staple, twice"),
    ///     ("BILLING_JWT__ISSUER", "billing"),
    ///     ("BILLING_JWT__EXPIRY_SECONDS", "600"),
    ///     ("PATH", "/usr/bin"),
    /// ])
    /// .build()?;
    ///
    /// // Problems have the names of the variables.
    /// let error = ProviderConfig::from_variables("BILLING_", [("BILLING_TOKN", "x")]).build().unwrap_err();
    /// assert_eq!(error.problems()[0].path(), "BILLING_TOKN");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn from_variables<N, V>(prefix: &str, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let mut config = Self::from_value(Value::Object(Map::new()));
        config.variables = Variables::alone(prefix);
        config.override_with_variables(prefix, variables)
    }

    /// Puts the environment variables whose names begin with `prefix` over what was read so far, field by field.
    ///
    /// ```no_run
    /// use bearer_token::config::ProviderConfig;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let provider = ProviderConfig::load("provider.toml")?.override_with_env("BEARER_TOKEN_").build()?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn override_with_env(self, prefix: &str) -> Self {
        self.override_with_variables(prefix, env::vars_os())
    }

    /// The same with variables that you give, as names and values.
    #[must_use]
    pub fn override_with_variables<N, V>(mut self, prefix: &str, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let variables = variables.into_iter().map(|(name, text)| (name.into(), text.into()));
        self.variables.put_into(&mut self.value, prefix, variables);
        self
    }

    /// Looks for the files that it names in this directory, unless their paths are absolute.
    #[must_use]
    pub fn relative_to(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Sends token requests this way.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Builds the provider: reads keys and secrets, and checks everything.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](ErrorKind::Config), with everything that is wrong in [`problems`](Error::problems).
    pub fn build(self) -> Result<TokenProvider, Error> {
        self.builder().build()
    }

    /// The same, one step before the end: to set what a file cannot say, such as the platform. What is wrong with the
    /// configuration is reported when the builder builds.
    pub fn builder(self) -> TokenProviderBuilder {
        build::builder(self)
    }
}

impl<'de> Deserialize<'de> for ProviderConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from_value)
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the fields: a secret may stand in the wrong one.
        f.debug_struct("ProviderConfig").field("directory", &self.directory).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests;
