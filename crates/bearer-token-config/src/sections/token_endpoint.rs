//! The section `token_endpoint`: the token endpoint of an authorization server.

use bearer_token::{
    Advice, Problem, Setting,
    oauth::{BodyFormat, Grant, JwtBearer, TokenEndpoint, TokenEndpointBuilder},
};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    Secrets,
    client::ClientFields,
    context::Context,
    jwt::{self, JwtFields},
    parameters,
    protected_resource::{ResourceFields, Source, StepUpFields},
    renewal::{Kind, Renewal},
    response::FormatFields,
    stand_in::StandIn,
    tls::{self, TlsFields},
};
use crate::{
    names::{Names, name, nothing, value},
    values::{OneOrMany, Seconds, SecretField, Text, ValueField, table},
};

const NAMES: Names = Names {
    section: "token_endpoint",
    names: &[
        name("accept_token_type", "accept_token_types"),
        name("client_auth.assertion_type", "client.assertion_type"),
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
        name("parameter_name", "assertion_parameter"),
        name("subject_token", "/token_exchange.subject_token"),
        name("actor_token", "/token_exchange.actor_token"),
        name("JwtBearer::new", "/jwt"),
        name("TokenExchange::new", "/token_exchange"),
        name("RefreshToken::new", "/refresh_token"),
        name("store", "/refresh_token.shared"),
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
    /// The issuer of the authorization server. Without a `url`, it leads to the server's metadata (RFC 8414, OpenID
    /// Connect Discovery). It is the audience of assertions that identify the client. It is read once.
    issuer: Option<ValueField>,
    /// With an `issuer` and no `url`: use the token endpoint for clients with a TLS certificate, if the server's
    /// metadata has one (`mtls_endpoint_aliases`, RFC 8705 section 5).
    use_mtls_alias: bool,
    /// The `grant_type` to send in place of the grant's own. `""` sends none.
    grant_type: Option<Text>,
    /// The scope to request: words separated by spaces, or a list of words. A variable is one word.
    scope: Option<OneOrMany>,
    /// The method. Default: `POST`.
    method: Option<MethodField>,
    /// Where the parameters are. Default: `form`.
    body: Option<BodyField>,
    /// Further parameters, such as `audience` or `resource`. A list is a parameter that is repeated; with
    /// `body = "json"`, it may be any tree.
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, parameters::Parameter>"))]
    parameters: Map<String, Value>,
    /// Further headers of the token request.
    headers: Secrets,
    /// An assertion that is made elsewhere, to exchange for a token (RFC 7523 section 2.1).
    assertion: Option<SecretField>,
    /// The name of the parameter with the assertion. Default: `assertion`.
    assertion_parameter: Option<Text>,
    /// Where the response has the token and its lifetime. Default: where OAuth has them (RFC 6749 section 5.1).
    #[serde(deserialize_with = "table::optional")]
    response: Option<FormatFields>,
    /// Further values of `token_type` that mean `Bearer` at this server.
    accept_token_types: Vec<Text>,
    /// Fields of the response to keep, such as `instance_url`.
    keep: Vec<Text>,
    /// The largest clock difference at which a refused assertion is signed again with the server's time; 0 turns that
    /// off. Default: 3600.
    max_clock_offset_seconds: Option<Seconds>,
    /// Keep using the previous secret or key while the server refuses a new one. It is the client's secret, or the key
    /// that signs, in a file that is read again at each fetch. Once the new one brings a token, the previous one is
    /// dropped. `TokenProvider::refresh_when_changed` tries a new one at once, and `TokenProvider::status` says which
    /// is in use.
    keep_previous_credential: bool,
    /// Send token requests over `http`, in networks that you trust with your secrets.
    allow_plaintext: bool,
    /// TLS to the token endpoint: CA certificates, and the client's own.
    #[serde(deserialize_with = "table::optional")]
    tls: Option<TlsFields>,
    /// Write names of headers in title case, for servers that treat them as case-sensitive.
    title_case_headers: bool,
    /// The API, if it names its authorization server itself (RFC 9728), such as an MCP server.
    #[serde(deserialize_with = "table::optional")]
    protected_resource: Option<ResourceFields>,
    /// A wider scope, when the API responds with `insufficient_scope`.
    #[serde(deserialize_with = "table::optional")]
    step_up: Option<StepUpFields>,
    /// The client, and how it authenticates.
    #[serde(deserialize_with = "table::optional")]
    pub(super) client: Option<ClientFields>,
}

/// The method of token requests.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
enum MethodField {
    Post,
    Get,
    Put,
    Patch,
}

/// Where the parameters of token requests are.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
enum BodyField {
    /// In the body, as a form.
    Form,
    /// In the body, as JSON.
    Json,
    /// In the query of the URL.
    Query,
    /// Nowhere.
    None,
}

impl EndpointFields {
    /// Whether an assertion that is made elsewhere is exchanged.
    pub(super) fn has_assertion(&self) -> bool {
        self.assertion.is_some()
    }

    /// The grant of an assertion that is made elsewhere, if nothing is wrong with it.
    pub(super) fn assertion_grant(&self, cx: &mut Context<'_>) -> Option<JwtBearer> {
        let value = cx.secret_value("token_endpoint.assertion", self.assertion.as_ref()?)?;
        Some(self.named(JwtBearer::from_value(value)))
    }

    /// Sets the name of the parameter on the grant, if it is configured.
    pub(super) fn named(&self, grant: JwtBearer) -> JwtBearer {
        self.assertion_parameter.iter().fold(grant, |grant, name| grant.parameter_name(name.as_str()))
    }

    /// The key of the section `jwt`, if it is in a file: how the grant gets a new one.
    pub(super) fn renewal_of_grant(&self, jwt: &JwtFields, cx: &mut Context<'_>) -> Option<Renewal> {
        let (value, template) = jwt.renewal(&jwt::JWT, &jwt::Defaults::default(), cx)?;
        let parameter = self.assertion_parameter.as_ref().map(|name| name.as_str().to_owned());
        Some(Renewal::new(value, Kind::Key, move |builder, key| {
            let grant = JwtBearer::new(template(key)?);
            Ok(builder.grant(parameter.iter().fold(grant, |grant, name| grant.parameter_name(name.as_str()))))
        }))
    }

    /// Reports a client that is missing, where nothing else identifies the caller.
    pub(super) fn require_client(&self, cx: &mut Context<'_>) {
        // Another grant may identify the caller by its parameters, and a header may be the client's authentication.
        let is_usual = self.grant_type.as_ref().is_none_or(|grant_type| grant_type.as_str() == "client_credentials");
        let has_header = self.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"));
        if self.client.is_none() && is_usual && !has_header {
            let problem = Problem::new("token_endpoint.client", "found nothing");
            let problem = problem.expecting("the client's id and credential, or a `jwt` to exchange");
            let none = Advice::text("set `grant_type = \"\"` if the server needs neither");
            cx.report.add(problem.advise(Advice::Set(Setting::Field("token_endpoint.client".into()))).advise(none));
        }
        if self.assertion_parameter.is_some() {
            let problem = Problem::new("token_endpoint.assertion_parameter", "found a name without an assertion");
            cx.report.add(problem.expecting("a `jwt` to sign, or `assertion`").advise(Advice::text("remove it")));
        }
    }

    /// The source, if nothing is wrong with it.
    pub(super) fn source(&self, grant: impl Grant, cx: &mut Context<'_>) -> Option<Source> {
        self.source_with(grant, None, cx)
    }

    /// Whether a new secret or key may be refused for a while.
    pub(super) fn keeps_previous_credential(&self) -> bool {
        self.keep_previous_credential
    }

    /// The source of a grant whose own key may be replaced, if nothing is wrong with it.
    pub(super) fn source_with(
        &self,
        grant: impl Grant,
        of_grant: Option<Renewal>,
        cx: &mut Context<'_>,
    ) -> Option<Source> {
        let url = self.url.as_ref().map(|url| super::url::read("token_endpoint.url", url, cx));
        let issuer = self.issuer.as_ref().map(|issuer| super::url::read("token_endpoint.issuer", issuer, cx));
        let mut is_complete = !matches!(url, Some(None)) && !matches!(issuer, Some(None));
        // With a stand-in, the rest is checked as well.
        let stand_in = |url: Option<Zeroizing<String>>| url.unwrap_or_else(|| STAND_IN.to_owned().into());
        let (url, issuer) = (url.map(stand_in), issuer.map(stand_in));
        let (url, issuer) = (url.as_ref().map(|url| url.as_str()), issuer.as_ref().map(|issuer| issuer.as_str()));
        let mut builder = match (url, issuer) {
            (None, Some(issuer)) => TokenEndpoint::discover(issuer, grant),
            (url, None) => TokenEndpoint::builder(url.unwrap_or_default(), grant),
            (Some(url), Some(issuer)) => TokenEndpoint::builder(url, grant).issuer(issuer),
        };
        if self.use_mtls_alias {
            builder = builder.use_mtls_alias();
        }
        if let Some(client) = &self.client {
            match client.auth(url, issuer, cx) {
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
            let words: Vec<_> = words.iter().filter_map(|(path, word)| cx.scope_word(path, word)).collect();
            builder = builder.scope(words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" "));
        }
        if let Some(method) = self.method {
            builder = builder.method(match method {
                MethodField::Post => http::Method::POST,
                MethodField::Get => http::Method::GET,
                MethodField::Put => http::Method::PUT,
                MethodField::Patch => http::Method::PATCH,
            });
        }
        if let Some(body) = self.body {
            builder = builder.body(match body {
                BodyField::Form => BodyFormat::Form,
                BodyField::Json => BodyFormat::Json,
                BodyField::Query => BodyFormat::Query,
                BodyField::None => BodyFormat::None,
            });
        }
        for (name, value) in &self.parameters {
            if let Some(value) = parameters::parameter(&format!("token_endpoint.parameters.{name}"), value, cx) {
                builder = builder.parameter(name, value);
            }
        }
        for (name, value) in &self.headers {
            if let Some(value) = cx.secret_value(&format!("token_endpoint.headers.{name}"), value) {
                builder = builder.header(name, value);
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
        if let Some(response) = &self.response {
            builder = builder.response(response.format());
        }
        builder = tls::transport(self.tls.as_ref(), self.title_case_headers, builder, cx);
        if let Some(transport) = cx.transport {
            let discovered = issuer.filter(|_| url.is_none());
            let stand_in = StandIn::new(cx.place("token_endpoint"), discovered, self.response.as_ref());
            let resource = self.protected_resource.as_ref().zip(issuer);
            let stand_in = resource
                .into_iter()
                .fold(stand_in, |stand_in, (resource, issuer)| stand_in.for_resource(resource.urls(), issuer));
            builder = transport(builder, stand_in);
        }
        if self.keep_previous_credential {
            let of_client = self.client.as_ref().filter(|_| is_complete);
            let of_client = of_client.and_then(|client| client.renewal(url, issuer, cx));
            return self.swapped(builder, [of_grant, of_client], is_complete, cx);
        }
        if let Some(resource) = &self.protected_resource {
            let source = resource.source(builder, self.step_up.as_ref(), &NAMES, cx);
            return source.filter(|_| is_complete).map(Source::Resource);
        }
        if let Some(step_up) = &self.step_up {
            builder = builder.step_up(step_up.step_up());
        }
        match builder.build() {
            Ok(endpoint) => is_complete.then_some(Source::Endpoint(endpoint)),
            Err(error) => {
                cx.report.add_translated(&NAMES, &error);
                None
            }
        }
    }

    /// The source that goes on with the previous credential, if there is exactly one that may be replaced.
    fn swapped(
        &self,
        builder: TokenEndpointBuilder,
        renewals: [Option<Renewal>; 2],
        is_complete: bool,
        cx: &mut Context<'_>,
    ) -> Option<Source> {
        const PATH: &str = "token_endpoint.keep_previous_credential";
        if self.protected_resource.is_some() {
            let problem = Problem::new(PATH, "found beside `protected_resource`, which makes the endpoint later");
            cx.report.add(problem.advise(Advice::text("remove one of the two")));
            return None;
        }
        let builder = match &self.step_up {
            Some(step_up) => builder.step_up(step_up.step_up()),
            None => builder,
        };
        let source = match renewals {
            // What is wrong with the rest is reported as usual.
            _ if !is_complete => builder.build().map(Source::Endpoint),
            [Some(renewal), None] | [None, Some(renewal)] => renewal.of(builder).map(Source::Swapped),
            [None, None] => {
                let problem = Problem::new(PATH, "found without a secret or a key that can change");
                cx.report.add(problem.expecting("the client's secret, or the key that signs, as a `file`"));
                builder.build().map(Source::Endpoint)
            }
            [Some(_), Some(_)] => {
                let problem =
                    Problem::new(PATH, "found with two credentials in files: the client's, and the key of `jwt`");
                cx.report.add(problem.expecting("one of them in a file"));
                builder.build().map(Source::Endpoint)
            }
        };
        source.map_err(|error| cx.report.add_translated(&NAMES, &error)).ok().filter(|_| is_complete)
    }
}
