//! The fields of a configuration, as serde reads them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use super::secret::SecretField;
use crate::policy::Backoff;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Fields {
    pub(super) allow_origins: Vec<String>,
    pub(super) allow_plaintext_origins: Vec<String>,
    pub(super) allow_any_https_origin: bool,
    pub(super) refuse_other_origins: bool,
    pub(super) connection_origin: Option<String>,
    pub(super) token: Option<SecretField>,
    pub(super) jwt: Option<JwtFields>,
    pub(super) refresh_token: Option<RefreshFields>,
    pub(super) token_endpoint: Option<EndpointFields>,
    pub(super) policy: PolicyFields,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct JwtFields {
    pub(super) algorithm: Option<String>,
    pub(super) key: Option<SecretField>,
    pub(super) kid: Option<String>,
    pub(super) passphrase: Option<SecretField>,
    pub(super) allow_short_secret: bool,
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) audience: Option<OneOrMany>,
    pub(super) expiry_seconds: Option<Seconds>,
    pub(super) backdate_seconds: Option<Seconds>,
    pub(super) issued_at: Option<bool>,
    pub(super) expiration_time: Option<bool>,
    pub(super) jwt_id: Option<bool>,
    pub(super) not_before: Option<bool>,
    pub(super) headers: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RefreshFields {
    pub(super) file: Option<PathBuf>,
    pub(super) initial: Option<SecretField>,
    pub(super) reusable: bool,
    pub(super) retry_previous: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EndpointFields {
    pub(super) url: Option<String>,
    pub(super) grant_type: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) parameters: BTreeMap<String, SecretField>,
    pub(super) headers: BTreeMap<String, SecretField>,
    pub(super) accept_token_types: Vec<String>,
    pub(super) keep: Vec<String>,
    pub(super) allow_plaintext: bool,
    pub(super) client: Option<ClientFields>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClientFields {
    pub(super) method: Option<ClientMethod>,
    pub(super) id: Option<String>,
    pub(super) secret: Option<SecretField>,
    pub(super) key: Option<SecretField>,
    pub(super) kid: Option<String>,
    pub(super) passphrase: Option<SecretField>,
    pub(super) algorithm: Option<String>,
    pub(super) allow_short_secret: bool,
    pub(super) audience: Option<String>,
    pub(super) expiry_seconds: Option<Seconds>,
    pub(super) headers: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ClientMethod {
    None,
    Public,
    Basic,
    BasicRaw,
    Post,
    ClientSecretJwt,
    PrivateKeyJwt,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PolicyFields {
    pub(super) reserve_seconds: Option<Seconds>,
    pub(super) refresh_ahead_seconds: Option<Seconds>,
    pub(super) jitter: Option<bool>,
    pub(super) fetch_timeout_seconds: Option<Seconds>,
    pub(super) refresh_timeout_seconds: Option<Seconds>,
    pub(super) transient_backoff: Option<BackoffFields>,
    pub(super) terminal_backoff: Option<BackoffFields>,
    pub(super) rejection_backoff: Option<BackoffFields>,
    pub(super) retry_after_limit_seconds: Option<Seconds>,
    pub(super) default_lifetime_seconds: Option<Seconds>,
    pub(super) max_lifetime_seconds: Option<Seconds>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackoffFields {
    first_seconds: Seconds,
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
#[serde(untagged, expecting = "expected a string, or a list of strings")]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}
