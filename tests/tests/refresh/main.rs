//! Refresh tokens with a rotating server, real connections and real files.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tasks and threads, as a user's program has them")]

mod blocking;
mod interrupted;
mod processes;
mod rotation;

use std::{path::PathBuf, time::Duration};

use bearer_token::{
    Error, Policy, TokenProvider, TokenProviderBuilder,
    oauth::{ClientAuth, RefreshToken, TokenEndpoint},
    platform::Platform,
    store::{FileStore, RefreshTokenStore},
};
use bearer_token_testing::{AuthorizationServer, Client, Consent, ManualClock, RefreshTokens};
use tempfile::TempDir;

/// Longer than any cool-down.
const LATER: Duration = Duration::from_secs(301);

/// A server, a consent, and a file with its refresh token.
struct Bench {
    server: AuthorizationServer,
    clock: ManualClock,
    directory: TempDir,
}

impl Bench {
    async fn new(refresh_tokens: RefreshTokens) -> Self {
        let server = AuthorizationServer::start().unwrap();
        server.register(Client::secret("app", "a secret"));
        server.refresh_tokens(refresh_tokens);
        let bench = Bench { server, clock: ManualClock::new(), directory: tempfile::tempdir().unwrap() };
        bench.consent().await;
        bench
    }

    /// Stores a new consent, as a login program does.
    async fn consent(&self) {
        let token = self.server.consent(Consent::new("app", "alice").scope("read write")).unwrap();
        self.grant().replace(&Platform::system(), token).await.unwrap();
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("refresh.json")
    }

    fn grant(&self) -> RefreshToken {
        RefreshToken::new(FileStore::new(self.file()))
    }

    fn source(&self, grant: RefreshToken) -> TokenEndpoint {
        let builder = TokenEndpoint::builder(self.server.token_url(), grant);
        builder.client_auth(ClientAuth::basic("app", "a secret")).build().unwrap()
    }

    fn platform(&self) -> Platform {
        Platform::system().with_clock(self.clock.clone())
    }

    /// A provider with a new grant, as after a restart.
    fn provider(&self) -> TokenProvider {
        self.build(TokenProvider::builder(self.source(self.grant())))
    }

    fn build(&self, builder: TokenProviderBuilder) -> TokenProvider {
        builder.policy(Policy::default().jitter(false)).platform(self.platform()).build().unwrap()
    }

    /// The refresh token in the file.
    async fn kept(&self) -> String {
        let kept = FileStore::new(self.file()).load(&Platform::system()).await.unwrap();
        kept.unwrap().secret().to_owned()
    }

    /// The refresh tokens that the server received.
    fn sent(&self) -> Vec<String> {
        self.server.requests().iter().filter_map(|request| request.parameter("refresh_token")).collect()
    }
}

/// The status of the API's response.
async fn call(bench: &Bench, provider: &TokenProvider) -> Result<u16, Error> {
    let bearer = provider.token().await?;
    let request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(bench.server.api_url())
        .header("authorization", bearer.header_value());
    Ok(request.send().await.unwrap().status().as_u16())
}
