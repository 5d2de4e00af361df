//! What is kept of a request until its response comes, to tell whether the response is from where the request went.

use std::{
    hash::{BuildHasher, Hasher},
    sync::LazyLock,
};

use foldhash::quality::RandomState;
use reqwest::{Request, Url};

/// The destination of a request, as two hashes.
///
/// A copy of the URL would be an allocation for each request, and is looked at only if the bearer was refused. The
/// hashes are seeded at random for each process. If two URLs had the same by chance, a refusal after a redirect would
/// be taken for the API's: one renewal too many.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) origin: u64,
    /// The path and the query.
    pub(crate) place: u64,
    /// Whether its method is idempotent (RFC 9110 section 9.2.2).
    pub(crate) is_idempotent: bool,
}

static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);

impl Asked {
    pub(crate) fn of(request: &Request) -> Self {
        let url = request.url();
        let (origin, place) = parts(url);
        let origin = if has_user_information(url) { Asked::origin(url) } else { hash(origin) };
        Asked { origin, place: hash(place), is_idempotent: request.method().is_idempotent() }
    }

    /// The scheme, host and port. A URL is normalised when it is parsed, and has no default port.
    pub(crate) fn origin(url: &Url) -> u64 {
        if has_user_information(url) {
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            return hash(&format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default()));
        }
        hash(parts(url).0)
    }

    pub(crate) fn place(url: &Url) -> u64 {
        hash(parts(url).1)
    }
}

fn has_user_information(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// What is in front of the path, and the path with the query.
fn parts(url: &Url) -> (&str, &str) {
    let mut text = url.as_str();
    if let Some(fragment) = url.fragment() {
        text = text.strip_suffix(fragment).and_then(|text| text.strip_suffix('#')).unwrap_or(text);
    }
    // Behind `://`. A URL without it is none of http's.
    let authority = url.scheme().len() + 3;
    let slash = text.get(authority..).and_then(|rest| rest.find('/'));
    text.split_at(slash.map_or(text.len(), |slash| authority + slash))
}

fn hash(text: &str) -> u64 {
    let mut hasher = HASHER.build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_one_origin_are_told_from_others() {
        let origin = |url: &str| Asked::origin(&Url::parse(url).unwrap());
        let expected = origin("https://api.example.com/orders?page=1");
        for same in
            ["https://API.example.com:443", "https://user:word@api.example.com/other", "HTTPS://api.example.com"]
        {
            assert_eq!(origin(same), expected, "{same}");
        }
        let with_port = origin("https://api.example.com:8443");
        assert_eq!(origin("https://user@api.example.com:8443/#part"), with_port);
        assert_eq!(origin("https://:word@api.example.com:8443?at=@/"), with_port);
        for other in ["http://api.example.com", "https://api.example.com:8443", "https://example.com", "https://[::1]"]
        {
            assert_ne!(origin(other), expected, "{other}");
        }
    }

    #[test]
    fn places_differ_in_path_or_query() {
        let place = |url: &str| Asked::place(&Url::parse(url).unwrap());
        let expected = place("https://api.example.com/orders?page=1");
        assert_eq!(place("https://other.example.com/orders?page=1#part"), expected);
        assert_eq!(place("https://user:word@api.example.com/orders?page=1#"), expected);
        for other in ["/orders", "/orders?", "/orders?page=2", "/order?spage=1", "/"] {
            assert_ne!(place(&format!("https://api.example.com{other}")), expected, "{other}");
        }
    }

    #[test]
    fn a_request_is_asked_for_as_its_response_is() {
        for text in ["https://api.example.com/orders?page=1#part", "http://user:word@127.0.0.1:8080", "https://[::1]/"]
        {
            let url = Url::parse(text).unwrap();
            let asked = Asked::of(&Request::new(http::Method::GET, url.clone()));
            assert_eq!((asked.origin, asked.place), (Asked::origin(&url), Asked::place(&url)), "{text}");
        }
    }
}
