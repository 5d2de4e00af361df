//! Proxies for `https`: which one, and the tunnel through it.
//!
//! Proxies come from variables that other programs define, so their rules are curl's: which variable counts, what
//! `NO_PROXY` means. Two rules are stricter. Loopback and plain `http` never use a proxy, because it would see the
//! credentials. And a malformed variable is an error, because going direct in silence is what such a variable is to
//! prevent.

use std::{env, error::Error as StdError, fmt, sync::Arc};

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stream::Stream;
use crate::{
    error::Error,
    problem::{Advice, Problem},
    resource::origin::is_loopback,
    transport::{BoxError, cause::Cause},
};

/// Which proxy requests use.
///
/// Kept as a rule and resolved with the first request: the environment belongs to the running process.
#[derive(Clone, Debug)]
pub(super) enum ProxyRule {
    /// The one that the environment names, for hosts that are neither loopback nor in `NO_PROXY`.
    Environment,
    /// This one, for every host.
    Always(Proxy),
    /// None, whatever the environment says.
    Never,
}

impl ProxyRule {
    /// Finds the proxies of this rule. Reads the environment if the rule names it.
    pub(super) fn resolve(&self) -> Result<Proxies, Error> {
        match self {
            ProxyRule::Never => Ok(Proxies { proxy: None, rest: None }),
            ProxyRule::Always(proxy) => Ok(Proxies { proxy: Some(proxy.clone()), rest: None }),
            ProxyRule::Environment => Proxies::from_variables(|name| env::var(name).ok()),
        }
    }
}

/// The proxy in use, and the hosts that are reached without it.
pub(super) struct Proxies {
    proxy: Option<Proxy>,
    /// Intercepts everything but the hosts of `NO_PROXY`.
    rest: Option<Matcher>,
}

impl Proxies {
    /// In the order of curl, for `https`. Empty variables count as unset.
    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let get = |name: &&'static str| Some((*name, variable(name).filter(|value| !value.trim().is_empty())?));
        let named = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].iter().find_map(get);
        let Some((name, url)) = named else { return Ok(Proxies { proxy: None, rest: None }) };
        let proxy = Proxy::parse(url.trim(), name)
            .map_err(|problem| Error::config("the proxy of the environment is unusable", [problem.at(name)]))?;
        let except = ["NO_PROXY", "no_proxy"].iter().find_map(get).map(|(_, value)| value).unwrap_or_default();
        let rest = Matcher::builder().all("http://proxy.invalid").no(except).build();
        Ok(Proxies { proxy: Some(proxy), rest: Some(rest) })
    }

    /// The proxy for a URL, if there is one. A proxy that was set by the user applies to loopback as well: the user
    /// named it.
    pub(super) fn for_uri(&self, uri: &Uri) -> Option<Proxy> {
        let passes = match &self.rest {
            Some(rest) => !is_loopback(uri.host()?) && rest.intercept(uri).is_some(),
            None => true,
        };
        self.proxy.clone().filter(|_| passes)
    }
}

/// A proxy that opens tunnels (RFC 9110 section 9.3.6). Shown by its origin, without credentials.
#[derive(Clone)]
pub(super) struct Proxy(Arc<Parts>);

/// The URL without credentials, the header with them, and the setting. Credentials are only in the header, which no
/// message shows.
struct Parts {
    uri: Uri,
    credentials: Option<HeaderValue>,
    /// The setting that named the proxy. For the advice: a variable and a method are changed in different places.
    setting: &'static str,
}

impl Proxy {
    /// Parses a proxy's URL; without a scheme it is `http`. The problem does not repeat the URL.
    pub(super) fn parse(url: &str, setting: &'static str) -> Result<Self, Problem> {
        let problem = |found: &'static str| {
            Problem::new("proxy", found)
                .expecting("`http://host:port`, with credentials as `http://user:password@host:port`")
        };
        let unusable = || problem("found something that is not the URL of a proxy");
        let uri: Uri = url.parse().map_err(|_| unusable())?;
        match uri.scheme_str() {
            Some("http" | "https") | None => (),
            Some(scheme) if scheme.starts_with("socks") => {
                let advice = "use a reqwest client with SOCKS, through `reqwest_bearer::ClientTransport`";
                return Err(problem("found a SOCKS proxy").advise(Advice::text(advice)));
            }
            Some(_) => return Err(unusable()),
        }
        // The matcher splits the credentials off and encodes them.
        let any = Uri::from_static("https://as.example.com/");
        let found = Matcher::builder().all(url.to_owned()).build().intercept(&any).ok_or_else(unusable)?;
        if found.uri().host().is_none_or(str::is_empty) {
            return Err(unusable());
        }
        let (uri, credentials) = (found.uri().clone(), found.basic_auth().cloned());
        Ok(Proxy(Arc::new(Parts { uri, credentials, setting })))
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// The variable or method that named it.
    pub(super) fn setting(&self) -> &'static str {
        self.0.setting
    }

    /// Asks the proxy for a tunnel to the host of the URL.
    ///
    /// Reads the response head only. Bytes after it cannot exist, as the client speaks first in TLS; if there are any,
    /// it is not a tunnel.
    pub(super) async fn tunnel(&self, mut stream: Stream, uri: &Uri) -> Result<Stream, BoxError> {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(443);
        let mut head = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
        if let Some(credentials) = &self.0.credentials {
            head.extend_from_slice(b"Proxy-Authorization: ");
            head.extend_from_slice(credentials.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        stream.write_all(&head).await?;
        stream.flush().await?;

        let mut response = Vec::new();
        loop {
            let mut piece = [0; 1024];
            let read = stream.read(&mut piece).await?;
            if read == 0 {
                return Err(if response.is_empty() { ProxyRefusal::Silent } else { ProxyRefusal::NotHttp }.into());
            }
            response.extend_from_slice(&piece[..read]);
            match status(&response) {
                // In TLS the client speaks first, so no bytes from the server can follow the head.
                Some(200..300) if response.ends_with(b"\r\n\r\n") => return Ok(stream),
                Some(200..300) if response.len() < LONGEST_HEAD => (),
                None if response.len() < STATUS_LINE => (),
                Some(200..300) | None => return Err(ProxyRefusal::NotHttp.into()),
                Some(status) => return Err(ProxyRefusal::Status(status).into()),
            }
        }
    }
}

/// As much of a response as its status needs, in bytes.
const STATUS_LINE: usize = "HTTP/1.1 200".len();

/// The longest head of a proxy's response, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// The status code of a response's first line.
///
/// HTTP/1.0 and 1.1: some proxies respond with the former.
fn status(response: &[u8]) -> Option<u16> {
    let digits = response.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|status| (100..1000).contains(status))
}

/// What a proxy did instead of opening the tunnel.
#[derive(Debug)]
pub(super) enum ProxyRefusal {
    /// The proxy responded with this status.
    Status(u16),
    /// What it sent is not a response of HTTP.
    NotHttp,
    /// It closed the connection without a response.
    Silent,
}

impl ProxyRefusal {
    /// What was found, and what to change.
    pub(super) fn words(&self) -> (String, &'static str) {
        match self {
            ProxyRefusal::Status(407) => Cause::ProxyCredentials.words(),
            ProxyRefusal::Status(status @ 500..) => (
                format!("the proxy could not connect to the server (HTTP status {status})"),
                "check the token endpoint URL, and the proxy's own network",
            ),
            ProxyRefusal::Status(status) => {
                (format!("the proxy refused the connection (HTTP status {status})"), "allow the host at the proxy")
            }
            ProxyRefusal::NotHttp => ("the server there is not an HTTP proxy".into(), "check the proxy's address"),
            ProxyRefusal::Silent => ("the proxy closed the connection".into(), "check the proxy"),
        }
    }
}

impl fmt::Display for ProxyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proxy opened no tunnel")
    }
}

impl StdError for ProxyRefusal {}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::transport::cause::origin(&self.0.uri))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, Error> {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Proxies::from_variables(move |wanted| {
            variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn the_environment_names_the_proxy_for_each_host() {
        const PROXY: (&str, &str) = ("HTTPS_PROXY", "http://proxy.example:3128");
        let shown = Some("http://proxy.example:3128");
        for (variables, url, expected) in [
            (&[][..], "https://as.example.com/token", None),
            (&[PROXY], "https://as.example.com/token", shown),
            (&[("https_proxy", "proxy.example:3128")], "https://as.example.com/token", shown),
            (&[("ALL_PROXY", "http://proxy.example:3128/")], "https://as.example.com/token", shown),
            (&[("HTTPS_PROXY", ""), ("all_proxy", " http://proxy.example:3128 ")], "https://as.example.com/", shown),
            (&[("HTTP_PROXY", "http://proxy.example:3128")], "https://as.example.com/token", None),
            (&[PROXY], "https://localhost/token", None),
            (&[PROXY], "https://127.0.0.1:8443/token", None),
            (&[PROXY], "https://[::1]/token", None),
            (&[PROXY, ("NO_PROXY", "example.com")], "https://as.example.com/token", None),
            (&[PROXY, ("no_proxy", ".example.com")], "https://as.example.com/token", None),
            (&[PROXY, ("NO_PROXY", "10.0.0.0/8")], "https://10.1.2.3/token", None),
            (&[PROXY, ("NO_PROXY", "*")], "https://as.example.com/token", None),
            (&[PROXY, ("NO_PROXY", "example.org")], "https://as.example.com/token", shown),
        ] {
            let proxies = proxies(variables).unwrap();
            let found = proxies.for_uri(&Uri::from_static(url)).map(|proxy| proxy.to_string());
            assert_eq!(found.as_deref(), expected, "{variables:?} {url}");
        }
    }

    #[test]
    fn a_malformed_proxy_is_an_error_that_names_the_variable() {
        for (value, part) in [
            ("socks5://planted@proxy.example:1080", "SOCKS"),
            ("ftp://planted@proxy.example", "`http://host:port`"),
            ("http://", "`http://host:port`"),
            ("http://planted planted", "`http://host:port`"),
            ("/planted", "`http://host:port`"),
        ] {
            let error = proxies(&[("HTTPS_PROXY", value)]).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Config);
            let message = error.to_string();
            assert!(message.contains("HTTPS_PROXY") && message.contains(part), "{value}: {message}");
            assert!(!message.contains("planted"), "{message}");
        }
    }

    #[test]
    fn l38_debug_shows_no_credentials() {
        let proxy = Proxy::parse("http://planted:planted@proxy.example:3128", "`proxy`").unwrap();
        assert_eq!(format!("{proxy} {proxy:?}"), "http://proxy.example:3128 \"http://proxy.example:3128\"");
        assert!(proxy.0.credentials.as_ref().unwrap().is_sensitive());
    }
}
