//! A host of the model: what it asks next, given what it was answered.
//!
//! It is a copy of the decisions of `bearer_token::shared::SharedRefreshToken` and of the grant that uses it, by hand.

use super::store::{Content, Leased, MOST_LEASES, Record, Saved, Store, Tick};

/// The rules that make a refresh token be spent once. A variant breaks one of them, and must be found out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The token is marked before it is sent.
    pub(crate) marks_first: bool,
    /// A token with the mark of another use is not sent.
    pub(crate) heeds_marks: bool,
    /// Nothing is sent before the store has said that the mark is saved.
    pub(crate) needs_the_reply: bool,
    /// The mark stays if the response of the server was lost.
    pub(crate) keeps_lost_marks: bool,
    /// A host takes its own mark for harmless only until the mark is saved.
    pub(crate) forgets_harmless_marks: bool,
    /// A caller that leaves before the token is sent removes the mark.
    pub(crate) unmarks_what_was_not_sent: bool,
    /// A caller that leaves after the token was sent leaves the mark.
    pub(crate) keeps_marks_of_what_was_sent: bool,
    /// A mark is removed under a new lease, also if it has not arrived yet.
    pub(crate) settles_under_a_lease: bool,
    /// A host whose removal of a mark is refused looks again.
    pub(crate) looks_again_when_fenced: bool,
    /// A successor replaces the token that it succeeds, and no other.
    pub(crate) compares_the_token: bool,
    /// A save under an older fence than the latest is refused.
    pub(crate) fence: bool,
    /// A save or a lease is refused if the record is not the one that was seen.
    pub(crate) version: bool,
    /// The most leases that are granted, which bounds the search. No rule.
    pub(crate) leases: u8,
    /// The period in which the server accepts a used token again, as `reusable_within` says. The store's clock counts
    /// then, and all other rules are about that.
    pub(crate) period: Option<Tick>,
    /// The time after which a token is sent again, as `resend_after` says.
    pub(crate) resend_after: Option<Tick>,
    /// A token whose response is missing is sent again only within the period, or after the time.
    pub(crate) heeds_times: bool,
    /// The period counts from the first request, and not from the last one.
    pub(crate) counts_from_the_first: bool,
    /// What the save of a mark takes at most is added to the time that it tells.
    pub(crate) counts_the_save: bool,
    /// A host looks at its own clock when its mark is saved.
    pub(crate) looks_at_its_clock_again: bool,
    /// The response to a second request does not say what became of the first: the mark stays.
    pub(crate) keeps_marks_of_a_resend: bool,
    /// Nor does the host take such a mark for harmless.
    pub(crate) is_in_use_if_resent: bool,
    /// A mark that did not arrive is fenced, also if the record has an earlier mark.
    pub(crate) fences_late_marks: bool,
    /// A host that has seen a mark counts by its own clock as well.
    pub(crate) own_clock_counts: bool,
    /// It does so for the token, also if another host has marked it again.
    pub(crate) own_clock_counts_for_the_token: bool,
    /// Whether the store's clock is set at all. Otherwise a state without what hosts know is smaller.
    pub(crate) clocks_differ: bool,
    /// A host takes what it knows in place of a content that the store has lost.
    pub(crate) knows_what_was_lost: bool,
    /// It also knows which mark it has saved.
    pub(crate) knows_its_mark: bool,
    /// Whether the store loses writes at all. Otherwise a state without what hosts know is smaller.
    pub(crate) writes_are_lost: bool,
}

pub(crate) const SOUND: Rules = Rules {
    marks_first: true,
    heeds_marks: true,
    needs_the_reply: true,
    keeps_lost_marks: true,
    forgets_harmless_marks: true,
    unmarks_what_was_not_sent: true,
    keeps_marks_of_what_was_sent: true,
    settles_under_a_lease: true,
    looks_again_when_fenced: true,
    compares_the_token: true,
    fence: true,
    version: true,
    leases: MOST_LEASES,
    period: None,
    resend_after: None,
    heeds_times: true,
    counts_from_the_first: true,
    counts_the_save: true,
    looks_at_its_clock_again: true,
    keeps_marks_of_a_resend: true,
    is_in_use_if_resent: true,
    fences_late_marks: true,
    own_clock_counts: true,
    own_clock_counts_for_the_token: true,
    clocks_differ: false,
    knows_what_was_lost: true,
    knows_its_mark: true,
    writes_are_lost: false,
};

/// What a call of the store takes at most.
pub(crate) const CALL: Tick = 1;

/// What a host is about to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) enum Phase {
    #[default]
    Idle,
    /// It is no part of this world.
    Absent,
    Look,
    Lease {
        seen: u8,
    },
    Load {
        fence: u8,
    },
    Prepare {
        fence: u8,
        token: u8,
    },
    Mark {
        fence: u8,
        token: u8,
        seen: Record,
        asked: Tick,
        resent: Option<Resent>,
    },
    Send {
        fence: u8,
        token: u8,
    },
    /// Removes its mark, which means nothing.
    Settle {
        harmless: Harmless,
    },
    /// Under a lease, so that a save of the mark which is still on its way is refused.
    Remove {
        harmless: Harmless,
        found: Record,
    },
    Unmark {
        harmless: Harmless,
        fence: u8,
        found: Record,
    },
    Replace {
        why: Why,
        /// Zero if it has no lease.
        fence: u8,
        call: Replacing,
    },
}

/// A token that is sent again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Resent {
    /// When it was sent first, as far as the host knows.
    first: Tick,
    /// When it was marked last.
    last: Tick,
}

/// A mark that means nothing, and the one that was in the record before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Harmless {
    mark: u8,
    earlier: u8,
    /// Whether that one was of this host, and means nothing either.
    is_earlier_harmless: bool,
}

/// What a host knows of a record by its own clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Known {
    version: u8,
    content: Content,
    saved_at: Tick,
    /// When its token was sent first, of those requests whose response is missing.
    first: Tick,
    /// Whether the store's clock was set back since.
    pub(crate) is_of_before: bool,
}

/// The latest content that a host has seen. Tokens are numbered as they were issued.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Latest {
    pub(crate) content: Content,
    shown: Shown,
    /// What the host has replaced by it.
    replaced: Option<Shown>,
    /// What the store showed last.
    seen: Shown,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
struct Shown {
    version: u8,
    mark: u8,
}

/// What a save replaces.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Why {
    /// A successor that an earlier fetch could not save.
    Pending,
    Successor,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Replacing {
    Read,
    /// Without a lease it looks again, and asks for one.
    Look {
        found: Record,
    },
    Lease {
        found: Record,
        again: Record,
    },
    Save {
        found: Record,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Host {
    pub(crate) phase: Phase,
    /// The mark of a token that was not sent, or not used up.
    harmless: u8,
    /// Such a mark, which that one was to replace.
    harmless_before: u8,
    /// A token and its successor, which is not saved yet.
    pub(crate) pending: Option<(u8, u8)>,
    pub(crate) known: Option<Known>,
    pub(crate) latest: Option<Latest>,
    /// The tokens that it has sent, as bits. It does not look at them: they judge it.
    pub(crate) sent: u8,
}

/// What the server does with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Response {
    Successor(u8),
    /// The token is not used up, or the server was not reached.
    Refused,
    Lost,
}

impl Host {
    pub(crate) fn absent() -> Self {
        Host { phase: Phase::Absent, ..Host::default() }
    }

    /// Takes the response of the server.
    pub(crate) fn hears(&mut self, rules: &Rules, response: Response) {
        let Phase::Send { fence, token, .. } = self.phase else { return };
        self.phase = match response {
            Response::Successor(next) => {
                self.pending = Some((token, next));
                Phase::Replace { why: Why::Successor, fence, call: Replacing::Read }
            }
            Response::Lost if rules.keeps_lost_marks => Phase::Idle,
            Response::Refused | Response::Lost => self.settles(fence, 0),
        };
    }

    /// Its mark means nothing.
    fn settles(&mut self, mark: u8, earlier: u8) -> Phase {
        self.harmless = mark;
        let is_earlier_harmless = earlier != 0 && self.harmless_before == earlier;
        Phase::Settle { harmless: Harmless { mark, earlier, is_earlier_harmless } }
    }

    /// Whether the caller can be gone while the host goes on with this: a successor and a mark are saved by tasks.
    pub(crate) fn has_a_caller(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Idle
                | Phase::Absent
                | Phase::Settle { .. }
                | Phase::Remove { .. }
                | Phase::Unmark { .. }
                | Phase::Replace { why: Why::Successor, .. }
        )
    }

    /// Whether the store may do what it is asked although the caller is gone.
    pub(crate) fn writes(&self) -> bool {
        matches!(
            self.phase,
            Phase::Lease { .. }
                | Phase::Mark { .. }
                | Phase::Replace { call: Replacing::Lease { .. } | Replacing::Save { .. }, .. }
        )
    }

    /// Whether it goes on before the next tick, unless it stands still: a call ends in its time, a token is sent when the
    /// clock was looked at, and what is settled is settled at once.
    pub(crate) fn hurries(&self, now: Tick) -> bool {
        match self.phase {
            Phase::Mark { asked, .. } => now >= asked + CALL,
            Phase::Send { .. } => true,
            _ => self.settles_something(),
        }
    }

    /// Whether it removes a mark that means nothing.
    pub(crate) fn settles_something(&self) -> bool {
        matches!(self.phase, Phase::Settle { .. } | Phase::Remove { .. } | Phase::Unmark { .. })
    }

    /// Whether it uses the token.
    pub(crate) fn uses(&self) -> bool {
        matches!(self.phase, Phase::Mark { .. } | Phase::Send { .. } | Phase::Replace { .. })
    }

    /// The caller leaves. The lease ends by itself, or is released.
    pub(crate) fn is_cancelled(&mut self, rules: &Rules, was_sent: bool) {
        self.phase = match self.phase {
            Phase::Mark { fence, seen, .. } if rules.unmarks_what_was_not_sent => {
                self.settles(fence, seen.content.mark)
            }
            Phase::Send { fence, .. }
                if (was_sent && !rules.keeps_marks_of_what_was_sent)
                    || (!was_sent && rules.unmarks_what_was_not_sent) =>
            {
                self.settles(fence, 0)
            }
            _ => Phase::Idle,
        };
    }

    /// Calls the store. `None` in place of it if the call fails; then the fetch does, too.
    pub(crate) fn calls(&mut self, rules: &Rules, now: Tick, store: Option<&mut Store>) {
        self.phase = match (self.phase, store) {
            (Phase::Look, Some(store)) => {
                self.learns(rules, now, store);
                self.finds(rules, store);
                Phase::Lease { seen: store.record.version }
            }
            (Phase::Lease { seen }, Some(store)) => match store.lease(rules, seen) {
                Leased::Granted(fence) if self.pending.is_some() => {
                    Phase::Replace { why: Why::Pending, fence, call: Replacing::Read }
                }
                Leased::Granted(fence) => Phase::Load { fence },
                Leased::Held | Leased::Newer => Phase::Look,
            },
            (Phase::Load { fence }, Some(store)) => {
                Phase::Prepare { fence, token: self.finds(rules, store).content.token }
            }
            (Phase::Prepare { fence, token }, Some(store)) => {
                let sent = self.learns(rules, now, store);
                let found = self.finds(rules, store);
                self.prepares(rules, (fence, token), now, found, sent)
            }
            (Phase::Mark { fence, token, seen, resent, .. }, Some(store)) => {
                // The mark has the number of its lease, which makes it different from all others.
                let sent_before = resent.map(|resent| sent_before(rules, resent, self.asked(now)));
                let content = Content { mark: fence, sent_before, ..seen.content };
                match store.save(rules, content, fence, seen.version) {
                    Saved::Done => {
                        self.learns(rules, now, store);
                        self.saves(rules, content, fence, seen.version);
                        self.sends(rules, now, fence, token, resent)
                    }
                    Saved::Fenced | Saved::Changed => self.settles(fence, seen.content.mark),
                }
            }
            (Phase::Mark { fence, token, resent, .. }, None) if !rules.needs_the_reply => {
                self.sends(rules, now, fence, token, resent)
            }
            (Phase::Mark { fence, seen, .. }, None) => self.settles(fence, seen.content.mark),
            (Phase::Settle { harmless }, Some(store)) => {
                let found = self.finds(rules, store);
                let is_there = match found.content.mark {
                    0 => rules.settles_under_a_lease,
                    mark if mark == harmless.earlier => rules.fences_late_marks || harmless.is_earlier_harmless,
                    mark => mark == harmless.mark,
                };
                // Otherwise that use has a later lease.
                if is_there { Phase::Remove { harmless, found } } else { Phase::Idle }
            }
            (Phase::Remove { harmless, found }, Some(store)) => match store.lease(rules, found.version) {
                Leased::Granted(fence) => {
                    let found = self.finds(rules, store);
                    let Content { mark, sent_before, .. } = found.content;
                    let means_nothing =
                        mark == harmless.mark || (harmless.is_earlier_harmless && mark == harmless.earlier);
                    if means_nothing && (sent_before.is_none() || !rules.keeps_marks_of_a_resend) {
                        Phase::Unmark { harmless, fence, found }
                    } else {
                        store.release(fence);
                        Phase::Idle
                    }
                }
                Leased::Held | Leased::Newer => Phase::Settle { harmless },
            },
            (Phase::Unmark { harmless, fence, found }, Some(store)) => {
                match store.save(rules, found.content.unmarked(), fence, found.version) {
                    // The holder of a later lease may have seen the mark, and done nothing.
                    Saved::Fenced | Saved::Changed if rules.looks_again_when_fenced => Phase::Settle { harmless },
                    Saved::Fenced | Saved::Changed => Phase::Idle,
                    Saved::Done => {
                        self.saves(rules, found.content.unmarked(), fence, found.version);
                        Phase::Idle
                    }
                }
            }
            // It is tried again.
            (Phase::Settle { harmless } | Phase::Remove { harmless, .. } | Phase::Unmark { harmless, .. }, None) => {
                Phase::Settle { harmless }
            }
            (Phase::Replace { why, fence, call }, Some(store)) => self.replaces(rules, why, fence, call, store),
            (_, _) => Phase::Idle,
        };
    }

    /// When its call began. A call that arrives late has the content of then.
    fn asked(&self, now: Tick) -> Tick {
        if let Phase::Mark { asked, .. } = self.phase { asked } else { now }
    }

    /// Notes what it knows of the record, and since when the token was sent: first, and with its mark.
    fn learns(&mut self, rules: &Rules, now: Tick, store: &Store) -> Resent {
        let Record { content, version, .. } = store.record;
        let told = now - store.age();
        let same = self.known.filter(|known| (known.version, known.content.mark) == (version, content.mark));
        let of_token = self.known.filter(|known| {
            known.content.token == content.token && known.content.mark != 0 && content.sent_before.is_some()
        });
        let is_of_before = same.or(of_token).is_some_and(|known| known.is_of_before);
        let (counts, counts_on) = (rules.own_clock_counts, rules.own_clock_counts_for_the_token);
        let saved_at = same.filter(|_| counts).map_or(told, |known| told.min(known.saved_at));
        let first = saved_at - content.sent_before.unwrap_or(0);
        let first = of_token.filter(|_| counts && counts_on).map_or(first, |known| first.min(known.first));
        self.known = rules.clocks_differ.then_some(Known { version, content, saved_at, first, is_of_before });
        Resent { first, last: saved_at }
    }

    /// Reads the record. If the store has lost what the host knows, that takes the place of its content.
    fn finds(&mut self, rules: &Rules, store: &Store) -> Record {
        let Record { content, version, .. } = store.record;
        let shown = Shown { version, mark: content.mark };
        if !rules.writes_are_lost {
            return store.record;
        }
        if let Some(latest) = &mut self.latest {
            let is_own_mark = rules.knows_its_mark && latest.replaced == Some(shown);
            if content.token < latest.content.token || (content.token == latest.content.token && is_own_mark) {
                latest.seen = shown;
                let content = if rules.knows_what_was_lost { latest.content } else { content };
                let mut found = store.record;
                (found.content, found.is_lost) = (content, true);
                return found;
            }
        }
        let replaced = self.replaced(content);
        self.latest = Some(Latest { content, shown, replaced, seen: shown });
        store.record
    }

    /// Notes what it has saved.
    fn saves(&mut self, rules: &Rules, content: Content, version: u8, over: u8) {
        if rules.writes_are_lost && self.latest.is_none_or(|latest| latest.content.token <= content.token) {
            let shown = Shown { version, mark: content.mark };
            let seen = self.latest.map(|latest| latest.seen).filter(|seen| seen.version == over && *seen != shown);
            let replaced = seen.or(self.replaced(content));
            self.latest = Some(Latest { content, shown, replaced, seen: shown });
        }
    }

    /// What it has replaced by a mark of the same token.
    fn replaced(&self, content: Content) -> Option<Shown> {
        self.latest.filter(|latest| latest.content.token == content.token).and_then(|latest| latest.replaced)
    }

    /// Whether it knows that the server has used the token up, or may have.
    pub(crate) fn knows_better(&self, token: u8) -> bool {
        self.sent & (1 << token) != 0 || self.latest.is_some_and(|latest| latest.content.token > token)
    }

    fn prepares(&mut self, rules: &Rules, of: (u8, u8), now: Tick, seen: Record, sent: Resent) -> Phase {
        let (fence, token) = of;
        let Content { mark, sent_before, .. } = seen.content;
        let is_harmless = mark == self.harmless || mark == self.harmless_before;
        let is_in_use = mark != 0 && (!is_harmless || (sent_before.is_some() && rules.is_in_use_if_resent));
        if is_in_use && rules.heeds_marks && !may_resend(rules, now, sent) {
            return Phase::Idle;
        }
        if !rules.marks_first {
            return Phase::Send { fence, token };
        }
        // Until the store has answered, the token is not sent.
        (self.harmless, self.harmless_before) = (fence, if is_in_use { 0 } else { mark });
        Phase::Mark { fence, token, seen, asked: now, resent: (is_in_use && rules.heeds_marks).then_some(sent) }
    }

    fn sends(&mut self, rules: &Rules, now: Tick, fence: u8, token: u8, resent: Option<Resent>) -> Phase {
        if rules.forgets_harmless_marks {
            (self.harmless, self.harmless_before) = (0, 0);
        }
        if resent.is_some_and(|sent| rules.looks_at_its_clock_again && !may_resend(rules, now, sent)) {
            return Phase::Idle;
        }
        Phase::Send { fence, token }
    }

    fn replaces(&mut self, rules: &Rules, why: Why, fence: u8, call: Replacing, store: &mut Store) -> Phase {
        let replace = |call| Phase::Replace { why, fence, call };
        match call {
            Replacing::Read => {
                let found = self.finds(rules, store);
                self.decides(rules, why, fence, found)
            }
            Replacing::Look { found } => replace(Replacing::Lease { found, again: self.finds(rules, store) }),
            Replacing::Lease { found, again } => match store.lease(rules, again.version) {
                Leased::Granted(fence) if again.version == found.version => {
                    Phase::Replace { why, fence, call: Replacing::Save { found: again } }
                }
                // It has changed, and the lease is released.
                Leased::Granted(_) => self.decides(rules, why, 0, again),
                Leased::Held | Leased::Newer => replace(Replacing::Look { found }),
            },
            Replacing::Save { found } => match store.save(rules, self.next(), fence, found.version) {
                Saved::Done => {
                    self.saves(rules, self.next(), fence, found.version);
                    self.ends(why, fence)
                }
                Saved::Fenced => self.decides(rules, why, 0, found),
                Saved::Changed => {
                    let found = self.finds(rules, store);
                    self.decides(rules, why, 0, found)
                }
            },
        }
    }

    fn next(&self) -> Content {
        Content { token: self.pending.map_or(0, |(_, next)| next), ..Content::default() }
    }

    /// What to do about the record that is to be replaced.
    fn decides(&mut self, rules: &Rules, why: Why, fence: u8, found: Record) -> Phase {
        let is_expected =
            !rules.compares_the_token || self.pending.is_some_and(|(seen, _)| found.content.token == seen);
        if (found.content == self.next() && !found.is_lost) || !is_expected {
            return self.ends(why, fence);
        }
        let call = if fence == 0 { Replacing::Look { found } } else { Replacing::Save { found } };
        Phase::Replace { why, fence, call }
    }

    fn ends(&mut self, why: Why, fence: u8) -> Phase {
        self.pending = None;
        if why == Why::Pending && fence != 0 { Phase::Load { fence } } else { Phase::Idle }
    }
}

/// Whether a token whose response is missing may be sent.
fn may_resend(rules: &Rules, now: Tick, sent: Resent) -> bool {
    let is_reusable = rules.period.is_some_and(|period| now - sent.first < period || !rules.heeds_times);
    is_reusable || rules.resend_after.is_some_and(|time| now - sent.last >= time || !rules.heeds_times)
}

/// What the next mark says of the requests before it.
fn sent_before(rules: &Rules, resent: Resent, asked: Tick) -> Tick {
    let call = if rules.counts_the_save { CALL } else { 0 };
    if rules.counts_from_the_first { asked - resent.first + call } else { 0 }
}
