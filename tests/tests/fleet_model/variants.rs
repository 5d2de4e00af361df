//! Each rule of the protocol, left out: what it is there for is then broken.

use super::{
    QUIET, RIGHT_AGAIN, SILENT, STAYS_BEHIND, one_of, properties,
    rules::{Rules, SOUND},
    search::explore,
    world::{Fault, World},
};

/// Explores a broken protocol, in a world in which the sound one holds (`sound.rs`, or here).
fn breaks(world: World, property: &'static str) {
    explore(&World { rules: SOUND, ..world }).unwrap_or_else(|found| panic!("the sound protocol: {found:?}"));
    found_out(world, property);
}

fn found_out(world: World, property: &'static str) {
    let Err(found) = explore(&World { only: Some(property), except: None, ..world }) else {
        panic!("this is not noticed: {:?}", world.rules)
    };
    println!("{found:?}");
}

#[test]
fn l61_a_store_that_ignores_fences_is_found_out() {
    let rules = Rules { fence: false, ..SOUND };
    breaks(World { rules, until: 8, ..one_of(&[Fault::Pause]) }, properties::REFUSED);
}

#[test]
fn saves_without_fences_and_versions_are_found_out() {
    let rules = Rules { fence: false, save_checks_version: false, ..SOUND };
    breaks(World { rules, until: 8, ..one_of(&[Fault::Pause]) }, properties::TWICE);
}

#[test]
fn a_store_that_ignores_versions_is_found_out() {
    breaks(World { rules: Rules { lease_checks_version: false, ..SOUND }, ..QUIET }, properties::NEEDLESS);
}

#[test]
fn l61_a_release_by_name_is_found_out() {
    let rules = Rules { release_by_fence: false, ..SOUND };
    breaks(World { rules, until: 9, ..one_of(&[Fault::Pause]) }, properties::MORE);
}

#[test]
fn l68_times_by_the_own_clock_are_found_out() {
    breaks(World { rules: Rules { store_clock: false, ..SOUND }, skew: 4, ..QUIET }, properties::NEEDLESS);
}

#[test]
fn l62_taking_busy_for_broken_is_found_out() {
    breaks(World { rules: Rules { busy_is_an_answer: false, ..SOUND }, ..QUIET }, properties::NEEDLESS);
}

#[test]
fn fences_that_repeat_after_a_failover_are_found_out() {
    let rules = Rules { fences_are_unique: false, ..SOUND };
    let faults = &[Fault::Pause, Fault::Failover];
    // The sound protocol is not explored here: it takes long, and has other tests.
    found_out(World { rules, budget: 2, in_order: true, allowed: 2, until: 9, ..one_of(faults) }, properties::MORE);
}

#[test]
fn exchanging_after_a_rejection_without_looking_is_found_out() {
    breaks(
        World { rules: Rules { rejection_looks_first: false, ..SOUND }, revocations: 1, ..QUIET },
        properties::NEEDLESS,
    );
}

#[test]
fn a_pause_after_a_token_that_was_adopted_is_found_out() {
    let rules = Rules { adopting_has_no_pause: false, ..SOUND };
    breaks(World { rules, revocations: 1, ..QUIET }, properties::DECLINED);
}

#[test]
fn a_pause_of_the_exchanging_replica_alone_is_found_out() {
    let rules = Rules { pauses_are_shared: false, ..SOUND };
    breaks(World { rules, refuses_all: true, until: 8, ..QUIET }, properties::STORM);
}

#[test]
fn failures_that_are_not_shared_are_found_out() {
    breaks(World { rules: Rules { failures_are_shared: false, ..SOUND }, outages: 1, ..QUIET }, properties::NEEDLESS);
}

#[test]
fn a_lonely_failure_for_all_is_found_out() {
    let rules = Rules { one_without_a_connection_is_alone: false, ..SOUND };
    breaks(World { rules, without_a_connection: 1, ..QUIET }, properties::ALONE);
}

#[test]
fn failures_that_no_second_one_confirms_are_found_out() {
    let rules = Rules { two_without_a_connection_are_all: false, ..SOUND };
    breaks(World { rules, without_a_connection: 3, until: 7, ..QUIET }, properties::UNREACHED);
}

#[test]
fn a_failure_that_replaces_the_token_is_found_out() {
    breaks(
        World { rules: Rules { failures_keep_the_token: false, ..SOUND }, outages: 1, ..QUIET },
        properties::DESPITE,
    );
}

#[test]
fn a_lease_without_an_end_is_found_out() {
    // One that lasts for too long is not waited for, either.
    let rules = Rules { lease_ends: false, long_leases_are_not_believed: false, ..SOUND };
    breaks(World { rules, until: 12, ..one_of(&[Fault::Crash]) }, properties::IN_VAIN);
}

#[test]
fn the_life_at_the_save_is_found_out() {
    breaks(World { rules: Rules { life_is_what_is_left: false, ..SOUND }, ..QUIET }, properties::TOO_LONG);
}

#[test]
fn waiting_for_a_lease_of_hours_is_found_out() {
    let rules = Rules { long_leases_are_not_believed: false, ..SOUND };
    let faults = &[Fault::Crash, Fault::ClockBack];
    found_out(World { rules, budget: 2, in_order: true, allowed: 4, until: 11, ..one_of(faults) }, properties::IN_VAIN);
}

#[test]
fn asking_a_silent_store_each_time_is_found_out() {
    breaks(World { rules: Rules { a_silent_store_is_left_out: false, ..SOUND }, ..SILENT }, properties::ASKED);
}

#[test]
fn leaving_a_store_out_because_of_standing_still_is_found_out() {
    let rules = Rules { standing_still_is_no_silence: false, ..SOUND };
    breaks(World { rules, until: 8, ..one_of(&[Fault::Pause]) }, properties::MORE);
}

#[test]
fn pauses_that_do_not_double_are_found_out() {
    breaks(World { rules: Rules { pauses_double: false, ..SOUND }, ..SILENT }, properties::ASKED);
}

#[test]
fn leaving_a_store_out_that_is_right_again_is_found_out() {
    breaks(World { rules: Rules { doubted_stores_are_asked: false, ..SOUND }, ..RIGHT_AGAIN }, properties::WITHOUT);
}

#[test]
fn believing_a_record_of_before_the_step_is_found_out() {
    breaks(World { rules: Rules { old_records_are_doubted: false, ..SOUND }, ..STAYS_BEHIND }, properties::ENDED);
}

#[test]
fn a_wait_without_a_bound_is_found_out() {
    let rules = Rules { waits_are_bounded: false, ..SOUND };
    // The lease is long after a failure.
    breaks(World { rules, outages: 1, until: 8, ..one_of(&[Fault::Crash]) }, properties::LATE);
}

/// The one weakness of the protocol as it is.
#[test]
fn a_save_that_a_pause_delays_makes_a_record_live_longer() {
    found_out(World { until: 8, ..one_of(&[Fault::Pause]) }, properties::TOO_LONG);
}

#[test]
fn an_expired_token_that_is_taken_again_is_found_out() {
    let rules = Rules { expired_is_refused: false, ..SOUND };
    // It lives longer in the record, or it is still used by a replica that was paused.
    breaks(World { rules, until: 12, ..one_of(&[Fault::Pause]) }, properties::AGAIN);
}

#[test]
fn a_stale_lease_that_outlasts_the_token_is_found_out() {
    let rules = Rules { stale_leases_end_with_the_token: false, ..SOUND };
    breaks(World { rules, until: 16, ..one_of(&[Fault::Crash]) }, properties::IN_VAIN);
}

#[test]
fn a_late_flight_that_waits_for_more_is_found_out() {
    let rules = Rules { late_flights_end: false, ..SOUND };
    breaks(World { rules, until: 8, ..one_of(&[Fault::Pause]) }, properties::LOST);
}

#[test]
fn a_longer_lease_of_a_replica_that_has_waited_is_found_out() {
    let rules = Rules { waiters_lease_short: false, ..SOUND };
    let world = World { rules, budget: 2, allowed: 2, until: 7, ..one_of(&[Fault::Crash, Fault::LostReply]) };
    breaks(world, properties::IN_VAIN);
}

#[test]
fn a_stale_replica_that_takes_any_token_is_found_out() {
    let rules = Rules { longer_lives_win: false, ..SOUND };
    breaks(World { rules, until: 10, ..one_of(&[Fault::LostReply, Fault::LostRequest]) }, properties::BACK);
}

#[test]
fn a_token_that_was_rejected_before_is_found_out() {
    breaks(
        World { rules: Rules { rejected_is_refused: false, ..SOUND }, revocations: 1, ..QUIET },
        properties::UNUSABLE,
    );
}
