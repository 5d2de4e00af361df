//! Typed shortcuts for common providers. Each takes what the provider hands out, checks it, and returns the builder of
//! a [`TokenProvider`](bearer_token::TokenProvider).
//!
//! | function | takes |
//! |---|---|
//! | [`google::service_account`] | the JSON of a service account's key |
//! | [`google::workload_identity`] | the JSON of a workload identity pool's credential configuration |
//! | [`github::app`] | a GitHub App's client id and private key |
//! | [`entra::certificate`] | an app registration's ids, private key and certificate |
//! | [`entra::workload_identity`] | nothing: what the webhook of Azure Workload Identity puts into the pod |
//! | [`snowflake::key_pair`] | account, user and private key |
//! | [`kubernetes::service_account`] | nothing: the token that the kubelet puts into the pod |
//! | [`vault::jwt`] | address, role, and a JWT from anywhere |
//!
//! ```
//! # fn example(key: &str) -> Result<(), bearer_token::Error> {
//! let provider = bearer_token_presets::github::app("Iv23liExample", key).installation(7).provider().build()?;
//! # let _ = provider; Ok(()) }
//! ```
//!
//! The builder's `build` reports everything that is wrong at once. Each problem has the name of the argument, or of the
//! member of the JSON. Origins that the provider's API always has are allowed already; others are yours to
//! [allow](bearer_token::TokenProviderBuilder::allow_origin).
//!
//! For any other provider, and any other variant of these, use a configuration: `examples/providers` in the repository
//! has recipes.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod check;
mod document;
mod key;
mod preset;

pub mod entra;
pub mod github;
pub mod google;
pub mod kubernetes;
pub mod snowflake;
pub mod vault;

pub use self::{key::Key, preset::Preset};

#[cfg(test)]
mod tests;
