//! The shared store of the model: the contract of `SharedStore`, and the ways to break it.

use super::rules::{CLOCK_STEP, Content, Held, LIFE, Rules, Snapshot, Tick};

/// A record and a lease, as a store keeps them for one key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Store {
    record: Option<Record>,
    granted_at: Tick,
    leased_until: Tick,
    /// The last fence that was granted.
    fence: u8,
    /// The fence of the last save that was accepted.
    saved: u8,
    /// How often its clock was set ahead, less how often it was set back.
    pub(crate) ahead: i8,
    /// The last token that was saved, whether the record still has it or not.
    pub(crate) last_token: Option<Held>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Record {
    /// Its times are those at which something ends.
    content: Content,
    version: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Leased {
    Granted(u8),
    Held(Tick),
    Newer(Snapshot),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Saved {
    /// `again` if a save under this fence or a later one had been accepted before.
    Done {
        again: bool,
    },
    Fenced,
    Changed(Snapshot),
}

impl Store {
    pub(crate) fn read(&self, rules: &Rules, now: Tick) -> Option<Snapshot> {
        let Record { content, version } = self.record?;
        let left = |until: Tick| until.saturating_sub(now);
        let token = content.token.map(|held| Held { until: left(held.until), ..held }).filter(|held| held.until > 0);
        let token = token.map(|held| if rules.life_is_what_is_left { held } else { Held { until: LIFE, ..held } });
        let cool_down = left(content.cool_down);
        let has_failed = content.has_failed;
        let is_there = token.is_some() || has_failed;
        is_there.then_some(Snapshot { content: Content { token, cool_down, ..content }, version })
    }

    pub(crate) fn lease(&mut self, rules: &Rules, now: Tick, (seen, ttl): (u8, Tick), minted: u8) -> Leased {
        match self.read(rules, now) {
            Some(newer) if rules.lease_checks_version && newer.version != seen => Leased::Newer(newer),
            _ if self.leased_until > now => Leased::Held(self.leased_until - now),
            _ => {
                // A store that has forgotten fences starts after those that it may have granted.
                self.fence = 1 + if rules.fences_are_unique { minted } else { self.fence };
                self.granted_at = now;
                self.leased_until = if rules.lease_ends { now + ttl } else { Tick::MAX };
                Leased::Granted(self.fence)
            }
        }
    }

    pub(crate) fn save(&mut self, rules: &Rules, now: Tick, content: Content, fence: u8, seen: u8) -> Saved {
        if rules.fence && self.fence != 0 && fence != self.fence {
            return Saved::Fenced;
        }
        if let Some(changed) =
            self.read(rules, now).filter(|record| rules.save_checks_version && record.version != seen)
        {
            return Saved::Changed(changed);
        }
        let again = fence <= self.saved;
        let from = if rules.life_counts_from_the_grant { self.granted_at } else { now };
        let token = content.token.map(|held| Held { until: from + held.until, ..held });
        self.last_token = token.or(self.last_token);
        let content = Content { token, cool_down: now + content.cool_down, ..content };
        self.record = Some(Record { content, version: fence });
        self.saved = fence;
        self.leased_until = 0;
        Saved::Done { again }
    }

    pub(crate) fn release(&mut self, rules: &Rules, fence: u8) {
        if fence == self.fence || !rules.release_by_fence {
            self.leased_until = 0;
        }
    }

    /// Its clock is set: ahead, so all that it keeps ends earlier, or back. What has no end stays so.
    pub(crate) fn step_clock(&mut self, is_ahead: bool) {
        self.ahead += if is_ahead { 1 } else { -1 };
        let step = |until: Tick| match until {
            0 => 0,
            _ if is_ahead => until.saturating_sub(CLOCK_STEP),
            _ => until.saturating_add(CLOCK_STEP),
        };
        self.leased_until = step(self.leased_until);
        if let Some(Record { content, .. }) = &mut self.record {
            content.cool_down = step(content.cool_down);
            content.token = content.token.map(|held| Held { until: step(held.until), ..held });
        }
    }

    /// Whether another lease was granted after this one.
    pub(crate) fn has_granted_after(&self, fence: u8) -> bool {
        self.fence > fence
    }

    /// Restarts without its data. It then accepts a save under a fence that it has forgotten, until it grants one.
    pub(crate) fn restart_empty(&mut self) {
        *self = Store { ahead: self.ahead, ..Store::default() };
    }
}
