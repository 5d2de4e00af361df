//! reqwest 0.12, for code that cannot use 0.13 and `reqwest-bearer` yet.

use bearer_token::{Authorized, Destination, Error, Ticket, TokenProvider};
use reqwest012::{Client, Request, Response};

/// Sends a request with a token. Build the client with `.redirect(Policy::none())`: 0.12 keeps the token at some
/// redirects from https to http.
pub async fn send(
    client: &Client,
    provider: &TokenProvider,
    mut request: Request,
) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
    let ticket = authorize(provider, &mut request).await?;
    let response = client.execute(request).await?;
    if let Some(ticket) = ticket
        && provider.is_rejection(response.status(), response.headers())
    {
        ticket.reject(response.headers());
    }
    Ok(response)
}

async fn authorize(provider: &TokenProvider, request: &mut Request) -> Result<Option<Ticket>, Error> {
    let url = request.url().clone();
    let to = Destination::new(url.scheme(), url.authority());
    Ok(match provider.authorize_headers(to, request.headers_mut())? {
        Authorized::Inserted(ticket) => Some(ticket),
        Authorized::NotReady => provider.token().await?.attach(request.headers_mut()),
        _ => None,
    })
}
