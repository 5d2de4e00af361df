//! The bearer in service, for readers that must not wait.

#[cfg(not(bearer_loom))]
use std::mem::offset_of;
use std::sync::{Arc, OnceLock, Weak};

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

/// The bearer in service: a slot, and in front of it copies of what a warm request needs.
///
/// A read of the slot changes two atomic numbers, and looks at two more places of memory. A front has everything side
/// by side, and takes one atomic change. A thread that finds it taken reads the slot, so no thread waits.
///
/// | provider | fronts |
/// |---|---|
/// | one by itself | one for each group of threads |
/// | one of a map | one in its entry, and those of the map if its key is one of those that are used most |
///
/// A front is valid for one version, and each change of the slot makes a new one. So when [`set`](Self::set) has
/// returned, no front serves what was there before.
#[repr(C)]
pub(super) struct Served {
    /// Counted up after each change of the slot.
    version: AtomicU64,
    fronts: Fronts,
    slot: Slot<Sealed>,
}

enum Fronts {
    Own(Box<[Front]>),
    /// Those of the map, once the provider is in it.
    OfMap(OnceLock<Weak<dyn Copies>>),
}

/// Processors fetch cache lines in pairs.
#[repr(align(128))]
struct Front(TryLock<Copied>);

/// The copies of a provider's bearer that its map has.
pub(crate) trait Copies: Send + Sync {
    /// Drops them, so no replaced token stays in memory.
    fn forget(&self);
}

/// What was in the slot at a version. It is a front's content, and is kept by its owner.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Copied {
    version: u64,
    bearer: Option<CopiedBearer>,
}

#[repr(C)]
struct CopiedBearer {
    ticket: Ticket,
    credential: CopiedCredential,
    /// Of its deadlines, those that a request compares.
    refresh: Moment,
    reserve: Moment,
}

impl Copied {
    /// Whether all threads share one copy of the headers.
    #[inline]
    pub(super) fn is_single(&self) -> bool {
        match self.bearer.as_ref().map(|bearer| &bearer.credential) {
            Some(CopiedCredential::Authorization(_)) => true,
            Some(CopiedCredential::Others(sealed)) => sealed.credential.is_single(),
            Some(CopiedCredential::SharedAuthorization(_)) | None => false,
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.bearer.is_none()
    }
}

enum CopiedCredential {
    /// The value of `Authorization`, and nothing else. All threads share it.
    Authorization(HeaderValue),
    /// The same. Other groups of threads have values of their own.
    SharedAuthorization(HeaderValue),
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
    /// How many bytes of the beginning a read from a copy needs.
    #[cfg(not(bearer_loom))]
    pub(super) const HOT: usize = offset_of!(Served, fronts);

    /// The bearer of a provider by itself.
    pub(super) fn new() -> Self {
        let front = |_| Front(TryLock::new(Copied::default()));
        Served::with(Fronts::Own((0..copies()).map(front).collect()))
    }

    /// The bearer of one of many providers, most of which are used now and then.
    pub(super) fn of_many() -> Self {
        Served::with(Fronts::OfMap(OnceLock::new()))
    }

    fn with(fronts: Fronts) -> Self {
        Served { version: AtomicU64::new(FIRST_VERSION), fronts, slot: Slot::new(None) }
    }

    /// Whether it is the bearer of one of many providers.
    #[inline]
    pub(super) fn is_of_many(&self) -> bool {
        matches!(self.fronts, Fronts::OfMap(_))
    }

    /// Tells where a map keeps copies.
    pub(super) fn copied_by(&self, copies: Weak<dyn Copies>) {
        if let Fronts::OfMap(of_map) = &self.fronts {
            // A provider is put into one map, once.
            drop(of_map.set(copies));
        }
    }

    /// Inserts the bearer if a front has it and it is fresh, and the caller has set no header of its own. Otherwise
    /// nothing is done. The caller of this rules out several values of `Authorization`.
    #[inline]
    pub(super) fn insert_fresh(&self, headers: &mut HeaderMap, now: Moment) -> Option<Ticket> {
        self.insert_fresh_from(this_thread(), headers, now)
    }

    #[inline]
    fn insert_fresh_from(&self, thread: usize, headers: &mut HeaderMap, now: Moment) -> Option<Ticket> {
        let copied = self.front(thread)?.0.try_lock()?;
        let Copied { version, bearer: Some(CopiedBearer { ticket, credential, refresh, .. }) } = &*copied else {
            return None;
        };
        if *version != self.version.load(Ordering::Acquire) || refresh.is_past(now) {
            return None;
        }
        let is_inserted = match credential {
            CopiedCredential::Authorization(value) | CopiedCredential::SharedAuthorization(value) => {
                insert_authorization(value, headers)
            }
            CopiedCredential::Others(sealed) => sealed.credential.attach(headers),
        };
        is_inserted.then_some(*ticket)
    }

    /// The front of a group of threads.
    #[inline]
    fn front(&self, thread: usize) -> Option<&Front> {
        match &self.fronts {
            // Their number is a power of two.
            Fronts::Own(fronts) => fronts.get(thread & fronts.len().wrapping_sub(1)),
            Fronts::OfMap(_) => None,
        }
    }

    /// Inserts the bearer, unless it has expired or is not there. A header that the caller set is left as it was.
    #[inline]
    pub(super) fn insert(&self, headers: &mut HeaderMap, now: Moment) -> Option<Inserted> {
        self.insert_from(this_thread(), headers, now)
    }

    #[inline]
    fn insert_from(&self, thread: usize, headers: &mut HeaderMap, now: Moment) -> Option<Inserted> {
        match self.front(thread).and_then(|front| front.0.try_lock()) {
            Some(mut copied) => self.insert_copied(&mut copied, headers, now),
            None => self.insert_from_slot(headers, now),
        }
    }

    /// Inserts the bearer from a copy, which is renewed if it is not of the present version.
    #[inline]
    pub(super) fn insert_copied(&self, copied: &mut Copied, headers: &mut HeaderMap, now: Moment) -> Option<Inserted> {
        let version = self.version.load(Ordering::Acquire);
        if copied.version != version {
            self.copy(version, copied);
        }
        let CopiedBearer { ticket, credential, refresh, reserve } = copied.bearer.as_ref()?;
        let freshness = Deadlines { refresh: *refresh, reserve: *reserve, expires: None }.freshness(now);
        if freshness == Freshness::Expired {
            return None;
        }
        let is_inserted = match credential {
            CopiedCredential::Authorization(value) | CopiedCredential::SharedAuthorization(value) => {
                insert_authorization(value, headers)
            }
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
            ticket: sealed.ticket,
            refresh: sealed.deadlines.refresh,
            reserve: sealed.deadlines.reserve,
            credential: match sealed.credential.authorization() {
                Some(value) if sealed.credential.is_single() => CopiedCredential::Authorization(value.clone()),
                Some(value) => CopiedCredential::SharedAuthorization(value.clone()),
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
        match &self.fronts {
            Fronts::Own(fronts) => {
                for front in fronts {
                    if let Some(mut copied) = front.0.try_lock() {
                        *copied = Copied::default();
                    }
                }
            }
            Fronts::OfMap(of_map) => {
                if let Some(copies) = of_map.get().and_then(Weak::upgrade) {
                    copies.forget();
                }
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
