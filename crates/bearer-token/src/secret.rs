//! Secrets: strings that are wiped when dropped and never printed, and the reader of all secrets that users pass in.
//!
//! A secret reaches a program in many ways: a literal, a variable, a file, a field of a document. In each of them it
//! may have picked up something that is not part of it. All of them come through one reader, so the same secret is the
//! same bytes, however it arrived (`L49`).
//!
//! | around the secret | what happens |
//! |---|---|
//! | a byte order mark before it | removed: Windows editors write one |
//! | one newline after it, LF or CRLF | removed: nearly every editor writes one |
//! | a second newline, a space, a tab, quotes, `\n` as two characters | an error that names it |
//! | a zero byte or another control character | an error: no secret has one (RFC 6749 appendix A) |
//! | UTF-16, or bytes that are not UTF-8 | an error; a secret of bytes is given with an [`Encoding`](crate::Encoding) |
//! | the path of a file, in place of its content | an error, where the caller says what the secret is not |
//!
//! An error is better than a guess. A server refuses a secret that was trimmed too far with `invalid_client`, which
//! says nothing about the reason.

#[cfg(feature = "oauth")]
use std::fmt;

#[cfg(feature = "oauth")]
use zeroize::Zeroizing;

use crate::error::Error;

#[cfg(feature = "_json")]
pub(crate) mod encoding;
mod path;
pub(crate) mod string;

pub use self::path::looks_like_path;

/// Reads a secret that a user passed in, without a leading byte order mark and without one trailing newline.
///
/// Every constructor that takes a secret as a string does this. Code that reads a configuration calls it for strings
/// that it passes on verbatim.
///
/// ```
/// use bearer_token::secret;
///
/// assert_eq!(secret::read(b"s3cret\n").unwrap(), "s3cret");
/// assert!(secret::read(b"'s3cret'").unwrap_err().to_string().contains("quotes"));
/// assert!(secret::looks_like_path("/run/secrets/key"));
/// ```
///
/// # Errors
///
/// Fails with kind [`Config`](crate::ErrorKind::Config) if the secret is empty, is not UTF-8, contains a control
/// character, or has quotes or spaces around it.
pub fn read(secret: &[u8]) -> Result<&str, Error> {
    string::read_declared(secret).map_err(|problem| Error::config(problem.message(), []))
}

/// A secret string. It is wiped when dropped, and `Debug` does not show it.
#[cfg(feature = "oauth")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

#[cfg(feature = "oauth")]
impl Secret {
    /// Takes over the string without a copy, so no other one is left behind.
    pub(crate) fn new(secret: impl Into<String>) -> Self {
        Secret(Zeroizing::new(secret.into()))
    }

    /// The secret itself. The name is to be conspicuous in a review.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(feature = "oauth")]
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
