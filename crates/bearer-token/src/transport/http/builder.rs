//! The settings of the default transport.
//!
//! The safe properties (no redirects, no retries, a limit on the body) are not settings. What can be set is what an
//! environment forces on a program: its CAs, its proxy, its certificate, its patience.

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;
use zeroize::Zeroizing;

use super::{
    HttpTransport,
    proxy::{Proxy, ProxyRule},
    settings::Settings,
    tls::{TlsFiles, TlsInput},
};
use crate::{
    error::Error,
    problem::{Advice, Problem, Problems},
    value::Value,
};

/// Builds an [`HttpTransport`].
///
/// Nothing fails before [`build`](Self::build), which reports every problem at once.
///
/// ```
/// use bearer_token::transport::HttpTransport;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let transport = HttpTransport::builder().connect_timeout(Duration::from_secs(2)).no_proxy().build()?;
/// # let _ = transport; Ok(()) }
/// ```
///
/// Give the transport to an endpoint with
/// [`TokenEndpointBuilder::transport`](crate::oauth::TokenEndpointBuilder::transport). Clones share connections and
/// certificates, so build one and clone it for each tenant.
#[must_use = "a builder does nothing until `build` is called"]
#[derive(Default)]
pub struct HttpTransportBuilder {
    /// Places, which are read at `build()` and again when they change.
    tls: TlsInput,
    proxy: Option<Zeroizing<String>>,
    no_proxy: bool,
    connect_timeout: Option<Duration>,
    timeout: Option<Duration>,
    title_case_headers: bool,
    user_agent: Option<String>,
}

impl HttpTransportBuilder {
    /// Trusts these CA certificates, in PEM, as well as the system's. Every call adds some.
    ///
    /// ```no_run
    /// use bearer_token::{Value, transport::HttpTransport};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let transport = HttpTransport::builder()
    ///     .ca(Value::file("/etc/reporting/ca.pem"))
    ///     .certificate(Value::file("/run/reporting/tls.crt"))
    ///     .key(Value::file("/run/reporting/tls.key"))
    ///     .build()?;
    /// # let _ = transport; Ok(()) }
    /// ```
    ///
    /// A [`Value`] is the PEM itself, or says where to read it. Files are read again when they change. New connections
    /// then use what is in them; idle ones are closed, and requests in progress continue. While a file is missing or
    /// half written, or does not match the others, the previous certificates stay in use, and an event reports it.
    ///
    /// A literal is the PEM itself and not a path: a path is a problem that says so. Android's own CAs cannot be
    /// extended; use [`only_ca`](Self::only_ca) there.
    pub fn ca(mut self, pem: impl Into<Value>) -> Self {
        self.tls.cas.push(("ca", pem.into()));
        self
    }

    /// Trusts these CA certificates, in PEM, and not the system's. Every call adds some.
    ///
    /// For a private authorization server: a certificate from a public CA is then refused as well, so a mistake in DNS
    /// cannot send credentials elsewhere. It is also the way where the system has no CAs, as in a container from
    /// scratch.
    pub fn only_ca(mut self, pem: impl Into<Value>) -> Self {
        self.tls.only_these_cas = true;
        self.tls.cas.push(("only_ca", pem.into()));
        self
    }

    /// The client's certificate and its chain, in this order and in PEM. Its private key can follow them, or be set
    /// with [`key`](Self::key).
    ///
    /// For servers that identify the client by its certificate
    /// ([RFC 8705](https://www.rfc-editor.org/rfc/rfc8705)), and for those that require one of every connection.
    ///
    /// ```
    /// use bearer_token::{Value, transport::HttpTransport};
    ///
    /// let error = HttpTransport::builder().key(Value::file("/run/tls/tls.key")).build().unwrap_err();
    /// assert_eq!(error.problems()[0].path(), "key");
    /// assert!(error.to_string().contains("is set without the client's certificate"));
    /// ```
    ///
    /// The API usually has to see the same certificate, because tokens are bound to it (RFC 8705 section 3). Set it in
    /// the API's client as well.
    pub fn certificate(mut self, pem: impl Into<Value>) -> Self {
        self.tls.certificate = Some(pem.into());
        self
    }

    /// The private key of the client's [`certificate`](Self::certificate): PKCS#8, PKCS#1 or SEC1 in PEM, not
    /// encrypted.
    ///
    /// An encrypted key is a problem with the command that decrypts it. If the certificate's PEM has a key as well,
    /// this one counts.
    pub fn key(mut self, pem: impl Into<Value>) -> Self {
        self.tls.key = Some(pem.into());
        self
    }

    /// The proxy for every request to an `https` URL: `http://host:port`, or `https://..` for TLS up to the proxy.
    /// Credentials are part of the URL (`http://user:password@host:port`). Replaces the proxy of the environment, and
    /// its `NO_PROXY`.
    ///
    /// Only tunnels are used (`CONNECT`, RFC 9110 section 9.3.6), so the proxy sees host names and no credentials. For
    /// SOCKS, use `reqwest_bearer::ClientTransport`.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(Zeroizing::new(url.into()));
        self
    }

    /// Uses no proxy, and ignores the environment's.
    ///
    /// For a program that must not depend on variables of its environment. Together with [`proxy`](Self::proxy) it is a
    /// problem at `build()`.
    pub fn no_proxy(mut self) -> Self {
        self.no_proxy = true;
        self
    }

    /// How long a connection may take to open, with name lookup, proxy and TLS. Default: 5 s.
    ///
    /// It ends an attempt whose packets a firewall drops. Without it, such an attempt would use up the whole time of the
    /// fetch. Zero is a problem at `build()`.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// Limits the whole token request. Default: no separate limit, because the fetch has a deadline
    /// ([`Policy::fetch_timeout`](crate::Policy::fetch_timeout)).
    ///
    /// An error of kind [`Timeout`](crate::ErrorKind::Timeout) that names the server, instead of one that only says
    /// that the fetch was late. It is useful if it is shorter than the fetch's time.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Writes header names in title case (`Authorization`), for servers that treat them as case-sensitive.
    ///
    /// Header names are case-insensitive (RFC 9110 section 5.1), and some old gateways compare them as bytes.
    pub fn title_case_headers(mut self) -> Self {
        self.title_case_headers = true;
        self
    }

    /// The `User-Agent` of token requests. Default: `bearer-token/VERSION`.
    ///
    /// Some providers ask for a name with a way to contact you.
    ///
    /// ```
    /// use bearer_token::transport::HttpTransport;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let transport = HttpTransport::builder().user_agent("reports/1.4 (ops@example.com)").build()?;
    /// # let _ = transport; Ok(()) }
    /// ```
    pub fn user_agent(mut self, value: impl Into<String>) -> Self {
        self.user_agent = Some(value.into());
        self
    }

    /// Builds the transport.
    ///
    /// # Errors
    ///
    /// Reads the files with certificates and keys, which blocks for a moment. The error is of kind
    /// [`Config`](crate::ErrorKind::Config), with everything that is wrong with the certificates, the key, the
    /// proxy and the timeouts.
    ///
    /// The system's CA certificates are not read here but with the first request: that takes tens of milliseconds, and
    /// a transport may never be used.
    pub fn build(self) -> Result<HttpTransport, Error> {
        let mut problems = Problems::default();
        let mut settings =
            Settings { timeout: self.timeout, title_case_headers: self.title_case_headers, ..Settings::default() };
        settings.proxy = self.proxy_rule(&mut problems);
        if let Some(limit) = self.connect_timeout {
            settings.connect_timeout = limit;
        }
        for (path, limit) in [("connect_timeout", self.connect_timeout), ("timeout", self.timeout)] {
            if limit.is_some_and(|limit| limit.is_zero()) {
                problems.add(Problem::new(path, "found zero").expecting("a time such as 5 s"));
            }
        }
        if let Some(value) = &self.user_agent {
            match HeaderValue::try_from(value) {
                Ok(value) => settings.user_agent = value,
                Err(_) => problems.add(
                    Problem::new("user_agent", "found a character that no header can have").expecting("visible ASCII"),
                ),
            }
        }
        match TlsFiles::new(self.tls) {
            Ok(tls) => settings.tls = Arc::new(tls),
            Err(more) => problems.extend(more),
        }
        problems.into_result("the HTTP transport cannot be built")?;
        Ok(HttpTransport::with(settings))
    }

    /// The proxy that was set, checked. After a mistake, the rest of the checks runs without a proxy, and the build
    /// fails.
    fn proxy_rule(&self, problems: &mut Problems) -> ProxyRule {
        match &self.proxy {
            None if self.no_proxy => ProxyRule::Never,
            None => ProxyRule::Environment,
            Some(_) if self.no_proxy => {
                let problem = Problem::new("proxy", "is set together with `no_proxy`");
                problems.add(problem.advise(Advice::remove("proxy")).advise(Advice::remove("no_proxy")));
                ProxyRule::Never
            }
            Some(url) => Proxy::parse(url, "`HttpTransport::builder().proxy(..)`").map_or_else(
                |problem| {
                    problems.add(problem);
                    ProxyRule::Never
                },
                ProxyRule::Always,
            ),
        }
    }
}

impl fmt::Debug for HttpTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the proxy, which may contain a password.
        f.debug_struct("HttpTransportBuilder")
            .field("tls", &self.tls)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
