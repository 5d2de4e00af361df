//! Secrets: strings that are wiped when dropped and never printed, and the reader of all secrets that users pass in.

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
    pub(crate) fn new(secret: impl Into<String>) -> Self {
        Secret(Zeroizing::new(secret.into()))
    }

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
