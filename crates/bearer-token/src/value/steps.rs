//! The steps from what was found at the origin of a value to the value.
//!
//! The steps belong to the value and not to its user. So a claim, a header and a client secret are all described in the
//! same way. Their order is fixed: with an order that users choose, `prefix` before `encoding` would decode the prefix.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::member::member;
use crate::secret::{encoding::Encoding, string};

/// The steps, in the order in which they are applied.
#[derive(Clone, Default)]
pub(super) struct Steps {
    pub(super) member: Option<Arc<str>>,
    pub(super) part: Option<(Part, Arc<str>)>,
    pub(super) encoding: Encoding,
    pub(super) prefix: Zeroizing<String>,
    pub(super) suffix: Zeroizing<String>,
}

/// Which side of the separator is used.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Before,
    After,
}

impl Steps {
    /// The string that is sent, or the problem with it. Surplus characters at its ends are removed, or are a problem
    /// (`L49`).
    ///
    /// A member of a JSON document is taken as it is, because its ends were marked by quotes. Other content is trimmed
    /// first: editors and `echo` add a newline.
    pub(super) fn text(&self, found: &[u8]) -> Result<Zeroizing<String>, String> {
        let is_verbatim = self.member.is_some() || self.encoding == Encoding::Binary;
        let bytes = self.decoded(if is_verbatim { found } else { string::trim(found) })?;
        let text = string::read_verbatim(&bytes).map_err(|problem| problem.message().to_owned())?;
        Ok(Zeroizing::new([&self.prefix, text, &self.suffix].concat()))
    }

    /// The bytes, which may be anything. Without a step, all bytes that were found are returned.
    pub(super) fn bytes(&self, found: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let bytes = self.decoded(found)?;
        if self.prefix.is_empty() && self.suffix.is_empty() {
            return Ok(bytes);
        }
        Ok(Zeroizing::new([self.prefix.as_bytes(), &bytes, self.suffix.as_bytes()].concat()))
    }

    /// A secret, or the problem with it. Without a step, it is read as every other secret (`L49`).
    #[cfg(feature = "oauth")]
    pub(super) fn secret(&self, found: &[u8]) -> Result<Zeroizing<String>, String> {
        if !self.are_none() {
            return self.text(found);
        }
        string::read(found).map(|text| Zeroizing::new(text.to_owned())).map_err(|problem| problem.message().to_owned())
    }

    /// Whether there are no steps.
    #[cfg(any(feature = "jwt", feature = "oauth"))]
    pub(super) fn are_none(&self) -> bool {
        let Steps { member, part, encoding, prefix, suffix } = self;
        member.is_none() && part.is_none() && *encoding == Encoding::Text && prefix.is_empty() && suffix.is_empty()
    }

    /// Whether no step looks into what was found.
    #[cfg(feature = "oauth")]
    pub(super) fn are_plain(&self) -> bool {
        self.member.is_none() && self.part.is_none() && self.encoding == Encoding::Text
    }

    /// What is wrong with the steps themselves.
    #[allow(dead_code, reason = "used with the features `jwt` and `oauth`")]
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.part.as_ref().is_some_and(|(_, separator)| separator.is_empty()) {
            return Some(("found an empty separator", "a character such as `:`"));
        }
        if [&self.prefix, &self.suffix].iter().any(|text| text.contains(char::is_control)) {
            return Some(("found a control character in the prefix or the suffix", "a string without one"));
        }
        if self.member.as_deref().is_some_and(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            return Some(("found a member that does not begin with `/`", "a JSON pointer such as `/private_key`"));
        }
        None
    }

    /// The bytes before prefix and suffix.
    ///
    /// An empty result is an error even where an empty string would be legal. An emptied file is far more common than a
    /// secret of no characters.
    fn decoded(&self, found: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let member = self.member.as_ref().map(|pointer| member(found, pointer)).transpose()?;
        let whole = member.as_ref().map_or(found, |text| text.as_bytes());
        let part = match &self.part {
            None => whole,
            Some((part, separator)) => {
                let text = str::from_utf8(whole).map_err(|_| string::StringProblem::NotUtf8.message().to_owned())?;
                let (before, after) = text
                    .split_once(&**separator)
                    .ok_or_else(|| format!("found no `{separator}` in it; expected two parts around one"))?;
                match part {
                    Part::Before => before.as_bytes(),
                    Part::After => after.as_bytes(),
                }
            }
        };
        let decoded = self.encoding.decode(part).map(Zeroizing::new).ok_or_else(|| {
            let encoding = self.encoding.name();
            format!("found something that is not {encoding}; expected {encoding}, which the encoding says it is")
        })?;
        // A file that was emptied must not replace what was read last.
        if decoded.is_empty() { Err(string::StringProblem::Empty.message().to_owned()) } else { Ok(decoded) }
    }
}
