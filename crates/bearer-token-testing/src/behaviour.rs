//! Faults: the wrong behaviour of an endpoint, on request.

use std::{
    collections::VecDeque,
    fmt, future, io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bearer_token::platform::Clock;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    body::{ResponseBody, Rest},
    gate::{Arrival, Gate, Gates},
};

/// The behaviour of one endpoint of the server: correct, unless a test asks for faults.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use bearer_token_testing::{AuthorizationServer, Fault};
///
/// let server = AuthorizationServer::start()?;
/// // The next token request fails, the one after it is served.
/// server.token_endpoint().next(Fault::status(503).header("retry-after", "5"));
/// // The API is down until it recovers.
/// server.api().always(Fault::disconnect());
/// server.api().recover();
/// // Token requests wait, without a sleep, until the test releases them.
/// let gate = server.token_endpoint().hold();
/// gate.release();
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct Behaviour {
    faults: Mutex<Faults>,
    gates: Gates,
}

#[derive(Default)]
struct Faults {
    next: VecDeque<Fault>,
    always: Option<Fault>,
}

impl Behaviour {
    /// Adds a fault for one of the next requests. May be called several times: the faults are used in order, one for
    /// each request that arrives. They take precedence over [`always`](Self::always).
    pub fn next(&self, fault: Fault) {
        self.faults().next.push_back(fault);
    }

    /// Gives every request this fault, until [`recover`](Self::recover).
    pub fn always(&self, fault: Fault) {
        self.faults().always = Some(fault);
    }

    /// Removes all faults. Requests that already have one keep it.
    pub fn recover(&self) {
        *self.faults() = Faults::default();
    }

    /// Holds requests that arrive from now on at the gate, before they are served or get their fault.
    pub fn hold(&self) -> Gate {
        self.gates.hold()
    }

    /// The gates and the fault for a request that arrives now.
    pub(crate) fn meet(&self) -> (Arrival, Fault) {
        let mut faults = self.faults();
        let fault = faults.next.pop_front().or_else(|| faults.always.clone());
        (self.gates.arrive(), fault.unwrap_or_else(|| Fault::of(Effect::None)))
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.faults();
        f.debug_struct("Behaviour").field("next", &faults.next).field("always", &faults.always).finish_non_exhaustive()
    }
}

/// A failure of one request.
///
/// Unless its documentation says otherwise, the request is not served: no token is issued, and no `jti` is used up.
#[derive(Clone)]
pub struct Fault {
    delay: Option<Duration>,
    effect: Effect,
}

#[derive(Clone)]
enum Effect {
    None,
    Hang,
    Disconnect,
    Respond(Box<Made>),
    Flood(u64),
    CutOff(Rest),
}

#[derive(Clone)]
struct Made {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Fault {
    /// Serves the request correctly, but only after this time by the server's clock.
    pub fn delay(time: Duration) -> Self {
        Fault::of(Effect::None).after(time)
    }

    /// Never responds. The request ends when the client disconnects or the server stops.
    pub fn hang() -> Self {
        Fault::of(Effect::Hang)
    }

    /// Closes the connection without a response (HTTP/2: resets the stream).
    pub fn disconnect() -> Self {
        Fault::of(Effect::Disconnect)
    }

    /// Serves the request, but breaks the connection in the middle of the response. A token was issued, and is lost.
    pub fn cut_off() -> Self {
        Fault::of(Effect::CutOff(Rest::Flush))
    }

    /// Serves the request, but sends only the head and half of the body.
    pub fn stall() -> Self {
        Fault::of(Effect::CutOff(Rest::Silence))
    }

    /// A response with this status and no body. An invalid status becomes 500.
    pub fn status(status: u16) -> Self {
        Fault::respond(status, HeaderMap::new(), Bytes::new())
    }

    /// A redirect that keeps the method, with status 307. A location that is not a valid header value is omitted.
    pub fn redirect(to: impl AsRef<str>) -> Self {
        Fault::status(307).header("location", to)
    }

    /// A response with this status and this JSON body, such as a success without a token.
    pub fn json(status: u16, body: &Value) -> Self {
        Fault::status(status).header("content-type", "application/json").body(body.to_string())
    }

    /// An OAuth error response with this status and error code (RFC 6749 section 5.2).
    pub fn oauth_error(status: u16, code: impl AsRef<str>) -> Self {
        Fault::json(status, &json!({ "error": code.as_ref() }))
    }

    /// The response of an API that refuses the token: 401 with `error="invalid_token"` (RFC 6750 section 3.1).
    pub fn invalid_token() -> Self {
        Fault::status(401).header("www-authenticate", r#"Bearer realm="api", error="invalid_token""#)
    }

    /// 200 with a web page, as captive portals and wrong URLs return.
    pub fn html() -> Self {
        Fault::status(200)
            .header("content-type", "text/html; charset=utf-8")
            .body("<!doctype html><title>Sign in</title><p>Please sign in to the network.")
    }

    /// 200 with truncated JSON in a complete HTTP message.
    pub fn broken_json() -> Self {
        Fault::status(200).header("content-type", "application/json").body(r#"{"access_token":"aaaa","token_ty"#)
    }

    /// 200 with a body of this many bytes and no `Content-Length`.
    pub fn flood(bytes: u64) -> Self {
        Fault::of(Effect::Flood(bytes))
    }

    /// Adds a header to a response that the fault makes. An invalid header is omitted.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let name = HeaderName::try_from(name.as_ref());
        let value = HeaderValue::from_str(value.as_ref());
        if let (Effect::Respond(made), Ok(name), Ok(value)) = (&mut self.effect, name, value) {
            made.headers.append(name, value);
        }
        self
    }

    /// Replaces the body of a response that the fault makes.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        if let Effect::Respond(made) = &mut self.effect {
            made.body = body.into();
        }
        self
    }

    /// Delays the fault by this time, by the server's clock.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.delay = Some(time);
        self
    }

    fn respond(status: u16, headers: HeaderMap, body: Bytes) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Fault::of(Effect::Respond(Box::new(Made { status, headers, body })))
    }

    fn of(effect: Effect) -> Self {
        Fault { delay: None, effect }
    }

    /// Applies the fault; `serve` handles the request correctly. An error closes the connection.
    pub(crate) async fn happen(
        self,
        clock: &dyn Clock,
        serve: impl FnOnce() -> Response<ResponseBody>,
    ) -> io::Result<Response<ResponseBody>> {
        if let Some(delay) = self.delay {
            clock.sleep_until(clock.now().monotonic().saturating_add(delay)).await;
        }
        match self.effect {
            Effect::None => Ok(serve()),
            Effect::Hang => future::pending().await,
            Effect::Disconnect => Err(io::ErrorKind::ConnectionAborted.into()),
            Effect::Flood(bytes) => Ok(Response::new(ResponseBody::Flood(bytes))),
            Effect::Respond(made) => {
                let mut response = Response::new(ResponseBody::Whole(made.body));
                *response.status_mut() = made.status;
                *response.headers_mut() = made.headers;
                Ok(response)
            }
            Effect::CutOff(rest) => {
                let (mut head, body) = serve().into_parts();
                let ResponseBody::Whole(mut bytes) = body else { return Ok(Response::from_parts(head, body)) };
                head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                bytes.truncate(bytes.len() / 2);
                Ok(Response::from_parts(head, ResponseBody::Part(bytes, rest)))
            }
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Fault");
        match &self.effect {
            Effect::None => out.field("effect", &"none"),
            Effect::Hang => out.field("effect", &"hang"),
            Effect::Disconnect => out.field("effect", &"disconnect"),
            Effect::Respond(made) => out.field("effect", &"response").field("status", &made.status.as_u16()),
            Effect::Flood(bytes) => out.field("effect", &"flood").field("bytes", bytes),
            Effect::CutOff(Rest::Silence) => out.field("effect", &"stall"),
            Effect::CutOff(_) => out.field("effect", &"cut off"),
        };
        out.field("delay", &self.delay).finish_non_exhaustive()
    }
}
