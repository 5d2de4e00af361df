//! A [`TokenProvider`](bearer_token::TokenProvider) from a TOML or JSON file, from environment variables, or from
//! variables over a file.
//!
//! The sections of the configuration decide where tokens come from:
//!
//! | present | tokens come from |
//! |---|---|
//! | `jwt` | a self-signed JWT, used as the bearer token itself |
//! | `jwt` and `token_endpoint` | the token endpoint, in exchange for the JWT (RFC 7523 section 2.1) |
//! | `token_endpoint` | the token endpoint, with client credentials (RFC 6749 section 4.4), or with an `assertion` that is made elsewhere |
//! | `token_exchange` and `token_endpoint` | the token endpoint, in exchange for another token (RFC 8693) |
//! | `refresh_token` and `token_endpoint` | the token endpoint, in exchange for a refresh token (RFC 6749 section 6) |
//! | `token` | you |
//!
//! ```
//! use bearer_token_config::ProviderConfig;
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
#![doc = include_str!("../FIELDS.md")]
//!
//! # Values
//!
//! A **value** is a string, or a table that says where the string is found, with exactly one of:
//!
//! | member | the value is |
//! |---|---|
//! | `value` | this string |
//! | `file` | the content of a file, relative to the configuration file |
//! | `env` | an environment variable |
//! | `source` | the token of one of the [`sources`](#sources) |
//! | `variable` | what a [`KeyedConfig`] is given for each request |
//!
//! Further members are applied in this order: `member` is a JSON pointer into what was found (`/private_key`). `part`
//! is `before :` or `after :`, with any separator in place of the colon. `encoding` is `text` (the default), `base64`,
//! `base64url` or `hex`. `prefix` and `suffix` are put around the result. With `fresh = true`, a source is asked for a
//! new token each time, for servers that accept each token once.
//!
//! ```toml
//! issuer = { file = "account.json", member = "/client_email" }
//! authorization = { source = "app", prefix = "Bearer " }
//! ```
//!
//! A **secret** is a value as well. One trailing newline and a byte order mark are not part of it. A string that looks
//! like the path of a file is a problem; `{ value = ".." }` takes it as the secret.
//!
//! Values are read again for each token request, keys before each JWT is signed, and tokens when they expire. Replacing
//! one needs no restart. These are read once: `url`, `scope`, passphrases, the client's `id`, and its secret if that is
//! in the environment.
//!
//! In `token_endpoint.parameters`, a table is a value if all its names are those of a value and one of them says where
//! it is. Any other table is an object of a JSON body.
//!
//! # Sources
//!
//! `[sources.NAME]` is a source of its own, with the fields that the configuration has for its tokens, and with its own
//! cache. It gets one token for each lifetime, however many values use it. Problems and errors name it.
//!
//! ```
//! # #[cfg(feature = "http-transport")]
//! # fn main() -> Result<(), bearer_token::Error> {
//! # use bearer_token_config::ProviderConfig;
//! # let toml = r#"
//! [sources.app.jwt]
//! algorithm = "HS256"
//! key = "correct horse battery staple, twice"
//! issuer = "app"
//!
//! [token_endpoint]
//! url = "https://api.example.com/app/access_tokens"
//! body = "json"
//! grant_type = ""
//! headers = { authorization = { source = "app", prefix = "Bearer " } }
//! response = { token = "/token", expires_at = "/expires_at" }
//! # "#;
//! # ProviderConfig::from_toml(toml)?.build()?;
//! # Ok(()) }
//! # #[cfg(not(feature = "http-transport"))] fn main() {}
//! ```
//!
//! # Stores that replicas share
//!
//! `[shared]` names a store, in which all replicas of a program find one token. The features are off by default.
//!
//! | feature | URLs |
//! |---|---|
//! | `redis` | `redis://`, `unix:` |
//! | `redis-tls` | also `rediss://` |
//! | `postgres` | `postgres://`, for rotating refresh tokens too |
//! | `postgres-tls` | also `postgres://..?sslmode=require` |
//!
//! For TLS, the process installs a `CryptoProvider` of rustls before it builds the provider.
//!
//! # Computed members
//!
//! `jwt.computed` and `jwt.computed_headers` have strings with placeholders, or lists of them. `{{` stands for one
//! brace. A string that consists of one time becomes a number.
//!
//! | placeholder | |
//! |---|---|
//! | `{now}`, `{expiry}` | the times of `iat` and `exp` in seconds; in milliseconds with `:ms` |
//! | `{uuid}`, `{random:hex16}` | a new UUID; 16 random bytes in hex |
//! | `{key.sha256:base64}` | the SHA-256 of the public key (SPKI in DER); also `:base64url` and `:hex` |
//! | `{certificate.sha1:base64url}`, `{certificate.sha256:base64url}` | the fingerprint of the certificate; also `:hex` |
//! | `{request.method}`, `.scheme`, `.host`, `.path`, `.url` | facts about the request to the API, for a [`KeyedConfig`]; the URL has no query |
//!
//! # Strings
//!
//! Strings are one line: a newline or a control character in one is a problem.
//!
//! The [JSON schema] knows all fields. Editors complete and check by it if TOML begins with a line such as
//! `#:schema config.schema.json`, or JSON has a field `$schema`.
//!
//! [JSON schema]: https://github.com/bearer-token/bearer-token/blob/main/docs/config.schema.json
//!
//! # Environment
//!
//! Environment variables can set all fields, alone ([`ProviderConfig::from_env`]) or over a file
//! ([`ProviderConfig::override_with_env`]). The name of a variable is a prefix of your choice and the field's path in
//! capitals, with `__` in place of each dot:
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
//! - If the field takes a string, the value is that string, as it is. Otherwise it is TOML: `true`, `2.5`,
//!   `["a", "b"]`, `{ first_seconds = 2 }`. A list may also be written with commas. Where a field takes a string or a
//!   list, such as `jwt.audience`, the value is a list if it looks like `["a", "b"]`.
//! - A name with a small letter is taken as it is, for members whose names are yours: `.._JWT__CLAIMS__tenantId`. If no
//!   variable can have the name, or the member is not a string, give the whole table:
//!   `.._JWT__CLAIMS='{ "https://example.com/tenant" = 7 }'`.
//! - A variable with the prefix that matches no field is a problem, and so are two variables that set the same field.
//!   The path of a problem is the name of its variable. Kubernetes sets variables for each service that a pod can see.
//!   A service called `bearer-token` sets `BEARER_TOKEN_SERVICE_HOST`. Set `enableServiceLinks: false` for the pod, or
//!   use a prefix that is not the name of a service.
//! - Over a file, a variable replaces the field, or the whole table if it sets the table. A value is replaced as a
//!   whole. Relative paths start at the directory of the file, or without a file at the working directory.
//! - No other variables are read, except those that a value names with `env`.
//!
//! # Problems
//!
//! [`build`](ProviderConfig::build) reports everything that is wrong at once, in
//! [`Error::problems`](bearer_token::Error::problems). The path of each [problem](bearer_token::Problem) is a field or
//! a variable. There are two other paths: `configuration` for the whole of a file, and `environment` for all variables
//! together.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod build;
mod dry_run;
mod field_tree;
mod fit;
mod format;
mod given;
mod json;
mod kept;
mod keyed;
mod misfit;
mod names;
mod nearest;
mod placeholders;
mod provider_config;
mod report;
mod sections;
mod several;
mod store;
mod suggest;
mod transcript;
mod values;
mod variables;

pub use self::{
    dry_run::DryRun,
    keyed::{KeyedConfig, Variables},
    provider_config::ProviderConfig,
    transcript::Transcript,
};

#[cfg(test)]
mod path_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod words_tests;
