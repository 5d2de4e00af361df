//! The settings of a client for token requests.

use std::{env, fmt, time::Duration};

use bearer_token::{Error, Problem};
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, redirect::Policy, retry};

use super::ClientTransport;

/// Builds a [`ClientTransport`] whose client is safe for token requests, whatever is set:
///
/// | | |
/// |---|---|
/// | redirects | none, because credentials would go wherever the server points |
/// | retries | none, because each attempt needs an assertion of its own |
/// | proxies | for https alone, and only the one that is set, or that of the environment |
/// | time | 5 s to connect and 60 s in all, unless set otherwise; the deadline of the fetch usually comes first |
/// | responses | at most 1 MiB, however they are compressed |
///
/// Nothing fails before [`build`](Self::build), which reports every problem at once.
///
/// ```
/// # #[cfg(feature = "transport-tls")]
/// # fn example() -> Result<(), bearer_token::Error> {
/// use reqwest_bearer::ClientTransport;
///
/// let transport = ClientTransport::builder()
///     .ca(std::fs::read("/etc/reporting/ca.pem").map_err(bearer_token::Error::other)?)
///     .proxy("http://proxy.example.com:3128")
///     .configure(|client| client.local_address(std::net::IpAddr::from([10, 0, 0, 7])))
///     .build()?;
/// // `TokenEndpoint::builder(..).transport(transport)` takes it.
/// # let _ = transport; Ok(()) }
/// ```
#[must_use = "a builder does nothing until `build` is called"]
#[derive(Default)]
pub struct ClientTransportBuilder {
    configure: Option<Box<dyn FnOnce(ClientBuilder) -> ClientBuilder + Send>>,
    proxy: Option<String>,
    no_proxy: bool,
    connect_timeout: Option<Duration>,
    timeout: Option<Duration>,
    #[cfg(feature = "transport-tls")]
    tls: super::tls::Tls,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(60);

impl ClientTransportBuilder {
    /// Sets the proxy for requests to `https` URLs: `http://host:port`, with credentials as part of the URL. Replaces
    /// the proxy of the environment, and its `NO_PROXY`.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Uses no proxy, and ignores the environment's.
    pub fn no_proxy(mut self) -> Self {
        self.no_proxy = true;
        self
    }

    /// Limits the time to open a connection. Default: 5 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// Limits the whole token request. Default: 60 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets what this builder has no method for: a resolver, another TLS library, an address to bind to. Redirects,
    /// retries, proxies and timeouts that it sets are replaced by those of this builder.
    pub fn configure(mut self, configure: impl FnOnce(ClientBuilder) -> ClientBuilder + Send + 'static) -> Self {
        self.configure = match self.configure {
            Some(first) => Some(Box::new(|client| configure(first(client)))),
            None => Some(Box::new(configure)),
        };
        self
    }

    /// Trusts these CA certificates, in PEM, as well as the system's. Further calls add more.
    #[cfg(feature = "transport-tls")]
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.ca.push(pem.into());
        self
    }

    /// Trusts these CA certificates, in PEM, in place of the system's. Further calls add more.
    #[cfg(feature = "transport-tls")]
    pub fn only_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.only_ca.push(pem.into());
        self
    }

    /// Sets the client's certificate with its chain and its private key, in one PEM
    /// ([RFC 8705](https://www.rfc-editor.org/rfc/rfc8705)).
    #[cfg(feature = "transport-tls")]
    pub fn identity(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.identity = Some(pem.into());
        self
    }

    /// Builds the transport.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](bearer_token::ErrorKind::Config), with everything that is wrong with the certificates, the
    /// proxy and the timeouts.
    pub fn build(mut self) -> Result<ClientTransport, Error> {
        let mut problems = Vec::new();
        let configure = self.configure.take();
        let client = configure.map_or_else(Client::builder, |configure| configure(Client::builder()));
        let client = self.bounded(client, &mut problems);
        #[cfg(feature = "transport-tls")]
        let client = self.tls.applied(client, &mut problems);
        let failed = "the client for token requests cannot be built";
        if !problems.is_empty() {
            return Err(Error::config(failed, problems));
        }
        // reqwest's error may quote what was set.
        let client = client.build().map_err(|_| {
            let found = "found a setting of `configure`, a certificate or a key that reqwest cannot use";
            Error::config(failed, [Problem::new("client", found)])
        })?;
        Ok(ClientTransport::new(client))
    }

    /// Adds what keeps token requests safe, after everything else.
    fn bounded(&self, client: ClientBuilder, problems: &mut Vec<Problem>) -> ClientBuilder {
        for (path, limit) in [("connect_timeout", self.connect_timeout), ("timeout", self.timeout)] {
            if limit.is_some_and(|limit| limit.is_zero()) {
                problems.push(Problem::new(path, "found zero").expecting("a time such as 5 s"));
            }
        }
        if self.proxy.is_some() && self.no_proxy {
            problems.push(Problem::new("no_proxy", "found a `proxy` as well").expecting("one of them"));
        }
        let client = client
            .redirect(Policy::none())
            .retry(retry::never())
            .connect_timeout(self.connect_timeout.unwrap_or(CONNECT_TIMEOUT))
            .timeout(self.timeout.unwrap_or(TIMEOUT))
            // It takes away those of `configure` and of the environment, which also has one for plain http.
            .no_proxy();
        match self.https_proxy(|name| env::var(name).ok()) {
            Some(Ok(proxy)) => client.proxy(proxy),
            Some(Err(problem)) => {
                problems.push(problem);
                client
            }
            None => client,
        }
    }

    /// The proxy that is set, or else that of the environment.
    fn https_proxy(&self, variable: impl Fn(&str) -> Option<String>) -> Option<Result<Proxy, Problem>> {
        if let Some(url) = &self.proxy {
            return Some(Proxy::https(url).map_err(|_| proxy_problem("proxy")));
        }
        if self.no_proxy {
            return None;
        }
        let named = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find_map(|name| {
            let value = variable(name).filter(|value| !value.trim().is_empty())?;
            Some((name, value))
        });
        let (name, url) = named?;
        let except = ["NO_PROXY", "no_proxy"].into_iter().find_map(variable);
        let except = except.and_then(|names| NoProxy::from_string(&names));
        let proxy = Proxy::https(url.trim()).map(|proxy| proxy.no_proxy(except));
        Some(proxy.map_err(|_| proxy_problem(name)))
    }
}

/// The URL is not quoted, because it may contain a password.
fn proxy_problem(path: &str) -> Problem {
    Problem::new(path, "found something that is not the URL of a proxy").expecting("one such as `http://host:port`")
}

impl fmt::Debug for ClientTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the proxy, whose URL may contain a password, nor the key.
        f.debug_struct("ClientTransportBuilder")
            .field("no_proxy", &self.no_proxy)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_a_proxy_for_https_alone() {
        for (variables, found) in [
            (&[][..], None),
            (&[("HTTP_PROXY", "http://proxy.example.com:1")], None),
            (&[("HTTPS_PROXY", " ")], None),
            (&[("HTTPS_PROXY", "http://proxy.example.com:1")], Some(true)),
            (&[("all_proxy", "http://proxy.example.com:1")], Some(true)),
            (&[("https_proxy", "http://user:planted@["), ("NO_PROXY", "x")], Some(false)),
        ] {
            let variable =
                |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            let proxy = ClientTransportBuilder::default().https_proxy(variable);
            assert_eq!(proxy.as_ref().map(Result::is_ok), found, "{variables:?}");
            if let Some(Err(problem)) = proxy {
                assert_eq!(problem.path(), "https_proxy");
                assert!(!problem.to_string().contains("planted"));
            }
            assert!(ClientTransportBuilder::default().no_proxy().https_proxy(variable).is_none());
        }
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let builder = ClientTransport::builder()
            .proxy("http://user:planted@[")
            .no_proxy()
            .timeout(Duration::ZERO)
            .connect_timeout(Duration::ZERO);
        assert!(!format!("{builder:?}").contains("planted"));
        let error = builder.build().unwrap_err();
        let paths: Vec<&str> = error.problems().iter().map(Problem::path).collect();
        assert_eq!(paths, ["connect_timeout", "timeout", "no_proxy", "proxy"]);
        assert!(!format!("{error:?} {error}").contains("planted"));
    }
}
