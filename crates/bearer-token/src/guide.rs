//! The guide: what to choose, in which order, and what to do when something fails.
//!
//! The README has the first five minutes. Read on here for the rest, one chapter for each question:
//!
//! | question | chapter |
//! |---|---|
//! | Where do my tokens come from? | [`sources`] |
//! | How does it look for Google, GitHub, Entra ID, Okta, Salesforce, ..? | [`providers`] |
//! | Which key signs, and how does it rotate? | [`keys`] |
//! | How does it look in a file or in environment variables, also for several providers or a chain? | [`configuration`] |
//! | Which adapter, and in which order do the layers go? | [`stacks`] |
//! | Is there a whole program to copy? | [`recipes`] |
//! | One identity for each tenant, user or host? | [`tenants`] |
//! | One token for many replicas? | [`fleets`] |
//! | When is a token fetched, refreshed, dropped, with which numbers, and how does a provider end? | [`life`] |
//! | Which metrics, events, spans and alerts are there? | [`observability`] |
//! | What must I check before production, and how does a readiness probe look? | [`production`] |
//! | What is protected, and what is not? | [`security`] |
//! | How do I test my own code? | [`testing`] |
//! | What do I do with an error? | [`errors`] |
//! | What does this message mean? | [`troubleshooting`] |
//! | How do I replace what I have, from Rust, Go, Java or .NET? | [`migrating`] |
//!
//! Every snippet is compiled by the tests. The repository has more:
//! [other clients](https://github.com/bearer-token/bearer-token/blob/main/docs/ADOPTION.md),
//! [metrics and alerts](https://github.com/bearer-token/bearer-token/blob/main/docs/OBSERVABILITY.md),
//! [real authorization servers](https://github.com/bearer-token/bearer-token/blob/main/docs/INTEROP.md) and
//! [what is supported](https://github.com/bearer-token/bearer-token/blob/main/docs/SUPPORT.md).

#[doc = include_str!("guide/sources.md")]
pub mod sources {}

#[doc = include_str!("guide/providers.md")]
pub mod providers {}

#[doc = include_str!("guide/keys.md")]
pub mod keys {}

#[doc = include_str!("guide/configuration.md")]
pub mod configuration {}

#[doc = include_str!("guide/stacks.md")]
pub mod stacks {}

#[doc = include_str!("guide/recipes.md")]
pub mod recipes {}

#[doc = include_str!("guide/tenants.md")]
pub mod tenants {}

#[doc = include_str!("guide/fleets.md")]
pub mod fleets {}

#[doc = include_str!("guide/life.md")]
pub mod life {}

#[doc = include_str!("guide/observability.md")]
pub mod observability {}

#[doc = include_str!("guide/production.md")]
pub mod production {}

#[doc = include_str!("guide/security.md")]
pub mod security {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/errors.md")]
pub mod errors {}

#[doc = include_str!("guide/troubleshooting.md")]
pub mod troubleshooting {}

#[doc = include_str!("guide/migrating.md")]
pub mod migrating {}
