//! Token requests through a tower service.
//!
//! The most general transport: anything that is a tower service of requests and responses. Its layers see credentials,
//! so the same rules apply to them as to a transport: no redirects, no retries, no logging of bodies.

use std::{
    fmt,
    future::{Future, poll_fn},
    marker::PhantomData,
};

use bytes::{Buf, Bytes};
use http::{Request, Response, Uri};
use http_body::Body;
use tower_service::Service;

use super::{
    BoxError, Transport,
    body::{ReadError, read},
    cause::{Cause, origin},
    too_large,
};
use crate::{
    error::{Error, ErrorKind},
    source::Identity,
};

/// Sends token requests through a tower service: any HTTP client, with any layers around it.
///
/// Each request is sent by a clone of the service, when that is ready. The service must not follow redirects and must
/// not retry; see [`Transport`]. The service's errors are not passed on, see
/// [`with_causes`](ServiceTransport::with_causes).
///
/// `B` is the body that the service takes; [`service`] finds it out.
///
/// ```
/// # #[cfg(not(feature = "oauth"))] fn main() {}
/// # #[cfg(feature = "oauth")] fn main() {
/// use bearer_token::transport::{self, Transport};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower_service::Service;
///
/// /// A service is a transport if it can be cloned and takes a body that bytes become.
/// fn as_transport<S>(client: S) -> impl Transport
/// where
///     S: Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>> + Clone + Send + Sync + 'static,
///     S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
///     S::Future: Send,
/// {
///     transport::service(client)
/// }
/// # }
/// ```
pub struct ServiceTransport<S, B> {
    service: S,
    /// Whether errors of the service become sources. Off by default, because a foreign error may contain anything.
    causes: bool,
    body: PhantomData<fn() -> B>,
}

/// Sends token requests through a tower service.
///
/// ```
/// # use std::{convert::Infallible, future::{Ready, ready}, task::{Context, Poll}};
/// # use bytes::Bytes;
/// # use http::{Request, Response};
/// # use http_body_util::Full;
/// # #[derive(Clone)]
/// # struct HyperClient;
/// # impl tower_service::Service<Request<Full<Bytes>>> for HyperClient {
/// #     type Response = Response<Full<Bytes>>;
/// #     type Error = Infallible;
/// #     type Future = Ready<Result<Self::Response, Infallible>>;
/// #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> { Poll::Ready(Ok(())) }
/// #     fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future { ready(Ok(Response::default())) }
/// # }
/// # #[cfg(not(feature = "oauth"))] fn main() {}
/// # #[cfg(feature = "oauth")] fn main() -> Result<(), bearer_token::Error> {
/// use bearer_token::oauth::{ClientCredentials, TokenEndpoint};
/// use bearer_token::transport;
///
/// # let hyper_client = HyperClient;
/// let source = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
///     .transport(transport::service(hyper_client))
///     .build()?;
/// # let _ = source;
/// # Ok(()) }
/// ```
pub fn service<S, B>(service: S) -> ServiceTransport<S, B>
where
    S: Service<Request<B>>,
{
    ServiceTransport { service, causes: false, body: PhantomData }
}

impl<S, B> ServiceTransport<S, B> {
    /// Keeps the service's errors as the sources of this crate's errors.
    ///
    /// By default, a sentence of this crate names the cause if it is a known one, and nothing of the error itself is
    /// shown. An unknown service may put URLs, headers or server responses into its errors, and errors end up in logs.
    /// Call this if the service's errors contain no secrets.
    ///
    /// ```
    /// # use std::{convert::Infallible, future::{Ready, ready}, task::{Context, Poll}};
    /// # use bytes::Bytes;
    /// # use http::{Request, Response};
    /// # use http_body_util::Full;
    /// # #[derive(Clone)]
    /// # struct HyperClient;
    /// # impl tower_service::Service<Request<Full<Bytes>>> for HyperClient {
    /// #     type Response = Response<Full<Bytes>>;
    /// #     type Error = Infallible;
    /// #     type Future = Ready<Result<Self::Response, Infallible>>;
    /// #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> { Poll::Ready(Ok(())) }
    /// #     fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future { ready(Ok(Response::default())) }
    /// # }
    /// use bearer_token::transport;
    ///
    /// # let hyper_client = HyperClient;
    /// // For a client whose errors quote neither URLs nor responses.
    /// let transport = transport::service(hyper_client).with_causes();
    /// # let _ = transport;
    /// ```
    #[must_use]
    pub fn with_causes(mut self) -> Self {
        self.causes = true;
        self
    }

    /// The error for a service that failed. Not marked as unsent, whatever the cause: a layer may have sent the request
    /// before it failed.
    fn failed(&self, what: &str, uri: &Uri, error: BoxError) -> Error {
        let cause = match Cause::find(&*error).map(Cause::words) {
            Some((found, change)) => format!("{what}: {found}; {change}"),
            None => what.to_owned(),
        };
        let failed = Error::new(ErrorKind::Transport, format!("the token request to {} failed, {cause}", origin(uri)));
        if self.causes { failed.with_source(error) } else { failed }
    }
}

impl<S, B, RB> Transport for ServiceTransport<S, B>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: From<Bytes> + 'static,
    RB: Body<Data: Buf + Send, Error: Into<BoxError>> + Send,
{
    fn send(&self, request: Request<Bytes>) -> impl Future<Output = Result<Response<Bytes>, Error>> + Send {
        let mut service = self.service.clone();
        async move {
            let uri = request.uri().clone();
            poll_fn(|cx| service.poll_ready(cx))
                .await
                .map_err(|error| self.failed("the service is not ready", &uri, error.into()))?;
            let response = service.call(request.map(B::from));
            let response = response.await.map_err(|error| self.failed("there is no response", &uri, error.into()))?;
            read(response).await.map_err(|error| match error {
                ReadError::TooLarge => too_large(),
                ReadError::Broken(error) => self.failed("the response broke off", &uri, error),
            })
        }
    }

    // The service may add a certificate or a header of one tenant.
    fn identity(&self, identity: &mut Identity) {
        identity.unknown("transport");
    }
}

impl<S: Clone, B> Clone for ServiceTransport<S, B> {
    fn clone(&self) -> Self {
        ServiceTransport { service: self.service.clone(), causes: self.causes, body: PhantomData }
    }
}

impl<S, B> fmt::Debug for ServiceTransport<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTransport").field("causes", &self.causes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        error::Error as StdError,
        future::{Ready, ready},
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body::Frame;
    use http_body_util::Full;

    use super::*;
    use crate::transport::RESPONSE_LIMIT;

    /// Ready at the second asking; a call before that panics. Echoes the request.
    #[derive(Default)]
    struct Slow {
        asked: u32,
    }

    impl Clone for Slow {
        fn clone(&self) -> Self {
            Slow::default()
        }
    }

    impl Service<Request<Full<Bytes>>> for Slow {
        type Response = Response<Full<Bytes>>;
        type Error = BoxError;
        type Future = Ready<Result<Self::Response, BoxError>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            self.asked += 1;
            cx.waker().wake_by_ref();
            if self.asked < 2 { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
            assert_eq!(self.asked, 2, "called before it was ready");
            self.asked = 0;
            assert!(request.extensions().get::<crate::PassThrough>().is_some());
            let status = request.headers()["x-status"].to_str().unwrap().parse::<u16>().unwrap();
            ready(Ok(Response::builder().status(status).header("x-echo", "1").body(request.into_body()).unwrap()))
        }
    }

    /// Responds with a body that ends as told, after this many pieces of 64 KiB.
    #[derive(Clone)]
    struct Replying(Option<usize>, End);

    #[derive(Clone, Copy)]
    enum End {
        Ok,
        Break,
    }

    impl Service<Request<Bytes>> for Replying {
        type Response = Response<Replying>;
        type Error = Marked;
        type Future = Ready<Result<Response<Replying>, Marked>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Marked>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Bytes>) -> Self::Future {
            ready(if self.0.is_some() { Ok(Response::new(self.clone())) } else { Err(marked()) })
        }
    }

    impl Body for Replying {
        type Data = Bytes;
        type Error = Marked;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Marked>>> {
            match (self.0, self.1) {
                (Some(0) | None, End::Ok) => Poll::Ready(None),
                (Some(0) | None, End::Break) => Poll::Ready(Some(Err(marked()))),
                (Some(left), _) => {
                    self.0 = Some(left - 1);
                    Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 64 * 1024])))))
                }
            }
        }
    }

    #[derive(Debug)]
    struct Marked(io::Error);

    impl fmt::Display for Marked {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("marker")
        }
    }

    impl StdError for Marked {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn marked() -> Marked {
        Marked(io::Error::new(io::ErrorKind::ConnectionReset, "marker"))
    }

    fn request() -> Request<Bytes> {
        let mut request = Request::new(Bytes::from_static(b"marker"));
        *request.uri_mut() = Uri::from_static("https://as.example.com:8443/marker?marker");
        request.extensions_mut().insert(crate::PassThrough);
        request
    }

    #[tokio::test]
    async fn a_ready_service_returns_any_status() {
        let transport = service(Slow::default());
        for status in ["200", "302", "401", "503"] {
            let mut request = request();
            request.headers_mut().insert("x-status", status.parse().unwrap());
            let reply = transport.clone().send(request).await.unwrap();
            assert_eq!(reply.status().as_str(), status);
            assert_eq!((reply.body().as_ref(), &reply.headers()["x-echo"]), (&b"marker"[..], &"1".parse().unwrap()));
        }
    }

    #[tokio::test]
    async fn l17_a_service_response_is_read_up_to_one_mebibyte() {
        let reply = service(Replying(Some(16), End::Ok)).send(request()).await.unwrap();
        assert_eq!(reply.body().len(), RESPONSE_LIMIT);
        for pieces in [17, usize::MAX] {
            let error = service(Replying(Some(pieces), End::Ok)).send(request()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Response);
        }
    }

    #[tokio::test]
    async fn l38_an_unknown_services_errors_show_only_their_kind() {
        for (svc, what) in [
            (Replying(None, End::Ok), "there is no response"),
            (Replying(Some(1), End::Break), "the response broke off"),
        ] {
            let error = service(svc.clone()).send(request()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transport);
            let text = format!("{error} {error:?}");
            let said = format!("to https://as.example.com:8443 failed, {what}: the connection was reset; check");
            assert!(text.contains(&said), "{text}");
            assert!(!text.contains("marker"), "{text}");
            let error = service(svc).with_causes().send(request()).await.unwrap_err();
            assert_eq!(error.source().unwrap().to_string(), "marker");
        }
    }
}
