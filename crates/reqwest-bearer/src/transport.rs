//! Token requests through a client with middlewares.

use std::fmt;

use bearer_token::{Error, ErrorKind, adapter::read_response, transport::Transport};
use bytes::Bytes;
use reqwest_middleware::ClientWithMiddleware;

/// Sends token requests through a client with middlewares: for tracing, metrics or a proxy that all requests share.
///
/// The client may even carry the [`BearerMiddleware`](crate::BearerMiddleware) of the provider that it serves: token
/// requests pass through it untouched. It must not follow redirects (`redirect::Policy::none()`) and must not retry:
/// every attempt needs a fresh assertion, and the token endpoint sees to that.
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
        let request = reqwest::Request::try_from(request).map_err(|error| {
            Error::new(ErrorKind::Config, "reqwest cannot use the URL").with_source(error.without_url())
        })?;
        let asked = request.url().clone();
        match self.client.execute_with_extensions(request, &mut extensions).await {
            Ok(answer) => read_response(&asked, answer).await,
            Err(error) => Err(failed(error)),
        }
    }
}

impl fmt::Debug for MiddlewareTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the client: its default headers may hold an API key.
        f.debug_struct("MiddlewareTransport").finish_non_exhaustive()
    }
}

fn failed(error: reqwest_middleware::Error) -> Error {
    match error {
        reqwest_middleware::Error::Reqwest(error) => {
            let message = "the token request could not be sent, or was not answered";
            Error::new(ErrorKind::Transport, message).with_source(error.without_url())
        }
        // Not as the cause: nobody knows what it shows.
        reqwest_middleware::Error::Middleware(_) => {
            Error::new(ErrorKind::Source, "a middleware of the client that carries token requests refused this one")
        }
    }
}
