//! A replica of the model: what it asks next, given what it was answered.
//!
//! It is a copy of the decisions of `bearer_token::shared`, by hand. `tie.rs` compares the two.

use super::{
    rules::{
        COOL_DOWN, Content, EXCHANGE, FLIGHT, Held, LONGEST_LEASE, MARGIN, Of, PATIENCE, Rules, SHORT_LEASE, STALE,
        STORE_PAUSES, Snapshot, Tick,
    },
    store::{Leased, Saved},
};

/// What a replica waits for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Call {
    Read,
    Lease {
        seen: u8,
        ttl: Tick,
    },
    /// Without a lease, it is for this replica alone.
    Exchange {
        lease: Option<Grant>,
        until: Tick,
    },
    Save {
        content: Content,
        lease: Grant,
    },
    /// After a save that was refused because the record had changed, to a token if there is one now.
    Release {
        fence: u8,
        better: Option<Held>,
    },
    /// After a save that was refused because another replica was granted the lease.
    ReadAgain,
    Sleep {
        until: Tick,
    },
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
    NoConnection,
    Saved(Saved),
    Released,
    Woken,
}

/// Why a replica needs a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Reason {
    Missing,
    Stale,
    Rejected,
}

/// The token of a replica.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Own {
    pub(crate) held: Held,
    /// Whether it was fetched under a lease, so that a record may have it.
    pub(crate) is_shared: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Flight {
    pub(crate) call: Call,
    pub(crate) reason: Reason,
    pub(crate) began: Tick,
    number: u8,
    own: Option<Own>,
    /// The record as it was last read, with the times at which it ends.
    found: Option<Snapshot>,
    has_waited: bool,
    /// The token that was fetched.
    fetched: Option<Held>,
    /// When the store was asked, if the replica stood still since. Lives in an answer count from there.
    asked: Option<Tick>,
    doubts: Doubts,
}

/// What a replica does not believe, because a lease seemed to last for hours.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Doubts {
    /// The record that was there then, or none.
    pub(crate) version: u8,
    /// When the lease seemed to end. Only a variant counts on that.
    until: Tick,
}

/// For how long a replica leaves the store alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Circuit {
    /// The calls without an answer, in a row.
    failures: u8,
    pub(crate) open_until: Tick,
}

impl Circuit {
    fn hears(&mut self, rules: &Rules, now: Tick, answer: Answer) {
        match answer {
            Answer::Down if rules.a_silent_store_is_left_out => {
                let longest = STORE_PAUSES.len() - 1;
                let pause = STORE_PAUSES[if rules.pauses_double { usize::from(self.failures).min(longest) } else { 0 }];
                self.failures = (self.failures + 1).min(longest as u8);
                self.open_until = now + pause;
            }
            Answer::Read(_) | Answer::Leased(_) | Answer::Saved(_) | Answer::Released => {
                *self = Circuit::default();
            }
            _ => {}
        }
    }
}

/// How a flight ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// With a token, new or not.
    Served(Own),
    /// The server failed, or had failed just before.
    Failed,
    /// Another replica was busy for too long.
    WaitedInVain,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Replica {
    pub(crate) own: Option<Own>,
    pub(crate) flight: Option<Flight>,
    pub(crate) paused: bool,
    /// Its number in records, if it has no connection to the server. The others need none.
    pub(crate) number: u8,
    /// Without a connection, it does not try before then.
    pub(crate) rests_until: Tick,
    /// After a forced renewal, a rejection has no effect before then. Zero if that is over.
    pub(crate) paused_until: Tick,
    /// How far its own clock is ahead.
    pub(crate) skew: Tick,
    /// Whether a fault hit the flight.
    pub(crate) struck: bool,
    pub(crate) circuit: Circuit,
    pub(crate) doubts: Doubts,
}

impl Replica {
    pub(crate) fn begins(&mut self, rules: &Rules, now: Tick, reason: Reason) {
        let doubts = !rules.doubted_stores_are_asked && self.doubts.until > now;
        let is_alone = self.circuit.open_until > now || doubts;
        let alone = Call::Exchange { lease: None, until: now + EXCHANGE };
        self.flight = Some(Flight {
            call: if is_alone { alone } else { Call::Read },
            reason,
            began: now,
            number: self.number,
            own: self.own,
            found: None,
            has_waited: false,
            fetched: None,
            asked: None,
            doubts: self.doubts,
        });
    }

    /// It stands still from now on.
    pub(crate) fn stands_still(&mut self, now: Tick) {
        if let Some(flight) = &mut self.flight {
            flight.asked = Some(now);
        }
    }

    /// Takes an answer. Gives the end of the flight, if this is it, and whether its token was exchanged by it.
    pub(crate) fn hears(&mut self, rules: &Rules, now: Tick, answer: Answer) -> Option<(Ended, bool)> {
        let mut flight = self.flight?;
        if !(rules.standing_still_is_no_silence && flight.is_late(now)) {
            self.circuit.hears(rules, now, answer);
        }
        let next = flight.hears(rules, now, answer);
        self.doubts = flight.doubts;
        match next {
            Ok(call) => {
                self.flight = Some(Flight { call, ..flight });
                None
            }
            Err(ended) => {
                self.flight = None;
                let mut is_exchanged = false;
                if let Ended::Served(own) = ended {
                    self.own = Some(own);
                    is_exchanged = flight.fetched.is_some_and(|fetched| fetched.number == own.held.number);
                }
                Some((ended, is_exchanged))
            }
        }
    }
}

impl Flight {
    pub(crate) fn until(&self) -> Tick {
        self.began + FLIGHT
    }

    /// The token that it is to replace.
    pub(crate) fn own(&self) -> Option<Own> {
        self.own
    }

    /// The next call, or the end.
    fn hears(&mut self, rules: &Rules, now: Tick, answer: Answer) -> Result<Call, Ended> {
        let asked = self.asked.take().unwrap_or(now);
        match (self.call, answer) {
            (Call::Read, Answer::Read(snapshot)) => self.opens(rules, (asked, now), snapshot),
            (Call::Read | Call::Lease { .. }, Answer::Down) => self.exchanges(now, None),
            (Call::Lease { seen, .. }, Answer::Leased(Leased::Granted(fence))) => {
                self.exchanges(now, Some(Grant { fence, seen, at: now }))
            }
            (Call::Lease { .. }, Answer::Leased(Leased::Newer(newer))) => self.opens(rules, (asked, now), Some(newer)),
            (Call::Lease { .. }, Answer::Leased(Leased::Held(remaining))) => self.waits(rules, now, remaining),
            (Call::Sleep { .. }, Answer::Woken) => self.judge(rules, now),
            (Call::Exchange { lease, .. }, Answer::Exchanged(result)) => self.exchanged(rules, now, lease, result),
            (Call::Exchange { lease, .. }, Answer::NoConnection) => self.has_no_connection(rules, now, lease),
            (Call::Save { .. }, Answer::Saved(Saved::Done { .. })) => Err(self.end(true)),
            (Call::Save { .. }, Answer::Down) => Err(self.end(true)),
            (Call::Save { .. }, Answer::Saved(Saved::Fenced))
                if self.fetched.is_some() && !self.ends_late(rules, now) =>
            {
                Ok(Call::ReadAgain)
            }
            (Call::Save { .. }, Answer::Saved(Saved::Fenced)) => Err(self.end(false)),
            (Call::Save { .. }, Answer::Saved(Saved::Changed(changed))) if self.ends_late(rules, now) => {
                Err(self.better(self.usable(rules, (asked, now), Some(changed))))
            }
            (Call::Save { lease, .. }, Answer::Saved(Saved::Changed(changed))) => {
                Ok(Call::Release { fence: lease.fence, better: self.usable(rules, (asked, now), Some(changed)) })
            }
            (Call::ReadAgain, Answer::Read(snapshot)) => Err(self.better(self.usable(rules, (asked, now), snapshot))),
            (Call::ReadAgain, Answer::Down) => Err(self.better(None)),
            (Call::Release { better, .. }, Answer::Released | Answer::Down) => Err(self.better(better)),
            (call, answer) => unreachable!("{answer:?} is no answer to {call:?}"),
        }
    }

    /// Whether it stood still until its time was over. Its lease is released by a task of its own then, or ends by
    /// itself.
    pub(crate) fn is_late(&self, now: Tick) -> bool {
        now > self.until()
    }

    fn ends_late(&self, rules: &Rules, now: Tick) -> bool {
        rules.late_flights_end && self.is_late(now)
    }

    /// Whether it has a token, and waits for something else.
    pub(crate) fn has_fetched(&self) -> bool {
        self.fetched.is_some()
    }

    /// The provider gives the flight up, and so the lease.
    pub(crate) fn is_dropped(&mut self) -> bool {
        let (Call::Exchange { lease: Some(lease), .. } | Call::Save { lease, .. }) = self.call else { return false };
        (self.call, self.fetched) = (Call::Release { fence: lease.fence, better: None }, None);
        true
    }

    fn opens(&mut self, rules: &Rules, (asked, now): (Tick, Tick), snapshot: Option<Snapshot>) -> Result<Call, Ended> {
        self.found = snapshot.map(|left| self.believed(rules, left)).map(|left| {
            let token = left.content.token.map(|held| Held { until: asked + held.until, ..held });
            Snapshot { content: Content { token, cool_down: asked + left.content.cool_down, ..left.content }, ..left }
        });
        self.judge(rules, now)
    }

    /// What is believed of a record: nothing, if it is doubted.
    fn believed(&self, rules: &Rules, found: Snapshot) -> Snapshot {
        if found.version != self.doubts.version || !rules.old_records_are_doubted {
            return found;
        }
        Snapshot { content: Content { token: None, cool_down: 0, has_failed: false, of: Of::All }, ..found }
    }

    /// The token of a record that was just read.
    fn usable(&self, rules: &Rules, (asked, now): (Tick, Tick), snapshot: Option<Snapshot>) -> Option<Held> {
        let held = self.believed(rules, snapshot?).content.token?;
        Some(Held { until: asked + held.until, ..held }).filter(|held| held.until > now)
    }

    /// Whether a token of the record is this replica's own.
    fn has_already(&self, held: Held) -> bool {
        self.own.is_some_and(|own| own.is_shared && own.held.number == held.number)
    }

    /// What to do about the record.
    fn judge(&mut self, rules: &Rules, now: Tick) -> Result<Call, Ended> {
        if let Some(held) = self.found.and_then(|found| found.content.token).filter(|held| held.until > now) {
            let is_wanted = match (self.reason, self.own) {
                // Its own token has expired, also if the record lives longer because of a pause.
                (Reason::Missing, _) => !rules.expired_is_refused || !self.has_already(held),
                // What lives longer wins.
                (Reason::Stale, Some(own)) => {
                    !self.has_already(held) && (held.lives_longer_than(own.held) || !rules.longer_lives_win)
                }
                (Reason::Rejected, Some(own)) if rules.rejected_is_refused => {
                    // A token that never was in a record has no generation to compare.
                    let is_newer =
                        if own.is_shared { held.number > own.held.number } else { held.lives_longer_than(own.held) };
                    rules.rejection_looks_first && is_newer
                }
                (Reason::Rejected, _) => true,
                (Reason::Stale, None) => false,
            };
            if is_wanted {
                return Err(Ended::Served(Own { held, is_shared: true }));
            }
        }
        let is_cooling = |found: Snapshot| found.content.has_failed_for(self.number) && found.content.cool_down > now;
        if self.found.is_some_and(is_cooling) {
            return Err(Ended::Failed);
        }
        Ok(Call::Lease { seen: self.found.map_or(0, |found| found.version), ttl: self.lease_time(rules, now) })
    }

    /// The holder of a lease may crash, and the others must not wait for long without a token.
    fn lease_time(&self, rules: &Rules, now: Tick) -> Tick {
        let whole = self.until().saturating_sub(now) + MARGIN;
        let has_waited = self.has_waited && !rules.waiters_lease_short;
        if has_waited || self.found.is_some_and(|found| found.content.has_failed_for(self.number)) {
            return whole;
        }
        if self.reason != Reason::Stale {
            return whole.min(SHORT_LEASE);
        }
        if !rules.stale_leases_end_with_the_token {
            return whole;
        }
        let covered = self.found.and_then(|found| found.content.token).map_or(0, |held| held.until.saturating_sub(now));
        whole.min(covered + SHORT_LEASE)
    }

    fn waits(&mut self, rules: &Rules, now: Tick, remaining: Tick) -> Result<Call, Ended> {
        if !rules.busy_is_an_answer {
            return self.exchanges(now, None);
        }
        let in_record = self.found.and_then(|found| found.content.token);
        if let (Reason::Stale, Some(own)) = (self.reason, self.own)
            && in_record.is_some_and(|held| self.has_already(held))
            && (!rules.expired_is_refused || own.held.until > now)
        {
            // Another replica is renewing it. Or the lease lasts for hours: then it serves until a time of this replica's own,
            // which is the token's end here.
            return Err(Ended::Served(own));
        }
        if remaining > LONGEST_LEASE && rules.long_leases_are_not_believed {
            let until = if rules.doubted_stores_are_asked { 0 } else { now + remaining };
            self.doubts = Doubts { version: self.found.map_or(0, |found| found.version), until };
            return self.exchanges(now, None);
        }
        let patience = self.began + PATIENCE;
        if now >= patience && rules.waits_are_bounded {
            return Err(Ended::WaitedInVain);
        }
        // Only a variant asks, and a state without it is smaller.
        self.has_waited = !rules.waiters_lease_short;
        let pause = if rules.waits_are_bounded { remaining.min(1) } else { remaining };
        Ok(Call::Sleep { until: now + pause })
    }

    fn exchanges(&self, now: Tick, lease: Option<Grant>) -> Result<Call, Ended> {
        Ok(Call::Exchange { lease, until: (now + EXCHANGE).min(self.until().max(now)) })
    }

    fn exchanged(
        &mut self,
        rules: &Rules,
        now: Tick,
        lease: Option<Grant>,
        result: Option<Held>,
    ) -> Result<Call, Ended> {
        self.fetched = result;
        let Some(lease) = lease.filter(|_| !self.ends_late(rules, now)) else { return Err(self.end(false)) };
        let from = if rules.life_counts_from_the_grant { lease.at } else { now };
        let left = |held: Held| Held { until: held.until - from, ..held };
        if result.is_some() {
            return Ok(Call::Save {
                content: Content { token: result.map(left), cool_down: 0, has_failed: false, of: Of::All },
                lease,
            });
        }
        self.failed(rules, now, lease, Of::All)
    }

    fn has_no_connection(&mut self, rules: &Rules, now: Tick, lease: Option<Grant>) -> Result<Call, Ended> {
        let Some(lease) = lease.filter(|_| !self.ends_late(rules, now)) else { return Err(self.end(false)) };
        let last = self.found.filter(|found| found.content.has_failed).map(|found| found.content.of);
        let of = match last {
            _ if !rules.one_without_a_connection_is_alone => Of::All,
            Some(Of::Two) => Of::Two,
            Some(Of::One(other)) if other != self.number && rules.two_without_a_connection_are_all => Of::Two,
            _ => Of::One(self.number),
        };
        self.failed(rules, now, lease, of)
    }

    fn failed(&self, rules: &Rules, now: Tick, lease: Grant, of: Of) -> Result<Call, Ended> {
        if !rules.failures_are_shared {
            return Ok(Call::Release { fence: lease.fence, better: None });
        }
        let token = self.found.and_then(|found| found.content.token);
        let from = if rules.life_counts_from_the_grant { lease.at } else { now };
        let token = token.filter(|held| rules.failures_keep_the_token && held.until > now);
        let token = token.map(|held| Held { until: held.until - from, ..held });
        Ok(Call::Save { content: Content { token, cool_down: COOL_DOWN, has_failed: true, of }, lease })
    }

    fn end(&self, is_shared: bool) -> Ended {
        self.fetched.map_or(Ended::Failed, |held| Ended::Served(Own { held, is_shared }))
    }

    /// The end of a flight whose save was refused: with the token of the record, if there is one.
    fn better(&self, found: Option<Held>) -> Ended {
        match found.filter(|held| self.fetched.is_some_and(|fetched| held.number > fetched.number)) {
            Some(held) => Ended::Served(Own { held, is_shared: true }),
            // No record has it.
            None => self.end(false),
        }
    }
}

/// Whether a token should be renewed.
pub(crate) fn is_stale(now: Tick, held: Held) -> bool {
    held.until - now <= STALE
}
