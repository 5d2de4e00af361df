//! What the protocol promises, in every order of events.

use super::{
    EVERY_FAULT_OF_A_REPLICA, QUIET, RIGHT_AGAIN, SILENT, STAYS_BEHIND, one_of, properties,
    replica::Call,
    rules::{Rules, SOUND},
    search::explore,
    store::Saved,
    world::{Fault, World},
};

/// Explores a world in which nothing may break. Gives the most exchanges beyond one for each lifetime.
fn most(name: &str, world: World) -> u8 {
    let explored = explore(&world).unwrap_or_else(|found| panic!("{name}: {found:?}"));
    let most = explored.states.iter().map(|state| state.excess(&world)).max().unwrap_or_default();
    let (states, transitions, depth) = (explored.states.len(), explored.transitions, explored.depth);
    println!("| {name} | {states} | {transitions} | {depth} | {most} |");
    most
}

#[test]
fn without_faults_a_lifetime_costs_one_exchange() {
    most("no fault", QUIET);
    // Clocks that differ are no fault.
    most("clocks apart", World { skew: 4, ..QUIET });
}

#[test]
fn a_rejected_token_is_exchanged_once_for_the_fleet() {
    most("one rejection", World { revocations: 1, ..QUIET });
}

#[test]
fn an_api_that_refuses_all_costs_one_exchange_per_pause() {
    most("the API rejects every token", World { refuses_all: true, until: 10, ..QUIET });
}

#[test]
fn a_failing_server_is_asked_once_per_cool_down() {
    most("two failed exchanges", World { outages: 2, ..QUIET });
    most("a rejection and a failed exchange", World { revocations: 1, outages: 1, until: 9, ..QUIET });
}

#[test]
fn one_replica_without_a_connection_is_alone() {
    let world = World { without_a_connection: 1, ..QUIET };
    assert_eq!(most("one has no connection", world), 0);
}

#[test]
fn replicas_without_a_connection_try_once_per_cool_down() {
    for (name, without_a_connection) in [("two have no connection", 2), ("none has a connection", 3)] {
        assert_eq!(most(name, World { without_a_connection, until: 7, ..QUIET }), 0, "{name}");
    }
}

#[test]
fn one_fault_of_a_replica_costs_one_exchange_more() {
    for (name, fault) in [
        ("a replica crashes", &[Fault::Crash]),
        ("a replica pauses", &[Fault::Pause]),
        ("a reply is lost", &[Fault::LostReply]),
        ("a request is lost", &[Fault::LostRequest]),
    ] {
        assert_eq!(most(name, one_of(fault)), 1, "{name}");
    }
}

/// In every state in which a replica stands still with a save, and another one has had the lease since.
#[test]
fn l61_a_save_after_a_later_lease_is_fenced_in_every_state() {
    let world = one_of(&[Fault::Pause]);
    let explored = explore(&world).unwrap();
    let (mut saves, mut fenced) = (0, 0);
    for state in &explored.states {
        for replica in state.replicas.iter().filter(|replica| replica.paused) {
            let Some(Call::Save { content, lease }) = replica.flight.map(|flight| flight.call) else { continue };
            if !state.store.has_granted_after(lease.fence) {
                continue;
            }
            saves += 1;
            let saved = state.store.clone().save(&world.rules, state.now, content, lease.fence, lease.seen);
            fenced += usize::from(saved == Saved::Fenced);
        }
    }
    println!("a replica pauses before its save, and another has the lease: {fenced} of {saves} saves are fenced");
    assert!(saves > 1_000 && fenced == saves, "{fenced} of {saves}");
}

#[test]
fn one_fault_and_a_failing_server_cost_one_exchange_more() {
    let world = World { outages: 1, until: 6, ..one_of(EVERY_FAULT_OF_A_REPLICA) };
    assert_eq!(most("one of these, and a failed exchange", world), 1);
}

#[test]
fn one_fault_and_a_rejection_cost_two_exchanges_more() {
    let faults = &[Fault::Crash, Fault::LostReply, Fault::LostRequest];
    // And a second one, if the token is revoked while the replica leaves the store alone.
    let world = World { revocations: 1, allowed: 2, until: 5, ..one_of(faults) };
    assert_eq!(most("one of these but a pause, and a rejection", world), 2);
    // A record that lives too long could look newer than the token that was rejected.
    let rules = Rules { life_counts_from_the_grant: true, ..SOUND };
    let world = World { rules, revocations: 1, until: 5, ..one_of(&[Fault::Pause]) };
    assert_eq!(most("a pause and a rejection, lives from the grant", world), 1);
}

#[test]
fn two_faults_cost_two_exchanges_more() {
    let world = World { budget: 2, allowed: 2, until: 5, ..one_of(EVERY_FAULT_OF_A_REPLICA) };
    assert_eq!(most("two of these", world), 2);
}

#[test]
fn a_failover_that_loses_writes_costs_one_exchange_more() {
    assert_eq!(most("a failover", one_of(&[Fault::Failover])), 1);
}

/// A token in the record seems younger or older, so its end is not judged.
#[test]
fn a_step_of_the_clock_costs_one_exchange_each() {
    let world = World { allowed: 2, ..one_of(&[Fault::ClockAhead, Fault::ClockBack]) };
    assert_eq!(most("the store's clock steps", world), 2);
}

#[test]
fn a_lease_after_a_crash_and_a_step_is_not_waited_for() {
    let faults = &[Fault::Crash, Fault::ClockBack];
    let world = World { budget: 2, in_order: true, allowed: 4, until: 11, ..one_of(faults) };
    most("a crash, and then the clock steps", World { only: Some(properties::IN_VAIN), except: None, ..world });
}

#[test]
fn a_store_that_is_right_again_is_asked() {
    most("a crash, and the clock steps back and is set right", RIGHT_AGAIN);
}

#[test]
fn a_record_from_before_the_step_is_not_believed() {
    most("a crash, the clock steps back, and a rejection", STAYS_BEHIND);
}

#[test]
fn a_silent_store_is_asked_once_for_each_pause() {
    most("one replica, an API that rejects all, and a silent store", SILENT);
}

#[test]
fn without_a_store_each_replica_is_on_its_own() {
    // For each lifetime that began, each replica but one.
    let world = World { allowed: 4, until: 7, ..one_of(&[Fault::StoreDown]) };
    assert_eq!(most("the store is down", world), 4);
}

#[test]
fn a_pause_prolongs_no_life_that_counts_from_the_grant() {
    let rules = Rules { life_counts_from_the_grant: true, ..SOUND };
    let world = World { rules, until: 8, only: Some(properties::TOO_LONG), except: None, ..one_of(&[Fault::Pause]) };
    most("a replica pauses, lives from the grant", world);
}
