//! What a process knows of the record, whatever the store says now.
//!
//! A store may go back in two ways. Its clock may be set back, as by a failover to a node with another clock. Then a
//! refresh token would seem to have been sent later than it was, and could be sent again after the server's reuse
//! period. And a store that loses its last writes shows a token again that has a successor. A process that has seen the
//! record before knows better. It counts by its own clock, and takes the token that it knows in place of the lost one.
//! Its next save, under a lease as always, puts that one back.

use std::time::Duration;

use crate::{
    shared::marked::MarkedToken,
    store::{Order, StoreKey, Version},
};

/// What this process knows of the record. It is one token at most, the latest.
#[derive(Default)]
pub(super) struct Ages {
    key: Option<StoreKey>,
    latest: Option<Known>,
    /// What the store has shown since it lost `latest`.
    set_back: Option<Known>,
}

/// The age that a content had at a time of the monotonic clock.
struct Known {
    shown: Shown,
    /// What this process replaced by it. If that is back, the store has lost a save.
    replaced: Option<Shown>,
    content: MarkedToken,
    at: Duration,
    age: Duration,
    sent_for: Duration,
}

/// Two saves under one lease have one version, so the mark says which of them it is.
#[derive(Clone, Copy, PartialEq)]
struct Shown {
    version: Version,
    mark: Option<u64>,
}

/// A record as it was found.
pub(super) struct Found {
    pub(super) version: Version,
    /// When the store was asked for it, by the monotonic clock. Its reply may have taken a time.
    pub(super) asked: Duration,
    /// How old the content was when the store was asked: by the store's clock, or by this process's own if that says
    /// more.
    pub(super) age: Duration,
    /// The time between the first request with the token whose response is missing, and then.
    sent_for: Duration,
    /// What the store shows, or the later content that it has lost and this process knows.
    pub(super) content: MarkedToken,
    pub(super) lost: Option<Lost>,
    /// Whether the store has a record that cannot be read, and may be replaced.
    pub(super) is_unreadable: bool,
}

/// What a store has in place of a content that it has lost.
#[derive(Clone, Copy)]
pub(super) struct Lost {
    /// If another host has marked it, how long ago.
    pub(super) marked_for: Option<Duration>,
}

impl Found {
    /// A record of which only the version is known.
    pub(super) fn unreadable(version: Version, asked: Duration) -> Self {
        let (age, sent_for, content) = (Duration::ZERO, Duration::ZERO, MarkedToken::default());
        Found { version, asked, age, sent_for, content, lost: None, is_unreadable: true }
    }

    /// For how long the server may have known the token, of those requests whose response is missing. `now` is by the
    /// monotonic clock: what has passed since the store was asked counts as well.
    pub(super) fn sent_for(&self, now: Duration) -> Duration {
        self.sent_for.saturating_add(now.saturating_sub(self.asked))
    }
}

impl Ages {
    /// What is known of the record with this name. After a change of keys the record has another name; what was known
    /// under the old one is dropped.
    pub(super) fn of(&mut self, key: &StoreKey) -> &mut Self {
        if self.key.as_ref() != Some(key) {
            *self = Ages { key: Some(key.clone()), ..Ages::default() };
        }
        self
    }

    /// Notes a record of the store, which says that its age is `told`. `now` is by the monotonic clock.
    pub(super) fn finds(
        &mut self,
        version: Version,
        content: MarkedToken,
        told: Duration,
        now: Duration,
        order: Order,
    ) -> Found {
        let shown = Shown { version, mark: content.mark };
        if let Some(latest) = self.latest.take_if(|latest| latest.is_lost(shown, &content, order)) {
            let set_back = Known::of(self.set_back.as_ref(), shown, content, told, now);
            let marked_for = shown.mark.map(|_| set_back.age);
            self.set_back = Some(set_back);
            return self.keeps(latest, version, Lost { marked_for }, now);
        }
        let known = Known::of(self.latest.as_ref(), shown, content, told, now);
        let (age, sent_for, content) = (known.age, known.sent_for, known.content.clone());
        (self.latest, self.set_back) = (Some(known), None);
        Found { version, asked: now, age, sent_for, content, lost: None, is_unreadable: false }
    }

    /// Notes that the store has no record. One that may lose its writes has lost it. From another one it was removed.
    pub(super) fn misses(&mut self, now: Duration, order: Order) -> Found {
        if let Some(latest) = self.latest.take_if(|_| order == Order::LosesWrites) {
            self.set_back = None;
            return self.keeps(latest, Version::ABSENT, Lost { marked_for: None }, now);
        }
        let (age, sent_for, content) = (Duration::ZERO, Duration::ZERO, MarkedToken::default());
        Found { version: Version::ABSENT, asked: now, age, sent_for, content, lost: None, is_unreadable: false }
    }

    /// Notes a save over the version `seen`.
    pub(super) fn saves(
        &mut self,
        version: Version,
        seen: Version,
        content: &MarkedToken,
        now: Duration,
        order: Order,
    ) {
        // Another clone may have seen its successor meanwhile.
        if self.latest.as_ref().is_some_and(|latest| content.descent.is_before(latest.content.descent, order)) {
            return;
        }
        // A late read of another clone may have set this back, though the store has `latest`.
        let had = [self.set_back.take().map(|known| known.shown), self.latest.as_ref().map(|known| known.shown)];
        let shown = Shown { version, mark: content.mark };
        let known = Known::of(self.latest.as_ref(), shown, content.clone(), Duration::ZERO, now);
        let replaced = had.into_iter().flatten().find(|had| had.version == seen && *had != shown);
        self.latest = Some(Known { replaced: replaced.or(known.replaced), ..known });
    }

    /// Keeps what the store has lost.
    fn keeps(&mut self, latest: Known, version: Version, lost: Lost, now: Duration) -> Found {
        let (age, sent_for) = (latest.later(latest.age, now), latest.later(latest.sent_for, now));
        let content = latest.content.clone();
        self.latest = Some(latest);
        Found { version, asked: now, age, sent_for, content, lost: Some(lost), is_unreadable: false }
    }
}

impl Known {
    /// A content that is at least as old as the store says, and as what is known of it.
    fn of(known: Option<&Known>, shown: Shown, content: MarkedToken, told: Duration, now: Duration) -> Self {
        let same = known.filter(|known| known.shown == shown);
        let age = same.map_or(told, |known| told.max(known.later(known.age, now)));
        // That stays gone, also if another host has marked the token meanwhile.
        let replaced = known.filter(|known| known.content.descent == content.descent).and_then(|known| known.replaced);
        // The same token with another mark was sent again.
        let is_resent = |known: &&Known| {
            known.shown.mark.is_some() && !content.sent_before.is_zero() && known.content.token == content.token
        };
        let of_token = known.filter(is_resent).map_or(Duration::ZERO, |known| known.later(known.sent_for, now));
        let sent_for = age.saturating_add(content.sent_before).max(of_token);
        Known { shown, replaced, content, at: now, age, sent_for }
    }

    fn later(&self, time: Duration, now: Duration) -> Duration {
        time.saturating_add(now.saturating_sub(self.at))
    }

    /// Whether a store that shows this has lost what is known.
    fn is_lost(&self, shown: Shown, content: &MarkedToken, order: Order) -> bool {
        let known = self.content.descent;
        // Only a mark counts by its version. After a failover to a clock that is behind, the mark of another host may have
        // the lower version, and it means more than no mark.
        let is_mark = order == Order::LosesWrites && self.shown.mark.is_some();
        let is_earlier = self.replaced == Some(shown) || (is_mark && shown.version.get() < self.shown.version.get());
        content.descent.is_before(known, order) || (content.descent == known && is_earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Fence, StoredToken};

    #[test]
    fn a_token_is_known_under_the_name_of_its_record_only() {
        let (old, new) = (StoreKey::new([1; 32]), StoreKey::new([2; 32]));
        let content = MarkedToken { token: Some(StoredToken::new("1")), ..MarkedToken::default() };
        let mut ages = Ages::default();
        let missed = |ages: &mut Ages, key| ages.of(key).misses(Duration::ZERO, Order::LosesWrites).content.token;
        ages.of(&old).saves(Version::new(1), Version::ABSENT, &content, Duration::ZERO, Order::LosesWrites);
        assert_eq!(missed(&mut ages, &old), content.token);
        // Hosts that have the old keys still use the other record. Two records would spend one token twice.
        assert_eq!(missed(&mut ages, &new), None);
    }

    #[test]
    fn a_save_that_is_noted_late_hides_no_successor() {
        let key = StoreKey::new([1; 32]);
        let content = |descent| MarkedToken { descent, ..MarkedToken::default() };
        let first = content(MarkedToken::default().descent.consented(Fence::new(1)));
        let second = content(first.descent.succeeded(Fence::new(2)));
        let mut ages = Ages::default();
        ages.of(&key).finds(Version::new(2), second.clone(), Duration::ZERO, Duration::ZERO, Order::LosesWrites);
        ages.of(&key).saves(Version::new(1), Version::ABSENT, &first, Duration::ZERO, Order::LosesWrites);
        let found = ages.of(&key).finds(Version::new(1), first, Duration::ZERO, Duration::ZERO, Order::LosesWrites);
        assert!(found.lost.is_some() && found.content == second);
    }

    /// Another clone reads the version before the mark, and its answer comes late.
    #[test]
    fn a_late_read_hides_not_what_a_save_replaced() {
        let key = StoreKey::new([1; 32]);
        let descent = MarkedToken::default().descent.consented(Fence::new(1));
        let content = |mark| MarkedToken { mark, descent, ..MarkedToken::default() };
        let (start, order) = (Duration::ZERO, Order::LosesWrites);
        let mut ages = Ages::default();
        let ages = ages.of(&key);
        ages.finds(Version::new(1), content(None), start, start, order);
        ages.saves(Version::new(2), Version::new(1), &content(Some(7)), start, order);
        ages.finds(Version::new(1), content(None), start, start, order);
        ages.saves(Version::new(3), Version::new(2), &content(None), start, order);
        let found = ages.finds(Version::new(2), content(Some(7)), start, start, order);
        assert!(found.lost.is_some() && found.content.mark.is_none());
    }
}
