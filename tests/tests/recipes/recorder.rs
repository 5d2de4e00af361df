//! A transport that keeps token requests, and responds as the provider's documentation says.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use bearer_token::{Error, ErrorKind, Retry, transport::Transport};
use bytes::Bytes;
use http::{Request, Response};

#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    requests: Vec<Request<Bytes>>,
    responses: VecDeque<Response<Bytes>>,
}

impl Recorder {
    pub(crate) fn new(responses: impl IntoIterator<Item = Response<Bytes>>) -> Self {
        let state = State { requests: Vec::new(), responses: responses.into_iter().collect() };
        Recorder(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn requests(&self) -> Vec<Request<Bytes>> {
        self.0.lock().unwrap().requests.clone()
    }
}

impl Transport for Recorder {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let mut state = self.0.lock().unwrap();
        state.requests.push(request);
        let none = || Error::new(ErrorKind::Transport, "no response is expected").with_retry(Retry::AfterChange);
        state.responses.pop_front().ok_or_else(none)
    }
}
