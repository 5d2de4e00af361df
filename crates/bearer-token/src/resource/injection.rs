//! The only place that puts a credential into the head of a request.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind},
    resource::sharded_header::ShardedHeader,
    token::check_token,
};

/// What a bearer inserts into the head of a request: one header with a sensitive value, and further fixed headers.
///
/// Today every credential is `Authorization: Bearer <token>`. Other headers and schemes cost the usual one nothing but
/// a branch that is always predicted.
#[derive(Clone)]
pub(crate) struct Credential {
    /// Whether the header is `Authorization` and there are no further ones.
    is_usual: bool,
    name: HeaderName,
    value: ShardedHeader,
    /// The length of the scheme, with its space.
    scheme: usize,
    further: Box<[(HeaderName, HeaderValue)]>,
}

impl Credential {
    /// `Authorization: Bearer <token>` (RFC 6750 section 2.1).
    pub(crate) fn bearer(token: &str) -> Result<Self, Error> {
        Self::new(AUTHORIZATION, "Bearer ", token, Box::default())
    }

    fn new(
        name: HeaderName,
        scheme: &'static str,
        token: &str,
        further: Box<[(HeaderName, HeaderValue)]>,
    ) -> Result<Self, Error> {
        check_token(token)?;
        let value = ShardedHeader::new(Zeroizing::new([scheme, token].concat().into_bytes()))
            .map_err(|error| Error::new(ErrorKind::Token, "the token is not a header value").with_source(error))?;
        Ok(Credential {
            is_usual: name == AUTHORIZATION && further.is_empty(),
            name,
            value,
            scheme: scheme.len(),
            further,
        })
    }

    /// The value of the header, marked sensitive.
    pub(crate) fn value(&self) -> &HeaderValue {
        self.value.get()
    }

    /// The token itself, without its scheme.
    pub(crate) fn secret(&self) -> &str {
        let token = self.value().as_bytes().get(self.scheme..).unwrap_or_default();
        // Sealing admits only visible ASCII.
        str::from_utf8(token).unwrap_or_default()
    }

    /// Inserts the credential, and says whether it did. A header that the caller set is left as it was.
    ///
    /// To look for the caller's header first would be a second search of the map for every request. So it is inserted,
    /// and what it replaced is put back. An insertion returns only one of several values: callers rule those out with
    /// [`has_several_of_its_own`].
    #[inline]
    pub(crate) fn insert(&self, headers: &mut HeaderMap) -> bool {
        if !self.is_usual {
            return self.insert_unusual(headers);
        }
        match headers.insert(AUTHORIZATION, self.value.share()) {
            None => true,
            Some(own) => {
                headers.insert(AUTHORIZATION, own);
                false
            }
        }
    }

    #[cold]
    fn insert_unusual(&self, headers: &mut HeaderMap) -> bool {
        if headers.contains_key(&self.name) {
            return false;
        }
        headers.insert(self.name.clone(), self.value.share());
        for (name, value) in &self.further {
            headers.insert(name.clone(), value.clone());
        }
        true
    }

    /// The same for a head that nothing is known of.
    pub(crate) fn attach(&self, headers: &mut HeaderMap) -> bool {
        !has_several_of_its_own(headers) && self.insert(headers)
    }
}

/// Whether the caller has set a credential, which goes out untouched.
pub(crate) fn has_its_own(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION)
}

/// Whether the caller has set a credential and the head has names with several values: perhaps this one.
#[inline]
pub(crate) fn has_several_of_its_own(headers: &HeaderMap) -> bool {
    headers.len() > headers.keys_len() && has_its_own(headers)
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use super::*;

    #[test]
    fn l18_illegal_header_values_are_refused_and_a_bang_is_legal() {
        for token in ["", "a b", "a\n", "a\r\nx: y", "\u{e4}", "a\u{0}", "tab\t"] {
            let error = Credential::bearer(token).err().expect(token);
            assert_eq!(error.kind(), ErrorKind::Token, "{token:?}");
        }
        for token in ["00D!AQ.x_~+/==", "eyJ.eyJ.sig"] {
            let credential = Credential::bearer(token).unwrap();
            assert!(credential.value().is_sensitive());
            assert_eq!(credential.value().as_bytes(), format!("Bearer {token}").as_bytes());
            assert_eq!(credential.secret(), token);
        }
    }

    /// What the head holds after the attempt: name and value of each header.
    fn attached(credential: &Credential, own: &[(&'static str, &'static str)]) -> (bool, Vec<String>) {
        let mut headers = HeaderMap::new();
        for (name, value) in own {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let inserted = credential.attach(&mut headers);
        let mut found: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        found.sort();
        (inserted, found)
    }

    #[test]
    fn l35_the_usual_credential_leaves_the_callers_own_untouched() {
        let credential = Credential::bearer("t").unwrap();
        for (own, inserted, expected) in [
            (&[][..], true, &["authorization: Bearer t"][..]),
            (&[("x", "1"), ("x", "2")], true, &["authorization: Bearer t", "x: 1", "x: 2"]),
            (&[("authorization", "Basic eDp5")], false, &["authorization: Basic eDp5"]),
            (
                &[("authorization", "Basic a"), ("authorization", "Basic b")],
                false,
                &["authorization: Basic a", "authorization: Basic b"],
            ),
        ] {
            assert_eq!(attached(&credential, own), (inserted, expected.iter().map(ToString::to_string).collect()));
        }
    }

    #[test]
    fn other_headers_and_schemes_are_inserted_by_the_same_function() {
        let further = [(HeaderName::from_static("x-project"), HeaderValue::from_static("p1"))];
        let name = HeaderName::from_static("x-api-key");
        let credential = Credential::new(name, "", "secret", Box::new(further)).unwrap();
        assert_eq!(credential.secret(), "secret");
        for (own, inserted, expected) in [
            (&[][..], true, &["x-api-key: secret", "x-project: p1"][..]),
            (&[("authorization", "Basic a")], true, &["authorization: Basic a", "x-api-key: secret", "x-project: p1"]),
            (&[("x-api-key", "mine")], false, &["x-api-key: mine"]),
        ] {
            assert_eq!(attached(&credential, own), (inserted, expected.iter().map(ToString::to_string).collect()));
        }
    }
}
