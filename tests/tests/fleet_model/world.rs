//! Three replicas, a store, an authorization server, time, and at most so many faults: every step that is possible.

use super::{
    properties::{self, Findings},
    replica::{Answer, Call, Ended, Flight, Reason, Replica, is_stale},
    rules::{COOL_DOWN, LEASE, LIFE, PAUSE, Rules, STALE, STORE_PAUSES, Tick},
    search::{Broken, Model, Taken},
    state::State,
    store::Store,
};

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// A replica ends, and starts again with nothing in memory.
    Crash,
    /// A replica stands still for any time, and continues where it was.
    Pause,
    /// The store does what it was asked, and its reply is lost.
    LostReply,
    /// A request to the store is lost.
    LostRequest,
    /// The store forgets its last write, or its last two.
    Failover,
    /// The clock of the store is set ahead.
    ClockAhead,
    /// It is set back.
    ClockBack,
    /// The store is down for any time, and comes back with its data or without.
    StoreDown,
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    /// The faults that may happen, and how many of them in all.
    pub(crate) faults: &'static [Fault],
    pub(crate) budget: u8,
    /// Whether they happen in the order in which they are named, which makes a search smaller.
    pub(crate) in_order: bool,
    /// How many replicas there are: three, or fewer to make a search smaller.
    pub(crate) replicas: usize,
    /// The one tick at which faults and rejections may happen, instead of all.
    pub(crate) troubles_at: Option<Tick>,
    /// How far the clocks of some replicas are ahead.
    pub(crate) skew: Tick,
    /// How often the API rejects all tokens so far.
    pub(crate) revocations: u8,
    /// Whether the API rejects every token.
    pub(crate) refuses_all: bool,
    /// How many exchanges the server may fail.
    pub(crate) outages: u8,
    /// How many replicas have no connection to the server.
    pub(crate) without_a_connection: u8,
    /// The most exchanges beyond one for each lifetime, revocation and failed exchange.
    pub(crate) allowed: u8,
    /// The end of time.
    pub(crate) until: Tick,
    /// The one property to judge, instead of all.
    pub(crate) only: Option<&'static str>,
    /// A property that is known not to hold there.
    pub(crate) except: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Tick,
    /// A replica begins a flight.
    Begin(usize, Reason),
    /// The call of a replica is answered.
    Answer(usize),
    ExchangeFails(usize),
    Crash {
        replica: usize,
        issued: bool,
    },
    Pause(usize),
    Resume(usize),
    /// Its call was not answered, and the time of its flight is over.
    ResumeTooLate(usize),
    LostReply(usize),
    LostRequest(usize),
    Failover {
        writes: usize,
    },
    SetClock {
        is_ahead: bool,
    },
    StoreDown,
    StoreBack {
        empty: bool,
    },
    Revoke,
}

impl Model for World {
    type State = State;
    type Step = Step;

    fn starts(&self) -> Vec<State> {
        // One clock is ahead of two, or two are ahead of one.
        let ahead: &[usize] = if self.skew == 0 { &[0] } else { &[1, 2] };
        ahead.iter().map(|ahead| State::start(self, *ahead)).collect()
    }

    fn is_end(&self, state: &State) -> bool {
        state.now == self.until
    }

    fn steps(&self, state: &State, found: &mut Vec<Taken<Self>>) {
        if self.is_end(state) {
            return;
        }
        let mut steps = Vec::new();
        if state.is_waiting() {
            steps.push(Step::Tick);
        }
        for (number, replica) in state.replicas.iter().enumerate() {
            // Replicas that are the same do the same.
            if number == 0 || state.replicas[number - 1] != *replica {
                self.steps_of(state, number, replica, &mut steps);
            }
        }
        if state.revocations > 0 && self.is_time_of_trouble(state) && state.issued.number > state.revoked {
            steps.push(Step::Revoke);
        }
        if !state.up {
            steps.extend([false, true].map(|empty| Step::StoreBack { empty }));
        }
        if state.up && self.may_fail(state, Fault::StoreDown) {
            steps.push(Step::StoreDown);
        }
        for (fault, is_ahead) in [(Fault::ClockAhead, true), (Fault::ClockBack, false)] {
            if self.may_fail(state, fault) {
                steps.push(Step::SetClock { is_ahead });
            }
        }
        if self.may_fail(state, Fault::Failover) {
            steps.extend([1, 2].map(|writes| Step::Failover { writes }));
        }
        found.extend(steps.into_iter().map(|step| (step, self.after(state, step))));
    }
}

impl World {
    fn is_time_of_trouble(&self, state: &State) -> bool {
        self.troubles_at.is_none_or(|tick| tick == state.now)
    }

    fn may_fail(&self, state: &State, fault: Fault) -> bool {
        let number = usize::from(self.budget - state.faults);
        state.faults > 0
            && self.is_time_of_trouble(state)
            && if self.in_order { self.faults.get(number) == Some(&fault) } else { self.faults.contains(&fault) }
    }

    fn steps_of(&self, state: &State, number: usize, replica: &Replica, steps: &mut Vec<Step>) {
        if replica.paused {
            if !self.faults.contains(&Fault::Pause) {
                return;
            }
            steps.push(Step::Resume(number));
            let is_unanswered =
                |flight: &Flight| flight.is_late(state.now) && !matches!(flight.call, Call::Sleep { .. });
            if replica.flight.as_ref().is_some_and(is_unanswered) {
                steps.push(Step::ResumeTooLate(number));
            }
            return;
        }
        if self.may_fail(state, Fault::Crash) {
            steps.push(Step::Crash { replica: number, issued: false });
        }
        let Some(flight) = replica.flight else {
            match replica.own.map(|own| own.held).filter(|held| held.until > state.now) {
                Some(held) if held.number <= state.revoked && replica.paused_until == 0 => {
                    steps.push(Step::Begin(number, Reason::Rejected));
                }
                Some(held) if !is_stale(state.now, held) => {}
                Some(_) => steps.push(Step::Begin(number, Reason::Stale)),
                None => steps.push(Step::Begin(number, Reason::Missing)),
            }
            return;
        };
        if self.may_fail(state, Fault::Pause) {
            steps.push(Step::Pause(number));
        }
        match flight.call {
            Call::Sleep { until } if state.now < until => {}
            Call::Sleep { .. } => steps.push(Step::Answer(number)),
            Call::Exchange { .. } => {
                steps.push(Step::Answer(number));
                if state.outages > 0 {
                    steps.push(Step::ExchangeFails(number));
                }
                if self.may_fail(state, Fault::Crash) {
                    steps.push(Step::Crash { replica: number, issued: true });
                }
            }
            Call::Read | Call::ReadAgain | Call::Lease { .. } | Call::Save { .. } | Call::Release { .. } => {
                steps.push(Step::Answer(number));
                if self.may_fail(state, Fault::LostReply) {
                    steps.push(Step::LostReply(number));
                }
                if self.may_fail(state, Fault::LostRequest) {
                    steps.push(Step::LostRequest(number));
                }
            }
        }
    }

    fn after(&self, state: &State, step: Step) -> Result<State, Broken> {
        let mut next = state.clone();
        let mut findings = Findings::default();
        match step {
            Step::Tick => {
                next.now += 1;
                next.pass_pauses();
                findings.after_a_tick(&next);
            }
            Step::Begin(number, reason) => {
                next.begin(&self.rules, number, reason);
                if next.is_exchanging(number) {
                    self.exchanges(&mut next, number, &mut findings);
                    findings.of_doing_without(&next, number);
                }
            }
            Step::Answer(number) => {
                if self.replicas == 1 && !state.up && !next.is_exchanging(number) {
                    next.unanswered += 1;
                    let most = most_unanswered(next.now - next.down_since);
                    findings.require(next.unanswered <= most, properties::ASKED);
                }
                let answer = next.answer(&self.rules, number);
                findings.of_an_answer(self, state, number, answer);
                self.hear(&mut next, number, answer, &mut findings);
            }
            Step::ExchangeFails(number) => {
                next.outages -= 1;
                next.cool_until = next.now + COOL_DOWN;
                next.vain_until = next.now + LEASE;
                self.hear(&mut next, number, Answer::Exchanged(None), &mut findings);
            }
            Step::Crash { replica, issued } => {
                if issued {
                    next.issue();
                }
                next.strike(self, Some(replica));
                let before = &state.replicas[replica];
                next.replicas[replica] = Replica { skew: before.skew, number: before.number, ..Replica::default() };
            }
            Step::Pause(number) => {
                next.strike(self, Some(number));
                next.replicas[number].paused = true;
                next.replicas[number].stands_still(state.now);
            }
            Step::Resume(number) => {
                next.replicas[number].paused = false;
                if next.replicas[number].flight.is_some_and(|flight| flight.is_late(next.now)) {
                    let answer = next.answer(&self.rules, number);
                    findings.of_an_answer(self, state, number, answer);
                    self.hear(&mut next, number, answer, &mut findings);
                    Self::give_up(&mut next, number, &mut findings);
                }
            }
            Step::ResumeTooLate(number) => {
                next.replicas[number].paused = false;
                // The time of a call is over as well, which is an answer.
                if !next.is_exchanging(number) {
                    self.hear(&mut next, number, Answer::Down, &mut findings);
                }
                Self::give_up(&mut next, number, &mut findings);
            }
            Step::LostReply(number) => {
                next.strike(self, Some(number));
                let answer = next.answer(&self.rules, number);
                findings.of_an_answer(self, &next, number, answer);
                self.hear(&mut next, number, Answer::Down, &mut findings);
            }
            Step::LostRequest(number) => {
                next.strike(self, Some(number));
                self.hear(&mut next, number, Answer::Down, &mut findings);
            }
            Step::Failover { writes } => {
                next.strike(self, None);
                next.store = next.before[writes - 1];
                next.before = [next.store; 2];
            }
            Step::SetClock { is_ahead } => {
                next.strike(self, None);
                next.store.step_clock(is_ahead);
            }
            Step::StoreDown => {
                next.strike(self, None);
                (next.up, next.down_since) = (false, if self.replicas == 1 { next.now } else { 0 });
            }
            Step::StoreBack { empty } => {
                (next.up, next.unanswered) = (true, 0);
                // It may have a lease whose holder did not get the answer.
                next.vain_until = next.now + LEASE;
                if empty {
                    next.store.restart_empty();
                }
            }
            Step::Revoke => {
                next.revocations -= 1;
                next.revoked = next.issued.number;
            }
        }
        findings.require(self.refuses_all || next.excess(self) <= self.allowed, properties::MORE);
        findings.require(!self.refuses_all || next.exchanges <= most_refused(next.now), properties::STORM);
        // Only a failover looks back.
        if next.faults == 0 || !self.faults.contains(&Fault::Failover) {
            next.before = [Store::default(); 2];
        } else if next.store != state.store {
            next.before = [state.store, state.before[0]];
        }
        next.replicas.sort_unstable();
        findings.first(self.only, self.except).map_or(Ok(next), Err)
    }

    /// The most attempts without a connection: one for each cool-down, and that of a second replica.
    fn most_unreached(&self, now: Tick) -> u8 {
        now / COOL_DOWN + self.without_a_connection.min(2)
    }

    /// The provider ends a flight whose time is over, if it waits for anything.
    fn give_up(next: &mut State, number: usize, findings: &mut Findings) {
        let replica = &mut next.replicas[number];
        if let Some(flight) = &mut replica.flight
            && !matches!(flight.call, Call::Release { .. })
        {
            findings.require(!flight.has_fetched(), properties::LOST);
            if !flight.is_dropped() {
                replica.flight = None;
            }
        }
    }

    /// A replica begins an exchange.
    fn exchanges(&self, next: &mut State, number: usize, findings: &mut Findings) {
        if next.replicas[number].number > 0 {
            next.unreached += 1;
            findings.require(next.unreached <= self.most_unreached(next.now), properties::UNREACHED);
        } else {
            next.exchanges += 1;
        }
        // After a fault, exchanges are counted instead.
        let is_counted = next.faults < self.budget || self.refuses_all;
        findings.require(is_counted || next.is_due(number), properties::NEEDLESS);
    }

    /// A replica takes an answer, and what it does then is judged.
    fn hear(&self, next: &mut State, number: usize, answer: Answer, findings: &mut Findings) {
        let before = next.replicas[number];
        let ended = next.replicas[number].hears(&self.rules, next.now, answer);
        if next.is_exchanging(number) {
            self.exchanges(next, number, findings);
            if answer != Answer::Down {
                findings.of_doing_without(next, number);
            }
        }
        if let Some((ended, is_exchanged)) = ended {
            next.replicas[number].struck = false;
            if let (Ended::Served(own), Some(flight)) = (ended, before.flight) {
                next.pauses(&self.rules, number, flight.reason, own.held, is_exchanged);
            }
            findings.of_an_end(self, next, &before, ended);
        }
    }
}

/// The most exchanges for an API that rejects every token: the first, one for its rejection, and then one for each pause
/// and each lifetime.
fn most_refused(now: Tick) -> u8 {
    2 + now / PAUSE + now / (LIFE - STALE)
}

/// The most calls of one replica to a store that has been down for so long: one for each pause, and one.
fn most_unanswered(down_for: Tick) -> u8 {
    let ends = STORE_PAUSES.iter().scan(0, |end: &mut Tick, pause| {
        *end += pause;
        Some(*end)
    });
    1 + ends.filter(|end| *end <= down_for).count() as u8
}
