//! A build without the feature `redis` knows no store.

use bearer_token::{
    Advice, Problem,
    shared::{FleetBuilder, SealingKeys},
};

/// The problem that there is none.
pub(super) fn builder(_: &str, _: SealingKeys) -> Result<FleetBuilder, Problem> {
    let problem = Problem::new("url", "found the URL of a store, and no store was compiled in");
    let problem = problem.advise(Advice::Feature("redis"));
    Err(problem.advise(Advice::text("give the store in code: `ProviderConfig::fleet`")))
}
