//! Facts about keys without a provider.
//!
//! Without them, a bounded map would undo every backoff: a failing tenant is evicted, comes back with a new provider,
//! and fetches at once. A client that invents enough keys could force that on all of them. So a cool-down outlives its
//! entry, for up to twice as many keys as there are places, and so does the error of a build function, for as many
//! again.
//!
//! The two are kept apart. A client that invents keys makes as many failed builds as it likes, and none of them takes
//! the place of a cool-down.

use std::{borrow::Borrow, collections::VecDeque, mem};

/// A few facts by key. New ones replace the oldest. There are so few that a search looks at each.
pub(crate) struct Forgotten<K, F> {
    facts: VecDeque<(K, F)>,
    capacity: usize,
}

impl<K: Eq, F> Forgotten<K, F> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Forgotten { facts: VecDeque::new(), capacity }
    }

    pub(crate) fn get<Q: Eq + ?Sized>(&self, key: &Q) -> Option<&F>
    where
        K: Borrow<Q>,
    {
        self.facts.iter().find(|(other, _)| other.borrow() == key).map(|(_, fact)| fact)
    }

    pub(crate) fn take<Q: Eq + ?Sized>(&mut self, key: &Q) -> Option<F>
    where
        K: Borrow<Q>,
    {
        let place = self.facts.iter().position(|(other, _)| other.borrow() == key)?;
        self.facts.remove(place).map(|(_, fact)| fact)
    }

    /// Forgets everything, and returns it.
    pub(crate) fn take_all(&mut self) -> VecDeque<(K, F)> {
        mem::take(&mut self.facts)
    }

    /// Remembers a fact, and gives what it replaces.
    pub(crate) fn put(&mut self, key: K, fact: F) -> Option<(K, F)> {
        let same = self.facts.iter().position(|(other, _)| *other == key);
        let replaced = match same {
            Some(place) => self.facts.remove(place),
            None if self.facts.len() >= self.capacity => self.facts.pop_front(),
            None => None,
        };
        self.facts.push_back((key, fact));
        replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_fact_makes_room() {
        let mut facts = Forgotten::with_capacity(2);
        assert_eq!(facts.put("a", 1), None);
        assert_eq!(facts.put("b", 2), None);
        assert_eq!(facts.put("a", 3), Some(("a", 1)), "the same key is replaced, and is the newest now");
        assert_eq!(facts.put("c", 4), Some(("b", 2)));
        assert_eq!((facts.get("a"), facts.get("b"), facts.get("c")), (Some(&3), None, Some(&4)));
        assert_eq!((facts.take("a"), facts.take("a")), (Some(3), None));
    }
}
