//! Stores that many replicas of a program share, so that they fetch one token instead of one each.
//!
//! A shared store has to answer three questions, each in one step: what is the record now, may this replica fetch, and
//! may it save. From that the core builds all the rest: sealing, waiting, backing off, fetching without the
//! store. So an implementation is a page of code, and [`MemorySharedStore`] is one to read.
//!
//! ```text
//! replica A                         store                         replica B
//! lease(seen: ABSENT)  ──────────►  Granted(7)
//!   fetches a token                                               lease(seen: ABSENT) ─► Held(9 s)
//!                                                                 changed(within) .. waits
//! save(record, fence 7) ─────────►  Saved(version 7), lease ends
//!                                                                 lease(seen: ABSENT) ─► Newer(record)
//! ```

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::platform::Platform;

mod answers;
mod connections;
mod key;
mod memory;

pub use self::{
    answers::{Down, Fence, Leased, Order, Saved, Snapshot, Version},
    connections::{Connections, Connector, InUse, NotConnected},
    key::StoreKey,
    memory::MemorySharedStore,
};

/// Keeps one record for each key, and grants the lease under which the record is replaced.
///
/// Implement it for a key-value store or a database that your replicas already share. Records are bytes: they are
/// sealed before they are stored, and opened after they were read, so a store needs to know nothing about tokens. It
/// needs no timeouts and no retries of its own. Each call has a deadline (95 ms; 2 s for a refresh token), and a store
/// that fails is not asked for a while. The test kit of `bearer-token-testing` (`store_contract!`) checks an
/// implementation.
///
/// ```
/// use bearer_token::store::{Down, Fence, Leased, Order, Saved, SharedStore, Snapshot, StoreKey, Version};
/// use std::time::Duration;
/// # mod database {
/// #     pub struct Row { pub record: Vec<u8>, pub version: u64, pub life: std::time::Duration }
/// #     pub enum Turn { Ours(u64), Theirs(std::time::Duration), Past(Row) }
/// #     pub enum Write { Done, NewerFence, Replaced(Row) }
/// #     pub async fn select(_: &str) -> std::io::Result<Option<Row>> { Ok(None) }
/// #     pub async fn take(_: &str, _: u64, _: std::time::Duration) -> std::io::Result<Turn> { Ok(Turn::Ours(1)) }
/// #     pub async fn update(_: &str, _: &[u8], _: std::time::Duration, _: u64, _: u64) -> std::io::Result<Write> { Ok(Write::Done) }
/// #     pub async fn end(_: &str, _: u64) -> std::io::Result<()> { Ok(()) }
/// # }
///
/// /// A table in a database. Each function is one statement, so that no other replica can act in between.
/// struct Table;
///
/// fn down(error: std::io::Error) -> Down {
///     Down::new("the database gave no answer").with_source(error)
/// }
///
/// fn snapshot(row: database::Row) -> Snapshot {
///     Snapshot::new(row.record, Version::new(row.version), row.life)
/// }
///
/// impl SharedStore for Table {
///     const ORDER: Order = Order::Linearizable;
///
///     async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
///         Ok(database::select(key.as_str()).await.map_err(down)?.map(snapshot))
///     }
///
///     async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
///         Ok(match database::take(key.as_str(), seen.get(), ttl).await.map_err(down)? {
///             database::Turn::Ours(fence) => Leased::Granted(Fence::new(fence)),
///             database::Turn::Theirs(remaining) => Leased::Held(remaining),
///             database::Turn::Past(row) => Leased::Newer(snapshot(row)),
///         })
///     }
///
///     async fn save(
///         &self,
///         key: &StoreKey,
///         record: &[u8],
///         life: Duration,
///         fence: Fence,
///         seen: Version,
///     ) -> Result<Saved, Down> {
///         // The usual version of a record is the fence that saved it.
///         let write = database::update(key.as_str(), record, life, fence.get(), seen.get()).await.map_err(down)?;
///         Ok(match write {
///             database::Write::Done => Saved::Saved(Version::new(fence.get())),
///             database::Write::NewerFence => Saved::Fenced,
///             database::Write::Replaced(row) => Saved::Changed(snapshot(row)),
///         })
///     }
///
///     async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
///         database::end(key.as_str(), fence.get()).await.map_err(down)
///     }
/// }
/// ```
///
/// # The contract
///
/// 1. Each method is one step: no other replica's call takes effect in the middle of it.
/// 2. All times are the store's. No time of day and no clock of the caller is part of an answer.
/// 3. A record ends with its life. Then it is absent, as if it had never been saved.
/// 4. A key has one lease at most. It ends when its holder saves or releases, or with its `ttl`, whichever is first. A
///    lease that a save or a release has ended does not come back if the store's clock is set back. So these two remove
///    the time of its end. An end that is only set to now would be in the future after such a step.
/// 5. [Fences](Fence) grow: each is greater than all earlier ones of the same key.
/// 6. A save under a fence is refused if a later fence was granted, also if that later lease has ended. Until then, its
///    holder may save again over the version of its last save, although that save has ended the lease. A store that
///    has lost its data knows no fence. It may accept a save from before the loss until it grants the next lease.
/// 7. A save is refused if there is a record of another [version](Version) than the one that was seen. An absent record
///    refuses nothing.
/// 8. Only the holder's fence releases a lease.
/// 9. Keys do not affect each other.
/// 10. A record may have 64 KiB ([`MAX_RECORD`]), and any bytes. A longer one was saved by another program. It does not
///     leave the engine, so it costs the replicas no memory: [`Down::for_this_key`].
/// 11. [`Down`] means that the store gave no answer. A lease that is held is an answer: [`Leased::Held`]. If only the
///     content under one key is unusable, the others must not pay for it: [`Down::for_this_key`].
///
/// Futures may be dropped at any await. What they had begun then takes effect or does not, as a whole. The same holds
/// for an answer of [`Down`].
///
/// [`MAX_RECORD`]: Self::MAX_RECORD
///
/// # How engines do it
///
/// | step | a database | a key-value store with scripts |
/// |---|---|---|
/// | `read` | one `SELECT`, with the rest of the life by the database's clock | the value and its remaining time, in one script |
/// | `lease` | one `INSERT .. ON CONFLICT DO UPDATE .. WHERE` the lease has ended, `RETURNING` the fence | a script that compares the version and the lease, and counts the fence up |
/// | `save` | one `UPDATE .. WHERE` fence and version match | a script that compares both |
/// | `changed` | a notification per key | none: the default waits |
///
/// `bearer-token-postgres` and `bearer-token-redis` are the two columns in full. A store that cannot do a step as one
/// operation cannot keep the contract: two reads and a write are three chances for another replica.
pub trait SharedStore: Send + Sync + 'static {
    /// Whether the store can lose what it has acknowledged.
    const ORDER: Order;

    /// The size of the largest record that is ever saved, in bytes.
    const MAX_RECORD: usize = 64 * 1024;

    /// Reads the record, with its remaining life by the store's clock.
    fn read(&self, key: &StoreKey) -> impl Future<Output = Result<Option<Snapshot>, Down>> + Send;

    /// Takes the lease, if it is free and the record is not newer than `seen`.
    ///
    /// If there is a record of another version than `seen`, the answer is [`Leased::Newer`], whether the lease is free
    /// or not. `ttl` is the time after which the lease ends by itself.
    fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> impl Future<Output = Result<Leased, Down>> + Send;

    /// Saves a record for the time of `life`, and ends the lease.
    ///
    /// A record of version `seen` is replaced; an absent one is created. A refusal changes nothing. It does not end the
    /// lease either.
    fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> impl Future<Output = Result<Saved, Down>> + Send;

    /// Ends the lease with this fence, if it is still held. Otherwise nothing happens.
    fn release(&self, key: &StoreKey, fence: Fence) -> impl Future<Output = Result<(), Down>> + Send;

    /// Waits until the record may have changed or the lease may have ended, but not longer than `within`.
    ///
    /// It is a hint: the caller asks the store afterwards. By default it waits for the whole time, so the caller polls.
    /// A store that can notify its clients (`LISTEN`, a watch) returns earlier. If a notification is impossible, it
    /// waits like the default.
    fn changed(
        &self,
        platform: &Platform,
        key: &StoreKey,
        since: Version,
        within: Duration,
    ) -> impl Future<Output = ()> + Send {
        let _ = (key, since);
        platform.sleep_until(platform.now().monotonic().saturating_add(within))
    }
}

/// A store behind an `Arc` acts as the store itself.
impl<S: SharedStore> SharedStore for Arc<S> {
    const ORDER: Order = S::ORDER;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        (**self).read(key).await
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        (**self).lease(key, seen, ttl).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        (**self).save(key, record, life, fence, seen).await
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        (**self).release(key, fence).await
    }

    async fn changed(&self, platform: &Platform, key: &StoreKey, since: Version, within: Duration) {
        (**self).changed(platform, key, since, within).await;
    }
}

/// The erased mirror of [`SharedStore`].
#[allow(dead_code, reason = "called by shared sources")]
pub(crate) trait DynSharedStore: Send + Sync {
    fn read<'a>(&'a self, key: &'a StoreKey) -> SharedFuture<'a, Result<Option<Snapshot>, Down>>;
    fn lease<'a>(&'a self, key: &'a StoreKey, seen: Version, ttl: Duration) -> SharedFuture<'a, Result<Leased, Down>>;
    fn save<'a>(
        &'a self,
        key: &'a StoreKey,
        record: &'a [u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> SharedFuture<'a, Result<Saved, Down>>;
    fn release<'a>(&'a self, key: &'a StoreKey, fence: Fence) -> SharedFuture<'a, Result<(), Down>>;
    fn changed<'a>(
        &'a self,
        platform: &'a Platform,
        key: &'a StoreKey,
        since: Version,
        within: Duration,
    ) -> SharedFuture<'a, ()>;
}

pub(crate) type SharedFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<S: SharedStore> DynSharedStore for S {
    fn read<'a>(&'a self, key: &'a StoreKey) -> SharedFuture<'a, Result<Option<Snapshot>, Down>> {
        Box::pin(SharedStore::read(self, key))
    }

    fn lease<'a>(&'a self, key: &'a StoreKey, seen: Version, ttl: Duration) -> SharedFuture<'a, Result<Leased, Down>> {
        Box::pin(SharedStore::lease(self, key, seen, ttl))
    }

    fn save<'a>(
        &'a self,
        key: &'a StoreKey,
        record: &'a [u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> SharedFuture<'a, Result<Saved, Down>> {
        Box::pin(SharedStore::save(self, key, record, life, fence, seen))
    }

    fn release<'a>(&'a self, key: &'a StoreKey, fence: Fence) -> SharedFuture<'a, Result<(), Down>> {
        Box::pin(SharedStore::release(self, key, fence))
    }

    fn changed<'a>(
        &'a self,
        platform: &'a Platform,
        key: &'a StoreKey,
        since: Version,
        within: Duration,
    ) -> SharedFuture<'a, ()> {
        Box::pin(SharedStore::changed(self, platform, key, since, within))
    }
}

impl fmt::Debug for dyn DynSharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStore")
    }
}
