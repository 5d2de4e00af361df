//! Files with keys, tokens and secrets, which other programs replace while they are in use.
//!
//! | part | answers |
//! |---|---|
//! | [`regular`] | is it a regular file, and how is it opened without blocking? |
//! | [`watched`] | what is in it, and has it changed since? |
//! | [`turn`] | which caller may read it now? |
//! | [`last_good`] | which value is used while the new content is wrong? |
//!
//! # What goes wrong with such files
//!
//! - **A writer is in the middle.** Half of a PEM is not a key, but half of an HMAC secret is a secret. So metadata are
//!   compared before and after a reading, and the value's parser may refuse a change of format (`L24`).
//! - **Two writes within one tick of the file system's clock.** The times are equal, so a file is always read, and
//!   never skipped because of its metadata. Metadata only tell whether a reading is worth an interruption of a
//!   cool-down.
//! - **A link is switched, as Kubernetes does.** The path stays and its directory is another one. Device and inode are
//!   part of the metadata, so this is a change.
//! - **A pipe, a device, a network file system that hangs.** A reading could block forever. Pipes and devices are
//!   refused before they are opened, and a reading that hangs delays other callers for a second at most.
//! - **A wrong file of gigabytes.** Nothing above 1 MiB is read.
//!
//! Everything here blocks, so callers are inside of
//! [`Platform::run_blocking`](crate::platform::Platform::run_blocking).

pub(crate) mod last_good;
pub(crate) mod regular;
pub(crate) mod turn;
pub(crate) mod watched;
