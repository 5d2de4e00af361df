//! The formats in which keys are written. Everything here parses, and says in data what it found instead of a key.
//!
//! Sentences for users are made of that data above, in `key/diagnose.rs`.

pub(crate) mod certificate;
pub(crate) mod der;
pub(crate) mod der_document;
#[cfg(feature = "encrypted-keys")]
pub(crate) mod encrypted;
pub(crate) mod json;
pub(crate) mod jwk;
pub(crate) mod jwk_key;
pub(crate) mod key_kind;
pub(crate) mod openssh;
pub(crate) mod pem;
pub(crate) mod public_key;
pub(crate) mod sniff;

pub(crate) use crate::secret::encoding;
