//! The warm request, and the service that responds at once.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    marker::PhantomData,
    sync::{
        Mutex,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, USER_AGENT},
};
use tower::Service;

/// The URL of warm requests.
pub const ORIGIN: &str = "https://api.example.com";

/// The length of access tokens of large providers.
pub const LONG: usize = 1_024;

/// The length of an opaque token.
pub const SHORT: usize = 64;

static LENGTH: AtomicUsize = AtomicUsize::new(LONG);

/// Sets the length of all tokens of this process. Call it before there are any.
pub fn use_tokens_of(bytes: usize) {
    LENGTH.store(bytes, Ordering::Relaxed);
}

/// The length of the tokens of this process.
pub fn token_length() -> usize {
    LENGTH.load(Ordering::Relaxed)
}

/// A token of that length.
pub fn token() -> String {
    "eyJhbGciOiJSUzI1NiJ9.".chars().chain("Zm9v".chars().cycle()).take(token_length()).collect()
}

/// A request as a client builds it: an absolute URI, which is parsed, and four constant headers.
///
/// Neither this function nor the response's is inlined: the same machine code serves every contender. Otherwise luck
/// with the compiler would be part of the comparison.
#[inline(never)]
pub fn request() -> Request<()> {
    request_to(URL)
}

/// The URI of most requests.
pub const URL: &str = "https://api.example.com/v1/projects/example/things?page_size=100";

/// The same request to another URI.
#[inline]
pub fn request_to(uri: &str) -> Request<()> {
    #[expect(clippy::unwrap_used, reason = "all of it is valid")]
    Request::get(uri)
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(USER_AGENT, HeaderValue::from_static("example/1.0"))
        .header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
        .body(())
        .unwrap()
}

/// The output of the service that responds at once.
pub type Reply = Response<()>;

/// The kind of response.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Replies {
    /// With four headers.
    Whole,
    /// Without headers, to measure what a contender adds without the cost of making responses.
    Bare,
    /// After recording the headers of the request.
    Inspecting,
}

impl Replies {
    pub fn begin(self) {
        REPLIES.store(self as u8, Ordering::Relaxed);
    }
}

static REPLIES: AtomicU8 = AtomicU8::new(Replies::Whole as u8);

/// The headers of an inspected request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    pub token: String,
    pub sensitive: bool,
}

static CARRIED: Mutex<Option<Carried>> = Mutex::new(None);

/// Takes the headers of the last inspected request.
pub fn carried() -> Option<Carried> {
    CARRIED.lock().expect("no panic").take()
}

/// The response to a request with these headers.
#[inline]
pub fn reply_to(headers: &HeaderMap) -> Response<()> {
    let replies = REPLIES.load(Ordering::Relaxed);
    if replies == Replies::Inspecting as u8 {
        inspect(headers);
    }
    if replies == Replies::Bare as u8 { Response::new(()) } else { response() }
}

#[cold]
fn inspect(headers: &HeaderMap) {
    let value = headers.get(AUTHORIZATION);
    let token = value.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    *CARRIED.lock().expect("no panic") =
        value.zip(token).map(|(value, token)| Carried { token: token.to_owned(), sensitive: value.is_sensitive() });
}

/// A response with four headers.
#[inline(never)]
pub fn response() -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("2048"));
    headers.insert(DATE, HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT"));
    headers.insert(ETAG, HeaderValue::from_static("\"example\""));
    response
}

/// A service that responds at once. It never fails; the error type suits the layer around it.
#[derive(Debug)]
pub struct Noop<E = Infallible>(PhantomData<fn() -> E>);

impl<E> Noop<E> {
    pub fn new() -> Self {
        Noop(PhantomData)
    }
}

impl<E> Default for Noop<E> {
    fn default() -> Self {
        Noop::new()
    }
}

impl<E> Clone for Noop<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Noop<E> {}

impl<E> Service<Request<()>> for Noop<E> {
    type Response = Reply;
    type Error = E;
    type Future = Ready<Result<Reply, E>>;

    #[inline]
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request<()>) -> Self::Future {
        ready(Ok(reply(request)))
    }
}

/// The service's work. Not inlined either, so every contender passes the request in the same way.
#[inline(never)]
fn reply(request: Request<()>) -> Reply {
    let request = std::hint::black_box(request);
    reply_to(request.headers())
}
