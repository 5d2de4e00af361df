//! A refresh token with its mark, as a shared store keeps it.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind},
    store::{Fence, Order, StoredToken},
};

/// The first byte of the record. Another one is the record of something else.
const FORMAT: u8 = 2;
/// The mark, the time before it, and the two numbers of the descent.
const NUMBERS: usize = 4;
const NUMBER: usize = 8;

/// A refresh token, and whether it was sent.
#[derive(Clone, Default, PartialEq)]
pub(super) struct MarkedToken {
    pub(super) token: Option<StoredToken>,
    /// The number of the use that began and did not end. It is not zero.
    pub(super) mark: Option<u64>,
    /// How long before this mark the token was sent first, if that response is missing as well.
    pub(super) sent_before: Duration,
    pub(super) descent: Descent,
}

/// Which of the tokens of one consent it is. A store that has lost its last writes shows an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Descent {
    /// The fence under which the first token of the consent was saved. It is zero if there is no record.
    consent: u64,
    /// It grows with each successor, and is no less than the fence of its save. Fences also grow over a loss. A successor
    /// saved after a loss is later than all that were lost.
    generation: u64,
}

impl Descent {
    /// That of the first token of a new consent, which replaces this one under a lease.
    pub(super) fn consented(self, fence: Fence) -> Self {
        Descent { consent: fence.get(), ..self.succeeded(fence) }
    }

    /// That of a successor, which is saved under this lease.
    pub(super) fn succeeded(self, fence: Fence) -> Self {
        let consent = if self.consent == 0 { fence.get() } else { self.consent };
        Descent { consent, generation: fence.get().max(self.generation.saturating_add(1)) }
    }

    /// Whether this token was replaced by the other one, or by one before it. A token of another consent was not: a
    /// person has put it there.
    ///
    /// A record without a consent has the mark of a token that no store had before. In a store that may lose its writes,
    /// all others are later. From another store, the others were removed on purpose.
    pub(super) fn is_before(self, other: Self, order: Order) -> bool {
        let is_first = order == Order::LosesWrites && self.consent == 0 && other.consent != 0;
        is_first || (self.consent == other.consent && self.generation < other.generation)
    }
}

impl MarkedToken {
    /// Whether it is the same token, with the same mark.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.token, self.mark, self.sent_before) == (&other.token, other.mark, other.sent_before)
    }

    /// Whether a newer version wrote it.
    pub(super) fn is_newer(plain: &[u8]) -> bool {
        plain.first().is_some_and(|format| *format > FORMAT)
    }

    pub(super) fn read(plain: &[u8]) -> Result<Self, Error> {
        let unknown = || Error::new(ErrorKind::Source, "the refresh token in the shared store has an unknown format");
        let mut rest = plain.strip_prefix(&[FORMAT]).ok_or_else(unknown)?;
        let mut numbers = [0; NUMBERS];
        for number in &mut numbers {
            let (bytes, after) = rest.split_first_chunk::<NUMBER>().ok_or_else(unknown)?;
            (*number, rest) = (u64::from_be_bytes(*bytes), after);
        }
        let [mark, sent_before, consent, generation] = numbers;
        let token = if rest.is_empty() { None } else { Some(StoredToken::from_json(rest)?) };
        Ok(MarkedToken {
            token,
            mark: Some(mark).filter(|mark| *mark != 0),
            sent_before: Duration::from_millis(sent_before),
            descent: Descent { consent, generation },
        })
    }

    pub(super) fn plain(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let json = self.token.as_ref().map(StoredToken::to_json).transpose()?;
        let json = json.as_ref().map_or(&[][..], |json| json.as_bytes());
        let mut plain = Zeroizing::new(Vec::with_capacity(1 + NUMBERS * NUMBER + json.len()));
        plain.push(FORMAT);
        let sent_before = u64::try_from(self.sent_before.as_millis()).unwrap_or(u64::MAX);
        let Descent { consent, generation } = self.descent;
        for number in [self.mark.unwrap_or(0), sent_before, consent, generation] {
            plain.extend_from_slice(&number.to_be_bytes());
        }
        plain.extend_from_slice(json);
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        for token in [None, Some(StoredToken::new("planted"))] {
            for mark in [None, Some(u64::MAX)] {
                let (sent_before, descent) = (Duration::from_millis(1_500), Descent { consent: 3, generation: 4 });
                let marked = MarkedToken { token: token.clone(), mark, sent_before, descent };
                assert!(MarkedToken::read(&marked.plain().unwrap()).unwrap() == marked);
            }
        }
    }

    #[test]
    fn other_records_are_refused_without_their_bytes() {
        let numbers = [&[FORMAT][..], &[0; NUMBERS * NUMBER], b"planted"].concat();
        for plain in [&b""[..], b"\x01planted", b"\x02short", &numbers] {
            let Err(error) = MarkedToken::read(plain) else { panic!("{plain:?}") };
            assert!(!format!("{error:?}").contains("planted"));
        }
    }

    #[test]
    fn only_an_earlier_token_of_the_same_consent_is_before() {
        let first = Descent::default().consented(Fence::new(5));
        let next = first.succeeded(Fence::new(5));
        let later = next.succeeded(Fence::new(9));
        for (this, other) in [(first, next), (next, later), (first, later)] {
            assert!(this.is_before(other, Order::LosesWrites), "{this:?} {other:?}");
        }
        // The mark of an initial token.
        assert!(Descent::default().is_before(first, Order::LosesWrites));
        assert!(!Descent::default().is_before(first, Order::Linearizable));
        assert!(!first.is_before(Descent::default(), Order::LosesWrites));
        for (this, other) in [(later, next), (next, next), (later, first)] {
            assert!(!this.is_before(other, Order::LosesWrites), "{this:?} {other:?}");
        }
        // A person has consented again, after the store has lost the last ones.
        let consented = first.consented(Fence::new(7));
        assert!(!consented.is_before(later, Order::LosesWrites) && !later.is_before(consented, Order::LosesWrites));
        // A host that knows nothing of those spends the first one again.
        assert!(!first.succeeded(Fence::new(10)).is_before(later, Order::LosesWrites));
        assert!(later.consented(Fence::new(3)).generation > later.generation);
    }
}
