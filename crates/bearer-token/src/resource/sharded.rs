//! A value that many threads clone at the same time, and how to notice that they do.
//!
//! A header value is a pointer to shared bytes with a reference count. Every request increments the count, and
//! decrements it when it is done. With one count, the cache line in which it is goes back and forth between the
//! processors. That costs more than all other work of a warm request. So there are several copies with a count each,
//! and threads take different ones.
//!
//! ```text
//! thread 0, 4, 8 --> copy 0 [count] --+
//! thread 1, 5, 9 --> copy 1 [count] --+--> the text, once, wiped when the last of them is gone
//! thread 2, 6 .. --> copy 2 [count] --+
//! thread 3, 7 .. --> copy 3 [count] --+
//! ```
//!
//! The text itself exists once, because each copy of a secret is one more to wipe.

use std::{
    array,
    cell::Cell,
    sync::{Arc, OnceLock, atomic::AtomicUsize},
    thread,
};

use bytes::Bytes;
use http::{HeaderValue, header::InvalidHeaderValue};
use zeroize::Zeroizing;

use crate::{
    platform::Moment,
    sync::{AtomicU64, Ordering},
};

/// One copy of a value for each group of threads. So threads of different groups count references in different places.
///
/// Two threads that clone one header value compete for its count, which costs more than everything else a warm request
/// does.
#[derive(Clone)]
pub(crate) struct Sharded<T>(Box<[T; MOST]>);

/// The most copies. Each takes two cache lines and an entry.
const MOST: usize = 16;

impl<T: Clone> Sharded<T> {
    /// Makes the copies, which share no count. With fewer copies than places, several places have clones of one.
    pub(crate) fn new<E>(copy: impl Fn() -> Result<T, E>) -> Result<Self, E> {
        let first = copy()?;
        let others = (1..copies()).map(|_| copy()).collect::<Result<Vec<_>, _>>()?;
        let all: Vec<_> = std::iter::once(&first).chain(&others).collect();
        let at = |place| all.get(place % all.len()).map_or_else(|| first.clone(), |copy: &&T| T::clone(copy));
        Ok(Sharded(Box::new(array::from_fn(at))))
    }

    /// The value, to look at.
    pub(crate) fn first(&self) -> &T {
        &self.0[0]
    }

    /// The copy for this thread, to clone.
    #[inline]
    pub(crate) fn local(&self) -> &T {
        &self.0[this_thread() % MOST]
    }
}

/// Notices that threads take turns at a value that exists once.
///
/// Copies are made only where this happens. Most of a thousand providers are used by a request now and then. For them,
/// the copies would be memory that no processor has in its caches.
#[derive(Default)]
pub(crate) struct Crowd(AtomicU64);

/// How many changes of the thread within a second make copies worth their memory.
const CROWDED: u64 = 32;

impl Crowd {
    /// Notes a use by this thread. Returns whether the threads change so often that each should have its own copy.
    #[inline]
    pub(crate) fn is_crowded(&self, now: Moment) -> bool {
        let (last, thread) = (self.0.load(Ordering::Relaxed), this_thread() as u64 & 0xffff);
        // Nothing is written while one thread uses the value.
        last & 0xffff != thread && self.count(last, thread, now)
    }

    /// Counts a change. Changes at the same moment may be counted once.
    #[cold]
    fn count(&self, last: u64, thread: u64, now: Moment) -> bool {
        // About a second.
        let second = (now.monotonic_nanos() >> 30) & 0xffff_ffff;
        let changes = if last >> 32 == second { ((last >> 16) & 0xffff) + 1 } else { 1 };
        self.0.store((second << 32) | (changes.min(0xffff) << 16) | thread, Ordering::Relaxed);
        changes >= CROWDED && copies() > 1
    }
}

/// The text of a secret header. It exists once, and is wiped when the last clone of the last copy is dropped.
#[derive(Clone)]
pub(crate) struct SecretText(Arc<Zeroizing<Vec<u8>>>);

impl SecretText {
    pub(crate) fn new(text: Zeroizing<Vec<u8>>) -> Self {
        SecretText(Arc::new(text))
    }

    /// A header value of this text, marked sensitive, with its own reference count.
    pub(crate) fn header_value(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        sensitive(Bytes::from_owner(self.clone()))
    }

    /// The same, with a cache line of its own for its reference count.
    pub(crate) fn padded_header_value(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        sensitive(Bytes::from_owner(Counted(self.clone())))
    }
}

fn sensitive(bytes: Bytes) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(bytes)?;
    value.set_sensitive(true);
    Ok(value)
}

impl AsRef<[u8]> for SecretText {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Puts each reference count into its own cache line. Processors fetch lines in pairs.
#[repr(align(128))]
struct Counted(SecretText);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

/// A number for each thread that ever sent a request. The numbers are consecutive, so a pool's threads use different
/// copies.
#[inline]
pub(crate) fn this_thread() -> usize {
    thread_local! {
        // Zero for a thread without a number. Without a destructor, this is read like a static.
        static NUMBER: Cell<usize> = const { Cell::new(0) };
    }
    match NUMBER.get() {
        0 => {
            let number = next_number();
            NUMBER.set(number);
            number
        }
        number => number,
    }
}

#[cold]
fn next_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Twice the number of threads that can run at a time, because threads outside of the pool take numbers too.
pub(crate) fn copies() -> usize {
    static COPIES: OnceLock<usize> = OnceLock::new();
    *COPIES.get_or_init(|| match thread::available_parallelism() {
        Ok(threads) if threads.get() > 1 => (2 * threads.get().next_power_of_two()).min(MOST),
        _ => 1,
    })
}

const _: () = assert!(MOST.is_power_of_two());

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use std::{
        collections::HashSet,
        time::{Duration, UNIX_EPOCH},
    };

    use super::*;

    fn value() -> Sharded<HeaderValue> {
        let text = SecretText::new(Zeroizing::new(b"Bearer abc".to_vec()));
        Sharded::new(|| text.padded_header_value()).unwrap()
    }

    #[test]
    fn every_thread_gets_the_same_value_and_it_is_sensitive() {
        let value = Arc::new(value());
        let shared: Vec<_> = (0..2 * MOST)
            .map(|_| {
                let value = value.clone();
                thread::Builder::new().spawn(move || value.local().clone()).unwrap().join().unwrap()
            })
            .collect();
        for clone in shared.iter().chain([value.first()]) {
            assert_eq!(clone, "Bearer abc");
            assert!(clone.is_sensitive());
        }
    }

    #[test]
    fn the_text_is_there_once() {
        let value = value();
        let places: HashSet<_> = value.0.iter().map(|copy| copy.as_bytes().as_ptr()).collect();
        assert_eq!(places.len(), 1);
    }

    fn at(millis: u64) -> Moment {
        Moment::new(Duration::from_millis(millis), UNIX_EPOCH)
    }

    /// Whether threads that take turns are a crowd, each turn this many milliseconds after the one before.
    fn is_crowded(turns: usize, uses_of_a_turn: usize, millis: u64) -> bool {
        let crowd = Crowd::default();
        (0..turns).any(|turn| {
            let now = at(10_000 + turn as u64 * millis);
            thread::scope(|scope| {
                let used = || (0..uses_of_a_turn).any(|_| crowd.is_crowded(now));
                thread::Builder::new().spawn_scoped(scope, used).unwrap().join().unwrap()
            })
        })
    }

    #[test]
    fn threads_that_take_turns_are_a_crowd() {
        let is_parallel = copies() > 1;
        assert_eq!(is_crowded(2 * CROWDED as usize, 1, 1), is_parallel);
        assert_eq!(is_crowded(2 * CROWDED as usize, 1_000, 1), is_parallel);
        assert!(!is_crowded(10, 1_000, 1), "long turns");
        assert!(!is_crowded(100, 1, 100), "ten times a second");
    }

    #[test]
    fn a_line_end_is_refused() {
        assert!(SecretText::new(Zeroizing::new(b"Bearer a\r\n".to_vec())).header_value().is_err());
    }
}
