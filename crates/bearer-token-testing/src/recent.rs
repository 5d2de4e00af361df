//! A bounded memory.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// The number of entries of each kind that the server remembers, whatever clients send.
pub(crate) const LIMIT: usize = 100_000;

/// Remembers the latest entries and forgets the oldest.
pub(crate) struct Recent<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
    limit: usize,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        Recent { entries: HashMap::new(), order: VecDeque::new(), limit }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.limit {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// Forgets everything, and returns the keys.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = K> + use<K, V> {
        self.entries.clear();
        std::mem::take(&mut self.order).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_are_forgotten() {
        let mut recent = Recent::new(2);
        for key in [1, 2, 2, 3] {
            recent.insert(key, ());
        }
        assert_eq!([1, 2, 3].map(|key| recent.get(&key).is_some()), [false, true, true]);
        assert_eq!(recent.drain().collect::<Vec<_>>(), [2, 3]);
        assert!(recent.get(&3).is_none());
    }
}
