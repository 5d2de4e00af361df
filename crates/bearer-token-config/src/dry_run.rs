//! A dry run: all stages of a configuration, with stand-ins in place of servers.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bearer_token::{Bearer, Error, TokenProvider, oauth::TokenEndpointBuilder, transport::Transport};
use bytes::Bytes;
use http::{Request, Response};

use crate::{
    ProviderConfig,
    given::Given,
    sections::{SetTransport, StandIn},
};

/// A stage of a configuration in a [dry run](ProviderConfig::dry_run): a source, or the configuration itself.
///
/// `Debug` shows no secret.
#[derive(Clone)]
pub struct DryRun {
    stage: String,
    requests: Vec<Request<Bytes>>,
    token: Result<Bearer, Error>,
}

impl DryRun {
    /// The path of the stage's section: `sources.NAME`, or for the last stage `token_endpoint`, `jwt` or `token`.
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// The requests that the stage would send, each once: for its metadata, if there is an `issuer` without a `url`,
    /// and for its token. They contain its secrets.
    pub fn requests(&self) -> &[Request<Bytes>] {
        &self.requests
    }

    /// The token of the stage, or why it has none. After a request, it is a stand-in.
    pub fn token(&self) -> Result<&Bearer, &Error> {
        self.token.as_ref()
    }
}

impl fmt::Debug for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests: Vec<_> = self.requests.iter().map(Request::method).collect();
        let token = self.token.as_ref().map(|_| "[redacted]");
        let DryRun { stage, .. } = self;
        f.debug_struct("DryRun").field("stage", stage).field("requests", &requests).field("token", &token).finish()
    }
}

/// The requests of all stages, by the paths of their sections.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<BTreeMap<String, Vec<Request<Bytes>>>>>);

impl Recorder {
    /// A transport for each endpoint that keeps requests, and returns stand-ins.
    fn transport(&self) -> SetTransport {
        let recorder = self.clone();
        Box::new(move |builder: TokenEndpointBuilder, stand_in| {
            builder.transport(Recording { recorder: recorder.clone(), stand_in })
        })
    }

    /// Keeps a request, unless it repeats one.
    fn keep(&self, stage: &str, request: Request<Bytes>) {
        let mut stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = stages.entry(stage.to_owned()).or_default();
        let is_same = |kept: &Request<Bytes>| kept.method() == request.method() && kept.uri() == request.uri();
        if !requests.iter().any(is_same) {
            requests.push(request);
        }
    }

    /// Asks a stage for its token.
    async fn run(&self, stage: String, section: &str, provider: &TokenProvider) -> DryRun {
        let token = provider.token().await;
        let requests = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(section).unwrap_or_default();
        DryRun { stage, requests, token }
    }
}

/// The transport of one endpoint.
struct Recording {
    recorder: Recorder,
    stand_in: StandIn,
}

impl Transport for Recording {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let response = self.stand_in.response(&request);
        self.recorder.keep(&self.stand_in.section, request);
        Ok(response)
    }
}

impl ProviderConfig {
    /// Runs every stage without sending anything: the `sources` in the order in which they feed each other, then the
    /// configuration itself. In place of each server, a stand-in responds in the form that the stage expects.
    ///
    /// Nothing is written: a refresh token stays as it is.
    ///
    /// ```
    /// use bearer_token_config::ProviderConfig;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), bearer_token::Error> {
    /// let config = ProviderConfig::from_toml(r#"
    ///     allow_origins = ["https://api.example.com"]
    ///     [sources.login.token_endpoint]
    ///     url = "https://login.example.com/token"
    ///     client = { id = "reporting", secret = "correct horse battery staple" }
    ///     [token_endpoint]
    ///     url = "https://api.example.com/session"
    ///     grant_type = ""
    ///     headers = { authorization = { source = "login", prefix = "Bearer " } }
    /// "#)?;
    /// let stages = config.dry_run().await?;
    /// assert_eq!(stages[0].stage(), "sources.login");
    /// assert_eq!(stages[1].stage(), "token_endpoint");
    /// assert!(stages[1].requests()[0].headers()["authorization"].to_str().unwrap().starts_with("Bearer "));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build). A stage that fails later has its error in [`token`](DryRun::token).
    pub async fn dry_run(self) -> Result<Vec<DryRun>, Error> {
        self.dry_run_given(Given::Nothing).await
    }

    /// Runs every stage of a configuration with [variables](crate::KeyedConfig), as [`dry_run`](Self::dry_run) does.
    ///
    /// `variables` are their names and values. A fact about a request, such as `request.host`, is a variable too.
    ///
    /// # Errors
    ///
    /// As [`dry_run`](Self::dry_run); also for a variable that is missing.
    pub async fn dry_run_with<N: Into<String>, V: Into<String>>(
        self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Vec<DryRun>, Error> {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.dry_run_given(Given::Values(&variables)).await
    }

    async fn dry_run_given(mut self, given: Given<'_>) -> Result<Vec<DryRun>, Error> {
        let recorder = Recorder::default();
        self.transport = Some(recorder.transport());
        let mut fitted = self.fitted();
        fitted.is_dry_run = true;
        let last = fitted.fields.section();
        let assembled = fitted.assemble(given, None);
        let provider = assembled.builder.build()?;
        let mut stages = Vec::new();
        for (name, source) in &assembled.sources {
            let stage = format!("sources.{name}");
            stages.push(recorder.run(stage.clone(), &format!("{stage}.token_endpoint"), source).await);
        }
        stages.push(recorder.run(last.to_owned(), "token_endpoint", &provider).await);
        Ok(stages)
    }
}
