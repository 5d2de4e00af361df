//! Events about calls of other systems: requests to authorization servers, and calls of stores.
//!
//! Both are measured by the platform's clock, so tests see exact times, and both end with one event, whatever ends
//! them. For a request that includes the abort of its fetch. The future is dropped then, outside of the scope that
//! knows whose it is, so [`TokenCall`] keeps its observers from the beginning.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    time::Duration,
};

use http::{Method, Response, Uri, uri::Scheme};

use super::{EventKind, Observers, StoreOperation, StoreOutcome, recorder, scope};
use crate::{
    error::Error,
    platform::{Moment, Platform},
};

/// A request to an authorization server. Whatever ends it is an event, also that its fetch was aborted.
pub(crate) struct TokenCall {
    span: recorder::Span,
    /// Kept, because a fetch is dropped outside of its scope.
    observers: Option<Observers>,
    started: Option<Moment>,
    method: Method,
    address: String,
    port: u16,
    is_over: bool,
}

impl TokenCall {
    /// A request that is about to be sent. It takes the observers of the fetch that is being polled now.
    pub(crate) fn start(method: &Method, uri: &Uri) -> Self {
        let observers = scope::current();
        let started = observers.as_ref().map(|observers| observers.platform().now());
        let address = uri.host().unwrap_or_default().to_owned();
        let usual = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(usual);
        let span = recorder::request_span(method.as_str(), &address, port);
        TokenCall { span, observers, started, method: method.clone(), address, port, is_over: false }
    }

    /// Runs a function inside the span of the request.
    pub(crate) fn inside<T>(&self, run: impl FnOnce() -> T) -> T {
        recorder::in_span(&self.span, run)
    }

    /// Waits for the response.
    pub(crate) async fn run<B>(
        mut self,
        sending: impl Future<Output = Result<Response<B>, Error>>,
    ) -> Result<Response<B>, Error> {
        let mut sending = pin!(sending);
        let result = poll_fn(|cx| recorder::in_span(&self.span, || sending.as_mut().poll(cx))).await;
        match &result {
            Ok(response) => self.end(Some(response.status().as_u16()), None),
            Err(error) => self.end(None, Some(error.kind().as_str())),
        }
        result
    }

    /// Tells the end, inside the span of the request, so the event is its child.
    fn end(&mut self, status: Option<u16>, error_type: Option<&'static str>) {
        self.is_over = true;
        recorder::end_request(&self.span, status, error_type);
        let ended = self.observers.as_ref().map(|observers| observers.platform().now());
        let since = |(ended, started): (Moment, Moment)| ended.monotonic().saturating_sub(started.monotonic());
        let duration = ended.zip(self.started).map_or(Duration::ZERO, since);
        let TokenCall { method, address, port, .. } = self;
        let kind = EventKind::TokenRequest {
            method: method.as_str(),
            server_address: address,
            server_port: *port,
            status,
            error_type,
            duration,
        };
        recorder::in_span(&self.span, || scope::tell_to(self.observers.as_ref(), kind));
    }
}

impl Drop for TokenCall {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(None, Some("cancelled"));
        }
    }
}

/// Calls a store, and tells what came of it. `outcome` judges an answer: that a lease is held is not a failure.
pub(crate) async fn store_call<T>(
    platform: &Platform,
    (store, operation): (&'static str, StoreOperation),
    call: impl Future<Output = Result<T, Error>>,
    outcome: impl FnOnce(&T) -> StoreOutcome,
) -> Result<T, Error> {
    let started = platform.now();
    let result = call.await;
    let duration = platform.now().monotonic().saturating_sub(started.monotonic());
    let (outcome, error) = match &result {
        Ok(value) => (outcome(value), None),
        Err(error) => (StoreOutcome::Failed, Some(error)),
    };
    scope::tell(EventKind::StoreCall { store, operation, outcome, error, duration });
    result
}
