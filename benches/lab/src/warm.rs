//! The warm request, and the service that answers it at once.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    marker::PhantomData,
    sync::{
        Mutex,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, USER_AGENT},
};
use tower::Service;

/// Where warm requests go.
pub const ORIGIN: &str = "https://api.example.com";

/// As long as access tokens of large providers are.
pub const TOKEN_LENGTH: usize = 1_024;

/// A token of the usual length.
pub fn token() -> String {
    "eyJhbGciOiJSUzI1NiJ9.".chars().chain("Zm9v".chars().cycle()).take(TOKEN_LENGTH).collect()
}

/// A request as a client makes it: an absolute URI, which is read, and four headers, which are constants.
///
/// Not inlined, nor is the answer: the same machine code makes them for everyone, or else its luck with the compiler
/// would be a part of the comparison.
#[inline(never)]
pub fn request() -> Request<()> {
    #[expect(clippy::unwrap_used, reason = "all of it is valid")]
    Request::get("https://api.example.com/v1/projects/example/things?page_size=100")
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(USER_AGENT, HeaderValue::from_static("example/1.0"))
        .header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
        .body(())
        .unwrap()
}

/// What the service that answers at once gives.
pub type Answer = Response<()>;

/// How requests are answered.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Answers {
    /// With four headers.
    Whole,
    /// Without any: to measure what a contender adds, without the cost of making answers.
    Bare,
    /// Once it has been noted what the request carries.
    Inspecting,
}

impl Answers {
    pub fn begin(self) {
        ANSWERS.store(self as u8, Ordering::Relaxed);
    }
}

static ANSWERS: AtomicU8 = AtomicU8::new(Answers::Whole as u8);

/// What an inspected request carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    pub token: String,
    pub sensitive: bool,
}

static CARRIED: Mutex<Option<Carried>> = Mutex::new(None);

/// What the last inspected request carried; forgets it.
pub fn carried() -> Option<Carried> {
    CARRIED.lock().expect("no panic").take()
}

/// The answer to a request with these headers.
#[inline]
pub fn answer_to(headers: &HeaderMap) -> Response<()> {
    let answers = ANSWERS.load(Ordering::Relaxed);
    if answers == Answers::Inspecting as u8 {
        inspect(headers);
    }
    if answers == Answers::Bare as u8 { Response::new(()) } else { response() }
}

#[cold]
fn inspect(headers: &HeaderMap) {
    let value = headers.get(AUTHORIZATION);
    let token = value.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    *CARRIED.lock().expect("no panic") =
        value.zip(token).map(|(value, token)| Carried { token: token.to_owned(), sensitive: value.is_sensitive() });
}

/// An answer with four headers.
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

/// Answers every request at once. Its error never comes; its type is what a layer around it wants.
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
    type Response = Answer;
    type Error = E;
    type Future = Ready<Result<Answer, E>>;

    #[inline]
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request<()>) -> Self::Future {
        ready(Ok(answer(request)))
    }
}

/// What the service that answers at once does. Not inlined either: everyone hands the request over in the same way.
#[inline(never)]
fn answer(request: Request<()>) -> Answer {
    let request = std::hint::black_box(request);
    answer_to(request.headers())
}
