//! The official grpc crate: call credentials.

use bearer_token::{Error, TokenProvider};
use grpc::{
    StatusCodeError, StatusError,
    credentials::call::{CallCredentials, CallDetails, ClientConnectionSecurityInfo},
    metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap},
};
use http::Uri;

/// Puts the provider's tokens into the metadata of each call: `CompositeChannelCredentials::new(tls, Arc::new(..))`.
///
/// grpc sends them over connections with privacy and integrity only. The crate does not tell call credentials of
/// responses, so a refused token is renewed when it expires, or by `TokenProvider::refresh_now`.
#[derive(Debug)]
pub struct BearerCredentials(pub TokenProvider);

#[async_trait::async_trait]
impl CallCredentials for BearerCredentials {
    async fn get_metadata(
        &self,
        call: &CallDetails,
        _: &ClientConnectionSecurityInfo,
        metadata: &mut MetadataMap,
    ) -> Result<(), StatusError> {
        // The URL of the service: its origin decides whether it gets a token.
        let uri: Uri = call.service_url().parse().map_err(|_| internal("the URL of the service cannot be read"))?;
        let mut request = http::Request::new(());
        *request.uri_mut() = uri;
        if self.0.authorize(&mut request).map_err(|error| status(&error))? == bearer_token::Authorized::NotReady {
            self.0.token().await.map_err(|error| status(&error))?.attach(request.headers_mut());
        }
        for (name, value) in request.headers() {
            let key = AsciiMetadataKey::from_bytes(name.as_str().as_bytes());
            let value = AsciiMetadataValue::try_from(value.as_bytes());
            let (Ok(key), Ok(mut value)) = (key, value) else { return Err(internal("a header is not ASCII")) };
            value.set_sensitive(true);
            metadata.insert(key, value);
        }
        Ok(())
    }
}

/// `Unavailable` while the authorization server is down, `Unauthenticated` when it refuses the credential.
fn status(error: &Error) -> StatusError {
    StatusError::new(StatusCodeError::from(error.grpc_code()), error.to_string())
}

fn internal(message: &str) -> StatusError {
    StatusError::new(StatusCodeError::Internal, message)
}
