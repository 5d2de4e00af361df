//! What a keyed configuration keeps for all its providers: keys and sources that depend on no variable, and transports with
//! equal settings.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bearer_token::{TokenProvider, jwt::SigningKey};

#[cfg(feature = "http-transport")]
mod transports;

#[cfg(feature = "http-transport")]
pub(crate) use self::transports::Settings;

/// Keys by their paths, and sources by their names.
#[derive(Default)]
pub(crate) struct Kept {
    keys: Mutex<BTreeMap<String, SigningKey>>,
    sources: Mutex<BTreeMap<String, TokenProvider>>,
    #[cfg(feature = "http-transport")]
    pub(crate) transports: transports::Transports,
}

impl Kept {
    pub(crate) fn key(&self, path: &str) -> Option<SigningKey> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// Keeps a key, and returns the one that is kept: another request may have been quicker.
    pub(crate) fn keep_key(&self, path: String, key: SigningKey) -> SigningKey {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_insert(key).clone()
    }

    pub(crate) fn source(&self, name: &str) -> Option<TokenProvider> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Keeps a source, and returns the one that is kept: another key may have been quicker.
    pub(crate) fn keep_source(&self, name: &str, source: TokenProvider) -> TokenProvider {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_insert(source).clone()
    }
}
