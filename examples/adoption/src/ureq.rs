//! ureq 3: a middleware.

use bearer_token::{Destination, TokenProvider};
use ureq::{
    Body, SendBody,
    http::{Request, Response},
    middleware::{Middleware, MiddlewareNext},
};

use crate::blocking::authorize;

/// Puts the provider's tokens into requests: `Agent::config_builder().middleware(Bearer(provider))`.
///
/// ureq follows redirects below its middlewares, and takes `Authorization` off at each of them by default.
pub struct Bearer(pub TokenProvider);

impl Middleware for Bearer {
    fn handle(&self, mut request: Request<SendBody>, next: MiddlewareNext) -> Result<Response<Body>, ureq::Error> {
        let uri = request.uri().clone();
        let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |a| a.as_str()));
        let ticket = authorize(&self.0, Destination::new(scheme, authority), request.headers_mut());
        let ticket = ticket.map_err(|error| ureq::Error::Other(error.into()))?;
        let response = next.handle(request);
        // With `http_status_as_error`, the default, a 401 becomes an error above the middlewares.
        if let (Some(ticket), Ok(response)) = (ticket, &response)
            && self.0.is_rejection(response.status(), response.headers())
        {
            ticket.reject(response.headers());
        }
        response
    }
}
