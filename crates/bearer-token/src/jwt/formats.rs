//! The formats that keys are written in. Everything here only parses: what went wrong is worded in
//! [`diagnose`](super::key::diagnose).

pub(crate) mod der;
pub(crate) mod encoding;
#[cfg(feature = "encrypted-keys")]
pub(crate) mod encrypted;
pub(crate) mod jwk;
pub(crate) mod jwk_key;
pub(crate) mod key_kind;
pub(crate) mod pem;
pub(crate) mod sniff;
