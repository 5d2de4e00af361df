//! Where refresh tokens are kept, between fetches and between runs of a program.
//!
//! A [`RefreshTokenStore`] keeps one refresh token for the grant
//! [`RefreshToken`](crate::oauth::RefreshToken), which does all the thinking: what is in the store, when it is
//! replaced, and what happens when that fails. [`FileStore`] is for programs that are started again, [`MemoryStore`] for
//! servers that do not rotate refresh tokens, and for tests; a database or a key vault is a trait of two methods away.

use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    error::{Error, ErrorKind},
    platform::Platform,
};

mod file;
mod memory;
mod stored_token;

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
///     Error::new(bearer_token::ErrorKind::Source, "the database gave no refresh token").with_source(error)
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
///         // UPDATE .. SET token = $next WHERE token = $seen: one statement, so that nobody comes between.
///         let (seen, next) = (seen.map(StoredToken::to_json).transpose()?, next.map(StoredToken::to_json).transpose()?);
///         let (seen, next) = (seen.as_ref().map(|json| json.as_str()), next.as_ref().map(|json| json.as_str()));
///         database::replace(seen, next).await.map_err(failed)
///     }
/// }
/// ```
///
/// Futures may be dropped at any await. Errors say whether waiting can help ([`Error::with_retry`]), and hold no secret.
pub trait RefreshTokenStore: Send + Sync + 'static {
    /// What is kept, if there is anything.
    fn load(&self, platform: &Platform) -> impl Future<Output = Result<Option<StoredToken>, Error>> + Send;

    /// Replaces what is kept by `next`, durably, if it is `seen`; says whether it was. `None` stands for nothing.
    ///
    /// After a success the next [`load`](Self::load), also after a crash, gives `next`; after an error, either of the
    /// two. If `next` is what is kept already, that is a success too: a call whose future was dropped is made again.
    fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Replaces what is kept, whatever it is: for a new consent, and for its end. A store that can do so also replaces what
    /// was damaged, which [`load`](Self::load) fails at. By default it loads and swaps until nobody comes between.
    fn put(&self, platform: &Platform, next: Option<&StoredToken>) -> impl Future<Output = Result<(), Error>> + Send {
        async move {
            for _ in 0..10 {
                let seen = self.load(platform).await?;
                if self.swap(platform, seen.as_ref(), next).await? {
                    return Ok(());
                }
            }
            Err(Error::new(ErrorKind::Source, "the refresh token was not replaced: others replaced it all the time"))
        }
    }

    /// Fails if nothing could be saved now. Asked before a refresh token is sent whose successor will have to be: what
    /// can be known before must not cost a consent. By default all is well.
    fn prepare(&self, platform: &Platform) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = platform;
        async { Ok(()) }
    }

    /// Waits until nobody else uses what is kept, and keeps others out until the turn is dropped: from before a refresh
    /// token is loaded until its successor is saved, so that no token is sent twice.
    ///
    /// Inside a process this is not needed: the clones of a [`RefreshToken`](crate::oauth::RefreshToken) take
    /// turns by themselves. It is for a store that several processes share. By default everybody has a turn at once.
    fn lease(&self, platform: &Platform) -> impl Future<Output = Result<Lease, Error>> + Send {
        let _ = platform;
        async { Ok(Lease::free()) }
    }

    /// Whether somebody else may have replaced what is kept since it was loaded last: see
    /// [`TokenSource::has_changed`](crate::TokenSource::has_changed), which is asked in place and has to be quick.
    fn has_changed(&self) -> bool {
        false
    }
}

/// The right to use what a store keeps. Dropping it gives it back.
pub struct Lease {
    _held: Option<Box<dyn Any + Send + Sync>>,
}

impl Lease {
    /// A turn that keeps nobody out.
    pub fn free() -> Self {
        Lease { _held: None }
    }

    /// A turn that lasts as long as this guard, which is dropped with it.
    pub fn holding(guard: impl Send + Sync + 'static) -> Self {
        Lease { _held: Some(Box::new(guard)) }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

/// A shared store is one store.
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

    async fn lease(&self, platform: &Platform) -> Result<Lease, Error> {
        (**self).lease(platform).await
    }

    fn has_changed(&self) -> bool {
        (**self).has_changed()
    }
}

/// The erased mirror of [`RefreshTokenStore`].
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
    fn lease<'a>(&'a self, platform: &'a Platform) -> StoreFuture<'a, Lease>;
    fn has_changed(&self) -> bool;
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

    fn lease<'a>(&'a self, platform: &'a Platform) -> StoreFuture<'a, Lease> {
        Box::pin(RefreshTokenStore::lease(self, platform))
    }

    fn has_changed(&self) -> bool {
        RefreshTokenStore::has_changed(self)
    }
}
