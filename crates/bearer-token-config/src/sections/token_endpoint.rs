//! The section `token_endpoint`: the token endpoint of an authorization server.

use bearer_token::oauth::{Grant, TokenEndpoint, TokenEndpointBuilder};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Secrets, client::ClientFields, context::Context};
use crate::{
    names::{Names, name, nothing, value},
    values::{OneOrMany, Seconds, Text, ValueField, table},
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
        value("no_grant_type", "grant_type", ""),
        name("JwtBearer::new", "/jwt"),
        name("RefreshToken::new", "/refresh_token"),
        nothing("transport"),
    ],
};

/// A URL to check the rest of an endpoint with, if its own cannot be used.
const STAND_IN: &str = "https://as.example.com/token";

/// The token endpoint of an authorization server (RFC 6749 section 3.2).
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EndpointFields {
    /// The URL of the token endpoint. It is read once.
    url: Option<ValueField>,
    /// Another grant type than the usual one. `""` sends none.
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
        let url = self.url.as_ref().map(|url| cx.text("token_endpoint.url", url));
        let mut is_complete = !matches!(url, Some(None));
        // With a stand-in, the rest is checked as well.
        let url = url.map_or(Zeroizing::default(), |url| url.unwrap_or_else(|| STAND_IN.to_owned().into()));
        let mut builder = TokenEndpoint::builder(url.as_str(), grant);
        if let Some(client) = &self.client {
            match client.auth(&url, cx) {
                Some(client) => builder = builder.client_auth(client),
                None => is_complete = false,
            }
        }
        if let Some(grant_type) = &self.grant_type {
            builder = match grant_type.as_str() {
                "" => builder.no_grant_type(),
                grant_type => builder.grant_type(grant_type),
            };
        }
        if let Some(scope) = &self.scope {
            let words = scope.with_paths("token_endpoint.scope");
            let words: Vec<_> = words.iter().filter_map(|(path, word)| cx.text(path, word)).collect();
            builder = builder.scope(words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" "));
        }
        for (name, value) in &self.parameters {
            if let Some(value) = cx.secret(&format!("token_endpoint.parameters.{name}"), value) {
                builder = builder.parameter(name.clone(), value.as_str());
            }
        }
        for (name, value) in &self.headers {
            if let Some(value) = cx.secret(&format!("token_endpoint.headers.{name}"), value) {
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
        if let Some(transport) = cx.transport {
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
