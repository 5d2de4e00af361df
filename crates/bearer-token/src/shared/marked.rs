//! A refresh token with its mark, as a shared store keeps it.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind},
    store::StoredToken,
};

/// The first byte of the record. Another one is the record of something else.
const FORMAT: u8 = 1;
const MARK: usize = 8;
const SENT_BEFORE: usize = 8;

/// A refresh token, and whether it was sent.
#[derive(Clone, Default, PartialEq)]
pub(super) struct MarkedToken {
    pub(super) token: Option<StoredToken>,
    /// The number of the use that began and did not end. It is not zero.
    pub(super) mark: Option<u64>,
    /// How long before this mark the token was sent first, if that response is missing as well.
    pub(super) sent_before: Duration,
}

impl MarkedToken {
    pub(super) fn read(plain: &[u8]) -> Result<Self, Error> {
        let unknown = || Error::new(ErrorKind::Source, "the refresh token in the shared store has an unknown format");
        let rest = plain.strip_prefix(&[FORMAT]).ok_or_else(unknown)?;
        let (mark, rest) = rest.split_first_chunk::<MARK>().ok_or_else(unknown)?;
        let mark = Some(u64::from_be_bytes(*mark)).filter(|mark| *mark != 0);
        let (sent_before, json) = rest.split_first_chunk::<SENT_BEFORE>().ok_or_else(unknown)?;
        let sent_before = Duration::from_millis(u64::from_be_bytes(*sent_before));
        let token = if json.is_empty() { None } else { Some(StoredToken::from_json(json)?) };
        Ok(MarkedToken { token, mark, sent_before })
    }

    pub(super) fn plain(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let json = self.token.as_ref().map(StoredToken::to_json).transpose()?;
        let json = json.as_ref().map_or(&[][..], |json| json.as_bytes());
        let mut plain = Zeroizing::new(Vec::with_capacity(1 + MARK + SENT_BEFORE + json.len()));
        plain.push(FORMAT);
        plain.extend_from_slice(&self.mark.unwrap_or(0).to_be_bytes());
        let sent_before = u64::try_from(self.sent_before.as_millis()).unwrap_or(u64::MAX);
        plain.extend_from_slice(&sent_before.to_be_bytes());
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
                let marked = MarkedToken { token: token.clone(), mark, sent_before: Duration::from_millis(1_500) };
                assert!(MarkedToken::read(&marked.plain().unwrap()).unwrap() == marked);
            }
        }
    }

    #[test]
    fn other_records_are_refused_without_their_bytes() {
        for plain in [&b""[..], b"\x02planted", b"\x01short", b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0planted"] {
            let Err(error) = MarkedToken::read(plain) else { panic!("{plain:?}") };
            assert!(!format!("{error:?}").contains("planted"));
        }
    }
}
