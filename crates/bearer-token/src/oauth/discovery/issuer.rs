//! The issuer of an authorization server, and where its metadata is.
//!
//! An issuer is compared byte for byte everywhere (RFC 8414 section 3.3). So it is kept as a string, and never rebuilt
//! from a parsed URL: parsers add slashes and change case.

use std::fmt;

use http::Uri;

use crate::{
    oauth::endpoint_url::EndpointUrl,
    problem::{Advice, Problem, Problems},
};

/// An issuer identifier (RFC 8414 section 2), byte for byte as it was configured, and checked.
///
/// `is_plaintext` says what the issuer is; `allows_plaintext` says what the user agreed to. A plaintext issuer on
/// loopback, as in a test, agrees to nothing beyond loopback.
pub(crate) struct Issuer {
    text: String,
    origin: String,
    is_plaintext: bool,
    allows_plaintext: bool,
    metadata_locations: Vec<Uri>,
}

impl Issuer {
    /// Parses and checks the identifier. A problem never repeats what could be a credential.
    ///
    /// The checks of a token endpoint's URL apply as well, and are reported under `issuer`. The usual mistake, the URL
    /// of the metadata instead of the issuer, has a problem of its own.
    pub(crate) fn parse(text: &str, allow_plaintext: bool, problems: &mut Problems) -> Option<Self> {
        if text.contains(['?', '#']) {
            let found = "found a query or a fragment, which an issuer cannot have (RFC 8414 section 2)";
            problems.add(Problem::new("issuer", found).advise(Advice::text("remove it")));
            return None;
        }
        let mut found = Problems::default();
        let url = EndpointUrl::parse(text, allow_plaintext, &mut found);
        for problem in found.into_vec() {
            let is_about_form = problem.expected().is_some_and(|expected| expected.starts_with("an absolute URL"));
            let problem = problem.at("issuer");
            problems.add(match is_about_form {
                true => problem.expecting("an absolute URL such as `https://as.example.com`"),
                false => problem,
            });
        }
        let url = url?;
        let uri = url.uri();
        if let Some(known) = WELL_KNOWN.iter().find(|known| text.contains(**known)) {
            let problem =
                Problem::new("issuer", format!("found the URL of metadata (`{known}`)")).expecting("the issuer");
            problems.add(problem.advise(Advice::text("write the value of `issuer` in that document")));
            return None;
        }
        let (origin, path) = (url.origin(), uri.path().strip_suffix('/').unwrap_or(uri.path()));
        let [oauth, openid] = WELL_KNOWN;
        // The first form inserts, the second appends (RFC 8414 section 5).
        let locations = [format!("{origin}{oauth}{path}"), format!("{origin}{path}{openid}")];
        let metadata_locations = locations.iter().filter_map(|location| location.parse().ok()).collect();
        let is_plaintext = uri.scheme_str() == Some("http");
        Some(Issuer {
            text: text.to_owned(),
            origin: origin.to_owned(),
            is_plaintext,
            allows_plaintext: allow_plaintext,
            metadata_locations,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether it is plaintext, by choice or on loopback.
    pub(crate) fn is_plaintext(&self) -> bool {
        self.is_plaintext
    }

    /// Whether plaintext to any host was chosen.
    pub(crate) fn allows_plaintext(&self) -> bool {
        self.allows_plaintext
    }

    pub(crate) fn metadata_locations(&self) -> &[Uri] {
        &self.metadata_locations
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// RFC 8414 section 3, and `OpenID` Connect Discovery 1.0 section 4.
pub(crate) const WELL_KNOWN: [&str; 2] =
    ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

#[cfg(test)]
mod tests {
    use super::*;

    fn locations(text: &str, allow_plaintext: bool) -> Result<Vec<String>, String> {
        let mut problems = Problems::default();
        match Issuer::parse(text, allow_plaintext, &mut problems) {
            Some(issuer) => Ok(issuer.metadata_locations().iter().map(ToString::to_string).collect()),
            None => Err(problems.iter().map(ToString::to_string).collect()),
        }
    }

    // shows: 8414/3 8414/3.1b
    #[test]
    fn one_form_inserts_the_path_and_the_other_appends() {
        for (issuer, oauth, openid) in [
            (
                "https://as.example.com",
                "https://as.example.com/.well-known/oauth-authorization-server",
                "https://as.example.com/.well-known/openid-configuration",
            ),
            (
                "https://as.example.com/",
                "https://as.example.com/.well-known/oauth-authorization-server",
                "https://as.example.com/.well-known/openid-configuration",
            ),
            (
                "https://as.example.com:8443/realms/a",
                "https://as.example.com:8443/.well-known/oauth-authorization-server/realms/a",
                "https://as.example.com:8443/realms/a/.well-known/openid-configuration",
            ),
            (
                "http://localhost:8080/tenant/",
                "http://localhost:8080/.well-known/oauth-authorization-server/tenant",
                "http://localhost:8080/tenant/.well-known/openid-configuration",
            ),
        ] {
            assert_eq!(locations(issuer, false), Ok(vec![oauth.to_owned(), openid.to_owned()]));
        }
    }

    // shows: 8414/2a
    #[test]
    fn l34_an_unusable_issuer_is_named_without_repeating_it() {
        for (issuer, part) in [
            ("", "issuer: found"),
            (
                "as.example.com/marker",
                "found a URL without scheme; expected an absolute URL such as `https://as.example.com`: write `https://`",
            ),
            ("https://as.example.com/?marker", "found a query or a fragment"),
            ("https://as.example.com/#marker", "found a query or a fragment"),
            ("https://id:marker@as.example.com/", "credentials in the URL"),
            ("http://as.example.com/marker", "plaintext"),
            ("https://as.example.com/marker/.well-known/openid-configuration", "the URL of metadata"),
        ] {
            let problem = locations(issuer, false).unwrap_err();
            assert!(
                problem.contains(part) && problem.starts_with("issuer: ") && !problem.contains("marker"),
                "{problem}"
            );
        }
        assert!(locations("http://as.example.com", true).is_ok());
    }

    #[test]
    fn the_url_of_metadata_leads_to_the_issuer_in_it() {
        for known in WELL_KNOWN {
            let expected = format!(
                "issuer: found the URL of metadata (`{known}`); expected the issuer: write the value of `issuer` in \
                 that document"
            );
            for issuer in [format!("https://as.example.com{known}"), format!("https://as.example.com/marker{known}")] {
                assert_eq!(locations(&issuer, false), Err(expected.clone()));
            }
        }
    }
}
