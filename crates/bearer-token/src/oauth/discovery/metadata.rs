//! The metadata of an authorization server (RFC 8414 section 2), as far as it is needed.
//!
//! Only three members are read. `token_endpoint_auth_methods_supported` and its like are not: servers are often wrong
//! there, and what the user configured is not changed by a document.

use super::Issuer;
use crate::{oauth::endpoint_url::EndpointUrl, problem::Problems, token::fields::ResponseFields};

/// The place of the token endpoint for clients with a certificate (RFC 8705 section 5).
const ALIAS: &str = "/mtls_endpoint_aliases/token_endpoint";

/// What is wrong with a document.
///
/// The first kind is common: many servers respond to an unknown well-known path with a page and status 200. So it does
/// not hide the metadata at the other place. The second kind is reported.
#[derive(Debug, PartialEq)]
pub(super) enum Unusable {
    /// It is not metadata, such as a page for humans.
    Other(String),
    /// It is metadata that must not be used.
    Metadata(String),
}

/// The URL of the token endpoint, or the problem. The problem does not repeat the document, which is untrusted.
///
/// The endpoint may be at another host than the issuer, as Google's is. What protects the credential is `https`, the
/// issuer's match, and assertions whose audience is the issuer.
pub(super) fn token_endpoint(body: &[u8], issuer: &Issuer, use_mtls_alias: bool) -> Result<String, Unusable> {
    let fields = ResponseFields::of(body, &["issuer", "token_endpoint", ALIAS])
        .map_err(|why| Unusable::Other(format!("{}; expected a JSON object (RFC 8414 section 3.2)", why.0)))?;
    let wrong = |found: &str| Err(Unusable::Metadata(found.to_owned()));
    match fields.text("issuer") {
        Some(text) if text == issuer.as_str() => {}
        Some(text) if text.trim_end_matches('/') == issuer.as_str().trim_end_matches('/') => {
            return wrong(
                "names an issuer that differs by a slash at the end; expected exactly this one (RFC 8414 section 3.3): \
                 write it as the server does",
            );
        }
        Some(_) => {
            return wrong(
                "names another issuer; expected exactly this one (RFC 8414 section 3.3): check the issuer, as another \
                 server may have responded",
            );
        }
        None => return wrong("names no issuer; expected exactly this one (RFC 8414 section 3.3)"),
    }
    let alias = fields.text(ALIAS).filter(|_| use_mtls_alias);
    let Some(url) = alias.or(fields.text("token_endpoint")) else {
        return wrong("has no `token_endpoint`; set the token endpoint's URL in place of the issuer");
    };
    // A plaintext issuer at loopback is no choice of plaintext to other hosts.
    let allows_plaintext = issuer.is_plaintext() && issuer.allows_plaintext();
    let checked = EndpointUrl::parse(url, allows_plaintext, &mut Problems::default());
    if starts_with_http(url) && (!issuer.is_plaintext() || checked.is_none()) {
        return wrong(
            "has a token endpoint with plaintext `http://`; expected `https://`, because the request carries credentials",
        );
    }
    match checked {
        Some(url) if url.uri().query().is_none() => Ok(url.uri().to_string()),
        Some(_) => wrong("has a token endpoint with a query; set the token endpoint's URL in place of the issuer"),
        None => wrong("has a token endpoint that is not an absolute URL; expected one with `https://`"),
    }
}

/// Whether a URL is plaintext. It looks at the string, not at the parsed URL. A plaintext endpoint is reported as
/// plaintext even if it is malformed in another way too.
fn starts_with_http(url: &str) -> bool {
    url.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://"))
}
