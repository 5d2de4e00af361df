//! What must hold. Each property has the name of what is wrong when it does not.

use super::{
    replica::{Answer, Call, Ended, Own, Reason, Replica},
    rules::SHORT_LEASE,
    search::Broken,
    state::State,
    store::Saved,
    world::{Fault, World},
};

pub(crate) const TWICE: &str = "two saves under one fence, or an older one after a newer one";
pub(crate) const REFUSED: &str = "the save of a replica that has the lease was refused";
pub(crate) const NEEDLESS: &str = "an exchange without a fault and without a need";
pub(crate) const MORE: &str = "more exchanges than one for each lifetime and each fault";
pub(crate) const STORM: &str = "more exchanges for an API that refuses all than one for each pause and lifetime";
pub(crate) const DECLINED: &str = "a replica goes on with a rejected token, and the fleet's exchange is not recent";
pub(crate) const UNREACHED: &str = "more attempts without a connection than one for each cool-down, and one";
pub(crate) const ALONE: &str = "a replica failed because one other has no connection";
pub(crate) const LATE: &str = "a waiter waits for longer than its deadline";
pub(crate) const IN_VAIN: &str = "a waiter waited in vain although every lease has ended by now";
pub(crate) const DESPITE: &str = "a flight failed although a usable token was stored";
pub(crate) const UNUSABLE: &str = "a replica was served a token that has expired or was rejected";
pub(crate) const AGAIN: &str = "a replica was served its own token again after it had expired";
pub(crate) const BACK: &str = "a replica went back to an older token";
pub(crate) const LOST: &str = "a token was fetched, and its flight ended without one";
pub(crate) const TOO_LONG: &str = "a replica was served a token for longer than it lives";

pub(crate) const ASKED: &str = "a store that is down was asked more often than once for each pause";
pub(crate) const WITHOUT: &str = "a replica did without a store that is right and answers";
pub(crate) const ENDED: &str = "a replica was served an ended token of a record that it had reason to doubt";

/// The properties that a step has broken.
#[derive(Default)]
pub(crate) struct Findings(Vec<&'static str>);

impl Findings {
    pub(crate) fn require(&mut self, holds: bool, property: &'static str) {
        if !holds {
            self.0.push(property);
        }
    }

    /// The first one, among all or of this kind.
    pub(crate) fn first(&self, only: Option<&str>, except: Option<&str>) -> Option<Broken> {
        let is_judged = |found: &&&'static str| only.is_none_or(|only| only == **found) && except != Some(**found);
        self.0.iter().find(is_judged).map(|found| Broken(found))
    }

    pub(crate) fn after_a_tick(&mut self, state: &State) {
        let is_late = |replica: &Replica| {
            let over = replica.flight.is_some_and(|flight| flight.until() < state.now);
            over && !replica.paused && !replica.struck
        };
        self.require(!state.replicas.iter().any(is_late), LATE);
        // Its rejection has no effect now. Another one may have fetched the token alone.
        let is_declined = |replica: &Replica| {
            let is_rejected = replica.own.is_some_and(|own| own.held.number <= state.revoked);
            is_rejected && replica.flight.is_none() && replica.paused_until > state.pause_until
        };
        self.require(!state.replicas.iter().any(is_declined), DECLINED);
    }

    /// `state` is the one before the answer.
    pub(crate) fn of_an_answer(&mut self, world: &World, state: &State, number: usize, answer: Answer) {
        let Answer::Saved(saved) = answer else { return };
        self.require(saved != Saved::Done { again: true }, TWICE);
        self.require(matches!(saved, Saved::Done { .. }) || !has_lease(world, state, number), REFUSED);
    }

    /// A replica exchanges, and the store did not just leave it without an answer.
    pub(crate) fn of_doing_without(&mut self, state: &State, number: usize) {
        let replica = &state.replicas[number];
        let is_alone = matches!(replica.flight.map(|flight| flight.call), Some(Call::Exchange { lease: None, .. }));
        let has_reason = replica.circuit.open_until > state.now || state.store.ahead != 0;
        self.require(!is_alone || has_reason, WITHOUT);
    }

    pub(crate) fn of_an_end(&mut self, world: &World, state: &State, before: &Replica, ended: Ended) {
        let Some(flight) = before.flight else { return };
        let rejected = before.own.filter(|_| flight.reason == Reason::Rejected).map_or(0, |own| own.held.number);
        match ended {
            Ended::Served(Own { held, .. }) => {
                let is_again =
                    flight.own().is_some_and(|own| own.held.number == held.number && own.held.until <= state.now);
                self.require(!is_again, AGAIN);
                let is_too_long = held.number == state.issued.number && held.until > state.issued.until;
                // What a paused replica fetched may have expired meanwhile. Its provider does not use it then.
                self.require((held.until > state.now || before.struck) && held.number > rejected, UNUSABLE);
                self.require(!is_too_long, TOO_LONG);
                self.require(flight.own().is_none_or(|own| held.number >= own.held.number), BACK);
                let end = state.ends[usize::from(held.number)];
                self.require(before.doubts.version == 0 || end == 0 || end > state.now, ENDED);
            }
            Ended::Failed if before.number == 0 && world.without_a_connection == 1 && world.outages == 0 => {
                self.require(false, ALONE);
            }
            // It goes on with what it has.
            Ended::Failed | Ended::WaitedInVain if before.struck || flight.reason == Reason::Stale => {}
            Ended::Failed | Ended::WaitedInVain => {
                let stored = state.store.last_token.filter(|held| held.until > state.now);
                let is_usable = stored.is_some_and(|held| held.number > rejected && held.number > state.revoked);
                self.require(!state.up || !is_usable, DESPITE);
                // After two faults, the third holder may need the time that is left.
                let is_fetched = world.budget - state.faults == 2 && state.is_fetched_under_a_lease();
                self.require(ended == Ended::Failed || flight.began < state.vain_until || is_fetched, IN_VAIN);
            }
        }
    }
}

/// The faults after which a lease may be gone.
const LOSSY: [Fault; 4] = [Fault::Failover, Fault::StoreDown, Fault::ClockAhead, Fault::ClockBack];

/// Whether a replica that saves must have the lease: no fault hit it, and the store loses nothing.
fn has_lease(world: &World, state: &State, number: usize) -> bool {
    let replica = &state.replicas[number];
    // The lease was granted at the beginning of the flight at the earliest.
    let lasts = replica.flight.is_some_and(|flight| state.now < flight.began + SHORT_LEASE);
    let is_lossy = world.faults.iter().any(|fault| LOSSY.contains(fault));
    lasts && !replica.struck && !is_lossy
}
