//! The client credentials grant.

use crate::{
    error::Error,
    oauth::{Grant, Parameters},
    source::{FetchContext, Identity},
};

/// A token for the client itself: `grant_type=client_credentials` (RFC 6749 section 4.4).
///
/// The endpoint's [`ClientAuth`](crate::oauth::ClientAuth) identifies the client. A refresh token in the response is
/// ignored, as section 4.4.3 advises.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClientCredentials {}

impl ClientCredentials {
    /// Creates the grant, which has no settings.
    pub fn new() -> Self {
        ClientCredentials::default()
    }
}

impl Grant for ClientCredentials {
    async fn parameters(&self, _cx: &FetchContext) -> Result<Parameters, Error> {
        Ok(Parameters::new("client_credentials"))
    }

    fn identity(&self, identity: &mut Identity) {
        // The client is all there is.
        identity.text("grant", "client_credentials");
    }
}
