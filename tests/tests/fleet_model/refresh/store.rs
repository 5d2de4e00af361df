//! The record of a refresh token, in a store whose leases may end at any time.

use super::host::Rules;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Content {
    pub(crate) token: u8,
    /// The number of the use that began and did not end, or zero.
    pub(crate) mark: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Record {
    pub(crate) content: Content,
    /// The fence of its save, as in the real stores. Two saves under one lease have the same.
    pub(crate) version: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Store {
    pub(crate) record: Record,
    /// The last fence that was granted.
    pub(crate) fence: u8,
    pub(crate) is_leased: bool,
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
    pub(crate) fn lease(&mut self, rules: &Rules, seen: u8) -> Leased {
        if rules.version && self.record.version != seen {
            return Leased::Newer;
        }
        if self.is_leased || self.fence == MOST_LEASES {
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
        (self.record, self.is_leased) = (Record { content, version: fence }, false);
        Saved::Done
    }
}
