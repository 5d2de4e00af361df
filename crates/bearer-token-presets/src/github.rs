//! GitHub Apps.

use std::time::Duration;

use bearer_token::{
    Problem, Sending, TokenProvider, TokenProviderBuilder, Value,
    jwt::{Algorithm, JwtTemplate, SelfSigned},
    oauth::{BodyFormat, ClientCredentials, ParameterValue, ResponseFormat, TokenEndpoint},
};

use crate::{
    Key, Preset,
    check::{api_url, both, given, or_problems, origin, problems},
};

/// The version of the API that these requests are written for.
const VERSION: &str = "2022-11-28";

/// A GitHub App, with its client id (or app id) and its private key.
///
/// Both are on the app's page under *Settings > Developer settings > GitHub Apps*.
///
/// ```
/// # fn example(key: &str) -> Result<(), bearer_token::Error> {
/// use bearer_token_presets::github;
///
/// // A token for the repositories of one installation ...
/// let installation = github::app("Iv23liExample", key).installation(7).permission("contents", "read");
/// let installation = installation.provider().build()?;
/// // ... and the JWT of the app itself, for `/app/installations`.
/// let app = github::app("Iv23liExample", key).provider().build()?;
/// # let _ = (installation, app); Ok(()) }
/// ```
pub fn app(client_id: impl Into<String>, private_key: impl Into<Key>) -> App {
    App { client_id: client_id.into(), key: private_key.into(), api_url: "https://api.github.com".to_owned() }
}

/// A GitHub App: the result of [`app`].
#[derive(Clone, Debug)]
#[must_use]
pub struct App {
    client_id: String,
    key: Key,
    api_url: String,
}

impl App {
    /// Sets the base URL of the API, for GitHub Enterprise Server: `https://github.example.com/api/v3`.
    pub fn api_url(mut self, url: impl Into<String>) -> Self {
        self.api_url = url.into();
        self
    }

    /// Returns the builder of a provider whose token is the app's own JWT, for the endpoints under `/app`.
    pub fn provider(self) -> TokenProviderBuilder {
        or_problems(self.builder())
    }

    /// Requests tokens of an installation. `id` is the last part of the URL of the installation's settings page.
    pub fn installation(self, id: u64) -> Preset<Installation> {
        Preset::new(Installation { app: self, id, repositories: Vec::new(), permissions: Vec::new() })
    }

    /// The base URL of the API, checked.
    fn api(&self) -> Result<String, Vec<Problem>> {
        let expected = "the base URL of the API, such as `https://github.example.com/api/v3`";
        api_url("api_url", &self.api_url, expected)
    }

    fn builder(&self) -> Result<TokenProviderBuilder, Vec<Problem>> {
        let key = self.key.read("private_key", Algorithm::RS256);
        let client_id = given("client_id", &self.client_id, "the app's client id, such as `Iv23li..`");
        let ((client_id, key), api) = both(both(client_id, key), self.api())?;
        let template = JwtTemplate::builder(key)
            .issuer(client_id)
            // GitHub advises a minute in the past, and accepts at most 10 minutes ahead.
            .backdate(Duration::from_secs(60))
            .lifetime(Duration::from_secs(600))
            .jwt_id(false);
        let template = template.build().map_err(|error| problems("private_key", &error))?;
        Ok(TokenProvider::builder(SelfSigned::new(template)).name("github-app").allow_origin(origin(&api)))
    }
}

/// An installation of a GitHub App: what [`App::installation`] returns a [`Preset`] of.
#[derive(Clone, Debug)]
pub struct Installation {
    app: App,
    id: u64,
    repositories: Vec<String>,
    permissions: Vec<(String, String)>,
}

impl Preset<Installation> {
    /// Limits the token to this repository, by its name without the owner. May be called several times.
    pub fn repository(mut self, name: impl Into<String>) -> Self {
        self.kind.repositories.push(name.into());
        self
    }

    /// Limits the token to this permission, such as `contents` and `read`. May be called several times.
    pub fn permission(mut self, name: impl Into<String>, access: impl Into<String>) -> Self {
        self.kind.permissions.push((name.into(), access.into()));
        self
    }

    /// Returns the builder of a provider of the installation's tokens, which live for an hour.
    pub fn provider(self) -> TokenProviderBuilder {
        or_problems(self.builder())
    }

    fn builder(self) -> Result<TokenProviderBuilder, Vec<Problem>> {
        let Preset { kind: installation, stages } = self;
        let (app, ()) = both(installation.app.builder(), installation.limits())?;
        let api = installation.app.api()?;
        let app = stages.on_platform(app).build().map_err(|error| problems("app", &error))?;
        let url = format!("{api}/app/installations/{}/access_tokens", installation.id);
        let mut endpoint = TokenEndpoint::builder(url, ClientCredentials::new())
            .body(BodyFormat::Json)
            .no_grant_type()
            .header("authorization", Value::token_of(app).prefix("Bearer "))
            .header("x-github-api-version", VERSION)
            .response(ResponseFormat::oauth().token("/token").expires_at("/expires_at"));
        if !installation.repositories.is_empty() {
            endpoint = endpoint.parameter("repositories", ParameterValue::list(installation.repositories));
        }
        if !installation.permissions.is_empty() {
            endpoint = endpoint.parameter("permissions", ParameterValue::object(installation.permissions));
        }
        let builder = stages.build(endpoint, &[("url", "api_url")])?;
        // A new token may be refused until all of GitHub knows it.
        let sending = Sending::new().settle(Duration::from_secs(5));
        let name = format!("github-installation-{}", installation.id);
        Ok(builder.name(name).allow_origin(origin(&api)).sending(sending))
    }
}

impl Installation {
    /// What limits the token, checked.
    fn limits(&self) -> Result<(), Vec<Problem>> {
        let expected = "the name of a repository without its owner";
        let mut problems = Vec::new();
        for name in &self.repositories {
            let found = match given("repository", name, expected) {
                Ok(name) if !name.contains('/') => continue,
                Ok(_) => vec![Problem::new("repository", "found a name with a slash").expecting(expected)],
                Err(found) => found,
            };
            problems.extend(found);
        }
        for (name, access) in &self.permissions {
            let expected = "a permission and its access, such as `contents` and `read`";
            let found = both(given("permission", name, expected), given("permission", access, expected));
            problems.extend(found.err().unwrap_or_default());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}
