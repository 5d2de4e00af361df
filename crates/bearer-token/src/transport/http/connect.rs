//! Connections: to the server or to a proxy, then through it, then TLS.
//!
//! Written by hand, since the usual connectors report "connect error" for all stages. Each stage has a variant, so a
//! user knows whether the proxy or the server was not reached, and which setting named the proxy.
//!
//! ```text
//! Server    name, TCP ─────────────────────────► TLS with the server
//! Proxy     name, TCP to the proxy, perhaps TLS with it
//! Tunnel    CONNECT host:port, and its response
//! Through                                        TLS with the server, inside of the tunnel
//! ```

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::{
    meter::Metered,
    proxy::{Proxies, Proxy, ProxyRefusal},
    settings::Settings,
    stream::Stream,
    tls::{RANDOMNESS, TlsMaterial},
};
use crate::{
    error::{Error, ErrorKind},
    platform::{Clock, SystemClock, before},
    transport::{
        BoxError,
        cause::{self, Cause},
    },
};

/// How long a connection is silent before the operating system probes it. It is shorter than the idle timeouts of most
/// firewalls. So pooled connections stay open, and dead ones are noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Opens connections for hyper's client.
///
/// Cloned for each connection, as hyper asks. The clone costs reference counts.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    secure: Option<Secured>,
    timeout: Duration,
}

/// What `https` needs.
#[derive(Clone)]
pub(super) struct Secured {
    tls: Arc<ClientConfig>,
    proxies: Arc<Proxies>,
}

impl Secured {
    /// Reads the system's CA certificates and the environment's proxies, which takes a while.
    pub(super) fn read(settings: &Settings, tls: &TlsMaterial) -> Result<Self, Error> {
        let proxies = Arc::new(settings.proxy.resolve()?);
        Ok(Secured { tls: tls.config()?, proxies })
    }
}

impl Connector {
    /// A connector without TLS and without proxies. Nagle's algorithm is off: a token request is one write.
    pub(super) fn plain(settings: &Settings) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        Connector { tcp, secure: None, timeout: settings.connect_timeout }
    }

    pub(super) fn secure(settings: &Settings, secured: Secured) -> Self {
        Connector { secure: Some(secured), ..Connector::plain(settings) }
    }

    /// Opens a connection to the server of a URL, through a proxy if there is one. The timeout is around all of it, so
    /// a slow proxy and a slow server share one limit.
    async fn open(mut self, uri: Uri) -> Result<Stream, ConnectError> {
        let Some(secure) = self.secure.take().filter(|_| uri.scheme() == Some(&Scheme::HTTPS)) else {
            return self.tcp(uri).await.map_err(|error| ConnectError::new(ConnectStage::Server, error));
        };
        let Some(proxy) = secure.proxies.for_uri(&uri) else {
            let stream = self.tcp(uri.clone()).await.map_err(|error| ConnectError::new(ConnectStage::Server, error))?;
            return handshake(&secure.tls, &uri, stream)
                .await
                .map_err(|error| ConnectError::new(ConnectStage::Server, error));
        };
        let stream = self
            .connect_to_proxy(&secure.tls, &proxy)
            .await
            .map_err(|error| ConnectError::new(ConnectStage::Proxy(proxy.clone()), error))?;
        let stream = proxy
            .tunnel(stream, &uri)
            .await
            .map_err(|error| ConnectError::new(ConnectStage::Tunnel(proxy.clone()), error))?;
        handshake(&secure.tls, &uri, stream)
            .await
            .map_err(|error| ConnectError::new(ConnectStage::Through(proxy), error))
    }

    /// Looks the name up and connects, trying the addresses in turn.
    async fn tcp(&mut self, uri: Uri) -> Result<Stream, BoxError> {
        poll_fn(|cx| self.tcp.poll_ready(cx)).await?;
        Ok(Box::new(self.tcp.call(uri).await?.into_inner()))
    }

    /// Connects to the proxy, with TLS if its URL is `https`.
    async fn connect_to_proxy(&mut self, tls: &Arc<ClientConfig>, proxy: &Proxy) -> Result<Stream, BoxError> {
        let stream = self.tcp(proxy.uri().clone()).await?;
        if proxy.uri().scheme() == Some(&Scheme::HTTPS) {
            handshake(tls, proxy.uri(), stream).await
        } else {
            Ok(stream)
        }
    }
}

/// Makes TLS with the server of a URL. The name is the URL's host, without the brackets of an IPv6 address (RFC 3986
/// section 3.2.2).
async fn handshake(tls: &Arc<ClientConfig>, uri: &Uri, stream: Stream) -> Result<Stream, BoxError> {
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = ServerName::try_from(host.to_owned())?;
    if let (false, Ok(runtime)) = (RANDOMNESS.is_done(), Handle::try_current()) {
        RANDOMNESS.done(&runtime).await;
    }
    Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Metered>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    /// Opens one connection within the limit. The proxy is found beforehand, for the error of one that takes too long.
    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let limit = connector.timeout;
            let proxy = connector.secure.as_ref().and_then(|secure| secure.proxies.for_uri(&uri));
            match or_timeout(limit, connector.open(uri)).await {
                Some(opened) => Ok(TokioIo::new(Metered::new(opened?))),
                None => {
                    Err(ConnectError::new(proxy.map_or(ConnectStage::Server, ConnectStage::Through), TimedOut(limit)))
                }
            }
        })
    }
}

/// The future's output, or `None` if it takes longer than the limit.
pub(super) async fn or_timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    before(&SystemClock, SystemClock.now().monotonic().saturating_add(limit), future).await
}

/// How far a connection came.
#[derive(Debug)]
enum ConnectStage {
    /// To the server, without a proxy.
    Server,
    /// To the proxy.
    Proxy(Proxy),
    /// The proxy was asked to connect to the server.
    Tunnel(Proxy),
    /// To the server, through the proxy.
    Through(Proxy),
}

/// A connection took longer than this.
#[derive(Debug)]
struct TimedOut(Duration);

impl TimedOut {
    const CHANGE: &str = "check the host and port, and firewalls that drop packets on the way, or raise the \
                          `connect_timeout` of the transport";
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl StdError for TimedOut {}

/// A connection that could not be opened.
pub(super) struct ConnectError {
    stage: ConnectStage,
    error: BoxError,
}

impl ConnectError {
    fn new(stage: ConnectStage, error: impl Into<BoxError>) -> Self {
        ConnectError { stage, error: error.into() }
    }

    /// Finds such an error among the sources of an error of hyper's client.
    pub(super) fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        cause::chain(error).find_map(|error| error.downcast_ref())
    }

    /// The error for the user, with the cause in its sentence.
    ///
    /// Always marked as unsent: none of the stages sends a byte of the request.
    pub(super) fn explain(&self, uri: &Uri) -> Error {
        let origin = cause::origin(uri);
        let error = &*self.error as &(dyn StdError + 'static);
        let (found, change) = if let Some(refusal) = error.downcast_ref::<ProxyRefusal>() {
            refusal.words()
        } else if let Some(TimedOut(limit)) = error.downcast_ref() {
            (format!("it timed out after {limit:?}"), TimedOut::CHANGE)
        } else if let Some(cause) = Cause::find(error) {
            cause.words()
        } else {
            ("it could not be opened".to_owned(), "check the host and the port")
        };
        let message = match &self.stage {
            ConnectStage::Server => format!("no connection for the token request to {origin}: {found}; {change}"),
            ConnectStage::Through(proxy) => {
                format!("no connection for the token request to {origin} through the proxy {proxy}: {found}; {change}")
            }
            ConnectStage::Proxy(proxy) => format!(
                "no connection to the proxy {proxy} for the token request to {origin}: {found}; {change}, or set \
                 another proxy (this one is from {})",
                proxy.setting()
            ),
            ConnectStage::Tunnel(proxy) => format!(
                "no connection for the token request to {origin} through the proxy {proxy}: {found}; {change}, or set \
                 another proxy (this one is from {})",
                proxy.setting()
            ),
        };
        cause::with_io_source(Error::new(ErrorKind::Transport, message), error).unsent()
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectError").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection could not be opened")
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.error)
    }
}
