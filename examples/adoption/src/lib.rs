//! Recipes: the same provider as the credential of other clients. Copy the file of yours; `docs/ADOPTION.md` has a page
//! about them.
//!
//! Each has a running test in `tests/`.
#![warn(missing_docs)]

pub mod blocking;
pub mod grpc;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod object_store;
pub mod redis;
pub mod reqwest_0_12;
pub mod ureq;

/// The page, whose snippets are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/ADOPTION.md")]
struct Page;
