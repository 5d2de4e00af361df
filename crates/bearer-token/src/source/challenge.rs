//! What an API asks for when it refuses a bearer.
//!
//! `WWW-Authenticate` has a grammar that most readers get wrong. Several challenges may share a line, separated by the
//! same comma that separates their parameters. A quoted string may contain both. The reader follows RFC 9110 section
//! 11.6.1, and a syntax error ends the reading of a line: half a challenge must not decide anything.
//!
//! ```text
//! WWW-Authenticate: Basic realm="a, b", Bearer realm="api", error="invalid_token"
//!                   `-- one ---------'  `-- another -------------------------'
//! ```
//!
//! All of it is untrusted input: bounded in number and size, never shown, and given to the source only.

use std::{fmt, sync::Arc};

use http::{HeaderMap, header::WWW_AUTHENTICATE};

mod reader;

use self::reader::Challenges;
pub(crate) use self::reader::{RawChallenge, is_token};

/// What an API asks for: one challenge of a `WWW-Authenticate` header (RFC 9110 section 11.3).
///
/// Names are compared without regard to case. `Debug` shows only well-known names, and no values: an API may send
/// anything, even the token that it was sent.
///
/// ```
/// use bearer_token::Challenge;
/// use http::{HeaderMap, header::WWW_AUTHENTICATE};
///
/// let mut response = HeaderMap::new();
/// let line = r#"Bearer error="insufficient_user_authentication", acr_values="urn:example:gold", max_age=300"#;
/// response.append(WWW_AUTHENTICATE, line.parse().unwrap());
/// let challenges = Challenge::read(&response);
/// assert!(challenges[0].is_scheme("bearer"));
/// assert_eq!(challenges[0].parameter("max_age"), Some("300"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    scheme: Box<str>,
    parameters: Vec<(Box<str>, Box<str>)>,
}

/// How many challenges of a response are read, how many parameters of each, and from how many bytes of header lines.
const CHALLENGES: usize = 16;
const PARAMETERS: usize = 32;
const BYTES: usize = 8 * 1024;

impl Challenge {
    /// Reads the challenges among the headers or the trailers of a response, in their order.
    ///
    /// At most 16 challenges, 32 parameters of each, and 8 KiB are read. A challenge beyond that is left out, and so
    /// are values that are not UTF-8. A syntax error ends the reading of its header line.
    pub fn read(response: &HeaderMap) -> Vec<Challenge> {
        let mut found = Vec::new();
        raw_challenges(response, |challenge| found.push(Challenge::from(challenge)));
        found
    }

    /// Reads the challenges into a shared list, or returns `None` if there are none.
    pub(crate) fn keep(response: &HeaderMap) -> Option<Arc<[Challenge]>> {
        let challenges = Challenge::read(response);
        (!challenges.is_empty()).then(|| challenges.into())
    }

    /// Whether the API knows the token that it refused: the challenge names an error, and not `invalid_token`.
    pub(crate) fn knows_the_token(&self) -> bool {
        self.parameter("error").is_some_and(|error| error != "invalid_token")
    }

    /// The authentication scheme as it was sent, such as `Bearer`. Compare it with [`is_scheme`](Self::is_scheme),
    /// which ignores case.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether it is a challenge of this scheme.
    pub fn is_scheme(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of the first parameter of this name, such as `error`, `scope`, `claims` or `acr_values`. Quotes and
    /// escaping backslashes are removed.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All parameters, name and value, in the order in which they were sent.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// Reads the challenges of a response, within the limits. All code that judges a response uses this function. So the
/// verdict and the challenges for the source are about the same bytes.
pub(crate) fn raw_challenges(response: &HeaderMap, mut each: impl FnMut(&RawChallenge<'_>)) {
    let (mut bytes_left, mut challenges_left) = (BYTES, CHALLENGES);
    for line in response.get_all(WWW_AUTHENTICATE) {
        let line = line.as_bytes();
        let text = line.get(..bytes_left).unwrap_or(line);
        bytes_left -= text.len();
        let mut challenges = Challenges::of(text).peekable();
        while let Some(challenge) = challenges.next() {
            // The rest of a challenge that was cut off is unknown.
            let cut_off = text.len() < line.len() && challenges.peek().is_none();
            if cut_off || challenges_left == 0 {
                return;
            }
            challenges_left -= 1;
            each(&challenge);
        }
    }
}

impl From<&RawChallenge<'_>> for Challenge {
    fn from(raw: &RawChallenge<'_>) -> Self {
        let text = |bytes| Some(Box::from(str::from_utf8(bytes).ok()?));
        let parameters = raw.parameters.iter().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        // The grammar's schemes are ASCII.
        let scheme = text(raw.scheme).unwrap_or_default();
        Challenge { scheme, parameters: parameters.take(PARAMETERS).collect() }
    }
}

/// Schemes (of the IANA registry) and parameters of RFC 6750, 9449, 9470 and 9728, and of Entra.
const KNOWN_PARAMETERS: [&str; 22] = [
    "Basic",
    "Bearer",
    "Digest",
    "DPoP",
    "HOBA",
    "Mutual",
    "Negotiate",
    "acr_values",
    "algs",
    "authorization_uri",
    "claims",
    "client_id",
    "error",
    "error_codes",
    "error_description",
    "error_uri",
    "max_age",
    "nonce",
    "realm",
    "resource_metadata",
    "scope",
    "trusted_issuers",
];

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known =
            |name: &str| *KNOWN_PARAMETERS.iter().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(&"other");
        let names: Vec<_> = self.parameters().map(|(name, _)| known(name)).collect();
        f.debug_struct("Challenge").field("scheme", &known(self.scheme())).field("parameters", &names).finish()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(lines: &[&str]) -> Vec<Challenge> {
        let mut response = HeaderMap::new();
        for line in lines {
            response.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        Challenge::read(&response)
    }

    fn shown(challenges: &[Challenge]) -> Vec<String> {
        let one = |challenge: &Challenge| {
            let parameters = challenge.parameters().map(|(name, value)| format!(" {name}={value}"));
            format!("{}{}", challenge.scheme(), parameters.collect::<String>())
        };
        challenges.iter().map(one).collect()
    }

    // shows: 6750/3a 9110/11.2b 9110/11.3 9449/7.1a
    #[test]
    fn challenges_from_the_field_are_read_in_order() {
        for (lines, expected) in [
            (&[][..], &[][..]),
            (&["Bearer"], &["Bearer"]),
            (
                &[
                    r#"Bearer realm="", authorization_uri="https://as.example.com/", error="insufficient_claims", claims="e30=""#,
                ],
                &["Bearer realm= authorization_uri=https://as.example.com/ error=insufficient_claims claims=e30="],
            ),
            (
                &[
                    r#"Bearer error="insufficient_user_authentication", acr_values="a b", max_age=5"#,
                    "Negotiate YWJj==",
                ],
                &["Bearer error=insufficient_user_authentication acr_values=a b max_age=5", "Negotiate"],
            ),
            (
                &[r#"DPoP algs="ES256, RS256", Bearer resource_metadata="https://api.example.com/m\"d""#],
                &["DPoP algs=ES256, RS256", "Bearer resource_metadata=https://api.example.com/m\"d"],
            ),
            // What is broken says nothing, and does not look like something else.
            (&[r#"Bearer realm="x", claims="e30"#, "Basic"], &["Bearer realm=x", "Basic"]),
            (&[r#"Bearer realm="x", claims=, error="y""#], &["Bearer realm=x"]),
            (&["Bearer realm=\"\u{e4}\", error=\"y\""], &["Bearer realm=\u{e4} error=y"]),
        ] {
            assert_eq!(shown(&read(lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_left_out() {
        let mut response = HeaderMap::new();
        let line = HeaderValue::from_bytes(b"Bearer realm=\"\xff\", error=\"invalid_token\"").unwrap();
        response.append(WWW_AUTHENTICATE, line);
        assert_eq!(shown(&Challenge::read(&response)), ["Bearer error=invalid_token"]);
    }

    // shows: 9110/11.1 9110/11.2a
    #[test]
    fn names_ignore_case_and_the_first_one_counts() {
        let [challenge] = &read(&[r#"bEARER Claims="a", CLAIMS="b""#])[..] else { panic!("one challenge") };
        assert!(challenge.is_scheme("Bearer") && !challenge.is_scheme("Basic"));
        assert_eq!(challenge.parameter("claims"), Some("a"));
        assert_eq!(challenge.parameter("claim"), None);
        assert_eq!(challenge.parameters().count(), 2);
    }

    #[test]
    fn reading_is_bounded_and_never_partial() {
        let long = |size: usize| format!(r#"Bearer claims="{}""#, "x".repeat(size));
        let frame = r#"Bearer claims="""#.len();
        assert_eq!(read(&[&long(BYTES - frame)]).len(), 1);
        assert_eq!(read(&[&long(BYTES - frame + 1)]).len(), 0);
        assert_eq!(read(&[&long(1_000_000)]).len(), 0);
        // Over several lines, and with more after it.
        let half = long(BYTES / 2);
        assert_eq!(read(&[&half, &half, "Basic"]).len(), 1);
        assert_eq!(read(&[&half, &format!(r#"Basic realm="x", {half}"#), "Basic"]).len(), 2);
        // An unquoted value that is cut in two would look whole.
        let words = format!("Basic, Bearer scope={}", "x".repeat(BYTES));
        assert_eq!(shown(&read(&[&words])), ["Basic"]);

        assert_eq!(read(&[&"Basic,".repeat(1_000)]).len(), CHALLENGES);
        assert_eq!(read(&["Basic"; 1_000]).len(), CHALLENGES);
        let [many] = &read(&[&format!("Bearer {}", "a=b,".repeat(1_000))])[..] else { panic!("one challenge") };
        assert_eq!(many.parameters().count(), PARAMETERS);
    }

    #[test]
    fn l38_debug_shows_well_known_names_and_nothing_else() {
        let line = r#"Bearer realm="marker", Claims="marker", marker="x", Marker error=marker"#;
        let expected = r#"[Challenge { scheme: "Bearer", parameters: ["realm", "claims", "other"] }, Challenge { scheme: "other", parameters: ["error"] }]"#;
        assert_eq!(format!("{:?}", read(&[line])), expected);
    }
}
