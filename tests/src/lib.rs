//! What crosses crates. The tests are in `tests/`. Here the snippets of the README and the guide are run, and here is
//! what several tests share.

pub mod tls;

/// The README at the root, whose snippets are doctests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The document on fleets, whose snippet is a doctest.
#[cfg(doctest)]
#[doc = include_str!("../../docs/FLEETS.md")]
pub struct Fleets;

/// The guide, whose snippets are doctests: they use crates that the core does not depend on.
#[cfg(doctest)]
mod guide {
    macro_rules! chapters {
        ($($name:ident)*) => {
            $(#[doc = include_str!(concat!("../../crates/bearer-token/src/guide/", stringify!($name), ".md"))]
            pub mod $name {})*
        };
    }

    chapters! {
        sources providers keys configuration stacks recipes tenants fleets life observability production security
        testing errors troubleshooting migrating
    }
}
