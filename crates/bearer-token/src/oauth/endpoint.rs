//! The token endpoint as a source.
//!
//! [`TokenEndpoint`] puts the parts together: where (`location.rs`), what (`request/`), by whom (`client_auth/`), how
//! it is carried (the transport) and what comes back (`response/`). The loop in `request_token` is the only place that
//! decides whether a fetch makes another request, so the rules for that are in one view.
//!
//! | file | what it has |
//! |---|---|
//! | `builder.rs` | the settings, and the order in which they are checked |
//! | `checks.rs` | parameters, headers and names that users add |
//! | `location.rs`, `server.rs` | a URL or an issuer: as it was set, after its checks, and at each request |
//! | `scope.rs` | what was asked for and not granted |

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;

use crate::{
    error::{Error, ErrorKind, Retry},
    oauth::{
        ClientAuth, ClockOffset, Grant,
        discovery::may_have_moved,
        refresh_token::Session,
        request::{RequestParts, sent::Sent},
        response::{Findings, ResponseReader, clock_offset::ServerClock},
        step_up::Steps,
    },
    observe::{self, EventKind, Text},
    source::{ChallengeTest, FetchContext, Identity, TokenSource},
    token::AccessToken,
    transport::DynTransport,
};

mod builder;
mod checks;
mod location;
mod scope;
mod server;

pub use self::builder::TokenEndpointBuilder;
pub(crate) use self::builder::default_transport;
use self::{location::Location, scope::not_granted};

/// The token endpoint of an authorization server, as a source of tokens. Clones share everything.
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
/// A POST with a form body, `Accept: application/json` and `Accept-Encoding: identity`. It uses `https`, or `http` to
/// loopback. Other plaintext needs [`allow_plaintext`](TokenEndpointBuilder::allow_plaintext). A query in the URL is
/// kept.
///
/// Some servers expect another request. These settings are independent of each other:
///
/// | the server expects | set |
/// |---|---|
/// | JSON, with nested parameters if need be | [`body(BodyFormat::Json)`](TokenEndpointBuilder::body) |
/// | a GET with a query | [`method(Method::GET)`](TokenEndpointBuilder::method), `body(BodyFormat::Query)` |
/// | headers and nothing else | `body(BodyFormat::None)` |
/// | no `grant_type` | [`no_grant_type`](TokenEndpointBuilder::no_grant_type), with [`ClientCredentials`](crate::oauth::ClientCredentials) as the grant |
/// | another parameter or header | [`parameter`](TokenEndpointBuilder::parameter), [`header`](TokenEndpointBuilder::header) |
/// | `resource` or `audience` several times (RFC 8707) | `parameter` several times, or [`ParameterValue::list`](crate::oauth::ParameterValue::list) |
/// | a string from a file, a variable or another provider | a [`Value`](crate::Value) as the parameter or the header |
///
/// Values are read again for each request. They count as secrets: `Debug` shows names only, and a
/// [description](Error::server_description) that repeats one is withheld. Secrets are added to a URL only with
/// `BodyFormat::Query`, and no error, event or `Debug` shows them.
///
/// ```
/// use bearer_token::{TokenProvider, Value, oauth::{BodyFormat, ClientCredentials, ParameterValue, TokenEndpoint}};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let app = TokenProvider::builder(bearer_token::StaticToken::new("a JWT")).build()?;
/// // A chain: `app` signs JWTs, and this server takes one as the bearer of its token request.
/// # #[cfg(feature = "http-transport")]
/// let source = TokenEndpoint::builder("https://api.example.com/installations/7/tokens", ClientCredentials::new())
///     .no_grant_type()
///     .body(BodyFormat::Json)
///     .header("authorization", Value::token_of(app).prefix("Bearer "))
///     .parameter("permissions", ParameterValue::object([("contents", "read")]))
///     .build()?;
/// # #[cfg(feature = "http-transport")] let _ = source;
/// # Ok(()) }
/// ```
///
/// One fetch usually makes one request. It makes another one, from scratch and with a new assertion, in four cases:
///
/// - The connection breaks before the response is complete, for example because the server closed a pooled one. There
///   is one such retry, and only for a [repeatable](Grant::is_repeatable) grant.
/// - The server refuses, and the grant has [another credential](Grant::should_retry) to try. There are up to three such
///   retries.
/// - The server refuses an assertion, and [the clock](#the-clock) is off. There is one such retry.
/// - The server wants a nonce in the proof that the transport adds (RFC 9449 section 8), and its response has one.
///   There is one such retry.
///
/// In all other cases the first response is final, whatever its status. The provider decides when the next fetch may
/// start.
///
/// # The clock
///
/// A server refuses an assertion whose times do not fit its own clock. So when it refuses one that was signed here, its
/// `Date` is compared with this machine's clock. If they differ by more than 5 s, one more request is made at once, and
/// its assertions are signed with the server's time. If the server accepts that one, the offset is used from then on,
/// until an assertion is refused again. An offset of more than [an hour](TokenEndpointBuilder::max_clock_offset) is not
/// corrected.
///
/// Errors and events name the offset, and so does [`clock_offset`](Self::clock_offset). If the clock is right, or the
/// server refuses nothing, none of this happens. An event also reports a clock that is off by more than a minute, when
/// a token arrives that is a JWT with `exp`.
///
/// # The response
///
/// A [format](TokenEndpointBuilder::response) says where it has the token, or a
/// [function](TokenEndpointBuilder::response_with) reads it. It is JSON, whatever its content type is, unless the
/// format says that the whole body is the token. A field that is not needed may hold anything: bytes that are not
/// UTF-8, raw control characters, numbers of any size. An `error` beside a token is ignored if it is empty (`""`, `0`,
/// `false`, `null`, `[]`, `{}`). Spaces around the `token_type` are ignored too. If the `token_type` is missing, it
/// counts as `Bearer`. RFC 6749 requires it, but several servers leave it out, and any other type needs a proof from
/// the client that was never sent.
///
/// Redirects are not followed, compression is not decoded, and at most [1 MiB](crate::transport::RESPONSE_LIMIT) is
/// read. A response that continues after its JSON object is refused, because two responses may have been mixed up.
///
/// # The lifetime
///
/// The earlier of two ends counts: that of `expires_in`, and that of the token itself if it is a JWT (read, not
/// verified). Both count from just before the request was sent. If the format has a [time of
/// day](crate::oauth::ResponseFormat::expires_at), it is a third end. If that time has passed, only the other two ends
/// count, and an event reports it.
///
/// | `expires_in` | lifetime |
/// |---|---|
/// | `3600`, `"3600"`, `3600.9`, `"3600.9"` | 3600 s |
/// | `0` | the token serves the requests that waited for it, and is not kept |
/// | a time in seconds or milliseconds since 1970, at most ten years ahead | until then, by the clock of the response's `Date` |
/// | any other large number, such as 2^40 or `1e400` | [`Policy::max_lifetime`](crate::Policy::max_lifetime) |
/// | negative | none: an error |
/// | a time since 1970 that is over by less than a year | unknown, and an event |
/// | missing, `null`, or not a number (`"NaN"`, `"inf"`, `"soon"`, `true`, `[]`) | unknown |
///
/// | the token | its own lifetime |
/// |---|---|
/// | a JWT with `iat` and `exp` | `exp - iat`: no two clocks are compared |
/// | the same without a `Date`, if by this machine's clock a day less is left | until `exp` by this machine's clock |
/// | the same, when the response has a `Date` | also at most `exp` minus the `Date`: the token may be from a cache |
/// | a JWT with `exp` alone | `exp` minus the response's `Date`; without a `Date`, until `exp` by this machine's clock |
/// | a JWT whose `exp` is past by that clock | `exp - iat`, else unknown; in any case an event |
/// | anything else | unknown |
///
/// So a lifetime that is in milliseconds by mistake still ends with the JWT. If both are unknown,
/// [`Policy::default_lifetime`](crate::Policy::default_lifetime) applies. A wrong clock on this machine never turns
/// every call into a token request.
///
/// # Errors
///
/// | response | kind | retry |
/// |---|---|---|
/// | none, or a broken one | [`Transport`](ErrorKind::Transport) | later |
/// | 5xx, 429, 408, 425, even with an OAuth error code; `temporarily_unavailable`, `server_error`, `slow_down` and their like with any status | [`Unavailable`](ErrorKind::Unavailable) | later, after the [requested delay](#delays) |
/// | other 4xx; an `error` with status 200 | [`Refused`](ErrorKind::Refused) | after a change, or after the requested delay if there is one |
/// | 3xx | [`Response`](ErrorKind::Response) | after a change |
/// | 2xx without a usable token | [`Response`](ErrorKind::Response) | later |
///
/// [`Error::oauth_code`] is set for the codes of specifications and well-known servers. No other string from a response
/// appears in an error, because a server may echo the request. [`Error::server_description`] returns the server's
/// description on request.
///
/// # Delays
///
/// `Retry-After` is a number of seconds with or without a fraction, a time with a unit (`30s`, `500 ms`, `2 minutes`,
/// `1m30s`), or a date of RFC 9110 or RFC 3339 with `GMT`, `UTC` or an offset. In a list, the longest delay counts. A
/// number that is far too large for a delay is a time since 1970. Dates are compared with the response's own `Date`, if
/// there is one. `Retry-After-Ms` and `X-Ms-Retry-After-Ms` have the same effect. Without these headers, a 429 may have
/// the delay in `RateLimit-Reset`, `X-RateLimit-Reset`, `X-Rate-Limit-Reset`, `X-RateLimit-Reset-After` or `RateLimit`.
/// The same holds for 403 and 503, if the response says that 0 requests remain.
#[derive(Clone)]
pub struct TokenEndpoint(Arc<Inner>);

/// The parts of a token endpoint, shared by its clones. Immutable after `build()`, apart from what is learned of the
/// server: its clock, its metadata, and the steps that were taken.
struct Inner {
    location: Location,
    request: RequestParts,
    /// For `Debug`.
    /// The request has the prepared credentials, which show nothing.
    client_auth: ClientAuth,
    reader: ResponseReader,
    clock: ServerClock,
    steps: Option<Arc<Steps>>,
    transport: Arc<dyn DynTransport>,
}

impl TokenEndpoint {
    /// Starts a token endpoint with its URL and its grant.
    ///
    /// The URL is used byte for byte, and a query in it is kept (RFC 6749 section 3.2): Zoom documents one with its
    /// grant type. A fragment or user information in it is a problem at `build()`. Use [`discover`](Self::discover)
    /// instead where the server publishes metadata and may move its endpoint.
    ///
    /// ```
    /// use bearer_token::oauth::{ClientCredentials, TokenEndpoint};
    ///
    /// # #[cfg(feature = "http-transport")] {
    /// let endpoint = |url: &str| TokenEndpoint::builder(url, ClientCredentials::new()).build();
    /// assert!(endpoint("https://as.example.com/token#top").unwrap_err().to_string().contains("fragment"));
    /// // Plaintext is for loopback only, unless it is allowed.
    /// assert!(endpoint("http://as.example.com/token").is_err());
    /// assert!(endpoint("http://127.0.0.1:8080/token").is_ok());
    /// # }
    /// ```
    pub fn builder(url: impl Into<String>, grant: impl Grant) -> TokenEndpointBuilder {
        TokenEndpointBuilder::new(url.into(), grant)
    }

    /// Starts a token endpoint with its server's issuer and its grant. The URL is in the server's metadata.
    ///
    /// ```
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # #[cfg(feature = "http-transport")]
    /// let source = TokenEndpoint::discover("https://as.example.com/realms/reports", ClientCredentials::new())
    ///     .client_auth(ClientAuth::basic("client-id", "client-secret"))
    ///     .build()?;
    /// # #[cfg(feature = "http-transport")] let _ = source;
    /// # Ok(()) }
    /// ```
    ///
    /// # The metadata
    ///
    /// It is read with the first token request, through the same transport, from the two places that specifications
    /// name:
    ///
    /// - `https://as.example.com/.well-known/oauth-authorization-server/realms/reports` (RFC 8414 section 3.1), and if
    ///   there is none,
    /// - `https://as.example.com/realms/reports/.well-known/openid-configuration` (`OpenID` Connect Discovery 1.0
    ///   section 4.1).
    ///
    /// Its `issuer` must be the given one, byte for byte (RFC 8414 section 3.3). The issuer and the token endpoint use
    /// `https`. If the issuer is plaintext at loopback, the token endpoint may be too. If plaintext is
    /// [allowed](TokenEndpointBuilder::allow_plaintext) for a plaintext issuer, it may be plaintext anywhere. Redirects
    /// are not followed, and at most 128 KiB are read.
    ///
    /// The URL is kept for all callers. After an hour it is read again in the background, and it is used for up to a
    /// day if that fails. When a token request gets a 404, 405 or 410, or no connection, the metadata is read again at
    /// once. If the endpoint has moved, the fetch makes one more request.
    ///
    /// The audience of signed assertions (`ClientAuth::private_key_jwt`) is always the issuer. So false metadata cannot
    /// produce an assertion for another server.
    ///
    /// # Errors of the metadata
    ///
    /// | what happened | kind | retry |
    /// |---|---|---|
    /// | its server was not reached | [`Transport`](ErrorKind::Transport) | later |
    /// | 5xx or 429 | [`Unavailable`](ErrorKind::Unavailable) | later, after the requested delay |
    /// | a redirect, another status, or a page in place of JSON, at both places | [`Response`](ErrorKind::Response) | after a change |
    /// | another issuer in it, or no usable `token_endpoint` | [`Response`](ErrorKind::Response) | after a change |
    ///
    /// All of them name the issuer. A slash at the end that differs has a sentence of its own: it is the commonest
    /// mistake.
    pub fn discover(issuer: impl Into<String>, grant: impl Grant) -> TokenEndpointBuilder {
        TokenEndpointBuilder::discover(issuer.into(), grant)
    }

    /// The offset of this machine's clock from the server's, if the server accepted an assertion only with
    /// [its own time](#the-clock).
    ///
    /// If it is not zero, the clock of this machine needs to be set: show it on a dashboard. Clones share it.
    ///
    /// ```
    /// use bearer_token::oauth::TokenEndpoint;
    ///
    /// /// A line for a page of diagnostics.
    /// fn clock_line(endpoint: &TokenEndpoint) -> Option<String> {
    ///     endpoint.clock_offset().map(|offset| format!("the clock of this machine is {offset} the server's"))
    /// }
    /// # let _ = clock_line;
    /// ```
    ///
    /// `None` means that no correction is in use. It does not mean that the clock is right: servers tolerate offsets of
    /// some seconds, and those without assertions notice nothing.
    pub fn clock_offset(&self) -> Option<ClockOffset> {
        self.0.clock.offset()
    }
}

impl TokenSource for TokenEndpoint {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        self.fetch_for(&cx, None, self.0.steps.as_deref()).await
    }

    fn has_changed(&self) -> bool {
        self.0.request.has_changed()
    }

    /// The origin of the authorization server.
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0.location.origin())
    }

    /// The challenges that a [step](TokenEndpointBuilder::step_up) can meet.
    fn challenge_test(&self) -> Option<ChallengeTest> {
        self.0.steps.as_ref().map(Steps::test)
    }

    fn identity(&self, identity: &mut Identity) {
        let Inner { location, request, client_auth, reader, steps, transport, .. } = &*self.0;
        location.identity(identity);
        transport.identity(identity);
        client_auth.identity(identity);
        request.identity(identity);
        reader.identity(identity);
        if let Some(steps) = steps {
            steps.identity(identity);
        }
    }
}

/// Whether the server responded to the request and issued nothing. A success that cannot be read may have used up a
/// refresh token, and so may a request for which a gateway got no response.
fn is_refusal(error: &Error, status: StatusCode) -> bool {
    let is_unclear = status.is_success() || matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
    error.oauth_code().is_some() || !is_unclear
}

/// The most requests of one fetch with one scope, whatever their reasons.
///
/// If a refresh token is gone, the previous one and the configured one are tried. The fourth request is for a clock
/// that turns out to be wrong on the way.
const TRIES: u32 = 4;

impl TokenEndpoint {
    /// The configured scope. Without one, it is that of the protected resource.
    pub(crate) fn usual_scope<'a>(&'a self, of_resource: Option<&'a str>) -> &'a str {
        let own = Some(self.0.request.scope.as_str()).filter(|scope| !scope.is_empty());
        own.or(of_resource).unwrap_or_default()
    }

    /// Fetches a token with the configured scope. Without one, it is that of the protected resource.
    pub(crate) async fn fetch_for(
        &self,
        cx: &FetchContext,
        of_resource: Option<&str>,
        steps: Option<&Steps>,
    ) -> Result<AccessToken, Error> {
        let usual = self.usual_scope(of_resource);
        let Some(steps) = steps else { return self.request_token(cx, usual).await };
        let step = steps.begin(usual, cx);
        let error = match self.request_token(cx, &step.scope).await {
            Ok(token) => {
                steps.took(&step, token.granted_scope());
                return Ok(token);
            }
            Err(error) => error,
        };
        if !steps.is_refused(&step, &error) {
            return Err(error);
        }
        // Other requests need the previous scope only.
        observe::tell(EventKind::StepRefused { authorization_server: self.0.location.origin(), error: &error });
        let without = cx.clone().with_challenges([]);
        let step = steps.begin(usual, &without);
        let token = self.request_token(cx, &step.scope).await?;
        steps.took(&step, token.granted_scope());
        Ok(token)
    }

    /// One fetch with one scope. Each turn of the loop makes a request from scratch, with new assertions and new
    /// values, and then judges what came of it:
    ///
    /// | outcome | next |
    /// |---|---|
    /// | a token | it is returned; an offset of the clock that was used is kept |
    /// | a broken connection | once more, if the grant is repeatable |
    /// | a refusal of an assertion, and the server's `Date` differs | once more, signed by the server's clock |
    /// | 404, 405, 410 or no connection, and the metadata names another URL | once more, there |
    /// | a 400 for want of a nonce, which the response has | once more, with the nonce |
    /// | a refusal, and the grant has another credential | once more, with that one |
    /// | anything else, most errors with a `Retry-After`, the deadline, or the last try | the error |
    ///
    /// The counters are local, so two fetches never influence each other. What outlasts a fetch is in [`ServerClock`]
    /// and in the grant.
    async fn request_token(&self, cx: &FetchContext, scope: &str) -> Result<AccessToken, Error> {
        let Inner { location, request: parts, reader, clock, transport, .. } = &*self.0;
        let mut repeats_left = u32::from(parts.grant.is_repeatable());
        let mut tries_left = TRIES;
        let mut looked_again = false;
        let mut nonce_given = false;
        let mut correction = clock.correction(parts.is_time_bound());
        loop {
            let signing = correction.platform(cx.platform());
            let for_grant = match parts.grant.is_time_bound() {
                true => cx.on(signing.clone()),
                false => cx.clone(),
            };
            let uri = location.uri(cx).await?;
            let granted = parts.grant.parameters(&for_grant).await?;
            let (request, sent) = parts.make(&uri, &granted, &for_grant, cx, &signing, scope).await?;
            let session = granted.extensions().get::<Arc<Session>>();
            if let Some(session) = session {
                session.sends();
            }
            // The server's clock for the token starts no earlier than this.
            let issued = cx.platform().now();
            let (result, response) = match Arc::clone(transport).send(request).await {
                Ok(response) => {
                    let received = cx.platform().now();
                    let read = reader.read(&response, parts.grant.response_fields(), &sent, received.wall());
                    if let Some(fields) = &read.fields {
                        parts.grant.on_response(cx, &granted, fields).await?;
                    }
                    (read.token.map(|token| (token, read.findings)), Some((response, received)))
                }
                Err(error) => (Err(self.named(error)), None),
            };
            let error = match result {
                Ok((token, findings)) => {
                    correction.accepted();
                    self.tell(&token, &sent, findings);
                    return Ok(token.issued(issued));
                }
                Err(error) => error,
            };
            let broken = error.kind() == ErrorKind::Transport;
            let is_unused = match &response {
                Some((response, _)) => is_refusal(&error, response.status()),
                None => error.is_unsent(),
            };
            if is_unused && let Some(session) = session {
                session.not_used_up();
            }
            let asked_to_wait = matches!(error.retry(), Retry::Later { after: Some(_) });
            let (error, by_its_clock) = match &response {
                Some((response, received)) if !asked_to_wait => correction.refused(error, response, issued, *received),
                _ => (error, false),
            };
            let status = response.as_ref().map(|(response, _)| response.status());
            let repeats = broken && repeats_left > 0;
            let may_have_moved = !looked_again && !repeats && may_have_moved(&error, status);
            looked_again |= may_have_moved;
            // A single-use credential may have arrived at the first server. It must not be sent to another one.
            let moved =
                may_have_moved && location.has_moved(&uri, cx).await && (!broken || parts.grant.is_repeatable());
            let wants_nonce = !nonce_given && response.as_ref().is_some_and(|(response, _)| wants_nonce(response));
            nonce_given |= wants_nonce;
            // If the refusal may be about the times, it does not concern the other credentials yet.
            let again = by_its_clock
                || moved
                || wants_nonce
                || (!asked_to_wait && parts.grant.should_retry(cx, &granted, &error))
                || repeats;
            tries_left -= 1;
            if !again || tries_left == 0 || cx.remaining().is_zero() {
                return Err(error);
            }
            repeats_left = repeats_left.saturating_sub(u32::from(broken));
        }
    }

    /// Adds the origin to an error of the transport, unless the transport named it.
    ///
    /// Transports name a host only where it helps, as for a failed look-up of a name.
    fn named(&self, error: Error) -> Error {
        let origin = self.0.location.origin();
        let message = error.to_string();
        if message.contains(origin) {
            return error;
        }
        error.with_message(format!("the token request to {origin} failed: {message}"))
    }

    /// Sends the events about a response that brought a token.
    ///
    /// They are events and not errors, because the token is good. Each is an early sign of a mistake, such as a
    /// drifting clock, a cache before the server, or a missing permission.
    fn tell(&self, token: &AccessToken, sent: &Sent, findings: Findings) {
        let origin = self.0.location.origin();
        if let Some(offset) = findings.clock {
            observe::tell(EventKind::ClockDiffers { authorization_server: origin, offset: Text(&offset) });
        }
        if let Some(ago) = findings.expired {
            observe::tell(EventKind::ExpiredOnArrival { authorization_server: origin, expired_ago: ago });
        }
        if let Some(missing) = not_granted(sent.scope(), token.granted_scope()) {
            observe::tell(EventKind::NarrowerScope { authorization_server: origin, missing: &missing });
        }
    }
}

/// Whether the server refused the request only for want of a nonce, which its response has (RFC 9449 section 8). A
/// transport that adds proofs knows it by now. The next request has a new client assertion too (`L72`).
fn wants_nonce(response: &Response<Bytes>) -> bool {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow)]
        error: Cow<'a, str>,
    }
    response.status() == StatusCode::BAD_REQUEST
        && response.headers().contains_key("dpop-nonce")
        && serde_json::from_slice::<Refusal<'_>>(response.body()).is_ok_and(|refusal| refusal.error == "use_dpop_nonce")
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { location, client_auth, request, .. } = &*self.0;
        let RequestParts { method, body, grant_type, scope, parameters, headers, .. } = request;
        f.debug_struct("TokenEndpoint")
            .field("url", location)
            .field("method", method)
            .field("body", body)
            .field("grant_type", grant_type)
            .field("client_auth", client_auth)
            .field("scope", scope)
            .field("parameters", parameters)
            .field("headers", headers)
            .finish_non_exhaustive()
    }
}
