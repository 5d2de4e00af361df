//! Where a token response has its fields.
//!
//! Every provider that deviates from RFC 6749 section 5.1 does so in the names and the nesting of three or four fields.
//! So a format is a handful of pointers and two switches. What cannot be said with them is a function
//! ([`response_with`](crate::oauth::TokenEndpointBuilder::response_with)).

use super::lifetime::Times;
use crate::{
    problem::{Advice, Problem, Problems},
    source::Identity,
    token::{
        fields::{Place, ResponseFields, Wanted},
        pointer::Pointer,
    },
};

/// Where a token response has the token, its lifetime and the next refresh token, for
/// [`TokenEndpointBuilder::response`](crate::oauth::TokenEndpointBuilder::response).
///
/// Places are JSON pointers (RFC 6901): `/auth/client_token` is the member `client_token` of the object `auth`, and
/// `/0/token` is in the first element of a list. Where OAuth's own names fit, nothing has to be set.
///
/// ```
/// use bearer_token::oauth::ResponseFormat;
///
/// // {"iamToken": "...", "expiresAt": "2026-01-01T12:00:00Z"}
/// let format = ResponseFormat::oauth().token("/iamToken").expires_at("/expiresAt");
/// // {"auth": {"client_token": "...", "lease_duration": 3600}}, where a duration of 0 means that the token stays valid
/// let format = ResponseFormat::oauth().token("/auth/client_token").expires_in("/auth/lease_duration").never(0);
/// // The token itself, without JSON around it.
/// let format = ResponseFormat::oauth().token("");
/// # let _ = format;
/// ```
///
/// As for [every response](crate::oauth::TokenEndpoint#the-response), fields that no pointer names may contain
/// anything. `token_type`, `scope` and `error` are always read at the top level, as in OAuth.
///
/// # Formats of providers
///
/// | provider | format |
/// |---|---|
/// | GitHub, installation tokens | `.token("/token").expires_at("/expires_at")` |
/// | Google, impersonation | `.token("/accessToken").expires_at("/expireTime")` |
/// | Google, ID tokens | `.token("/id_token")`; the lifetime is the JWT's own |
/// | HashiCorp Vault | `.token("/auth/client_token").expires_in("/auth/lease_duration").never(0)` |
/// | Yandex Cloud IAM | `.token("/iamToken").expires_at("/expiresAt")` |
/// | CI identity tokens of GitHub Actions | `.token("/value")`; the lifetime is the JWT's own |
/// | Entra ID | `.refresh_in("/refresh_in")`, so long-lived tokens are renewed when Entra recommends it |
///
/// If the pointer is wrong, the error says which one was expected and what kind of value was found there, if any. It
/// never lists the names in the response, which may be chosen by an attacker.
///
/// # An example with a response
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
/// use bearer_token::{Error, TokenProvider, transport::Transport};
/// use bearer_token::oauth::{ClientCredentials, ResponseFormat, TokenEndpoint};
/// use bytes::Bytes;
/// use http::{Request, Response};
///
/// /// A server with names of its own.
/// struct Server;
///
/// impl Transport for Server {
///     async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, Error> {
///         let body = r#"{"data": {"token": "t1.9euelZqM", "validFor": "3600"}, "requestId": "7f3a"}"#;
///         Ok(Response::new(Bytes::from_static(body.as_bytes())))
///     }
/// }
///
/// let source = TokenEndpoint::builder("https://iam.example.com/tokens", ClientCredentials::new())
///     // A lifetime may be a number or a string with one.
///     .response(ResponseFormat::oauth().token("/data/token").expires_in("/data/validFor"))
///     .keep("requestId")
///     .transport(Server)
///     .build()?;
/// let bearer = TokenProvider::builder(source).build()?.token().await?;
/// assert_eq!(bearer.secret(), "t1.9euelZqM");
/// assert_eq!(bearer.extra("requestId"), Some("7f3a"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ResponseFormat {
    token: Pointer,
    expires_in: Pointer,
    expires_at: Option<Pointer>,
    refresh_in: Option<Pointer>,
    refresh_token: Pointer,
    milliseconds: bool,
    never: Option<i64>,
}

impl ResponseFormat {
    /// Describes which strings are the token and its lifetime.
    pub(crate) fn identity(&self, identity: &mut Identity) {
        let ResponseFormat { token, expires_in, expires_at, refresh_in, refresh_token: _, milliseconds, never } = self;
        let pointers = [Some(token), Some(expires_in), expires_at.as_ref(), refresh_in.as_ref()];
        for pointer in pointers {
            identity.set("response", pointer.map(Pointer::as_str));
        }
        identity.text("unit", if *milliseconds { "ms" } else { "s" });
        identity.set("never", never.map(|never| never.to_string()));
    }

    /// The response of OAuth 2.0 (RFC 6749 section 5.1): `access_token`, `expires_in` in seconds, and `refresh_token`.
    pub fn oauth() -> Self {
        ResponseFormat {
            token: Pointer::new("/access_token"),
            expires_in: Pointer::new("/expires_in"),
            expires_at: None,
            refresh_in: None,
            refresh_token: Pointer::new("/refresh_token"),
            milliseconds: false,
            never: None,
        }
    }

    /// Sets where the token is. Default: `/access_token`.
    ///
    /// An empty string is the whole body: the token alone, with or without the quotes of a JSON string. Space around it
    /// is ignored, and the content type does not matter. The lifetime is then that of the JWT, or
    /// [unknown](crate::Policy::default_lifetime).
    pub fn token(mut self, pointer: impl Into<String>) -> Self {
        self.token = Pointer::new(pointer);
        self
    }

    /// Sets where the remaining lifetime is: a number, or a string with one. Default: `/expires_in`.
    ///
    /// Without one, and without a JWT, [`Policy::default_lifetime`](crate::Policy::default_lifetime) applies.
    /// Salesforce is the best-known server that sends none.
    pub fn expires_in(mut self, pointer: impl Into<String>) -> Self {
        self.expires_in = Pointer::new(pointer);
        self
    }

    /// Sets where the end of the lifetime is, as a time of day. Default: nowhere.
    ///
    /// It is a date of RFC 3339 or RFC 9110 (no time zone means UTC). Or it is a time since 1970 in seconds or
    /// milliseconds, as a number or as a string with one. It is compared with the response's `Date` if there is one,
    /// else with this machine's clock. If there is also a lifetime, the earlier end counts.
    pub fn expires_at(mut self, pointer: impl Into<String>) -> Self {
        self.expires_at = Some(Pointer::new(pointer));
        self
    }

    /// Sets where the server says after which time it recommends a new token, as Entra does in `/refresh_in`.
    ///
    /// It becomes the [hint](crate::AccessToken::refresh_in) of the token. Default: nowhere.
    pub fn refresh_in(mut self, pointer: impl Into<String>) -> Self {
        self.refresh_in = Some(Pointer::new(pointer));
        self
    }

    /// Sets where the [refresh token grant](crate::oauth::RefreshToken) finds the next refresh token. Default:
    /// `/refresh_token`.
    pub fn refresh_token(mut self, pointer: impl Into<String>) -> Self {
        self.refresh_token = Pointer::new(pointer);
        self
    }

    /// Declares that [`expires_in`](Self::expires_in) and [`refresh_in`](Self::refresh_in) are in milliseconds.
    ///
    /// Adobe's former service and some gateways send milliseconds under the standard's name. If it is not set for such
    /// a server, an hour becomes 41 days, which [`Policy::max_lifetime`](crate::Policy::max_lifetime) cuts to 30. An
    /// expired token is then found by its rejection only.
    pub fn milliseconds(mut self) -> Self {
        self.milliseconds = true;
        self
    }

    /// Sets the number that means that the token does not expire, where the lifetime or its end is expected: often 0 or
    /// -1.
    ///
    /// A JWT still ends with its own `exp`.
    ///
    /// ```
    /// use bearer_token::oauth::ResponseFormat;
    ///
    /// // Vault's root tokens have a lease of 0, some gateways send -1 for sessions without end.
    /// let vault = ResponseFormat::oauth().token("/auth/client_token").expires_in("/auth/lease_duration").never(0);
    /// let gateway = ResponseFormat::oauth().never(-1);
    /// assert_ne!(vault, gateway);
    /// ```
    ///
    /// By default 0 means that the token is not kept, and a negative lifetime is an error.
    pub fn never(mut self, number: i64) -> Self {
        self.never = Some(number);
        self
    }

    /// Whether the body is the token.
    pub(crate) fn is_token_alone(&self) -> bool {
        self.token.is_whole_document()
    }

    /// The place of the token as messages name it.
    pub(crate) fn token_name(&self) -> &str {
        name(&self.token, "/access_token")
    }

    /// The place of the lifetime as messages name it.
    pub(crate) fn expires_in_name(&self) -> &str {
        name(&self.expires_in, "/expires_in")
    }

    /// What messages expect of a response.
    pub(crate) fn expected(&self) -> String {
        match self.token.as_str() {
            "" => "expected the token alone".to_owned(),
            "/access_token" => "expected a token in the field `access_token` (RFC 6749 section 5.1)".to_owned(),
            pointer => format!("expected a token at `{}`", pointer.escape_default()),
        }
    }

    /// The places that a response is read for.
    ///
    /// The list is made for each response: it is short, and the pointers are cloned anyway.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        let own = [
            (Place::Token, Some(&self.token).filter(|token| !token.is_whole_document())),
            (Place::ExpiresIn, Some(&self.expires_in)),
            (Place::ExpiresAt, self.expires_at.as_ref()),
            (Place::RefreshIn, self.refresh_in.as_ref()),
        ];
        let own = own.into_iter().filter_map(|(place, pointer)| Some(Wanted::place(place, pointer?.clone())));
        let at_the_top = [(Place::TokenType, "token_type"), (Place::Scope, "scope"), (Place::Error, "error")];
        own.chain(at_the_top.map(|(place, name)| Wanted::place(place, Pointer::to_field(name)))).collect()
    }

    /// The times that a response has.
    pub(crate) fn times<'a>(&self, fields: &'a ResponseFields) -> Times<'a> {
        Times {
            expires_in: fields.get(Place::ExpiresIn),
            expires_at: fields.get(Place::ExpiresAt),
            refresh_in: fields.get(Place::RefreshIn),
            milliseconds: self.milliseconds,
            never: self.never,
        }
    }

    /// Where a field is that a grant or the user asks for by its name. A name that begins with a slash is a pointer.
    pub(crate) fn pointer_to(&self, name: &str) -> Pointer {
        if name == "refresh_token" { self.refresh_token.clone() } else { Pointer::to_field(name) }
    }

    /// Checks the pointers that were set. Beside a token that is the whole body, any of them is a problem.
    pub(crate) fn check(&self, problems: &mut Problems) {
        let oauth = ResponseFormat::oauth();
        let own = |pointer: &Pointer, default: &Pointer| Some(pointer.clone()).filter(|_| pointer != default);
        let beside = [
            ("response.expires_in", own(&self.expires_in, &oauth.expires_in)),
            ("response.expires_at", self.expires_at.clone()),
            ("response.refresh_in", self.refresh_in.clone()),
            ("response.refresh_token", own(&self.refresh_token, &oauth.refresh_token)),
        ];
        for (path, pointer) in beside.into_iter().filter_map(|(path, pointer)| Some((path, pointer?))) {
            if self.is_token_alone() {
                let found = "found a pointer, but with an empty pointer to the token the whole body is the token";
                problems.add(Problem::new(path, found).advise(Advice::text("remove one of the two")));
            } else {
                pointer.check(path, problems);
            }
        }
        if !self.is_token_alone() {
            self.token.check("response.token", problems);
        }
    }

    /// Whether this name or pointer means the token itself.
    pub(crate) fn is_token(&self, name: &str) -> bool {
        self.pointer_to(name).steps() == self.token.steps()
    }
}

/// The place of a field, for messages: the name in the specification, or the pointer that the user chose.
fn name<'a>(pointer: &'a Pointer, default: &str) -> &'a str {
    let text = pointer.as_str();
    if text == default { text.trim_start_matches('/') } else { text }
}

impl Default for ResponseFormat {
    fn default() -> Self {
        ResponseFormat::oauth()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_malformed_pointer_is_named() {
        let format = ResponseFormat::oauth()
            .token("iamToken")
            .expires_in("")
            .expires_at("/a~2")
            .refresh_in("a.b")
            .refresh_token("x");
        let mut problems = Problems::default();
        format.check(&mut problems);
        let paths: Vec<_> = problems.iter().map(Problem::path).collect();
        let own = ["response.expires_in", "response.expires_at", "response.refresh_in", "response.refresh_token"];
        assert_eq!(paths, [&own[..], &["response.token"]].concat());

        let mut problems = Problems::default();
        ResponseFormat::oauth().check(&mut problems);
        ResponseFormat::oauth().token("").never(0).check(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn a_body_that_is_the_token_has_no_other_fields() {
        let mut problems = Problems::default();
        ResponseFormat::oauth().token("").expires_at("/expires").refresh_token("/next").check(&mut problems);
        let paths: Vec<_> = problems.iter().map(Problem::path).collect();
        assert_eq!(paths, ["response.expires_at", "response.refresh_token"]);
        assert!(problems.iter().all(|problem| problem.to_string().contains("the whole body is the token")));
    }
}
