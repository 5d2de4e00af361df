//! Stores: for a refresh token between fetches and between runs of a program, and for a token that replicas share.
//!
//! A [`RefreshTokenStore`] keeps one refresh token for the grant [`RefreshToken`](crate::oauth::RefreshToken). The
//! grant decides what is in the store, when it is replaced, and what happens if that fails. [`FileStore`] is for
//! programs that are restarted. [`MemoryStore`] is for servers that do not rotate refresh tokens, and for tests. For a
//! database or a key vault, implement two methods of the trait.
//!
//! A `SharedStore` (feature `shared`) keeps what the replicas of a program share. So a fleet fetches one access
//! token instead of one for each replica.
//!
//! | store | for | between processes | survives |
//! |---|---|---|---|
//! | [`MemoryStore`] | servers that do not rotate; tests | no | nothing |
//! | [`FileStore`] | one host, several processes and restarts | a lock beside the file | a crash |
//! | `SharedRefreshToken` (feature `shared`) | a refresh token that many hosts use | leases of a shared store that loses nothing | the loss of a host |
//! | your own | where your secrets are | what you implement in [`lease`](RefreshTokenStore::lease) | what it promises |
//!
//! A store keeps strings and makes no decisions. It promises two things: a swap is durable before it returns, and it
//! happens only if the store still had what was seen. Everything else (when to send, when to save, what a refusal
//! means) is the grant's.

use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    error::{Error, ErrorKind},
    platform::Platform,
    problem::Problem,
};

mod file;
mod memory;
#[cfg(feature = "shared")]
pub(crate) mod shared;
mod stored_token;

#[cfg(feature = "shared")]
#[cfg_attr(docsrs, doc(cfg(feature = "shared")))]
pub use self::shared::{
    Connections, Connector, Down, Fence, InUse, Leased, MemorySharedStore, NotConnected, Order, Saved, SharedStore,
    Snapshot, StoreKey, Version,
};
pub use self::{file::FileStore, memory::MemoryStore, stored_token::StoredToken};

/// Keeps one refresh token.
///
/// ```
/// use bearer_token::{Error, platform::Platform, store::{RefreshTokenStore, StoredToken}};
/// # mod database {
/// #     pub async fn get() -> std::io::Result<Option<String>> { Ok(None) }
/// #     pub async fn replace(_: Option<&str>, _: Option<&str>) -> std::io::Result<bool> { Ok(true) }
/// # }
///
/// /// A row in a database.
/// struct Row;
///
/// fn failed(error: std::io::Error) -> Error {
///     Error::new(bearer_token::ErrorKind::Source, "the database returned no refresh token").with_source(error)
/// }
///
/// impl RefreshTokenStore for Row {
///     async fn load(&self, _: &Platform) -> Result<Option<StoredToken>, Error> {
///         database::get().await.map_err(failed)?.map(StoredToken::from_json).transpose()
///     }
///
///     async fn swap(
///         &self,
///         _: &Platform,
///         seen: Option<&StoredToken>,
///         next: Option<&StoredToken>,
///     ) -> Result<bool, Error> {
///         // UPDATE .. SET token = $next WHERE token = $seen: one statement, so no other process can interfere.
///         let (seen, next) = (seen.map(StoredToken::to_json).transpose()?, next.map(StoredToken::to_json).transpose()?);
///         let (seen, next) = (seen.as_ref().map(|json| json.as_str()), next.as_ref().map(|json| json.as_str()));
///         database::replace(seen, next).await.map_err(failed)
///     }
/// }
/// ```
///
/// Futures may be dropped at any await. Errors say whether waiting can help ([`Error::with_retry`]), and contain no
/// secret.
///
/// # What to implement
///
/// | the store | implement |
/// |---|---|
/// | of one process | [`load`](Self::load), [`swap`](Self::swap) |
/// | that several processes use | also [`lease`](Self::lease): a lock, an advisory lock of the database, a row with a deadline |
/// | that can be full or read-only | also [`prepare`](Self::prepare) |
/// | that notices changes by others | also [`has_changed`](Self::has_changed) |
/// | that may lose acknowledged writes | do not use it for a rotating token; say so in [`problems`](Self::problems) |
///
/// # What goes wrong without them
///
/// Without a lease, two processes send one refresh token; the server takes the second use for theft and ends the
/// consent for both. Without a durable swap, a crash loses the token that replaced the used one. In both cases a person
/// has to sign in again.
pub trait RefreshTokenStore: Send + Sync + 'static {
    /// Loads the refresh token, if there is one.
    ///
    /// Called at each fetch, so a token that another process stored is found. Do not cache it.
    ///
    /// # Errors
    ///
    /// An error ends the fetch, and no token request is made. Use [`Retry::Later`](crate::Retry::Later) for an outage.
    fn load(&self, platform: &Platform) -> impl Future<Output = Result<Option<StoredToken>, Error>> + Send;

    /// Durably replaces the stored token by `next`, if the stored token is `seen`. Returns whether it was. `None` means
    /// no token.
    ///
    /// After a success the next [`load`](Self::load) returns `next`, even after a crash. After an error it returns
    /// either of the two. If `next` is stored already, that is a success too, because a call whose future was dropped
    /// is repeated.
    fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Replaces the stored token unconditionally: for a new consent, and for the end of one.
    ///
    /// If possible, a store also replaces a damaged token that [`load`](Self::load) fails at. By default it loads and
    /// swaps until no other process interferes, ten times at most.
    fn put(&self, platform: &Platform, next: Option<&StoredToken>) -> impl Future<Output = Result<(), Error>> + Send {
        async move {
            for _ in 0..10 {
                let seen = self.load(platform).await?;
                if self.swap(platform, seen.as_ref(), next).await? {
                    return Ok(());
                }
            }
            Err(Error::new(
                ErrorKind::Source,
                "the refresh token was not replaced, because other processes replaced it ten times in between",
            ))
        }
    }

    /// Fails if nothing could be saved now.
    ///
    /// It is called before a refresh token is sent whose successor must be saved: otherwise a full disk would cost a
    /// consent. By default it succeeds.
    fn prepare(&self, platform: &Platform) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = platform;
        async { Ok(()) }
    }

    /// Records that the token of the last [`prepare`](Self::prepare) that succeeded was not used up. That is so if it
    /// was not sent, the server refused it, or was not reached. It is not called after the error of a gateway (502,
    /// 504), because the server may have used the token.
    ///
    /// It has to be quick and must not block: a fetch that ends before its request calls it from a drop, on any thread.
    /// A panic ends with the call. Usually it is called before the lease is dropped, but a fetch that is overdue may
    /// have lost its lease. A `prepare` that failed, or whose future was dropped, gets no call.
    ///
    /// By default it does nothing.
    fn not_used_up(&self) {}

    /// Waits until no other process uses the refresh token, and keeps others out until the lease is dropped.
    ///
    /// The lease lasts from before a refresh token is loaded until its successor is saved, so no token is sent twice.
    /// Implement it for a store that several processes share. Within a process, the clones of a
    /// [`RefreshToken`](crate::oauth::RefreshToken) already take turns. By default every lease is granted at once.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use bearer_token::{Error, platform::Platform, store::{Lease, RefreshTokenStore, StoredToken}};
    /// # use std::sync::Mutex;
    /// # struct Row(Mutex<Option<StoredToken>>);
    ///
    /// /// A row in a database, and the lock that all processes take before they use it. Here it is a semaphore.
    /// struct Locked { row: Row, lock: Arc<tokio::sync::Semaphore> }
    ///
    /// impl RefreshTokenStore for Locked {
    ///     async fn lease(&self, _: &Platform) -> Result<Lease, Error> {
    ///         let permit = Arc::clone(&self.lock).acquire_owned().await.map_err(Error::other)?;
    ///         // The lock is released when the lease is dropped.
    ///         Ok(Lease::holding(permit))
    ///     }
    /// #     async fn load(&self, _: &Platform) -> Result<Option<StoredToken>, Error> {
    /// #         Ok(self.row.0.lock().unwrap().clone())
    /// #     }
    /// #     async fn swap(
    /// #         &self,
    /// #         _: &Platform,
    /// #         _: Option<&StoredToken>,
    /// #         next: Option<&StoredToken>,
    /// #     ) -> Result<bool, Error> {
    /// #         *self.row.0.lock().unwrap() = next.cloned();
    /// #         Ok(true)
    /// #     }
    ///
    ///     // .. `load` and `swap` as usual ..
    /// }
    /// # let _ = Locked { row: Row(Mutex::new(None)), lock: Arc::new(tokio::sync::Semaphore::new(1)) };
    /// ```
    ///
    /// Let the lock end by itself if its holder dies: a lock of the connection, or a deadline in the row. The wait is
    /// limited by the deadline of the fetch, after which its future is dropped.
    fn lease(&self, platform: &Platform) -> impl Future<Output = Result<Lease, Error>> + Send {
        let _ = platform;
        async { Ok(Lease::free()) }
    }

    /// Whether another process may have replaced the token since it was loaded last.
    ///
    /// [`TokenSource::has_changed`](crate::TokenSource::has_changed) blocks on it, so it has to be quick.
    /// It is asked at most once a second, and only while a failed fetch waits for a change.
    fn has_changed(&self) -> bool {
        false
    }

    /// The problems with the store's own settings, which
    /// [`TokenEndpointBuilder::build`](crate::oauth::TokenEndpointBuilder::build) reports. Default: none.
    ///
    /// A store that may lose what it has saved reports that, because a refresh token that is used twice ends the
    /// consent.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}

/// The right to use the refresh token in a store. Dropping it releases the right.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use bearer_token::store::Lease;
///
/// /// Says when a lease was released, as the guard of a database's lock would.
/// struct Guard(Arc<Mutex<Vec<&'static str>>>);
///
/// impl Drop for Guard {
///     fn drop(&mut self) {
///         self.0.lock().unwrap().push("released");
///     }
/// }
///
/// let log = Arc::default();
/// let lease = Lease::holding(Guard(Arc::clone(&log)));
/// assert!(log.lock().unwrap().is_empty());
/// drop(lease);
/// assert_eq!(*log.lock().unwrap(), ["released"]);
/// ```
///
/// A guard that has to await in order to unlock can spawn that in its `Drop`. The next holder waits for the lock
/// anyway.
pub struct Lease {
    _held: Option<Box<dyn Any + Send + Sync>>,
}

impl Lease {
    /// A lease that keeps no other process out.
    pub fn free() -> Self {
        Lease { _held: None }
    }

    /// A lease that lasts as long as this guard, which is dropped with it.
    pub fn holding(guard: impl Send + Sync + 'static) -> Self {
        Lease { _held: Some(Box::new(guard)) }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

/// A shared store acts as the store itself.
impl<S: RefreshTokenStore> RefreshTokenStore for Arc<S> {
    async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        (**self).load(platform).await
    }

    async fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> Result<bool, Error> {
        (**self).swap(platform, seen, next).await
    }

    async fn put(&self, platform: &Platform, next: Option<&StoredToken>) -> Result<(), Error> {
        (**self).put(platform, next).await
    }

    async fn prepare(&self, platform: &Platform) -> Result<(), Error> {
        (**self).prepare(platform).await
    }

    fn not_used_up(&self) {
        (**self).not_used_up();
    }

    async fn lease(&self, platform: &Platform) -> Result<Lease, Error> {
        (**self).lease(platform).await
    }

    fn has_changed(&self) -> bool {
        (**self).has_changed()
    }

    fn problems(&self) -> Vec<Problem> {
        (**self).problems()
    }
}

/// The erased mirror of [`RefreshTokenStore`].
///
/// Erased because a grant is one type, whatever its store is. One box for each call of a store is nothing beside its
/// I/O.
pub(crate) trait DynRefreshTokenStore: Send + Sync {
    fn load<'a>(&'a self, platform: &'a Platform) -> StoreFuture<'a, Option<StoredToken>>;
    fn swap<'a>(
        &'a self,
        platform: &'a Platform,
        seen: Option<&'a StoredToken>,
        next: Option<&'a StoredToken>,
    ) -> StoreFuture<'a, bool>;
    fn put<'a>(&'a self, platform: &'a Platform, next: Option<&'a StoredToken>) -> StoreFuture<'a, ()>;
    fn prepare<'a>(&'a self, platform: &'a Platform) -> StoreFuture<'a, ()>;
    fn not_used_up(&self);
    fn lease<'a>(&'a self, platform: &'a Platform) -> StoreFuture<'a, Lease>;
    fn has_changed(&self) -> bool;
    fn problems(&self) -> Vec<Problem>;
}

pub(crate) type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

impl<S: RefreshTokenStore> DynRefreshTokenStore for S {
    fn load<'a>(&'a self, platform: &'a Platform) -> StoreFuture<'a, Option<StoredToken>> {
        Box::pin(RefreshTokenStore::load(self, platform))
    }

    fn swap<'a>(
        &'a self,
        platform: &'a Platform,
        seen: Option<&'a StoredToken>,
        next: Option<&'a StoredToken>,
    ) -> StoreFuture<'a, bool> {
        Box::pin(RefreshTokenStore::swap(self, platform, seen, next))
    }

    fn put<'a>(&'a self, platform: &'a Platform, next: Option<&'a StoredToken>) -> StoreFuture<'a, ()> {
        Box::pin(RefreshTokenStore::put(self, platform, next))
    }

    fn prepare<'a>(&'a self, platform: &'a Platform) -> StoreFuture<'a, ()> {
        Box::pin(RefreshTokenStore::prepare(self, platform))
    }

    fn not_used_up(&self) {
        RefreshTokenStore::not_used_up(self);
    }

    fn lease<'a>(&'a self, platform: &'a Platform) -> StoreFuture<'a, Lease> {
        Box::pin(RefreshTokenStore::lease(self, platform))
    }

    fn has_changed(&self) -> bool {
        RefreshTokenStore::has_changed(self)
    }

    fn problems(&self) -> Vec<Problem> {
        RefreshTokenStore::problems(self)
    }
}
