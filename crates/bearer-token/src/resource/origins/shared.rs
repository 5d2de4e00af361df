//! One rule for all providers that were given the same origins.

use std::sync::Arc;

use super::Origins;
use crate::sync::{Mutex, lock};

/// The rules of many providers, equal ones once. So a warm request of any of them finds its rule in the processor's
/// caches.
#[derive(Default)]
pub(crate) struct SharedOrigins(Mutex<Vec<Arc<Origins>>>);

/// The most rules that are compared. With more of them, each provider has its own.
const MOST_SHARED: usize = 16;

impl SharedOrigins {
    /// The rule, shared with all providers that have an equal one.
    pub(crate) fn shared(&self, rule: Origins) -> Arc<Origins> {
        let mut rules = lock(&self.0);
        if let Some(same) = rules.iter().find(|other| other.is_same(&rule)) {
            return same.clone();
        }
        let rule = Arc::new(rule);
        if rules.len() < MOST_SHARED {
            rules.push(rule.clone());
        }
        rule
    }
}
