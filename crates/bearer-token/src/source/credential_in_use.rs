//! Which credential a source uses that replaces its credential.

use crate::error::Error;

/// Which credential brought the last token of a source that replaces its credential while it is in use, such as a
/// `HotSwap`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CredentialInUse {
    /// The latest one: it brought a token, or there was never another one.
    Latest,
    /// The previous one, if any. The latest one has brought no token yet: it was not tried, or what it met says nothing
    /// about it, such as an outage.
    Pending,
    /// The previous one, because the server refused the latest, or the latest value is unusable. This is why.
    Previous(Error),
}
