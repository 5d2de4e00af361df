//! Kubernetes.

use std::path::{Path, PathBuf};

use bearer_token::{Problem, TokenProvider, TokenProviderBuilder};

use crate::check::{or_problems, token_file};

/// Where the kubelet puts the token of a pod's service account.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The API server, as pods reach it.
const API: &str = "https://kubernetes.default.svc";

/// The token of the pod's service account, which the kubelet replaces before it expires.
///
/// Without [`path`](ServiceAccount::path) it is the token for the cluster's API server, and that server's origin is
/// allowed.
///
/// ```
/// use bearer_token_presets::kubernetes;
///
/// # fn example() -> Result<(), bearer_token::Error> {
/// // For a service that the pod's token is projected for.
/// let provider = kubernetes::service_account()
///     .path("/var/run/secrets/tokens/orders")
///     .provider()
///     .allow_origin("https://orders.example.com")
///     .build()?;
/// # let _ = provider; Ok(()) }
/// ```
pub fn service_account() -> ServiceAccount {
    ServiceAccount { path: None }
}

/// The token of a pod's service account: the result of [`service_account`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ServiceAccount {
    path: Option<PathBuf>,
}

impl ServiceAccount {
    /// Sets the file of a projected token (`serviceAccountToken` in the pod's volumes), for another audience.
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Returns the builder of a provider of the token in the file, which is read again when it changes.
    pub fn provider(self) -> TokenProviderBuilder {
        or_problems(self.builder())
    }

    fn builder(self) -> Result<TokenProviderBuilder, Vec<Problem>> {
        let expected = "the token of a pod: is `automountServiceAccountToken` off, or the volume not mounted?";
        let token = token_file("path", self.path.as_deref().unwrap_or(Path::new(TOKEN)), expected)?;
        let builder = TokenProvider::builder(token).name("kubernetes");
        Ok(if self.path.is_none() { builder.allow_origin(API) } else { builder })
    }
}
