//! What crosses crates. The tests are in `tests/`; here the README's snippets are run.

/// The README at the root, whose snippets are doctests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
