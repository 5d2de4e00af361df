//! The fields of a configuration, as serde reads them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use super::{secret::SecretField, table};
use crate::provider::policy::Backoff;

/// The configuration of a provider of bearer tokens.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct Fields {
    /// Where the schema of this file is: for editors.
    #[serde(rename = "$schema")]
    pub(super) schema: Option<String>,
    /// The origins that tokens may be sent to, such as `https://api.example.com`.
    pub(super) allow_origins: Vec<String>,
    /// The same for `http` origins in networks that you trust with your tokens.
    pub(super) allow_plaintext_origins: Vec<String>,
    /// Send tokens anywhere under https: a redirect takes them along wherever it leads.
    pub(super) allow_any_https_origin: bool,
    /// Refuse requests to other origins, instead of sending them without a token.
    pub(super) refuse_other_origins: bool,
    /// The origin that is behind requests without one, as those of gRPC channels.
    pub(super) connection_origin: Option<String>,
    /// A token as it is. One in a file is read again.
    pub(super) token: Option<SecretField>,
    /// A JWT to sign: the token itself or, with `token_endpoint`, what is exchanged for one.
    #[serde(deserialize_with = "table::optional")]
    pub(super) jwt: Option<JwtFields>,
    /// A refresh token to exchange at the `token_endpoint`.
    #[serde(deserialize_with = "table::optional")]
    pub(super) refresh_token: Option<RefreshFields>,
    /// Where tokens are had from an authorization server.
    #[serde(deserialize_with = "table::optional")]
    pub(super) token_endpoint: Option<EndpointFields>,
    /// The numbers behind caching, refreshing and backing off.
    #[serde(deserialize_with = "table::required")]
    pub(super) policy: PolicyFields,
}

/// A JWT that is signed here.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct JwtFields {
    /// How it is signed. May be left out if the key is a JWK that says it.
    #[cfg_attr(test, schemars(with = "Option<super::schema_tests::AlgorithmName>"))]
    pub(super) algorithm: Option<String>,
    /// The private key as PEM, JWK or JWK set, or the HMAC secret. One in a file is read again.
    pub(super) key: Option<SecretField>,
    /// The name of the key: which one of a JWK set it is, and the `kid` in the header. A JWK brings its own.
    pub(super) kid: Option<String>,
    /// What the PEM is encrypted with.
    pub(super) passphrase: Option<SecretField>,
    /// Accept an HMAC secret that is shorter than RFC 7518 section 3.2 asks for.
    pub(super) allow_short_secret: bool,
    /// The claim `iss`, often the client's id.
    pub(super) issuer: Option<String>,
    /// The claim `sub`: whom the token shall stand for.
    pub(super) subject: Option<String>,
    /// The claim `aud`, byte for byte what the server wants.
    pub(super) audience: Option<OneOrMany>,
    /// `exp` is `iat` plus this. Default: 60 for an assertion, 3600 for a self-signed JWT.
    pub(super) expiry_seconds: Option<Seconds>,
    /// How far `iat` lies back, against clocks that run late. Default: 10.
    pub(super) backdate_seconds: Option<Seconds>,
    /// Whether there is an `iat`. Default: true.
    pub(super) issued_at: Option<bool>,
    /// Whether there is an `exp`. Default: true.
    pub(super) expiration_time: Option<bool>,
    /// Whether there is a `jti`, a new one for each JWT. Default: true.
    pub(super) jwt_id: Option<bool>,
    /// Whether there is an `nbf`. Default: false.
    pub(super) not_before: Option<bool>,
    /// Further members of the JOSE header.
    pub(super) headers: Map<String, Value>,
    /// Further claims.
    pub(super) claims: Map<String, Value>,
}

/// A refresh token (RFC 6749 section 6).
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct RefreshFields {
    /// Where the refresh token is kept, which the server replaces: a file in a directory that this process may write to.
    pub(super) file: Option<PathBuf>,
    /// The refresh token to begin with, and to go on with when the one in the file is gone.
    pub(super) initial: Option<SecretField>,
    /// The server takes the same one again: then `file` may be left out.
    pub(super) reusable: bool,
    /// Keep the refresh token before the last one, and try it when the last one is refused before it was ever taken.
    pub(super) retry_previous: bool,
}

/// The token endpoint of an authorization server (RFC 6749 section 3.2).
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct EndpointFields {
    /// Where token requests go.
    pub(super) url: Option<String>,
    /// Another grant type than the usual one.
    pub(super) grant_type: Option<String>,
    /// The scope to ask for, its words separated by blanks.
    pub(super) scope: Option<String>,
    /// Further form parameters, such as `audience` or `resource`.
    pub(super) parameters: BTreeMap<String, SecretField>,
    /// Further headers of the token request.
    pub(super) headers: BTreeMap<String, SecretField>,
    /// Words other than `Bearer` by which this server means it.
    pub(super) accept_token_types: Vec<String>,
    /// Fields of the response to keep, such as `instance_url`.
    pub(super) keep: Vec<String>,
    /// How far the clock may be from the server's for refused assertions to be signed again by the latter; 0 for never.
    /// Default: 3600.
    pub(super) max_clock_offset_seconds: Option<Seconds>,
    /// Send token requests over `http`, in networks that you trust with your secrets.
    pub(super) allow_plaintext: bool,
    /// Who asks, and how that is proven.
    #[serde(deserialize_with = "table::optional")]
    pub(super) client: Option<ClientFields>,
}

/// The client, as the authorization server knows it (RFC 6749 section 2.3).
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClientFields {
    /// How the client proves who it is. Left out, it follows from what is given.
    pub(super) method: Option<ClientMethod>,
    /// The client's id.
    pub(super) id: Option<String>,
    /// The client's secret. One in a file is read again.
    pub(super) secret: Option<SecretField>,
    /// The file with an assertion that somebody else keeps fresh, as for workload identities. It is read again for each
    /// request.
    pub(super) assertion_file: Option<PathBuf>,
    /// The private key that signs assertions, as PEM, JWK or JWK set. One in a file is read again.
    pub(super) key: Option<SecretField>,
    /// The name of the key: which one of a JWK set it is, and the `kid` in the header. A JWK brings its own.
    pub(super) kid: Option<String>,
    /// What the PEM is encrypted with.
    pub(super) passphrase: Option<SecretField>,
    /// How assertions are signed. May be left out if the key is a JWK that says it; HS256 with a secret.
    #[cfg_attr(test, schemars(with = "Option<super::schema_tests::AlgorithmName>"))]
    pub(super) algorithm: Option<String>,
    /// Accept a secret that is shorter than RFC 7518 section 3.2 asks for, where it signs.
    pub(super) allow_short_secret: bool,
    /// The `aud` of assertions. Default: the token endpoint's URL without its query.
    pub(super) audience: Option<String>,
    /// The `exp` of an assertion is its `iat` plus this. Default: 60.
    pub(super) expiry_seconds: Option<Seconds>,
    /// Further members of the JOSE header of assertions.
    pub(super) headers: Map<String, Value>,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum ClientMethod {
    /// Not at all, and it has no id either.
    None,
    /// Not at all: it sends its id.
    Public,
    /// HTTP Basic, encoded as RFC 6749 section 2.3.1 says.
    Basic,
    /// HTTP Basic with id and secret as they are.
    BasicRaw,
    /// Id and secret in the body.
    Post,
    /// An assertion that is signed with the secret.
    ClientSecretJwt,
    /// An assertion that is signed with a private key (RFC 7523 section 2.2).
    PrivateKeyJwt,
    /// An assertion that somebody else signs, and keeps in a file.
    Assertion,
}

/// Times in seconds.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct PolicyFields {
    /// A token is never sent in its last so many seconds, or its last tenth if that is less. Default: 10.
    pub(super) reserve_seconds: Option<Seconds>,
    /// A token is refreshed in the background so long before it expires, or a fifth of its lifetime if that is less. Default: 900.
    pub(super) refresh_ahead_seconds: Option<Seconds>,
    /// Whether each token is refreshed still earlier by a draw of its own, so that fleets spread out. Default: true.
    pub(super) jitter: Option<bool>,
    /// How long a fetch may take that callers wait for. Default: 10.
    pub(super) fetch_timeout_seconds: Option<Seconds>,
    /// How long a refresh in the background may take. Default: 10.
    pub(super) refresh_timeout_seconds: Option<Seconds>,
    /// The cool-down after failures that may pass by themselves. Default: 1 to 60 s.
    #[serde(deserialize_with = "table::optional")]
    pub(super) transient_backoff: Option<BackoffFields>,
    /// The cool-down after failures that need a change of key, permission or configuration. Default: 5 s to 5 min.
    #[serde(deserialize_with = "table::optional")]
    pub(super) terminal_backoff: Option<BackoffFields>,
    /// The least time between renewals that the API forces by rejecting tokens. Default: 5 s to 5 min.
    #[serde(deserialize_with = "table::optional")]
    pub(super) rejection_backoff: Option<BackoffFields>,
    /// The longest `Retry-After` that is believed. Default: 3600.
    pub(super) retry_after_limit_seconds: Option<Seconds>,
    /// The lifetime of tokens whose source does not know it. Default: 300.
    pub(super) default_lifetime_seconds: Option<Seconds>,
    /// The longest lifetime that is believed. Default: 30 days.
    pub(super) max_lifetime_seconds: Option<Seconds>,
}

/// A wait that doubles with each failure in a row.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct BackoffFields {
    /// The wait after one failure.
    first_seconds: Seconds,
    /// The longest wait.
    limit_seconds: Seconds,
}

impl From<BackoffFields> for Backoff {
    fn from(fields: BackoffFields) -> Self {
        Backoff::new(fields.first_seconds.0, fields.limit_seconds.0)
    }
}

/// A time in seconds, with a fraction if need be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let time = Duration::try_from_secs_f64(seconds);
        time.map(Seconds).map_err(|_| D::Error::custom("expected a number of seconds, zero or more"))
    }
}

/// A text, or a list of texts.
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged, expecting = "expected a string, or a list of strings")]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}
