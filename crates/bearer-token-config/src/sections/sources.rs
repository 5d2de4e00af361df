//! The section `sources`: sources that feed others, each with a cache of its own.

use std::collections::BTreeMap;

use bearer_token::{Advice, Problem, Setting, TokenProvider};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    context::Context,
    jwt::JwtFields,
    policy::PolicyFields,
    refresh_token::RefreshFields,
    source::{Stage, no_source},
    token_endpoint::EndpointFields,
    token_exchange::ExchangeFields,
};
use crate::{
    given::Given,
    nearest::nearest,
    values::{SecretField, Text, table},
};

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

/// The longest chain of sources. Building one takes a part of the stack for each source in it.
const LONGEST_CHAIN: usize = 16;

/// The most names of sources in a message.
const LISTED: usize = 16;

/// The sources of a configuration, each built when it is first used.
pub(crate) struct Sources<'a> {
    fields: &'a BTreeMap<String, SourceFields>,
    /// The sources that were built, each with the variables that it used.
    built: BTreeMap<&'a str, (Option<TokenProvider>, Vec<String>)>,
    /// Their names, each after those that it uses.
    order: Vec<&'a str>,
    /// The sources that are being built. Each is needed by the one before it.
    building: Vec<&'a str>,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(fields: &'a BTreeMap<String, SourceFields>) -> Self {
        Sources { fields, built: BTreeMap::new(), order: Vec::new(), building: Vec::new() }
    }
}

impl Context<'_> {
    /// The provider of a source that the value at this path uses.
    pub(super) fn source(&mut self, path: &str, name: &str) -> Result<TokenProvider, Problem> {
        let path = format!("{path}.source");
        let fields = self.sources.fields;
        let Some((name, _)) = fields.get_key_value(name) else {
            let known: Vec<_> = fields.keys().take(LISTED).map(|name| format!("`{name}`")).collect();
            let expected = match (known.as_slice(), fields.len() - known.len()) {
                ([], _) => "a table `[sources.NAME]` of this name".to_owned(),
                (known, 0) => format!("the name of one of `sources`: {}", known.join(", ")),
                (known, more) => format!("the name of one of `sources`: {} and {more} more", known.join(", ")),
            };
            let problem = Problem::new(path, "found the name of a source that does not exist").expecting(expected);
            let near = nearest(name, fields.keys().map(String::as_str));
            let advice = near.map(|near| Advice::text(format!("did you mean `{near}`?")));
            return Err(advice.into_iter().fold(problem, Problem::advise));
        };
        if let Some(start) = self.sources.building.iter().position(|building| building == name) {
            let mut ring: Vec<_> = self.sources.building.get(start..).unwrap_or_default().to_vec();
            ring.push(name);
            let found = format!("found a ring of sources: {}", ring.join(", which uses "));
            return Err(Problem::new(path, found).expecting("a source that does not depend on itself"));
        }
        if self.sources.building.len() >= LONGEST_CHAIN {
            let found = format!("found a chain of more than {LONGEST_CHAIN} sources, each of which uses the next");
            return Err(Problem::new(path, found).expecting("a shorter one"));
        }
        self.built(name).ok_or_else(|| Problem::new(path, FAULTY))
    }

    /// The sources that were built, each after those that it uses.
    pub(crate) fn built_sources(&self) -> Vec<(String, TokenProvider)> {
        let built = |name: &&str| Some(((*name).to_owned(), self.sources.built.get(name)?.0.clone()?));
        self.sources.order.iter().filter_map(built).collect()
    }

    /// Whether a source of another source is being built.
    pub(super) fn is_inside_source(&self) -> bool {
        !self.sources.building.is_empty()
    }

    /// The full path of a field of the source that is being built.
    pub(super) fn place(&self, path: &str) -> String {
        let sources = self.sources.building.last().map(|name| format!("sources.{name}."));
        sources.unwrap_or_default() + path
    }

    /// Builds the sources that nothing used, and reports them.
    ///
    /// Not for a key of a keyed configuration, which was checked: a shared source does not use its own sources again.
    pub(crate) fn report_unused_sources(&mut self) {
        if self.kept.is_some() {
            return;
        }
        for name in self.sources.fields.keys() {
            if self.sources.built.contains_key(name.as_str()) {
                continue;
            }
            self.built(name);
            let problem = Problem::new(format!("sources.{name}"), "found a source that nothing uses")
                .expecting(format!("`{{ source = \"{name}\" }}` in place of a value"))
                .advise(Advice::Remove(Setting::Field(format!("sources.{name}").into())));
            self.report.add(problem);
        }
    }

    fn built(&mut self, name: &str) -> Option<TokenProvider> {
        let (name, fields) = self.sources.fields.get_key_value(name)?;
        if let Some((built, uses)) = self.sources.built.get(name.as_str()) {
            // What uses this source depends on its variables as well.
            self.used.extend(uses.iter().cloned());
            return built.clone();
        }
        if let Some(kept) = self.kept.and_then(|kept| kept.source(name)) {
            self.sources.built.insert(name, (Some(kept.clone()), Vec::new()));
            return Some(kept);
        }
        let uses = self.used.len();
        let outer = std::mem::take(&mut self.report);
        self.sources.building.push(name);
        let mut provider = fields.provider(name, self);
        self.sources.building.pop();
        if self.has_used_since(uses) {
            if let (Given::Rehearsal, Some(refresh)) = (self.given, &fields.refresh_token) {
                refresh.report_sharing(self);
            }
        } else if let Some(kept) = self.kept {
            provider = provider.map(|provider| kept.keep_source(name, provider));
        }
        let used = self.used.get(uses..).unwrap_or_default().to_vec();
        self.sources.built.insert(name, (provider.clone(), used));
        self.sources.order.push(name);
        let inner = std::mem::replace(&mut self.report, outer);
        self.report.add_inside(&format!("sources.{name}"), inner);
        provider
    }
}

/// What is found where a source cannot be built. There are problems about it already.
pub(crate) const FAULTY: &str = "found a source that cannot be built";

impl SourceFields {
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
}
