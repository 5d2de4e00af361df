//! Token requests through reqwest.

use std::fmt;

use bearer_token::{
    Error, ErrorKind, Identity, Retry,
    adapter::{client_error, read_response},
    transport::Transport,
};
use bytes::Bytes;
use http::Uri;
use reqwest::{Client, Url};
use reqwest_middleware::ClientWithMiddleware;

mod builder;
#[cfg(feature = "transport-tls")]
mod tls;

pub use self::builder::ClientTransportBuilder;

/// Sends token requests through a reqwest client of yours.
///
/// bearer-token's own `HttpTransport` does without reqwest and sets everything up by itself. This one is for what only
/// reqwest has: another TLS library, SOCKS, a resolver. [`builder`](Self::builder) makes a client that is safe for
/// token requests.
///
/// A client of your own, for connections that are shared, must not follow redirects:
/// `ClientBuilder::redirect(Policy::none())`. It would send the credentials wherever the server points. A response from
/// another URL is refused, but then it is too late. It must not retry either
/// (`ClientBuilder::retry(reqwest::retry::never())`), since each attempt needs an assertion of its own.
///
/// A `Fleet` shares the tokens of such an endpoint only under a name (`share_as`). The client may have a certificate or
/// default headers of one tenant, which cannot be compared.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest::{redirect::Policy, retry};
/// use reqwest_bearer::ClientTransport;
///
/// let client = reqwest::Client::builder().redirect(Policy::none()).retry(retry::never()).build()?;
/// let transport = ClientTransport::new(client);
/// # let _ = transport; Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClientTransport {
    client: Client,
}

impl ClientTransport {
    /// Starts building a client for token requests.
    pub fn builder() -> ClientTransportBuilder {
        ClientTransportBuilder::default()
    }

    /// Sends through this client.
    pub fn new(client: Client) -> Self {
        ClientTransport { client }
    }
}

impl Transport for ClientTransport {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        let uri = request.uri().clone();
        let request = convert(request)?;
        let asked = request.url().clone();
        let response = self.client.execute(request).await.map_err(|error| failed(&uri, &error))?;
        read(&uri, &asked, response).await
    }

    // The client may have a certificate or default headers of one tenant, which cannot be asked for.
    fn identity(&self, identity: &mut Identity) {
        identity.unknown("transport");
    }
}

impl fmt::Debug for ClientTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the client: its default headers may hold an API key.
        f.debug_struct("ClientTransport").finish_non_exhaustive()
    }
}

/// Sends token requests through a client with middlewares: for tracing, metrics or a proxy that all requests share.
///
/// The client may even carry the [`BearerMiddleware`](crate::BearerMiddleware) of the provider that it serves: token
/// requests pass through it untouched. It must neither follow redirects nor retry; see [`ClientTransport`].
#[derive(Clone)]
pub struct MiddlewareTransport {
    client: ClientWithMiddleware,
}

impl MiddlewareTransport {
    /// Sends through this client.
    pub fn new(client: ClientWithMiddleware) -> Self {
        MiddlewareTransport { client }
    }
}

impl Transport for MiddlewareTransport {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        // `PassThrough` is among them: the conversion to reqwest's request would lose it.
        let mut extensions = request.extensions().clone();
        let uri = request.uri().clone();
        let request = convert(request)?;
        let asked = request.url().clone();
        match self.client.execute_with_extensions(request, &mut extensions).await {
            Ok(response) => read(&uri, &asked, response).await,
            Err(reqwest_middleware::Error::Reqwest(error)) => Err(failed(&uri, &error)),
            // Not as the source: a middleware's error can contain anything.
            Err(reqwest_middleware::Error::Middleware(_)) => Err(Error::new(
                ErrorKind::Source,
                "a middleware of the client that carries token requests refused this one: check that middleware",
            )),
        }
    }

    fn identity(&self, identity: &mut Identity) {
        identity.unknown("transport");
    }
}

impl fmt::Debug for MiddlewareTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the client: its default headers may hold an API key.
        f.debug_struct("MiddlewareTransport").finish_non_exhaustive()
    }
}

fn convert(request: http::Request<Bytes>) -> Result<reqwest::Request, Error> {
    reqwest::Request::try_from(request).map_err(|error| {
        Error::config("reqwest cannot use the URL of the token endpoint: check it", []).with_source(error.without_url())
    })
}

/// The cause in words of ours. reqwest's own error can contain URLs, and names from the server's certificate.
fn failed(uri: &Uri, error: &reqwest::Error) -> Error {
    if error.is_redirect() {
        return Error::new(
            ErrorKind::Response,
            "the HTTP client refused a redirect of the token endpoint: set the URL that the server redirects to",
        );
    }
    client_error(uri, error)
}

/// Reads a response, if it is from the URL that was asked.
async fn read(uri: &Uri, asked: &Url, response: reqwest::Response) -> Result<http::Response<Bytes>, Error> {
    if response.url() != asked {
        return Err(Error::new(
            ErrorKind::Response,
            "the HTTP client followed a redirect of the token endpoint, and the credentials went along; expected none: \
             set `redirect(Policy::none())` on the client that carries token requests",
        )
        .with_retry(Retry::AfterChange));
    }
    read_response(uri, response.into()).await
}
