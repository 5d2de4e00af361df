//! What came of it: the values of events that have few of them, as labels and fields show them.

/// What a caller that waited for a token got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitOutcome {
    /// A bearer.
    Served,
    /// An error.
    Failed,
    /// Nothing: the caller was dropped while it waited, for example by a timeout of its own.
    Dropped,
}

/// What a request found in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheRead {
    /// A fresh bearer.
    Fresh,
    /// A usable bearer that is due to be renewed.
    Stale,
    /// No usable bearer.
    Missing,
}

/// What a store was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreOperation {
    /// The stored value.
    Load,
    /// To store a value.
    Save,
    /// The right to fetch, for one process at a time.
    Lease,
    /// To end that right.
    Release,
    /// To remove the value.
    Remove,
}

/// What came of a call of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreOutcome {
    /// There was a value, or the call did what it was to do.
    Ok,
    /// There was no value.
    Absent,
    /// Another process has the lease, or has stored another value.
    Conflict,
    /// It failed.
    Failed,
}

macro_rules! words {
    ($($type:ident { $($variant:ident => $word:literal),+ $(,)? })+) => { $(
        impl $type {
            /// The value as labels and fields show it.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $word,)+ }
            }
        }
    )+ };
}

words! {
    WaitOutcome { Served => "served", Failed => "failed", Dropped => "dropped" }
    CacheRead { Fresh => "fresh", Stale => "stale", Missing => "missing" }
    StoreOperation { Load => "load", Save => "save", Lease => "lease", Release => "release", Remove => "remove" }
    StoreOutcome { Ok => "ok", Absent => "absent", Conflict => "conflict", Failed => "failed" }
}
