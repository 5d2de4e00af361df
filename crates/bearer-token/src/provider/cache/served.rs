//! The bearer in service, for readers that must not wait.

#[cfg(not(bearer_loom))]
use std::mem::offset_of;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use crate::{
    platform::Moment,
    provider::{
        bearer::Sealed,
        schedule::{Deadlines, Freshness},
        ticket::Ticket,
    },
    resource::{
        injection::insert_authorization,
        sharded::{copies, this_thread},
    },
    sync::{AtomicU64, Ordering, Slot, TryLock},
};

/// The bearer in service: a slot, and in front of it copies of what a warm request needs, one for each group of
/// threads.
///
/// A read of the slot changes two atomic numbers, and looks at four places of memory. A front has everything side by
/// side, and takes one atomic change. It belongs to one thread most of the time. A thread that finds it taken reads the
/// slot, so no thread waits.
///
/// A front is valid for one version, and each change of the slot makes a new one. So when [`set`](Self::set) has
/// returned, no front serves what was there before.
#[repr(C)]
pub(super) struct Served {
    slot: Slot<Sealed>,
    /// One of many providers has none: they would be memory that no processor has in its caches.
    fronts: Box<[Front]>,
    /// Counted up after each change of the slot.
    version: AtomicU64,
}

/// Processors fetch cache lines in pairs.
#[repr(align(128))]
struct Front(TryLock<Copied>);

/// What was in the slot at a version.
#[derive(Default)]
struct Copied {
    version: u64,
    bearer: Option<CopiedBearer>,
}

struct CopiedBearer {
    deadlines: Deadlines,
    ticket: Ticket,
    credential: CopiedCredential,
}

enum CopiedCredential {
    /// The value of `Authorization`, and nothing else.
    Authorization(HeaderValue),
    Others(Arc<Sealed>),
}

/// What a read did with a head: the ticket and the freshness of the bearer, and whether it was inserted.
pub(crate) type Inserted = (Ticket, Freshness, bool);

/// Fronts begin without one.
const FIRST_VERSION: u64 = 1;

impl Sealed {
    /// Inserts this bearer, unless it has expired. A header that the caller set is left as it was.
    #[inline]
    pub(super) fn insert(&self, headers: &mut HeaderMap, now: Moment) -> Option<Inserted> {
        let freshness = self.deadlines.freshness(now);
        (freshness != Freshness::Expired).then(|| (self.ticket, freshness, self.credential.insert(headers)))
    }
}

impl Served {
    /// How many bytes of the beginning a read without fronts needs.
    #[cfg(not(bearer_loom))]
    pub(super) const HOT: usize = offset_of!(Served, version);

    pub(super) fn new() -> Self {
        let front = |_| Front(TryLock::new(Copied::default()));
        Served {
            slot: Slot::new(None),
            fronts: (0..copies()).map(front).collect(),
            version: AtomicU64::new(FIRST_VERSION),
        }
    }

    pub(super) fn without_fronts() -> Self {
        Served { slot: Slot::new(None), fronts: Box::default(), version: AtomicU64::new(FIRST_VERSION) }
    }

    #[inline]
    pub(super) fn has_fronts(&self) -> bool {
        !self.fronts.is_empty()
    }

    /// Inserts the bearer if a front has it, it is fresh, and it is sent in `Authorization` alone. Otherwise nothing is
    /// done.
    #[inline]
    pub(super) fn insert_fresh(&self, headers: &mut HeaderMap, now: Moment) -> Option<Ticket> {
        self.insert_fresh_from(this_thread(), headers, now)
    }

    #[inline]
    fn insert_fresh_from(&self, thread: usize, headers: &mut HeaderMap, now: Moment) -> Option<Ticket> {
        let copied = self.front(thread)?.0.try_lock()?;
        let Copied { version, bearer: Some(CopiedBearer { deadlines, ticket, credential }) } = &*copied else {
            return None;
        };
        match credential {
            CopiedCredential::Authorization(value)
                if *version == self.version.load(Ordering::Acquire)
                    && deadlines.freshness(now) == Freshness::Fresh
                    && insert_authorization(value, headers) =>
            {
                Some(*ticket)
            }
            _ => None,
        }
    }

    /// The front of a group of threads.
    #[inline]
    fn front(&self, thread: usize) -> Option<&Front> {
        // The number of fronts is a power of two.
        self.fronts.get(thread & self.fronts.len().wrapping_sub(1))
    }

    /// Inserts the bearer, unless it has expired or is not there. A header that the caller set is left as it was.
    #[inline]
    pub(super) fn insert(&self, headers: &mut HeaderMap, now: Moment) -> Option<Inserted> {
        self.insert_from(this_thread(), headers, now)
    }

    #[inline]
    fn insert_from(&self, thread: usize, headers: &mut HeaderMap, now: Moment) -> Option<Inserted> {
        let Some(mut copied) = self.front(thread).and_then(|front| front.0.try_lock()) else {
            return self.insert_from_slot(headers, now);
        };
        let version = self.version.load(Ordering::Acquire);
        if copied.version != version {
            self.copy(version, &mut copied);
        }
        let CopiedBearer { deadlines, ticket, credential } = copied.bearer.as_ref()?;
        let freshness = deadlines.freshness(now);
        if freshness == Freshness::Expired {
            return None;
        }
        let is_inserted = match credential {
            CopiedCredential::Authorization(value) => insert_authorization(value, headers),
            CopiedCredential::Others(sealed) => sealed.credential.insert(headers),
        };
        Some((*ticket, freshness, is_inserted))
    }

    #[cold]
    fn insert_from_slot(&self, headers: &mut HeaderMap, now: Moment) -> Option<Inserted> {
        self.slot.read(|bearer| bearer?.insert(headers, now))
    }

    /// Copies what is in the slot. It may be newer than this version, and is then copied once more.
    #[cold]
    fn copy(&self, version: u64, copied: &mut Copied) {
        let bearer = self.slot.get().map(|sealed| CopiedBearer {
            deadlines: sealed.deadlines,
            ticket: sealed.ticket,
            credential: match sealed.credential.authorization() {
                Some(value) => CopiedCredential::Authorization(value.clone()),
                None => CopiedCredential::Others(sealed),
            },
        });
        *copied = Copied { version, bearer };
    }

    /// Looks at the bearer without a lock.
    pub(super) fn read<R>(&self, look: impl FnOnce(Option<&Sealed>) -> R) -> R {
        self.slot.read(look)
    }

    pub(super) fn get(&self) -> Option<Arc<Sealed>> {
        self.slot.get()
    }

    /// Replaces the bearer. Call it under the lock of the cache.
    pub(super) fn set(&self, bearer: Option<Arc<Sealed>>) {
        self.slot.set(bearer);
        self.version.fetch_add(1, Ordering::Release);
        // They are invalid. Emptied, they do not keep the old token in memory either. One that is being read is emptied
        // by its next reader.
        for front in &self.fronts {
            if let Some(mut copied) = front.0.try_lock() {
                *copied = Copied::default();
            }
        }
    }
}

#[cfg(test)]
#[cfg(bearer_loom)]
mod model_tests;
#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests;
