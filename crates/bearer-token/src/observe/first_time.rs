//! Which of many things are seen for the first time.
//!
//! For warnings that would repeat with each request. A request to an origin that gets no token is a warning once for
//! each origin, and then an event at debug level.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::sync::{Mutex, lock};

/// Remembers the hashes of the first values that were seen, up to a limit. So a server cannot make it grow.
///
/// Hashes, because a value may be long, or be shown nowhere else. Two values with one hash cost a warning at most. The
/// hasher has a fixed seed on purpose: a list of 64 is searched, not a table, so nothing is gained by collisions.
pub(crate) struct FirstTimes(Mutex<Vec<u64>>);

impl FirstTimes {
    /// More origins than a client of an API meets, except by mistake or by hostile redirects.
    const LIMIT: usize = 64;

    /// Nothing was seen.
    pub(crate) fn new() -> Self {
        FirstTimes(Mutex::new(Vec::new()))
    }

    /// Whether this is seen for the first time. Beyond the limit nothing is.
    pub(crate) fn is_first(&self, thing: impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        thing.hash(&mut hasher);
        let hash = hasher.finish();
        let mut seen = lock(&self.0);
        if seen.len() >= Self::LIMIT || seen.contains(&hash) {
            return false;
        }
        seen.push(hash);
        true
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_first_once_and_memory_is_bounded() {
        let seen = FirstTimes::new();
        assert!(seen.is_first("a") && seen.is_first("b"));
        assert!(!seen.is_first("a") && !seen.is_first("b"));
        let firsts = (0..1_000).filter(|number| seen.is_first(number)).count();
        assert_eq!(firsts, FirstTimes::LIMIT - 2);
        assert_eq!(lock(&seen.0).len(), FirstTimes::LIMIT);
    }
}
