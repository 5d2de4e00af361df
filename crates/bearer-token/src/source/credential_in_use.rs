//! Which credential a source uses that replaces its credential.

use crate::error::Error;

/// Which credential brought the last token of a source that replaces its credential while it is in use, such as a
/// `HotSwap`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CredentialInUse {
    /// The latest one that was tried. Also before the first fetch.
    Latest,
    /// The previous one, because the server refused the latest. This is its refusal.
    Previous(Error),
}
