//! The resource, and where its metadata may be.
//!
//! A challenge is untrusted input that names a URL, and following it makes this client send a request there. That is
//! the classic server-side request forgery (RFC 9728 section 7.7), so the URL must have the resource's own origin, and
//! at most 2 KiB.

use http::Uri;

use super::unusable_challenge;
use crate::{
    error::Error,
    oauth::endpoint_url::{EndpointUrl, without_query},
    problem::{Advice, Problem, Problems},
    resource::origin::Destination,
};

/// A resource identifier (RFC 9728 section 1.2), byte for byte as it was configured, and checked.
///
/// The text is compared with the metadata's, so it is kept as it was given.
pub(super) struct Resource {
    text: String,
    url: EndpointUrl,
    allows_plaintext: bool,
    well_known: Uri,
}

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

impl Resource {
    /// Parses and checks the identifier. A query belongs to the identifier and to the well-known place (section 3.1),
    /// although few APIs have one.
    pub(super) fn parse(text: &str, allow_plaintext: bool, problems: &mut Problems) -> Option<Self> {
        let url = parse("resource", text, allow_plaintext, problems)?;
        if text.contains(WELL_KNOWN) {
            let found = format!("found the URL of metadata (`{WELL_KNOWN}`)");
            let problem = Problem::new("resource", found).expecting("the URL of the API");
            problems.add(problem.advise(Advice::text("write the value of `resource` in that document")));
            return None;
        }
        let (path, query) = (url.uri().path(), url.uri().query());
        // Section 3.1: between the host and the path, without a slash that ends the host.
        let path = if path == "/" { "" } else { path };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let well_known = format!("{}{WELL_KNOWN}{path}{query}", url.origin()).parse().ok()?;
        Some(Resource { text: text.to_owned(), url, allows_plaintext: allow_plaintext, well_known })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The identifier for messages. A query could be the key of a gateway.
    pub(super) fn shown(&self) -> &str {
        without_query(&self.text)
    }

    pub(super) fn origin(&self) -> &str {
        self.url.origin()
    }

    pub(super) fn uri(&self) -> &Uri {
        self.url.uri()
    }

    pub(super) fn well_known(&self) -> &Uri {
        &self.well_known
    }

    /// The location in a challenge (RFC 9728 section 5.1), if it may be used. It is untrusted input.
    ///
    /// It must be in the resource's own origin. Otherwise an API could make this client send requests into networks
    /// that only the client reaches (section 7.7).
    pub(super) fn metadata_named_by_challenge(&self, text: &str) -> Result<Uri, Error> {
        let unusable = |found| Err(unusable_challenge(self.shown(), found));
        let checked = EndpointUrl::parse(text, self.allows_plaintext, &mut Problems::default());
        let Some(url) = checked.filter(|_| text.len() <= LONGEST) else {
            return unusable("is not a usable URL; expected an absolute one with `https://` (RFC 9728 section 5.1)");
        };
        if !Destination::from(url.uri()).is_same_origin(self.url.uri().into()) {
            return unusable(
                "is at another origin; expected the resource's own: if you trust that place, set the metadata's URL",
            );
        }
        Ok(url.uri().clone())
    }
}

/// The longest location that is used, in bytes.
const LONGEST: usize = 2048;

/// Parses a URL of the API. A problem never repeats what could be a credential.
///
/// The checks are those of a token endpoint's URL. Their messages are adapted, because a fragment is forbidden by
/// another section here.
pub(super) fn parse(
    path: &'static str,
    text: &str,
    allow_plaintext: bool,
    problems: &mut Problems,
) -> Option<EndpointUrl> {
    let mut found = Problems::default();
    let url = EndpointUrl::parse(text, allow_plaintext, &mut found);
    for problem in found.into_vec() {
        let is_about_form = problem.expected().is_some_and(|expected| expected.starts_with("an absolute URL"));
        let is_about_fragment = problem.found().contains("fragment");
        problems.add(match (is_about_form, is_about_fragment) {
            (true, _) => problem.at(path).expecting("an absolute URL such as `https://api.example.com`"),
            (_, true) => Problem::new(path, "found a fragment (`#`), which it cannot have (RFC 9728 section 1.2)")
                .advise(Advice::text("remove it")),
            _ => problem.at(path),
        });
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(text: &str) -> Resource {
        Resource::parse(text, false, &mut Problems::default()).unwrap()
    }

    // shows: 9728/3 9728/3.1b
    #[test]
    fn the_well_known_place_is_between_host_and_path() {
        for (text, expected) in [
            ("https://api.example.com", "https://api.example.com/.well-known/oauth-protected-resource"),
            ("https://api.example.com/", "https://api.example.com/.well-known/oauth-protected-resource"),
            ("https://api.example.com/a/b", "https://api.example.com/.well-known/oauth-protected-resource/a/b"),
            ("https://api.example.com/a/", "https://api.example.com/.well-known/oauth-protected-resource/a/"),
            ("https://api.example.com/a?b=c", "https://api.example.com/.well-known/oauth-protected-resource/a?b=c"),
            ("http://localhost:1/mcp", "http://localhost:1/.well-known/oauth-protected-resource/mcp"),
        ] {
            assert_eq!(resource(text).well_known().to_string(), expected);
        }
    }

    // shows: 9728/1.2
    #[test]
    fn an_unusable_resource_is_named_without_repeating_it() {
        for (text, part) in [
            ("", "resource: found"),
            ("api.example.com/marker", "resource: found a URL without scheme; expected an absolute URL"),
            ("https://api.example.com/#marker", "resource: found a fragment"),
            ("https://id:marker@api.example.com/", "resource: found credentials"),
            ("http://api.example.com/marker", "resource: found plaintext"),
            ("https://api.example.com/.well-known/oauth-protected-resource/marker", "the URL of metadata"),
        ] {
            let mut problems = Problems::default();
            assert!(Resource::parse(text, false, &mut problems).is_none(), "{text}");
            let problem: String = problems.iter().map(ToString::to_string).collect();
            assert!(problem.contains(part) && !problem.contains("marker"), "{problem}");
        }
    }

    #[test]
    fn paths_of_other_metadata_are_usable() {
        for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/mcp"] {
            let url = format!("https://api.example.com{path}");
            let api = resource(&url);
            assert_eq!(api.metadata_named_by_challenge(&url).unwrap().to_string(), url);
            let mut problems = Problems::default();
            assert!(parse("metadata_url", &url, false, &mut problems).is_some(), "{:?}", problems.into_vec());
        }
    }

    // shows: 9728/7.1
    #[test]
    fn l70_a_challenge_can_only_lead_to_the_resources_own_origin() {
        let long = format!("https://api.example.com/{}", "x".repeat(LONGEST));
        for (text, usable) in [
            ("https://api.example.com/.well-known/oauth-protected-resource/mcp", true),
            ("https://API.example.com:443/custom/location.json?a=b", true),
            ("https://api.example.com:8443/planted", false),
            ("https://planted.example.net/", false),
            ("https://api.example.com.example.net/planted", false),
            ("https://api.example.com@planted.example.net/", false),
            ("https://169.254.169.254/planted", false),
            ("http://api.example.com/planted", false),
            ("http://127.0.0.1/planted", false),
            ("file:///planted", false),
            ("//api.example.com/planted", false),
            ("/planted", false),
            ("https://api.example.com/planted#x", false),
            ("https://api.example.com/pla nted", false),
            ("", false),
            (&long, false),
        ] {
            let found = resource("https://api.example.com/mcp").metadata_named_by_challenge(text);
            assert_eq!(found.is_ok(), usable, "{text}");
            let message = found.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!message.contains("planted") && !message.contains("xxx"), "{message}");
        }
    }
}
