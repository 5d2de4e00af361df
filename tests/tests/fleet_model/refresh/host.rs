//! A host of the model: what it asks next, given what it was answered.
//!
//! It is a copy of the decisions of `bearer_token::shared::SharedRefreshToken` and of the grant that uses it, by hand.

use super::store::{Content, Leased, Record, Saved, Store};

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
};

/// What a host is about to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) enum Phase {
    #[default]
    Idle,
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
    },
    Send {
        fence: u8,
        token: u8,
    },
    /// Removes its mark, which means nothing.
    Settle {
        mark: u8,
    },
    /// Under a lease, so that a save of the mark which is still on its way is refused.
    Remove {
        mark: u8,
        found: Record,
    },
    Unmark {
        mark: u8,
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
    /// A token and its successor, which is not saved yet.
    pub(crate) pending: Option<(u8, u8)>,
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
    /// Takes the response of the server.
    pub(crate) fn hears(&mut self, rules: &Rules, response: Response) {
        let Phase::Send { fence, token } = self.phase else { return };
        self.phase = match response {
            Response::Successor(next) => {
                self.pending = Some((token, next));
                Phase::Replace { why: Why::Successor, fence, call: Replacing::Read }
            }
            Response::Lost if rules.keeps_lost_marks => Phase::Idle,
            Response::Refused | Response::Lost => {
                self.harmless = fence;
                Phase::Settle { mark: fence }
            }
        };
    }

    /// Whether the caller can be gone while the host goes on with this: a successor and a mark are saved by tasks.
    pub(crate) fn has_a_caller(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Idle
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

    /// The caller leaves. The lease ends by itself, or is released.
    pub(crate) fn is_cancelled(&mut self, rules: &Rules, was_sent: bool) {
        self.phase = match self.phase {
            Phase::Mark { fence, .. } if rules.unmarks_what_was_not_sent => Phase::Settle { mark: fence },
            Phase::Send { fence, .. }
                if (was_sent && !rules.keeps_marks_of_what_was_sent)
                    || (!was_sent && rules.unmarks_what_was_not_sent) =>
            {
                self.harmless = fence;
                Phase::Settle { mark: fence }
            }
            _ => Phase::Idle,
        };
    }

    /// Calls the store. `None` in place of it if the call fails; then the fetch does, too.
    pub(crate) fn calls(&mut self, rules: &Rules, store: Option<&mut Store>) {
        self.phase = match (self.phase, store) {
            (Phase::Look, Some(store)) => Phase::Lease { seen: store.record.version },
            (Phase::Lease { seen }, Some(store)) => match store.lease(rules, seen) {
                Leased::Granted(fence) if self.pending.is_some() => {
                    Phase::Replace { why: Why::Pending, fence, call: Replacing::Read }
                }
                Leased::Granted(fence) => Phase::Load { fence },
                Leased::Held | Leased::Newer => Phase::Look,
            },
            (Phase::Load { fence }, Some(store)) => Phase::Prepare { fence, token: store.record.content.token },
            (Phase::Prepare { fence, token }, Some(store)) => self.prepares(rules, fence, token, store.record),
            (Phase::Mark { fence, token, seen }, Some(store)) => {
                // The mark has the number of its lease, which makes it different from all others.
                match store.save(rules, Content { mark: fence, ..seen.content }, fence, seen.version) {
                    Saved::Done => self.sends(rules, fence, token),
                    Saved::Fenced | Saved::Changed => Phase::Settle { mark: fence },
                }
            }
            (Phase::Mark { fence, token, .. }, None) if !rules.needs_the_reply => self.sends(rules, fence, token),
            (Phase::Mark { fence, .. }, None) => Phase::Settle { mark: fence },
            (Phase::Settle { mark }, Some(store)) => {
                let found = store.record;
                match found.content.mark {
                    0 if rules.settles_under_a_lease => Phase::Remove { mark, found },
                    other if other == mark => Phase::Remove { mark, found },
                    // That use has a later lease.
                    _ => Phase::Idle,
                }
            }
            (Phase::Remove { mark, found }, Some(store)) => match store.lease(rules, found.version) {
                Leased::Granted(fence) if found.content.mark == mark => Phase::Unmark { mark, fence, found },
                Leased::Granted(fence) => {
                    store.release(fence);
                    Phase::Idle
                }
                Leased::Held | Leased::Newer => Phase::Settle { mark },
            },
            (Phase::Unmark { mark, fence, found }, Some(store)) => {
                match store.save(rules, Content { mark: 0, ..found.content }, fence, found.version) {
                    // The holder of a later lease may have seen the mark, and done nothing.
                    Saved::Fenced | Saved::Changed if rules.looks_again_when_fenced => Phase::Settle { mark },
                    Saved::Done | Saved::Fenced | Saved::Changed => Phase::Idle,
                }
            }
            // It is tried again.
            (Phase::Settle { mark } | Phase::Remove { mark, .. } | Phase::Unmark { mark, .. }, None) => {
                Phase::Settle { mark }
            }
            (Phase::Replace { why, fence, call }, Some(store)) => self.replaces(rules, why, fence, call, store),
            (_, _) => Phase::Idle,
        };
    }

    fn prepares(&mut self, rules: &Rules, fence: u8, token: u8, seen: Record) -> Phase {
        let is_in_use = seen.content.mark != 0 && seen.content.mark != self.harmless;
        if is_in_use && rules.heeds_marks {
            return Phase::Idle;
        }
        if !rules.marks_first {
            return Phase::Send { fence, token };
        }
        // Until the store has answered, the token is not sent.
        self.harmless = fence;
        Phase::Mark { fence, token, seen }
    }

    fn sends(&mut self, rules: &Rules, fence: u8, token: u8) -> Phase {
        if rules.forgets_harmless_marks {
            self.harmless = 0;
        }
        Phase::Send { fence, token }
    }

    fn replaces(&mut self, rules: &Rules, why: Why, fence: u8, call: Replacing, store: &mut Store) -> Phase {
        let replace = |call| Phase::Replace { why, fence, call };
        match call {
            Replacing::Read => self.decides(rules, why, fence, store.record),
            Replacing::Look { found } => replace(Replacing::Lease { found, again: store.record }),
            Replacing::Lease { found, again } => match store.lease(rules, again.version) {
                Leased::Granted(fence) if again.version == found.version => {
                    Phase::Replace { why, fence, call: Replacing::Save { found: again } }
                }
                // It has changed, and the lease is released.
                Leased::Granted(_) => self.decides(rules, why, 0, again),
                Leased::Held | Leased::Newer => replace(Replacing::Look { found }),
            },
            Replacing::Save { found } => match store.save(rules, self.next(), fence, found.version) {
                Saved::Done => self.ends(why, fence),
                Saved::Fenced => self.decides(rules, why, 0, found),
                Saved::Changed => self.decides(rules, why, 0, store.record),
            },
        }
    }

    fn next(&self) -> Content {
        Content { token: self.pending.map_or(0, |(_, next)| next), mark: 0 }
    }

    /// What to do about the record that is to be replaced.
    fn decides(&mut self, rules: &Rules, why: Why, fence: u8, found: Record) -> Phase {
        let is_expected =
            !rules.compares_the_token || self.pending.is_some_and(|(seen, _)| found.content.token == seen);
        if found.content == self.next() || !is_expected {
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
