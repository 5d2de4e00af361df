//! A store that loses its last writes, as in a failover of Redis. A host that knows better sends nothing twice.

use super::*;

/// Two hosts, one of which may know nothing of what was lost.
const LOSES: World = World {
    rules: Rules { writes_are_lost: true, leases: 4, ..SOUND },
    hosts: 2,
    fetches: 3,
    faults: 0,
    any_fault: false,
    forgets: 2,
    the_unaware_may_be_mistaken: true,
    ..WORLD
};
/// And a response of the server is lost.
const LOST_RESPONSE: World = World { faults: 1, ..LOSES };
/// Or a call of the store is, or a host crashes.
const ANY_FAULT: World = World { any_fault: true, forgets: 1, ..LOST_RESPONSE };

#[test]
fn a_host_spends_no_token_again_that_it_saw_replaced() {
    for (name, world) in [
        ("lost writes, no fault", LOSES),
        ("lost writes, a refusal", World { refusals: 1, ..LOSES }),
        ("lost writes, a lost response", LOST_RESPONSE),
        ("a lost write, a fault", ANY_FAULT),
        ("a lost write, a caller leaves", World { cancels: 1, forgets: 1, ..LOSES }),
    ] {
        let explored = holds(name, world);
        let is_behind = |state: &&State| {
            let token = state.store.record.content.token;
            state.hosts.iter().any(|host| host.latest.is_some_and(|latest| latest.content.token > token))
        };
        assert!(explored.states.iter().any(|state| is_behind(&state)), "{name}: nothing is lost");
    }
}

#[test]
fn each_rule_about_lost_writes_is_needed() {
    breaks(World { rules: Rules { knows_what_was_lost: false, ..LOSES.rules }, ..LOSES }, TWICE);
    breaks(World { rules: Rules { knows_its_mark: false, ..LOSES.rules }, ..LOST_RESPONSE }, TWICE);
}

/// What no rule prevents: a host has the word of the store alone.
#[test]
fn a_host_that_has_seen_no_successor_does_not_know() {
    breaks(World { the_unaware_may_be_mistaken: false, ..LOSES }, TWICE);
}
