//! The record of a refresh token, in a store whose leases may end at any time.

use super::host::Rules;

/// A time, or a point in time, in steps of the model's clock.
pub(crate) type Tick = i8;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Content {
    pub(crate) token: u8,
    /// The number of the use that began and did not end, or zero.
    pub(crate) mark: u8,
    /// How long before this mark the token was sent first, if that response is missing as well.
    pub(crate) sent_before: Option<Tick>,
}

impl Content {
    /// The same token, which is not in use.
    pub(crate) fn unmarked(self) -> Self {
        Content { mark: 0, sent_before: None, ..self }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Record {
    pub(crate) content: Content,
    /// The fence of its save, as in the real stores. Two saves under one lease have the same.
    pub(crate) version: u8,
    /// By the store's clock.
    saved_at: Tick,
    /// Whether the store has lost the content, and a host has it from before.
    pub(crate) is_lost: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Store {
    pub(crate) record: Record,
    /// The last fence that was granted.
    pub(crate) fence: u8,
    pub(crate) is_leased: bool,
    /// Its clock.
    pub(crate) clock: Tick,
}

pub(crate) enum Leased {
    Granted(u8),
    Held,
    Newer,
}

pub(crate) enum Saved {
    Done,
    Fenced,
    Changed,
}

/// The most leases that are granted, which bounds the search.
pub(crate) const MOST_LEASES: u8 = 6;

impl Store {
    /// A store with the first token.
    pub(crate) fn new() -> Self {
        let record = Record { content: Content { token: 1, ..Content::default() }, ..Record::default() };
        Store { record, fence: 0, is_leased: false, clock: 0 }
    }

    /// For how long it has had the record, as it says.
    pub(crate) fn age(&self) -> Tick {
        // What seems to be of the future is new.
        (self.clock - self.record.saved_at).max(0)
    }

    pub(crate) fn lease(&mut self, rules: &Rules, seen: u8) -> Leased {
        if rules.version && self.record.version != seen {
            return Leased::Newer;
        }
        if self.is_leased || self.fence == rules.leases {
            return Leased::Held;
        }
        (self.fence, self.is_leased) = (self.fence + 1, true);
        Leased::Granted(self.fence)
    }

    pub(crate) fn release(&mut self, fence: u8) {
        self.is_leased &= self.fence != fence;
    }

    pub(crate) fn save(&mut self, rules: &Rules, content: Content, fence: u8, seen: u8) -> Saved {
        if rules.fence && self.fence != fence {
            return Saved::Fenced;
        }
        if rules.version && self.record.version != seen {
            return Saved::Changed;
        }
        (self.record, self.is_leased) =
            (Record { content, version: fence, saved_at: self.clock, is_lost: false }, false);
        Saved::Done
    }
}
