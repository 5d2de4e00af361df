//! Whether the time of a refresh is one draw for a token, or the earliest of many.
//!
//! A token is refreshed after 7/10 of its life, less a uniform draw of at most 2/10
//! (`crates/bearer-token/src/provider/schedule.rs`). That draw belongs to the record. If each replica drew for itself, the
//! earliest of fifty would decide, and nearly every token would be refreshed soon after 5/10. The number of token requests
//! is the same for both, so the time between them has to tell.
//!
//! The longest of `n` such times tells best. With one draw for each token, it is below `5/10 + s * 2/10` of a life with the
//! probability `s` to the power of `n`. Whatever makes a refresh late makes that less likely.

use std::time::Duration;

use crate::fleet::Workers;

/// The life of the tokens in tests that look at draws.
pub const LIFETIME: Duration = Duration::from_secs(4);

/// So many lifetimes tell the two apart, also on a machine that is busy.
pub const LIFETIMES: u64 = 16;

/// With fewer times, in all of which the store answered, the check says nothing.
const LEAST: usize = 8;

/// A sound fleet fails the check with this probability at most.
const FALSE_ALARM: f64 = 1e-5;

/// A replica counts the age of a token from before it asked for the record, so its refresh may be early by a call.
const CALL: Duration = Duration::from_millis(95);

/// The times between the token requests of a fleet.
pub struct Draws {
    times: Vec<Duration>,
    /// The number of fetches until the last look, and of calls without an answer until the last two.
    fetches: usize,
    unanswered: [u64; 2],
}

impl Draws {
    /// Begins a good while after a token was fetched.
    pub fn begin(workers: &Workers) -> Self {
        let unanswered = workers.tally().unanswered;
        Draws { times: Vec::new(), fetches: workers.fetches().len(), unanswered: [unanswered; 2] }
    }

    /// Takes note of the next token, a good while after it was fetched.
    ///
    /// The time before it does not count if a call went unanswered in it, or about the token before: a save that is lost is
    /// followed by another token request at once.
    pub fn note(&mut self, workers: &Workers) {
        let (fetches, unanswered) = (workers.fetches(), workers.tally().unanswered);
        if let ([.., before, last], true) =
            (fetches.as_slice(), fetches.len() == self.fetches + 1 && unanswered == self.unanswered[0])
        {
            self.times.push(*last - *before);
        }
        self.fetches = fetches.len();
        self.unanswered = [self.unanswered[1], unanswered];
    }

    /// Whether the longest of them is as long as one draw for each token makes it.
    ///
    /// # Errors
    ///
    /// Says how long it is.
    pub fn check(&self) -> Result<(), String> {
        if self.times.len() < LEAST {
            return Err(format!("only {} undisturbed times, expected at least {LEAST}", self.times.len()));
        }
        let Some(longest) = self.times.iter().max() else { return Ok(()) };
        let floor = floor(self.times.len());
        println!("the longest of {} times between token requests: {longest:?}, at least {floor:?}", self.times.len());
        if *longest < floor {
            let times = &self.times;
            return Err(format!("the earliest of many draws decides: no time is {floor:?} long: {times:?}"));
        }
        Ok(())
    }
}

/// The longest of this many times is shorter with the probability [`FALSE_ALARM`].
fn floor(times: usize) -> Duration {
    let share = FALSE_ALARM.powf(1.0 / f64::from(u32::try_from(times).unwrap()));
    LIFETIME / 2 + (LIFETIME / 5).mul_f64(share) - CALL
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest of the times that the policy makes, each with the earliest of so many draws.
    fn longest(draws: usize) -> Duration {
        let time = |_| {
            let earliest = (0..draws).map(|_| fastrand::f64()).fold(0.0, f64::max);
            LIFETIME / 10 * 7 - (LIFETIME / 5).mul_f64(earliest)
        };
        (0..LIFETIMES).map(time).max().unwrap()
    }

    #[test]
    fn one_draw_for_each_token_passes_and_fifty_do_not() {
        let floor = floor(usize::try_from(LIFETIMES).unwrap());
        fastrand::seed(1);
        for _ in 0..5_000 {
            assert!(longest(1) >= floor);
            // Some time is left for requests that come late.
            assert!(longest(50) + Duration::from_millis(50) < floor);
        }
    }

    #[test]
    fn fewer_times_are_held_to_less() {
        assert!(floor(1) < floor(5) && floor(5) < floor(16));
        assert!(floor(1) >= LIFETIME / 2 - CALL && floor(16) < LIFETIME / 10 * 7);
    }
}
