//! Functions that only adapters to HTTP clients call.
//!
//! An adapter puts the bearer into a request with [`TokenProvider::authorize`](crate::TokenProvider::authorize), waits
//! with [`token`](crate::TokenProvider::token) if there is none, and [attaches](crate::Bearer::attach) the result. It
//! passes a refusal by the API to [`Ticket::reject`](crate::Ticket::reject).

use crate::observe::EventKind;
pub use crate::provider::{Authorize, ClientRequest};
pub use crate::resource::refusals::{Refusals, is_grpc_rejection, is_rejection};
#[cfg(any(feature = "http-transport", feature = "tower"))]
pub use crate::transport::body::read_response;
pub use crate::transport::cause::client_error;

/// Whether a response asks for another token that the source of the ticket can get, although it does not refuse this
/// one. An example is `insufficient_scope`, if the source [steps up](crate::oauth::StepUp)
/// ([`ChallengeTest`](crate::ChallengeTest)).
///
/// An adapter asks for a response with a status of 4xx that is not a refusal, and for gRPC trailers. If the answer is
/// `true`, it passes the response to [`Ticket::reject`](crate::Ticket::reject), as a refusal.
#[cold]
pub fn can_meet(ticket: crate::Ticket, headers_or_trailers: &http::HeaderMap) -> bool {
    ticket.can_meet(headers_or_trailers)
}

/// Tells the [observers](crate::observe::Observer) of a provider that a refused request is sent once more. `rejection`
/// is what became of the bearer that it carried.
pub fn tell_of_replay(ticket: crate::Ticket, rejection: crate::Rejection) {
    ticket.tell(EventKind::Replayed { rejection });
}

/// Tells the [observers](crate::observe::Observer) of a provider that a refused request is not sent once more.
/// `rejection` is what became of the bearer that it carried. If sending it again could not go better, nothing is told.
#[cold]
pub fn tell_of_no_replay(ticket: crate::Ticket, rejection: crate::Rejection) {
    if rejection.may_go_better() {
        ticket.tell(EventKind::NotReplayed { rejection });
    }
}
