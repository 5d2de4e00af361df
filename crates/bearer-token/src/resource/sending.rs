//! How a bearer is sent, and what refuses it.
//!
//! Most APIs need none of this: `Authorization: Bearer` is what RFC 6750 section 2.1 says. The rest is what real APIs
//! do otherwise:
//!
//! | API | setting |
//! |---|---|
//! | Vault | `header("x-vault-token")`, `scheme("")`, `reject_on_status(403)` |
//! | Ghost | `scheme("Ghost")` |
//! | APNs | `scheme("bearer")` |
//! | Stream | `scheme("")`, `fixed_header("stream-auth-type", "jwt")` |
//! | Google, with a project to bill | `fixed_header("x-goog-user-project", ..)` |
//! | GitHub's installation tokens | `settle(5 s)` |
//!
//! The settings are checked when the provider is built, all at once, and become a `HeaderForm`. Nothing of them is
//! looked at again for a request.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderName, StatusCode};

mod checks;
mod form;

use self::form::is_scheme;
pub(crate) use self::form::{FixedHeader, FixedValue, HeaderForm};
#[cfg(feature = "oauth")]
pub(crate) use self::{checks::parsed_header_name, form::FRAMING};

/// How the bearers of a provider are sent, and which responses refuse them; for
/// [`TokenProviderBuilder::sending`](crate::TokenProviderBuilder::sending).
///
/// The default is `Authorization: Bearer <token>` (RFC 6750 section 2.1) without further headers, and refusals by 401
/// and gRPC status 16. Each method changes one of these.
///
/// ```
/// use std::time::Duration;
///
/// use bearer_token::{Sending, StaticToken, TokenProvider};
/// use http::{HeaderName, StatusCode};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Vault: a header of its own, and an expired token is refused with 403.
/// let sending = Sending::new().header("x-vault-token").scheme("").reject_on_status(StatusCode::FORBIDDEN);
/// let provider = TokenProvider::builder(StaticToken::new("hvs.CAESIJ"))
///     .allow_origin("https://vault.example.com:8200")
///     .sending(sending)
///     .build()?;
/// provider.token().await?;
///
/// let mut request = http::Request::get("https://vault.example.com:8200/v1/secret/data/db").body(())?;
/// let _ = provider.authorize(&mut request)?;
/// assert_eq!(request.headers()["x-vault-token"], "hvs.CAESIJ");
/// # Ok(()) }
/// ```
///
/// Adapters read all of this from the provider. If the caller has set the configured header, it is left as it is, just
/// like `Authorization` by default. Every header that the provider inserts is marked sensitive.
///
/// # Redirects
///
/// Clients that follow redirects remove `Authorization` when the origin changes, but no other header. So a provider
/// whose headers differ from the default needs a client that follows no redirects, or an adapter that knows of each:
/// see `BearerMiddleware::watch_redirects` of reqwest-bearer, and put a redirect layer of tower around the
/// `BearerLayer`, not below it.
#[derive(Clone)]
pub struct Sending {
    header: String,
    scheme: String,
    fixed: Vec<(String, Arc<dyn FixedValue>)>,
    pub(super) statuses: Vec<StatusCode>,
    pub(super) codes: Vec<String>,
    pub(super) grpc: Vec<i32>,
    settle: Duration,
}

impl Sending {
    /// `Authorization: Bearer <token>`, and nothing else.
    pub fn new() -> Self {
        Sending {
            header: "authorization".to_owned(),
            scheme: "Bearer".to_owned(),
            fixed: Vec::new(),
            statuses: Vec::new(),
            codes: Vec::new(),
            grpc: Vec::new(),
            settle: Duration::ZERO,
        }
    }

    /// Sends the token in this header. Default: `authorization`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.header = name.into();
        self
    }

    /// Puts this scheme and a space before the token (RFC 9110 section 11.1), such as `token` or `JWT`. With an empty
    /// string, the token is sent alone. Default: `Bearer`.
    #[must_use]
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.scheme = scheme.into();
        self
    }

    /// Adds a fixed header. The public method is where values are.
    #[cfg_attr(not(feature = "_json"), allow(dead_code, reason = "values need the feature"))]
    pub(crate) fn with_fixed(mut self, name: String, value: Arc<dyn FixedValue>) -> Self {
        self.fixed.push((name, value));
        self
    }

    /// Adds a status that refuses the bearer, such as 403 or 498. May be called several times.
    ///
    /// The challenges are read as for a 401: if every `Bearer` challenge names another reason, such as
    /// `insufficient_scope`, the bearer is not refused.
    #[must_use]
    pub fn reject_on_status(mut self, status: StatusCode) -> Self {
        self.statuses.push(status);
        self
    }

    /// Adds an `error` of a challenge in `WWW-Authenticate` that refuses the bearer, at any status. May be called
    /// several times.
    ///
    /// The challenge must be one for `Bearer` or for the [scheme](Self::scheme) of this provider. `invalid_token`
    /// refuses the bearer at 400, 401 and 403 anyway.
    #[must_use]
    pub fn reject_on_code(mut self, error: impl Into<String>) -> Self {
        self.codes.push(error.into());
        self
    }

    /// Adds a gRPC status that refuses the bearer, such as 7 (`PERMISSION_DENIED`), among headers or trailers. May be
    /// called several times. 16 (`UNAUTHENTICATED`) refuses it anyway.
    #[must_use]
    pub fn reject_on_grpc(mut self, status: i32) -> Self {
        self.grpc.push(status);
        self
    }

    /// Sets the time after a fetch in which a refusal does not reject the token, because the API may not know it yet.
    /// At most one minute. Default: zero.
    ///
    /// For APIs that learn of a new token seconds after it was issued (GitHub's installation tokens). A bearer that is
    /// refused within this time stays in service, and nothing is fetched: the outcome is
    /// [`Rejection::Settling`](crate::Rejection::Settling). A refusal whose challenge names another error than
    /// `invalid_token` is still a rejection, because such an API knows the token.
    ///
    /// Adapters that replay wait for this time, and then resend the request with the bearer in service. Each request
    /// waits from its own refusal on, so the replays are spread out like the requests. Each request is sent twice at
    /// most.
    #[must_use]
    pub fn settle(mut self, time: Duration) -> Self {
        self.settle = time;
        self
    }

    /// The scheme without its space.
    pub(super) fn scheme_name(&self) -> &str {
        &self.scheme
    }

    pub(crate) fn settling_time(&self) -> Duration {
        self.settle
    }
}

impl Default for Sending {
    fn default() -> Self {
        Sending::new()
    }
}

/// Names are shown only if they are valid header names, because a secret may be there by mistake. Values are not shown.
impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = |name: &str| match HeaderName::try_from(name) {
            Ok(name) => name.to_string(),
            Err(_) => "[not a header name]".to_owned(),
        };
        let fixed: Vec<_> = self.fixed.iter().map(|(name, value)| (header(name), value)).collect();
        f.debug_struct("Sending")
            .field("header", &header(&self.header))
            .field("scheme", if is_scheme(&self.scheme) { &self.scheme } else { &"[not a scheme]" })
            .field("fixed", &fixed)
            .field("statuses", &self.statuses)
            .field("codes", &self.codes.len())
            .field("grpc", &self.grpc)
            .field("settle", &self.settle)
            .finish()
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests;
