//! The transport of token requests.
//!
//! A token request carries credentials, so its transport follows no redirects, does not retry, keeps no cookies, and
//! limits what it reads. There are three kinds of transports:
//!
//! | transport | for |
//! |---|---|
//! | `HttpTransport` (feature `http-transport`) | most programs: hyper and rustls, with CAs, client certificates, proxies and timeouts as settings |
//! | `service(..)` (feature `tower`) | a tower service: your own client, with your own layers for tracing or TLS |
//! | `reqwest_bearer::ClientTransport` | a `reqwest::Client`, for SOCKS proxies or another TLS library |
//!
//! Everything about a failed connection becomes one sentence with what was found and what to change (`cause.rs`). No
//! error of a client is passed on: errors of HTTP clients quote URLs, and a URL may have a key in it.

use std::{future::Future, sync::Arc};

use bytes::Bytes;

use crate::{error::Error, platform::BoxFuture, source::Identity};

#[cfg(any(feature = "http-transport", feature = "tower"))]
pub(crate) mod body;
pub(crate) mod cause;
#[cfg(feature = "http-transport")]
mod http;
#[cfg(feature = "oauth")]
pub(crate) mod observed;
#[cfg(feature = "tower")]
mod tower;

#[cfg(feature = "http-transport")]
pub use self::http::{HttpTransport, HttpTransportBuilder};
#[cfg(feature = "tower")]
pub use self::tower::{ServiceTransport, service};

#[cfg(any(feature = "http-transport", feature = "tower"))]
use crate::error::BoxError;

/// The largest response that is read from an authorization server, in bytes: 1 MiB.
///
/// Real responses have some kilobytes. The limit keeps a server, or something that is not one, from filling the memory.
pub const RESPONSE_LIMIT: usize = 1024 * 1024;

/// Sends a token request and returns the whole response.
///
/// Implementations do not follow redirects, do not retry (every attempt needs a fresh assertion), and read at most
/// [`RESPONSE_LIMIT`] bytes. They need no deadline of their own: the future is dropped when the fetch's deadline
/// passes, and dropping it must end the request.
///
/// Errors are of kind [`Transport`](crate::ErrorKind::Transport) when there was no response or only a part of one; the
/// token endpoint then makes one more request. They are of kind [`Response`](crate::ErrorKind::Response) for a response
/// that is too large, [`Timeout`](crate::ErrorKind::Timeout) for a limit of the transport's own, and
/// [`Config`](crate::ErrorKind::Config) when it cannot work as configured. A response with any HTTP status is a success
/// here.
///
/// The request carries [`PassThrough`](crate::PassThrough) among its extensions. So a transport that uses the same
/// stack as the API client does not wait for its own token.
///
/// Such a transport exists only after the provider, and the stack holds the provider, which holds the transport: so it
/// must refer to the stack by a [`Weak`](std::sync::Weak). Otherwise neither is ever freed.
///
/// ```
/// use bearer_token::{Error, ErrorKind, transport::Transport};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use std::sync::{Arc, OnceLock, Weak};
///
/// /// Sends token requests through what is in the cell by then.
/// struct Late<T>(Weak<OnceLock<T>>);
///
/// impl<T: Transport> Transport for Late<T> {
///     async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
///         let cell = self.0.upgrade();
///         let Some(transport) = cell.as_ref().and_then(|cell| cell.get()) else {
///             return Err(Error::new(ErrorKind::Transport, "the client that carries token requests is gone"));
///         };
///         transport.send(request).await
///     }
/// }
/// # struct Client;
/// # impl Transport for Client {
/// #     async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, Error> { Ok(Response::default()) }
/// # }
///
/// // First the cell, then a token endpoint with this transport, the provider, and the client with the provider in it.
/// // Then the client goes into the cell, which lives beside the client, as long as tokens are wanted.
/// let cell = Arc::new(OnceLock::new());
/// let late = Late(Arc::downgrade(&cell));
/// # let client = Client;
/// assert!(cell.set(client).is_ok());
/// # let _ = late;
/// ```
///
/// # In tests
///
/// A transport is also the place where a test can replace the authorization server. For a server with grants and
/// failures, see the crate `bearer-token-testing`.
///
/// ```
/// # #[cfg(not(feature = "oauth"))] fn main() {}
/// # #[cfg(feature = "oauth")]
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
/// use bearer_token::{Error, TokenProvider, oauth::{ClientCredentials, TokenEndpoint}, transport::Transport};
/// use bytes::Bytes;
/// use http::{Request, Response};
///
/// /// Responds to every token request with this body, and checks what was sent.
/// struct Canned(&'static str);
///
/// impl Transport for Canned {
///     async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
///         assert_eq!(request.body(), "grant_type=client_credentials&scope=read");
///         Ok(Response::new(Bytes::from_static(self.0.as_bytes())))
///     }
/// }
///
/// let source = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
///     .scope("read")
///     .transport(Canned(r#"{"access_token": "2YotnFZFEjr1zCsicMWpAA", "expires_in": 3600}"#))
///     .build()?;
/// let provider = TokenProvider::builder(source).build()?;
/// assert_eq!(provider.token().await?.secret(), "2YotnFZFEjr1zCsicMWpAA");
/// # Ok(()) }
/// ```
///
/// # Over another HTTP client
///
/// ```
/// # #[cfg(not(any(feature = "http-transport", feature = "tower")))] fn main() {}
/// # #[cfg(any(feature = "http-transport", feature = "tower"))] fn main() {
/// use bearer_token::{Error, adapter::{client_error, read_response}, transport::Transport};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
///
/// type Reply = Response<Full<Bytes>>;
///
/// /// What any client looks like from here. It must not follow redirects, and must not retry.
/// trait Client: Send + Sync + 'static {
///     fn execute(&self, request: Request<Bytes>) -> impl Future<Output = std::io::Result<Reply>> + Send;
/// }
///
/// struct Through<C>(C);
///
/// impl<C: Client> Transport for Through<C> {
///     async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
///         let uri = request.uri().clone();
///         // The sentence names the cause: the host name, the port, the certificate.
///         let response = self.0.execute(request).await.map_err(|error| client_error(&uri, &error))?;
///         // At most 1 MiB, whatever the server sends.
///         read_response(&uri, response).await
///     }
/// }
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not carry token requests",
    label = "not a `Transport`",
    note = "a `reqwest::Client` becomes a transport with `reqwest_bearer::ClientTransport::new(client)`, a client with \
            middlewares with `reqwest_bearer::MiddlewareTransport::new(client)`, and a tower service with \
            `bearer_token::transport::service(service)`",
    note = "the client must not follow redirects, or the credentials go wherever the server points: build it with \
            `.redirect(reqwest::redirect::Policy::none()).retry(reqwest::retry::never())`, or use \
            `bearer_token::transport::HttpTransport::builder()`, which does neither"
)]
pub trait Transport: Send + Sync + 'static {
    /// Sends the request.
    ///
    /// # Errors
    ///
    /// An error means that there is no whole response. Use [`client_error`](crate::adapter::client_error) to explain
    /// the error of an HTTP client, and [`read_response`](crate::adapter::read_response) to read a body up to the
    /// limit.
    fn send(
        &self,
        request: ::http::Request<Bytes>,
    ) -> impl Future<Output = Result<::http::Response<Bytes>, Error>> + Send;

    /// Describes the parts of this transport that decide which tokens come back, such as a client certificate or a
    /// header with a tenant. Endpoints that replicas share need it (`Fleet`, with the feature `shared`).
    ///
    /// By default the transport is unknown, so its endpoint is shared only under a name that the application gives it.
    /// A transport that adds nothing has an empty implementation. One that wraps another one forwards the call.
    ///
    /// ```
    /// use bearer_token::{Error, Identity, transport::Transport};
    /// use bytes::Bytes;
    /// use http::{HeaderValue, Request, Response};
    ///
    /// /// Adds the tenant to each token request, so replicas of two tenants must not share a token.
    /// struct ForTenant<T> { tenant: HeaderValue, inner: T }
    ///
    /// impl<T: Transport> Transport for ForTenant<T> {
    ///     async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
    ///         request.headers_mut().insert("x-tenant", self.tenant.clone());
    ///         self.inner.send(request).await
    ///     }
    ///
    ///     fn identity(&self, identity: &mut Identity) {
    ///         identity.text("tenant", self.tenant.to_str().unwrap_or_default());
    ///         self.inner.identity(identity);
    ///     }
    /// }
    /// ```
    fn identity(&self, identity: &mut Identity) {
        identity.unknown("transport");
    }
}

/// Several token endpoints may share one transport.
impl<T: Transport> Transport for Arc<T> {
    async fn send(&self, request: ::http::Request<Bytes>) -> Result<::http::Response<Bytes>, Error> {
        (**self).send(request).await
    }

    fn identity(&self, identity: &mut Identity) {
        (**self).identity(identity);
    }
}

/// The erased mirror of [`Transport`].
///
/// It takes an `Arc`, so the boxed future owns its transport and borrows nothing of the endpoint.
#[allow(dead_code, reason = "used by the token endpoint, which is behind a feature")]
pub(crate) trait DynTransport: Send + Sync {
    fn send(self: Arc<Self>, request: ::http::Request<Bytes>) -> BoxFuture<Result<::http::Response<Bytes>, Error>>;
    fn identity(&self, identity: &mut Identity);
}

impl<T: Transport> DynTransport for T {
    fn send(self: Arc<Self>, request: ::http::Request<Bytes>) -> BoxFuture<Result<::http::Response<Bytes>, Error>> {
        Box::pin(async move { Transport::send(&*self, request).await })
    }

    fn identity(&self, identity: &mut Identity) {
        Transport::identity(self, identity);
    }
}

/// The error for a response that is larger than [`RESPONSE_LIMIT`].
///
/// Of kind `Response` and not `Transport`: the server was reached, and another request would get the same.
#[cfg(any(feature = "http-transport", feature = "tower", feature = "oauth"))]
pub(crate) fn too_large() -> Error {
    Error::new(
        crate::ErrorKind::Response,
        "the authorization server's response is larger than 1 MiB; expected a token response: check the token endpoint \
         URL",
    )
}
