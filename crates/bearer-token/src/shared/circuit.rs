//! When a store is asked, and when it is left alone. Pure: no clock, no lock.
//!
//! ```text
//!          quick failure: 1st      2nd in a row, or a slow one
//! closed ------------------> closed ------------------------> open for 1 s, 2 s, 4 s .. 30 s
//!   ^                                                            |
//!   |  an answer                                    pause over   v
//!   +------------------------------------------------ one call is let through
//!                                                                |  failure
//!                                                                +----------> open for twice as long
//! ```
//!
//! One quick failure does not open it: a connection that broke costs one call, and the next call connects again. A slow
//! failure does. So a silent store delays one request, by less than 100 ms.
//!
//! A lease that is held and a save that was fenced are answers too. Only silence and errors are failures.

use std::time::Duration;

use crate::provider::constants::{SHARED_CALL_TIMEOUT, SHARED_FAILURES, SHARED_PAUSE};

/// Opens after some failures in a row, or after a single slow one. Then it lets one call through after each pause.
/// Pauses double.
///
/// A slow failure delays a request, so a process pays for one of them. A quick one costs nothing, and is usually only
/// an idle connection that was closed.
///
/// Times are those of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures: u32,
    open_until: Option<Duration>,
    /// When it opened last.
    opened: Duration,
}

impl Circuit {
    /// Whether the store may be asked now. After a pause, one caller may try, and no other until that call has ended or
    /// its time is over.
    pub(super) fn admits(&mut self, now: Duration) -> bool {
        match self.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                // A caller that is dropped never reports.
                self.open_until = Some(now.saturating_add(SHARED_CALL_TIMEOUT * 2));
                true
            }
        }
    }

    /// Notes an answer. Returns whether the circuit was open.
    pub(super) fn succeeded(&mut self) -> bool {
        let was_open = self.open_until.is_some();
        *self = Circuit::default();
        was_open
    }

    /// Notes a call without an answer, which took this time. Returns the pause, if one begins.
    pub(super) fn failed(&mut self, now: Duration, took: Duration) -> Option<Duration> {
        if self.open_until.is_some() && now.saturating_sub(took) < self.opened {
            // It was under way when another one opened the circuit, and says nothing new.
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        let was_slow = took >= SHARED_CALL_TIMEOUT / 2;
        if self.open_until.is_none() && self.failures < SHARED_FAILURES && !was_slow {
            return None;
        }
        // A second failure may be that of a connection which has been dead since the first. It doubles nothing.
        let pause = SHARED_PAUSE.after(self.failures.saturating_sub(1).max(1));
        (self.open_until, self.opened) = (Some(now.saturating_add(pause)), now);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const QUICK: Duration = Duration::from_millis(1);

    #[test]
    fn one_slow_failure_opens_it_for_a_second() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.failed(SECOND, SHARED_CALL_TIMEOUT / 2 - QUICK), None);
        circuit.succeeded();
        assert_eq!(circuit.failed(SECOND, SHARED_CALL_TIMEOUT / 2), Some(SECOND));
        assert!(!circuit.admits(SECOND));
        let slow = SHARED_CALL_TIMEOUT;
        assert_eq!([SECOND * 2, SECOND * 3].map(|now| circuit.failed(now, slow)), [Some(SECOND), Some(SECOND * 2)]);
    }

    #[test]
    fn failures_at_the_same_time_count_once() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.failed(SECOND, SHARED_CALL_TIMEOUT), Some(SECOND));
        for late in 1..10 {
            assert_eq!(circuit.failed(SECOND + QUICK * late, SHARED_CALL_TIMEOUT), None, "{late}");
        }
        assert!(circuit.admits(SECOND * 2), "the pause is not longer for it");
    }

    #[test]
    fn two_failures_in_a_row_open_it_for_a_second() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.failed(SECOND, QUICK), None);
        assert!(circuit.admits(SECOND));
        assert!(!circuit.succeeded(), "it was closed");
        assert_eq!(circuit.failed(SECOND, QUICK), None, "not in a row");
        assert_eq!(circuit.failed(SECOND, QUICK), Some(SECOND));
        assert!(!circuit.admits(SECOND * 2 - Duration::from_nanos(1)));
        assert!(circuit.admits(SECOND * 2));
    }

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let (mut circuit, mut now, mut pauses) = (Circuit::default(), SECOND, Vec::new());
        circuit.failed(now, QUICK);
        for _ in 0..7 {
            let pause = circuit.failed(now, QUICK).unwrap();
            pauses.push(pause.as_secs());
            now += pause;
            assert!(circuit.admits(now));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert!(circuit.succeeded());
        assert_eq!(circuit.failed(now, QUICK), None, "it begins anew");
    }

    #[test]
    fn one_caller_tries_after_a_pause_even_if_it_never_reports() {
        let mut circuit = Circuit::default();
        circuit.failed(SECOND, SHARED_CALL_TIMEOUT);
        assert!(circuit.admits(SECOND * 2));
        assert!(!circuit.admits(SECOND * 2), "another caller tries already");
        assert!(circuit.admits(SECOND * 2 + SHARED_CALL_TIMEOUT * 2));
    }
}
