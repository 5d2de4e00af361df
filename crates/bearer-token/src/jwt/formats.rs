//! The formats in which keys are written. These parsers report, as data, what they found instead of a key.
//!
//! `key/diagnose.rs` turns that data into messages.
//!
//! | file | reads |
//! |---|---|
//! | `sniff.rs` | what any content seems to be, even if it is cut off |
//! | `pem.rs`, `openssh.rs` | PEM blocks, and which key an OpenSSH block has |
//! | `der.rs`, `der_document.rs`, `key_kind.rs`, `public_key.rs` | just enough DER to tell keys, certificates and containers apart |
//! | `certificate.rs` | the names and the public key in a certificate |
//! | `jwk.rs`, `jwk_key.rs`, `json.rs` | JWKs, sets of them, and keys inside of other JSON |
//! | `encrypted.rs` | PKCS#8 with a passphrase (feature `encrypted-keys`) |
//!
//! None of them decides what to do: they know formats and return facts. None of them panics or reads beyond its input,
//! whatever the input is; the fuzz targets check that.

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
