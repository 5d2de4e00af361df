//! Token requests through a tower service.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    io,
    marker::PhantomData,
};

use bytes::{Buf, Bytes};
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_service::Service;

use super::{ANSWER_LIMIT, Transport, origin, too_large};
use crate::error::{Error, ErrorKind};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Sends token requests through a tower service: any HTTP client, with any layers around it.
///
/// Each request goes to a clone of the service, once that is ready. The service must not follow redirects and must not
/// retry; see [`Transport`]. The service's errors are not passed on, see [`with_causes`](ServiceTransport::with_causes).
///
/// `B` is the body that the service takes; [`service`] finds it out.
pub struct ServiceTransport<S, B> {
    service: S,
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
/// use bearer_token::token_endpoint::{ClientCredentials, TokenEndpoint};
/// use bearer_token::transport;
///
/// # fn main() -> Result<(), bearer_token::Error> {
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
    /// Keeps the service's errors as causes of ours.
    ///
    /// Without this only the kind of an IO error among them is told: what an unknown service writes into its errors,
    /// such as URLs, headers or the server's text, would end up in logs. Use it where you know them.
    #[must_use]
    pub fn with_causes(mut self) -> Self {
        self.causes = true;
        self
    }

    fn failed(&self, what: &str, uri: &Uri, error: BoxError) -> Error {
        let kind = io_kind(&*error).map(|kind| format!(" ({kind})")).unwrap_or_default();
        let message = format!("the token request to {} failed{kind}: {what}", origin(uri));
        let failed = Error::new(ErrorKind::Transport, message);
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
            let answer = service.call(request.map(B::from));
            let answer = answer.await.map_err(|error| self.failed("there is no answer", &uri, error.into()))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_LIMIT).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    too_large()
                } else {
                    self.failed("the answer broke off", &uri, error)
                }
            })?;
            Ok(Response::from_parts(head, body.to_bytes()))
        }
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

fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}
