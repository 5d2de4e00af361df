//! Faults: how an endpoint behaves other than it should.

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
    body::{Answer, Rest},
    gate::{Gate, Gates, Held},
};

/// How one endpoint of the server behaves: as it should, unless it is told otherwise.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use bearer_token_testing::{AuthorizationServer, Fault};
///
/// let server = AuthorizationServer::start()?;
/// // The next token request is refused for now, the one after it is served.
/// server.token_endpoint().next(Fault::status(503).header("retry-after", "5"));
/// // The API is down until it is healed.
/// server.api().always(Fault::disconnect());
/// server.api().heal();
/// // Token requests wait, without a sleep anywhere, until the test lets them go.
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
    /// The next request that is not spoken for meets this fault. May be called several times: a fault for each of the
    /// next requests, in the order in which they arrive. They come before [`always`](Self::always).
    pub fn next(&self, fault: Fault) {
        self.faults().next.push_back(fault);
    }

    /// Every request meets this fault, until [`heal`](Self::heal).
    pub fn always(&self, fault: Fault) {
        self.faults().always = Some(fault);
    }

    /// Takes back all faults. Requests that met one already keep it.
    pub fn heal(&self) {
        *self.faults() = Faults::default();
    }

    /// Requests that arrive from now on wait at the gate before they are served or meet their fault.
    pub fn hold(&self) -> Gate {
        self.gates.hold()
    }

    /// What a request that arrives now meets.
    pub(crate) fn meet(&self) -> (Held, Fault) {
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

/// Something that goes wrong with one request.
///
/// Unless it says otherwise, the request is not served: no token is issued, no `jti` is used up.
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
    Answer(Box<Made>),
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
    /// The request is served as it should be, but only after this time, by the server's clock.
    pub fn delay(time: Duration) -> Self {
        Fault::of(Effect::None).after(time)
    }

    /// No answer ever comes. The request ends when the client goes away or the server stops.
    pub fn hang() -> Self {
        Fault::of(Effect::Hang)
    }

    /// The connection is closed without an answer (HTTP/2: the stream is reset).
    pub fn disconnect() -> Self {
        Fault::of(Effect::Disconnect)
    }

    /// The request is served, but the connection breaks in the middle of the answer. A token was issued, and is lost.
    pub fn cut_off() -> Self {
        Fault::of(Effect::CutOff(Rest::Flush))
    }

    /// The request is served, but only the head and half of the answer are ever sent.
    pub fn stall() -> Self {
        Fault::of(Effect::CutOff(Rest::Silence))
    }

    /// An answer with this status and no body. What is no HTTP status becomes 500.
    pub fn status(status: u16) -> Self {
        Fault::answer(status, HeaderMap::new(), Bytes::new())
    }

    /// A redirect that keeps the method, status 307. An address that cannot stand in a header is left out.
    pub fn redirect(to: impl AsRef<str>) -> Self {
        Fault::status(307).header("location", to)
    }

    /// An answer with this status and this JSON body: for example a success without a token, or with a strange one.
    pub fn json(status: u16, body: &Value) -> Self {
        Fault::status(status).header("content-type", "application/json").body(body.to_string())
    }

    /// An OAuth error answer with this status and error code (RFC 6749 section 5.2).
    pub fn oauth_error(status: u16, code: impl AsRef<str>) -> Self {
        Fault::json(status, &json!({ "error": code.as_ref() }))
    }

    /// The answer of an API that refuses the token: 401 with `error="invalid_token"` (RFC 6750 section 3.1).
    pub fn invalid_token() -> Self {
        Fault::status(401).header("www-authenticate", r#"Bearer realm="api", error="invalid_token""#)
    }

    /// 200 with a web page, as a captive portal or a wrong URL gives it.
    pub fn html() -> Self {
        Fault::status(200)
            .header("content-type", "text/html; charset=utf-8")
            .body("<!doctype html><title>Sign in</title><p>Please sign in to the network.")
    }

    /// 200 with JSON that ends too early, though the HTTP message is complete.
    pub fn broken_json() -> Self {
        Fault::status(200).header("content-type", "application/json").body(r#"{"access_token":"aaaa","token_ty"#)
    }

    /// 200 with a body of so many bytes, sent without an announced length.
    pub fn flood(bytes: u64) -> Self {
        Fault::of(Effect::Flood(bytes))
    }

    /// Adds a header to the answer, if it is one that the fault makes up. What cannot be a header is left out.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let name = HeaderName::try_from(name.as_ref());
        let value = HeaderValue::from_str(value.as_ref());
        if let (Effect::Answer(made), Ok(name), Ok(value)) = (&mut self.effect, name, value) {
            made.headers.append(name, value);
        }
        self
    }

    /// Replaces the body of the answer, if it is one that the fault makes up.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        if let Effect::Answer(made) = &mut self.effect {
            made.body = body.into();
        }
        self
    }

    /// It happens only after this time, by the server's clock.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.delay = Some(time);
        self
    }

    fn answer(status: u16, headers: HeaderMap, body: Bytes) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Fault::of(Effect::Answer(Box::new(Made { status, headers, body })))
    }

    fn of(effect: Effect) -> Self {
        Fault { delay: None, effect }
    }

    /// Does what the fault says; `serve` is what should be done. An error closes the connection.
    pub(crate) async fn happen(
        self,
        clock: &dyn Clock,
        serve: impl FnOnce() -> Response<Answer>,
    ) -> io::Result<Response<Answer>> {
        if let Some(delay) = self.delay {
            clock.sleep_until(clock.now().monotonic().saturating_add(delay)).await;
        }
        match self.effect {
            Effect::None => Ok(serve()),
            Effect::Hang => future::pending().await,
            Effect::Disconnect => Err(io::ErrorKind::ConnectionAborted.into()),
            Effect::Flood(bytes) => Ok(Response::new(Answer::Flood(bytes))),
            Effect::Answer(made) => {
                let mut response = Response::new(Answer::Whole(made.body));
                *response.status_mut() = made.status;
                *response.headers_mut() = made.headers;
                Ok(response)
            }
            Effect::CutOff(rest) => {
                let (mut head, body) = serve().into_parts();
                let Answer::Whole(mut bytes) = body else { return Ok(Response::from_parts(head, body)) };
                head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                bytes.truncate(bytes.len() / 2);
                Ok(Response::from_parts(head, Answer::Part(bytes, rest)))
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
            Effect::Answer(made) => out.field("effect", &"answer").field("status", &made.status.as_u16()),
            Effect::Flood(bytes) => out.field("effect", &"flood").field("bytes", bytes),
            Effect::CutOff(Rest::Silence) => out.field("effect", &"stall"),
            Effect::CutOff(_) => out.field("effect", &"cut off"),
        };
        out.field("delay", &self.delay).finish_non_exhaustive()
    }
}
