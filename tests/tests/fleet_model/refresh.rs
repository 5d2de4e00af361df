//! A refresh token that hosts share, in every order of events: it is spent once.
//!
//! A lease may end at any time, which is what a pause of its holder looks like to the others. Where the server accepts
//! a used token again for a period, or the token is sent again after a time, there is also a clock ([`resent`]).

mod host;
mod lost_writes;
mod resent;
mod store;

use self::{
    host::{Host, Phase, Response, Rules, SOUND},
    store::{Content, MOST_LEASES, Store, Tick},
};
use super::search::{Broken, Counterexample, Explored, Model, Taken, explore};

const TWICE: &str = "a refresh token was sent although the server had used it up";
const LOST: &str = "a consent is lost, although no response was";

/// What is explored.
#[derive(Clone, Copy, Debug)]
struct World {
    rules: Rules,
    hosts: usize,
    /// The fetches that begin.
    fetches: u8,
    /// The most faults: a crash, a call of the store or its reply that is lost, a response of the server that is lost.
    faults: u8,
    /// Whether a fault may be any of them, or only a response that is lost.
    any_fault: bool,
    /// How often the server refuses, and uses nothing up.
    refusals: u8,
    /// How many callers leave in the middle of what they do. Their last call reaches the store, or does not, or later.
    cancels: u8,
    /// How many of its last writes the store may forget.
    forgets: usize,
    /// Whether a host that does not know of the writes that were lost may be mistaken then.
    the_unaware_may_be_mistaken: bool,
    /// How much time passes.
    ticks: Tick,
    /// How often a host may stand still between its last look at the clock and its request.
    stalls: u8,
    /// How far the store's clock is set back once, if it is.
    set_back: Tick,
    /// Whether a host that does not know the mark of before may be mistaken then.
    newcomers_may_be_mistaken: bool,
    /// Whether a process may end before it has settled what its caller left behind.
    settlers_crash: bool,
    /// Whether the server has one successor for each token. Otherwise each request brings another one.
    one_successor: bool,
}

const WORLD: World = World {
    rules: SOUND,
    hosts: 3,
    fetches: 4,
    faults: 1,
    any_fault: true,
    refusals: 0,
    cancels: 0,
    forgets: 0,
    the_unaware_may_be_mistaken: false,
    ticks: 0,
    stalls: 0,
    set_back: 0,
    newcomers_may_be_mistaken: true,
    settlers_crash: true,
    one_successor: false,
};

/// A refresh token at the server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Issued {
    /// When it was used first.
    used_at: Option<Tick>,
    /// What that request brought.
    successor: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    now: Tick,
    hosts: [Host; 3],
    store: Store,
    /// The records before the last two writes, the later one first.
    before: [store::Record; 2],
    /// The tokens of the server, by number.
    tokens: [Issued; MOST_LEASES as usize + 2],
    /// The last token that it issued.
    issued: u8,
    fetches: u8,
    faults: u8,
    refusals: u8,
    cancels: u8,
    stalls: u8,
    is_set_back: bool,
    /// A host whose caller is gone, and whose call is still on its way.
    late: Option<Host>,
    /// Whether a response was lost, because its caller was gone.
    is_response_lost: bool,
}

impl State {
    /// The server uses a token up, for the first time or again. Gives its successor.
    fn uses(&mut self, world: &World, number: usize, token: u8) -> u8 {
        if world.rules.writes_are_lost {
            self.hosts[number].sent |= 1 << token;
        }
        let used = self.tokens[usize::from(token)];
        if used.used_at.is_some() && world.one_successor {
            return used.successor;
        }
        self.issued += 1;
        if used.used_at.is_none() {
            self.tokens[usize::from(token)] = Issued { used_at: Some(self.now), successor: self.issued };
        }
        self.issued
    }

    fn is_used(&self, token: u8) -> bool {
        self.tokens[usize::from(token)].used_at.is_some()
    }

    /// The server has ended the consent. Nothing is judged after it.
    fn ended(&self) -> Self {
        State { fetches: 0, hosts: Default::default(), late: None, is_response_lost: true, ..self.clone() }
    }
}

#[derive(Clone, Copy, Debug)]
enum Arrival {
    Never,
    Now,
    Later,
}

/// What comes of a request with a refresh token.
enum Judged {
    Accepted,
    /// The consent ends, which is known to be possible, or was to be risked.
    Mistaken,
    Twice,
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
    /// The store forgets its last writes, and has what was before them.
    Failover(usize),
    Tick,
    SetBack,
}

impl Model for World {
    type State = State;
    type Step = Step;

    fn starts(&self) -> Vec<State> {
        let store = Store::new();
        vec![State {
            now: 0,
            hosts: [2, 1, 0].map(|number| match number < self.hosts {
                true => Host::default(),
                false => Host::absent(),
            }),
            before: [store.record; 2],
            store,
            tokens: Default::default(),
            issued: 1,
            fetches: self.fetches,
            faults: self.faults,
            refusals: self.refusals,
            cancels: self.cancels,
            stalls: self.stalls,
            is_set_back: false,
            late: None,
            is_response_lost: false,
        }]
    }

    fn is_end(&self, state: &State) -> bool {
        state.fetches == 0 && state.hosts.iter().all(|host| [Phase::Idle, Phase::Absent].contains(&host.phase))
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
                Phase::Idle | Phase::Absent => continue,
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
                    if state.faults > 0 && self.any_fault {
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
            let may_crash = self.settlers_crash || !host.settles_something();
            if state.faults > 0 && self.any_fault && *host != Host::default() && may_crash {
                steps.push(Step::Crash(number));
            }
        }
        if state.late.is_some() {
            steps.push(Step::LateCall);
        }
        if state.store.is_leased {
            steps.push(Step::LeaseEnds);
        }
        let is_behind = |write: &usize| state.before[*write] != state.store.record;
        steps.extend((0..self.forgets).filter(is_behind).map(Step::Failover));
        if state.now < self.ticks && self.may_pass(state) {
            steps.push(Step::Tick);
        }
        if self.set_back > 0 && !state.is_set_back {
            steps.push(Step::SetBack);
        }
        found.extend(steps.into_iter().map(|step| (step, self.after(state, step))));
    }
}

impl World {
    /// Whether time may pass before all that is done at once is done.
    fn may_pass(&self, state: &State) -> bool {
        // With a time after which the token is sent again, its holder has to be quicker.
        let is_slow = |host: &Host| host.hurries(state.now) || (self.rules.resend_after.is_some() && host.uses());
        state.stalls > 0 || !state.hosts.iter().any(is_slow)
    }

    /// What the server makes of a token.
    fn judge(&self, state: &State, host: &Host, token: u8) -> Judged {
        let Some(used_at) = state.tokens[usize::from(token)].used_at else { return Judged::Accepted };
        if self.rules.period.is_some_and(|period| state.now - used_at < period) {
            return Judged::Accepted;
        }
        let knows = host.known.is_some_and(|known| known.is_of_before);
        let is_mistaken = state.is_set_back && self.newcomers_may_be_mistaken && !knows;
        // The consent would have been lost with the response.
        let is_lost = state.faults < self.faults || state.is_response_lost;
        let is_risked = self.rules.resend_after.is_some() && is_lost;
        let is_unaware = self.the_unaware_may_be_mistaken && !host.knows_better(token);
        if is_mistaken || is_risked || is_unaware { Judged::Mistaken } else { Judged::Twice }
    }

    fn after(&self, state: &State, step: Step) -> Result<State, Broken> {
        let (mut next, now) = (state.clone(), state.now);
        match step {
            Step::Begin(number) => {
                next.fetches -= 1;
                next.hosts[number].phase = Phase::Look;
            }
            Step::Call(number) => next.hosts[number].calls(&self.rules, now, Some(&mut next.store)),
            Step::LostRequest(number) => {
                next.faults -= 1;
                next.hosts[number].calls(&self.rules, now, None);
            }
            Step::LostReply(number) => {
                next.faults -= 1;
                // The store does what the call says, and the host does not learn of it.
                state.hosts[number].clone().calls(&self.rules, now, Some(&mut next.store));
                next.hosts[number].calls(&self.rules, now, None);
            }
            Step::Send(number) | Step::LostResponse(number) => {
                let host = state.hosts[number];
                let Phase::Send { token, .. } = host.phase else { return Ok(next) };
                match self.judge(state, &host, token) {
                    Judged::Accepted => {}
                    Judged::Mistaken => return Ok(state.ended()),
                    Judged::Twice => return Err(Broken(TWICE)),
                }
                let successor = next.uses(self, number, token);
                let response = match step {
                    Step::Send(_) => Response::Successor(successor),
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
                    (Phase::Send { token, .. }, Arrival::Now) => {
                        match self.judge(state, &host, token) {
                            Judged::Accepted => {}
                            Judged::Mistaken => return Ok(state.ended()),
                            Judged::Twice => return Err(Broken(TWICE)),
                        }
                        next.uses(self, number, token);
                        next.is_response_lost = true;
                        true
                    }
                    (_, Arrival::Now) => {
                        host.clone().calls(&self.rules, now, Some(&mut next.store));
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
                    host.calls(&self.rules, now, Some(&mut next.store));
                }
            }
            Step::LeaseEnds => next.store.is_leased = false,
            Step::Failover(write) => {
                let record = state.before[write];
                (next.store.record, next.before) = (record, [record; 2]);
            }
            Step::Tick => {
                if state.hosts.iter().any(|host| host.hurries(now)) {
                    next.stalls -= 1;
                }
                (next.now, next.store.clock) = (now + 1, state.store.clock + 1);
            }
            Step::SetBack => {
                (next.is_set_back, next.store.clock) = (true, state.store.clock - self.set_back);
                let known = next.hosts.iter_mut().filter_map(|host| host.known.as_mut());
                known.for_each(|known| known.is_of_before = true);
            }
        }
        if self.forgets > 0 && next.store.record != state.store.record && !matches!(step, Step::Failover(_)) {
            next.before = [state.store.record, state.before[0]];
        }
        next.hosts.sort_unstable();
        let is_judged = self.faults == 0 && self.forgets == 0 && self.set_back == 0;
        if is_judged && self.loses_a_consent(&next) { Err(Broken(LOST)) } else { Ok(next) }
    }
}

impl World {
    /// Whether all is over, and the token that the server accepts is not in the store or cannot be sent.
    fn loses_a_consent(&self, state: &State) -> bool {
        let Content { token, mark, .. } = state.store.record.content;
        let is_over =
            self.is_end(state) && state.late.is_none() && state.hosts.iter().all(|host| host.pending.is_none());
        is_over && !state.is_response_lost && (state.is_used(token) || mark != 0)
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
            let Content { token, mark, .. } = state.store.record.content;
            assert!(!state.is_used(token) && mark == 0, "{name}: {state:?}");
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
    breaks(World { forgets: 1, faults: 0, ..WORLD }, TWICE);
}
