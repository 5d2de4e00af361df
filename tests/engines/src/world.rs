//! An authorization server, the keys of a fleet, and the jobs of its replicas.

use std::time::Duration;

use bearer_token_testing::{AuthorizationServer, Client, Tokens};
use tempfile::NamedTempFile;

use crate::{
    job::{Job, Store},
    until,
};

/// The key that seals the records of every fleet here.
pub const KEY: &str = "bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=";

/// What all replicas of a fleet have, apart from their store.
pub struct World {
    pub server: AuthorizationServer,
    pub keys: NamedTempFile,
}

impl World {
    /// A server whose tokens live for this time. It knows the clients `fleet` (`MARKER-secret`) and `app` (public).
    pub fn new(lifetime: Duration) -> Self {
        let server = AuthorizationServer::start().unwrap();
        server.register(Client::secret("fleet", "MARKER-secret"));
        server.register(Client::public("app"));
        server.issue(Tokens::opaque().lifetime(lifetime));
        let keys = NamedTempFile::new().unwrap();
        std::fs::write(keys.path(), format!("{KEY}\n")).unwrap();
        World { server, keys }
    }

    /// The job of a replica that sends ten requests a second. The clock of its host is right.
    pub fn job(&self, store: Store) -> Job {
        Job {
            store,
            keys: self.keys.path().to_owned(),
            token_url: self.server.token_url(),
            api_url: self.server.api_url(),
            clock_offset: 0,
            every_ms: 100,
            fault: None,
        }
    }

    /// The number of token requests until now.
    pub fn requests(&self) -> u64 {
        self.server.count().token_requests
    }

    /// Runs for a time; returns the number of token requests in it.
    pub async fn during(&self, what: &str, time: Duration) -> u64 {
        let before = self.requests();
        tokio::time::sleep(time).await;
        let requests = self.requests() - before;
        println!("{what}: {requests} token requests in {time:?}");
        requests
    }

    /// Waits until another token was issued.
    pub async fn next_token(&self) {
        let issued = || self.server.count().tokens_issued;
        let before = issued();
        until("another token", Duration::from_secs(30), async || issued() > before).await;
    }
}
