//! Functions that only adapters to HTTP clients call.
//!
//! An adapter puts the bearer into a request with [`TokenProvider::authorize`](crate::TokenProvider::authorize), waits
//! with [`token`](crate::TokenProvider::token) if there is none, and [attaches](crate::Bearer::attach) the result. It
//! passes a refusal by the API to [`Ticket::reject`](crate::Ticket::reject).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

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
/// `rejection` is what became of the bearer that it carried. No event follows where a replay could not succeed: with a
/// `rejection` of `Declined`.
#[cold]
pub fn tell_of_no_replay(ticket: crate::Ticket, rejection: crate::Rejection) {
    if rejection.can_replay_succeed() {
        ticket.tell(EventKind::NotReplayed { rejection });
    }
}

/// A refused request of which it is not decided yet whether it is sent once more.
///
/// An adapter puts it into the extensions of the refused response, so that what is around the adapter can decide. When
/// the last clone is dropped, the [observers](crate::observe::Observer) of the provider learn what was decided:
/// [`Replayed`](EventKind::Replayed) or, if nothing says so, [`NotReplayed`](EventKind::NotReplayed). So a replay that
/// its caller gives up, or that gets no bearer, is counted as none.
#[derive(Clone, Debug)]
pub struct RefusedRequest(Arc<Undecided>);

#[derive(Debug)]
struct Undecided {
    ticket: crate::Ticket,
    rejection: crate::Rejection,
    is_sent_again: AtomicBool,
}

impl RefusedRequest {
    /// A request with this ticket, which was refused. `rejection` is what became of its bearer.
    #[cold]
    pub fn new(ticket: crate::Ticket, rejection: crate::Rejection) -> Self {
        RefusedRequest(Arc::new(Undecided { ticket, rejection, is_sent_again: AtomicBool::new(false) }))
    }

    /// Sets whether the request is sent once more. The last call counts.
    pub fn set_sent_again(&self, is_sent_again: bool) {
        self.0.is_sent_again.store(is_sent_again, Ordering::Relaxed);
    }
}

impl Drop for Undecided {
    fn drop(&mut self) {
        if *self.is_sent_again.get_mut() {
            tell_of_replay(self.ticket, self.rejection);
        } else {
            tell_of_no_replay(self.ticket, self.rejection);
        }
    }
}
