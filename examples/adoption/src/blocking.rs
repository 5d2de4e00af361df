//! Requests without `await`: what `reqwest::blocking`, ureq and others share.

use bearer_token::{Authorized, Destination, Error, Ticket, TokenProvider};
use http::HeaderMap;

/// Puts a token into the headers of a request, unless its origin gets none. Blocks until there is a token.
///
/// The ticket reports a refusal: `ticket.reject(response.headers())`.
pub fn authorize(
    provider: &TokenProvider,
    to: Destination<'_>,
    headers: &mut HeaderMap,
) -> Result<Option<Ticket>, Error> {
    Ok(match provider.authorize_headers(to, headers)? {
        Authorized::Inserted(ticket) => Some(ticket),
        Authorized::NotReady => provider.token_blocking()?.attach(headers),
        _ => None,
    })
}

/// Sends a request through `reqwest::blocking`.
pub fn send(
    client: &reqwest::blocking::Client,
    provider: &TokenProvider,
    mut request: reqwest::blocking::Request,
) -> Result<reqwest::blocking::Response, Box<dyn std::error::Error>> {
    let url = request.url().clone();
    let ticket = authorize(provider, Destination::new(url.scheme(), url.authority()), request.headers_mut())?;
    let response = client.execute(request)?;
    // A redirect to another origin is followed without the token, so its 401 does not concern the token.
    if let Some(ticket) = ticket
        && response.url().origin() == url.origin()
        && provider.is_rejection(response.status(), response.headers())
    {
        ticket.reject(response.headers());
    }
    Ok(response)
}
