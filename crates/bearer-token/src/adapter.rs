//! Functions that only adapters to HTTP clients call.
//!
//! An adapter puts the bearer into a request with [`TokenProvider::authorize`](crate::TokenProvider::authorize), waits
//! with [`token`](crate::TokenProvider::token) if there is none, and [attaches](crate::Bearer::attach) the result. It
//! passes a refusal by the API to [`Ticket::reject`](crate::Ticket::reject).

pub use crate::provider::{Authorize, ClientRequest};
pub use crate::resource::refusals::{Refusals, is_grpc_rejection, is_rejection};
#[cfg(any(feature = "http-transport", feature = "tower"))]
pub use crate::transport::body::read_response;
pub use crate::transport::cause::client_error;

/// Tells the [observers](crate::observe::Observer) of a provider that a refused request is sent once more. `rejection` is
/// what became of the bearer that it carried.
pub fn tell_of_replay(ticket: crate::Ticket, rejection: crate::Rejection) {
    ticket.replays(rejection);
}
