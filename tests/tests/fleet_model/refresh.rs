//! A refresh token that hosts share, in every order of events: it is spent once.
//!
//! There is no clock. A lease may end at any time, which is what a pause of its holder looks like to the others.

mod host;
mod store;

use self::{
    host::{Host, Phase, Response, Rules, SOUND},
    store::{Content, Record, Store},
};
use super::search::{Broken, Counterexample, Explored, Model, Taken, explore};

const TWICE: &str = "a refresh token was sent although the server had used it up";
const LOST: &str = "a consent is lost, although no response was";

/// What is explored.
#[derive(Clone, Copy, Debug)]
struct World {
    rules: Rules,
    /// The fetches that begin.
    fetches: u8,
    /// The most faults: a crash, a call of the store or its reply that is lost, a response of the server that is lost.
    faults: u8,
    /// How often the server refuses, and uses nothing up.
    refusals: u8,
    /// How many callers leave in the middle of what they do. Their last call reaches the store, or does not, or later.
    cancels: u8,
    /// Whether the store may forget its last write.
    forgets: bool,
}

const WORLD: World = World { rules: SOUND, fetches: 4, faults: 1, refusals: 0, cancels: 0, forgets: false };

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    hosts: [Host; 3],
    store: Store,
    /// The record before the last write.
    before: Record,
    /// The token that the server accepts. All before it are used up.
    valid: u8,
    fetches: u8,
    faults: u8,
    refusals: u8,
    cancels: u8,
    /// A host whose caller is gone, and whose call is still on its way.
    late: Option<Host>,
    /// Whether a response was lost, because its caller was gone.
    is_response_lost: bool,
}

#[derive(Clone, Copy, Debug)]
enum Arrival {
    Never,
    Now,
    Later,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(usize),
    Call(usize),
    LostRequest(usize),
    LostReply(usize),
    Send(usize),
    Refuse(usize),
    /// The server uses the token up, and its response is lost.
    LostResponse(usize),
    Crash(usize),
    /// A caller leaves, and its last call arrives or not.
    Cancel(usize, Arrival),
    LateCall,
    LeaseEnds,
    Failover,
}

impl Model for World {
    type State = State;
    type Step = Step;

    fn starts(&self) -> Vec<State> {
        let record = Record { content: Content { token: 1, mark: 0 }, version: 0 };
        vec![State {
            hosts: [Host::default(); 3],
            store: Store { record, fence: 0, is_leased: false },
            before: record,
            valid: 1,
            fetches: self.fetches,
            faults: self.faults,
            refusals: self.refusals,
            cancels: self.cancels,
            late: None,
            is_response_lost: false,
        }]
    }

    fn is_end(&self, state: &State) -> bool {
        state.fetches == 0 && state.hosts.iter().all(|host| host.phase == Phase::Idle)
    }

    fn steps(&self, state: &State, found: &mut Vec<Taken<Self>>) {
        let mut steps = Vec::new();
        for (number, host) in state.hosts.iter().enumerate() {
            // Hosts that are the same do the same.
            if number > 0 && state.hosts[number - 1] == *host {
                continue;
            }
            match host.phase {
                Phase::Idle if state.fetches > 0 => steps.push(Step::Begin(number)),
                Phase::Idle => continue,
                Phase::Send { .. } => {
                    steps.push(Step::Send(number));
                    if state.refusals > 0 {
                        steps.push(Step::Refuse(number));
                    }
                    if state.faults > 0 {
                        steps.push(Step::LostResponse(number));
                    }
                }
                _ => {
                    steps.push(Step::Call(number));
                    if state.faults > 0 {
                        steps.extend([Step::LostRequest(number), Step::LostReply(number)]);
                    }
                }
            }
            if state.cancels > 0 && host.has_a_caller() {
                steps.push(Step::Cancel(number, Arrival::Never));
                if host.writes() || matches!(host.phase, Phase::Send { .. }) {
                    steps.push(Step::Cancel(number, Arrival::Now));
                }
                if host.writes() && state.late.is_none() {
                    steps.push(Step::Cancel(number, Arrival::Later));
                }
            }
            if state.faults > 0 && *host != Host::default() {
                steps.push(Step::Crash(number));
            }
        }
        if state.late.is_some() {
            steps.push(Step::LateCall);
        }
        if state.store.is_leased {
            steps.push(Step::LeaseEnds);
        }
        if self.forgets && state.before != state.store.record {
            steps.push(Step::Failover);
        }
        found.extend(steps.into_iter().map(|step| (step, self.after(state, step))));
    }
}

impl World {
    fn after(&self, state: &State, step: Step) -> Result<State, Broken> {
        let mut next = state.clone();
        match step {
            Step::Begin(number) => {
                next.fetches -= 1;
                next.hosts[number].phase = Phase::Look;
            }
            Step::Call(number) => next.hosts[number].calls(&self.rules, Some(&mut next.store)),
            Step::LostRequest(number) => {
                next.faults -= 1;
                next.hosts[number].calls(&self.rules, None);
            }
            Step::LostReply(number) => {
                next.faults -= 1;
                // The store does what the call says, and the host does not learn of it.
                state.hosts[number].clone().calls(&self.rules, Some(&mut next.store));
                next.hosts[number].calls(&self.rules, None);
            }
            Step::Send(number) | Step::LostResponse(number) => {
                let Phase::Send { token, .. } = state.hosts[number].phase else { return Ok(next) };
                if token != state.valid {
                    return Err(Broken(TWICE));
                }
                next.valid += 1;
                let response = match step {
                    Step::Send(_) => Response::Successor(next.valid),
                    _ => {
                        next.faults -= 1;
                        Response::Lost
                    }
                };
                next.hosts[number].hears(&self.rules, response);
            }
            Step::Refuse(number) => {
                next.refusals -= 1;
                next.hosts[number].hears(&self.rules, Response::Refused);
            }
            Step::Crash(number) => {
                next.faults -= 1;
                next.hosts[number] = Host::default();
            }
            Step::Cancel(number, arrival) => {
                next.cancels -= 1;
                let host = state.hosts[number];
                let was_sent = match (host.phase, arrival) {
                    (Phase::Send { token, .. }, Arrival::Now) if token != state.valid => return Err(Broken(TWICE)),
                    (Phase::Send { .. }, Arrival::Now) => {
                        (next.valid, next.is_response_lost) = (state.valid + 1, true);
                        true
                    }
                    (_, Arrival::Now) => {
                        host.clone().calls(&self.rules, Some(&mut next.store));
                        false
                    }
                    (_, Arrival::Later) => {
                        next.late = Some(host);
                        false
                    }
                    (_, Arrival::Never) => false,
                };
                next.hosts[number].is_cancelled(&self.rules, was_sent);
            }
            Step::LateCall => {
                if let Some(mut host) = next.late.take() {
                    host.calls(&self.rules, Some(&mut next.store));
                }
            }
            Step::LeaseEnds => next.store.is_leased = false,
            Step::Failover => next.store.record = state.before,
        }
        if self.forgets && next.store.record != state.store.record && !matches!(step, Step::Failover) {
            next.before = state.store.record;
        }
        next.hosts.sort_unstable();
        if self.faults == 0 && !self.forgets && self.loses_a_consent(&next) { Err(Broken(LOST)) } else { Ok(next) }
    }
}

impl World {
    /// Whether all is over, and the token that the server accepts is not in the store or cannot be sent.
    fn loses_a_consent(&self, state: &State) -> bool {
        let Content { token, mark } = state.store.record.content;
        let is_over =
            self.is_end(state) && state.late.is_none() && state.hosts.iter().all(|host| host.pending.is_none());
        is_over && !state.is_response_lost && (token != state.valid || mark != 0)
    }
}

fn holds(name: &str, world: World) -> Explored<State> {
    let explored = explore(&world).unwrap_or_else(|found| panic!("{name}: {found:?}"));
    println!("| {name} | {} | {} | {} |", explored.states.len(), explored.transitions, explored.depth);
    explored
}

fn breaks(world: World, property: &str) -> Counterexample {
    let Err(found) = explore(&world) else { panic!("this is not noticed: {:?}", world.rules) };
    println!("{found:?}");
    assert_eq!(found.broken, property);
    found
}

#[test]
fn a_refresh_token_is_spent_once_and_no_consent_is_lost() {
    for (name, refusals) in [("refresh token, no fault", 0), ("refresh token, a refusal", 1)] {
        let world = World { faults: 0, refusals, ..WORLD };
        for state in holds(name, world).states.iter().filter(|state| world.is_end(state)) {
            let Content { token, mark } = state.store.record.content;
            assert!(token == state.valid && mark == 0, "{name}: {state:?}");
        }
    }
}

#[test]
fn a_refresh_token_is_spent_once_whatever_is_lost() {
    holds("refresh token, one fault", WORLD);
    holds("refresh token, one fault and a refusal", World { fetches: 3, refusals: 1, ..WORLD });
    holds("refresh token, two faults", World { fetches: 3, faults: 2, ..WORLD });
    // Versions only tell early what the fences refuse anyway.
    holds("refresh token, versions ignored", World { rules: Rules { version: false, ..SOUND }, fetches: 3, ..WORLD });
}

/// A world without faults whose callers leave.
const LEFT: World = World { faults: 0, fetches: 3, cancels: 1, ..WORLD };

#[test]
fn a_caller_that_leaves_spends_no_token_twice_and_loses_no_consent() {
    holds("refresh token, a caller leaves", LEFT);
    holds("refresh token, two callers leave", World { cancels: 2, ..LEFT });
    holds("refresh token, a caller leaves, and a fault", World { faults: 1, ..LEFT });
}

#[test]
fn each_rule_of_callers_that_leave_is_needed() {
    for (rules, property) in [
        (Rules { keeps_marks_of_what_was_sent: false, ..SOUND }, TWICE),
        (Rules { unmarks_what_was_not_sent: false, ..SOUND }, LOST),
        (Rules { settles_under_a_lease: false, ..SOUND }, LOST),
        (Rules { looks_again_when_fenced: false, ..SOUND }, LOST),
    ] {
        explore(&LEFT).unwrap_or_else(|found| panic!("the sound protocol: {found:?}"));
        breaks(World { rules, ..LEFT }, property);
    }
}

#[test]
fn each_rule_of_refresh_tokens_is_needed() {
    for rules in [
        Rules { marks_first: false, ..SOUND },
        Rules { heeds_marks: false, ..SOUND },
        Rules { needs_the_reply: false, ..SOUND },
        Rules { keeps_lost_marks: false, ..SOUND },
        Rules { forgets_harmless_marks: false, ..SOUND },
        Rules { compares_the_token: false, ..SOUND },
        Rules { fence: false, ..SOUND },
        Rules { fence: false, version: false, ..SOUND },
    ] {
        breaks(World { rules, ..WORLD }, TWICE);
    }
}

#[test]
fn a_store_that_forgets_a_write_spends_a_refresh_token_twice() {
    breaks(World { forgets: true, faults: 0, ..WORLD }, TWICE);
}
