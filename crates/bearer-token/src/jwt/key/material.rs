//! A key in memory, as it was read.
//!
//! The result of reading a key from any format: everything that signing and the header need, and nothing of the text
//! that it came from.

use std::sync::Arc;

use crate::jwt::{algorithm::Algorithm, native::NativeKey};

/// A key in memory, and what its format said about it.
pub(crate) struct KeyMaterial {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: NativeKey,
    /// The `kid` of a JWK.
    pub(crate) key_id: Option<Arc<str>>,
    /// Whether it was read from a secret or a bare seed, which any bytes could be.
    pub(crate) is_bare: bool,
}
