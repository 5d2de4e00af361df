//! The settings of a layer.

use std::sync::Arc;

use bearer_token::{
    Error, Ticket,
    adapter::{Authorize, Refusals},
};
use http::{Extensions, Request, Uri};

use crate::{
    BoxError,
    sent::{Asked, Sent},
};

/// The URI that a response is from, if its extensions contain it.
pub(crate) type FinalUri = fn(&Extensions) -> Option<&Uri>;

/// What callers are shown for a token error.
pub(crate) type MapError = fn(Error) -> BoxError;

/// What the user has set.
#[derive(Clone)]
pub(crate) struct Hooks {
    pub(crate) map_error: MapError,
    /// Nothing for most users: then a request compares one word, and keeps a word that is zero.
    unusual: Option<Arc<Unusual>>,
}

/// The settings that differ from the usual ones, and with them what a request keeps because of them.
#[derive(Clone, Default)]
pub(crate) struct Unusual {
    pub(crate) refusals: Refusals,
    pub(crate) exposes_ticket: bool,
    pub(crate) final_uri: Option<FinalUri>,
    /// What was asked for. Only of a request whose redirects are followed below.
    pub(crate) asked: Option<Asked>,
}

impl Hooks {
    pub(crate) fn new(refusals: Refusals) -> Self {
        let unusual = (!refusals.are_usual()).then(|| Unusual { refusals, ..Unusual::default() });
        Hooks { map_error: BoxError::from, unusual: unusual.map(Arc::new) }
    }

    /// Whether nothing but the ticket is kept of a request.
    #[inline]
    pub(crate) fn are_usual(&self) -> bool {
        self.unusual.is_none()
    }

    pub(crate) fn unusual_mut(&mut self) -> &mut Unusual {
        Arc::make_mut(self.unusual.get_or_insert_default())
    }

    /// What is to be kept of a request that carries a bearer of this provider.
    ///
    /// # Errors
    ///
    /// If the request must not be sent: a layer below follows redirects, and would take the token along to another
    /// origin. Such layers remove `Authorization` there, but no other header.
    #[inline]
    pub(crate) fn sent<B>(
        &self,
        ticket: Ticket,
        request: &Request<B>,
        provider: &impl Authorize,
    ) -> Result<Sent, Error> {
        let Some(unusual) = &self.unusual else { return Ok(Sent::new(ticket)) };
        if unusual.final_uri.is_some() && !provider.sends_only_authorization() {
            return Err(leaking_redirects());
        }
        Ok(Sent::with_unusual(ticket, request, unusual))
    }
}

#[cold]
fn leaking_redirects() -> Error {
    Error::config(
        "the token is sent in other headers than `authorization`, and `final_uri` says that redirects are followed \
         below the BearerLayer: they would take these headers along to other origins; put the redirect layer around \
         the BearerLayer, and remove `final_uri`",
        [],
    )
}
