//! Making a token request.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};

use crate::{
    PassThrough,
    error::Error,
    oauth::{client_auth::Credentials, grant::DynGrant},
    platform::Platform,
    source::FetchContext,
};

mod parameters;

pub use self::parameters::Parameters;

/// Everything that a token request is made of, checked.
pub(crate) struct RequestParts {
    pub(crate) uri: Uri,
    pub(crate) grant: Box<dyn DynGrant>,
    pub(crate) grant_type: Option<String>,
    /// Scope and further parameters.
    pub(crate) parameters: Parameters,
    pub(crate) credentials: Credentials,
    /// Headers that were asked for, and those of the client authentication.
    pub(crate) headers: HeaderMap,
}

impl RequestParts {
    /// Whether something in a request is signed here, and says what time it is.
    pub(crate) fn is_time_bound(&self) -> bool {
        self.grant.is_time_bound() || self.credentials.is_time_bound()
    }

    /// A new request with what the grant made for it (RFC 6749 section 3.2). Nothing in it is reused from one that was
    /// made before.
    pub(crate) async fn make(
        &self,
        granted: &Parameters,
        cx: &FetchContext,
        signing: &Platform,
    ) -> Result<Request<Bytes>, Error> {
        let mut parameters = Parameters::default();
        parameters.extend(granted);
        if let Some(grant_type) = &self.grant_type {
            parameters.replace("grant_type", grant_type);
        }
        parameters.extend(&self.parameters);
        let authorization = self.credentials.apply(&mut parameters, cx, signing).await?;

        let mut request = Request::new(parameters.to_body());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        // Without it some servers answer errors with a page for people.
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.extensions_mut().insert(PassThrough);
        Ok(request)
    }
}
