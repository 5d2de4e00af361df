//! A value that many threads clone at the same time.
//!
//! A header value is a pointer to shared bytes with a reference count. Every request increments the count, and
//! decrements it when it is done. With one count, the cache line in which it is goes back and forth between the
//! processors, which costs more than all other work of a warm request. So there are several copies with a count each,
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
    cell::Cell,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;
use http::{HeaderValue, header::InvalidHeaderValue};
use zeroize::Zeroizing;

/// One copy of a value for each group of threads. So threads of different groups count references in different places.
///
/// Two threads that clone one header value compete for its count, which costs more than everything else a warm request
/// does.
#[derive(Clone)]
pub(crate) struct Sharded<T> {
    first: T,
    others: Box<[T]>,
}

/// The most copies. Each takes two cache lines and an entry.
const MOST: usize = 16;

impl<T> Sharded<T> {
    /// Makes the copies. They share no count.
    pub(crate) fn new<E>(copy: impl Fn() -> Result<T, E>) -> Result<Self, E> {
        let first = copy()?;
        let others = (1..copies()).map(|_| copy()).collect::<Result<_, _>>()?;
        Ok(Sharded { first, others })
    }

    /// The value, to look at.
    pub(crate) fn first(&self) -> &T {
        &self.first
    }

    /// The copy for this thread, to clone.
    #[inline]
    pub(crate) fn local(&self) -> &T {
        // The number of copies is a power of two, so the number of the other copies has every bit set. The place beyond
        // them is the first copy's.
        let place = this_thread() & self.others.len();
        self.others.get(place).unwrap_or(&self.first)
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
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(Counted(self.clone())))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Puts each reference count into its own cache line. Processors fetch lines in pairs.
#[repr(align(128))]
struct Counted(SecretText);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0.0
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
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn value() -> Sharded<HeaderValue> {
        let text = SecretText::new(Zeroizing::new(b"Bearer abc".to_vec()));
        Sharded::new(|| text.header_value()).unwrap()
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
        let places: HashSet<_> =
            value.others.iter().chain([value.first()]).map(|copy| copy.as_bytes().as_ptr()).collect();
        assert_eq!(places.len(), 1);
    }

    #[test]
    fn a_line_end_is_refused() {
        assert!(SecretText::new(Zeroizing::new(b"Bearer a\r\n".to_vec())).header_value().is_err());
    }
}
