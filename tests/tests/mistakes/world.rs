//! A server in a box, a clock, and providers made from configurations.

use std::{future::Future, time::Duration};

use bearer_token::{Bearer, Error, TokenProvider, platform::Platform};
use bearer_token_config::ProviderConfig;
use bearer_token_testing::{AuthorizationServer, Client, Issuer, ManualClock, TestKey};

use crate::{
    events::events,
    row::{PROVIDER, Told},
};

pub(crate) const SECRET: &str = "planted-client-secret-of-32-bytes";

/// A server that knows one client and one issuer of assertions, and the clock of all.
pub(crate) struct World {
    pub(crate) server: AuthorizationServer,
    pub(crate) clock: ManualClock,
    pub(crate) key: TestKey,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new();
        let server = AuthorizationServer::builder().clock(clock.clone()).start().unwrap();
        let key = TestKey::es256().unwrap();
        server.register(Client::secret("reports", SECRET));
        server.trust(Issuer::new("app", key.verifying_key()));
        World { server, clock, key }
    }

    /// A configuration of the grant `client_credentials` that works.
    pub(crate) fn client(&self) -> String {
        let url = self.server.token_url();
        let client = format!("[token_endpoint.client]\nid = \"reports\"\nsecret = {{ value = \"{SECRET}\" }}");
        format!(
            "name = \"{PROVIDER}\"\nallow_origins = [\"https://api.example.com\"]\n[token_endpoint]\nurl = \"{url}\"\n{client}"
        )
    }

    /// A configuration of the grant `jwt-bearer` that works.
    pub(crate) fn assertion(&self) -> String {
        let (url, pem) = (self.server.token_url(), self.key.private_pem());
        let claims = format!("issuer = \"app\"\nsubject = \"alice\"\naudience = \"{url}\"");
        let jwt = format!("[jwt]\nalgorithm = \"ES256\"\nkey = '''{pem}'''\n{claims}");
        format!(
            "name = \"{PROVIDER}\"\nallow_origins = [\"https://api.example.com\"]\n[token_endpoint]\nurl = \"{url}\"\n{jwt}"
        )
    }

    /// A provider on the world's clock.
    pub(crate) fn provider(&self, toml: &str) -> Result<TokenProvider, Error> {
        let platform = Platform::system().with_clock(self.clock.clone());
        ProviderConfig::from_toml(toml)?.builder().platform(platform).build()
    }

    /// What is told, in errors and events, of the first token with this configuration.
    pub(crate) fn told(&self, toml: &str) -> Told {
        let (result, events) = events(|| run(self.provider(toml)?.token()));
        explained(&result).with_event(&events)
    }

    /// The same. The clock is moved once the token request has arrived.
    pub(crate) fn told_with_clock(&self, toml: &str, then: impl FnOnce(&ManualClock)) -> Told {
        let (result, events) = events(|| {
            let provider = self.provider(toml)?;
            run(async {
                let token = tokio::spawn(provider.token());
                self.server.wait_for_token_requests(1).await;
                then(&self.clock);
                token.await.unwrap()
            })
        });
        explained(&result).with_event(&events)
    }
}

/// The message, and what the server said of its reasons.
pub(crate) fn explained(result: &Result<Bearer, Error>) -> Told {
    Told::result(result.as_ref().map_err(Clone::clone))
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), future).await.expect("it hangs") })
}
