//! Response bodies, read up to a limit.
//!
//! All transports read in the same way, so the limit and the errors do not depend on which client carried the request.

use bytes::{Buf, Bytes};
use http::{Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{BoxError, RESPONSE_LIMIT, cause::client_error, too_large};
use crate::error::Error;

/// Reads a response as every [`Transport`](super::Transport) must: whole, and up to [`RESPONSE_LIMIT`] bytes.
///
/// For transports of your own. `uri` is the URL of the token request; errors show its origin only.
///
/// # Errors
///
/// Of kind [`Response`](crate::ErrorKind::Response) if the body is too large, and as [`client_error`] describes if it
/// cannot be read to its end.
///
/// ```
/// use bearer_token::{Error, adapter::read_response};
/// use bytes::Bytes;
/// use http::{Response, Uri};
/// use http_body_util::Full;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let uri = Uri::from_static("https://as.example.com/token");
/// // What your client returned, with a body that is not read yet.
/// let response = Response::new(Full::new(Bytes::from_static(b"{\"access_token\": \"t\"}")));
/// assert_eq!(read_response(&uri, response).await?.body(), "{\"access_token\": \"t\"}");
/// # Ok(()) }
/// ```
pub async fn read_response<B>(uri: &Uri, response: Response<B>) -> Result<Response<Bytes>, Error>
where
    B: Body<Data: Buf + Send, Error: Into<BoxError>> + Send,
{
    read(response).await.map_err(|error| match error {
        ReadError::TooLarge => too_large(),
        ReadError::Broken(error) => client_error(uri, &*error),
    })
}

/// A body that could not be read.
///
/// Apart from each other, because a tower service explains a broken body in its own words.
pub(super) enum ReadError {
    TooLarge,
    Broken(BoxError),
}

/// Reads the body to its end, or up to the limit.
pub(super) async fn read<B>(response: Response<B>) -> Result<Response<Bytes>, ReadError>
where
    B: Body<Data: Buf + Send, Error: Into<BoxError>> + Send,
{
    let (head, body) = response.into_parts();
    match Limited::new(body, RESPONSE_LIMIT).collect().await {
        Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(ReadError::TooLarge),
        Err(error) => Err(ReadError::Broken(error)),
    }
}
