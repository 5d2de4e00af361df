//! The operating system's randomness, drawn in blocks.
//!
//! A draw is a system call. It takes as long as an HMAC, and what follows is slower, because the kernel has used the
//! processor's caches. A thread that mints many JWTs makes one for sixteen of them.
//!
//! A block is memory, and memory is copied: by a fork, or by a snapshot of a virtual machine that is resumed twice. The
//! copies must not give the same bytes. So a block is used for a moment only, and what is taken from it depends on the
//! nanosecond.
#![allow(
    clippy::disallowed_methods,
    reason = "the wall clock tells copies apart, and is not what time it is for others"
)]

use std::{
    cell::RefCell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use zeroize::Zeroize;

use super::{Entropy, nanos};
use crate::error::{Error, ErrorKind};

/// The operating system's randomness: `getrandom` on Linux, and what is usual elsewhere. Suitable for cryptography.
///
/// Up to 32 bytes are taken from a block of 256, and are wiped from it. The thread has drawn the block less than a
/// tenth of a second ago. After a fork, parent and child never take the same bytes, unless they do so in the same
/// nanosecond of that tenth of a second. The same is true of a virtual machine that is resumed twice from one snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

/// How many bytes a thread draws at once: 16 UUIDs.
const BLOCK: usize = 256;

/// The most bytes that are taken from a block. More are drawn at once.
const MOST: usize = 32;

/// How long a block is used, in nanoseconds. A thread that draws less often gains nothing from it.
const LIFETIME: u64 = Duration::from_millis(100).as_nanos() as u64;

thread_local! {
    static DRAWN: RefCell<Block> = const { RefCell::new(Block::EMPTY) };
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        if bytes.len() > MOST {
            return draw(bytes);
        }
        // The precise clock, and not the coarse one: it tells copies of a block apart.
        let now = nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        DRAWN.with_borrow_mut(|block| block.take(bytes, now, draw))
    }
}

/// Random bytes that a thread has drawn. The unused ones are at the beginning.
struct Block {
    bytes: [u8; BLOCK],
    unused: usize,
    /// In nanoseconds of the wall clock. It goes on while a snapshot waits to be resumed, and the monotonic one does
    /// not.
    drawn_at: u64,
}

impl Block {
    const EMPTY: Block = Block { bytes: [0; BLOCK], unused: 0, drawn_at: 0 };

    /// Takes random bytes that nothing else gets.
    fn take(
        &mut self,
        bytes: &mut [u8],
        now: u64,
        draw: impl FnOnce(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // A clock that was set back ends a block, too.
        let is_usable = now.checked_sub(self.drawn_at).is_some_and(|age| age < LIFETIME);
        if !is_usable || self.unused < bytes.len() {
            // If the draw fails, there is nothing to use.
            self.unused = 0;
            draw(&mut self.bytes)?;
            (self.unused, self.drawn_at) = (BLOCK, now);
        }
        let rest = self.unused - bytes.len();
        let taken = &mut self.bytes[rest..self.unused];
        bytes.copy_from_slice(taken);
        taken.zeroize();
        self.unused = rest;
        // Random bytes stay as unpredictable as they were.
        bytes.iter_mut().zip(now.to_le_bytes()).for_each(|(byte, time)| *byte ^= time);
        Ok(())
    }
}

fn draw(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes)
        .map_err(|error| Error::new(ErrorKind::Source, "the operating system gave no randomness").with_source(error))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const START: u64 = 1_767_225_600_000_000_000;

    fn drawn() -> Block {
        let mut block = Block::EMPTY;
        block.take(&mut [], START, draw).unwrap();
        block
    }

    fn take(block: &mut Block, now: u64) -> [u8; 16] {
        let mut bytes = [0; 16];
        block.take(&mut bytes, now, draw).unwrap();
        bytes
    }

    #[test]
    fn no_bytes_are_taken_twice() {
        let (mut block, mut seen) = (Block::EMPTY, HashSet::new());
        assert!((0..100).all(|_| seen.insert(take(&mut block, START))), "by one nanosecond");
    }

    #[test]
    fn what_is_taken_is_wiped() {
        let mut block = drawn();
        let taken = take(&mut block, START);
        assert!(block.bytes[block.unused..].iter().all(|byte| *byte == 0) && block.unused == BLOCK - taken.len());
        assert!(block.bytes[..block.unused].iter().any(|byte| *byte != 0));
    }

    #[test]
    fn copies_of_a_block_give_different_bytes() {
        let Block { bytes, unused, drawn_at } = drawn();
        let mut seen = HashSet::new();
        // 64 processes that are forked after the draw, and take their bytes a nanosecond after each other.
        for child in 0..64 {
            let mut copy = Block { bytes, unused, drawn_at };
            assert!(seen.insert(take(&mut copy, START + child)), "{child}");
        }
    }

    #[test]
    fn a_block_ends_with_its_bytes_and_its_time() {
        let mut block = Block::EMPTY;
        let mut draws_by = |now: u64, length: usize| {
            let mut draws = 0;
            let counted = |bytes: &mut [u8]| {
                draws += 1;
                draw(bytes)
            };
            block.take(&mut vec![0; length], now, counted).unwrap();
            draws
        };
        assert_eq!(draws_by(START, 16), 1, "the first");
        assert_eq!((0..15).map(|_| draws_by(START + LIFETIME - 1, 16)).sum::<i32>(), 0);
        assert_eq!(draws_by(START + LIFETIME - 1, 1), 1, "its bytes are used up");
        assert_eq!(draws_by(START + 2 * LIFETIME - 1, 1), 1, "a tenth of a second has passed");
        assert_eq!(draws_by(START + 2 * LIFETIME - 2, 1), 1, "the clock was set back");
    }

    #[test]
    fn a_failed_draw_leaves_nothing_to_use() {
        let mut block = drawn();
        let fails = |_: &mut [u8]| Err(Error::new(ErrorKind::Source, "none"));
        assert!(block.take(&mut [0; 16], START + LIFETIME, fails).is_err());
        assert!(block.take(&mut [0; 16], START + 1, fails).is_err(), "though the clock was set back");
    }

    #[test]
    fn large_draws_are_filled_whole() {
        for length in [1, MOST, MOST + 1, 3 * BLOCK] {
            let mut bytes = vec![0; length];
            SystemEntropy.fill(&mut bytes).unwrap();
            let zeros = bytes.iter().filter(|byte| **byte == 0).count();
            assert!(length < MOST || zeros < length / 4, "{zeros} zeros of {length}");
        }
    }
}
