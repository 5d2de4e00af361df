//! Which provider a request takes its token from.
//!
//! Adapters know one trait, [`Authorize`], which a single provider and a map with a selector both implement. So there
//! is one layer and one middleware for both, and the map's way is as direct as the provider's. The key is borrowed from
//! the request, the entry is read in place, and no reference is counted.

use std::{borrow::Borrow, fmt, hash::Hash, sync::Arc};

use http::{HeaderMap, Request};

use super::{KeyedProviders, authorize_in_place, bounded_map::Missed};
use crate::{
    PassThrough,
    error::{Error, ErrorKind},
    platform::Moment,
    provider::{Authorized, Ticket, TokenProvider, cache::Copied, contained::contained},
    resource::{head::RequestHead, origin::Destination, refusals::Refusals},
    sync::Ordering,
};

/// What authorizes the requests of a client: a [`TokenProvider`], or [several with a selector](Select).
///
/// Adapters are written for it, and so serve both.
///
/// ```
/// use bearer_token::{Authorized, Error, RequestHead, adapter::Authorize};
///
/// /// The core of an adapter: a request that is ready to be sent, or an error.
/// async fn prepare<P: Authorize>(tokens: &P, request: &mut http::Request<()>) -> Result<(), Error> {
///     if tokens.authorize(request)? == Authorized::NotReady
///         && let Some(provider) = tokens.provider(RequestHead::from(&*request))?
///     {
///         provider.token().await?.attach(request.headers_mut());
///     }
///     Ok(())
/// }
/// # let _ = prepare::<bearer_token::TokenProvider>;
/// ```
pub trait Authorize: Clone + Send + Sync + 'static {
    /// Puts a bearer into a request, like [`TokenProvider::authorize`].
    ///
    /// # Errors
    ///
    /// As [`TokenProvider::authorize`], and the selector's.
    fn authorize<B>(&self, request: &mut Request<B>) -> Result<Authorized, Error>;

    /// Puts a bearer into a request if it is fresh and nothing else is to be decided, and returns its ticket. `None`
    /// says that nothing was done: call [`authorize`](Self::authorize).
    ///
    /// For adapters that keep only the ticket of most requests. By default it does nothing.
    #[inline]
    fn insert_fresh<B>(&self, request: &mut Request<B>) -> Option<Ticket> {
        let _ = request;
        None
    }

    /// Puts a bearer into a request of another type than `http`'s, like [`TokenProvider::authorize_headers`].
    ///
    /// # Errors
    ///
    /// As [`authorize`](Self::authorize).
    fn authorize_client<R: ClientRequest>(&self, request: &mut R) -> Result<Authorized, Error>;

    /// The provider that a request has to wait for, or `None` if the request takes no token.
    ///
    /// # Errors
    ///
    /// The selector's, and those of [`KeyedProviders::get`].
    fn provider(&self, head: RequestHead<'_>) -> Result<Option<TokenProvider>, Error>;

    /// Which responses refuse a bearer.
    fn refusals(&self) -> Refusals;

    /// Whether every bearer is sent in `Authorization` alone, without further headers.
    ///
    /// Clients that follow redirects below an adapter remove `Authorization` when the origin changes, and no other
    /// header. Call it after the bearer was inserted: with a selector, it covers the providers that have been built so
    /// far.
    fn sends_only_authorization(&self) -> bool;
}

/// What an adapter has to know of a request that is not one of the `http` crate.
///
/// A selector asks for the head. The provider that it chose asks for the destination and the headers.
pub trait ClientRequest {
    /// The head, for a selector.
    fn head(&self) -> RequestHead<'_>;

    /// Where the request goes.
    fn destination(&self) -> Destination<'_>;

    /// The same as one text that begins with the scheme, such as `https://api.example.com/orders`, if the client has the
    /// whole URL as text. It costs less to read than a destination, which has to be taken out of it.
    fn url(&self) -> Option<&str> {
        None
    }

    /// What the caller set: an own credential is looked for among them.
    fn headers(&self) -> &HeaderMap;

    /// The headers, to insert the bearer.
    fn headers_mut(&mut self) -> &mut HeaderMap;
}

impl Authorize for TokenProvider {
    #[inline]
    fn authorize<B>(&self, request: &mut Request<B>) -> Result<Authorized, Error> {
        TokenProvider::authorize(self, request)
    }

    #[inline]
    fn insert_fresh<B>(&self, request: &mut Request<B>) -> Option<Ticket> {
        TokenProvider::insert_fresh(self, request)
    }

    #[inline]
    fn authorize_client<R: ClientRequest>(&self, request: &mut R) -> Result<Authorized, Error> {
        if request.url().is_some_and(|url| self.inner.origins.allow_exactly_in(url))
            && let Some(ticket) = self.inner.insert_fresh(request.headers_mut())
        {
            return Ok(Authorized::Inserted(ticket));
        }
        match self.inner.without_token_for(request.destination(), request.headers()) {
            None => Ok(self.inner.insert(request.headers_mut())),
            Some(result) => result,
        }
    }

    fn provider(&self, _head: RequestHead<'_>) -> Result<Option<TokenProvider>, Error> {
        Ok(Some(self.clone()))
    }

    fn refusals(&self) -> Refusals {
        TokenProvider::refusals(self)
    }

    #[inline]
    fn sends_only_authorization(&self) -> bool {
        self.inner.form.is_usual()
    }
}

/// What a selector decides about a request.
///
/// `Q` is the borrowed form of the key: a map of `String` is asked with a `str`, so the selector need not allocate.
pub enum Selected<'a, Q: ToOwned + ?Sized> {
    /// The request takes the token of this key. Nothing is copied.
    Key(&'a Q),
    /// An owned key, for keys that are built from several parts of the request.
    Owned(Q::Owned),
    /// The request goes out without a token.
    NoToken,
}

impl<'a, Q: ToOwned + ?Sized> Selected<'a, Q> {
    /// The key, if there is one, and no token otherwise.
    pub fn key_or_none(key: Option<&'a Q>) -> Self {
        key.map_or(Selected::NoToken, Selected::Key)
    }
}

impl<Q: ToOwned + ?Sized> fmt::Debug for Selected<'_, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the key, which may be a person's name.
        f.write_str(match self {
            Selected::Key(_) => "Key(..)",
            Selected::Owned(_) => "Owned(..)",
            Selected::NoToken => "NoToken",
        })
    }
}

/// A selector whose type is erased together with what contains its panics, so a request makes one call for both.
///
/// The head is passed by reference, and its parts are read where they are. Copies of it were most of what a selector
/// cost, because a processor cannot forward small stores to the wide loads of a copy.
trait Choose<Q: ToOwned + ?Sized>: Send + Sync {
    fn choose<'a>(&self, head: &RequestHead<'a>) -> Result<Selected<'a, Q>, Error>;
}

impl<Q, F> Choose<Q> for F
where
    Q: ToOwned + ?Sized,
    F: for<'a> Fn(RequestHead<'a>) -> Result<Selected<'a, Q>, Error> + Send + Sync,
{
    fn choose<'a>(&self, head: &RequestHead<'a>) -> Result<Selected<'a, Q>, Error> {
        // User code: it may panic.
        contained(|| self(*head)).unwrap_or_else(|| Err(panicked()))
    }
}

/// A map of providers and the function that chooses among them by the head of a request; made by
/// [`KeyedProviders::select`].
pub struct Select<K, Q: ToOwned + ?Sized = K> {
    providers: KeyedProviders<K>,
    selector: Arc<dyn Choose<Q>>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> KeyedProviders<K> {
    /// Chooses the provider of each request by its head: its URI, headers and extensions. For an adapter, in place of a
    /// provider.
    ///
    /// An error of the selector is the request's, which is then not sent. So is a panic, as an error of kind
    /// [`Panicked`](ErrorKind::Panicked).
    ///
    /// The selector runs once for a request whose token is in the cache, so let it take nanoseconds. For a request whose
    /// provider is not built yet, or that has to wait, it runs up to three times. It must choose the same key each time.
    ///
    /// ```
    /// use bearer_token::{KeyedProviders, Selected, StaticToken, TokenProvider};
    ///
    /// #[derive(Clone, PartialEq, Eq, Hash)]
    /// struct Tenant(String);
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let tenants = KeyedProviders::builder(|tenant: &Tenant| {
    ///     let source = StaticToken::new(format!("token-of-{}", tenant.0));
    ///     Ok(TokenProvider::builder(source).allow_origin("https://api.example.com"))
    /// })
    /// .build()?;
    /// // The application leaves the tenant among the extensions of its requests.
    /// let by_tenant = tenants.select(|head| Ok(Selected::key_or_none(head.extension::<Tenant>())));
    /// # let _ = by_tenant; Ok(()) }
    /// ```
    pub fn select<Q>(
        &self,
        selector: impl for<'a> Fn(RequestHead<'a>) -> Result<Selected<'a, Q>, Error> + Send + Sync + 'static,
    ) -> Select<K, Q>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        Select { providers: self.clone(), selector: Arc::new(selector) }
    }
}

impl<K, Q> Select<K, Q>
where
    K: Borrow<Q> + Hash + Eq + Clone + Send + Sync + 'static,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized + 'static,
{
    /// The map of providers.
    pub fn providers(&self) -> &KeyedProviders<K> {
        &self.providers
    }

    /// Authorizes a request of any type: `head` looks at it, `authorize` inserts and tells when a refresh is due.
    #[inline]
    fn authorize_any<C>(
        &self,
        request: &mut C,
        head: impl for<'c> Fn(&'c C) -> RequestHead<'c>,
        authorize: impl Fn(&mut C, &TokenProvider, Option<&mut Copied>) -> Result<(Authorized, Option<Moment>), Error>,
    ) -> Result<Authorized, Error> {
        let map = &self.providers.inner.map;
        let (mut front, table);
        let found = {
            let selected = self.selector.choose(&head(request))?;
            let key = match &selected {
                Selected::Key(key) => *key,
                Selected::Owned(key) => key.borrow(),
                Selected::NoToken => return Ok(Authorized::Passed),
            };
            let hash = map.hash(key);
            front = map.front(hash, key);
            match &front {
                Ok(_) => None,
                Err(missed) => {
                    table = map.load(hash);
                    let found = table.find(key);
                    if let (Missed::Often, Some(entry)) = (missed, found) {
                        map.admit(entry);
                    }
                    found
                }
            }
        };
        // The key, which may be a part of the request, is not needed any more.
        if let Ok(front) = &mut front
            && let Some((entry, copied)) = front.parts()
        {
            return authorize_in_place(entry, |provider| authorize(request, provider, Some(copied)));
        }
        if let Some(entry) = found {
            let mut copied = entry.copied();
            return authorize_in_place(entry, |provider| authorize(request, provider, copied.as_deref_mut()));
        }
        let Some(provider) = self.provider(head(request))? else { return Ok(Authorized::Passed) };
        let (authorized, stale_at) = authorize(request, &provider, None)?;
        if let Some(now) = stale_at {
            provider.inner.refresh(now);
        }
        Ok(authorized)
    }
}

#[cold]
fn panicked() -> Error {
    let message =
        "the selector of a keyed provider panicked; the panic's own message went where panics of this process go";
    Error::new(ErrorKind::Panicked, message)
}

impl<K, Q> Authorize for Select<K, Q>
where
    K: Borrow<Q> + Hash + Eq + Clone + Send + Sync + 'static,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized + 'static,
{
    #[inline]
    fn authorize<B>(&self, request: &mut Request<B>) -> Result<Authorized, Error> {
        if request.extensions().get::<PassThrough>().is_some() {
            return Ok(Authorized::Passed);
        }
        self.authorize_any(
            request,
            |request| RequestHead::from(request),
            |request, provider, copied| provider.authorize_only(request, copied),
        )
    }

    #[inline]
    fn authorize_client<R: ClientRequest>(&self, request: &mut R) -> Result<Authorized, Error> {
        self.authorize_any(request, R::head, |request, provider, copied| {
            provider.authorize_client_only(request, copied)
        })
    }

    fn provider(&self, head: RequestHead<'_>) -> Result<Option<TokenProvider>, Error> {
        match self.selector.choose(&head)? {
            Selected::Key(key) => self.providers.get(key).map(Some),
            Selected::Owned(key) => self.providers.get(key.borrow()).map(Some),
            Selected::NoToken => Ok(None),
        }
    }

    fn refusals(&self) -> Refusals {
        self.providers.inner.refusals.clone()
    }

    fn sends_only_authorization(&self) -> bool {
        self.providers.inner.sends_other_headers.load(Ordering::Relaxed) == 0
    }
}

impl<K, Q: ToOwned + ?Sized> Clone for Select<K, Q> {
    fn clone(&self) -> Self {
        Select { providers: self.providers.clone(), selector: self.selector.clone() }
    }
}

impl<K, Q: ToOwned + ?Sized> fmt::Debug for Select<K, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("providers", &self.providers).finish_non_exhaustive()
    }
}
