//! The section `sources`: sources that feed others, each with a cache of its own.

use bearer_token::{Problem, TokenProvider};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    context::{Context, Feed, no_source},
    jwt::JwtFields,
    policy::PolicyFields,
    refresh_token::RefreshFields,
    source::Stage,
    token_endpoint::EndpointFields,
    token_exchange::ExchangeFields,
};
use crate::values::{SecretField, Text, table};

// Fields of `Fields` again: serde does not support `flatten` together with `deny_unknown_fields`, and would lose the
// paths of misfits.
/// A source that feeds others: `{ source = "NAME" }` is its token.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SourceFields {
    /// The source's name in events and errors. Default: its name among `sources`.
    name: Option<Text>,
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
    /// The times of caching, refreshing and backing off for this source. The `policy` of the provider does not apply to
    /// it.
    #[serde(deserialize_with = "table::required")]
    policy: PolicyFields,
}

impl Feed for SourceFields {
    fn provider(&self, name: &str, cx: &mut Context<'_>) -> Option<TokenProvider> {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
            let problem = Problem::new("", "found a source with another character in its name");
            cx.report.add(problem.expecting("letters, digits, `_` and `-`"));
        }
        let stage = Stage {
            token: self.token.as_ref(),
            jwt: self.jwt.as_ref(),
            refresh_token: self.refresh_token.as_ref(),
            token_endpoint: self.token_endpoint.as_ref(),
            token_exchange: self.token_exchange.as_ref(),
        };
        let source = stage.source(cx);
        let is_complete = source.is_some();
        let name = self.name.as_ref().map_or(name, Text::as_str);
        let builder = source.unwrap_or_else(no_source).policy(self.policy.policy()).name(name);
        // Its tokens go into other token requests only, so there are no requests to keep them from.
        let mut builder = builder.allow_any_https_origin();
        if let Some(platform) = cx.platform {
            builder = builder.platform(platform.clone());
        }
        let problems = builder.problems();
        super::policy::report(&problems, &mut cx.report);
        if !is_complete || !problems.is_empty() {
            return None;
        }
        builder.build().map_err(|error| cx.report.push("", error.to_string())).ok()
    }
    fn check_variables(&self, cx: &mut Context<'_>) {
        if let Some(refresh) = &self.refresh_token {
            refresh.report_sharing(cx);
        }
    }
}
