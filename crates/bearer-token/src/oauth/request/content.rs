//! The parameters of one token request, and the forms in which they are sent.
//!
//! Secrets pass through here in their plainest form. So each buffer is sized in advance for its worst case, and wiped.
//! A buffer that grows would leave its earlier half in freed memory.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Uri, uri::PathAndQuery};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::Number;
use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    oauth::request::parameters::{Parameter, Parameters},
};

/// Where the parameters of a token request are, and in which format.
///
/// ```
/// use bearer_token::oauth::{BodyFormat, ClientCredentials, ParameterValue, TokenEndpoint};
///
/// // One body of each kind, for `resource` given twice and an empty `note`:
/// //
/// //   Form    grant_type=client_credentials&resource=https%3A%2F%2Fa.example.com&resource=https%3A%2F%2Fb.example.com
/// //   Json    {"grant_type":"client_credentials","resource":["https://a.example.com","https://b.example.com"]}
/// //   Query   the form, behind the URL's own query, and with `%20` for spaces
/// //   None    a problem: there is no place for a parameter
/// let builder = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
///     .body(BodyFormat::Json)
///     .parameter("resource", ParameterValue::list(["https://a.example.com", "https://b.example.com"]))
///     .parameter("note", "");
/// # let _ = builder;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyFormat {
    /// In the body, as `application/x-www-form-urlencoded` (RFC 6749 section 3.2). The default.
    #[default]
    Form,
    /// In the body, as one JSON object. A parameter that occurs more than once becomes an array.
    Json,
    /// In the query of the URL, behind a query that the URL has already. There is no body.
    ///
    /// Proxies and servers log URLs: this is for servers that offer nothing else.
    Query,
    /// Nowhere: the request consists of its URL and headers, without a grant type.
    None,
}

impl BodyFormat {
    /// The name in configurations.
    pub(crate) fn name(self) -> &'static str {
        match self {
            BodyFormat::Form => "form",
            BodyFormat::Json => "json",
            BodyFormat::Query => "query",
            BodyFormat::None => "none",
        }
    }

    pub(crate) fn content_type(self) -> Option<HeaderValue> {
        match self {
            BodyFormat::Form => Some(HeaderValue::from_static("application/x-www-form-urlencoded")),
            BodyFormat::Json => Some(HeaderValue::from_static("application/json")),
            BodyFormat::Query | BodyFormat::None => None,
        }
    }
}

/// The parameters of one request, in order. A name may occur more than once.
#[derive(Default)]
pub(crate) struct Content(Vec<Entry>);

/// One parameter. `is_credential` follows it to [`Sent`](super::sent::Sent), which refuses a response that has it as
/// the token.
struct Entry {
    name: Cow<'static, str>,
    value: Sendable,
    is_credential: bool,
}

/// The value of a parameter for one request.
///
/// The filled form of a [`ParameterValue`](super::ParameterValue): no value in it has to be looked up any more.
#[derive(Clone)]
pub(crate) enum Sendable {
    String(Zeroizing<String>),
    Number(Number),
    Bool(bool),
    Null,
    List(Vec<Sendable>),
    Object(Vec<(String, Sendable)>),
}

/// The length that path and query must stay below, in bytes: 64 KiB less one, as in the crate `http`.
const URL_LIMIT: usize = u16::MAX as usize;

impl Content {
    /// Adds a parameter. An empty string is not sent (RFC 6749 section 3.2).
    pub(crate) fn push(&mut self, name: impl Into<Cow<'static, str>>, value: Sendable, is_credential: bool) {
        if !matches!(&value, Sendable::String(text) if text.is_empty()) {
            self.0.push(Entry { name: name.into(), value, is_credential });
        }
    }

    pub(crate) fn extend(&mut self, parameters: &Parameters) {
        for Parameter { name, value, is_credential } in parameters.list() {
            self.push(name.clone(), Sendable::String(value.clone()), *is_credential);
        }
    }

    /// The names, with repetitions.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| entry.name.as_ref())
    }

    /// Every string and number in it, under the name of its parameter.
    ///
    /// Used only to find repetitions in a response, so the structure does not matter.
    pub(crate) fn flat(&self) -> Parameters {
        let mut flat = Parameters::default();
        for Entry { name, value, is_credential } in &self.0 {
            value.each(&mut |text| {
                // Any description of an error may contain these words.
                if !["true", "false"].contains(&text) {
                    flat.add(name.clone(), Zeroizing::new(text.to_owned()), *is_credential);
                }
            });
        }
        flat
    }

    /// The form, `application/x-www-form-urlencoded`.
    pub(crate) fn form(&self) -> Zeroizing<String> {
        // Large enough for the worst case, because a buffer that grows leaves copies of secrets behind.
        let mut size = 0;
        self.pairs(&mut |name, value| size += 3 * (name.len() + value.len()) + 2);
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(size));
        self.pairs(&mut |name, value| {
            form.append_pair(name, value);
        });
        Zeroizing::new(form.finish())
    }

    /// One JSON object.
    pub(crate) fn json(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let object = self.object();
        let mut json = Zeroizing::new(Vec::with_capacity(object.size()));
        // The error is dropped, because it may quote a value. Writing to memory does not fail.
        serde_json::to_writer(&mut *json, &object)
            .map_err(|_| Error::new(ErrorKind::Source, "the parameters cannot be written as JSON"))?;
        Ok(json)
    }

    /// The object, in which a name occurs once.
    ///
    /// Members keep the order of their first occurrence.
    fn object(&self) -> Sendable {
        let mut members: Vec<(String, Sendable)> = Vec::new();
        for Entry { name, value, .. } in &self.0 {
            match members.iter_mut().find(|(other, _)| other == name) {
                Some((_, earlier)) => earlier.join(value.clone()),
                None => members.push((name.to_string(), value.clone())),
            }
        }
        Sendable::Object(members)
    }

    /// The URL with the parameters behind its own query.
    pub(crate) fn in_query(&self, uri: &Uri) -> Result<Uri, Error> {
        let form = self.form();
        if form.is_empty() {
            return Ok(uri.clone());
        }
        let own = uri.query().unwrap_or_default();
        let mut text = String::with_capacity(uri.path().len() + own.len() + 3 * form.len() + 2);
        text.push_str(uri.path());
        text.push('?');
        text.push_str(own);
        if !own.is_empty() && !own.ends_with('&') {
            text.push('&');
        }
        for part in form.split_inclusive('+') {
            // A space. Not every server reads a plus sign as one outside a form.
            match part.strip_suffix('+') {
                Some(part) => text.extend([part, "%20"]),
                None => text.push_str(part),
            }
        }
        // Wiped on every way out.
        let text = Zeroizing::new(text.into_bytes());
        // The crate `http` has this limit too, but not in all versions.
        if text.len() >= URL_LIMIT {
            let found = "the parameters make a URL that is too long; expected one of less than 64 KiB";
            return Err(Error::new(ErrorKind::Source, found).with_retry(Retry::AfterChange));
        }
        let invalid = || Error::new(ErrorKind::Source, "the URL and the parameters make no valid URL");
        let mut parts = uri.clone().into_parts();
        let query = PathAndQuery::from_maybe_shared(Bytes::from_owner(text)).map_err(|_| invalid())?;
        parts.path_and_query = Some(query);
        Uri::from_parts(parts).map_err(|_| invalid())
    }

    /// The pairs of a form. The builder refuses trees that a form cannot hold.
    fn pairs(&self, pair: &mut impl FnMut(&str, &str)) {
        for Entry { name, value, .. } in &self.0 {
            value.each(&mut |text| pair(name, text));
        }
    }
}

impl Sendable {
    /// Calls the function with every string, number and truth value.
    fn each(&self, leaf: &mut impl FnMut(&str)) {
        match self {
            Sendable::String(text) => leaf(text),
            Sendable::Number(number) => leaf(&number.to_string()),
            Sendable::Bool(bool) => leaf(if *bool { "true" } else { "false" }),
            Sendable::Null => {}
            Sendable::List(list) => list.iter().for_each(|value| value.each(leaf)),
            Sendable::Object(members) => members.iter().for_each(|(_, value)| value.each(leaf)),
        }
    }

    /// Joins two values into one list.
    ///
    /// A second value of a name makes a list of the first; two lists become one.
    fn join(&mut self, other: Sendable) {
        let mut list = match std::mem::replace(self, Sendable::Null) {
            Sendable::List(list) => list,
            single => vec![single],
        };
        match other {
            Sendable::List(more) => list.extend(more),
            single => list.push(single),
        }
        *self = Sendable::List(list);
    }

    /// The largest size of the value in JSON, in bytes.
    fn size(&self) -> usize {
        match self {
            // `\u001f`, and the quotes.
            Sendable::String(text) => 6 * text.len() + 2,
            Sendable::Number(_) => 32,
            Sendable::Bool(_) | Sendable::Null => 5,
            Sendable::List(list) => list.iter().map(|value| value.size() + 1).sum::<usize>() + 2,
            Sendable::Object(members) => {
                members.iter().map(|(name, value)| 6 * name.len() + value.size() + 4).sum::<usize>() + 2
            }
        }
    }
}

impl Serialize for Sendable {
    /// Writes numbers with their own digits: a large id must not become a float.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Sendable::String(text) => serializer.serialize_str(text),
            Sendable::Number(number) => number.serialize(serializer),
            Sendable::Bool(bool) => serializer.serialize_bool(*bool),
            Sendable::Null => serializer.serialize_unit(),
            Sendable::List(list) => {
                let mut sequence = serializer.serialize_seq(Some(list.len()))?;
                list.iter().try_for_each(|value| sequence.serialize_element(value))?;
                sequence.end()
            }
            Sendable::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Sendable {
        Sendable::String(Zeroizing::new(text.to_owned()))
    }

    fn content() -> Content {
        let mut content = Content::default();
        let parameters = Parameters::new("custom").with("scope", "").with("resource", "https://a.example.com/");
        content.extend(&parameters);
        content.push("resource", Sendable::List(vec![string("b c"), string("+\u{e4}\"")]), false);
        content.push("n&me", Sendable::Number(7.into()), false);
        content.push("is", Sendable::Bool(true), false);
        content
    }

    // shows: 6749/3.2d
    #[test]
    fn a_form_keeps_the_order_and_leaves_empty_values_out() {
        let expected = "grant_type=custom&resource=https%3A%2F%2Fa.example.com%2F&resource=b+c&resource=%2B%C3%A4%22\
                        &n%26me=7&is=true";
        assert_eq!(*content().form(), expected);
    }

    #[test]
    fn json_makes_a_list_of_what_is_repeated() {
        let mut content = content();
        let nested =
            Sendable::Object(vec![("a".into(), string("")), ("b".into(), Sendable::List(vec![Sendable::Null]))]);
        content.push("nested", nested, false);
        let json = content.json().unwrap();
        let expected = "{\"grant_type\":\"custom\",\"resource\":[\"https://a.example.com/\",\"b c\",\"+\u{e4}\\\"\"],\
                        \"n&me\":7,\"is\":true,\"nested\":{\"a\":\"\",\"b\":[null]}}";
        assert_eq!(str::from_utf8(&json).unwrap(), expected);
        assert_eq!(Content::default().json().unwrap().as_slice(), b"{}");
    }

    #[test]
    fn the_buffer_of_json_never_grows() {
        for text in ["\u{1}\u{1f}\"\\\n", "\u{7f}\u{e4}\u{20ac}", "plain"] {
            let mut content = Content::default();
            let nested = Sendable::Object(vec![(text.into(), Sendable::List(vec![string(text); 9]))]);
            content.push(text.to_owned(), nested, false);
            let number = Sendable::Number((-1.234_567_890_123_456_7e-300_f64).to_string().parse().unwrap());
            content.push("n", Sendable::List(vec![number; 9]), false);
            assert!(content.json().unwrap().len() <= content.object().size());
        }
    }

    #[test]
    fn the_query_comes_behind_that_of_the_url() {
        for (url, expected) in [
            ("https://as.example.com", "https://as.example.com/?a=b%20c%2B"),
            ("https://as.example.com/token", "https://as.example.com/token?a=b%20c%2B"),
            ("https://as.example.com/token?", "https://as.example.com/token?a=b%20c%2B"),
            ("https://as.example.com/token?x=1", "https://as.example.com/token?x=1&a=b%20c%2B"),
            ("https://as.example.com/token?x=1&", "https://as.example.com/token?x=1&a=b%20c%2B"),
        ] {
            let mut content = Content::default();
            assert_eq!(content.in_query(&url.parse().unwrap()).unwrap(), url.parse::<Uri>().unwrap());
            content.push("a", string("b c+"), false);
            assert_eq!(content.in_query(&url.parse().unwrap()).unwrap(), expected);
        }
        let mut content = Content::default();
        content.push("a", string(&"planted".repeat(10_000)), false);
        let error = content.in_query(&"https://as.example.com".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("less than 64 KiB") && !error.to_string().contains("planted"));
    }
}
