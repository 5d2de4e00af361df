//! The engine that a URL names.

use bearer_token::{
    Advice, Problem,
    oauth::RefreshToken,
    shared::{Fleet, FleetBuilder, SealingKeys},
};

use super::refresh_token::Times;

#[cfg_attr(not(feature = "postgres"), path = "store/no_postgres.rs")]
mod postgres;
#[cfg_attr(not(feature = "redis"), path = "store/no_redis.rs")]
mod redis;

/// What is accepted although a crash of the store's host may lose writes, and what is demanded.
#[derive(Clone, Copy)]
pub(super) struct Durability {
    pub(super) test_server: bool,
    pub(super) whole_pages: bool,
    pub(super) synchronous_standby: bool,
}

/// A store on one of the engines. Clones share its connection.
pub(super) enum Store {
    Postgres(postgres::Store),
    Redis(redis::Store),
}

impl Store {
    /// The store with this URL. Nothing is sent yet.
    pub(super) fn open(url: &str, durability: Durability) -> Result<Self, Problem> {
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

    pub(super) fn fleet(&self, keys: SealingKeys) -> FleetBuilder {
        match self {
            Store::Postgres(store) => Fleet::builder(store.clone(), keys),
            Store::Redis(store) => Fleet::builder(store.clone(), keys),
        }
    }

    /// The grant on the refresh token with this name.
    pub(super) fn refresh_token(&self, keys: SealingKeys, name: String, times: Times) -> RefreshToken {
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
