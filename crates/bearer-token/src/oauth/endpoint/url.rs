//! The URL of a token endpoint.

use std::fmt;

use http::Uri;

use crate::{error::Problems, resource::origin::is_loopback};

/// The URL of a token endpoint: as it was configured, and parsed.
#[derive(Clone)]
pub(crate) struct EndpointUrl {
    text: String,
    uri: Uri,
}

impl EndpointUrl {
    /// Parses and judges it, without ever repeating what could be a credential.
    pub(crate) fn parse(text: &str, allow_plaintext: bool, problems: &mut Problems) -> Option<Self> {
        match check(text, allow_plaintext) {
            Ok(uri) => Some(EndpointUrl { text: text.to_owned(), uri }),
            Err(message) => {
                problems.push("url", message);
                None
            }
        }
    }

    /// The `aud` of assertions, unless another was set: byte for byte as configured, since parsers add slashes and
    /// servers compare it exactly; but without the query, where the key of a gateway may be.
    pub(crate) fn audience(&self) -> &str {
        without_query(&self.text)
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some servers want account numbers in the query: nothing for a log.
        let shown = without_query(&self.text);
        let query = if self.uri.query().is_some() { "?[redacted]" } else { "" };
        f.write_fmt(format_args!("\"{shown}{query}\""))
    }
}

pub(crate) fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

fn check(text: &str, allow_plaintext: bool) -> Result<Uri, String> {
    if text.contains('#') {
        return Err("found a fragment (`#`); a token endpoint has none (RFC 6749 section 3.2): remove it".into());
    }
    let expected = "expected an absolute URL such as `https://as.example.com/token`";
    let uri: Uri = text.parse().map_err(|_| format!("found no URL; {expected}"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(format!("found a URL without scheme or host; {expected}"));
    };
    if authority.as_str().contains('@') {
        return Err("found credentials in the URL; remove them and set `.client_auth(..)`: URLs end up in logs".into());
    }
    let host = authority.host();
    if host.is_empty() || (authority.as_str().len() > host.len() && authority.port_u16().is_none()) {
        return Err(format!("found a URL without a usable host and port; {expected}"));
    }
    match scheme {
        "https" => Ok(uri),
        "http" if allow_plaintext || is_loopback(host) => Ok(uri),
        "http" => Err(format!(
            "found plaintext `http://` to `{host}`; expected `https://`, because the request carries credentials: \
             change the URL, or call `.allow_plaintext()` where something else encrypts the way"
        )),
        _ => Err(format!("found a URL whose scheme is neither `https` nor `http`; {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(check("http://as.example.com/token", false).unwrap_err().contains(".allow_plaintext()"));
    }

    #[test]
    fn what_is_no_token_endpoint_url_is_named_without_repeating_it() {
        for (url, part) in [
            ("", "no URL"),
            ("/token", "without scheme"),
            ("as.example.com", "without scheme"),
            ("https://", "no URL"),
            ("https://as.example.com:marker/token", "found"),
            ("https://as.example.com:99999/token", "usable host and port"),
            ("https:///marker", "found"),
            ("https://id:marker@as.example.com/token", "credentials in the URL"),
            ("https://as.example.com/token#marker", "fragment"),
            ("https://as.example.com/to ken?marker", "no URL"),
            (" https://as.example.com/marker", "no URL"),
            ("https://as.example.com\\@marker/", "no URL"),
            ("gopher://as.example.com/marker", "scheme"),
        ] {
            let message = check(url, true).unwrap_err();
            assert!(message.contains(part), "{url}: {message}");
            assert!(!message.contains("marker"), "{message}");
        }
    }

    #[test]
    fn the_text_stays_as_configured_and_debug_hides_the_query() {
        let mut problems = Problems::default();
        let url = EndpointUrl::parse("https://as.example.com?account=marker", false, &mut problems).unwrap();
        assert_eq!(url.text, "https://as.example.com?account=marker");
        assert_eq!(url.uri().query(), Some("account=marker"));
        assert_eq!(format!("{url:?}"), r#""https://as.example.com?[redacted]""#);
    }
}
