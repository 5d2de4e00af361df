//! What is kept of a request until its response comes.

use std::sync::Arc;

use bearer_token::{
    Destination, Rejection, Ticket,
    adapter::{Refusals, RefusedRequest, can_meet, is_grpc_rejection, is_rejection, tell_of_no_replay},
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

/// Tells the [observers](bearer_token::observe::Observer) of a provider that a refused request is sent once more. For
/// retry policies of your own; `Replay` needs no such call.
///
/// The extensions are those of the refused response. If it was not refused, the call has no effect. The event comes when
/// the response is dropped.
///
/// ```
/// use bearer_token::Rejection;
/// use http::Response;
///
/// /// Whether a policy sends the request once more.
/// fn wants_replay<B>(response: &Response<B>) -> bool {
///     let is_useful = response.extensions().get::<Rejection>().is_some_and(|rejection| rejection.is_replay_useful());
///     if is_useful {
///         tower_bearer::tell_of_replay(response.extensions());
///     }
///     is_useful
/// }
/// # assert!(!wants_replay(&Response::new(())));
/// ```
pub fn tell_of_replay(extensions: &Extensions) {
    if let Some(refused) = extensions.get::<RefusedRequest>() {
        refused.set_sent_again(true);
    }
}

#[derive(Clone)]
pub(crate) struct Asked {
    uri: Uri,
    /// Whether its method is idempotent (RFC 9110 section 9.2.2).
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
            response.extensions_mut().insert(RefusedRequest::new(ticket, rejection));
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
