//! Token requests through reqwest.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::reqwest::{Client, Url, redirect, retry};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, uri::Scheme};
use tokio::runtime::{Handle, Id};

use super::{RESPONSE_LIMIT, Transport, too_large};
use crate::error::{Error, ErrorKind, Retry};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const USER_AGENT: &str = concat!("bearer-token/", env!("CARGO_PKG_VERSION"));

/// Sends token requests through reqwest. A clone shares the connections.
///
/// Its own client, from [`new`](Self::new): rustls with the system's CA certificates, no redirects, no retries, no
/// cookies, 5 s to connect, the user agent `bearer-token/VERSION`. `https` honours the proxy of the environment
/// (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), which sees host names only. Plain `http`, to loopback or by explicit
/// choice, never goes through a proxy, which would see the credentials.
///
/// For a client certificate, a CA of your own, or another proxy, configure a client and pass it to
/// [`from_client`](Self::from_client).
///
/// It needs a tokio runtime with IO and time; without one it fails with an error.
#[derive(Clone)]
pub struct ReqwestTransport(Clients);

#[derive(Clone)]
enum Clients {
    Own(Arc<OwnClients>),
    Given(Client),
}

impl ReqwestTransport {
    /// With a client of its own, which is made when the first request is sent: a machine without CA certificates, say,
    /// is an error of that request and not of this call.
    pub fn new() -> Self {
        ReqwestTransport(Clients::Own(Arc::default()))
    }

    /// With a client of yours.
    ///
    /// It must not follow redirects: `ClientBuilder::redirect(Policy::none())`. The client would send the credentials
    /// wherever the server points to; an answer from another URL than the one that was asked is refused, but then it is
    /// too late. It should not retry either (`ClientBuilder::retry(reqwest::retry::never())`), since each attempt needs
    /// an assertion of its own.
    pub fn from_client(client: Client) -> Self {
        ReqwestTransport(Clients::Given(client))
    }
}

impl Default for ReqwestTransport {
    fn default() -> Self {
        ReqwestTransport::new()
    }
}

impl Transport for ReqwestTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(Error::new(
                ErrorKind::Config,
                "token requests through reqwest need a tokio runtime, and there is none here: use the provider inside \
                 one, or give it one with `Platform::with_spawn(Handle)`",
            ));
        };
        let plain = request.uri().scheme() == Some(&Scheme::HTTP);
        let client = match &self.0 {
            Clients::Own(clients) => clients.get(&runtime, plain).await?,
            Clients::Given(client) => client.clone(),
        };
        let request = ::reqwest::Request::try_from(request).map_err(|error| {
            Error::new(ErrorKind::Config, "reqwest cannot use the URL").with_source(error.without_url())
        })?;
        let asked = request.url().clone();
        let answer = client.execute(request).await.map_err(|error| failed(error, &asked))?;
        read_response(&asked, answer).await
    }
}

/// Reads an answer as a transport must: from the URL that was asked, and at most [`RESPONSE_LIMIT`] bytes of it.
///
/// For transports of your own that are built on reqwest.
///
/// # Errors
///
/// Of kind [`Answer`](ErrorKind::Response) when the client followed a redirect or the answer is too large, of kind
/// [`Transport`](ErrorKind::Transport) or [`Timeout`](ErrorKind::Timeout) when it broke off.
pub async fn read_response(asked: &Url, mut answer: ::reqwest::Response) -> Result<Response<Bytes>, Error> {
    if answer.url() != asked {
        return Err(Error::new(
            ErrorKind::Response,
            "the HTTP client followed a redirect of the token endpoint, and the credentials went along; expected none: \
             set `redirect(Policy::none())` on the client that carries token requests",
        )
        .with_retry(Retry::AfterChange));
    }
    let mut head = Response::new(());
    *head.status_mut() = answer.status();
    *head.headers_mut() = std::mem::take(answer.headers_mut());
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(error, asked))? {
        if body.len() + chunk.len() > RESPONSE_LIMIT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(head.map(|()| body.freeze()))
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Clients::Own(_) => "ReqwestTransport(own client)",
            Clients::Given(_) => "ReqwestTransport(given client)",
        })
    }
}

/// One client for `https` and one for plain `http`, each together with the runtime that it belongs to.
///
/// A pooled connection is driven by the runtime that opened it. Should that one be gone, or alive but no longer driven,
/// requests from another would wait on a connection that never moves: so a new runtime gets a new client.
#[derive(Default)]
struct OwnClients {
    secure: Slot,
    plain: Slot,
}

type Slot = Mutex<Option<(Id, Client)>>;

impl OwnClients {
    async fn get(&self, runtime: &Handle, plain: bool) -> Result<Client, Error> {
        let slot = if plain { &self.plain } else { &self.secure };
        if let Some((owner, client)) = &*slot.lock().unwrap_or_else(PoisonError::into_inner)
            && *owner == runtime.id()
        {
            return Ok(client.clone());
        }
        // Reading the system's CA certificates takes tens of milliseconds: too long for a poll. Nobody waits for this
        // but the one fetch; should two of them meet, both clients are good.
        let client = runtime.spawn_blocking(move || make_client(plain)).await.map_err(|_| {
            Error::new(ErrorKind::Abandoned, "the runtime was shut down before the token request was sent")
        })??;
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some((runtime.id(), client.clone()));
        Ok(client)
    }
}

fn make_client(plain: bool) -> Result<Client, Error> {
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .referer(false)
        .tls_backend_rustls()
        // Another crate's choice of reqwest features changes nothing here.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate();
    // Plain `http` has no use for CA certificates, and works where there are none.
    let builder = if plain { builder.no_proxy().tls_certs_only([]) } else { builder.https_only(true) };
    builder.build().map_err(|error| {
        Error::new(
            ErrorKind::Config,
            "the HTTPS client for token requests cannot be made: install CA certificates (the package is often called \
             `ca-certificates`) or point `SSL_CERT_FILE` to them, or pass a client to `ReqwestTransport::from_client`",
        )
        .with_source(error.without_url())
    })
}

/// reqwest's own words are kept as the cause, without the URL.
fn failed(error: ::reqwest::Error, asked: &Url) -> Error {
    // A query can contain account numbers, and worse.
    let origin = asked.origin().ascii_serialization();
    let (kind, message) = if error.is_connect() {
        let check = "check the URL, the name service, proxies, firewalls and certificates";
        (ErrorKind::Transport, format!("no connection to {origin} for the token request: {check}"))
    } else if error.is_redirect() {
        (
            ErrorKind::Response,
            "the HTTP client refused a redirect of the token endpoint: set the URL that answers".into(),
        )
    } else if error.is_timeout() {
        (ErrorKind::Timeout, format!("{origin} did not answer the token request within the HTTP client's own timeout"))
    } else {
        (ErrorKind::Transport, format!("the connection to {origin} broke before the token request was answered"))
    };
    Error::new(kind, message).with_source(error.without_url())
}

#[cfg(test)]
mod tests;
