//! What a shared store answers.
//!
//! Types and no strings: each answer is a case that the caller handles. All times in them are remaining times by the
//! store's clock, so replicas with wrong clocks agree.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::error::BoxError;

/// Whether a store can lose what it has acknowledged.
///
/// Report it honestly: a grant for refresh tokens refuses a store that loses writes.
///
/// | store | order |
/// |---|---|
/// | PostgreSQL that commits synchronously, etcd, Consul | [`Linearizable`](Self::Linearizable) |
/// | Redis and Valkey with replicas | [`LosesWrites`](Self::LosesWrites) |
/// | the memory of one process | [`Linearizable`](Self::Linearizable), for as long as the process lives |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Every call sees everything that was acknowledged before, also after a crash or a failover: a database that
    /// commits synchronously, etcd, the file of one host.
    Linearizable,
    /// The latest writes may be lost, as in a failover of asynchronously replicated Redis. That costs a token request,
    /// which is harmless for access tokens. It would spend a rotating refresh token twice.
    LosesWrites,
}

/// The version of a record. Saves under different leases have different versions.
///
/// The usual version is the number of the [`Fence`] that saved the record. So it also differs from all versions that
/// the key had before a store lost its data. Two saves under one lease may have the same version: only its holder could
/// make them.
///
/// ```
/// use bearer_token::store::{Fence, Version};
///
/// let fence = Fence::new(1_764_255_600_000_000);
/// // The usual choice: the record's version is the fence that saved it.
/// assert_ne!(Version::new(fence.get()), Version::ABSENT);
/// assert!(Fence::new(fence.get() + 1) > fence);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(u64);

impl Version {
    /// The version of an absent record. No saved record has it.
    pub const ABSENT: Version = Version(0);

    /// Creates a version from the store's number, which is not zero. If the store may lose its writes, a later save has a
    /// greater number.
    pub fn new(number: u64) -> Self {
        Version(number)
    }

    /// The store's number.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// The number of a lease. A later lease of the same key has a greater one.
///
/// A store that can lose its counter takes its time of day in microseconds as the next number, or the counter plus one
/// if that is greater. So after a loss, the first lease already has a greater number than all before. A holder from
/// before the loss is refused from then on. Until then there is no later holder to protect, and its save may be
/// accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(u64);

impl Fence {
    /// Creates a fence from the store's number, which is not zero.
    pub fn new(number: u64) -> Self {
        Fence(number)
    }

    /// The store's number.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// A record as it was read.
///
/// ```
/// use std::time::Duration;
/// use bearer_token::store::{Snapshot, Version};
///
/// let snapshot = Snapshot::new(b"sealed".to_vec(), Version::new(7), Duration::from_secs(90));
/// // Logs show its size.
/// assert_eq!(format!("{snapshot:?}"), "Snapshot { record: [6 bytes], version: Version(7), life: 90s }");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The bytes that were saved.
    pub record: Vec<u8>,
    /// Which save wrote them.
    pub version: Version,
    /// What is left of the record's life by the store's clock.
    pub life: Duration,
}

impl Snapshot {
    /// Creates a snapshot of a record that is present.
    pub fn new(record: Vec<u8>, version: Version, life: Duration) -> Self {
        Snapshot { record, version, life }
    }
}

/// Shows the size of the record, not its bytes.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("record", &format_args!("[{} bytes]", self.record.len()))
            .field("version", &self.version)
            .field("life", &self.life)
            .finish()
    }
}

/// The answer to a request for the lease.
///
/// A lease that is held and a record that is newer are ordinary answers, and not failures of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leased {
    /// The caller has the lease.
    Granted(Fence),
    /// Another caller has it, for this long at most.
    Held(Duration),
    /// The record is not the one that the caller has seen. This is the record.
    Newer(Snapshot),
}

/// The answer to a save.
///
/// A refusal loses nothing: the record of another replica is at least as new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The record was saved, and has this version now.
    Saved(Version),
    /// A later lease was granted, so nothing was saved.
    Fenced,
    /// The record is not the one that the caller has seen, so nothing was saved. This is the record.
    Changed(Snapshot),
}

/// The store cannot be used: it is unreachable, fails, refuses this client, or has settings with which it may lose
/// writes.
///
/// The message and the source end up in logs: keep URLs with passwords, records and credentials out of them.
///
/// After one slow failure, or two quick ones in a row, the core leaves the store alone for a while, and replicas fetch
/// for themselves.
///
/// ```
/// use bearer_token::store::Down;
///
/// let down = Down::new("the database refused the connection").with_source(std::io::Error::other("too many clients"));
/// assert_eq!(down.to_string(), "the database refused the connection");
/// ```
#[derive(Clone, Debug)]
pub struct Down {
    message: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    #[cfg_attr(not(feature = "shared"), allow(dead_code, reason = "asked by shared sources"))]
    is_for_this_key: bool,
}

impl Down {
    /// Says what is wrong, and if possible what to change.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Down { message: message.into(), source: None, is_for_this_key: false }
    }

    /// Says that the store works, and that only this key is unusable: another program has written something else under
    /// its name.
    ///
    /// Sources with other keys go on using the store. If the next save can replace what is there, report an absent
    /// record in place of this.
    #[must_use]
    pub fn for_this_key(self) -> Self {
        Down { is_for_this_key: true, ..self }
    }

    #[cfg(feature = "shared")]
    pub(crate) fn is_for_this_key(&self) -> bool {
        self.is_for_this_key
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        Down { source: Some(Arc::from(source.into())), ..self }
    }
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Down {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_snapshot_shows_no_bytes() {
        let snapshot = Snapshot::new(b"MARKER".to_vec(), Version::new(7), Duration::from_secs(3));
        assert_eq!(format!("{snapshot:?}"), "Snapshot { record: [6 bytes], version: Version(7), life: 3s }");
        assert!(!format!("{:?}", Leased::Newer(snapshot)).contains("MARKER"));
    }

    #[test]
    fn down_has_a_sentence_and_a_cause() {
        let down = Down::new("the store is unreachable").with_source(std::io::Error::other("refused"));
        assert_eq!(down.to_string(), "the store is unreachable");
        assert_eq!(down.source().unwrap().to_string(), "refused");
    }
}
