//! Building a token request.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE},
};

use crate::{
    PassThrough,
    error::Error,
    oauth::{client_auth::Credentials, grant::DynGrant},
    platform::Platform,
    source::FetchContext,
};

mod parameters;
pub(crate) mod sent;
pub(crate) mod wire;

pub use self::parameters::Parameters;
use self::sent::Sent;

/// The parts of a token request, checked.
pub(crate) struct RequestParts {
    pub(crate) uri: Uri,
    pub(crate) grant: Box<dyn DynGrant>,
    pub(crate) grant_type: Option<String>,
    /// The scope and the parameters that the user added.
    pub(crate) parameters: Parameters,
    pub(crate) credentials: Credentials,
    /// The headers that the user added, and those of the client authentication.
    pub(crate) headers: HeaderMap,
}

impl RequestParts {
    /// Whether a part of the request is signed here, and depends on the time of day.
    pub(crate) fn is_time_bound(&self) -> bool {
        self.grant.is_time_bound() || self.credentials.is_time_bound()
    }

    /// Builds a new request around the parameters of the grant (RFC 6749 section 3.2), and keeps a record of it.
    ///
    /// Nothing in it is reused from an earlier request.
    pub(crate) async fn make(
        &self,
        granted: &Parameters,
        cx: &FetchContext,
        signing: &Platform,
    ) -> Result<(Request<Bytes>, Sent), Error> {
        let mut parameters = Parameters::default();
        parameters.extend(granted);
        if let Some(grant_type) = &self.grant_type {
            parameters.replace("grant_type", grant_type);
        }
        parameters.extend(&self.parameters);
        let authorization = self.credentials.apply(&mut parameters, cx, signing).await?;

        let mut headers = self.headers.clone();
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        let mut request = Request::new(parameters.to_body());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        // Without it some servers respond to errors with an HTML page.
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        // Without it a server may compress as it likes (RFC 9110 section 12.5.3).
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        request.extensions_mut().insert(PassThrough);
        let query = self.uri.query().map(str::to_owned);
        Ok((request, Sent { parameters, headers, query }))
    }
}
