//! The section `token_endpoint`: the token endpoint of an authorization server.

use bearer_token::oauth::{Grant, TokenEndpoint, TokenEndpointBuilder};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Context, Secrets, client::ClientFields};
use crate::{
    names::{Names, name, nothing, value},
    values::{OneOrMany, Seconds, Text, table},
};

const NAMES: Names = Names {
    section: "token_endpoint",
    names: &[
        name("accept_token_type", "accept_token_types"),
        name("client_auth.client_id", "client.id"),
        name("client_auth.client_secret", "client.secret"),
        name("client_auth", "client"),
        name("header", "headers"),
        name("parameter", "parameters"),
        name("ClientSecret::from_file", "client.secret.file"),
        name("ClientSecret::verbatim", "client.secret.value"),
        value("ClientAuth::assertion_from", "client.method", "assertion"),
        value("ClientAuth::basic", "client.method", "basic"),
        value("ClientAuth::basic_raw", "client.method", "basic_raw"),
        value("ClientAuth::client_secret_jwt", "client.method", "client_secret_jwt"),
        value("ClientAuth::post", "client.method", "post"),
        value("ClientAuth::private_key_jwt", "client.method", "private_key_jwt"),
        name("JwtBearer::new", "/jwt"),
        name("RefreshToken::new", "/refresh_token"),
        nothing("transport"),
    ],
};

/// The token endpoint of an authorization server (RFC 6749 section 3.2).
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct EndpointFields {
    /// The URL of the token endpoint.
    pub(super) url: Option<Text>,
    /// Another grant type than the usual one.
    grant_type: Option<Text>,
    /// The scope to request: words separated by spaces, or a list of words.
    scope: Option<OneOrMany>,
    /// Further form parameters, such as `audience` or `resource`.
    parameters: Secrets,
    /// Further headers of the token request.
    headers: Secrets,
    /// Words other than `Bearer` by which this server means it.
    accept_token_types: Vec<Text>,
    /// Fields of the response to keep, such as `instance_url`.
    keep: Vec<Text>,
    /// How far this clock may be from the server's for a refused assertion to be signed again by the server's; 0 for
    /// never. Default: 3600.
    max_clock_offset_seconds: Option<Seconds>,
    /// Send token requests over `http`, in networks that you trust with your secrets.
    allow_plaintext: bool,
    /// The client, and how it authenticates.
    #[serde(deserialize_with = "table::optional")]
    pub(super) client: Option<ClientFields>,
}

impl EndpointFields {
    /// The source, if nothing is wrong with it.
    pub(super) fn source(&self, grant: impl Grant, cx: &mut Context<'_>) -> Option<TokenEndpoint> {
        let url = self.url.as_deref().unwrap_or_default();
        let mut builder = TokenEndpoint::builder(url, grant);
        let mut is_complete = true;
        if let Some(client) = &self.client {
            match client.auth(url, cx) {
                Some(client) => builder = builder.client_auth(client),
                None => is_complete = false,
            }
        }
        if let Some(grant_type) = &self.grant_type {
            builder = builder.grant_type(grant_type.as_str());
        }
        if let Some(scope) = &self.scope {
            builder = builder.scope(scope.joined(" "));
        }
        for (name, value) in &self.parameters {
            if let Some(value) = cx.text(&format!("token_endpoint.parameters.{name}"), value) {
                builder = builder.parameter(name.clone(), value.as_str());
            }
        }
        for (name, value) in &self.headers {
            if let Some(value) = cx.text(&format!("token_endpoint.headers.{name}"), value) {
                builder = builder.header(name, value.as_str());
            }
        }
        let words = self.accept_token_types.iter().map(Text::as_str);
        builder = words.fold(builder, TokenEndpointBuilder::accept_token_type);
        builder = self.keep.iter().map(Text::as_str).fold(builder, TokenEndpointBuilder::keep);
        if let Some(limit) = self.max_clock_offset_seconds {
            builder = builder.max_clock_offset(limit.0);
        }
        if self.allow_plaintext {
            builder = builder.allow_plaintext();
        }
        if let Some(transport) = cx.transport.take() {
            builder = transport(builder);
        }
        match builder.build() {
            Ok(endpoint) => is_complete.then_some(endpoint),
            Err(error) => {
                cx.report.add_translated(&NAMES, &error);
                None
            }
        }
    }
}
