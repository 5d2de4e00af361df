//! A service account, with the JSON of its key.

use std::{fmt, time::Duration};

use bearer_token::{
    Problem, TokenProvider, TokenProviderBuilder,
    jwt::{Algorithm, JwtTemplate, JwtTemplateBuilder, SelfSigned},
    oauth::{JwtBearer, ResponseFormat, TokenEndpoint},
};
use zeroize::Zeroizing;

use super::TOKEN_URL;
use crate::{
    Key, Preset,
    check::{both, given, or_problems, problems},
    document::Document,
    preset::Stages,
};

/// The longest lifetime that Google accepts, and the one that AIP-4111 asks for.
const HOUR: Duration = Duration::from_secs(3600);

/// A service account, with the JSON that *IAM & Admin > Service accounts > Keys > Add key* downloads.
///
/// ```
/// # fn example(json: &str) -> Result<(), bearer_token::Error> {
/// use bearer_token_presets::google;
///
/// let account = google::service_account(json);
/// // For most APIs, an access token ...
/// let storage = account
///     .access_token("https://www.googleapis.com/auth/devstorage.read_only")
///     .provider()
///     .allow_origin("https://storage.googleapis.com")
///     .build()?;
/// // ... or without a token request, for one API ...
/// let pubsub = account.self_signed("https://pubsub.googleapis.com/");
/// let pubsub = pubsub.allow_origin("https://pubsub.googleapis.com").build()?;
/// // ... and for services of your own, an ID token.
/// let service = "https://service.example.com";
/// let own = account.id_token(service).provider().allow_origin(service).build()?;
/// # let _ = (storage, pubsub, own); Ok(()) }
/// ```
pub fn service_account(json: impl Into<String>) -> ServiceAccount {
    ServiceAccount { json: Zeroizing::new(json.into()) }
}

/// A service account: the result of [`service_account`].
#[derive(Clone)]
#[must_use]
pub struct ServiceAccount {
    json: Zeroizing<String>,
}

impl ServiceAccount {
    /// Requests access tokens for these scopes, separated by spaces.
    pub fn access_token(&self, scope: impl Into<String>) -> Preset<AccessToken> {
        Preset::new(AccessToken { account: self.clone(), scope: scope.into(), user: None })
    }

    /// Requests ID tokens for this audience, which is the URL of a service of yours.
    pub fn id_token(&self, audience: impl Into<String>) -> Preset<IdToken> {
        Preset::new(IdToken { account: self.clone(), audience: audience.into() })
    }

    /// Builds a provider that signs a JWT and uses it as the token (AIP-4111). `audience` is the API's host with a
    /// slash, such as `https://pubsub.googleapis.com/`.
    pub fn self_signed(&self, audience: impl Into<String>) -> TokenProviderBuilder {
        let audience = given("audience", &audience.into(), "the API's host, such as `https://pubsub.googleapis.com/`");
        or_problems(both(audience, self.template()).and_then(|(audience, (template, email))| {
            let template = template.subject(email).audience(audience).build();
            let template = template.map_err(|error| problems("service_account", &error))?;
            Ok(TokenProvider::builder(SelfSigned::new(template)).name("google"))
        }))
    }

    /// The JWT that all of these begin with, and the account's e-mail address.
    fn template(&self) -> Result<(JwtTemplateBuilder, String), Vec<Problem>> {
        let other = "for `external_account` there is `google::workload_identity`";
        let document = Document::read("service_account", &self.json, "service_account", other)?;
        let key = document
            .text("/private_key")
            .and_then(|pem| Key::from(pem).read(&document.path("/private_key"), Algorithm::RS256));
        let ids = both(document.text("/client_email"), document.text("/private_key_id"));
        let (key, (email, key_id)) = both(key, ids)?;
        let template = JwtTemplate::builder(key).key_id(key_id).issuer(email).lifetime(HOUR).jwt_id(false);
        Ok((template, email.to_owned()))
    }
}

/// The exchange of a JWT for a token.
fn exchange(
    template: JwtTemplateBuilder,
    response: ResponseFormat,
    stages: &Stages,
) -> Result<TokenProviderBuilder, Vec<Problem>> {
    let template = template.audience(TOKEN_URL).build().map_err(|error| problems("service_account", &error))?;
    let endpoint = TokenEndpoint::builder(TOKEN_URL, JwtBearer::new(template)).response(response);
    Ok(stages.build(endpoint, &[])?.name("google"))
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceAccount([redacted])")
    }
}

/// Access tokens of a service account: what [`ServiceAccount::access_token`] returns a [`Preset`] of.
#[derive(Clone, Debug)]
pub struct AccessToken {
    account: ServiceAccount,
    scope: String,
    user: Option<String>,
}

impl Preset<AccessToken> {
    /// Sets the user to act for, with domain-wide delegation.
    pub fn on_behalf_of(mut self, user: impl Into<String>) -> Self {
        self.kind.user = Some(user.into());
        self
    }

    /// Returns the builder of a provider of access tokens, which live for an hour.
    pub fn provider(self) -> TokenProviderBuilder {
        let scope =
            given("scope", &self.kind.scope, "scopes, such as `https://www.googleapis.com/auth/cloud-platform`");
        let user = self.kind.user.as_deref().map(|user| given("on_behalf_of", user, "the e-mail address of a user"));
        let names = both(scope, user.transpose());
        or_problems(both(names, self.kind.account.template()).and_then(|((scope, user), (template, _))| {
            let template = template.claim("scope", scope);
            let template = match user {
                Some(user) => template.subject(user),
                None => template,
            };
            exchange(template, ResponseFormat::oauth(), &self.stages)
        }))
    }
}

/// ID tokens of a service account: what [`ServiceAccount::id_token`] returns a [`Preset`] of.
#[derive(Clone, Debug)]
pub struct IdToken {
    account: ServiceAccount,
    audience: String,
}

impl Preset<IdToken> {
    /// Returns the builder of a provider of ID tokens, which live for an hour.
    pub fn provider(self) -> TokenProviderBuilder {
        let audience = given("audience", &self.kind.audience, "the URL of the service");
        or_problems(both(audience, self.kind.account.template()).and_then(|(audience, (template, _))| {
            let template = template.claim("target_audience", audience);
            exchange(template, ResponseFormat::oauth().token("/id_token"), &self.stages)
        }))
    }
}
