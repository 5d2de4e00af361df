//! What an origin is: a scheme, a host and a port (RFC 6454 section 4).
//!
//! Nothing is resolved and no name is guessed: `example.com` and `www.example.com` are two origins. Which of them get a
//! token is decided in [`origins`](super::origins).

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use http::{Uri, uri::Authority};

/// The destination of a request, as far as its sender knows: the scheme and the authority of its URI.
///
/// Anything with a URI turns into one; adapters whose clients have URLs of another type use [`new`](Self::new).
///
/// ```
/// use bearer_token::Destination;
///
/// let api = Destination::new("https", "api.example.com");
/// assert!(api.is_same_origin(Destination::new("HTTPS", "API.example.com:443")));
/// assert!(!api.is_same_origin(Destination::new("https", "api.example.com:8443")));
/// assert!(!api.is_same_origin(Destination::new("http", "api.example.com")));
/// ```
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    pub(super) scheme: Option<&'a str>,
    pub(super) authority: Option<&'a str>,
    /// Whether the authority was read as one before.
    pub(super) is_read: bool,
}

impl<'a> Destination<'a> {
    /// A destination from the parts of a URL: its scheme (`https`) and authority (`api.example.com:8443`).
    pub fn new(scheme: &'a str, authority: &'a str) -> Self {
        Destination { scheme: Some(scheme), authority: Some(authority), is_read: false }
    }

    /// Whether both are in the same origin: scheme, host and port. A destination that cannot be read is in no origin.
    ///
    /// After a redirect, a response from another origin than the request was authorized for says nothing about the
    /// bearer.
    pub fn is_same_origin(self, other: Destination<'_>) -> bool {
        let (one, other) = (self.origin(), other.origin());
        one.is_some() && one == other
    }
}

impl<'a> Destination<'a> {
    /// The origin, if both parts are there and can be read.
    pub(crate) fn origin(self) -> Option<Origin<'a>> {
        normalise(self.scheme?, self.authority?, self.is_read).ok()
    }
}

/// The origin alone: user information may contain a password.
impl fmt::Debug for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.origin(), self.authority) {
            (Some(origin), _) => write!(f, "Destination({origin})"),
            (None, None) => f.write_str("Destination(without authority)"),
            (None, Some(_)) => f.write_str("Destination(unreadable)"),
        }
    }
}

impl<'a> From<&'a Uri> for Destination<'a> {
    #[inline]
    fn from(uri: &'a Uri) -> Self {
        Destination { scheme: uri.scheme_str(), authority: uri.authority().map(Authority::as_str), is_read: true }
    }
}

/// A scheme, host and port: default port filled in, no user information. Comparison ignores case.
///
/// It borrows the host, as requests are judged by it.
#[derive(Clone, Debug)]
pub(crate) struct Origin<'a> {
    pub(super) https: bool,
    pub(super) host: Cow<'a, str>,
    pub(super) port: u16,
}

impl Origin<'_> {
    /// What to call or to configure if the origin is meant to get tokens.
    pub(super) fn how_to_allow(&self) -> String {
        let plaintext = if self.https || is_loopback(&self.host) { "" } else { "plaintext_" };
        format!(
            "if the token is meant for it, call .allow_{plaintext}origin(\"{self}\") on the provider's builder, or \
             add it to `allow_{plaintext}origins` in its configuration"
        )
    }

    fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

impl PartialEq for Origin<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.https, self.port) == (other.https, other.port) && self.host.eq_ignore_ascii_case(&other.host)
    }
}

impl Hash for Origin<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.https, self.port).hash(state);
        self.host.bytes().for_each(|byte| state.write_u8(byte.to_ascii_lowercase()));
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { https, host, port } = self;
        write!(f, "{}://{}", self.scheme(), host.to_ascii_lowercase())?;
        if *port == default_port(*https) { Ok(()) } else { write!(f, ":{port}") }
    }
}

/// The port of a URL that names none (RFC 9110 section 4.2).
pub(super) fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Reads an origin from a configuration: nothing but scheme, host and port. Also gives the authority as spelled.
///
/// Problems do not repeat the string, because a path or a query may contain a secret.
pub(super) fn parse(text: &str) -> Result<(Origin<'static>, String), String> {
    if text.contains('@') {
        return Err("found user information before the host, which an origin does not have".to_owned());
    }
    if text.contains('*') {
        return Err("found a `*`, but origins are compared as they are: list each one".to_owned());
    }
    if text.contains('#') {
        return Err("found a fragment, which an origin does not have".to_owned());
    }
    if !text.is_ascii() {
        return Err("found a host that is not ASCII: write it in Punycode (`xn--..`), as requests do".to_owned());
    }
    if !text.is_empty() && !text.starts_with('/') && !text.contains("://") {
        return Err("found no scheme: write `https://` in front of it".to_owned());
    }
    let uri: Uri = text.parse().map_err(|_| "found something that is not a URL".to_owned())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("found no scheme or no host".to_owned());
    };
    if uri.path_and_query().is_some_and(|path| path != "/") {
        return Err("found a path or a query, which an origin does not have: remove it".to_owned());
    }
    let Origin { https, host, port } = normalise(scheme, authority.as_str(), true)?;
    Ok((Origin { https, host: Cow::Owned(host.into_owned()), port }, authority.as_str().to_owned()))
}

/// Splits an authority into host and port. Unless `is_read`, it also checks that the string is an authority.
pub(super) fn normalise<'a>(scheme: &str, authority: &'a str, is_read: bool) -> Result<Origin<'a>, String> {
    let https = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => true,
        _ if scheme.eq_ignore_ascii_case("http") => false,
        other => return Err(format!("found the scheme `{other}`")),
    };
    // The part before the last `@` is user information. It may contain a password, so it is never shown.
    let host_and_port = authority.rsplit('@').next().unwrap_or(authority);
    let (host, port) = match host_and_port.rsplit_once(':') {
        // The colons of an IPv6 address stand inside brackets.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (host_and_port, ""),
    };
    let port = match port {
        "" => default_port(https),
        digits => digits.parse().map_err(|_| "found a port that is not a number up to 65535".to_owned())?,
    };
    if host.is_empty() {
        return Err("found no host".to_owned());
    }
    // `evil.example.net/@api.example.com`: a URL with such a string leads to the first host, because the
    // authority ends at the slash (RFC 3986 section 3.2).
    if !is_read && Authority::from_str(authority).is_err() {
        return Err("found characters around the host that no authority has".to_owned());
    }
    // An IPv6 address has many spellings.
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).and_then(|host| host.parse().ok());
    let host = address.map_or(Cow::Borrowed(host), |address: Ipv6Addr| Cow::Owned(format!("[{address}]")));
    Ok(Origin { https, host, port })
}

/// Whether a host can only be this machine (RFC 6761 section 6.3, RFC 4291 section 2.5.3).
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bare {
        Some(address) => address.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback()),
        None => {
            // `localhost`, `app.localhost`, and the same with the dot of a full name.
            let name = host.strip_suffix('.').unwrap_or(host);
            let top = name.rsplit('.').next().unwrap_or(name);
            top.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l38_debug_of_a_destination_shows_the_origin_only() {
        for (uri, expected) in [
            ("https://user:hunter2@API.example.com:8443/hunter2?hunter2", "Destination(https://api.example.com:8443)"),
            ("https://hunter2@api.example.com", "Destination(https://api.example.com)"),
            ("/hunter2", "Destination(without authority)"),
            ("hunter2@api.example.com:443", "Destination(unreadable)"),
        ] {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(format!("{:?}", Destination::from(&uri)), expected);
        }
        for (scheme, authority) in [("hunter2", "a"), ("https", "hunter2/@a"), ("https", "a:hunter2"), ("https", "a b")]
        {
            assert_eq!(format!("{:?}", Destination::new(scheme, authority)), "Destination(unreadable)");
        }
    }

    #[test]
    fn l42_the_same_origin_is_recognised_in_any_spelling() {
        let same = |one: (&'static str, &'static str), other: (&'static str, &'static str)| {
            Destination::new(one.0, one.1).is_same_origin(Destination::new(other.0, other.1))
        };
        assert!(same(("https", "api.example.com"), ("HTTPS", "API.example.com:443")));
        assert!(same(("https", "[2001:db8:0::1]:8443"), ("https", "[2001:DB8::1]:8443")));
        assert!(same(("https", "[2001:db8::1]"), ("https", "[2001:db8::1]:443")));
        assert!(!same(("https", "api.example.com"), ("http", "api.example.com")));
        assert!(!same(("https", "api.example.com"), ("https", "other.example.com")));
        assert!(!same(("ftp", "a"), ("ftp", "a")));
    }
}
