//! Reading documents of metadata, of an authorization server or of a protected resource.
//!
//! Both kinds of documents are small public JSON objects, so both are read in the same way. That is a GET without
//! credentials and redirects, up to 128 KiB. Errors name the owner of the document. The distinction in [`Absent`]
//! matters to both callers. "There is none here" lets them look at the next place, "the server is in trouble" does not.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING},
};

use crate::{
    PassThrough,
    error::{Error, ErrorKind, Retry},
    oauth::response::requested_delay,
    source::FetchContext,
    transport::DynTransport,
};

/// The largest document that is read, in bytes. Real ones have some thousand.
pub(crate) const LIMIT: usize = 128 * 1024;

/// Whose metadata it is, for errors.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// `issuer` or `resource`.
    pub(crate) role: &'static str,
    /// Its identifier, which is not a secret.
    pub(crate) name: &'a str,
    /// What an error expects, and what to change.
    pub(crate) expected: &'static str,
}

/// Why there is no document.
pub(crate) enum Absent {
    /// The server is in trouble, so no other location is asked.
    Outage(Error),
    /// There is none at this location.
    Nothing(Error),
}

/// Reads one document. Redirects are not followed: they could lead anywhere.
///
/// The limit is checked after the transport's own, which is larger, because a token response may be larger than any
/// document of metadata.
pub(crate) async fn read(
    transport: &Arc<dyn DynTransport>,
    location: &Uri,
    owner: Owner<'_>,
    cx: &FetchContext,
) -> Result<Bytes, Absent> {
    let Owner { role, name, .. } = owner;
    let response = Arc::clone(transport).send(request(location)).await.map_err(|error| {
        let message = format!("the metadata of the {role} {name} cannot be read: {error}");
        Absent::Outage(error.with_context(message))
    })?;
    match absent(&response, owner, cx) {
        Some(absent) => Err(absent),
        None if response.body().len() > LIMIT => {
            let found = format!("has {} bytes, which is more than {LIMIT}", response.body().len());
            Err(Absent::Nothing(wrong(owner, &found)))
        }
        None => Ok(response.into_body()),
    }
}

/// The error for a document that must not be used.
pub(crate) fn wrong(Owner { role, name, .. }: Owner<'_>, found: &str) -> Error {
    let message = format!("the metadata of the {role} {name} {found}");
    Error::new(ErrorKind::Response, message).with_retry(Retry::AfterChange)
}

/// Judges a response: `None` if it is a document. 5xx and 429 are an outage, with the delay that the server asks for.
/// 3xx is a redirect, which is not followed. Everything else but 2xx means that there is no document.
fn absent(response: &Response<Bytes>, owner: Owner<'_>, cx: &FetchContext) -> Option<Absent> {
    let Owner { role, name, expected } = owner;
    let status = response.status();
    let responded = |kind, what: &str| {
        Error::new(kind, format!("the server of the {role} {name} responded with {} {what}", status.as_u16()))
    };
    let nothing =
        |what: &str| Some(Absent::Nothing(responded(ErrorKind::Response, what).with_retry(Retry::AfterChange)));
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let what = "in place of its metadata: the server, or a proxy in front of it, is in trouble";
        let after = requested_delay(status, response.headers(), cx.platform().now().wall());
        let error = responded(ErrorKind::Unavailable, what).with_retry(Retry::Later { after });
        return Some(Absent::Outage(error));
    }
    if status.is_redirection() {
        let what = format!("and a redirect; expected its metadata: redirects are not followed, so check the {role}");
        return nothing(&what);
    }
    if !status.is_success() {
        return nothing(&format!("in place of its metadata {expected}"));
    }
    None
}

/// A GET that carries no credential.
///
/// [`PassThrough`] keeps an API client's own layers from waiting for a token here, if the transport uses the same
/// stack.
pub(crate) fn request(location: &Uri) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = location.clone();
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    request.extensions_mut().insert(PassThrough);
    request
}
