//! The location of the token endpoint: a configured URL, or the one in an issuer's metadata.
//!
//! A fixed URL costs nothing. A discovered one costs a look at a cached value. Everything that names the endpoint to a
//! person uses the origin: the path may have an account number, and the query a key.

use std::fmt;

use http::Uri;

use crate::{
    error::Error,
    oauth::{discovery::Discovery, endpoint_url::EndpointUrl},
    source::{FetchContext, Identity},
};

/// The location of a token endpoint, checked.
///
/// Which of the two was chosen is decided by the constructor of the endpoint, and never changes.
pub(crate) enum Location {
    Fixed(EndpointUrl),
    Discovered(Discovery),
}

impl Location {
    /// The URL for the next request.
    pub(crate) async fn uri(&self, cx: &FetchContext) -> Result<Uri, Error> {
        match self {
            Location::Fixed(url) => Ok(url.uri().clone()),
            Location::Discovered(discovery) => discovery.url(cx).await,
        }
    }

    /// Reads the metadata again, and returns whether the endpoint has moved from the URL that was used.
    ///
    /// If the metadata cannot be read, the old URL stays.
    ///
    /// Called after a failure that a moved endpoint would explain. It reads the metadata even if the cached copy is
    /// fresh.
    pub(crate) async fn has_moved(&self, from: &Uri, cx: &FetchContext) -> bool {
        match self {
            Location::Fixed(_) => false,
            Location::Discovered(discovery) => discovery.url_now(cx).await.is_ok_and(|uri| uri != *from),
        }
    }

    /// Describes the server.
    pub(crate) fn identity(&self, identity: &mut Identity) {
        match self {
            Location::Fixed(url) => identity.text("url", url.uri().to_string()),
            Location::Discovered(discovery) => {
                identity.text("issuer", discovery.issuer().as_str());
                if discovery.uses_mtls_alias() {
                    // The token is bound to the certificate of one client.
                    identity.unknown("use_mtls_alias");
                }
            }
        }
    }

    /// The origin of the token endpoint or of the issuer, as messages and events name it.
    pub(crate) fn origin(&self) -> &str {
        match self {
            Location::Fixed(url) => url.origin(),
            Location::Discovered(discovery) => discovery.issuer().origin(),
        }
    }

    /// What messages call the token endpoint.
    pub(crate) fn description(&self) -> String {
        match self {
            Location::Fixed(url) => format!("the token endpoint at {}", url.origin()),
            Location::Discovered(discovery) => format!("the token endpoint of {}", discovery.issuer().as_str()),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Fixed(url) => url.fmt(f),
            Location::Discovered(discovery) => {
                f.debug_struct("Discovered").field("issuer", discovery.issuer()).finish()
            }
        }
    }
}
