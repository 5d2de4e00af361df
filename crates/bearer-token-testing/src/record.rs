//! Counts of what the server saw, and the requests themselves.

use std::{borrow::Cow, collections::VecDeque, fmt};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use crate::recent::LIMIT;

/// Counts of what the server has seen and done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections that were opened.
    pub connections: u64,
    /// Requests to the token endpoint, counted when they have arrived as a whole, before any gate or fault.
    pub token_requests: u64,
    /// Token requests in progress: at a gate, delayed, or hanging.
    pub token_requests_running: u64,
    /// The highest number of token requests that were in progress at once.
    pub token_requests_peak: u64,
    /// Tokens that were issued.
    pub tokens_issued: u64,
    /// Refresh tokens that were issued, for a consent or in exchange for another refresh token.
    pub refresh_tokens_issued: u64,
    /// Refresh tokens that were used again after they were used up, which ended the consent.
    pub refresh_tokens_reused: u64,
    /// Token requests that the server refused, without a fault.
    pub token_requests_refused: u64,
    /// Requests to the API, counted when they have arrived as a whole, before any gate or fault.
    pub api_requests: u64,
    /// API requests with a valid token.
    pub api_accepted: u64,
    /// API requests that the API refused, without a fault: no token, or an invalid one.
    pub api_rejected: u64,
    /// Requests to either endpoint that had no response yet when the connection was closed.
    pub abandoned: u64,
}

/// The part of the server that a request went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The token endpoint.
    Token,
    /// The protected API.
    Api,
}

/// A request as the server received it, with all its secrets. `Debug` shows only the names of headers and parameters.
#[derive(Clone)]
pub struct RecordedRequest {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl RecordedRequest {
    /// The part of the server that it went to.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The request target: path and query, and over HTTP/2 the origin as well.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first header field with this name, if there is one and it is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The parameters of the form in the body, in their order. Meaningless if the body is not a form.
    pub fn form(&self) -> Vec<(String, String)> {
        self.pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    /// The first parameter of the form with this name.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(&self.body)
    }

    /// The approximate size in memory.
    fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.body.len() + headers
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RecordedRequest");
        out.field("endpoint", &self.endpoint).field("method", &self.method).field("path", &self.uri.path());
        out.field("headers", &self.headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>());
        if self.endpoint == Endpoint::Token {
            out.field("parameters", &self.pairs().map(|(name, _)| name).collect::<Vec<_>>());
        }
        out.finish_non_exhaustive()
    }
}

/// The latest requests: at most 100,000, with at most 64 MiB of headers and bodies.
#[derive(Default)]
pub(crate) struct Log {
    requests: VecDeque<RecordedRequest>,
    size: usize,
}

const SIZE_LIMIT: usize = 64 * 1024 * 1024;

impl Log {
    pub(crate) fn push(&mut self, request: RecordedRequest) {
        self.size += request.size();
        self.requests.push_back(request);
        while self.requests.len() > LIMIT || self.size > SIZE_LIMIT {
            let Some(oldest) = self.requests.pop_front() else { break };
            self.size -= oldest.size();
        }
    }

    pub(crate) fn to_vec(&self) -> Vec<RecordedRequest> {
        self.requests.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        *self = Log::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &'static str) -> RecordedRequest {
        let headers = [(http::header::AUTHORIZATION, http::HeaderValue::from_static("Bearer planted-header"))];
        RecordedRequest {
            endpoint: Endpoint::Token,
            method: Method::POST,
            uri: Uri::from_static("/token?key=planted-query"),
            headers: headers.into_iter().collect(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn l38_debug_shows_names_and_no_values() {
        let text = format!("{:?}", request("grant_type=x&client_secret=planted-body"));
        assert!(text.contains("client_secret") && text.contains("authorization"), "{text}");
        assert!(!text.contains("planted"), "{text}");
    }

    #[test]
    fn parameters_are_form_decoded() {
        let request = request("a=1+2%26&b=&a=3");
        assert_eq!(request.parameter("a").as_deref(), Some("1 2&"));
        assert_eq!(request.form().len(), 3);
        assert_eq!(request.parameter("c"), None);
    }

    #[test]
    fn the_log_is_bounded_in_number_and_in_size() {
        let mut log = Log::default();
        for _ in 0..LIMIT + 5 {
            log.push(request(""));
        }
        assert_eq!(log.requests.len(), LIMIT);
        let large = RecordedRequest { body: Bytes::from(vec![0; 1024 * 1024]), ..request("") };
        for _ in 0..100 {
            log.push(large.clone());
        }
        assert!(log.size <= SIZE_LIMIT && log.requests.len() <= 64, "{} requests", log.requests.len());
        log.clear();
        assert_eq!((log.size, log.to_vec().len()), (0, 0));
    }
}
