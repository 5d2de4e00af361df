//! The token endpoint as a source.

use std::{fmt, sync::Arc};

use http::Response;

use crate::{
    error::{Error, ErrorKind, RefusalHead, Retry},
    oauth::{
        ClientAuth, ClockOffset, Grant,
        request::RequestParts,
        response::{Reading, clock_offset::ServerClock},
    },
    resource::Challenge,
    source::{FetchContext, TokenSource},
    token::AccessToken,
    transport::DynTransport,
};

mod builder;
mod url;

pub use self::builder::TokenEndpointBuilder;
use self::url::EndpointUrl;
#[cfg(feature = "config")]
pub(crate) use self::url::without_query;

/// Gets tokens from an authorization server. A clone shares everything.
///
/// ```
/// use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # #[cfg(feature = "http-transport")]
/// let source = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
///     .client_auth(ClientAuth::basic("client-id", "client-secret"))
///     .scope("read write")
///     .parameter("audience", "https://api.example.com/")
///     .build()?;
/// # #[cfg(feature = "http-transport")] let _ = source;
/// # Ok(()) }
/// ```
///
/// # The request
///
/// A POST with a form body and `Accept: application/json`. It goes over `https`, or over `http` to loopback; anything
/// else needs [`allow_plaintext`](TokenEndpointBuilder::allow_plaintext). A query in the URL is kept; secrets never go
/// there. If the connection breaks before there is an answer, as with a pooled one that the server has closed
/// meanwhile, one further request is made from scratch, with a new assertion, unless the grant is not
/// [repeatable](Grant::is_repeatable). A grant that has [another credential](Grant::should_retry) to try gets up to three further
/// ones after a refusal. So does, once, an assertion that is refused while [the clock](#the-clock) is off. Otherwise an
/// answer of any HTTP status is final here; when the next fetch may start is the
/// provider's decision.
///
/// # The clock
///
/// A server refuses an assertion whose times do not fit its own clock. When one that was signed here is refused, and the
/// `Date` of the answer is more than 5 s from this machine's clock, one more request is made at once, whose assertions are
/// signed by the server's clock. If that is taken, the offset is used from then on, until an assertion is refused again:
/// then it is measured anew. An offset of more than [an hour](TokenEndpointBuilder::max_clock_offset) is not corrected.
/// The errors tell how far the clock is off, an event of `tracing` does, and [`clock_offset`](Self::clock_offset). With a
/// clock that is right, and after any other answer than a refusal, nothing of this happens; how long tokens live is counted
/// by this machine's clocks in any case.
///
/// # The answer
///
/// It is read as JSON, whatever its content type says. Redirects are not followed, and more than
/// [1 MiB](crate::transport::RESPONSE_LIMIT) is not read. A `token_type` that is missing counts as `Bearer`: RFC 6749
/// requires it, several servers leave it out, and any other type needs a proof from the client that was never sent.
///
/// | `expires_in` | the token lives |
/// |---|---|
/// | `3600`, `"3600"`, `3600.9`, `"3600.9"` | 3600 s from before the request was sent |
/// | `0` | for the requests that waited for it, and is not kept |
/// | huge, such as 2^40 | as long as [`Policy::max_lifetime`](crate::Policy::max_lifetime) allows |
/// | negative | not at all: an error |
/// | missing, `null`, or no number (`"NaN"`, `"inf"`, `"soon"`, `true`, `[]`) | until the `exp` of the token, if that is a JWT (read, not verified); else for [`Policy::default_lifetime`](crate::Policy::default_lifetime) |
///
/// # Errors
///
/// | answer | kind | retry |
/// |---|---|---|
/// | none, or a broken one | [`Transport`](ErrorKind::Transport) | later |
/// | 5xx, 429, 408, 425, even with an OAuth error code; `temporarily_unavailable`, `server_error`, `slow_down` and their like with any status | [`Unavailable`](ErrorKind::Unavailable) | later, after `Retry-After` |
/// | other 4xx; an `error` with status 200 | [`Refused`](ErrorKind::Refused) | after a change, or after `Retry-After` if there is one |
/// | 3xx | [`Answer`](ErrorKind::Response) | after a change |
/// | 2xx without a usable token | [`Answer`](ErrorKind::Response) | later |
///
/// [`Error::oauth_code`] is set for the codes that specifications and well-known servers define. Other texts of an
/// answer, `error_description` included, appear nowhere: a server may echo what it was sent.
#[derive(Clone)]
pub struct TokenEndpoint(Arc<Inner>);

struct Inner {
    url: EndpointUrl,
    request: RequestParts,
    /// For `Debug`.
    client_auth: ClientAuth,
    reading: Reading,
    clock: ServerClock,
    transport: Arc<dyn DynTransport>,
}

impl TokenEndpoint {
    /// Starts with the token endpoint's URL and the grant.
    pub fn builder(url: impl Into<String>, grant: impl Grant) -> TokenEndpointBuilder {
        TokenEndpointBuilder::new(url.into(), grant)
    }

    /// How far this machine's clock is from the server's, if the server took an assertion only by [its own](#the-clock):
    /// something to put on a dashboard, for the clock of this machine wants to be set. A clone tells the same.
    pub fn clock_offset(&self) -> Option<ClockOffset> {
        self.0.clock.offset()
    }
}

impl TokenSource for TokenEndpoint {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let Inner { request: parts, reading, clock, transport, .. } = &*self.0;
        let mut repeats_left = u32::from(parts.grant.is_repeatable());
        let mut tries_left = TRIES;
        let mut correction = clock.correction(parts.is_time_bound());
        loop {
            let signing = correction.platform(cx.platform());
            let sent = match parts.grant.is_time_bound() {
                true => parts.grant.parameters(&cx.on(signing.clone())).await?,
                false => parts.grant.parameters(&cx).await?,
            };
            let request = parts.make(&sent, &cx, &signing).await?;
            // The server's clock for the token starts no earlier than this.
            let issued = cx.platform().now();
            let (result, answer) = match Arc::clone(transport).send(request).await {
                Ok(answer) => {
                    let received = cx.platform().now();
                    let read = reading.read(&answer, parts.grant.response_fields(), received.wall());
                    if let Some(members) = &read.members {
                        parts.grant.on_response(&cx, &sent, members).await?;
                    }
                    (read.token, Some((answer, received)))
                }
                Err(error) => (Err(error), None),
            };
            let error = match result {
                Ok(token) => {
                    correction.accepted();
                    return Ok(token.issued(issued));
                }
                Err(error) => error,
            };
            let error = match &answer {
                Some((answer, _)) if error.kind() == ErrorKind::Refused => error.with_refusal(head(answer)),
                _ => error,
            };
            let broken = error.kind() == ErrorKind::Transport;
            let asked_to_wait = matches!(error.retry(), Retry::Later { after: Some(_) });
            let (error, by_its_clock) = match &answer {
                Some((answer, received)) if !asked_to_wait => correction.refused(error, answer, issued, *received),
                _ => (error, false),
            };
            // A verdict that may be about the times says nothing yet of what else was sent.
            let again = by_its_clock
                || (!asked_to_wait && parts.grant.should_retry(&cx, &sent, &error))
                || (broken && repeats_left > 0);
            tries_left -= 1;
            if !again || tries_left == 0 || cx.remaining().is_zero() {
                return Err(error);
            }
            repeats_left = repeats_left.saturating_sub(u32::from(broken));
        }
    }

    fn has_changed(&self) -> bool {
        self.0.request.grant.has_changed() || self.0.request.credentials.has_changed()
    }
}

/// The parts of a refusal that a grant's verdict on its credential needs.
fn head<T>(response: &Response<T>) -> RefusalHead {
    let challenges = Challenge::read(response.headers());
    RefusalHead {
        status: response.status(),
        asks_for_client: challenges.iter().any(|challenge| challenge.is_scheme("Basic")),
    }
}

/// How many requests one fetch may make, if the grant has that many credentials to try.
const TRIES: u32 = 4;

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { url, client_auth, request, .. } = &*self.0;
        let RequestParts { grant_type, parameters, headers, .. } = request;
        f.debug_struct("TokenEndpoint")
            .field("url", url)
            .field("grant_type", grant_type)
            .field("client_auth", client_auth)
            .field("parameters", parameters)
            .field("headers", &headers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
