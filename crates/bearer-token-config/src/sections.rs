//! The sections of a configuration: each has its fields, with their documentation, and what is built from them.

use std::collections::BTreeMap;

#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use self::{
    context::{Context, SetTransport, Sharing, Sources, no_source},
    stand_in::StandIn,
};
use self::{
    jwt::JwtFields, policy::PolicyFields, refresh_token::RefreshFields, send::SendFields, shared::SharedFields,
    sources::SourceFields, token_endpoint::EndpointFields, token_exchange::ExchangeFields,
};
use crate::{
    field_tree::FieldTree,
    values::{SecretField, Text, table},
};

mod client;
mod computed;
mod context;
mod jwt;
mod key;
mod origins;
mod parameters;
mod policy;
mod protected_resource;
mod refresh_token;
mod renewal;
mod response;
mod send;
mod shared;
mod source;
mod sources;
mod stand_in;
mod tls;
mod token;
mod token_endpoint;
mod token_exchange;
mod url;

/// All fields of a configuration.
pub(crate) const FIELDS: FieldTree = FieldTree::of::<Fields>();

/// The configuration of a provider of bearer tokens.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fields {
    /// The schema of this file, for editors.
    #[serde(rename = "$schema")]
    #[allow(dead_code, reason = "for editors")]
    schema: Option<String>,
    /// The provider's name in events, errors and its status. Default: what the source suggests.
    pub(crate) name: Option<Text>,
    /// The origins that tokens may be sent to, such as `https://api.example.com`.
    allow_origins: Vec<Text>,
    /// The `http` origins that tokens may be sent to, in networks that you trust with your tokens.
    allow_plaintext_origins: Vec<Text>,
    /// Allow tokens to be sent to any https origin. A redirect to another host then takes the token along.
    allow_any_https_origin: bool,
    /// Refuse requests to other origins, instead of sending them without a token.
    refuse_other_origins: bool,
    /// The origin of requests whose URI has none, such as those of gRPC channels.
    connection_origin: Option<Text>,
    /// A token that was made elsewhere. One in a file is read again.
    token: Option<SecretField>,
    /// A JWT to sign. It is the token itself or, with `token_endpoint`, exchanged for one.
    #[serde(deserialize_with = "table::optional")]
    jwt: Option<JwtFields>,
    /// A refresh token to exchange at the `token_endpoint`.
    #[serde(deserialize_with = "table::optional")]
    refresh_token: Option<RefreshFields>,
    /// The token endpoint of an authorization server.
    #[serde(deserialize_with = "table::optional")]
    token_endpoint: Option<EndpointFields>,
    /// A token to exchange for another one at the `token_endpoint` (RFC 8693).
    #[serde(deserialize_with = "table::optional")]
    token_exchange: Option<ExchangeFields>,
    /// How the token is sent to the API, and which responses refuse it.
    #[serde(deserialize_with = "table::optional")]
    send: Option<SendFields>,
    /// Sources that feed others: `{ source = "NAME" }` is the token of `[sources.NAME]`. It has `token`, `jwt`,
    /// `token_endpoint`, `token_exchange`, `refresh_token` and `policy`, as a provider does, and a cache of its own.
    #[serde(deserialize_with = "table::named")]
    pub(crate) sources: BTreeMap<String, SourceFields>,
    /// The store that the replicas of a program share, so that they fetch one token instead of one each.
    #[serde(deserialize_with = "table::optional")]
    pub(crate) shared: Option<SharedFields>,
    /// The times of caching, refreshing and backing off.
    #[serde(deserialize_with = "table::required")]
    policy: PolicyFields,
}

/// Secrets by name, such as the headers of a token request.
type Secrets = BTreeMap<String, SecretField>;
