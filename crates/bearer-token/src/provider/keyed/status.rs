//! The status of a map of providers.

use std::hash::Hash;

use super::KeyedProviders;
use crate::provider::{ProviderState, ProviderStatus};

/// The state of all providers of a map at about one moment, for health checks and dashboards.
///
/// ```
/// use bearer_token::{KeyedProviders, StaticToken, TokenProvider};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
/// let tenants = KeyedProviders::builder(|tenant: &String| {
///     Ok(TokenProvider::builder(StaticToken::new(format!("token-of-{tenant}"))))
/// })
/// .build()?;
/// tenants.token("acme")?.await?;
/// let _not_used_yet = tenants.get("umbrella")?;
/// let status = tenants.status(5);
/// assert_eq!((status.fresh, status.empty, status.failing.len()), (1, 1, 0));
/// # Ok(()) }
/// ```
///
/// The providers are looked at one after another, so the sum of the counts may differ from
/// [`len`](KeyedProviders::len).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyedStatus<K> {
    /// How many providers have a fresh bearer in service.
    pub fresh: usize,
    /// How many have one that is due to be renewed in the background.
    pub stale: usize,
    /// How many have none, and no failure: their next request waits for a fetch.
    pub empty: usize,
    /// How many have none, and refuse requests until a cool-down ends.
    pub cooling_down: usize,
    /// The providers with the most failures in a row, worst first, of those whose last fetch failed.
    pub failing: Vec<(K, ProviderStatus)>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> KeyedProviders<K> {
    /// Counts the providers by state, and names up to `most` that fail. Starts nothing.
    ///
    /// It looks at every provider: once every few seconds is cheap, at every request is not.
    pub fn status(&self, most: usize) -> KeyedStatus<K> {
        let mut all = KeyedStatus { fresh: 0, stale: 0, empty: 0, cooling_down: 0, failing: Vec::new() };
        self.inner.map.for_each(|key, provider| {
            let status = provider.status();
            match status.state {
                ProviderState::Fresh => all.fresh += 1,
                ProviderState::Stale => all.stale += 1,
                ProviderState::Empty => all.empty += 1,
                ProviderState::CoolingDown => all.cooling_down += 1,
            }
            if status.failures_in_a_row > 0 {
                let place =
                    all.failing.partition_point(|(_, other)| other.failures_in_a_row >= status.failures_in_a_row);
                if place < most {
                    all.failing.insert(place, (key.clone(), status));
                    all.failing.truncate(most);
                }
            }
        });
        all
    }
}
