//! The sections of a configuration: each has its fields, with their documentation, and what is built from them.

use std::{collections::BTreeMap, path::Path};

use bearer_token::{Problem, oauth::TokenEndpointBuilder};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use self::{jwt::JwtFields, policy::PolicyFields, refresh_token::RefreshFields, token_endpoint::EndpointFields};
use crate::{
    report::Report,
    values::{SecretField, Text, table},
};

mod client;
mod jwt;
mod key;
mod origins;
mod policy;
mod refresh_token;
mod source;
mod token;
mod token_endpoint;

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
    name: Option<Text>,
    /// The origins that tokens may be sent to, such as `https://api.example.com`.
    allow_origins: Vec<Text>,
    /// The same for `http` origins in networks that you trust with your tokens.
    allow_plaintext_origins: Vec<Text>,
    /// Allow tokens to be sent anywhere under https. Then a redirect takes them along to any host.
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
    /// The times of caching, refreshing and backing off.
    #[serde(deserialize_with = "table::required")]
    policy: PolicyFields,
}

/// Sets the transport of a token endpoint.
pub(crate) type SetTransport = Box<dyn FnOnce(TokenEndpointBuilder) -> TokenEndpointBuilder + Send + Sync>;

/// What sections are built with: it reads secrets, and collects what is wrong.
pub(crate) struct Context<'a> {
    pub(crate) report: Report,
    directory: &'a Path,
    transport: Option<SetTransport>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(directory: &'a Path, transport: Option<SetTransport>) -> Self {
        Context { report: Report::default(), directory, transport }
    }

    /// A secret that is a string.
    fn text(&mut self, path: &str, secret: &SecretField) -> Option<Zeroizing<String>> {
        secret.read_text(path, self.directory).map_err(|problem| self.report.add(problem)).ok()
    }

    /// A field that must be present.
    fn required<'f, T>(&mut self, path: &str, field: Option<&'f T>, expected: &'static str) -> Option<&'f T> {
        if field.is_none() {
            self.report.add(Problem::new(path, "found nothing").expecting(expected));
        }
        field
    }
}

/// Secrets by name, such as the headers of a token request.
type Secrets = BTreeMap<String, SecretField>;
