//! A replica of the model: what it asks next, given what it was answered.

use super::{
    rules::{COOL_DOWN, Content, EXCHANGE, FLIGHT, Held, Rules, STALE, Snapshot, Tick},
    store::{Leased, Saved},
};

/// What a replica waits for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Call {
    Read,
    Lease { seen: u8 },
    Exchange { lease: Option<Grant>, until: Tick },
    Save { content: Content, lease: Grant },
    Release { fence: u8 },
    Sleep { until: Tick },
}

/// A granted lease, and the version of the record for which it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Grant {
    pub(crate) fence: u8,
    pub(crate) seen: u8,
    /// When the grant arrived.
    pub(crate) at: Tick,
}

/// The answer to a call. `Down` is that of a store that gives none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Answer {
    Down,
    Read(Option<Snapshot>),
    Leased(Leased),
    Exchanged(Option<Held>),
    Saved(Saved),
    Released,
    Woken,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Flight {
    pub(crate) call: Call,
    /// The number of the token that the API rejected, if that caused the flight.
    pub(crate) rejected: Option<u8>,
    pub(crate) until: Tick,
    /// The longest-lived token that is known and was not rejected.
    pub(crate) best: Option<Held>,
    /// Whether the exchange of this flight failed.
    pub(crate) failed: bool,
}

/// How a flight ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// With a token, new or not.
    Served(Held),
    /// The server failed, or had failed just before.
    Failed,
    /// Another replica was busy until the end.
    TimedOut,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Replica {
    pub(crate) token: Option<Held>,
    pub(crate) flight: Option<Flight>,
    pub(crate) paused: bool,
    /// How far its own clock is ahead.
    pub(crate) skew: Tick,
    /// Whether a fault hit the flight.
    pub(crate) struck: bool,
}

impl Replica {
    pub(crate) fn starts(&mut self, now: Tick, rejected: Option<u8>) {
        let best = self.token.filter(|held| held.until > now && rejected.is_none_or(|number| held.number > number));
        self.flight = Some(Flight { call: Call::Read, rejected, until: now + FLIGHT, best, failed: false });
    }

    /// Takes an answer. Gives the end of the flight, if this is it.
    pub(crate) fn hears(&mut self, rules: &Rules, now: Tick, answer: Answer) -> Option<Ended> {
        let mut flight = self.flight?;
        match flight.hears(rules, now, answer) {
            Ok(call) => {
                self.flight = Some(Flight { call, ..flight });
                None
            }
            Err(ended) => {
                self.flight = None;
                if let Ended::Served(held) = ended {
                    self.token = Some(held);
                }
                Some(ended)
            }
        }
    }
}

impl Flight {
    /// The next call, or the end.
    fn hears(&mut self, rules: &Rules, now: Tick, answer: Answer) -> Result<Call, Ended> {
        match (self.call, answer) {
            (Call::Read, Answer::Read(snapshot)) => self.judge(rules, now, snapshot),
            (Call::Read | Call::Lease { .. }, Answer::Down) => self.exchange(now, None),
            (Call::Lease { seen }, Answer::Leased(Leased::Granted(fence))) => {
                self.exchange(now, Some(Grant { fence, seen, at: now }))
            }
            (Call::Lease { .. }, Answer::Leased(Leased::Newer(newer))) => self.judge(rules, now, Some(newer)),
            (Call::Lease { .. }, Answer::Leased(Leased::Held(remaining))) => {
                if !rules.busy_is_an_answer {
                    return self.exchange(now, None);
                }
                // Another replica is renewing it: a stale token is used meanwhile, and a cold replica waits.
                match self.serve(now) {
                    Some(served) => Err(served),
                    None if !rules.waits_are_bounded => Ok(Call::Sleep { until: now + remaining }),
                    None if now < self.until => Ok(Call::Sleep { until: now + remaining.min(1) }),
                    None => Err(Ended::TimedOut),
                }
            }
            (Call::Exchange { lease, .. }, Answer::Exchanged(result)) => self.exchanged(rules, now, lease, result),
            // After a refused save another replica has been granted the lease, so this one keeps its token to itself,
            // unless the record has a better one.
            (Call::Save { lease, .. }, Answer::Saved(Saved::Fenced | Saved::Changed(_))) => {
                Ok(Call::Release { fence: lease.fence })
            }
            (Call::Save { .. } | Call::Release { .. }, _) if self.failed => {
                Err(self.serve(now).unwrap_or(Ended::Failed))
            }
            (Call::Save { .. }, Answer::Saved(Saved::Done { .. }) | Answer::Down) => {
                Err(self.serve(now).unwrap_or(Ended::Failed))
            }
            (Call::Release { .. }, Answer::Released | Answer::Down) => Ok(Call::Read),
            (Call::Sleep { .. }, Answer::Woken) => Ok(Call::Read),
            (call, answer) => unreachable!("{answer:?} is no answer to {call:?}"),
        }
    }

    /// The best token, if there is one that can be used now.
    fn serve(&self, now: Tick) -> Option<Ended> {
        self.best.filter(|held| held.until > now).map(Ended::Served)
    }

    fn exchange(&self, now: Tick, lease: Option<Grant>) -> Result<Call, Ended> {
        Ok(Call::Exchange { lease, until: (now + EXCHANGE).min(self.until.max(now)) })
    }

    fn exchanged(
        &mut self,
        rules: &Rules,
        now: Tick,
        lease: Option<Grant>,
        result: Option<Held>,
    ) -> Result<Call, Ended> {
        let Some(lease) = lease else {
            self.best = result.or(self.best);
            return Err(self.serve(now).unwrap_or(Ended::Failed));
        };
        let from = if rules.life_counts_from_the_grant { lease.at } else { now };
        let left = |held: Held| Held { until: held.until - from, ..held };
        if let Some(held) = result {
            self.best = Some(held);
            return Ok(Call::Save { content: Content { token: Some(left(held)), cool_down: 0 }, lease });
        }
        self.failed = true;
        if !rules.failures_are_shared {
            return Ok(Call::Release { fence: lease.fence });
        }
        let token = self.best.filter(|held| rules.failures_keep_the_token && held.until > now).map(left);
        Ok(Call::Save { content: Content { token, cool_down: COOL_DOWN }, lease })
    }

    /// What to do with the record.
    fn judge(&mut self, rules: &Rules, now: Tick, snapshot: Option<Snapshot>) -> Result<Call, Ended> {
        let seen = snapshot.map_or(0, |snapshot| snapshot.version);
        let found = snapshot.and_then(|snapshot| snapshot.content.token);
        let found = found.map(|left| Held { until: now + left.until, ..left });
        let is_old = |held: &Held, old| rules.rejected_is_refused && held.number <= old || !rules.rejection_looks_first;
        let is_rejected = |held: &Held| self.rejected.is_some_and(|old| is_old(held, old));
        let found = found.filter(|held| !is_rejected(held));
        self.best = [self.best, found].into_iter().flatten().max_by_key(|held| (held.until, held.number));
        let cool_down = snapshot.is_some_and(|snapshot| snapshot.content.cool_down > 0);
        match self.best.filter(|held| held.until > now) {
            Some(held) if held.until - now > STALE || cool_down => Err(Ended::Served(held)),
            None if cool_down => Err(Ended::Failed),
            _ => Ok(Call::Lease { seen }),
        }
    }
}
