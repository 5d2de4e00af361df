//! Which credentials a `HotSwap` has, and what is known of the latest one.
//!
//! Its methods return the sources that they drop, because destructors may be user code, and the state is locked.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    source::{CredentialInUse, DynTokenSource},
};

type Source = Arc<dyn DynTokenSource>;

pub(super) struct State {
    latest: Source,
    /// The last one that worked, until the latest one does.
    previous: Option<Source>,
    /// Of what `latest` was made, for a followed value.
    content: Option<Zeroizing<Vec<u8>>>,
    /// Why the server refused the latest one.
    refused: Option<Error>,
    /// Why no credential could be made of a value that is later than the latest one.
    unusable: Option<Error>,
    /// Whether nothing is known of the latest one yet: no fetch with it got a token or a permanent failure.
    is_new: bool,
    /// How many reads of the followed value have begun.
    reads: u64,
    /// The latest of the reads that count, by its beginning.
    last_read: u64,
}

/// What came of a read of the followed value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Read {
    /// A read that began later has ended before. What this one found may be older.
    Overtaken,
    /// It is what the latest one was made of, or could not be.
    Known,
    New,
}

impl State {
    /// `content` is what the first credential was made of, if it follows a value.
    pub(super) fn new(first: Source, content: Option<Zeroizing<Vec<u8>>>) -> Self {
        State {
            latest: first,
            previous: None,
            content,
            refused: None,
            unusable: None,
            is_new: false,
            reads: 0,
            last_read: 0,
        }
    }

    pub(super) fn latest(&self) -> Source {
        self.latest.clone()
    }

    pub(super) fn credentials(&self) -> (Source, Option<Source>) {
        (self.latest.clone(), self.previous.clone())
    }

    /// Whether a fetch with the latest one would find out something about it.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn in_use(&self) -> CredentialInUse {
        match self.unusable.as_ref().or(self.refused.as_ref()) {
            Some(error) => CredentialInUse::Previous(error.clone()),
            None if self.previous.is_some() => CredentialInUse::Pending,
            None => CredentialInUse::Latest,
        }
    }

    /// The number of a read of the followed value that begins now.
    pub(super) fn begin_read(&mut self) -> u64 {
        self.reads += 1;
        self.reads
    }

    /// Takes what a read has found, if none that began later has ended.
    pub(super) fn end_read(&mut self, number: u64, found: &Zeroizing<Vec<u8>>) -> Read {
        if number < self.last_read {
            Read::Overtaken
        } else if self.content.as_ref() == Some(found) {
            self.last_read = number;
            Read::Known
        } else {
            Read::New
        }
    }

    /// Notes the value that a read has found: what was made of it follows.
    pub(super) fn note_read(&mut self, number: u64, found: Zeroizing<Vec<u8>>) {
        (self.last_read, self.content) = (number, Some(found));
    }

    /// Notes a new credential.
    #[must_use]
    pub(super) fn replace(&mut self, source: Source) -> Option<Source> {
        let replaced = std::mem::replace(&mut self.latest, source);
        (self.refused, self.unusable, self.is_new) = (None, None, true);
        // One that was refused, or not tried yet beside one that works, is not the one to fall back to.
        if self.previous.is_some() {
            return Some(replaced);
        }
        self.previous = Some(replaced);
        None
    }

    /// Notes that no credential can be made of the value that was read last. The others stay.
    pub(super) fn note_unusable(&mut self, error: Error) {
        self.unusable = Some(error);
    }

    /// Notes a token of the latest one. Returns the previous one, which has ended with that.
    #[must_use]
    pub(super) fn worked(&mut self, source: &Source) -> Option<Source> {
        if !Arc::ptr_eq(&self.latest, source) {
            // Another one arrived meanwhile.
            return None;
        }
        (self.refused, self.is_new) = (None, false);
        self.previous.take()
    }

    /// Notes a failure of the latest one. An outage says nothing about it, so it stays new.
    pub(super) fn failed(&mut self, source: &Source, error: &Error) {
        if error.is_transient() || !Arc::ptr_eq(&self.latest, source) {
            return;
        }
        self.is_new = false;
        if is_refusal(error) && self.previous.is_some() {
            self.refused = Some(error.clone());
        }
    }

    /// Notes that another replica has tried this one, with whatever came of it.
    pub(super) fn tried_elsewhere(&mut self, source: &Source) {
        self.is_new &= !Arc::ptr_eq(&self.latest, source);
    }

    /// Whether this is the latest one, and the server refused it.
    pub(super) fn is_refused(&self, source: &Source) -> bool {
        self.refused.is_some() && Arc::ptr_eq(&self.latest, source)
    }
}

/// Whether the server may not know the credential yet. An outage says nothing about it, and neither does a mistake in
/// the configuration.
pub(super) fn is_refusal(error: &Error) -> bool {
    error.retry() == Retry::AfterChange && !matches!(error.kind(), ErrorKind::Config | ErrorKind::Origin)
}
