//! Shared code of the fuzz targets, which use the public API only.

use std::{
    error::Error as StdError,
    fmt::Debug,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bearer_token::{
    AccessToken, Error, FetchContext, FetchReason, TokenSource,
    oauth::{ClientCredentials, TokenEndpoint},
    platform::{BoxFuture, Clock, Moment, Platform},
    transport::Transport,
};
use bytes::Bytes;
use http::{Request, Response};

pub mod config;

/// The planted secret. No error and no `Debug` output may show it.
pub const MARKER: &str = "planted-marker";

/// All output of an error, down to its last cause.
pub fn shown(error: &Error) -> String {
    let mut causes = Vec::new();
    let mut next = StdError::source(error);
    while let Some(cause) = next {
        causes.push(format!("{cause} {cause:?}"));
        next = cause.source();
    }
    format!("{error} {error:?} {:?} {causes:?}", error.problems())
}

/// Fails if the output shows the marker.
pub fn assert_hidden(what: &impl Debug, text: &str) {
    assert!(!text.contains(MARKER), "the marker is shown: {what:?} {text}");
}

/// The result of a future that does not wait.
pub fn now_or_never<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}

/// Sends the same response to each request.
struct Fixed(Response<Bytes>);

impl Transport for Fixed {
    async fn send(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        Ok(self.0.clone())
    }
}

/// A clock that stands still.
struct Still(Moment);

impl Clock for Still {
    fn now(&self) -> Moment {
        self.0
    }

    fn sleep_until(&self, _deadline: Duration) -> BoxFuture<()> {
        Box::pin(std::future::pending())
    }
}

/// The result of a token request with this response at that time.
pub fn read_response(response: Response<Bytes>, now: Moment) -> Result<AccessToken, Error> {
    let endpoint = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
        .keep("kept")
        .transport(Fixed(response))
        .build()
        .expect("its settings are valid");
    let platform = Platform::system().with_clock(Still(now));
    now_or_never(endpoint.fetch(FetchContext::new(platform, Duration::from_secs(10), FetchReason::Missing)))
}
