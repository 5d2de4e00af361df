//! What is kept of a request until its response comes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bearer_token::{
    Destination, Rejection, Ticket,
    adapter::{self, Refusals, can_meet, is_grpc_rejection, is_rejection, tell_of_no_replay},
};
use http::{Extensions, Request, Response, Uri, Version};

use crate::hooks::Unusual;

/// What is kept of a request that carries a bearer, to reject it.
///
/// Every request moves it several times. Two words leave the future of a small response small enough to be moved
/// without a call, and usually there is nothing to drop.
pub(crate) struct Sent {
    ticket: Ticket,
    unusual: Option<Arc<Unusual>>,
}

/// A refused request, in the extensions of its response. Whatever sends the request once more says so here; otherwise
/// the observers learn that it was not sent again, once the response is dropped.
///
/// Only the policy around the layer decides, and it is not even asked about a request that it could not copy. So the
/// layer has no other moment at which it could know.
#[derive(Clone)]
pub(crate) struct Refused(Arc<Undecided>);

struct Undecided {
    ticket: Ticket,
    rejection: Rejection,
    is_sent_again: AtomicBool,
}

impl Refused {
    fn new(ticket: Ticket, rejection: Rejection) -> Self {
        Refused(Arc::new(Undecided { ticket, rejection, is_sent_again: AtomicBool::new(false) }))
    }

    /// Tells the observers, once, that the request is sent once more.
    pub(crate) fn is_sent_again(&self) {
        if !self.0.is_sent_again.swap(true, Ordering::Relaxed) {
            adapter::tell_of_replay(self.0.ticket, self.0.rejection);
        }
    }
}

impl Drop for Undecided {
    fn drop(&mut self) {
        if !*self.is_sent_again.get_mut() {
            tell_of_no_replay(self.ticket, self.rejection);
        }
    }
}

/// Tells the [observers](bearer_token::observe::Observer) of a provider that a refused request is sent once more. For
/// retry policies other than `Replay`, which tells it itself.
///
/// The extensions are those of the refused response. Without a refusal of the layer's among them, nothing is told.
///
/// ```
/// use bearer_token::Rejection;
/// use http::Response;
///
/// /// Whether a policy sends the request once more.
/// fn is_sent_again<B>(response: &Response<B>) -> bool {
///     let is_useful = response.extensions().get::<Rejection>().is_some_and(|rejection| rejection.is_replay_useful());
///     if is_useful {
///         tower_bearer::tell_of_replay(response.extensions());
///     }
///     is_useful
/// }
/// # assert!(!is_sent_again(&Response::new(())));
/// ```
pub fn tell_of_replay(extensions: &Extensions) {
    if let Some(refused) = extensions.get::<Refused>() {
        refused.is_sent_again();
    }
}

#[derive(Clone)]
pub(crate) struct Asked {
    uri: Uri,
    /// Whether to send the request twice is the same as to send it once (RFC 9110 section 9.2.2).
    idempotent: bool,
}

/// The request and the response of a client that follows redirects.
struct Journey<'a> {
    asked: &'a Asked,
    /// The URI that the response is from, if it is known.
    reached: Option<&'a Uri>,
}

impl Sent {
    #[inline]
    pub(crate) fn new(ticket: Ticket) -> Self {
        Sent { ticket, unusual: None }
    }

    #[cold]
    pub(crate) fn with_unusual<B>(ticket: Ticket, request: &Request<B>, unusual: &Arc<Unusual>) -> Self {
        let mut unusual = unusual.clone();
        if unusual.final_uri.is_some() {
            let asked = Asked { uri: request.uri().clone(), idempotent: request.method().is_idempotent() };
            unusual = Arc::new(Unusual { asked: Some(asked), ..Unusual::clone(&unusual) });
        }
        Sent { ticket, unusual: Some(unusual) }
    }

    pub(crate) fn refusals(&self) -> Refusals {
        self.unusual.as_ref().map(|unusual| unusual.refusals.clone()).unwrap_or_default()
    }

    /// Whether the response may ask for more than to be passed on, as far as two of its fields tell.
    #[inline]
    pub(crate) fn is_to_look_at<RB>(&self, response: &Response<RB>) -> bool {
        self.unusual.is_some() || response.status().is_client_error() || may_be_grpc(response)
    }

    /// Whether the response may ask for more than to be passed on.
    pub(crate) fn is_to_handle<RB>(&self, response: &Response<RB>) -> bool {
        self.unusual.is_some() || response.status().is_client_error() || Self::has_grpc_status(response)
    }

    /// Leaves the ticket where the caller finds it, if that is wanted. Rejects the bearer, if the head of the response
    /// refuses it, and says whether it does.
    #[cold]
    pub(crate) fn handle<RB>(&self, response: &mut Response<RB>) -> bool {
        let is_declared = self.unusual.as_deref().is_some_and(|unusual| {
            if unusual.exposes_ticket
                && let Some(ticket) = self.ticket_for(response)
            {
                response.extensions_mut().insert(ticket);
            }
            unusual.refusals.include(response.status(), response.headers())
        });
        let is_refused = is_declared || Self::is_refused_by(response) || can_meet(self.ticket, response.headers());
        if is_refused {
            self.reject(response);
        }
        is_refused
    }

    /// Whether the head of the response refuses the bearer by itself. There may be settings that say more.
    fn is_refused_by<RB>(response: &Response<RB>) -> bool {
        is_rejection(response.status(), response.headers())
            || (Self::has_grpc_status(response) && is_grpc_rejection(response.headers()))
    }

    /// Whether this is the response of a gRPC call without a body.
    fn has_grpc_status<RB>(response: &Response<RB>) -> bool {
        may_be_grpc(response) && response.headers().contains_key("grpc-status")
    }

    fn journey<'a, RB>(&'a self, response: &'a Response<RB>) -> Option<Journey<'a>> {
        let unusual = self.unusual.as_deref()?;
        let (asked, final_uri) = (unusual.asked.as_ref()?, unusual.final_uri?);
        Some(Journey { asked, reached: final_uri(response.extensions()) })
    }

    /// The ticket that this response may reject. `None` if the response is from another origin: it says nothing of the
    /// bearer.
    pub(crate) fn ticket_for<RB>(&self, response: &Response<RB>) -> Option<Ticket> {
        let elsewhere = self.journey(response).is_some_and(|Journey { asked, reached }| {
            reached.is_some_and(|uri| !Destination::from(uri).is_same_origin((&asked.uri).into()))
        });
        (!elsewhere).then_some(self.ticket)
    }

    /// Rejects the bearer, and leaves the outcome where `Replay` or a policy of the user's finds it. With an outcome
    /// that asks for patience comes the ticket, by which the time is waited for.
    #[cold]
    pub(crate) fn reject<RB>(&self, response: &mut Response<RB>) {
        if let Some(ticket) = self.ticket_for(response) {
            let rejection = ticket.reject(response.headers());
            // The server that redirected the request may have acted on it.
            if self.may_be_redirected(response) {
                return tell_of_no_replay(ticket, rejection);
            }
            response.extensions_mut().insert(rejection);
            response.extensions_mut().insert(Refused::new(ticket, rejection));
            if rejection == Rejection::Settling {
                response.extensions_mut().insert(ticket);
            }
        }
    }

    /// A redirect back to the URI of the request cannot be told from none, so what must not be sent twice is
    /// taken for redirected.
    fn may_be_redirected<RB>(&self, response: &Response<RB>) -> bool {
        self.journey(response)
            .is_some_and(|Journey { asked, reached }| !asked.idempotent || reached.is_some_and(|uri| *uri != asked.uri))
    }
}

/// gRPC needs HTTP/2, so other responses do not pay for a look at their headers.
#[inline]
fn may_be_grpc<RB>(response: &Response<RB>) -> bool {
    response.version() >= Version::HTTP_2
}
