//! A header value that many threads clone at the same time.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;
use http::{HeaderValue, header::InvalidHeaderValue};
use zeroize::Zeroizing;

/// A sensitive header value, with one count of references for each of some groups of threads.
///
/// Two threads that clone one value fight for its count, which costs more than everything else a warm request does.
/// The text is there once, and wiped when the last clone of the last copy is dropped.
#[derive(Clone)]
pub(crate) struct ShardedHeader {
    first: HeaderValue,
    others: Box<[HeaderValue]>,
}

/// More copies than this are not worth their memory, of which each takes two cache lines and its entry.
const MOST: usize = 16;

impl ShardedHeader {
    pub(crate) fn new(text: Zeroizing<Vec<u8>>) -> Result<Self, InvalidHeaderValue> {
        let text = Arc::new(text);
        let copy = || {
            let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(Owner(text.clone())))?;
            value.set_sensitive(true);
            Ok(value)
        };
        let first = copy()?;
        let others = (1..copies()).map(|_| copy()).collect::<Result<_, _>>()?;
        Ok(ShardedHeader { first, others })
    }

    /// The value, to look at.
    pub(crate) fn get(&self) -> &HeaderValue {
        &self.first
    }

    /// A clone for a request.
    #[inline]
    pub(crate) fn share(&self) -> HeaderValue {
        // The copies are a power of two, so the number of the others has every bit set. The one place beyond them is the
        // first's.
        let place = this_thread() & self.others.len();
        self.others.get(place).unwrap_or(&self.first).clone()
    }
}

/// Keeps the count beside it in a cache line of its own; processors fetch lines in pairs.
#[repr(align(128))]
struct Owner(Arc<Zeroizing<Vec<u8>>>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A number for each thread that ever sent a request: consecutive, so that a pool's threads get different copies.
#[inline]
fn this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    // A thread that ends may send a last request.
    NUMBER.try_with(|number| *number).unwrap_or(0)
}

/// Twice as many as threads can run at a time: others than a pool's take numbers too.
fn copies() -> usize {
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

    fn value() -> ShardedHeader {
        ShardedHeader::new(Zeroizing::new(b"Bearer abc".to_vec())).unwrap()
    }

    #[test]
    fn every_thread_gets_the_same_value_and_it_is_sensitive() {
        let value = Arc::new(value());
        let shared: Vec<_> = (0..2 * MOST)
            .map(|_| {
                let value = value.clone();
                thread::Builder::new().spawn(move || value.share()).unwrap().join().unwrap()
            })
            .collect();
        for clone in shared.iter().chain([value.get()]) {
            assert_eq!(clone, "Bearer abc");
            assert!(clone.is_sensitive());
        }
    }

    #[test]
    fn the_text_is_there_once() {
        let value = value();
        let places: HashSet<_> =
            value.others.iter().chain([value.get()]).map(|copy| copy.as_bytes().as_ptr()).collect();
        assert_eq!(places.len(), 1);
    }

    #[test]
    fn a_line_end_is_refused() {
        assert!(ShardedHeader::new(Zeroizing::new(b"Bearer a\r\n".to_vec())).is_err());
    }
}
