//! What a token request asks with.

use std::{future::Future, pin::Pin};

use crate::{
    error::Error,
    oauth::{Parameters, ResponseFields},
    source::FetchContext,
};

/// What a token request asks with: an OAuth 2.0 grant (RFC 6749 section 1.3), as the form parameters that make it.
///
/// A grant does no HTTP. The [`TokenEndpoint`](crate::oauth::TokenEndpoint) adds scope, further parameters
/// and client authentication, sends the request and reads the answer. So a grant of your own is a few lines:
///
/// ```
/// use bearer_token::{Error, FetchContext};
/// use bearer_token::oauth::{Grant, Parameters};
///
/// /// A server that wants the content of a file as it is at that moment.
/// struct FileLogin { path: std::path::PathBuf }
///
/// impl Grant for FileLogin {
///     async fn parameters(&self, _cx: &FetchContext) -> Result<Parameters, Error> {
///         let token = std::fs::read_to_string(&self.path).map_err(|error| {
///             Error::new(bearer_token::ErrorKind::Source, "the login token cannot be read").with_source(error)
///         })?;
///         Ok(Parameters::new("urn:example:file-login").with("login_token", token.trim()))
///     }
/// }
/// ```
pub trait Grant: Send + Sync + 'static {
    /// The parameters of one request, `grant_type` among them.
    ///
    /// Called anew for every request that leaves, a second try included: what may be used only once, such as an
    /// assertion with its `jti`, is made here and nowhere kept.
    fn parameters(&self, cx: &FetchContext) -> impl Future<Output = Result<Parameters, Error>> + Send;

    /// Whether the request may be made again after one that was perhaps received, although no answer came. No for
    /// what a server takes only once, such as a rotating refresh token.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// Whether what it asks with, such as a key file, has changed since the last request: see
    /// [`TokenSource::has_changed`](crate::TokenSource::has_changed).
    fn has_changed(&self) -> bool {
        false
    }

    /// Whether the parameters say what time it is, as an assertion does that is signed for them. Then, after the server
    /// has refused one, [`parameters`](Self::parameters) may be called with the
    /// [time of day of the server](crate::oauth::TokenEndpointBuilder::max_clock_offset) on the context's
    /// platform. Default: no.
    fn is_time_bound(&self) -> bool {
        false
    }

    /// The members of an answer that [`on_response`](Self::on_response) wants to see. Default: none.
    fn response_fields(&self) -> &[&str] {
        &[]
    }

    /// Sees an answer of success before anybody gets its token, which waits for this. For what has to be kept of an
    /// answer, such as a new refresh token. Also called when the token turns out to be of no use.
    ///
    /// `sent` is what [`parameters`](Self::parameters) made for this request, together with what it
    /// [remembers](Parameters::extensions). The first poll happens as soon as the answer is there, but the fetch may be
    /// dropped at any await: what must not get lost is kept before the first one.
    ///
    /// # Errors
    ///
    /// An error is that of the fetch, and the token is thrown away.
    fn on_response(
        &self,
        cx: &FetchContext,
        sent: &Parameters,
        answer: &ResponseFields,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (cx, sent, answer);
        async { Ok(()) }
    }

    /// Sees why a request brought no token, and says whether another one, made from scratch, may do better at once: yes
    /// for a grant that has another credential to try. Default: no. [`is_repeatable`](Self::is_repeatable) is for
    /// connections that broke. A few requests in a row are made at the most.
    fn should_retry(&self, cx: &FetchContext, sent: &Parameters, error: &Error) -> bool {
        let _ = (cx, sent, error);
        false
    }

    /// Whether a response with this `token_type` is as good as one with `Bearer`. Default: no.
    ///
    /// For grants whose token goes into another token request, such as a
    /// [token exchange](crate::oauth::TokenExchange) for an assertion (RFC 8693 section 2.2.1).
    fn accepts_token_type(&self, token_type: &str) -> bool {
        let _ = token_type;
        false
    }
}

/// The erased mirror of [`Grant`].
pub(crate) trait DynGrant: Send + Sync {
    fn parameters<'a>(&'a self, cx: &'a FetchContext) -> GrantFuture<'a, Parameters>;
    fn is_repeatable(&self) -> bool;
    fn has_changed(&self) -> bool;
    fn is_time_bound(&self) -> bool;
    fn response_fields(&self) -> &[&str];
    fn on_response<'a>(
        &'a self,
        cx: &'a FetchContext,
        sent: &'a Parameters,
        answer: &'a ResponseFields,
    ) -> GrantFuture<'a, ()>;
    fn should_retry(&self, cx: &FetchContext, sent: &Parameters, error: &Error) -> bool;
    fn accepts_token_type(&self, token_type: &str) -> bool;
}

pub(crate) type GrantFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

impl<G: Grant> DynGrant for G {
    fn parameters<'a>(&'a self, cx: &'a FetchContext) -> GrantFuture<'a, Parameters> {
        Box::pin(Grant::parameters(self, cx))
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

    fn response_fields(&self) -> &[&str] {
        Grant::response_fields(self)
    }

    fn on_response<'a>(
        &'a self,
        cx: &'a FetchContext,
        sent: &'a Parameters,
        answer: &'a ResponseFields,
    ) -> GrantFuture<'a, ()> {
        Box::pin(Grant::on_response(self, cx, sent, answer))
    }

    fn should_retry(&self, cx: &FetchContext, sent: &Parameters, error: &Error) -> bool {
        Grant::should_retry(self, cx, sent, error)
    }

    fn accepts_token_type(&self, token_type: &str) -> bool {
        Grant::accepts_token_type(self, token_type)
    }
}
