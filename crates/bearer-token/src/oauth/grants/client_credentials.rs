//! The client credentials grant.

use crate::{
    error::Error,
    oauth::{Grant, Parameters},
    source::FetchContext,
};

/// The client asks for itself: `grant_type=client_credentials` (RFC 6749 section 4.4).
///
/// Who the client is says the [`ClientAuth`](crate::oauth::ClientAuth) beside it. A refresh token in the
/// answer is ignored, as section 4.4.3 advises.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClientCredentials {}

impl ClientCredentials {
    /// The grant; it has nothing to set.
    pub fn new() -> Self {
        ClientCredentials::default()
    }
}

impl Grant for ClientCredentials {
    async fn parameters(&self, _cx: &FetchContext) -> Result<Parameters, Error> {
        Ok(Parameters::new("client_credentials"))
    }
}
