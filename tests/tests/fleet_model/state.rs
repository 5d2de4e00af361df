//! The state of a world, and what happens in it.

use std::fmt;

use super::{
    properties,
    replica::{Answer, Call, Reason, Replica},
    rules::{COOL_DOWN, Held, LEASE, LIFE, PAUSE, Rules, STALE, Tick},
    store::{Leased, Store},
    world::{Fault, World},
};

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) now: Tick,
    pub(crate) replicas: [Replica; 3],
    pub(crate) store: Store,
    pub(crate) up: bool,
    /// The store before its last write, and before the one before that.
    pub(crate) before: [Store; 2],
    /// The last token that the server issued.
    pub(crate) issued: Held,
    /// Tokens up to this number are rejected by the API.
    pub(crate) revoked: u8,
    /// The tokens whose exchange a rejection forced, as bits.
    pub(crate) forced: u32,
    /// The end of the pause after the last of them. Zero if it is over.
    pub(crate) pause_until: Tick,
    /// The time until which nothing should be sent to a server that has failed.
    pub(crate) cool_until: Tick,
    pub(crate) faults: u8,
    /// A flight that began before then may wait in vain: a fault may have left a lease without a holder, or the server
    /// has failed.
    pub(crate) vain_until: Tick,
    pub(crate) revocations: u8,
    pub(crate) outages: u8,
    /// The exchanges that began.
    pub(crate) exchanges: u8,
    /// The attempts that reached no server.
    pub(crate) unreached: u8,
    /// The calls of the store that were not answered since it is down, and since when it is. Counted for one replica only.
    pub(crate) unanswered: u8,
    pub(crate) down_since: Tick,
    /// The ends of the tokens, where the record may tell others.
    pub(crate) ends: [Tick; 16],
    keeps_ends: bool,
    /// The last fence that was granted, also if the store has forgotten it.
    minted: u8,
}

impl State {
    /// The clocks of the first so many replicas are ahead.
    pub(crate) fn start(world: &World, ahead: usize) -> Self {
        State {
            now: 0,
            replicas: [0, 1, 2].map(|number| {
                let skew = if number < ahead { world.skew } else { 0 };
                let has_no_connection = number < usize::from(world.without_a_connection);
                let of_record = if has_no_connection { number as u8 + 1 } else { 0 };
                // One that stands still for ever.
                let paused = number >= world.replicas;
                Replica { skew, number: of_record, paused, ..Replica::default() }
            }),
            store: Store::default(),
            up: true,
            before: [Store::default(); 2],
            issued: Held { number: 0, until: 0 },
            revoked: if world.refuses_all { u8::MAX } else { 0 },
            forced: 0,
            pause_until: 0,
            cool_until: 0,
            faults: world.budget,
            vain_until: 0,
            revocations: world.revocations,
            outages: world.outages,
            exchanges: 0,
            unreached: 0,
            unanswered: 0,
            down_since: 0,
            ends: [0; 16],
            keeps_ends: world.faults.contains(&Fault::ClockBack) && world.only == Some(properties::ENDED),
            minted: 0,
        }
    }

    /// The exchanges beyond one for each lifetime so far, revocation, and failed exchange.
    pub(crate) fn excess(&self, world: &World) -> u8 {
        let revoked = world.revocations - self.revocations;
        let failed = world.outages - self.outages;
        // The next token is fetched when the last one is stale.
        let lifetimes = 1 + self.now / (LIFE - STALE);
        self.exchanges.saturating_sub(lifetimes + revoked + failed)
    }

    /// Whether all that can be done at once is done.
    pub(crate) fn is_waiting(&self) -> bool {
        let is_waiting = |replica: &Replica| match replica.flight.map(|flight| flight.call) {
            None => true,
            Some(Call::Sleep { until } | Call::Exchange { until, .. }) => self.now < until,
            Some(_) => false,
        };
        self.replicas.iter().all(|replica| replica.paused || is_waiting(replica))
    }

    pub(crate) fn begin(&mut self, rules: &Rules, number: usize, reason: Reason) {
        self.replicas[number].struck = false;
        self.replicas[number].begins(rules, self.now, reason);
    }

    /// A fault happens, to this replica.
    pub(crate) fn strike(&mut self, world: &World, number: Option<usize>) {
        self.faults -= 1;
        // Two short leases in a row leave the time for a third.
        if number.is_none() || world.outages > self.outages {
            self.vain_until = self.now + LEASE;
        }
        if let Some(number) = number {
            self.replicas[number].struck = true;
        }
    }

    pub(crate) fn issue(&mut self) -> Held {
        self.issued = Held { number: self.issued.number + 1, until: self.now + LIFE };
        if self.keeps_ends {
            self.ends[usize::from(self.issued.number)] = self.issued.until;
        }
        self.issued
    }

    pub(crate) fn is_exchanging(&self, number: usize) -> bool {
        matches!(self.replicas[number].flight.map(|flight| flight.call), Some(Call::Exchange { .. }))
    }

    /// Whether a replica that runs has the lease, and exchanges.
    pub(crate) fn is_fetched_under_a_lease(&self) -> bool {
        let has_lease = |replica: &Replica| {
            matches!(
                replica.flight.map(|flight| flight.call),
                Some(Call::Exchange { lease: Some(_), .. } | Call::Save { .. })
            )
        };
        self.replicas.iter().any(|replica| !replica.paused && has_lease(replica))
    }

    /// The server issues a token to a replica.
    fn exchange(&mut self, number: usize) -> Held {
        let held = self.issue();
        if self.replicas[number].flight.is_some_and(|flight| flight.reason == Reason::Rejected) {
            self.forced |= 1 << held.number;
            self.pause_until = self.now + PAUSE;
        }
        held
    }

    /// The pause of a replica that was served a token.
    pub(crate) fn pauses(&mut self, rules: &Rules, number: usize, reason: Reason, held: Held, is_exchanged: bool) {
        let is_forced = self.forced & (1 << held.number) != 0;
        let replica = &mut self.replicas[number];
        let from = match (is_exchanged, is_forced) {
            (true, _) if reason == Reason::Rejected => self.now,
            // It counts from the exchange.
            (false, true) if rules.pauses_are_shared => held.until.saturating_sub(LIFE),
            (false, false) if reason == Reason::Rejected && !rules.adopting_has_no_pause => self.now,
            _ => return,
        };
        replica.paused_until = replica.paused_until.max(from + PAUSE);
        if is_exchanged {
            // Its save took some time.
            self.pause_until = self.pause_until.max(from + PAUSE);
        }
        self.pass_pauses();
    }

    /// A pause that is over is none.
    pub(crate) fn pass_pauses(&mut self) {
        let now = self.now;
        let pauses = self.replicas.iter_mut();
        let pauses = pauses.flat_map(|replica| [&mut replica.paused_until, &mut replica.circuit.open_until]);
        pauses.chain([&mut self.pause_until]).filter(|until| **until <= now).for_each(|until| *until = 0);
    }

    /// Whether a replica has a reason to exchange now.
    pub(crate) fn is_due(&self, number: usize) -> bool {
        let is_fresh = self.issued.number > self.revoked && self.issued.until > self.now + STALE;
        let others = (0..3).any(|other| other != number && self.is_exchanging(other));
        let rests_until = self.cool_until.max(self.replicas[number].rests_until);
        !is_fresh && !others && self.now >= rests_until
    }

    /// The store does what a replica asks, or the server does.
    pub(crate) fn answer(&mut self, rules: &Rules, number: usize) -> Answer {
        let replica = &mut self.replicas[number];
        let now = if rules.store_clock { self.now } else { self.now + replica.skew };
        match replica.flight.map(|flight| flight.call) {
            None | Some(Call::Sleep { .. }) => Answer::Woken,
            Some(Call::Exchange { .. }) if replica.number > 0 => {
                replica.rests_until = self.now + COOL_DOWN;
                Answer::NoConnection
            }
            Some(Call::Exchange { .. }) => Answer::Exchanged(Some(self.exchange(number))),
            Some(_) if !self.up => {
                replica.struck = true;
                Answer::Down
            }
            Some(Call::Read | Call::ReadAgain) => Answer::Read(self.store.read(rules, now)),
            Some(Call::Lease { seen, ttl }) => {
                let leased = self.store.lease(rules, now, (seen, ttl), self.minted);
                if let Leased::Granted(fence) = leased {
                    self.minted = self.minted.max(fence);
                }
                Answer::Leased(leased)
            }
            Some(Call::Save { content, lease }) => {
                Answer::Saved(self.store.save(rules, now, content, lease.fence, lease.seen))
            }
            Some(Call::Release { fence, .. }) => {
                self.store.release(rules, fence);
                Answer::Released
            }
        }
    }
}

/// One line for each part of a state in a counterexample.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = if self.up { "" } else { " (down)" };
        write!(f, "t={} store{store}={:?}", self.now, self.store)?;
        for replica in &self.replicas {
            write!(f, "\n      {}", if replica.paused { "paused " } else { "" })?;
            match &replica.own {
                Some(own) => write!(f, "has {own:?}")?,
                None => write!(f, "cold")?,
            }
            if let Some(flight) = &replica.flight {
                write!(f, ", {:?} since {}: {:?}", flight.reason, flight.began, flight.call)?;
            }
        }
        Ok(())
    }
}
