//! What a token request asks with.

use std::{future::Future, pin::Pin};

use crate::{error::Error, source::FetchContext, token_endpoint::Parameters};

/// What a token request asks with: an OAuth 2.0 grant (RFC 6749 section 1.3), as the form parameters that make it.
///
/// A grant does no HTTP. The [`TokenEndpoint`](crate::token_endpoint::TokenEndpoint) adds scope, further parameters
/// and client authentication, sends the request and reads the answer. So a grant of your own is a few lines:
///
/// ```
/// use bearer_token::{Error, FetchContext};
/// use bearer_token::token_endpoint::{Grant, Parameters};
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
    fn repeatable(&self) -> bool {
        true
    }

    /// Whether what it asks with, such as a key file, has changed since the last request: see
    /// [`TokenSource::changed`](crate::TokenSource::changed).
    fn changed(&self) -> bool {
        false
    }
}

/// The erased mirror of [`Grant`].
pub(crate) trait DynGrant: Send + Sync {
    fn parameters<'a>(&'a self, cx: &'a FetchContext) -> ParametersFuture<'a>;
    fn repeatable(&self) -> bool;
    fn changed(&self) -> bool;
}

pub(crate) type ParametersFuture<'a> = Pin<Box<dyn Future<Output = Result<Parameters, Error>> + Send + 'a>>;

impl<G: Grant> DynGrant for G {
    fn parameters<'a>(&'a self, cx: &'a FetchContext) -> ParametersFuture<'a> {
        Box::pin(Grant::parameters(self, cx))
    }

    fn repeatable(&self) -> bool {
        Grant::repeatable(self)
    }

    fn changed(&self) -> bool {
        Grant::changed(self)
    }
}
