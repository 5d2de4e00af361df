//! What a sent request remembers of its bearer.

use crate::bearer::Generation;

/// What a sent request remembers of its bearer: small and `Copy`, and enough to reject it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    provider: u64,
    generation: Generation,
}

impl Ticket {
    pub(crate) fn new(provider: u64, generation: Generation) -> Self {
        Ticket { provider, generation }
    }

    pub(crate) fn generation(self) -> Generation {
        self.generation
    }
}
