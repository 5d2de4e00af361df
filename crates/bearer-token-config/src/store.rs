//! The store that replicas share: its engine, which a URL names, and what is kept there.

use std::time::Duration;

use bearer_token::{
    Advice, Problem,
    oauth::RefreshToken,
    shared::{Fleet, FleetBuilder, SealingKeys, SharedRefreshToken},
    store::SharedStore,
};

#[cfg_attr(not(feature = "postgres"), path = "store/no_postgres.rs")]
mod postgres;
#[cfg_attr(not(feature = "redis"), path = "store/no_redis.rs")]
mod redis;

/// What is accepted although a crash of the store's host may lose writes, and what is demanded.
#[derive(Clone, Copy)]
pub(crate) struct Durability {
    pub(crate) test_server: bool,
    pub(crate) whole_pages: bool,
    pub(crate) synchronous_standby: bool,
}

/// When a refresh token is sent again whose response was lost.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) reusable_within: Option<Duration>,
    pub(crate) resend_after: Option<Duration>,
}

impl Times {
    fn grant(self, store: impl SharedStore, keys: SealingKeys, name: String) -> RefreshToken {
        let mut tokens = SharedRefreshToken::new(store, keys, name);
        if let Some(period) = self.reusable_within {
            tokens = tokens.reusable_within(period);
        }
        if let Some(time) = self.resend_after {
            tokens = tokens.resend_after(time);
        }
        RefreshToken::new(tokens)
    }
}

/// A store on one of the engines. Clones share its connection.
pub(crate) enum Store {
    Postgres(postgres::Store),
    Redis(redis::Store),
}

impl Store {
    /// The store with this URL. Nothing is sent yet.
    pub(crate) fn open(url: &str, durability: Durability) -> Result<Self, Problem> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => postgres::open(url, durability).map(Store::Postgres),
            Some(_) if durability.test_server => Err(for_postgresql_only("test_server")),
            Some(_) if durability.whole_pages => Err(for_postgresql_only("whole_pages")),
            Some(_) if durability.synchronous_standby => Err(for_postgresql_only("synchronous_standby")),
            Some("redis" | "rediss" | "redis+unix" | "unix" | "valkey" | "valkeys" | "valkey+unix") => {
                redis::open(url).map(Store::Redis)
            }
            // The URL may contain a password, and is not repeated.
            _ => Err(Problem::new("url", "found another URL than that of a store")
                .expecting("one that begins with `redis://`, `rediss://` or `postgres://`")),
        }
    }

    pub(crate) fn fleet(&self, keys: SealingKeys) -> FleetBuilder {
        match self {
            Store::Postgres(store) => Fleet::builder(store.clone(), keys),
            Store::Redis(store) => Fleet::builder(store.clone(), keys),
        }
    }

    /// The grant on the refresh token with this name.
    pub(crate) fn refresh_token(&self, keys: SealingKeys, name: String, times: Times) -> RefreshToken {
        match self {
            Store::Postgres(store) => times.grant(store.clone(), keys, name),
            Store::Redis(store) => times.grant(store.clone(), keys, name),
        }
    }
}

/// The problem that a field says nothing about this store.
fn for_postgresql_only(field: &'static str) -> Problem {
    Problem::new(field, "found `true` for a store that is not PostgreSQL").expecting("nothing")
}

/// The problem that a build without this feature does not know the store.
#[allow(dead_code, reason = "a build with all engines lacks none")]
fn not_compiled_in(feature: &'static str) -> Problem {
    let problem = Problem::new("url", "found the URL of a store that was not compiled in");
    let problem = problem.advise(Advice::Feature(feature));
    problem.advise(Advice::text("give the store in code: `ProviderConfig::fleet`"))
}
