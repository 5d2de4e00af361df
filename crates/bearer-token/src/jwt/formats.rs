//! The formats in which keys are written. These parsers report, as data, what they found instead of a key.
//!
//! `key/diagnose.rs` turns that data into messages.

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
