//! The parameters that a grant makes for a token request.
//!
//! The type that users' grants return, so it has few methods and no format. It can hold more than is sent: its
//! extensions travel beside the parameters through the request, and come back to the grant with the response.

use std::{borrow::Cow, fmt};

use http::Extensions;
use zeroize::Zeroizing;

/// The parameters that a grant makes for a token request, in the order in which they are sent.
///
/// Values may be secrets: they are wiped when dropped, and `Debug` shows names only. A parameter with an empty value is
/// not sent (RFC 6749 section 3.2).
///
/// ```
/// use bearer_token::oauth::Parameters;
///
/// let parameters = Parameters::new("urn:example:login").with("login_token", "a secret");
/// assert_eq!(format!("{parameters:?}"), r#"Parameters(["grant_type", "login_token"])"#);
/// ```
///
/// ```
/// use bearer_token::oauth::Parameters;
///
/// let mut parameters = Parameters::new("urn:ietf:params:oauth:grant-type:device_code");
/// parameters.push("client_id", "tv-app");
/// parameters.push_credential("device_code", "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS");
/// assert_eq!(parameters.names().collect::<Vec<_>>(), ["grant_type", "client_id", "device_code"]);
/// assert_eq!(parameters.get("client_id"), Some("tv-app"));
/// ```
#[derive(Clone, Default)]
pub struct Parameters {
    list: Vec<Parameter>,
    extensions: Extensions,
}

/// One parameter.
#[derive(Clone)]
pub(crate) struct Parameter {
    pub(crate) name: Cow<'static, str>,
    pub(crate) value: Zeroizing<String>,
    /// Whether the server exchanges it for a token, or knows the client by it.
    pub(crate) is_credential: bool,
}

impl Parameters {
    /// Starts with `grant_type`. An empty string leaves it out, for servers that expect none.
    pub fn new(grant_type: impl Into<String>) -> Self {
        Parameters::default().with("grant_type", grant_type)
    }

    /// Adds a parameter. A name may occur more than once where its specification says so, as for `resource`
    /// (RFC 8707 section 2).
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.add(name.into(), Zeroizing::new(value.into()), false);
    }

    /// Adds a credential, such as an assertion or a refresh token.
    ///
    /// A response that has it as the token is an error. Otherwise a server that echoes requests, or a wrong URL, would
    /// make the API receive the credential as its bearer.
    ///
    /// Everything that a server exchanges for a token is a credential: assertions, codes, refresh tokens, subject
    /// tokens. An id, a scope or a resource is not.
    pub fn push_credential(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.add(name.into(), Zeroizing::new(value.into()), true);
    }

    pub(crate) fn add(&mut self, name: Cow<'static, str>, value: Zeroizing<String>, is_credential: bool) {
        self.list.push(Parameter { name, value, is_credential });
    }

    /// Adds a parameter, for a chain of calls.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.push(name, value);
        self
    }

    /// Adds a [credential](Self::push_credential), for a chain of calls.
    #[must_use]
    pub fn with_credential(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.push_credential(name, value);
        self
    }

    /// The names, with repetitions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|parameter| parameter.name.as_ref())
    }

    /// The first value of this name, empty or not. It may be a secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Values that the grant remembers about this request, and that are never sent.
    ///
    /// They are dropped with the request. A guard among them, such as the lease of a credential, is released when the
    /// response is there or the request is dropped.
    ///
    /// ```
    /// use bearer_token::oauth::Parameters;
    ///
    /// /// Which of several accounts a request was made for.
    /// #[derive(Clone, Debug, PartialEq)]
    /// struct Account(u32);
    ///
    /// let mut parameters = Parameters::new("urn:example:login").with_credential("key", "s3cret");
    /// parameters.extensions_mut().insert(Account(7));
    /// // In `Grant::on_response` and `Grant::should_retry`:
    /// assert_eq!(parameters.extensions().get::<Account>(), Some(&Account(7)));
    /// ```
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The [extensions](Self::extensions), to be changed.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// Replaces the parameter of this name, at its place.
    ///
    /// At the place of the first one, so `grant_type` stays first.
    pub(crate) fn replace(&mut self, name: &'static str, value: &str) {
        let place = self.names().position(|other| other == name).unwrap_or(0);
        self.list.retain(|parameter| parameter.name != name);
        let replaced = Parameter { name: name.into(), value: Zeroizing::new(value.to_owned()), is_credential: false };
        self.list.insert(place.min(self.list.len()), replaced);
    }

    /// The names and values, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list.iter().map(|parameter| (parameter.name.as_ref(), parameter.value.as_str()))
    }

    pub(crate) fn list(&self) -> &[Parameter] {
        &self.list
    }

    /// The form of these parameters alone.
    #[cfg(test)]
    pub(crate) fn to_form(&self) -> String {
        let mut content = super::content::Content::default();
        content.extend(self);
        content.form().to_string()
    }

    pub(crate) fn extend(&mut self, other: &Parameters) {
        self.list.extend(other.list.iter().cloned());
    }
}

/// Compares what is sent. The [extensions](Parameters::extensions) do not count.
impl PartialEq for Parameters {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Parameters {}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Parameters").field(&self.names().collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_a_name_is_found() {
        let parameters = Parameters::new("custom").with("resource", "https://a.example.com/").with("resource", "b");
        assert_eq!(parameters.get("resource"), Some("https://a.example.com/"));
        assert_eq!(parameters.names().collect::<Vec<_>>(), ["grant_type", "resource", "resource"]);
    }

    #[test]
    fn a_replaced_parameter_keeps_its_place() {
        let mut parameters = Parameters::new("old").with("a", "1");
        parameters.replace("grant_type", "new");
        assert_eq!(parameters, Parameters::new("new").with("a", "1"));
        let mut parameters = Parameters::default().with("a", "1");
        parameters.replace("grant_type", "new");
        assert_eq!(parameters, Parameters::new("new").with("a", "1"));
    }
}
