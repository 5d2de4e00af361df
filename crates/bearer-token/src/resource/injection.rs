//! The only place that puts a credential into the head of a request.
//!
//! It is one place, so three rules hold for all adapters. What the caller set wins. The value is marked sensitive. No
//! header of the request is read before it is certain that the token may go there.
//!
//! # Cost
//!
//! The usual credential is one `Authorization` header whose value was made when the token arrived. A request clones
//! that value, which counts a reference, and inserts it. [`Sharded`] keeps the counts of different threads apart.
//!
//! Other forms (a header of another name, fixed headers) take a longer way behind one branch. They are behind a box, so
//! that the usual credential stays small.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, InvalidHeaderValue},
};
use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind},
    resource::{
        sending::{FixedHeader, HeaderForm},
        sharded::{SecretText, Sharded},
    },
    token::check_token,
};

/// What a bearer inserts into the head of a request: one header with a sensitive value, and perhaps fixed headers.
///
/// For the usual credential, `Authorization` alone, the other headers cost only a branch that is always predicted.
#[derive(Clone)]
pub(crate) struct Credential(Headers);

/// The headers once, or once for each group of threads.
#[derive(Clone)]
enum Headers {
    /// The value of `Authorization`, and nothing else.
    Authorization(HeaderValue),
    SharedAuthorization(Sharded<HeaderValue>),
    Others(Box<Others>),
    SharedOthers(Sharded<Others>),
}

/// The headers of a [`Sending`](crate::Sending) that differs from the usual form.
#[derive(Clone)]
struct Others {
    name: HeaderName,
    value: HeaderValue,
    fixed: Box<[(HeaderName, HeaderValue)]>,
}

/// Shorter fixed values are not masked in untrusted input, because they may be a version or a common word.
const SHORTEST_SECRET: usize = 20;

impl Credential {
    /// Makes a token and the fixed headers that were read with it ready to send.
    ///
    /// # Errors
    ///
    /// Of kind [`Token`](ErrorKind::Token) if the token cannot be a part of a header, or of the kind of the problem
    /// with a fixed header. No message shows a value.
    pub(crate) fn new(form: &HeaderForm, token: &str, fixed: &[FixedHeader]) -> Result<Self, Error> {
        check_token(token)?;
        let text = SecretText::new(Zeroizing::new([form.scheme(), token].concat().into_bytes()));
        let illegal = |error| Error::new(ErrorKind::Token, "the token is not a header value").with_source(error);
        let value = text.header_value().map_err(illegal)?;
        if *form.name() == AUTHORIZATION && fixed.is_empty() {
            return Ok(Credential(Headers::Authorization(value)));
        }
        let mut copies = Vec::with_capacity(fixed.len());
        for header in fixed {
            copies.push((own_copy(&header.name)?, header.value()?));
        }
        let others = Others { name: own_copy(form.name())?, value, fixed: copies.into() };
        Ok(Credential(Headers::Others(Box::new(others))))
    }

    /// Whether all threads share one count of references.
    #[inline]
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.0, Headers::Authorization(_) | Headers::Others(_))
    }

    /// The same headers, once for each group of threads.
    pub(crate) fn shared_out(&self) -> Result<Self, Error> {
        let copies = match &self.0 {
            Headers::Authorization(value) => {
                let text = text_of(value);
                let shared = Sharded::new(|| text.padded_header_value());
                Headers::SharedAuthorization(shared.map_err(|error| illegal(&AUTHORIZATION, error))?)
            }
            Headers::Others(others) => {
                let text = text_of(&others.value);
                let fixed: Vec<_> = others.fixed.iter().map(|(name, value)| (name, text_of(value))).collect();
                Headers::SharedOthers(Sharded::new(|| {
                    let value = |name: &HeaderName, text: &SecretText| {
                        text.padded_header_value().map_err(|error| illegal(name, error))
                    };
                    let mut copies = Vec::with_capacity(fixed.len());
                    for (name, text) in &fixed {
                        copies.push((own_copy(name)?, value(name, text)?));
                    }
                    let name = own_copy(&others.name)?;
                    Ok::<_, Error>(Others { value: value(&name, &text)?, name, fixed: copies.into() })
                })?)
            }
            Headers::SharedAuthorization(_) | Headers::SharedOthers(_) => self.0.clone(),
        };
        Ok(Credential(copies))
    }

    /// The headers if they are not `Authorization` alone.
    fn others(&self) -> Option<&Others> {
        match &self.0 {
            Headers::Authorization(_) | Headers::SharedAuthorization(_) => None,
            Headers::Others(others) => Some(others),
            Headers::SharedOthers(others) => Some(others.first()),
        }
    }

    /// The name of the header that contains the token.
    pub(crate) fn name(&self) -> &HeaderName {
        self.others().map_or(&AUTHORIZATION, |others| &others.name)
    }

    /// The value of that header, marked sensitive.
    pub(crate) fn value(&self) -> &HeaderValue {
        match &self.0 {
            Headers::Authorization(value) => value,
            Headers::SharedAuthorization(copies) => copies.first(),
            Headers::Others(others) => &others.value,
            Headers::SharedOthers(copies) => &copies.first().value,
        }
    }

    /// The fixed headers, marked sensitive.
    pub(crate) fn fixed(&self) -> &[(HeaderName, HeaderValue)] {
        self.others().map_or(&[], |others| &others.fixed)
    }

    /// The token itself, without its scheme.
    pub(crate) fn secret(&self) -> &str {
        // Sealing admits only visible ASCII, and the scheme ends with the only space.
        let text = str::from_utf8(self.value().as_bytes()).unwrap_or_default();
        text.rsplit(' ').next().unwrap_or_default()
    }

    /// The token, and the fixed headers that may be secrets too.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let fixed = self.fixed().iter().filter_map(|(_, value)| value.to_str().ok());
        std::iter::once(self.secret()).chain(fixed.filter(|value| value.len() >= SHORTEST_SECRET))
    }

    /// The value of `Authorization`, to clone in this thread, if the credential is nothing else.
    #[inline]
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        match &self.0 {
            Headers::Authorization(value) => Some(value),
            Headers::SharedAuthorization(copies) => Some(copies.local()),
            Headers::Others(_) | Headers::SharedOthers(_) => None,
        }
    }

    /// Inserts the credential, and says whether it did. A header that the caller set is left as it was.
    ///
    /// Callers rule out several values with [`has_several_of`]: see [`insert_authorization`].
    pub(crate) fn insert(&self, headers: &mut HeaderMap) -> bool {
        match &self.0 {
            Headers::Authorization(value) => insert_authorization(value, headers),
            Headers::SharedAuthorization(copies) => insert_authorization(copies.local(), headers),
            Headers::Others(others) => others.insert(headers),
            Headers::SharedOthers(copies) => copies.local().insert(headers),
        }
    }

    /// Inserts the credential into a head that may already have several values of its header, and says whether it did.
    pub(crate) fn attach(&self, headers: &mut HeaderMap) -> bool {
        !has_several_of(self.name(), headers) && self.insert(headers)
    }
}

/// Inserts the value of `Authorization`, and says whether it did. A value that the caller set is left as it was.
///
/// Looking for the caller's header first would cost every request a second search of the map. So the value is inserted
/// first, and if it replaced another, that one is put back. An insertion returns only one of several values, so callers
/// rule those out with [`has_several_of`].
///
/// A call of its own. Inlined into the larger function around it, it takes a few instructions less and a tenth more
/// time. The parts of the value are then written one by one and read at once.
#[inline(never)]
pub(crate) fn insert_authorization(value: &HeaderValue, headers: &mut HeaderMap) -> bool {
    match headers.insert(AUTHORIZATION, value.clone()) {
        None => true,
        Some(own) => {
            put_back(own, headers);
            false
        }
    }
}

#[cold]
fn put_back(own: HeaderValue, headers: &mut HeaderMap) {
    if let Some(value) = headers.get_mut(AUTHORIZATION) {
        *value = own;
    }
}

impl Others {
    /// Inserts the token's header and the fixed ones. If the caller set the token's header, nothing is inserted: fixed
    /// headers belong to the token.
    #[cold]
    fn insert(&self, headers: &mut HeaderMap) -> bool {
        if let Some(own) = headers.insert(&self.name, self.value.clone()) {
            headers.insert(&self.name, own);
            return false;
        }
        for (name, value) in &self.fixed {
            // One that the caller set wins, without regard to the others.
            headers.entry(name).or_insert_with(|| value.clone());
        }
        true
    }
}

/// The text of a header value, once more.
fn text_of(value: &HeaderValue) -> SecretText {
    SecretText::new(Zeroizing::new(value.as_bytes().to_vec()))
}

#[cold]
fn illegal(name: &HeaderName, error: InvalidHeaderValue) -> Error {
    Error::new(ErrorKind::Token, format!("the header `{name}` has a value that no header may have")).with_source(error)
}

/// A copy of the name with its own reference count. It is made in advance, so the first request does not allocate.
fn own_copy(name: &HeaderName) -> Result<HeaderName, Error> {
    let copy = HeaderName::from_bytes(name.as_str().as_bytes())
        .map_err(|error| Error::new(ErrorKind::Config, "a header name is not one").with_source(error))?;
    drop(copy.clone());
    Ok(copy)
}

/// Whether this header may have several values in the head.
#[inline]
pub(crate) fn has_several_of(name: &HeaderName, headers: &HeaderMap) -> bool {
    headers.len() > headers.keys_len() && headers.contains_key(name)
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use super::*;

    fn usual(token: &str) -> Result<Credential, Error> {
        Credential::new(&HeaderForm::default(), token, &[])
    }

    fn fixed(name: &'static str, value: &str) -> FixedHeader {
        FixedHeader::new(HeaderName::from_static(name), Zeroizing::new(value.to_owned()))
    }

    // shows: 6749/10.14 6750/2.1b
    #[test]
    fn l18_illegal_header_values_are_refused_and_a_bang_is_legal() {
        for token in ["", "a b", "a\n", "a\r\nx: y", "\u{e4}", "a\u{0}", "tab\t"] {
            let error = usual(token).err().expect(token);
            assert_eq!(error.kind(), ErrorKind::Token, "{token:?}");
        }
        for token in ["00D!AQ.x_~+/==", "eyJ.eyJ.sig"] {
            let credential = usual(token).unwrap();
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

    /// The caller's headers, whether the credential is inserted, and the headers that are sent.
    type Case<'a> = (&'a [(&'static str, &'static str)], bool, &'a [&'a str]);

    fn check(credential: &Credential, table: &[Case<'_>]) {
        for (own, inserted, expected) in table {
            assert_eq!(attached(credential, own), (*inserted, expected.iter().map(ToString::to_string).collect()));
        }
    }

    // shows: 6750/2a 9110/11.6.2
    #[test]
    fn l35_the_usual_credential_leaves_the_callers_own_untouched() {
        check(
            &usual("t").unwrap(),
            &[
                (&[], true, &["authorization: Bearer t"]),
                (&[("x", "1"), ("x", "2")], true, &["authorization: Bearer t", "x: 1", "x: 2"]),
                (&[("authorization", "Basic eDp5")], false, &["authorization: Basic eDp5"]),
                (
                    &[("authorization", "Basic a"), ("authorization", "Basic b")],
                    false,
                    &["authorization: Basic a", "authorization: Basic b"],
                ),
            ],
        );
    }

    #[test]
    fn l35_another_header_leaves_the_callers_own_untouched() {
        let form = HeaderForm::new(HeaderName::from_static("x-api-key"), "");
        let credential = Credential::new(&form, "secret", &[fixed("x-project", "p1")]).unwrap();
        assert_eq!(credential.secret(), "secret");
        check(
            &credential,
            &[
                (&[], true, &["x-api-key: secret", "x-project: p1"]),
                (
                    &[("authorization", "Basic a")],
                    true,
                    &["authorization: Basic a", "x-api-key: secret", "x-project: p1"],
                ),
                (&[("x-api-key", "mine")], false, &["x-api-key: mine"]),
                (&[("x-api-key", "1"), ("x-api-key", "2")], false, &["x-api-key: 1", "x-api-key: 2"]),
                (
                    &[("x-project", "mine"), ("x-project", "too")],
                    true,
                    &["x-api-key: secret", "x-project: mine", "x-project: too"],
                ),
            ],
        );
    }

    #[test]
    fn every_inserted_header_is_sensitive_and_every_name_counted_already() {
        let form = HeaderForm::new(HeaderName::from_static("x-api-key"), "Key ");
        let fixed = [fixed("accept", "text/plain"), fixed("x-project", "p1")];
        let credential = Credential::new(&form, "secret", &fixed).unwrap();
        let mut headers = HeaderMap::with_capacity(8);
        assert!(credential.insert(&mut headers));
        assert_eq!(headers.len(), 3);
        assert!(headers.values().all(HeaderValue::is_sensitive), "{headers:?}");
        assert_eq!(headers["x-api-key"], "Key secret");
    }

    #[test]
    fn a_fixed_header_beside_authorization_is_sent_with_it() {
        let credential =
            Credential::new(&HeaderForm::default(), "t", &[fixed("x-github-api-version", "2022-11-28")]).unwrap();
        let expected = &["authorization: Bearer t", "x-github-api-version: 2022-11-28"];
        check(
            &credential,
            &[(&[], true, expected), (&[("authorization", "Basic a")], false, &["authorization: Basic a"])],
        );
    }
}
