//! Which origins a token may be sent to.
//!
//! An origin is a scheme, a host and a port (RFC 6454 section 4). Nothing is resolved and no name is guessed:
//! `example.com` and `www.example.com` are two origins.
//!
//! # The rule
//!
//! | the request goes to | origins are allowed | none is allowed yet |
//! |---|---|---|
//! | an allowed origin | token | - |
//! | another https origin | no token; an error with `refuse_other_origins` | error |
//! | loopback | no token; an error with `refuse_other_origins` | token |
//! | `http`, to another machine | error | error |
//! | a URI without authority, and `connection_origin` is set | as that origin | as that origin |
//! | a URI without authority, and it is not set | error: where it goes is unknown | token |
//! | an authority alone (`CONNECT`) | no token: it is for a proxy | no token |
//! | another scheme, or an authority that cannot be read | error | error |
//!
//! A comparison of bytes with the allowed origins comes before the rule. It decides nearly all requests, and allows
//! none that the rule would refuse.
//!
//! Errors name the origin and the method to call. They never repeat user information or a path, which may be secrets.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use http::{Uri, uri::Authority};

use crate::{
    error::{Error, ErrorKind},
    problem::{Advice, Problem, Problems},
    sync::{Mutex, lock},
};

mod spelling;

use self::spelling::{is_host_alone, is_usual_loopback};

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
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    /// Whether the authority was read as one before.
    is_read: bool,
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
    https: bool,
    host: Cow<'a, str>,
    port: u16,
}

/// One allowed origin.
#[derive(Clone, Debug)]
struct Allowed {
    origin: Origin<'static>,
    /// The authority as most requests spell it. In the usual case, one comparison of bytes is enough.
    spelled: String,
    /// The same with the default port spelled out, or left out.
    other: String,
}

/// The rule of one provider.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    allowed: Vec<Allowed>,
    any_https: bool,
    refuse_others: bool,
    /// Whether this stands for a rule that is asked elsewhere: it allows nothing as spelled, not even loopback.
    asked_elsewhere: bool,
    /// The origin of URIs without authority, if the user declared it, and what the rule decides about it.
    connection: Option<(Origin<'static>, OriginVerdict)>,
}

/// The rules of many providers, equal ones once. So a warm request of any of them finds its rule in the processor's caches.
#[derive(Default)]
pub(crate) struct SharedOrigins(Mutex<Vec<Arc<Origins>>>);

/// The most rules that are compared. With more of them, each provider has its own.
const MOST_SHARED: usize = 16;

impl SharedOrigins {
    /// The rule, shared with all providers that have an equal one.
    pub(crate) fn shared(&self, rule: Origins) -> Arc<Origins> {
        let mut rules = lock(&self.0);
        if let Some(same) = rules.iter().find(|other| other.is_same(&rule)) {
            return same.clone();
        }
        let rule = Arc::new(rule);
        if rules.len() < MOST_SHARED {
            rules.push(rule.clone());
        }
        rule
    }
}

/// What the rule decides about one request.
#[derive(Clone, Debug)]
pub(crate) enum OriginVerdict {
    Authorize,
    /// Another origin: the request is sent without a token.
    Pass,
    Refuse(Error),
}

const AN_ORIGIN: &str = "an origin such as `https://api.example.com`";

impl Allowed {
    fn new(origin: Origin<'static>, spelled: String) -> Self {
        let Origin { https, host, port } = &origin;
        let (with_port, is_default) = (format!("{host}:{port}"), *port == default_port(*https));
        let other = if is_default && spelled.eq_ignore_ascii_case(&with_port) { host.to_string() } else { with_port };
        Allowed { origin, spelled, other }
    }

    /// Whether this is one of the two spellings, in any case of the letters.
    fn is_spelled(&self, authority: &str) -> bool {
        self.spelled.eq_ignore_ascii_case(authority) || self.other.eq_ignore_ascii_case(authority)
    }
}

impl Origins {
    /// Stands for a rule that is asked elsewhere.
    pub(crate) fn asked_elsewhere() -> Self {
        Origins { asked_elsewhere: true, ..Origins::default() }
    }

    /// Allows an origin. Without `plaintext` only `https`, or `http` to loopback.
    pub(crate) fn allow(&mut self, text: &str, plaintext: bool, path: &str, problems: &mut Problems) {
        match parse(text) {
            Err(found) => problems.add(Problem::new(path, found).expecting(AN_ORIGIN)),
            Ok((origin, _)) if !origin.https && !plaintext && !is_loopback(&origin.host) => problems.add(
                Problem::new(path, format!("found `{origin}`"))
                    .expecting("`https://`, because a token would travel in the clear")
                    .advise(Advice::text("change the scheme"))
                    .advise(Advice::set("allow_plaintext_origin")),
            ),
            Ok((origin, spelled)) => self.allowed.push(Allowed::new(origin, spelled)),
        }
    }

    /// Whether both were given the same origins, spelled alike and in the same order.
    fn is_same(&self, other: &Self) -> bool {
        fn declared(rule: &Origins) -> Option<&Origin<'static>> {
            rule.connection.as_ref().map(|(origin, _)| origin)
        }
        let flags = |rule: &Self| (rule.any_https, rule.refuse_others);
        let same = |(one, other): (&Allowed, &Allowed)| one.origin == other.origin && one.spelled == other.spelled;
        flags(self) == flags(other)
            && declared(self) == declared(other)
            && self.allowed.len() == other.allowed.len()
            && self.allowed.iter().zip(&other.allowed).all(same)
    }

    /// Allows all of https. Plain `http` stays what it was.
    pub(crate) fn allow_any_https(&mut self) {
        self.any_https = true;
    }

    /// Makes requests to other origins fail, in place of going out without a token.
    pub(crate) fn refuse_others(&mut self) {
        self.refuse_others = true;
    }

    /// Declares the origin of URIs without authority. Call it after all origins have been allowed, because it is
    /// checked here, once.
    pub(crate) fn connection(&mut self, text: &str, problems: &mut Problems) {
        match parse(text) {
            Ok((origin, _)) => {
                let verdict = self.judge_origin(&origin);
                self.connection = Some((origin, verdict));
            }
            Err(found) => problems.add(Problem::new("connection_origin", found).expecting(AN_ORIGIN)),
        }
    }

    /// Reports a declared connection to an origin that is not allowed: its requests would go out without a token.
    pub(crate) fn check_connection(&self, problems: &mut Problems) {
        if let Some((origin, OriginVerdict::Pass | OriginVerdict::Refuse(_))) = &self.connection {
            let problem = Problem::new("connection_origin", format!("found `{origin}`"));
            let secure = origin.https || is_loopback(&origin.host);
            problems.add(problem.expecting("one of the allowed origins").advise(Advice::set(if secure {
                "allow_origin"
            } else {
                "allow_plaintext_origin"
            })));
        }
    }

    /// Whether this is an allowed origin in a usual spelling. [`judge`](Self::judge) knows all spellings, but takes
    /// longer.
    #[inline]
    pub(crate) fn allow_as_spelled(&self, to: Destination<'_>) -> bool {
        let (Some(scheme), Some(authority)) = (to.scheme, to.authority) else { return false };
        // Literals, which are compared in place and not by a call.
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return false,
        };
        self.allowed.iter().any(|allowed| allowed.origin.https == https && allowed.spelled == authority)
            || self.allow_in_other_spelling(https, authority)
    }

    /// The usual spellings besides the one that the user wrote. A text that is none of them is left to the parser.
    fn allow_in_other_spelling(&self, https: bool, authority: &str) -> bool {
        if self.any_https && https && is_host_alone(authority) {
            return true;
        }
        if !self.is_any_allowed() {
            return !self.asked_elsewhere && is_usual_loopback(authority);
        }
        self.allowed.iter().any(|allowed| allowed.origin.https == https && allowed.is_spelled(authority))
    }

    /// Applies the rule of the [module docs](self) to a destination, however it is spelled.
    pub(crate) fn judge(&self, to: Destination<'_>) -> OriginVerdict {
        let (Some(scheme), Some(authority)) = (to.scheme, to.authority) else {
            // An authority alone asks a proxy for a tunnel (CONNECT). The token is not for the proxy.
            if to.authority.is_some() {
                return OriginVerdict::Pass;
            }
            return self.judge_connection();
        };
        match normalise(scheme, authority, to.is_read) {
            Ok(origin) => self.judge_origin(&origin),
            Err(found) => OriginVerdict::Refuse(Error::new(
                ErrorKind::Origin,
                format!("{found}; expected an http or https URI: the request was not sent"),
            )),
        }
    }

    /// A client behind a fixed connection (tonic's channel) adds the authority later.
    fn judge_connection(&self) -> OriginVerdict {
        match &self.connection {
            Some((_, verdict)) => verdict.clone(),
            None if self.is_any_allowed() => OriginVerdict::Refuse(Error::new(
                ErrorKind::Origin,
                "the request's URI has no scheme and no host, as it is around tonic's channel, so its origin is \
                 unknown; expected to know it: call .connection_origin(\"https://api.example.com\") on the provider's \
                 builder, with the origin of the connection, or set `connection_origin` in its configuration",
            )),
            None => OriginVerdict::Authorize,
        }
    }

    /// Whether the user named an origin, or all of https.
    pub(crate) fn is_any_allowed(&self) -> bool {
        !self.allowed.is_empty() || self.any_https
    }

    /// The rule for a destination that could be read.
    fn judge_origin(&self, origin: &Origin<'_>) -> OriginVerdict {
        if self.allowed.iter().any(|allowed| allowed.origin == *origin) || (self.any_https && origin.https) {
            return OriginVerdict::Authorize;
        }
        if !self.is_any_allowed() {
            if is_loopback(&origin.host) {
                return OriginVerdict::Authorize;
            }
            return OriginVerdict::Refuse(Error::new(
                ErrorKind::Origin,
                format!("the request goes to `{origin}`, and no origin is allowed yet; {}", origin.how_to_allow()),
            ));
        }
        let downgrade = !origin.https && !is_loopback(&origin.host);
        if self.refuse_others || downgrade {
            let why = if downgrade { "in the clear, " } else { "" };
            return OriginVerdict::Refuse(Error::new(
                ErrorKind::Origin,
                format!(
                    "the request goes {why}to `{origin}`, which is not among the allowed origins; {}",
                    origin.how_to_allow()
                ),
            ));
        }
        OriginVerdict::Pass
    }
}

impl Origin<'_> {
    /// What to call or to configure if the origin is meant to get tokens.
    fn how_to_allow(&self) -> String {
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
fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Reads an origin from a configuration: nothing but scheme, host and port. Also gives the authority as spelled.
///
/// Problems do not repeat the string, because a path or a query may contain a secret.
fn parse(text: &str) -> Result<(Origin<'static>, String), String> {
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
        return Err("found a path or a query, which an origin does not have".to_owned());
    }
    let Origin { https, host, port } = normalise(scheme, authority.as_str(), true)?;
    Ok((Origin { https, host: Cow::Owned(host.into_owned()), port }, authority.as_str().to_owned()))
}

/// Splits an authority into host and port. Unless `is_read`, it also checks that the string is an authority.
fn normalise<'a>(scheme: &str, authority: &'a str, is_read: bool) -> Result<Origin<'a>, String> {
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
mod property_tests;
#[cfg(test)]
mod tests {
    use super::*;

    fn origins(allowed: &[&str]) -> Origins {
        let mut origins = Origins::default();
        let mut problems = Problems::default();
        for text in allowed {
            origins.allow(text, false, "allow_origin", &mut problems);
        }
        problems.into_result("origins").unwrap();
        origins
    }

    #[test]
    fn usual_spellings_need_no_parser() {
        let named = origins(&["https://api.example.com", "https://b.example.com:443", "https://c.example.com:8443"]);
        let mut any = Origins::default();
        any.allow_any_https();
        let loopback = origins(&[]);
        for (rule, uri, expected) in [
            (&named, "https://api.example.com/", true),
            (&named, "https://api.example.com:443/", true),
            (&named, "https://API.example.com/", true),
            (&named, "https://b.example.com/", true),
            (&named, "https://c.example.com:8443/", true),
            (&named, "https://c.example.com/", false),
            (&named, "https://api.example.com:8443/", false),
            (&named, "http://api.example.com:443/", false),
            (&named, "http://127.0.0.1/", false),
            (&any, "https://api.example.com/", true),
            (&any, "http://api.example.com/", false),
            (&any, "https://user@api.example.com/", false),
            (&any, "http://127.0.0.1/", false),
            (&loopback, "http://127.0.0.1:8080/", true),
            (&loopback, "http://localhost/", true),
            (&loopback, "https://[::1]:8443/", true),
            (&loopback, "http://127.0.0.1:99999/", false),
            (&loopback, "http://127.0.0.1.example.com/", false),
            (&loopback, "https://api.example.com/", false),
            (&Origins::asked_elsewhere(), "http://127.0.0.1:8080/", false),
        ] {
            let parsed: Uri = uri.parse().unwrap();
            assert_eq!(rule.allow_as_spelled(Destination::from(&parsed)), expected, "{uri}");
        }
    }

    fn judged(origins: &Origins, uri: &str) -> &'static str {
        let uri: Uri = uri.parse().unwrap();
        let verdict = origins.judge(Destination::from(&uri));
        let is_authorized = matches!(verdict, OriginVerdict::Authorize);
        assert!(is_authorized || !origins.allow_as_spelled(Destination::from(&uri)), "{uri}");
        match verdict {
            OriginVerdict::Authorize => "authorize",
            OriginVerdict::Pass => "pass",
            OriginVerdict::Refuse(_) => "refuse",
        }
    }

    #[test]
    fn text_after_the_authority_is_not_the_host() {
        let mut origins = Origins::default();
        origins.allow("https://api.example.com", false, "allow_origin", &mut Problems::default());
        for authority in ["evil.example.net/", "evil.example.net#", "evil.example.net?", "evil.example.net\\", " "] {
            let authority = format!("{authority}@api.example.com");
            let verdict = origins.judge(Destination::new("https", &authority));
            assert!(matches!(verdict, OriginVerdict::Refuse(_)), "{authority}");
        }
    }

    #[test]
    fn an_origin_is_exactly_scheme_host_and_port() {
        let rule = origins(&["https://api.example.com", "http://127.0.0.1:8080"]);
        for (uri, expected) in [
            ("https://api.example.com/x?y", "authorize"),
            ("https://api.example.com:443/x", "authorize"),
            ("https://API.Example.COM/x", "authorize"),
            ("https://user@api.example.com/", "authorize"),
            ("http://127.0.0.1:8080/", "authorize"),
            ("https://api.example.com:8443/", "pass"),
            ("https://api.example.com.evil.example/", "pass"),
            ("https://api.example.com@evil.example/", "pass"),
            ("https://evil.example/api.example.com", "pass"),
            ("https://xapi.example.com/", "pass"),
            ("http://127.0.0.1:8081/", "pass"),
            ("http://api.example.com/", "refuse"),
            ("http://api.example.com:443/", "refuse"),
            ("http://other.example.com/", "refuse"),
            ("ftp://api.example.com/", "refuse"),
            ("/no/authority", "refuse"),
            ("api.example.com:443", "pass"),
            ("evil.example.com:80", "pass"),
        ] {
            assert_eq!(judged(&rule, uri), expected, "{uri}");
        }
    }

    #[test]
    fn l34_without_origins_only_loopback_and_bare_paths_are_authorized() {
        let rule = origins(&[]);
        for (uri, expected) in [
            ("/grpc.health.v1.Health/Check", "authorize"),
            ("http://localhost:3000/", "authorize"),
            ("http://127.8.9.1/", "authorize"),
            ("http://[::1]:80/", "authorize"),
            ("https://LOCALHOST/", "authorize"),
            // RFC 6761 section 6.3.
            ("http://api.localhost:3000/", "authorize"),
            ("http://a.b.LocalHost/", "authorize"),
            ("http://localhost./", "authorize"),
            ("http://notlocalhost/", "refuse"),
            ("http://localhost.evil.example/", "refuse"),
            ("https://api.example.com/", "refuse"),
            ("http://api.example.com/", "refuse"),
            ("http://localhost.example.com/", "refuse"),
            ("http://127.0.0.1.example.com/", "refuse"),
            ("http://[::2]/", "refuse"),
        ] {
            assert_eq!(judged(&rule, uri), expected, "{uri}");
        }
        let uri: Uri = "https://api.example.com:8443/x".parse().unwrap();
        let OriginVerdict::Refuse(error) = rule.judge(Destination::from(&uri)) else { panic!("must refuse") };
        assert!(error.to_string().contains(".allow_origin(\"https://api.example.com:8443\")"), "{error}");
    }

    // shows: 6749/10.3b
    #[test]
    fn l34_a_plaintext_origin_needs_an_explicit_opt_in() {
        let mut problems = Problems::default();
        let mut rule = Origins::default();
        rule.allow("http://api.example.com", false, "allow_origin", &mut problems);
        assert!(problems.into_result("x").unwrap_err().to_string().contains("allow_plaintext_origin"));
        let mut problems = Problems::default();
        rule.allow("http://api.example.com", true, "allow_plaintext_origin", &mut problems);
        assert!(problems.is_empty());
        assert_eq!(judged(&rule, "http://api.example.com/"), "authorize");
        assert_eq!(judged(&rule, "https://api.example.com/"), "pass");
    }

    #[test]
    fn l34_named_origins_make_uris_without_authority_need_a_connection_origin() {
        let https = origins(&["https://api.example.com"]);
        let mut any = Origins::default();
        any.allow_any_https();
        for rule in [https, any] {
            let uri: Uri = "/orders".parse().unwrap();
            let OriginVerdict::Refuse(error) = rule.judge(Destination::from(&uri)) else { panic!("must refuse") };
            assert_eq!(error.kind(), ErrorKind::Origin);
            assert!(error.to_string().contains(".connection_origin(\"https://"), "{error}");
        }
    }

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
    fn a_declared_connection_origin_decides_over_uris_without_authority() {
        for (declared, expected) in [
            ("https://api.example.com", "authorize"),
            ("https://x.example.com", "pass"),
            ("http://api.example.com", "refuse"),
        ] {
            let mut rule = origins(&["https://api.example.com"]);
            let mut problems = Problems::default();
            rule.connection(declared, &mut problems);
            assert!(problems.is_empty());
            assert_eq!(judged(&rule, "/path"), expected, "{declared}");
        }
    }

    #[test]
    fn l34_a_connection_origin_must_be_an_allowed_one() {
        for (allowed, declared, found) in [
            (&["https://api.example.com"][..], "https://API.example.com:443", 0),
            (&["https://api.example.com"], "https://api.example.com:8443", 1),
            (&["https://api.example.com"], "http://api.example.com", 1),
            (&[], "https://api.example.com", 1),
            (&[], "http://127.0.0.1:50051", 0),
        ] {
            let mut rule = origins(allowed);
            let mut problems = Problems::default();
            rule.connection(declared, &mut problems);
            rule.check_connection(&mut problems);
            let problems = problems.into_result("x").map_or_else(|error| error.problems().to_vec(), |()| Vec::new());
            assert_eq!(problems.len(), found, "{declared}");
            assert!(problems.iter().all(|problem| problem.message().contains("origin(..)")), "{problems:?}");
        }
    }

    #[test]
    fn anything_beside_the_origin_is_a_problem() {
        for text in [
            "",
            "api.example.com",
            "https://",
            "https://a.example.com/path",
            "https://u:hunter2@a.example.com",
            "ftp://a.example.com",
            "https://a.example.com:99999",
            "https://a.example.com/?hunter2",
            "https://a.example.com#hunter2",
            "https://*.example.com",
            "https://b\u{fc}cher.example.com/hunter2",
        ] {
            let mut problems = Problems::default();
            Origins::default().allow(text, false, "allow_origin", &mut problems);
            let error = problems.into_result("x").expect_err(text);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn other_origins_can_be_refused_instead_of_passed() {
        let mut rule = origins(&["https://api.example.com"]);
        rule.refuse_others();
        assert_eq!(judged(&rule, "https://other.example.com/"), "refuse");
        let mut rule = Origins::default();
        rule.allow_any_https();
        assert_eq!(judged(&rule, "https://other.example.com/"), "authorize");
        assert_eq!(judged(&rule, "http://other.example.com/"), "refuse");
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
