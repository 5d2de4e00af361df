//! What becomes of one request: it is authorized, sent, judged by its response, and perhaps sent once more.

use std::sync::atomic::Ordering;

use bearer_token::{
    Authorized, Destination, Error, Rejection, RequestHead, Ticket, TokenProvider,
    adapter::{Authorize, ClientRequest, RefusedRequest, can_meet, tell_of_no_replay},
};
use http::{Extensions, HeaderMap, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::Next;

use crate::{
    BearerError, BearerMiddleware,
    asked::{Asked, Reached},
    future::{Boxed, Redirects, Sent, authorize_with},
};

/// What was found for a request.
pub(crate) enum Found {
    /// The bearer of this ticket was inserted. Without one the request goes out as it is.
    Ready(Option<Ticket>),
    /// The request has to wait for the token of this provider.
    Waits(TokenProvider),
}

impl<P: Authorize> BearerMiddleware<P> {
    /// Authorizes a request, if there is a token.
    pub(crate) fn authorize(&self, request: &mut Request, extensions: &Extensions) -> Result<Found, Error> {
        let mut outgoing = Outgoing { request, extensions };
        Ok(match self.provider.authorize_client(&mut outgoing)? {
            Authorized::Inserted(ticket) => Found::Ready(Some(ticket)),
            // Without a provider, the selector chooses differently now.
            Authorized::NotReady => self.provider.provider(outgoing.head())?.map_or(Found::Ready(None), Found::Waits),
            // `Passed`, and what may be added to it.
            _ => Found::Ready(None),
        })
    }

    /// Sends an authorized request. If its bearer is refused, it is rejected, and the outcome noted in the response.
    ///
    /// # Errors
    ///
    /// If the request must not be sent, because a redirect would take its headers along to another origin.
    #[inline]
    pub(crate) fn send<'a>(
        &'a self,
        request: Request,
        ticket: Ticket,
        extensions: &'a mut Extensions,
        next: Next<'a>,
    ) -> reqwest_middleware::Result<Sent<'a, P>> {
        let is_bound = !self.provider.sends_only_authorization();
        let redirects = if self.watches.load(Ordering::Relaxed) {
            Redirects::Watched { is_bound, noted: false }
        } else if is_bound {
            return Err(BearerError::not_sent(unwatched()));
        } else {
            Redirects::Unwatched
        };
        let asked = Asked::of(&request);
        Ok(Sent { middleware: self, response: next.run(request, extensions), ticket, asked, redirects })
    }

    /// Whether a response with this status may refuse its bearer, or has to be given its ticket.
    #[inline]
    pub(crate) fn is_to_look_at(&self, status: StatusCode) -> bool {
        status.is_client_error() || self.exposes_ticket || !self.refusals.are_usual()
    }

    /// Looks at a response closely. `may_be_redirected` is what is known of redirects beside its URL.
    #[cold]
    pub(crate) fn look(&self, response: &mut Response, ticket: Ticket, asked: Asked, may_be_redirected: bool) {
        let (status, headers) = (response.status(), response.headers());
        let is_refused =
            self.refusals.include(status, headers) || (status.is_client_error() && can_meet(ticket, headers));
        if is_refused || self.exposes_ticket {
            self.judge(response, is_refused, ticket, asked, may_be_redirected);
        }
    }

    /// Leaves the ticket in the response, if that is wanted. Rejects a refused bearer and leaves the outcome there too.
    fn judge(&self, response: &mut Response, is_refused: bool, ticket: Ticket, asked: Asked, may_be_redirected: bool) {
        let from = asked.compare(response.url());
        if from == Reached::OtherOrigin {
            // It says nothing about the bearer.
            return;
        }
        if self.exposes_ticket {
            response.extensions_mut().insert(ticket);
        }
        if is_refused {
            let rejection = ticket.reject(response.headers());
            // The server that redirected the request may have acted on it.
            if may_be_redirected || from == Reached::SameOrigin {
                return tell_of_no_replay(ticket, rejection);
            }
            response.extensions_mut().insert(rejection);
            response.extensions_mut().insert(RefusedRequest::new(ticket, rejection));
        }
    }

    /// Sends a request, and sends it once more if the replay can succeed.
    pub(crate) fn send_twice<'a>(
        &'a self,
        mut request: Request,
        extensions: &'a mut Extensions,
        next: Next<'a>,
    ) -> Boxed<'a> {
        Box::pin(async move {
            // Without the bearer's headers, whichever these are. What is rare is in boxes: a large future takes several
            // times as long as a small one.
            let spare = request.try_clone().map(Box::new);
            let ticket = match self.authorize(&mut request, extensions).map_err(BearerError::not_sent)? {
                Found::Ready(ticket) => ticket,
                Found::Waits(provider) => {
                    Box::pin(authorize_cold(provider, &mut request, extensions)).await.map_err(BearerError::not_sent)?
                }
            };
            let Some(ticket) = ticket else { return next.run(request, extensions).await };
            let response = self.send(request, ticket, extensions, next.clone())?.await?;
            let found = response.extensions();
            let (Some(&rejection), Some(refused)) = (found.get::<Rejection>(), found.get::<RefusedRequest>().cloned())
            else {
                return Ok(response);
            };
            let is_settling = rejection == Rejection::Settling;
            let is_useful = is_settling || rejection.is_replay_useful();
            let Some(replay) = spare.filter(|_| is_useful) else { return Ok(response) };

            // What waits holds no connection meanwhile.
            drop(response);
            if is_settling {
                Box::pin(ticket.settled()).await;
            }
            Box::pin(self.replay(*replay, refused, extensions, next)).await
        })
    }

    /// Sends a refused request once more. If it gets no bearer, or its caller leaves, it is not sent, and the observers
    /// learn that.
    async fn replay(
        &self,
        mut replay: Request,
        refused: RefusedRequest,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let ticket = match self.authorize(&mut replay, extensions).map_err(BearerError::not_replayed)? {
            Found::Ready(ticket) => ticket,
            Found::Waits(provider) => {
                authorize_cold(provider, &mut replay, extensions).await.map_err(BearerError::not_replayed)?
            }
        };
        refused.set_sent_again(true);
        drop(refused);
        match ticket {
            Some(ticket) => self.send(replay, ticket, extensions, next)?.await,
            None => next.run(replay, extensions).await,
        }
    }
}

/// Waits for the provider's token, and authorizes the request.
async fn authorize_cold(
    provider: TokenProvider,
    request: &mut Request,
    extensions: &Extensions,
) -> Result<Option<Ticket>, Error> {
    let bearer = provider.token().await?;
    authorize_with(&bearer, &provider, request, extensions)
}

/// Tells the [observers](bearer_token::observe::Observer) of a provider that a refused request is sent once more. For
/// middlewares of your own around a [`BearerMiddleware`]; its own replays need no such call.
///
/// The extensions are those of the refused response. If it was not refused, the call has no effect. The event comes when
/// the response is dropped.
///
/// ```
/// use bearer_token::Rejection;
/// use reqwest::Response;
///
/// /// Whether a middleware sends the request once more.
/// fn wants_replay(response: &Response) -> bool {
///     let is_useful = response.extensions().get::<Rejection>().is_some_and(|rejection| rejection.is_replay_useful());
///     if is_useful {
///         reqwest_bearer::tell_of_replay(response.extensions());
///     }
///     is_useful
/// }
/// # assert!(!wants_replay(&http::Response::new("").into()));
/// ```
pub fn tell_of_replay(extensions: &Extensions) {
    if let Some(refused) = extensions.get::<RefusedRequest>() {
        refused.set_sent_again(true);
    }
}

/// A request of reqwest with the extensions of the middlewares.
pub(crate) struct Outgoing<'a> {
    pub(crate) request: &'a mut Request,
    pub(crate) extensions: &'a Extensions,
}

impl ClientRequest for Outgoing<'_> {
    fn head(&self) -> RequestHead<'_> {
        let url = self.request.url();
        RequestHead::new(self.request.method(), self.request.headers(), self.extensions).url(
            url.scheme(),
            url.authority(),
            url.path(),
            url.query(),
        )
    }

    #[inline]
    fn destination(&self) -> Destination<'_> {
        let url = self.request.url();
        Destination::new(url.scheme(), url.authority())
    }

    #[inline]
    fn url(&self) -> Option<&str> {
        Some(self.request.url().as_str())
    }

    #[inline]
    fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    #[inline]
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.request.headers_mut()
    }
}

fn unwatched() -> Error {
    Error::config(
        "the token is sent in other headers than `authorization`, which reqwest takes along to other origins at a \
         redirect; expected a client whose redirects are watched: build it with \
         `.redirect(bearer.watch_redirects(reqwest_bearer::redirect_policy()))`, where `bearer` is the \
         BearerMiddleware",
        [],
    )
}
