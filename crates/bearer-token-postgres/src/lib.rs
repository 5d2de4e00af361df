//! A shared store for [bearer-token](https://docs.rs/bearer-token) on PostgreSQL. It keeps access tokens for all
//! replicas of a program, and rotating refresh tokens, which are spent once on any number of hosts.
//!
//! ```
//! let store = bearer_token_postgres::PostgresStore::from_url("postgres://reports@db.example.com/reports")?;
//! # let _ = store; Ok::<(), bearer_token::Error>(())
//! ```
//!
//! [`PostgresStore`] is a [`SharedStore`](bearer_token::store::SharedStore) that loses nothing which it has
//! acknowledged, with `synchronous_standby_names` if a standby may be promoted.
//!
//! The feature `tls` adds URLs with `?sslmode=require`: rustls with the cryptography that the process has installed,
//! and the system's CAs. [`PostgresStore::new`] accepts any other TLS library.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod connection;
mod durability;
mod ended;
mod refusal;
mod store;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;

pub use self::store::PostgresStore;
