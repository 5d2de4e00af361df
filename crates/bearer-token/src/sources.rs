//! Sources that need no protocol.

pub(crate) mod fallback;
#[cfg(any(feature = "jwt", feature = "oauth"))]
pub(crate) mod file_token;
pub(crate) mod static_token;

#[cfg(any(feature = "jwt", feature = "oauth"))]
pub use self::file_token::FileToken;
pub use self::{fallback::Fallback, static_token::StaticToken};
