//! The URL of a token endpoint.
//!
//! The text is kept beside the parsed URL. Servers compare the audience of an assertion byte for byte with their own
//! URL. A parser normalises: it adds a slash, lowers the host, drops a default port.

use std::fmt;

use http::Uri;

use crate::{
    problem::{Advice, Problem, Problems},
    resource::origin::is_loopback,
};

/// The URL of a token endpoint: as it was configured, and parsed.
#[derive(Clone)]
pub(crate) struct EndpointUrl {
    text: String,
    uri: Uri,
    /// Scheme, host and port, which messages may show.
    origin: String,
}

impl EndpointUrl {
    /// Parses and checks the URL. A problem never repeats what could be a credential.
    pub(crate) fn parse(text: &str, allow_plaintext: bool, problems: &mut Problems) -> Option<Self> {
        match check(text, allow_plaintext) {
            Ok(uri) => Some(EndpointUrl { text: text.to_owned(), origin: origin(&uri), uri }),
            Err(problem) => {
                problems.add(problem);
                None
            }
        }
    }

    /// The `aud` of assertions, unless another was set.
    ///
    /// It is byte for byte as configured, because parsers add slashes and servers compare it exactly. It has no query,
    /// which may hold the key of a gateway.
    pub(crate) fn audience(&self) -> &str {
        without_query(&self.text)
    }

    /// The origin, as messages name the endpoint. It has no path, query or user information.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the query: some servers expect account numbers there, which do not belong in a log.
        let shown = without_query(&self.text);
        let query = if self.uri.query().is_some() { "?[redacted]" } else { "" };
        f.write_fmt(format_args!("\"{shown}{query}\""))
    }
}

pub(crate) fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

/// The scheme, the host and the port of a URL. User information was refused before, so the authority is the host and
/// the port alone.
fn origin(uri: &Uri) -> String {
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    format!("{}://{authority}", uri.scheme_str().unwrap_or_default())
}

/// Checks a URL, and parses it. The order of the checks is the order of likelihood. `as.example.com/token` parses as a
/// path, so it is caught before the parser can accept it.
fn check(text: &str, allow_plaintext: bool) -> Result<Uri, Problem> {
    let problem = |found: &'static str| Problem::new("url", found);
    let not_a_url = |found| problem(found).expecting("an absolute URL such as `https://as.example.com/token`");
    if text.contains('#') {
        let found = "found a fragment (`#`), which a token endpoint cannot have (RFC 6749 section 3.2)";
        return Err(problem(found).advise(Advice::text("remove it")));
    }
    if !text.is_empty() && !text.starts_with('/') && !text.contains("://") {
        return Err(not_a_url("found a URL without scheme").advise(Advice::text("write `https://` in front of it")));
    }
    if text.trim().is_empty() {
        return Err(not_a_url("found no URL").advise(Advice::text("set that of the token endpoint")));
    }
    let uri: Uri = text.parse().map_err(|_| {
        if text.contains(|letter: char| letter.is_whitespace() || "<>\"".contains(letter)) {
            return not_a_url("found a space, a quote, `<` or `>` in the URL").advise(Advice::text("remove it"));
        }
        not_a_url("found text that is not a URL")
    })?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(not_a_url("found a URL without scheme or host"));
    };
    if authority.as_str().contains('@') {
        let found = problem("found credentials in the URL").expecting("none, because URLs end up in logs");
        return Err(found.advise(Advice::set("client_auth")));
    }
    let host = authority.host();
    if host.is_empty() || (authority.as_str().len() > host.len() && authority.port_u16().is_none()) {
        return Err(not_a_url("found a URL without a usable host and port"));
    }
    match scheme {
        "https" => Ok(uri),
        "http" if allow_plaintext || is_loopback(host) => Ok(uri),
        "http" => Err(Problem::new("url", format!("found plaintext `http://` to `{host}`"))
            .expecting("`https://`, because the request carries credentials")
            .advise(Advice::text("change the URL"))
            // Something else may encrypt the connection.
            .advise(Advice::turn_on("allow_plaintext"))),
        _ => Err(not_a_url("found a URL whose scheme is neither `https` nor `http`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows: 6749/10.4b 6749/10.8a 7519/12 9700/2.6b 7521/4 8693/6a
    #[test]
    fn l34_plaintext_is_for_loopback_or_by_choice_only() {
        for (url, plain, choice) in [
            ("https://as.example.com/token", true, true),
            ("https://as.example.com", true, true),
            ("http://as.example.com/token", false, true),
            ("http://localhost:8080/token", true, true),
            ("http://LOCALHOST/token", true, true),
            ("http://127.0.0.1/token", true, true),
            ("http://127.255.3.9:1/token", true, true),
            ("http://[::1]:8080/token", true, true),
            // Names and numbers that only look like loopback.
            ("http://localhost.example.com/token", false, true),
            ("http://127.0.0.1.example.com/token", false, true),
            ("http://0.0.0.0/token", false, true),
            ("http://127.1/token", false, true),
            ("http://[::2]/token", false, true),
            ("ftp://localhost/token", false, false),
        ] {
            assert_eq!(check(url, false).is_ok(), plain, "{url}");
            assert_eq!(check(url, true).is_ok(), choice, "{url} with plaintext allowed");
        }
        assert!(check("http://as.example.com/token", false).unwrap_err().message().contains(".allow_plaintext()"));
    }

    // shows: 6749/3.2b
    #[test]
    fn an_unusable_url_is_named_without_repeating_it() {
        for (url, part) in [
            ("", "found no URL"),
            ("/token", "without scheme"),
            ("as.example.com", "without scheme"),
            ("https://", "not a URL"),
            ("https://as.example.com:marker/token", "found"),
            ("https://as.example.com:99999/token", "usable host and port"),
            ("https:///marker", "found"),
            ("https://id:marker@as.example.com/token", "credentials in the URL"),
            ("https://as.example.com/token#marker", "fragment"),
            ("https://as.example.com/to ken?marker", "a space"),
            (" https://as.example.com/marker", "a space"),
            ("https://as.example.com\\@marker/", "not a URL"),
            ("gopher://as.example.com/marker", "scheme"),
        ] {
            let message = check(url, true).unwrap_err().message();
            assert!(message.contains(part), "{url}: {message}");
            assert!(!message.contains("marker"), "{message}");
        }
    }

    #[test]
    fn the_url_stays_as_configured_and_debug_hides_the_query() {
        let mut problems = Problems::default();
        let url = EndpointUrl::parse("https://as.example.com?account=marker", false, &mut problems).unwrap();
        assert_eq!(url.text, "https://as.example.com?account=marker");
        assert_eq!(url.uri().query(), Some("account=marker"));
        assert_eq!(url.origin(), "https://as.example.com");
        assert_eq!(format!("{url:?}"), r#""https://as.example.com?[redacted]""#);
    }
}
