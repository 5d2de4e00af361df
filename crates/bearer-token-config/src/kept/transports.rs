//! The HTTP clients of a keyed configuration, one for all keys with equal settings.

use std::{
    collections::BTreeMap,
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bearer_token::transport::HttpTransport;
use zeroize::Zeroizing;

/// Clients by the place of their settings and the values of the variables in them.
///
/// A client has connections and a set of CAs of its own, which take about 140 KiB. It is dropped with the last provider
/// that uses it.
#[derive(Default)]
pub(crate) struct Transports(Mutex<Clients>);

#[derive(Default)]
struct Clients {
    by_settings: BTreeMap<Settings, Weak<HttpTransport>>,
    /// From this number of entries on, those of dropped clients are removed.
    next_sweep: usize,
}

/// The settings of one client, within one configuration.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Settings(Vec<u8>);

impl Settings {
    /// The settings at a place, which depend on no other variables than these.
    pub(crate) fn new<'v>(place: &str, variables: impl IntoIterator<Item = (&'v str, &'v str)>) -> Self {
        let mut bytes = Vec::new();
        let parts = variables.into_iter().flat_map(|(name, value)| [name, value]);
        for part in iter::once(place).chain(parts) {
            // With their lengths, so no two lists have the same bytes.
            bytes.extend_from_slice(&part.len().to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Settings(bytes)
    }
}

/// The value of a variable may be a private key.
impl Drop for Settings {
    fn drop(&mut self) {
        drop(Zeroizing::new(std::mem::take(&mut self.0)));
    }
}

impl Transports {
    /// The client with these settings, if a provider uses one.
    pub(crate) fn get(&self, settings: &Settings) -> Option<Arc<HttpTransport>> {
        self.clients().by_settings.get(settings)?.upgrade()
    }

    /// Keeps a client, and returns the one that is kept: another key may have been quicker.
    pub(crate) fn keep(&self, settings: Settings, transport: HttpTransport) -> Arc<HttpTransport> {
        let mut clients = self.clients();
        if let Some(kept) = clients.by_settings.get(&settings).and_then(Weak::upgrade) {
            return kept;
        }
        if clients.by_settings.len() >= clients.next_sweep {
            clients.by_settings.retain(|_, client| client.strong_count() > 0);
            clients.next_sweep = 2 * clients.by_settings.len().max(8);
        }
        let transport = Arc::new(transport);
        clients.by_settings.insert(settings, Arc::downgrade(&transport));
        transport
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_tenant(number: usize) -> Settings {
        Settings::new("token_endpoint", [("tenant", number.to_string().as_str())])
    }

    #[test]
    fn a_client_is_kept_while_a_provider_uses_it() {
        let transports = Transports::default();
        let first = transports.keep(of_tenant(1), HttpTransport::new());
        assert!(Arc::ptr_eq(&first, &transports.keep(of_tenant(1), HttpTransport::new())));
        assert!(Arc::ptr_eq(&first, &transports.get(&of_tenant(1)).unwrap()));
        assert!(transports.get(&of_tenant(2)).is_none());
        drop(first);
        assert!(transports.get(&of_tenant(1)).is_none());
    }

    #[test]
    fn settings_of_dropped_clients_are_forgotten() {
        let transports = Transports::default();
        let used = transports.keep(of_tenant(0), HttpTransport::new());
        for number in 1..1_000 {
            drop(transports.keep(of_tenant(number), HttpTransport::new()));
            assert!(transports.clients().by_settings.len() <= 17);
        }
        assert!(Arc::ptr_eq(&used, &transports.get(&of_tenant(0)).unwrap()));
    }

    #[test]
    fn different_lists_of_variables_are_different_settings() {
        let lists = [
            Settings::new("a", []),
            Settings::new("ab", []),
            Settings::new("a", [("b", "")]),
            Settings::new("a", [("", "b")]),
            Settings::new("a", [("b", "c"), ("d", "e")]),
            Settings::new("a", [("b", "c"), ("de", "")]),
        ];
        for (place, one) in lists.iter().enumerate() {
            assert!(lists.iter().skip(place + 1).all(|other| one != other), "{place}");
        }
    }
}
