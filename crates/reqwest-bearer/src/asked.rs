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
        let (origin, place) = (Asked::origin(url), Asked::place(url));
        Asked { origin, place, is_idempotent: request.method().is_idempotent() }
    }

    /// The scheme, host and port. A URL is normalised when it is parsed, and has no default port.
    pub(crate) fn origin(url: &Url) -> u64 {
        let mut hasher = HASHER.build_hasher();
        hasher.write(url.host_str().unwrap_or_default().as_bytes());
        hasher.write_u32(url.port().map_or(0, |port| u32::from(port) + 1));
        hasher.write(url.scheme().as_bytes());
        hasher.finish()
    }

    pub(crate) fn place(url: &Url) -> u64 {
        let mut hasher = HASHER.build_hasher();
        hasher.write(url.path().as_bytes());
        if let Some(query) = url.query() {
            hasher.write_u8(b'?');
            hasher.write(query.as_bytes());
        }
        hasher.finish()
    }
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
        for other in ["/orders", "/orders?", "/orders?page=2", "/order?spage=1", "/"] {
            assert_ne!(place(&format!("https://api.example.com{other}")), expected, "{other}");
        }
    }
}
