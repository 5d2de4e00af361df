//! For adapters to clients: what they call and applications do not.
//!
//! An adapter puts the bearer into a request with [`TokenProvider::authorize`](crate::TokenProvider::authorize), waits
//! with [`token`](crate::TokenProvider::token) where there is none, and [attaches](crate::Bearer::attach) what it gets.
//! It passes a refusal by the API to [`Ticket::reject`](crate::Ticket::reject).

pub use crate::provider::Authorize;
pub use crate::resource::refusals::{Refusals, is_grpc_rejection, is_rejection};
#[cfg(any(feature = "http-transport", feature = "tower"))]
pub use crate::transport::body::read_response;
pub use crate::transport::cause::client_error;
