//! gRPC: the layer under generated clients, and the trailers of their responses.
//!
//! It goes between a channel and the clients that share it. No dependency on tonic comes with it.
//!
//! ```
//! use std::sync::Arc;
//!
//! use bearer_token::{StaticToken, TokenProvider};
//! use tonic::{Code, Status, transport::Channel};
//! use tonic_health::pb::health_client::HealthClient; // or any other generated client
//! use tower::ServiceBuilder;
//! use tower_bearer::{BearerLayer, BoxError, grpc::TrailersService};
//!
//! type Bearers = TrailersService<Channel>;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let provider = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA"))
//!     .allow_origin("https://api.example.com")
//!     .connection_origin("https://api.example.com")
//!     .build()?;
//!
//! let layer = BearerLayer::new(provider).map_error(as_status).watch_trailers();
//! let channel = Channel::from_static("https://api.example.com").connect_lazy(); // in your code: with a tls_config
//! let client: HealthClient<Bearers> = HealthClient::new(ServiceBuilder::new().layer(layer).service(channel));
//! # let _ = client; Ok(()) }
//!
//! /// `Unavailable` while the authorization server is down, `Unauthenticated` when it refuses the credential.
//! fn as_status(error: bearer_token::Error) -> BoxError {
//!     let mut status = Status::new(Code::from(error.grpc_code()), error.to_string());
//!     status.set_source(Arc::new(error));
//!     status.into()
//! }
//! ```
//!
//! # What callers see
//!
//! A generated client turns the error of the service below it into a `Status`: one that is in the box already is taken
//! as it is, and one that it does not know becomes `Unknown`. So
//! [`map_error`](crate::BearerLayer::map_error), as above, lets them see [`Error::grpc_code`]. In both cases the token
//! error is found by following [`source`](std::error::Error::source) from the `Status`. The channel's own errors are
//! left alone.
//!
//! A deadline (`Request::set_timeout`, `Endpoint::timeout`) is kept by the channel, and counts from when the call gets
//! there. The wait for a token before that has a [limit of its own](bearer_token::Policy). For one deadline over both
//! put a timeout layer around this one.
//!
//! # Where the tokens go
//!
//! Around a channel, the layer sees URIs with a path and nothing else: the channel adds the scheme and the host later.
//! Tell the provider which by [`connection_origin`](bearer_token::TokenProviderBuilder::connection_origin). It is
//! judged like any other origin, and it has to be the channel's own: the layer cannot check that. If origins are
//! allowed and this is missing, every call is refused, with an error that says so. If no origin is allowed at all,
//! every call of the channel is authorized, even in the clear.
//!
//! A client made with `with_origin` gives its URIs a scheme and a host, and these are judged. But a channel replaces
//! them with those of its own endpoint: give both the same.
//!
//! # What rejects a bearer
//!
//! - **HTTP 401**, as everywhere: some gateways respond so.
//! - **`grpc-status: 16` among the headers**, which are the whole response then. Servers that check the token first
//!   send this. It is looked for in HTTP/2 only.
//! - **`grpc-status: 16` in the trailers**, after a head without an error. Proxies may send it so, and servers that end
//!   a running stream when its token expires. It is looked for with
//!   [`watch_trailers`](crate::BearerLayer::watch_trailers), if the body is read to its end. With that setting, the
//!   headers are looked at over HTTP/1.1 too, for gRPC-Web.
//!
//! Each call that follows gets the renewed bearer. The one that was rejected ends with its status: tonic's bodies
//! cannot be sent twice.
//!
//! # Streams
//!
//! A call carries the bearer of its beginning, however long it streams. When that expires or is renewed, running
//! streams continue, unless the server ends them.
//!
//! # Interceptors
//!
//! An interceptor can neither wait nor see responses: prefer the layer. Both fit together:
//! `HealthClient::with_interceptor(service, interceptor)`, where `service` is the layer around a channel.
//!
//! If an API accepts only an interceptor, call the provider inside it:
//!
//! ```
//! use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
//!
//! use bearer_token::{Authorized, Destination, TokenProvider};
//! use tonic::{Code, Request, Status, service::Interceptor};
//!
//! #[derive(Clone)]
//! struct Bearers(TokenProvider);
//!
//! impl Interceptor for Bearers {
//!     fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
//!         // An interceptor sees no URI at all: say where its channel leads.
//!         let to = Destination::new("https", "api.example.com");
//!         let headers = request.metadata_mut().as_mut();
//!         if self.0.authorize_headers(to, headers).map_err(|error| as_status(&error))? == Authorized::NotReady {
//!             // One poll starts the fetch, or joins the one in progress. That goes on when the future is dropped.
//!             match pin!(self.0.token()).poll(&mut Context::from_waker(Waker::noop())) {
//!                 Poll::Ready(bearer) => {
//!                     bearer.map_err(|error| as_status(&error))?.attach(headers);
//!                 }
//!                 Poll::Pending => return Err(Status::unavailable("the token is being fetched; try again")),
//!             }
//!         }
//!         Ok(request)
//!     }
//! }
//!
//! // Without a source, which tonic would drop: it turns an interceptor's status into a response.
//! fn as_status(error: &bearer_token::Error) -> Status {
//!     Status::new(Code::from(error.grpc_code()), error.to_string())
//! }
//! ```
//!
//! - **Before the first call**, `provider.token().await`: so the program starts with a token, or says why not.
//! - **From then on** each call refreshes a stale token in the background. Only a call that comes after a pause longer
//!   than the token's life ends with `Unavailable`, and the next one finds a new token.
//! - **Rejections** are yours to tell. Note `provider.cached().map(|bearer| bearer.ticket())` before the call, and
//!   [`reject`](bearer_token::TokenProvider::reject) that ticket when the call ends with `Unauthenticated`, by
//!   `status.metadata().as_ref()`.
//!
//! [`Error::grpc_code`]: bearer_token::Error::grpc_code

mod body;
mod service;

pub use self::{
    body::TrailersBody,
    service::{TrailersFuture, TrailersLayer, TrailersService},
};

#[cfg(test)]
mod tests;
