//! The sections `token_endpoint.protected_resource` and `token_endpoint.step_up`: an API that names its authorization
//! server, and a wider scope when it asks for one.

use std::borrow::Cow;

use bearer_token::{
    AccessToken, ChallengeTest, CredentialInUse, Error, FetchContext, HotSwap, Identity, TokenSource,
    oauth::{ProtectedResource, StepUp, TokenEndpoint, TokenEndpointBuilder},
};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use crate::{
    names::{Names, name, nothing},
    values::Text,
};

const NAMES: Names = Names {
    section: "token_endpoint.protected_resource",
    names: &[
        name("resource", "url"),
        name("step_up.within", "/token_endpoint.step_up.within"),
        name("step_up", "/token_endpoint.step_up"),
        name("authorization_server", "/token_endpoint"),
        name("issuer", "/token_endpoint.issuer"),
        nothing("transport"),
    ],
};

/// An API that names its authorization server itself (RFC 9728), such as an MCP server. Its metadata must name the
/// `issuer` of the token endpoint.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ResourceFields {
    /// The resource identifier of the API: its URL, byte for byte as its metadata has it.
    url: Option<Text>,
    /// The URL of its metadata, in place of the one in its challenges and the well-known one.
    metadata_url: Option<Text>,
    /// The method of the request without a token that asks where the metadata is. Default: `GET`. `none` sends none.
    probe: Option<ProbeField>,
    /// Ask for the `scopes_supported` of the metadata, if neither `scope` nor a challenge names one.
    request_supported_scopes: bool,
    /// Name the resource in token requests (`resource`, RFC 8707). Default: true.
    send_resource: Option<bool>,
    /// Use `http` to the API, in networks that you trust with its metadata.
    allow_plaintext: bool,
}

/// The method of the request without a token.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
enum ProbeField {
    #[serde(rename = "GET")]
    Get,
    #[serde(rename = "HEAD")]
    Head,
    #[serde(rename = "OPTIONS")]
    Options,
    #[serde(rename = "POST")]
    Post,
    #[serde(rename = "none")]
    None,
}

/// A wider scope, when the API responds with `insufficient_scope`.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StepUpFields {
    /// How many times the scope is widened, at most.
    limit: u32,
    /// The words that may be added to the scope. Default: any.
    within: Option<Vec<Text>>,
}

impl StepUpFields {
    pub(super) fn step_up(&self) -> StepUp {
        let step_up = StepUp::at_most(self.limit);
        match &self.within {
            Some(words) => step_up.within(words.iter().map(Text::as_str).collect::<Vec<_>>().join(" ")),
            None => step_up,
        }
    }
}

/// What a token endpoint is configured as.
pub(super) enum Source {
    Endpoint(TokenEndpoint),
    /// An endpoint for each of the latest and the previous credential.
    Swapped(HotSwap),
    Resource(ProtectedResource),
}

impl TokenSource for Source {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        match self {
            Source::Endpoint(endpoint) => endpoint.fetch(cx).await,
            Source::Swapped(swap) => swap.fetch(cx).await,
            Source::Resource(resource) => resource.fetch(cx).await,
        }
    }

    fn has_changed(&self) -> bool {
        match self {
            Source::Endpoint(endpoint) => endpoint.has_changed(),
            Source::Swapped(swap) => swap.has_changed(),
            Source::Resource(resource) => resource.has_changed(),
        }
    }

    fn name(&self) -> Cow<'_, str> {
        match self {
            Source::Endpoint(endpoint) => endpoint.name(),
            Source::Swapped(swap) => swap.name(),
            Source::Resource(resource) => resource.name(),
        }
    }

    fn identity(&self, identity: &mut Identity) {
        match self {
            Source::Endpoint(endpoint) => endpoint.identity(identity),
            Source::Swapped(swap) => swap.identity(identity),
            Source::Resource(resource) => resource.identity(identity),
        }
    }

    fn challenge_test(&self) -> Option<ChallengeTest> {
        match self {
            Source::Endpoint(endpoint) => endpoint.challenge_test(),
            Source::Swapped(swap) => swap.challenge_test(),
            Source::Resource(resource) => resource.challenge_test(),
        }
    }

    fn credential_in_use(&self) -> Option<CredentialInUse> {
        match self {
            Source::Swapped(swap) => Some(swap.in_use()),
            Source::Endpoint(_) | Source::Resource(_) => None,
        }
    }
}

impl ResourceFields {
    /// The resource identifier, and the URL of its metadata if it is configured.
    pub(super) fn urls(&self) -> (String, Option<String>) {
        (
            self.url.as_ref().map(|url| url.as_str().to_owned()).unwrap_or_default(),
            self.metadata_url.as_ref().map(|url| url.as_str().to_owned()),
        )
    }

    /// The source, around the one authorization server that is configured.
    pub(super) fn source(
        &self,
        endpoint: TokenEndpointBuilder,
        step_up: Option<&StepUpFields>,
        of_endpoint: &Names,
        cx: &mut Context<'_>,
    ) -> Option<ProtectedResource> {
        let expected = "the URL of the API, as its metadata has it";
        let url = cx.required("token_endpoint.protected_resource.url", self.url.as_ref(), expected);
        // With a stand-in, the rest is checked as well.
        let checked = url.map_or("https://api.example.com", Text::as_str);
        let mut builder = ProtectedResource::builder(checked).authorization_server(endpoint);
        if let Some(url) = &self.metadata_url {
            builder = builder.metadata_url(url.as_str());
        }
        builder = match self.probe {
            None | Some(ProbeField::Get) => builder,
            Some(ProbeField::Head) => builder.probe(http::Method::HEAD),
            Some(ProbeField::Options) => builder.probe(http::Method::OPTIONS),
            Some(ProbeField::Post) => builder.probe(http::Method::POST),
            Some(ProbeField::None) => builder.no_probe(),
        };
        if self.request_supported_scopes {
            builder = builder.request_supported_scopes();
        }
        if self.allow_plaintext {
            builder = builder.allow_plaintext();
        }
        builder = builder.send_resource(self.send_resource.unwrap_or(true));
        builder = step_up
            .map(StepUpFields::step_up)
            .into_iter()
            .fold(builder, bearer_token::oauth::ProtectedResourceBuilder::step_up);
        let source = builder.build().map_err(|error| report(&error, of_endpoint, cx)).ok();
        source.filter(|_| url.is_some())
    }
}

/// Reports each problem in the names of the section that it is about.
fn report(error: &Error, of_endpoint: &Names, cx: &mut Context<'_>) {
    for problem in error.problems() {
        let problem = match problem.path().strip_prefix("authorization_server[0].") {
            Some(path) => of_endpoint.translate(&problem.clone().at(path)),
            // It is about a URL without an issuer.
            None if problem.path() == "authorization_server[0]" => NAMES.translate(&problem.clone().at("issuer")),
            None => NAMES.translate(problem),
        };
        cx.report.add(problem);
    }
}
