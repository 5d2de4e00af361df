//! One run against one server: what the cases share.

use std::{
    cell::RefCell,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use bearer_token::{
    Error, ErrorKind, Retry, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, Grant, TokenEndpoint, TokenEndpointBuilder},
    platform::Platform,
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    api::{Api, Verifier},
    caller::{Caller, NAMES},
    client::{Client, Clients},
    keys,
    process::{Process, free_port},
    profile::{Endpoints, Expect, Profile},
    results::{PASSED, Results, ShownError, Table},
    secrets::Markers,
};

/// The endpoints of the running server.
#[derive(Clone, Default)]
pub(crate) struct Urls {
    pub(crate) issuer: String,
    pub(crate) token: String,
    pub(crate) introspection: Option<String>,
    pub(crate) revocation: Option<String>,
    pub(crate) keys: Option<String>,
    pub(crate) authorization: Option<String>,
}

pub(crate) struct Run {
    pub(crate) profile: &'static Profile,
    pub(crate) clients: Clients,
    pub(crate) process: tokio::sync::Mutex<Process>,
    pub(crate) urls: Urls,
    pub(crate) origin: String,
    pub(crate) admin_port: u16,
    /// The password of the server's administrator, made for this run.
    pub(crate) admin_password: String,
    pub(crate) api: Api,
    pub(crate) http: reqwest::Client,
    pub(crate) results: RefCell<Results>,
    pub(crate) markers: Markers,
    failed: RefCell<Vec<String>>,
}

impl Run {
    /// Starts the server in `work`, and the API.
    pub(crate) async fn start(
        profile: &'static Profile,
        folder: &Path,
        cache: &Path,
        work: &Path,
        events: Arc<Mutex<Vec<u8>>>,
    ) -> Result<Self> {
        let clients = Clients::generate()?;
        let (port, admin_port) = (free_port()?, free_port()?);
        std::fs::write(work.join("clients.json"), serde_json::to_string_pretty(&clients.file())?)?;
        let origin = format!("http://127.0.0.1:{port}");
        let issuer = format!("{origin}{}", profile.issuer_path);
        let admin_password = keys::secret(false)?;
        let environment = [
            ("ADMIN_PASSWORD", admin_password.clone()),
            ("PORT", port.to_string()),
            ("ADMIN_PORT", admin_port.to_string()),
            ("LIFETIME", profile.lifetime.to_string()),
            ("CACHE", cache.display().to_string()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let ready_url = format!("{origin}{}", profile.ready_path);
        let folder = folder.join(profile.name);
        let mut process = Process::new(&folder, work, environment, ready_url, profile.start_limit);
        process.start().await?;

        let http = reqwest::Client::builder()
            .no_proxy()
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()?;
        let mut run = Run {
            profile,
            markers: Markers::new(clients.markers.clone(), events),
            clients,
            process: tokio::sync::Mutex::new(process),
            urls: Urls { issuer, ..Urls::default() },
            origin,
            admin_port,
            admin_password,
            api: Api::start(Verifier::default()).await?,
            http,
            results: RefCell::new(Results {
                name: profile.name.to_owned(),
                title: profile.title.to_owned(),
                ..Results::default()
            }),
            failed: RefCell::default(),
        };
        if let Err(error) = (profile.setup)(&run).await {
            let log = run.process.lock().await.end_of_log();
            return Err(error.context(format!("the clients cannot be registered\n{log}")));
        }
        run.urls = run.find_urls().await?;
        let api_client = run.clients.get("api")?;
        let secret = api_client.secret().context("the API's client has a secret")?;
        run.api = Api::start(Verifier {
            issuer: run.urls.issuer.clone(),
            keys_url: run.urls.keys.clone(),
            introspection_url: run.urls.introspection.clone(),
            client: (api_client.id.clone(), secret.to_owned()),
        })
        .await?;
        Ok(run)
    }

    async fn find_urls(&self) -> Result<Urls> {
        let issuer = self.urls.issuer.clone();
        let origin = &self.origin;
        match self.profile.endpoints {
            Endpoints::Metadata(path) => {
                let url = format!("{origin}{path}");
                let metadata: Value = self.http.get(url).send().await?.error_for_status()?.json().await?;
                let find = |name: &str| metadata[name].as_str().map(str::to_owned);
                Ok(Urls {
                    issuer,
                    token: find("token_endpoint").context("the metadata has no token endpoint")?,
                    introspection: find("introspection_endpoint").or_else(|| {
                        let path = Some(self.profile.admin_introspection).filter(|path| !path.is_empty())?;
                        Some(format!("http://127.0.0.1:{}{path}", self.admin_port))
                    }),
                    revocation: find("revocation_endpoint"),
                    keys: find("jwks_uri"),
                    authorization: find("authorization_endpoint"),
                })
            }
            Endpoints::Paths { token, introspection, revocation, keys } => {
                let url = |path: &str| format!("{origin}{path}");
                Ok(Urls {
                    issuer,
                    token: url(token),
                    introspection: Some(introspection).filter(|path| !path.is_empty()).map(url),
                    revocation: Some(revocation).filter(|path| !path.is_empty()).map(url),
                    keys: keys.map(url),
                    authorization: None,
                })
            }
        }
    }

    /// A token endpoint by its URL, with this grant.
    pub(crate) fn endpoint(&self, grant: impl Grant) -> TokenEndpointBuilder {
        TokenEndpoint::builder(&self.urls.token, grant)
    }

    /// The client credentials grant, for the scope of this server.
    pub(crate) fn credentials(&self, auth: ClientAuth) -> TokenEndpointBuilder {
        self.endpoint(ClientCredentials::new()).client_auth(auth).scope(self.profile.scope)
    }

    /// The client for cases where it does not matter which.
    pub(crate) fn client(&self) -> Result<&Client> {
        self.clients.get(self.profile.client)
    }

    pub(crate) fn provider(&self, source: TokenEndpoint) -> Result<TokenProvider> {
        self.provider_on(source, Platform::system())
    }

    pub(crate) fn provider_on(&self, source: TokenEndpoint, platform: Platform) -> Result<TokenProvider> {
        Ok(TokenProvider::builder(source).allow_origin(&self.api.origin).platform(platform).build()?)
    }

    /// Calls the API through both callers. Returns what the API says of the token.
    pub(crate) async fn call_both(&self, provider: &TokenProvider) -> Result<Result<Value, Error>> {
        let mut last = Value::Null;
        for name in NAMES {
            let caller = Caller::new(name, provider.clone())?;
            match caller.get(&self.api.url(name)).await? {
                Ok((StatusCode::OK, about)) => last = about,
                Ok((status, about)) => bail!("the API responded with {status} to {name}: {about}"),
                Err(error) => return Ok(Err(error)),
            }
        }
        for name in NAMES {
            let seen = self.api.take(name);
            self.markers.extend(seen.tokens);
            ensure!(seen.refused == 0, "the API refused a token from {name}");
        }
        Ok(Ok(last))
    }

    /// A flow: both callers get through to the API, or the server is known to lack it.
    pub(crate) async fn flow(&self, case: &str, source: Result<TokenEndpoint>, check: impl Fn(&Value) -> Result<()>) {
        let provider = source.and_then(|source| self.provider(source));
        self.flow_of(case, provider, check).await;
    }

    pub(crate) async fn flow_of(
        &self,
        case: &str,
        provider: Result<TokenProvider>,
        check: impl Fn(&Value) -> Result<()>,
    ) {
        let outcome = self.try_flow(case, provider, check).await;
        self.note(Table::Flows, case, outcome);
    }

    async fn try_flow(
        &self,
        case: &str,
        provider: Result<TokenProvider>,
        check: impl Fn(&Value) -> Result<()>,
    ) -> Result<String> {
        let expect = self.profile.expect(case, Expect::Token);
        if let Expect::Absent(why) = expect {
            return Ok(format!("not offered: {why}"));
        }
        let called = self.call_both(&provider?).await?;
        match (expect, called) {
            (Expect::Token, Ok(about)) => {
                check(&about)?;
                Ok(format!("{PASSED}, by {}", about["verified"].as_str().unwrap_or_default()))
            }
            (Expect::Unchecked, Ok(about)) => {
                ensure!(check(&about).is_err(), "the server is expected to ignore it, and does not: {about}");
                Ok("not offered: ignored".to_owned())
            }
            (Expect::Fault, Err(error)) => self.fault(&error),
            (Expect::Refused(code), Err(error)) => {
                self.check_refusal(case, &error, code, &[])?;
                Ok(match code {
                    "" => "not offered: refused, no code".to_owned(),
                    code => format!("not offered: `{code}`"),
                })
            }
            (_, Ok(about)) => bail!("found a token where a refusal was expected: {about}"),
            (_, Err(error)) => Err(described(&error)),
        }
    }

    /// A mistake: the server refuses, and the error says what to change.
    pub(crate) async fn mistake(
        &self,
        case: &str,
        usual: &'static str,
        advice: &[&str],
        provider: Result<TokenProvider>,
    ) {
        let outcome = self.try_mistake(case, usual, advice, provider).await;
        self.note(Table::Failures, case, outcome);
    }

    async fn try_mistake(
        &self,
        case: &str,
        usual: &'static str,
        advice: &[&str],
        provider: Result<TokenProvider>,
    ) -> Result<String> {
        let expect = self.profile.expect(case, Expect::Refused(usual));
        if let Expect::Absent(why) = expect {
            return Ok(format!("not offered: {why}"));
        }
        let called = self.call_both(&provider?).await?;
        match (expect, called) {
            (Expect::Unchecked, Ok(_)) => Ok("not checked".to_owned()),
            (Expect::Fault, Err(error)) => self.fault(&error),
            (Expect::Refused(code), Err(error)) => {
                self.check_refusal(case, &error, code, advice)?;
                Ok(match code {
                    "" => "refused, no code".to_owned(),
                    code => format!("`{code}`"),
                })
            }
            (_, Ok(about)) => bail!("found a token where a refusal was expected: {about}"),
            (_, Err(error)) => Err(described(&error)),
        }
    }

    /// A server that fails where it should refuse: an outage to the user.
    fn fault(&self, error: &Error) -> Result<String> {
        ensure!(error.kind() == ErrorKind::Unavailable && error.is_transient(), "the kind is {:?}", error.kind());
        self.markers.check(error)?;
        Ok("server error".to_owned())
    }

    /// Checks the error that the user sees: kind, code, advice, no secret.
    pub(crate) fn check_refusal(&self, case: &str, error: &Error, code: &str, advice: &[&str]) -> Result<()> {
        let message = error.to_string();
        ensure!(error.kind() == ErrorKind::Refused, "the kind is {:?}: {message}", error.kind());
        ensure!(error.retry() == Retry::AfterChange, "the retry advice is {:?}: {message}", error.retry());
        ensure!(error.oauth_code().unwrap_or_default() == code, "the code is {:?}: {message}", error.oauth_code());
        ensure!(message.contains(code), "the message does not name {code}: {message}");
        // The server is in the sentence, or in the name that the source suggests.
        let named = message.contains(&self.origin) || error.provider().is_some_and(|name| name.contains(&self.origin));
        ensure!(named, "neither the message nor the provider's name has the server: {message}");
        for part in advice {
            ensure!(message.contains(part), "the advice lacks {part:?}: {message}");
        }
        self.markers.check(error)?;
        self.show(case, error);
        Ok(())
    }

    /// Keeps the message for the page, once for each distinct sentence.
    pub(crate) fn show(&self, case: &str, error: &Error) {
        let message = error.to_string();
        let message = message.replace(&self.origin, "https://as.example.com");
        let mut message = message.replace(&self.api.origin, "https://api.example.com");
        // A clock that is an hour behind is measured to the second.
        for seconds in 3590..=3610 {
            message = message.replace(&format!("{seconds} s behind"), "3600 s behind");
        }
        let mut results = self.results.borrow_mut();
        if results.errors.iter().any(|shown| shown.message == message) {
            return;
        }
        let (kind, code) = (format!("{:?}", error.kind()), error.oauth_code().map(str::to_owned));
        results.errors.push(ShownError { case: case.to_owned(), kind, code, message });
    }

    /// Adds a cell, or a failure.
    pub(crate) fn note(&self, table: Table, case: &str, outcome: Result<String>) {
        match outcome {
            Ok(cell) => self.results.borrow_mut().add(table, case, cell),
            Err(error) => {
                println!("  FAILED: {table:?}: {case}: {error:#}");
                self.failed.borrow_mut().push(format!("{table:?}: {case}: {error:#}"));
                self.results.borrow_mut().add(table, case, "**failed**");
            }
        }
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        self.failed.borrow().clone()
    }

    /// Revokes a token (RFC 7009) as the client that it was issued to.
    pub(crate) async fn revoke(&self, client: &Client, token: &str) -> Result<()> {
        let url = self.urls.revocation.as_deref().context("the server has no revocation endpoint")?;
        let request = self.http.post(url).form(&json!({ "token": token, "token_type_hint": "access_token" }));
        let response = request.basic_auth(&client.id, client.secret()).send().await?;
        let status = response.status();
        ensure!(status.is_success(), "revocation responded with {status}: {}", response.text().await?);
        Ok(())
    }
}

/// An unexpected error, with everything that helps to find its cause.
pub(crate) fn described(error: &Error) -> anyhow::Error {
    let description = error.server_description().unwrap_or_default();
    anyhow::anyhow!("unexpected {:?}: {error:#}; the server says {description:?}", error.kind())
}
