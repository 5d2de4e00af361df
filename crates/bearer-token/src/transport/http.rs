//! The default transport: hyper and rustls, set up for token requests and for nothing else.
//!
//! The pieces, in the order in which a request meets them:
//!
//! | piece | does |
//! |---|---|
//! | `client.rs` | finds the hyper client of this runtime, or makes one |
//! | `tls/files.rs` | looks whether certificates changed, and reads them again |
//! | `connect.rs` | opens a connection: name, port, proxy, tunnel, TLS, each with its own error |
//! | `proxy.rs` | which proxy, and the `CONNECT` through it |
//! | `meter.rs` | reads in portions, up to a limit |
//! | `tls.rs`, `tls/certificates.rs` | rustls's configuration, from PEM |

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use http::{Request, Response, header::USER_AGENT, uri::Scheme};
use tokio::runtime::Handle;

use super::{Transport, body::read_response, cause::client_error};
use crate::{
    error::{Error, ErrorKind},
    source::Identity,
};

mod builder;
mod client;
mod connect;
mod meter;
mod proxy;
mod settings;
mod stream;
mod tls;

pub use self::builder::HttpTransportBuilder;
use self::{
    client::Clients,
    connect::{ConnectError, or_timeout},
    settings::Settings,
};

/// The transport that token requests use by default. A clone shares the connections.
///
/// Token endpoints without a transport of their own use the [shared](Self::shared) one of the process, so a thousand
/// tenants of one authorization server need one set of CA certificates and few connections.
///
/// It speaks HTTP/1.1, and TLS 1.2 or 1.3 by rustls with the system's CA certificates. It never follows redirects,
/// never retries, keeps no cookies, and reads at most [`RESPONSE_LIMIT`](super::RESPONSE_LIMIT) bytes. Connections
/// take 5 s at most. [`builder`](Self::builder) sets other CAs, a client certificate, a proxy and timeouts.
///
/// Requests to `https` URLs use the proxy of the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), which sees host
/// names only. Requests to loopback, and requests in plain `http`, never use it: it would see the credentials.
///
/// Errors name the cause of a failed connection: the host name, the port, the proxy, the certificate.
///
/// It needs a tokio runtime with IO and time; without one it fails with an error.
///
/// # Cryptography
///
/// TLS uses the rustls `CryptoProvider` that the process has installed. If there is none, it uses aws-lc-rs with the
/// feature `rustls-aws-lc-rs`, and fails with an error without it.
///
/// The first handshake of a process waits while aws-lc gathers entropy from the jitter of the CPU, for 20 to 50 ms. A
/// thread that may block does so, while the CA certificates are read and the TCP connection is opened. With
/// `AWS_LC_SYS_NO_JITTER_ENTROPY=1` in the environment of the build, it takes its entropy from the operating system, at
/// once.
///
/// # Defaults
///
/// | setting | default |
/// |---|---|
/// | CA certificates | the system's |
/// | client certificate | none |
/// | proxy | the environment's, for `https` to hosts other than loopback |
/// | time for a connection | 5 s |
/// | time for a request | that of the fetch |
/// | idle connections | closed after 90 s |
/// | protocol | HTTP/1.1, which every authorization server speaks; token requests are rare, so streams of HTTP/2 gain nothing |
///
/// # What an error looks like
///
/// ```text
/// no connection for the token request to https://as.example.com: its certificate expired (3 days ago); renew it on the
/// server, or correct this machine's clock
/// ```
///
/// # Security
///
/// Credentials travel in each request, so everything that could send them elsewhere is off or checked:
///
/// | danger | what is done |
/// |---|---|
/// | a redirect to another host | it is a response like others, and the token endpoint refuses it |
/// | a resend of a single-use assertion | the transport never retries |
/// | a proxy that reads credentials | only tunnels are used, and never for plain `http` |
/// | a server that sends without end | 1 MiB of body, 2 MiB in all, with pauses for other tasks |
/// | an error that quotes a URL or a response | errors show the origin, and words of this crate |
/// | a pooled connection with an old client certificate | changed certificates close it when it is idle |
#[derive(Clone)]
pub struct HttpTransport(Arc<Inner>);

/// What the clones of a transport share. The settings never change. What they lead to (clients, certificates) does, and
/// is behind locks of its own.
struct Inner {
    settings: Settings,
    clients: Clients,
}

impl HttpTransport {
    /// The transport that all token endpoints of the process use by default, with the default settings.
    ///
    /// The CA certificates and the proxy of the environment are read when the first request is sent, and kept for the
    /// life of the process. Connections are pooled by origin and by tokio runtime. Each connection carries one request
    /// at a time, so a server that hangs delays no request to another.
    ///
    /// For connections that are not shared, or to have the system's CAs read again, give an endpoint a
    /// [`new`](Self::new) transport, or one from [`builder`](Self::builder):
    ///
    /// ```
    /// # use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
    /// use bearer_token::transport::HttpTransport;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let source = TokenEndpoint::builder("https://auth.example.com/token", ClientCredentials::new())
    ///     .client_auth(ClientAuth::basic("reporting", "secret"))
    ///     .transport(HttpTransport::new())
    ///     .build()?;
    /// # let _ = source; Ok(()) }
    /// ```
    ///
    /// It is created at the first call, and never dropped. Calling it is cheap, and all callers get the same one.
    pub fn shared() -> Self {
        static SHARED: LazyLock<HttpTransport> = LazyLock::new(HttpTransport::new);
        SHARED.clone()
    }

    /// A transport with the default settings and connections of its own.
    ///
    /// The CA certificates are read when the first request is sent. A machine without any is an error of that request.
    ///
    /// It opens no connection and reads no file before it is used. Use it for tests that must not share connections, or
    /// to have CA certificates of the system read again.
    pub fn new() -> Self {
        HttpTransport::with(Settings::default())
    }

    /// A builder for other settings.
    ///
    /// ```
    /// use bearer_token::transport::HttpTransport;
    ///
    /// // Every mistake is reported, and files are read now.
    /// let error = HttpTransport::builder()
    ///     .ca("/etc/ssl/certs/ca.pem")
    ///     .proxy("socks5://proxy.example.com:1080")
    ///     .user_agent("reports\n")
    ///     .build()
    ///     .unwrap_err();
    /// assert_eq!(error.problems().len(), 3);
    /// assert!(error.to_string().contains("what looks like a path, instead of the file's content"));
    /// ```
    pub fn builder() -> HttpTransportBuilder {
        HttpTransportBuilder::default()
    }

    fn with(settings: Settings) -> Self {
        HttpTransport(Arc::new(Inner { settings, clients: Clients::default() }))
    }
}

impl Default for HttpTransport {
    fn default() -> Self {
        HttpTransport::new()
    }
}

impl Transport for HttpTransport {
    /// Checks for a runtime first: without one, hyper would panic.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(Error::config(
                "token requests need a tokio runtime, and there is none here: use the provider inside one, or give it \
                 one with `Platform::with_spawn(Handle)`",
                [],
            ));
        };
        let settings = &self.0.settings;
        let Some(limit) = settings.timeout else { return self.exchange(&runtime, request).await };
        let uri = request.uri().clone();
        match or_timeout(limit, self.exchange(&runtime, request)).await {
            Some(result) => result,
            None => Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "{} did not respond to the token request within {limit:?}: check the server, or raise the `timeout` \
                     of the transport",
                    super::cause::origin(&uri)
                ),
            )),
        }
    }

    /// The client's certificate, which may be all that tells one client from another (RFC 8705 section 2).
    fn identity(&self, identity: &mut Identity) {
        self.0.settings.tls.identity(identity);
    }
}

impl HttpTransport {
    /// Sends one request, and reads the whole response. The client's errors are of two kinds: our connector's, which
    /// know the stage, and hyper's, which are explained by their sources.
    async fn exchange(&self, runtime: &Handle, mut request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let uri = request.uri().clone();
        let plain = uri.scheme() == Some(&Scheme::HTTP);
        let client = self.0.clients.get(runtime, &self.0.settings, plain).await?;
        request.headers_mut().entry(USER_AGENT).or_insert_with(|| self.0.settings.user_agent.clone());
        let response = client.request(request.map(Into::into)).await;
        let response = response.map_err(|error| match ConnectError::find(&error) {
            Some(error) => error.explain(&uri),
            None => client_error(&uri, &error),
        })?;
        read_response(&uri, response).await
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { tls, proxy, connect_timeout, timeout, title_case_headers, .. } = &self.0.settings;
        f.debug_struct("HttpTransport")
            .field("tls", tls)
            .field("proxy", proxy)
            .field("connect_timeout", connect_timeout)
            .field("timeout", timeout)
            .field("title_case_headers", title_case_headers)
            .finish()
    }
}

#[cfg(test)]
mod tests;
