//! The authorization server, its API, and their clock.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use bearer_token::{ErrorKind, platform::Platform};
use bearer_token_testing::{AuthorizationServer, Client, Counts, Endpoint, Issuer, ManualClock, TestKey};
use http::HeaderValue;

use crate::{
    clients::{ApiClient, Outcome},
    crowd::{Crowd, patience},
    seen::Seen,
};

/// The issuer of self-signed JWTs and assertions.
pub(crate) const ISSUER: &str = "reports@example.com";
/// The client that gets tokens for itself.
pub(crate) const CLIENT: &str = "billing";

pub(crate) struct Stage {
    pub(crate) server: AuthorizationServer,
    /// A manual clock, so tokens expire without real waiting.
    pub(crate) clock: ManualClock,
    known: Mutex<HashSet<HeaderValue>>,
}

impl Stage {
    pub(crate) fn set() -> anyhow::Result<Self> {
        let clock = ManualClock::new();
        let server = AuthorizationServer::builder().clock(clock.clone()).start()?;
        let key = TestKey::es256()?.verifying_key();
        server.trust(Issuer::new(ISSUER, key.clone()).self_signed_audience(server.api_url()));
        server.register(Client::private_key_jwt(CLIENT, key));
        Ok(Stage { server, clock, known: Mutex::default() })
    }

    pub(crate) fn platform(&self) -> Platform {
        Platform::system().with_clock(self.clock.clone())
    }

    /// Starts requests to the API.
    pub(crate) async fn crowd(&self, clients: &[ApiClient], each: usize) -> Crowd {
        Crowd::start(clients, each, &format!("{}/orders", self.server.api_url())).await
    }

    /// Starts an observation.
    pub(crate) fn watch(&self) -> Watch<'_> {
        self.server.forget_requests();
        Watch { stage: self, before: self.server.count() }
    }
}

/// An observation of the server over a period.
pub(crate) struct Watch<'a> {
    stage: &'a Stage,
    before: Counts,
}

impl Watch<'_> {
    /// Completes when this many requests have arrived at the API, or after a long time.
    pub(crate) async fn arrived(&self, requests: u64) {
        let all = self.before.api_requests + requests;
        tokio::select! {
            _ = self.stage.server.wait_for(|now| now.api_requests >= all) => {}
            () = patience() => {}
        }
    }

    /// The observation, once all expected token requests have arrived and no more than expected are without a response.
    /// After a long time, whatever was seen so far.
    pub(crate) async fn see(self, outcomes: &[Outcome], expected: Seen) -> Seen {
        let Watch { stage, before } = self;
        let complete = stage.server.wait_for(|now| {
            let arrived = now.token_requests >= before.token_requests + expected.token_requests;
            arrived && now.token_requests_running <= expected.hanging
        });
        let counts = tokio::select! {
            counts = complete => counts,
            () = patience() => stage.server.count(),
        };
        let bearers: HashSet<HeaderValue> = stage
            .server
            .requests()
            .iter()
            .filter(|request| request.endpoint() == Endpoint::Api)
            .filter_map(|request| request.headers().get(http::header::AUTHORIZATION).cloned())
            .collect();
        let mut known = stage.known.lock().unwrap_or_else(PoisonError::into_inner);
        let new_bearers = bearers.difference(&known).count();
        known.extend(bearers.iter().cloned());

        let replied = |status: u16| {
            let is_it = |outcome: &&Outcome| matches!(outcome, Outcome::Replied(reply) if *reply == status);
            outcomes.iter().filter(is_it).count()
        };
        let unavailable =
            |outcome: &&Outcome| matches!(outcome, Outcome::NoToken(error) if error.kind() == ErrorKind::Unavailable);
        Seen {
            requests: outcomes.len(),
            ok: replied(200),
            unauthorized: replied(401),
            no_token: outcomes.iter().filter(unavailable).count(),
            sent: counts.api_requests - before.api_requests,
            token_requests: counts.token_requests - before.token_requests,
            hanging: counts.token_requests_running,
            bearers: bearers.len(),
            new_bearers,
        }
    }
}
