//! A shared store for [bearer-token](https://docs.rs/bearer-token) on Redis or Valkey: all replicas of a program use
//! one access token, and one of them fetches it.
//!
//! ```
//! let store = bearer_token_redis::RedisStore::from_url("redis://localhost:6379")?;
//! # let _ = store; Ok::<(), bearer_token::Error>(())
//! ```
//!
//! [`RedisStore`] is a [`SharedStore`](bearer_token::store::SharedStore). It works with Redis 6 and Valkey 7.2 and
//! newer, on the user's own connection or on one of its own, with single servers, Sentinel and Cluster.
//!
//! | feature | what it adds |
//! |---|---|
//! | `tls` | `rediss://`, by rustls with the cryptography that the process has installed, and the system's CAs |
//! | `sentinel` | `Connection::to_sentinels`: the master is asked for, again after a failover |
//! | `cluster` | connections of the crate `redis` to a cluster |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod connection;
mod scripts;
mod store;

pub use self::{connection::Connection, store::RedisStore};
