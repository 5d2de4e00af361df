//! Secrets: strings that are wiped when dropped and never printed, and the one reader of strings that users give.

#[cfg(feature = "oauth")]
use std::fmt;

#[cfg(feature = "oauth")]
use zeroize::Zeroizing;

mod path;
pub(crate) mod string;

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
