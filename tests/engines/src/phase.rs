//! One fault of a fleet, and what it may cost.
//!
//! A call to the store has 95 ms. On a machine that is busy with something else a call may take longer, and then it is
//! a fault of the store like any other: that replica fetches for itself. So each phase counts such calls and the fetches
//! that follow from them. They are added to what the phase may cost, if there are no more of these fetches than of the
//! calls. A fetch without the lease that no call explains fails the test, whatever its number.

use std::{fmt, ops::RangeInclusive, time::Instant};

use crate::{
    fleet::{Tally, Workers},
    world::World,
};

/// One fault, since it began.
pub struct Phase<'a> {
    name: &'a str,
    world: &'a World,
    pub begun: Instant,
    pub requests: u64,
    pub tally: Tally,
    /// The replicas that left the store alone when it began. Each may fetch for itself once.
    suspended: u64,
}

impl<'a> Phase<'a> {
    pub fn begin(name: &'a str, world: &'a World, workers: &Workers) -> Self {
        let (tally, suspended) = (workers.tally(), workers.suspended());
        Phase { name, world, begun: Instant::now(), requests: world.requests(), tally, suspended }
    }

    /// What happened since it began.
    pub fn so_far(&self, workers: &Workers) -> Cost {
        let now = workers.tally();
        let cost = Cost {
            requests: self.world.requests() - self.requests,
            alone: now.alone - self.tally.alone,
            needless: now.needless - self.tally.needless,
            unanswered: now.unanswered - self.tally.unanswered,
            unsaved: now.unsaved - self.tally.unsaved,
            suspended: self.suspended,
        };
        println!("{}: {cost}, in {:.1} s", self.name, self.begun.elapsed().as_secs_f64());
        cost
    }

    /// The fault costs this, and what a slow machine explains.
    pub fn costs(&self, workers: &Workers, expected: RangeInclusive<u64>) {
        self.so_far(workers).check(expected).unwrap_or_else(|wrong| panic!("{}: {wrong}", self.name));
    }

    /// Every fetch without the lease follows a call without an answer. Returns the number of token requests.
    pub fn is_explained(&self, workers: &Workers) -> u64 {
        let cost = self.so_far(workers);
        cost.check(0..=u64::MAX / 2).unwrap_or_else(|wrong| panic!("{}: {wrong}", self.name));
        cost.requests
    }
}

/// What a fault costs, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Token requests.
    pub requests: u64,
    /// As in [`Tally`].
    pub alone: u64,
    pub needless: u64,
    pub unanswered: u64,
    pub unsaved: u64,
    /// The replicas that left the store alone before.
    pub suspended: u64,
}

impl Cost {
    /// The fault may cost this, and what a slow machine explains.
    ///
    /// # Errors
    ///
    /// Says what there was too much of, or too little.
    pub fn check(&self, expected: RangeInclusive<u64>) -> Result<(), String> {
        if self.needless > 0 {
            return Err(format!("{} fetches without the lease, although the store answered", self.needless));
        }
        let explained = self.unanswered + self.suspended;
        if self.alone > explained {
            return Err(format!("{} fetches without the lease for {explained} calls without an answer", self.alone));
        }
        let (least, most) = (*expected.start(), *expected.end() + self.alone + self.unsaved);
        if !(least..=most).contains(&self.requests) {
            return Err(format!("{} token requests, expected {expected:?}", self.requests));
        }
        Ok(())
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} token requests; the store gave no answer {} times, {} of them to a save, and {} replicas fetched for \
             themselves",
            self.requests, self.unanswered, self.unsaved, self.alone
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(cost: Cost, expected: RangeInclusive<u64>) -> String {
        cost.check(expected).unwrap_err()
    }

    #[test]
    fn a_needless_fetch_fails_whatever_the_number_of_requests() {
        let cost = Cost { requests: 10, needless: 1, unanswered: 50, suspended: 50, ..Cost::default() };
        assert!(wrong(cost, 0..=100).contains("although the store answered"));
    }

    #[test]
    fn a_call_without_an_answer_explains_one_lone_fetch() {
        let cost = Cost { requests: 12, alone: 2, unanswered: 2, ..Cost::default() };
        cost.check(10..=10).unwrap();
        assert!(wrong(Cost { unanswered: 1, ..cost }, 10..=10).contains("for 1 calls"));
        Cost { unanswered: 1, suspended: 1, ..cost }.check(10..=10).unwrap();
        assert!(wrong(Cost { requests: 13, ..cost }, 10..=10).contains("13 token requests"));
        Cost { requests: 13, unsaved: 1, ..cost }.check(10..=10).unwrap();
    }

    #[test]
    fn without_such_a_call_nothing_is_allowed_beyond_the_cost() {
        let cost = Cost { requests: 10, ..Cost::default() };
        cost.check(10..=10).unwrap();
        assert!(wrong(cost, 11..=12).contains("10 token requests"));
        assert!(wrong(cost, 1..=9).contains("10 token requests"));
    }
}
