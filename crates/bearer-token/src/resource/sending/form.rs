//! The form of the headers that are inserted, checked.
//!
//! A provider has one form for its life. The values of fixed headers are looked up for each token, because they may be
//! in a file that rotates. They are read *before* the source is called: a token that could not be sent is not fetched.

use std::{fmt, sync::Arc};

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind},
    platform::BoxFuture,
    problem::Problem,
    resource::sharded::SecretText,
    source::{FetchContext, challenge::is_token},
};

/// Headers of the connection and of the message framing (RFC 9110 section 7.6.1, RFC 9112 section 6). Setting them
/// would change the meaning of the request.
pub(crate) const FRAMING: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Which headers a bearer consists of.
#[derive(Clone, Debug)]
pub(crate) struct HeaderForm {
    name: HeaderName,
    /// The scheme with its space, or an empty string.
    scheme: String,
    fixed: Vec<(HeaderName, Arc<dyn FixedValue>)>,
}

/// The value of a fixed header, looked up for each bearer.
pub(crate) trait FixedValue: Send + Sync + fmt::Debug {
    /// Reads it for one bearer.
    fn read(self: Arc<Self>, cx: FetchContext) -> BoxFuture<Result<Zeroizing<String>, Error>>;
    /// Whether what it is read from has changed since.
    fn has_changed(&self) -> bool;
    /// What is wrong with it now. Blocks.
    fn problem(&self, path: &str) -> Option<Problem>;
}

/// A fixed header as it was read for one bearer.
#[derive(Clone)]
pub(crate) struct FixedHeader {
    pub(crate) name: HeaderName,
    text: SecretText,
}

impl HeaderForm {
    /// The scheme, followed by its space.
    pub(crate) fn new(name: HeaderName, scheme: impl Into<String>) -> Self {
        HeaderForm { name, scheme: scheme.into(), fixed: Vec::new() }
    }

    /// The same form with these fixed headers, whose names were checked.
    pub(super) fn with_fixed(mut self, fixed: Vec<(HeaderName, Arc<dyn FixedValue>)>) -> Self {
        self.fixed = fixed;
        self
    }

    /// The header that contains the token.
    pub(crate) fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The scheme with its space, or an empty string.
    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether a bearer is sent as `Authorization` alone, with any scheme.
    pub(crate) fn is_usual(&self) -> bool {
        self.name == AUTHORIZATION && self.fixed.is_empty()
    }

    /// Looks the fixed headers up.
    pub(crate) async fn read(&self, cx: &FetchContext) -> Result<Vec<FixedHeader>, Error> {
        let mut headers = Vec::with_capacity(self.fixed.len());
        for (name, value) in &self.fixed {
            let text = value.clone().read(cx.clone()).await.map_err(|error| {
                let message = format!("the fixed header `{name}` cannot be read: {error}");
                error.with_context(message)
            })?;
            headers.push(FixedHeader::new(name.clone(), text));
        }
        Ok(headers)
    }

    /// Whether what a fixed header is read from has changed since.
    pub(crate) fn has_changed(&self) -> bool {
        self.fixed.iter().any(|(_, value)| value.has_changed())
    }
}

impl Default for HeaderForm {
    /// `Authorization: Bearer <token>` (RFC 6750 section 2.1).
    fn default() -> Self {
        HeaderForm::new(AUTHORIZATION, "Bearer ")
    }
}

impl FixedHeader {
    pub(crate) fn new(name: HeaderName, mut text: Zeroizing<String>) -> Self {
        let bytes = std::mem::take(&mut *text).into_bytes();
        FixedHeader { name, text: SecretText::new(Zeroizing::new(bytes)) }
    }

    /// The value, marked sensitive, with a count of its own.
    pub(crate) fn value(&self) -> Result<HeaderValue, Error> {
        self.text.header_value().map_err(|error| {
            let message = format!("the fixed header `{}` has a value that no header may have", self.name);
            Error::new(ErrorKind::Source, message).with_source(error)
        })
    }
}

/// Whether this is a token (RFC 9110 section 5.6.2), or nothing.
pub(super) fn is_scheme(scheme: &str) -> bool {
    scheme.bytes().all(is_token)
}
