//! Workload identity federation, with the JSON of its credential configuration.

use std::fmt;

use bearer_token::{
    Advice, Problem, TokenProvider, TokenProviderBuilder, Value,
    oauth::{BodyFormat, ClientCredentials, ParameterValue, ResponseFormat, TokenEndpoint, TokenExchange, TokenType},
};
use http::Method;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::is_of_google;
use crate::{
    Preset,
    check::{both, given, or_problems, problems},
    document::Document,
};

/// The scope of the exchanged token when a service account is impersonated with it.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Workload identity federation, with the JSON that *Workload identity federation > the provider > Download
/// configuration* gives (`external_account`).
///
/// The identity may be in a file or at a URL, as text or in a member of JSON. A service account is impersonated if the
/// JSON says so. An identity from AWS or from an executable needs code.
///
/// URLs of Google in the JSON must be below `googleapis.com`: a configuration from elsewhere must not send the identity
/// to another host. The place of the identity is used as it is, so use only a JSON that you trust.
///
/// ```
/// # fn example(json: &str) -> Result<(), bearer_token::Error> {
/// let provider = bearer_token_presets::google::workload_identity(json)
///     .scope("https://www.googleapis.com/auth/devstorage.read_only")
///     .provider()
///     .allow_origin("https://storage.googleapis.com")
///     .build()?;
/// # let _ = provider; Ok(()) }
/// ```
pub fn workload_identity(json: impl Into<String>) -> Preset<WorkloadIdentity> {
    Preset::new(WorkloadIdentity { json: Zeroizing::new(json.into()), scope: CLOUD_PLATFORM.to_owned() })
}

/// Workload identity federation: what [`workload_identity`] returns a [`Preset`] of.
#[derive(Clone)]
pub struct WorkloadIdentity {
    json: Zeroizing<String>,
    scope: String,
}

impl Preset<WorkloadIdentity> {
    /// Sets the scopes of the token, separated by spaces. Default: `https://www.googleapis.com/auth/cloud-platform`.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.kind.scope = scope.into();
        self
    }

    /// Returns the builder of a provider of access tokens. Each stage of the chain has its own cache.
    pub fn provider(self) -> TokenProviderBuilder {
        or_problems(self.builder())
    }

    fn builder(self) -> Result<TokenProviderBuilder, Vec<Problem>> {
        let other = "for `service_account` there is `google::service_account`";
        let document = Document::read("workload_identity", &self.kind.json, "external_account", other)?;
        let scope =
            given("scope", &self.kind.scope, "scopes, such as `https://www.googleapis.com/auth/cloud-platform`");
        let texts = both(document.text("/audience"), document.text("/subject_token_type"));
        let urls = both(
            google_url(&document, "/token_url").and_then(|url| url.ok_or_else(|| missing(&document, "/token_url"))),
            google_url(&document, "/service_account_impersonation_url"),
        );
        let ((scope, (audience, subject_type)), ((token_url, impersonation), subject)) =
            both(both(scope, texts), both(urls, self.subject(&document)))?;

        let exchange =
            TokenExchange::new(subject, subject_type).audience(audience).requested_token_type(TokenType::ACCESS_TOKEN);
        let exchange_scope = if impersonation.is_some() { CLOUD_PLATFORM } else { &scope };
        let endpoint = TokenEndpoint::builder(token_url, exchange).scope(exchange_scope);
        let exchange = self.stages.build(
            endpoint,
            &[
                ("url", "workload_identity.token_url"),
                ("audience", "workload_identity.audience"),
                ("subject_token", "workload_identity.credential_source.file"),
                ("subject_token_type", "workload_identity.subject_token_type"),
            ],
        )?;
        let Some(url) = impersonation else { return Ok(exchange.name("google")) };
        let federated = exchange.name("google-federation").build().map_err(|error| problems("token_url", &error))?;
        let impersonation = TokenEndpoint::builder(url, ClientCredentials::new())
            .body(BodyFormat::Json)
            .no_grant_type()
            .header("authorization", Value::token_of(federated).prefix("Bearer "))
            .parameter("scope", ParameterValue::list(scope.split_whitespace()))
            .response(ResponseFormat::oauth().token("/accessToken").expires_at("/expireTime"));
        let names = [("url", "workload_identity.service_account_impersonation_url")];
        Ok(self.stages.build(impersonation, &names)?.name("google"))
    }

    /// The identity to exchange: `credential_source`.
    fn subject(&self, document: &Document) -> Result<Value, Vec<Problem>> {
        const SOURCE: &str = "/credential_source";
        let at = |member: &str| format!("{SOURCE}{member}");
        let of_others = |member| document.get(&at(member)).is_some();
        if of_others("/environment_id") {
            let problem = document.problem(&at("/environment_id"), "found an identity of AWS, which needs code");
            let advice = Advice::text("take `examples/providers/google_from_aws.rs`");
            return Err(vec![problem.expecting("`file` or `url`").advise(advice)]);
        }
        if of_others("/executable") || of_others("/certificate") {
            let problem = document.problem(SOURCE, "found an executable or a certificate");
            let advice = Advice::text("write a `TokenSource` for others");
            return Err(vec![problem.expecting("`file` or `url`").advise(advice)]);
        }
        let member = self.member(document, &at("/format"))?;
        match (document.optional(&at("/file"))?, document.optional(&at("/url"))?) {
            (Some(file), None) => {
                let value = Value::file(file);
                Ok(member.into_iter().fold(value, Value::member))
            }
            (None, Some(url)) => Ok(Value::token_of(self.identity(document, url, member)?)),
            _ => {
                let expected = "exactly one of `file` and `url`";
                Err(vec![document.problem(SOURCE, "found none of `file` and `url`, or both").expecting(expected)])
            }
        }
    }

    /// A pointer to the identity, in JSON.
    fn member(&self, document: &Document, format: &str) -> Result<Option<String>, Vec<Problem>> {
        match document.optional(&format!("{format}/type"))? {
            None | Some("text") => Ok(None),
            Some("json") => {
                let name = document.text(&format!("{format}/subject_token_field_name"))?;
                Ok(Some(format!("/{}", name.replace('~', "~0").replace('/', "~1"))))
            }
            Some(_) => {
                let path = format!("{format}/type");
                Err(vec![document.problem(&path, "found another format").expecting("`text` or `json`")])
            }
        }
    }

    /// A provider of the identity that is at a URL.
    fn identity(&self, document: &Document, url: &str, member: Option<String>) -> Result<TokenProvider, Vec<Problem>> {
        let pointer = member.unwrap_or_default();
        let mut endpoint = TokenEndpoint::builder(url, ClientCredentials::new())
            .method(Method::GET)
            .body(BodyFormat::None)
            .no_grant_type()
            .response(ResponseFormat::oauth().token(pointer));
        const HEADERS: &str = "/credential_source/headers";
        let headers = match document.get(HEADERS) {
            None | Some(Json::Null) => None,
            Some(Json::Object(headers)) => Some(headers),
            Some(_) => {
                let problem = document.problem(HEADERS, "found something else");
                return Err(vec![problem.expecting("an object of strings")]);
            }
        };
        for (name, value) in headers.into_iter().flatten() {
            let Some(value) = value.as_str() else {
                let problem = document.problem(HEADERS, "found a header whose value is not a string");
                return Err(vec![problem.expecting("an object of strings")]);
            };
            endpoint = endpoint.header(name, value);
        }
        // The metadata service of a machine, which no other machine can reach.
        if url.starts_with("http://169.254.169.254/") {
            endpoint = endpoint.allow_plaintext();
        }
        let names = [
            ("url", "workload_identity.credential_source.url"),
            ("header", "workload_identity.credential_source.headers"),
            ("response.token", "workload_identity.credential_source.format"),
        ];
        self.stages
            .build(endpoint, &names)?
            .name("google-identity")
            .build()
            .map_err(|error| problems("credential_source", &error))
    }
}

/// A URL that must be Google's.
fn google_url(document: &Document, pointer: &str) -> Result<Option<String>, Vec<Problem>> {
    match document.optional(pointer)? {
        Some(url) if !is_of_google(url) => {
            let found = "found a URL that is not below `https://googleapis.com`";
            Err(vec![document.problem(pointer, found).expecting("the URL that Google's download has")])
        }
        url => Ok(url.map(str::to_owned)),
    }
}

fn missing(document: &Document, pointer: &str) -> Vec<Problem> {
    vec![document.problem(pointer, "found nothing").expecting("the URL that Google's download has")]
}

impl fmt::Debug for WorkloadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadIdentity").field("scope", &self.scope).finish_non_exhaustive()
    }
}
