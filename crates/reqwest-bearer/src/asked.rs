//! What is kept of a request until its response comes, to tell whether the response is from where the request went.

use std::{
    hash::{BuildHasher, Hasher},
    sync::LazyLock,
};

use foldhash::quality::RandomState;
use reqwest::{Request, Url};
use url::Position;

/// The destination of a request, as two hashes.
///
/// A copy of the URL would be an allocation for each request, and is looked at only if the bearer was refused. The
/// hashes are seeded at random for each process. If two URLs had the same by chance, a refusal after a redirect would
/// be taken for the API's: one renewal too many.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    destination: Hashes,
    /// Whether its method is idempotent (RFC 9110 section 9.2.2).
    pub(crate) is_idempotent: bool,
}

#[derive(Clone, Copy)]
struct Hashes {
    origin: u64,
    /// The origin, the path and the query.
    place: u64,
}

/// Where a response is from, by the request's destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    Destination,
    /// Another path or query of the same origin.
    SameOrigin,
    OtherOrigin,
}

static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);

impl Asked {
    #[inline]
    pub(crate) fn of(request: &Request) -> Self {
        Asked { destination: Hashes::of(request.url()), is_idempotent: request.method().is_idempotent() }
    }

    /// Where a response with this URL is from.
    pub(crate) fn compare(&self, reached: &Url) -> Reached {
        let (asked, reached) = (&self.destination, Hashes::of(reached));
        if asked.origin != reached.origin {
            Reached::OtherOrigin
        } else if asked.place != reached.place {
            Reached::SameOrigin
        } else {
            Reached::Destination
        }
    }
}

impl Hashes {
    /// A URL is normalised when it is parsed, and has no default port. User information is left out.
    #[inline]
    fn of(url: &Url) -> Self {
        // Two slices of the text: the accessors of the parts take several times as long.
        let mut hasher = HASHER.build_hasher();
        hasher.write(url[Position::BeforeHost..Position::BeforePath].as_bytes());
        hasher.write_u8(u8::from(url.scheme() == "https"));
        let origin = hasher.finish();
        hasher.write(url[Position::BeforePath..Position::AfterQuery].as_bytes());
        Hashes { origin, place: hasher.finish() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(asked: &str, reached: &str) -> Reached {
        let url = |text| Url::parse(text).unwrap();
        Asked { destination: Hashes::of(&url(asked)), is_idempotent: true }.compare(&url(reached))
    }

    #[test]
    fn urls_of_one_origin_are_told_from_others() {
        let asked = "https://api.example.com/orders?page=1";
        for same in
            ["https://API.example.com:443", "https://user:word@api.example.com/other", "HTTPS://api.example.com"]
        {
            assert_eq!(compare(asked, same), Reached::SameOrigin, "{same}");
        }
        for other in ["http://api.example.com", "https://api.example.com:8443", "https://example.com", "https://[::1]"]
        {
            assert_eq!(compare(asked, &format!("{other}/orders?page=1")), Reached::OtherOrigin, "{other}");
        }
    }

    #[test]
    fn places_differ_in_path_or_query() {
        let asked = "https://api.example.com/orders?page=1";
        assert_eq!(compare(asked, "https://user:word@api.example.com:443/orders?page=1#part"), Reached::Destination);
        for other in ["/orders", "/orders?", "/orders?page=2", "/order?spage=1", "/"] {
            assert_eq!(compare(asked, &format!("https://api.example.com{other}")), Reached::SameOrigin, "{other}");
        }
    }
}
