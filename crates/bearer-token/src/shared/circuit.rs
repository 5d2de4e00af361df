//! When a store is asked, and when it is left alone. Pure: no clock, no lock.
//!
//! ```text
//!          quick failure: 1st      2nd in a row, or a slow one
//! closed ------------------> closed ------------------------> open for 1 s, 2 s, 4 s .. 30 s
//!   ^ ^                                                          |
//!   | |  an answer                                  pause over   v
//!   | +---------------------------------------------- one call is let through ---> open for twice as long
//!   |                                                            |                   ^
//!   |                          an answered read, if a write      |                   | failure
//!   |  an answered write                        had opened it    v                   |
//!   +---------------------------------- all reads, and one write at a time ----------+
//! ```
//!
//! One quick failure does not open it: a connection that broke costs one call, and the next call connects again. A slow
//! failure does. So a silent store delays one request, by the limit of a call: 95 ms.
//!
//! A lease that is held and a save that was fenced are answers too. Only silence and errors are failures. A call that seems
//! to have taken longer than a second does not count: its deadline was 95 ms, so the process stood still.
//!
//! A store may answer reads while its writes hang. It may be a database that waits for a lost standby, or a server
//! whose clients are paused for writes. So failures are also counted for reads, leases and saves each. A read that is
//! answered ends the pause, but only for reads: one write at a time is let through until one is answered. So each pause
//! is followed by one write that hangs, not by one for each key. It makes a pause of twice the length.
//!
//! Calls that began before it opened say nothing new, answered or not.

use std::time::Duration;

use crate::{
    observe::StoreOperation,
    provider::constants::{SHARED_CALL_TIMEOUT, SHARED_FAILURES, SHARED_PAUSE, SHARED_STOOD_STILL},
};

/// Opens after some failures in a row, or after a single slow one. Then it lets one call through after each pause.
/// Pauses double.
///
/// A slow failure delays a request, so a process pays for one of them. A quick one costs nothing, and is usually only
/// an idle connection that was closed.
///
/// Times are those of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// Since the last answer to any call.
    failures: u32,
    /// Since the last answer to a call of this kind: see [`kind_of`].
    failures_of: [u32; 3],
    open_until: Option<Duration>,
    /// While reads are answered and writes may still hang: when the next write is let through.
    next_write: Option<Duration>,
    /// When it opened last.
    opened: Duration,
    /// The kind of call that opened it, until one of that kind is answered.
    opened_by: Option<usize>,
}

/// The place of reads among the kinds of calls.
const READS: usize = 0;

/// Reads, leases and saves each have a place. A release writes as little as a lease.
fn kind_of(operation: StoreOperation) -> usize {
    match operation {
        StoreOperation::Load => READS,
        StoreOperation::Lease | StoreOperation::Release => 1,
        StoreOperation::Save | StoreOperation::Remove => 2,
    }
}

impl Circuit {
    /// Whether the store may be asked now. After a pause, one caller may try, and no other until that call has ended or
    /// its time is over.
    pub(super) fn admits(&mut self, operation: StoreOperation, now: Duration) -> bool {
        let gate = match self.open_until {
            Some(_) => &mut self.open_until,
            None if kind_of(operation) == READS => return true,
            None => &mut self.next_write,
        };
        match *gate {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                // A caller that is dropped never reports.
                *gate = Some(now.saturating_add(SHARED_CALL_TIMEOUT * 2));
                true
            }
        }
    }

    /// Notes an answer to a call that began at this time. Returns whether a call of this kind had opened the circuit:
    /// the store is back then.
    pub(super) fn succeeded(&mut self, operation: StoreOperation, started: Duration) -> bool {
        if self.open_until.is_some() && started < self.opened {
            // It was under way when another one opened the circuit, and says nothing of what came after.
            return false;
        }
        let kind = kind_of(operation);
        (self.failures, self.failures_of[kind]) = (0, 0);
        if kind != READS || self.opened_by.is_none_or(|by| by == READS) {
            self.next_write = None;
        } else if self.open_until.is_some() {
            self.next_write = Some(started);
        }
        self.open_until = None;
        self.opened_by.take_if(|by| *by == kind).is_some()
    }

    /// Notes a call without an answer, which took this time. Returns the pause, if one begins.
    pub(super) fn failed(&mut self, operation: StoreOperation, now: Duration, took: Duration) -> Option<Duration> {
        if self.open_until.is_some() && now.saturating_sub(took) < self.opened {
            // It was under way when another one opened the circuit, and says nothing new.
            return None;
        }
        if took > SHARED_STOOD_STILL {
            // Its deadline passed long ago, while nothing ran.
            return None;
        }
        let kind = kind_of(operation);
        self.failures = self.failures.saturating_add(1);
        self.failures_of[kind] = self.failures_of[kind].saturating_add(1);
        let was_slow = took >= SHARED_CALL_TIMEOUT / 2;
        if self.open_until.is_none() && self.failures < SHARED_FAILURES && !was_slow {
            return None;
        }
        // A second failure may be that of a connection which has been dead since the first. It doubles nothing.
        let in_a_row = self.failures.max(self.failures_of[kind]);
        let pause = SHARED_PAUSE.after(in_a_row.saturating_sub(1).max(1));
        (self.open_until, self.opened, self.opened_by) = (Some(now.saturating_add(pause)), now, Some(kind));
        self.next_write = None;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const QUICK: Duration = Duration::from_millis(1);
    const LOAD: StoreOperation = StoreOperation::Load;

    #[test]
    fn one_slow_failure_opens_it_for_a_second() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.failed(LOAD, SECOND, SHARED_CALL_TIMEOUT / 2 - QUICK), None);
        circuit.succeeded(LOAD, SECOND);
        assert_eq!(circuit.failed(LOAD, SECOND, SHARED_CALL_TIMEOUT / 2), Some(SECOND));
        assert!(!circuit.admits(LOAD, SECOND));
        let slow = SHARED_CALL_TIMEOUT;
        assert_eq!(
            [SECOND * 2, SECOND * 3].map(|now| circuit.failed(LOAD, now, slow)),
            [Some(SECOND), Some(SECOND * 2)]
        );
    }

    /// A process that was stopped. Its next fetch asks the store.
    #[test]
    fn a_call_during_which_the_process_stood_still_says_nothing() {
        let mut circuit = Circuit::default();
        for took in [SHARED_STOOD_STILL + QUICK, SECOND * 3_600] {
            assert_eq!(circuit.failed(LOAD, SECOND * 7_200, took), None, "{took:?}");
        }
        assert!(circuit.admits(LOAD, SECOND * 7_200));
        // Nor does it count as the first of two.
        assert_eq!(circuit.failed(LOAD, SECOND * 7_200, QUICK), None);
        assert_eq!(circuit.failed(LOAD, SECOND * 7_200, SHARED_STOOD_STILL), Some(SECOND));
    }

    #[test]
    fn failures_at_the_same_time_count_once() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.failed(LOAD, SECOND, SHARED_CALL_TIMEOUT), Some(SECOND));
        for late in 1..10 {
            assert_eq!(circuit.failed(LOAD, SECOND + QUICK * late, SHARED_CALL_TIMEOUT), None, "{late}");
        }
        assert!(circuit.admits(LOAD, SECOND * 2), "the pause is not longer for it");
    }

    #[test]
    fn two_failures_in_a_row_open_it_for_a_second() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.failed(LOAD, SECOND, QUICK), None);
        assert!(circuit.admits(LOAD, SECOND));
        assert!(!circuit.succeeded(LOAD, SECOND), "it was closed");
        assert_eq!(circuit.failed(LOAD, SECOND, QUICK), None, "not in a row");
        assert_eq!(circuit.failed(LOAD, SECOND, QUICK), Some(SECOND));
        assert!(!circuit.admits(LOAD, SECOND * 2 - Duration::from_nanos(1)));
        assert!(circuit.admits(LOAD, SECOND * 2));
    }

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let (mut circuit, mut now, mut pauses) = (Circuit::default(), SECOND, Vec::new());
        circuit.failed(LOAD, now, QUICK);
        for _ in 0..7 {
            let pause = circuit.failed(LOAD, now, QUICK).unwrap();
            pauses.push(pause.as_secs());
            now += pause;
            assert!(circuit.admits(LOAD, now));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert!(circuit.succeeded(LOAD, now));
        assert_eq!(circuit.failed(LOAD, now, QUICK), None, "it begins anew");
    }

    #[test]
    fn one_caller_tries_after_a_pause_even_if_it_never_reports() {
        let mut circuit = Circuit::default();
        circuit.failed(LOAD, SECOND, SHARED_CALL_TIMEOUT);
        assert!(circuit.admits(LOAD, SECOND * 2));
        assert!(!circuit.admits(LOAD, SECOND * 2), "another caller tries already");
        assert!(circuit.admits(LOAD, SECOND * 2 + SHARED_CALL_TIMEOUT * 2));
    }

    /// How long the pauses are while this operation hangs and the others, which come before it, are answered.
    fn pauses_while_hanging(operation: StoreOperation) -> Vec<u64> {
        let (mut circuit, mut now, mut pauses) = (Circuit::default(), SECOND, Vec::new());
        for _ in 0..7 {
            for before in [LOAD, StoreOperation::Lease, StoreOperation::Save] {
                assert!(circuit.admits(before, now), "{before:?}");
                if before == operation {
                    break;
                }
                assert!(!circuit.succeeded(before, now), "it is not back");
            }
            let pause = circuit.failed(operation, now, SHARED_CALL_TIMEOUT).unwrap();
            assert!(!circuit.admits(LOAD, now), "not even for reads");
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert!(circuit.succeeded(operation, now), "it is back");
        assert_eq!(circuit.failed(operation, now, SHARED_CALL_TIMEOUT), Some(SECOND), "it begins anew");
        pauses
    }

    #[test]
    fn answers_to_reads_do_not_shorten_the_pauses_of_writes() {
        for operation in [StoreOperation::Lease, StoreOperation::Save] {
            assert_eq!(pauses_while_hanging(operation), [1, 1, 2, 4, 8, 16, 30], "{operation:?}");
        }
    }

    #[test]
    fn quick_failures_with_answers_between_them_do_not_open_it() {
        let mut circuit = Circuit::default();
        for _ in 0..10 {
            circuit.succeeded(LOAD, SECOND);
            assert_eq!(circuit.failed(StoreOperation::Save, SECOND, QUICK), None, "they delay nothing");
        }
    }

    mod opened_by_a_lease_that_hung {
        use super::*;

        const LEASE: StoreOperation = StoreOperation::Lease;

        fn circuit() -> Circuit {
            let mut circuit = Circuit::default();
            assert_eq!(circuit.failed(LEASE, SECOND, SHARED_CALL_TIMEOUT), Some(SECOND));
            circuit
        }

        #[test]
        fn a_read_of_before_that_is_answered_ends_no_pause() {
            let mut circuit = circuit();
            assert!(!circuit.succeeded(LOAD, SECOND - QUICK));
            assert!(!circuit.succeeded(LEASE, SECOND - QUICK));
            assert!(!circuit.admits(LOAD, SECOND + QUICK) && !circuit.admits(LEASE, SECOND + QUICK));
            assert_eq!(circuit.failed(LEASE, SECOND * 2, SHARED_CALL_TIMEOUT), Some(SECOND));
        }

        #[test]
        fn an_answered_read_lets_reads_and_one_write_through() {
            let (mut circuit, back) = (circuit(), SECOND * 2);
            assert!(circuit.admits(LOAD, back));
            assert!(!circuit.succeeded(LOAD, back));
            assert!(circuit.admits(LEASE, back), "of the first key");
            for _ in 0..3 {
                assert!(circuit.admits(LOAD, back) && !circuit.succeeded(LOAD, back));
                assert!(!circuit.admits(LEASE, back) && !circuit.admits(StoreOperation::Save, back), "of another key");
            }
            assert!(circuit.succeeded(LEASE, back));
            assert!(circuit.admits(LEASE, back) && circuit.admits(StoreOperation::Save, back));
        }

        #[test]
        fn a_write_that_never_reports_gives_way_to_another() {
            let (mut circuit, back) = (circuit(), SECOND * 2);
            circuit.succeeded(LOAD, back);
            assert!(circuit.admits(LEASE, back) && !circuit.admits(LEASE, back));
            assert!(circuit.admits(LEASE, back + SHARED_CALL_TIMEOUT * 2));
        }
    }
}
