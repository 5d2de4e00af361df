//! Token requests through a client with middlewares.

use bearer_token::{
    Error, ErrorKind,
    transport::{ANSWER_LIMIT, Transport},
};
use bytes::{Bytes, BytesMut};
use reqwest_middleware::ClientWithMiddleware;

/// Sends token requests through a client with middlewares: for tracing, metrics or a proxy that all requests share.
///
/// The client may even carry the [`BearerMiddleware`](crate::BearerMiddleware) of the provider that it serves: token
/// requests pass through it untouched. It must not follow redirects (`redirect::Policy::none()`) and must not retry:
/// every attempt needs a fresh assertion, and the token endpoint sees to that.
#[derive(Clone, Debug)]
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
        let mut extensions = request.extensions().clone();
        let request = reqwest::Request::try_from(request)
            .map_err(|_| Error::new(ErrorKind::Config, "the token endpoint's URL is not one that reqwest can use"))?;
        let asked = request.url().clone();
        let mut answer = self.client.execute_with_extensions(request, &mut extensions).await.map_err(|error| {
            let error = error.without_url();
            Error::new(ErrorKind::Transport, "the token request could not be sent, or was not answered")
                .with_source(error)
        })?;
        if *answer.url() != asked {
            return Err(Error::new(
                ErrorKind::Answer,
                "the token request was redirected, and the client followed; give the transport a client with \
                 `redirect::Policy::none()`",
            ));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| {
            Error::new(ErrorKind::Transport, "the authorization server's answer broke off")
                .with_source(error.without_url())
        })? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(Error::new(ErrorKind::Answer, "the authorization server's answer is larger than 1 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = http::Response::new(body.freeze());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}
