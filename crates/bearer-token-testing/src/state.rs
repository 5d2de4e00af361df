//! The state that the handles, connections and endpoints of one server share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bearer_token::platform::{BoxFuture, Clock, Moment, SystemClock};

use crate::{
    assertion::UsedAssertions,
    behaviour::Behaviour,
    issue::{IssuedTokens, Tokens},
    record::{Counts, Endpoint, Log},
    refresh::Families,
    registration::{Client, Issuer},
    tally::Tally,
    test_key::TestKey,
};

pub(crate) struct ServerState {
    pub(crate) clock: Arc<dyn Clock>,
    /// `http://127.0.0.1:PORT`, without a trailing slash.
    pub(crate) issuer: String,
    pub(crate) token_endpoint: Behaviour,
    pub(crate) api: Behaviour,
    pub(crate) counts: Tally<Counts>,
    log: Mutex<Log>,
    registry: Mutex<Registry>,
}

/// The registered clients and issuers, and the issued tokens.
pub(crate) struct Registry {
    pub(crate) clients: HashMap<String, Arc<Client>>,
    pub(crate) issuers: HashMap<String, Arc<Issuer>>,
    /// Other names of the `jwt-bearer` grant.
    pub(crate) jwt_bearer_names: Vec<String>,
    pub(crate) tokens: Tokens,
    pub(crate) issued: IssuedTokens,
    pub(crate) used: UsedAssertions,
    pub(crate) refresh: Families,
    /// The `claims` with which tokens must have been requested.
    pub(crate) demanded_claims: Option<String>,
    /// Whether token requests may be in JSON or in a query, and without a grant type.
    pub(crate) accepts_other_requests: bool,
}

impl ServerState {
    pub(crate) fn new(clock: Arc<dyn Clock>, issuer: String, key: TestKey) -> Self {
        let registry = Registry {
            clients: HashMap::new(),
            issuers: HashMap::new(),
            jwt_bearer_names: Vec::new(),
            tokens: Tokens::default(),
            issued: IssuedTokens::new(key, issuer.clone(), format!("{issuer}/api")),
            used: UsedAssertions::default(),
            refresh: Families::default(),
            demanded_claims: None,
            accepts_other_requests: false,
        };
        ServerState {
            clock,
            issuer,
            token_endpoint: Behaviour::default(),
            api: Behaviour::default(),
            counts: Tally::default(),
            log: Mutex::default(),
            registry: Mutex::new(registry),
        }
    }

    pub(crate) fn token_url(&self) -> String {
        format!("{}/token", self.issuer)
    }

    /// The time since 1970.
    pub(crate) fn now(&self) -> Duration {
        self.clock.now().since_epoch()
    }

    pub(crate) fn behaviour(&self, endpoint: Endpoint) -> &Behaviour {
        match endpoint {
            Endpoint::Token => &self.token_endpoint,
            Endpoint::Api => &self.api,
        }
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The system's clocks, with a precise time of day.
///
/// With the coarse time, the server would find the `iat` of a client with a precise clock in the future.
pub(crate) struct PreciseClock;

impl Clock for PreciseClock {
    #[allow(clippy::disallowed_methods, reason = "this is a clock")]
    fn now(&self) -> Moment {
        Moment::new(SystemClock.now().monotonic(), SystemTime::now())
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        SystemClock.sleep_until(deadline)
    }
}
