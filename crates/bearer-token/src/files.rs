//! Files with keys, tokens and secrets, which other programs replace while they are in use.

pub(crate) mod last_good;
pub(crate) mod regular;
pub(crate) mod turn;
pub(crate) mod watched;
