//! A refresh token that is sent again: within the period in which the server accepts it, or after a time.
//!
//! A call of the store takes one tick at most. No time passes between a host's last look at its clock and its request, unless
//! it stands still.

use super::*;

/// The server accepts a used token again for two ticks.
const PERIOD: World = World {
    rules: Rules { period: Some(2), leases: 4, ..SOUND },
    fetches: 3,
    ticks: 3,
    settlers_crash: false,
    ..WORLD
};
/// The token is sent again after two.
const RISK: World = World { rules: Rules { resend_after: Some(2), leases: 4, ..SOUND }, fetches: 3, ticks: 3, ..WORLD };
/// Callers leave.
const LEFT: World = World { hosts: 2, any_fault: false, cancels: 1, ..PERIOD };
/// The store's clock is set back.
const SET_BACK: World = World {
    rules: Rules { period: Some(3), clocks_differ: true, leases: 4, ..SOUND },
    hosts: 2,
    fetches: 2,
    set_back: 3,
    ..PERIOD
};
/// And a second response is lost.
const TWO_LOST: World = World { faults: 2, any_fault: false, fetches: 3, ..SET_BACK };

/// Explores a world, in which a token is sent again at least.
fn resends(name: &str, world: World) {
    let explored = holds(name, world);
    let resent = |state: &&State| state.store.record.content.sent_before.is_some();
    assert!(explored.states.iter().any(|state| resent(&state)), "{name}: nothing is sent again");
}

#[test]
fn a_token_is_sent_again_within_the_period_only() {
    for (servers, one_successor) in [("one successor", true), ("many successors", false)] {
        let world = World { one_successor, ..PERIOD };
        resends(&format!("a period, {servers}, a refusal"), World { faults: 0, refusals: 1, hosts: 2, ..world });
        resends(&format!("a period, {servers}, a fault and a refusal"), World { refusals: 1, hosts: 2, ..world });
    }
    resends("a period, a fault, three hosts", World { fetches: 2, ..PERIOD });
    resends("a period, two lost responses, three hosts", World { faults: 2, any_fault: false, ..PERIOD });
}

#[test]
fn a_caller_that_leaves_prolongs_no_period() {
    resends("a period, a fault, and a caller leaves", LEFT);
}

#[test]
fn a_clock_set_back_prolongs_no_known_period() {
    resends("a period, a fault, and the clock is set back", SET_BACK);
    resends("a period, two faults, and the clock is set back", TWO_LOST);
}

#[test]
fn each_rule_of_a_period_is_needed() {
    let rules = PERIOD.rules;
    for (rules, world) in [
        (Rules { heeds_times: false, ..rules }, PERIOD),
        (Rules { looks_at_its_clock_again: false, ..rules }, PERIOD),
        (Rules { counts_from_the_first: false, ..rules }, World { faults: 2, any_fault: false, ..PERIOD }),
        (Rules { counts_the_save: false, ..rules }, World { faults: 2, any_fault: false, ..PERIOD }),
        (Rules { keeps_marks_of_a_resend: false, ..rules }, World { refusals: 1, ..PERIOD }),
        (Rules { is_in_use_if_resent: false, ..rules }, World { refusals: 1, ..PERIOD }),
        (Rules { fences_late_marks: false, ..rules }, LEFT),
        (Rules { own_clock_counts: false, ..SET_BACK.rules }, SET_BACK),
        (Rules { own_clock_counts_for_the_token: false, ..SET_BACK.rules }, TWO_LOST),
    ] {
        breaks(World { rules, ..world }, TWICE);
    }
}

/// What a period cannot do: these are in the documents.
#[test]
fn a_host_that_stands_still_before_it_sends_is_too_late() {
    breaks(World { stalls: 1, ..PERIOD }, TWICE);
}

#[test]
fn a_host_that_starts_after_the_step_does_not_know() {
    breaks(World { newcomers_may_be_mistaken: false, ..SET_BACK }, TWICE);
}

/// The caller leaves, the process ends, and the mark arrives late.
#[test]
fn a_late_mark_that_nothing_fences_prolongs_the_period() {
    breaks(World { settlers_crash: true, any_fault: true, ..LEFT }, TWICE);
}

#[test]
fn a_token_is_sent_again_after_the_time_only() {
    holds("a time, no fault", World { faults: 0, ..RISK });
    resends("a time, one fault and a refusal", World { refusals: 1, ..RISK });
    resends("a time, a caller leaves", World { faults: 0, cancels: 1, ..RISK });
}

#[test]
fn the_rule_of_a_time_is_needed() {
    let rules = Rules { heeds_times: false, ..RISK.rules };
    breaks(World { rules, faults: 0, ..RISK }, TWICE);
}

/// What it is good for: a token that no server has got.
#[test]
fn a_token_whose_holder_crashed_before_it_sent_is_not_lost() {
    let explored = holds("a time, a crash", RISK);
    let is_saved = |state: &&State| {
        let content = state.store.record.content;
        state.faults == 0 && content.mark == 0 && content.token > 1 && !state.is_used(content.token)
    };
    let resent = explored.states.iter().filter(is_saved).count();
    assert!(resent > 0);
}
