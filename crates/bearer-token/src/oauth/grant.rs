//! The trait of all grants.
//!
//! A grant turns a credential into parameters, and knows nothing of HTTP. That division keeps grants small: the
//! built-in ones have between ten and a hundred lines, of which most describe the credential to replicas.
//!
//! ```text
//!                  build()             each request                        each response
//!  TokenEndpoint   problems            parameters -> headers               on_response   (a success)
//!  calls           parameter_names     is_time_bound, is_repeatable        should_retry  (a failure)
//!                  kept_fields
//! ```
//!
//! [`DynGrant`] is the erased mirror of the trait. Implementors write plain `async fn`, and the endpoint has no type
//! parameter.

use std::{future::Future, pin::Pin};

use http::HeaderMap;

use crate::{
    error::Error,
    oauth::{Parameters, ResponseFields},
    problem::Problem,
    source::{FetchContext, Identity},
};

/// An OAuth 2.0 grant (RFC 6749 section 1.3): what the client presents in a token request, as parameters.
///
/// A grant does no HTTP. The [`TokenEndpoint`](crate::oauth::TokenEndpoint) adds the scope, the other parameters and
/// the client authentication, sends the request and reads the response. So a grant of your own is a few lines:
///
/// ```
/// use bearer_token::{Error, FetchContext};
/// use bearer_token::oauth::{Grant, Parameters};
///
/// /// Presents the current content of a file.
/// struct FileLogin { path: std::path::PathBuf }
///
/// impl Grant for FileLogin {
///     async fn parameters(&self, _cx: &FetchContext) -> Result<Parameters, Error> {
///         let token = std::fs::read_to_string(&self.path).map_err(|error| {
///             Error::new(bearer_token::ErrorKind::Source, "the login token cannot be read").with_source(error)
///         })?;
///         Ok(Parameters::new("urn:example:file-login").with_credential("login_token", token.trim()))
///     }
/// }
/// ```
///
/// # Methods
///
/// | a grant that | implements |
/// |---|---|
/// | presents something simple | [`parameters`](Self::parameters), and [`has_changed`](Self::has_changed) if a file or a store is behind it |
/// | presents something that a server accepts only once | also [`is_repeatable`](Self::is_repeatable) |
/// | presents a credential that must not become the token | [`Parameters::with_credential`] |
/// | presents something in a header | also [`headers`](Self::headers) |
/// | signs something with the time of day | also [`is_time_bound`](Self::is_time_bound) |
/// | stores something from the response | also [`response_fields`](Self::response_fields) and [`on_response`](Self::on_response) |
/// | wants a field of the response kept with the bearer | also [`kept_fields`](Self::kept_fields) |
/// | sends a parameter that must not be sent twice | also [`parameter_names`](Self::parameter_names) |
/// | has another credential to try after a refusal | also [`should_retry`](Self::should_retry) |
///
/// # State
///
/// A grant that changes with each response keeps its state behind a lock of its own. It stores what must not be lost
/// before the first await of [`on_response`](Self::on_response):
///
/// ```
/// use std::sync::Mutex;
/// use bearer_token::{Error, FetchContext};
/// use bearer_token::oauth::{Grant, Parameters, ResponseFields};
///
/// /// Logs in with a key at first, and later with the session that each response returns.
/// struct SessionLogin { key: String, session: Mutex<Option<String>> }
///
/// impl Grant for SessionLogin {
///     async fn parameters(&self, _cx: &FetchContext) -> Result<Parameters, Error> {
///         // A poisoned lock means that another fetch panicked. The session is still whole.
///         let session = self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
///         Ok(match session {
///             Some(session) => Parameters::new("urn:example:session").with_credential("session", session),
///             None => Parameters::new("urn:example:login").with_credential("key", self.key.clone()),
///         })
///     }
///
///     fn response_fields(&self) -> &[&str] {
///         &["session"]
///     }
///
///     async fn on_response(&self, _: &FetchContext, _: &Parameters, response: &ResponseFields) -> Result<(), Error> {
///         let next = response.text("session").map(str::to_owned);
///         *self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = next;
///         Ok(())
///     }
///
///     /// A session that was refused is forgotten, and the next request logs in with the key.
///     fn should_retry(&self, _: &FetchContext, sent: &Parameters, _: &Error) -> bool {
///         let had_session = sent.get("session").is_some();
///         if had_session {
///             *self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
///         }
///         had_session
///     }
/// }
/// # let _ = SessionLogin { key: String::new(), session: Mutex::new(None) };
/// ```
pub trait Grant: Send + Sync + 'static {
    /// Makes the parameters of one request, `grant_type` among them.
    ///
    /// Called for every request, including retries. Create single-use values here, such as an assertion with its `jti`,
    /// and do not store them.
    ///
    /// # Errors
    ///
    /// An error ends the fetch, with its kind and retry advice as they are. Use [`Source`](crate::ErrorKind::Source)
    /// for a credential that cannot be read, with [`AfterChange`](crate::Retry::AfterChange) if a person has to act.
    fn parameters(&self, cx: &FetchContext) -> impl Future<Output = Result<Parameters, Error>> + Send;

    /// Makes the headers of one request, for a server that expects the credential in one. Default: none.
    ///
    /// Called after [`parameters`](Self::parameters), for every request. The values count as secrets. A header that the
    /// token request sets itself, such as `Content-Type`, is an error, and so is a second `Authorization`.
    ///
    /// ```
    /// use bearer_token::{Error, FetchContext};
    /// use bearer_token::oauth::{Grant, Parameters};
    /// use http::{HeaderMap, HeaderValue};
    ///
    /// /// A server that takes the credential as a header, and no parameters at all.
    /// struct HeaderLogin { ticket: HeaderValue }
    ///
    /// impl Grant for HeaderLogin {
    ///     async fn parameters(&self, _cx: &FetchContext) -> Result<Parameters, Error> {
    ///         Ok(Parameters::default())
    ///     }
    ///
    ///     async fn headers(&self, _cx: &FetchContext) -> Result<HeaderMap, Error> {
    ///         Ok(HeaderMap::from_iter([(http::HeaderName::from_static("x-login-ticket"), self.ticket.clone())]))
    ///     }
    /// }
    /// # let _ = HeaderLogin { ticket: HeaderValue::from_static("t") };
    /// ```
    fn headers(&self, cx: &FetchContext) -> impl Future<Output = Result<HeaderMap, Error>> + Send {
        let _ = cx;
        async { Ok(HeaderMap::new()) }
    }

    /// Whether the credential, such as a key file, has changed since the last request.
    ///
    /// See [`TokenSource::has_changed`](crate::TokenSource::has_changed). Default: no.
    /// It may block, as a look at a file does.
    fn has_changed(&self) -> bool {
        false
    }

    /// Whether the request may be repeated after one that the server may have received, although no response arrived.
    ///
    /// Return `false` if the server accepts the credential only once, such as a rotating refresh token. Default: yes.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// Describes which token the grant gets, for a token endpoint that replicas share
    /// ([`TokenSource::identity`](crate::TokenSource::identity)). Default: unknown.
    ///
    /// The token endpoint describes everything that it adds itself.
    fn identity(&self, identity: &mut Identity) {
        identity.unknown("grant");
    }

    /// Whether the parameters depend on the time of day, as an assertion does that is signed for them.
    ///
    /// If so, and the server refused one, [`parameters`](Self::parameters) may be called with the
    /// [server's time of day](crate::oauth::TokenEndpointBuilder::max_clock_offset) on the context's platform. Default:
    /// no.
    fn is_time_bound(&self) -> bool {
        false
    }

    /// The fields of a response that [`on_response`](Self::on_response) needs. Default: none.
    fn response_fields(&self) -> &[&str] {
        &[]
    }

    /// The fields of a response that [`Bearer::extra`](crate::Bearer::extra) returns. Default: none.
    ///
    /// It is like [`keep`](crate::oauth::TokenEndpointBuilder::keep), for all users of the grant.
    fn kept_fields(&self) -> &[&str] {
        &[]
    }

    /// Handles a successful response before its token is published, for example to store a new refresh token.
    ///
    /// The callers wait for it. It is also called if the token turns out to be unusable. `sent` is what
    /// [`parameters`](Self::parameters) made for this request, with its [extensions](Parameters::extensions). It is
    /// polled as soon as the response is there, but the fetch may be dropped at any await. So before the first await,
    /// store everything that must not be lost.
    ///
    /// # Errors
    ///
    /// An error becomes that of the fetch, and the token is discarded.
    fn on_response(
        &self,
        cx: &FetchContext,
        sent: &Parameters,
        response: &ResponseFields,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (cx, sent, response);
        async { Ok(()) }
    }

    /// Judges why a request brought no token: returns whether another one, made from scratch, may succeed at once.
    ///
    /// Return `true` if the grant has another credential to try. A fetch makes only a few requests in a row.
    /// [`is_repeatable`](Self::is_repeatable) is about broken connections. Default: no.
    fn should_retry(&self, cx: &FetchContext, sent: &Parameters, error: &Error) -> bool {
        let _ = (cx, sent, error);
        false
    }

    /// The problems with the grant's own settings. Default: none.
    ///
    /// [`TokenEndpointBuilder::build`](crate::oauth::TokenEndpointBuilder::build) reports it together with its own
    /// problems.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Further values of `token_type` that are accepted like `Bearer`. Default: none.
    ///
    /// For grants whose token goes into another token request, such as a
    /// [token exchange](crate::oauth::TokenExchange) for an assertion (RFC 8693 section 2.2.1).
    fn token_types(&self) -> &[&str] {
        &[]
    }

    /// The names of the parameters that the grant sends, and of which a request has only one (RFC 6749 section 3.2).
    /// Default: none.
    ///
    /// [`TokenEndpointBuilder::build`](crate::oauth::TokenEndpointBuilder::build) reports parameters of the user that
    /// have such a name. Leave out what may be sent several times, such as `resource` (RFC 8707 section 2).
    fn parameter_names(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether the next token may have a wider scope than the last one, without a person's consent. Default: yes.
    ///
    /// A [step](crate::oauth::StepUp) needs that.
    fn can_step_up(&self) -> bool {
        true
    }
}

/// The erased mirror of [`Grant`].
pub(crate) trait DynGrant: Send + Sync {
    fn parameters<'a>(&'a self, cx: &'a FetchContext) -> GrantFuture<'a, Parameters>;
    fn headers<'a>(&'a self, cx: &'a FetchContext) -> GrantFuture<'a, HeaderMap>;
    fn is_repeatable(&self) -> bool;
    fn has_changed(&self) -> bool;
    fn is_time_bound(&self) -> bool;
    fn identity(&self, identity: &mut Identity);
    fn response_fields(&self) -> &[&str];
    fn kept_fields(&self) -> &[&str];
    fn on_response<'a>(
        &'a self,
        cx: &'a FetchContext,
        sent: &'a Parameters,
        response: &'a ResponseFields,
    ) -> GrantFuture<'a, ()>;
    fn should_retry(&self, cx: &FetchContext, sent: &Parameters, error: &Error) -> bool;
    fn problems(&self) -> Vec<Problem>;
    fn token_types(&self) -> &[&str];
    fn parameter_names(&self) -> Vec<&str>;
    fn can_step_up(&self) -> bool;
}

/// The future of an erased method. Boxed once per request. A token request costs milliseconds, so the allocation does
/// not count.
pub(crate) type GrantFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

impl<G: Grant> DynGrant for G {
    fn parameters<'a>(&'a self, cx: &'a FetchContext) -> GrantFuture<'a, Parameters> {
        Box::pin(Grant::parameters(self, cx))
    }

    fn headers<'a>(&'a self, cx: &'a FetchContext) -> GrantFuture<'a, HeaderMap> {
        Box::pin(Grant::headers(self, cx))
    }

    fn is_repeatable(&self) -> bool {
        Grant::is_repeatable(self)
    }

    fn has_changed(&self) -> bool {
        Grant::has_changed(self)
    }

    fn is_time_bound(&self) -> bool {
        Grant::is_time_bound(self)
    }

    fn identity(&self, identity: &mut Identity) {
        Grant::identity(self, identity);
    }

    fn response_fields(&self) -> &[&str] {
        Grant::response_fields(self)
    }

    fn kept_fields(&self) -> &[&str] {
        Grant::kept_fields(self)
    }

    fn on_response<'a>(
        &'a self,
        cx: &'a FetchContext,
        sent: &'a Parameters,
        response: &'a ResponseFields,
    ) -> GrantFuture<'a, ()> {
        Box::pin(Grant::on_response(self, cx, sent, response))
    }

    fn should_retry(&self, cx: &FetchContext, sent: &Parameters, error: &Error) -> bool {
        Grant::should_retry(self, cx, sent, error)
    }

    fn problems(&self) -> Vec<Problem> {
        Grant::problems(self)
    }

    fn token_types(&self) -> &[&str] {
        Grant::token_types(self)
    }

    fn parameter_names(&self) -> Vec<&str> {
        Grant::parameter_names(self)
    }

    fn can_step_up(&self) -> bool {
        Grant::can_step_up(self)
    }
}
