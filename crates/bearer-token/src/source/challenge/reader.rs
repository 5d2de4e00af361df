//! The grammar of `WWW-Authenticate` (RFC 9110 section 11.6.1).
//!
//! ```text
//! line       = challenge *( "," challenge )
//! challenge  = scheme [ 1*SP ( token68 / parameter *( "," parameter ) ) ]
//! parameter  = name "=" ( token / quoted-string )
//! ```
//!
//! The comma is ambiguous: after it comes a parameter of this challenge or the scheme of the next. They differ by the
//! `=` that follows the word. Bytes and not strings are read, because a header line need not be UTF-8.

use std::borrow::Cow;

/// Its name, and its value without the quoting.
type Parameter<'a> = (&'a [u8], Cow<'a, [u8]>);

/// One challenge as written in a header line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RawChallenge<'a> {
    pub(crate) scheme: &'a [u8],
    pub(crate) parameters: Vec<Parameter<'a>>,
}

impl RawChallenge<'_> {
    /// The value of the first parameter with this name, without regard to case.
    pub(crate) fn parameter(&self, name: &str) -> Option<&[u8]> {
        let found = self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| &**value)
    }
}

/// The challenges of one header line. A syntax error ends the reading; the challenges before it count.
pub(super) struct Challenges<'a> {
    rest: &'a [u8],
}

impl<'a> Challenges<'a> {
    /// The challenges of this line, in their order.
    pub(super) fn of(line: &'a [u8]) -> Self {
        Challenges { rest: line }
    }
}

impl<'a> Iterator for Challenges<'a> {
    type Item = RawChallenge<'a>;

    fn next(&mut self) -> Option<RawChallenge<'a>> {
        let (scheme, after) = split(skip(self.rest, is_separator), is_token);
        self.rest = b"";
        if scheme.is_empty() {
            return None;
        }
        let mut challenge = RawChallenge { scheme, parameters: Vec::new() };
        let mut rest = skip(after, is_blank);
        if let Some((found, after)) = parameter(rest) {
            challenge.parameters.push(found);
            rest = after;
        } else {
            // A token68 says nothing to us.
            rest = skip(rest, |byte| is_token(byte) || matches!(byte, b'/' | b'='));
        }
        loop {
            rest = skip(rest, is_blank);
            if !rest.is_empty() && !rest.starts_with(b",") {
                return Some(challenge);
            }
            // An element is a parameter of this challenge, or begins the next.
            rest = skip(rest, is_separator);
            if let Some((found, after)) = parameter(rest) {
                challenge.parameters.push(found);
                rest = after;
            } else {
                if !names_parameter(rest) {
                    self.rest = rest;
                }
                return Some(challenge);
            }
        }
    }
}

/// `token BWS "=" BWS ( token / quoted-string )` (RFC 9110 section 11.2).
fn parameter(text: &[u8]) -> Option<(Parameter<'_>, &[u8])> {
    let (name, rest) = split(text, is_token);
    let rest = skip(skip(rest, is_blank).strip_prefix(b"=")?, is_blank);
    if name.is_empty() {
        return None;
    }
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let (value, rest) = unquote(quoted)?;
        return Some(((name, value), rest));
    }
    let (value, rest) = split(rest, is_token);
    // `abc=` and `abc==` are token68, not parameters.
    (!value.is_empty()).then(|| ((name, value.into()), rest))
}

/// The text up to the closing quote, with `\x` for `x` (RFC 9110 section 5.6.4).
fn unquote(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let (plain, mut rest) = split(text, |byte| !matches!(byte, b'"' | b'\\'));
    let mut value = Cow::Borrowed(plain);
    loop {
        match rest {
            [b'"', after @ ..] => return Some((value, after)),
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                value.to_mut().push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

/// Whether something begins here that can only be a parameter, well-formed or not.
fn names_parameter(text: &[u8]) -> bool {
    let (name, rest) = split(text, is_token);
    !name.is_empty() && skip(rest, is_blank).starts_with(b"=")
}

fn split(text: &[u8], wanted: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !wanted(*byte)).unwrap_or(text.len());
    text.split_at(end)
}

fn skip(text: &[u8], unwanted: impl Fn(u8) -> bool) -> &[u8] {
    split(text, unwanted).1
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether a token may contain this byte: `tchar` (RFC 9110 section 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `#rule` lists may hold empty elements (RFC 9110 section 5.6.1).
fn is_separator(byte: u8) -> bool {
    is_blank(byte) || byte == b','
}

#[cfg(test)]
mod property_tests;
