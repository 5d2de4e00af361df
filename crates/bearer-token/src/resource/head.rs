//! The head of a request, as a selector sees it.
//!
//! Clients have URLs of different types: `http::Uri`, reqwest's `Url`, strings. The head has one view of all of them.
//! Its parts are borrowed, and are taken apart only when they are asked for, because a selector runs for each request.

use http::{Extensions, HeaderMap, Method, Request, Uri};

/// The head of a request that is about to be sent: what a [selector](crate::KeyedProviders::select) may look at.
///
/// ```
/// use bearer_token::RequestHead;
///
/// let mut request = http::Request::get("https://api.example.com:8443/orders?page=2").body(()).unwrap();
/// request.extensions_mut().insert("acme");
/// let head = RequestHead::from(&request);
/// assert_eq!((head.host(), head.authority()), (Some("api.example.com"), Some("api.example.com:8443")));
/// assert_eq!((head.path(), head.query()), ("/orders", Some("page=2")));
/// assert_eq!(head.extension::<&str>(), Some(&"acme"));
/// ```
///
/// Headers are what the caller set. They may come from a client of yours, so do not take an identity from one that you
/// have not verified. Extensions are set by your own code.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    method: &'a Method,
    url: Url<'a>,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

/// The URL of a request. It is taken apart only when a selector asks for a part.
#[derive(Clone, Copy, Debug)]
enum Url<'a> {
    Uri(&'a Uri),
    Parts { scheme: &'a str, authority: &'a str, path: &'a str, query: Option<&'a str> },
    None,
}

impl<'a> RequestHead<'a> {
    /// A head without a URL, for adapters to clients whose URLs are not [`Uri`]s. Add the parts with
    /// [`url`](Self::url).
    pub fn new(method: &'a Method, headers: &'a HeaderMap, extensions: &'a Extensions) -> Self {
        RequestHead { method, url: Url::None, headers, extensions }
    }

    /// Adds the parts of a URL: `https`, `api.example.com:8443`, `/orders`, and the query without its question mark.
    #[must_use]
    pub fn url(self, scheme: &'a str, authority: &'a str, path: &'a str, query: Option<&'a str>) -> Self {
        RequestHead { url: Url::Parts { scheme, authority, path, query }, ..self }
    }

    /// The method.
    pub fn method(self) -> &'a Method {
        self.method
    }

    /// The scheme, such as `https`. `None` for a client behind a fixed connection, such as tonic's channel.
    pub fn scheme(self) -> Option<&'a str> {
        match self.url {
            Url::Uri(uri) => uri.scheme_str(),
            Url::Parts { scheme, .. } => Some(scheme),
            Url::None => None,
        }
    }

    /// The host, and its port if the URL names one; never user information. `None` if the URL has no scheme.
    pub fn authority(self) -> Option<&'a str> {
        let authority = match self.url {
            Url::Uri(uri) => uri.authority()?.as_str(),
            Url::Parts { authority, .. } => authority,
            Url::None => return None,
        };
        Some(authority.rsplit('@').next().unwrap_or(authority))
    }

    /// The host without its port, as it is spelled: compare it without regard to case. An IPv6 address keeps its
    /// brackets.
    pub fn host(self) -> Option<&'a str> {
        let authority = self.authority()?;
        match authority.rsplit_once(':') {
            // The colons of an IPv6 address are inside of its brackets.
            Some((host, port)) if !port.contains(']') => Some(host),
            _ => Some(authority),
        }
    }

    /// The path, without the query. `/` if the head has no URL.
    pub fn path(self) -> &'a str {
        match self.url {
            Url::Uri(uri) => uri.path(),
            Url::Parts { path, .. } => path,
            Url::None => "/",
        }
    }

    /// The query, without its question mark.
    pub fn query(self) -> Option<&'a str> {
        match self.url {
            Url::Uri(uri) => uri.query(),
            Url::Parts { query, .. } => query,
            Url::None => None,
        }
    }

    /// All headers of the request, before the token is inserted.
    pub fn headers(self) -> &'a HeaderMap {
        self.headers
    }

    /// The value of a header, if there is one that is visible ASCII.
    pub fn header(self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All that other layers left beside the request.
    pub fn extensions(self) -> &'a Extensions {
        self.extensions
    }

    /// An extension of this type, such as a tenant that another layer left there.
    pub fn extension<T: Send + Sync + 'static>(self) -> Option<&'a T> {
        self.extensions.get()
    }
}

impl<'a, B> From<&'a Request<B>> for RequestHead<'a> {
    #[inline]
    fn from(request: &'a Request<B>) -> Self {
        RequestHead {
            method: request.method(),
            url: Url::Uri(request.uri()),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_no_port_and_no_user_information() {
        for (uri, host, authority) in [
            ("https://api.example.com/a", Some("api.example.com"), Some("api.example.com")),
            ("https://api.example.com:8443/a", Some("api.example.com"), Some("api.example.com:8443")),
            ("https://user:word@api.example.com:8443/", Some("api.example.com"), Some("api.example.com:8443")),
            ("http://[::1]:80/", Some("[::1]"), Some("[::1]:80")),
            ("http://[::1]/", Some("[::1]"), Some("[::1]")),
            ("/orders?x=1", None, None),
        ] {
            let request = Request::get(uri).body(()).unwrap();
            let head = RequestHead::from(&request);
            assert_eq!((head.host(), head.authority()), (host, authority), "{uri}");
        }
    }
}
