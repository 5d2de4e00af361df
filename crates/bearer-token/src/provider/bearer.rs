//! A minted token made ready to send.

use std::{collections::BTreeMap, fmt, sync::Arc, time::SystemTime};

use http::{HeaderMap, HeaderValue};

use crate::{
    error::Error,
    platform::Moment,
    provider::{
        schedule::Deadlines,
        ticket::{Generation, ProviderId, Ticket},
    },
    resource::injection::Credential,
    token::AccessToken,
};

/// A minted token made ready to send: the header value, its expiry, and further members of the response.
///
/// A clone shares everything. `Debug` shows neither the token nor what a server said beside it.
#[derive(Clone)]
pub struct Bearer(Arc<Sealed>);

/// The one shared value behind every clone of a bearer; what the cache keeps.
pub(crate) struct Sealed {
    pub(crate) credential: Credential,
    pub(crate) deadlines: Deadlines,
    pub(crate) ticket: Ticket,
    /// When its fetch ended.
    arrived: Moment,
    scope: Option<String>,
    extras: BTreeMap<String, String>,
}

impl Bearer {
    /// Makes a token ready to send, or says why it cannot be sent.
    pub(crate) fn seal(
        token: AccessToken,
        provider: ProviderId,
        deadlines: Deadlines,
        arrived: Moment,
    ) -> Result<Self, Error> {
        let credential = Credential::bearer(token.secret())?;
        let ticket = Ticket::new(provider, Generation::next());
        let (scope, extras) = token.into_details();
        Ok(Bearer(Arc::new(Sealed { credential, deadlines, ticket, arrived, scope, extras })))
    }

    /// The same bearer with the deadlines of another: its source gave the same token again.
    pub(crate) fn extended(&self, again: &Bearer) -> Self {
        let Sealed { credential, ticket, scope, extras, .. } = &*self.0;
        Bearer(Arc::new(Sealed {
            credential: credential.clone(),
            deadlines: *again.deadlines(),
            ticket: *ticket,
            arrived: again.arrived(),
            scope: scope.clone(),
            extras: extras.clone(),
        }))
    }

    pub(crate) fn from_sealed(sealed: Arc<Sealed>) -> Self {
        Bearer(sealed)
    }

    pub(crate) fn sealed(&self) -> Arc<Sealed> {
        self.0.clone()
    }

    /// Inserts the bearer into the head of a request: for a request that [waited](crate::TokenProvider::token) for it.
    ///
    /// Returns the ticket to [reject](Ticket::reject) it with, or `None` if the caller set the header, which is left as
    /// it was. Whether the token may go to the request's origin is not asked here:
    /// [`authorize`](crate::TokenProvider::authorize) comes first.
    ///
    /// ```
    /// # use bearer_token::{Authorized, Error, TokenProvider};
    /// # async fn example(provider: TokenProvider, mut request: http::Request<()>) -> Result<(), Error> {
    /// let ticket = match provider.authorize(&mut request)? {
    ///     Authorized::Inserted(ticket) => Some(ticket),
    ///     Authorized::NotReady => provider.token().await?.attach(request.headers_mut()),
    ///     _ => None,
    /// };
    /// # let _ = ticket; Ok(()) }
    /// ```
    pub fn attach(&self, headers: &mut HeaderMap) -> Option<Ticket> {
        self.0.credential.attach(headers).then_some(self.0.ticket)
    }

    /// The value for the `Authorization` header (RFC 6750 section 2.1), marked sensitive.
    pub fn header_value(&self) -> &HeaderValue {
        self.0.credential.value()
    }

    /// The token itself, without its scheme. Handle with care.
    pub fn secret(&self) -> &str {
        self.0.credential.secret()
    }

    /// When the token expires by the time of day, as far as it is known. It is not sent in its very last seconds.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.deadlines.expires.map(Moment::wall)
    }

    /// The scope that was granted, if the response names it (RFC 6749 section 5.1).
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// A further member of the response that the source was told to keep.
    pub fn extra(&self, name: &str) -> Option<&str> {
        self.0.extras.get(name).map(String::as_str)
    }

    /// What a sent request keeps of this bearer, to reject it later.
    pub fn ticket(&self) -> Ticket {
        self.0.ticket
    }

    pub(crate) fn generation(&self) -> Generation {
        self.0.ticket.generation()
    }

    pub(crate) fn deadlines(&self) -> &Deadlines {
        &self.0.deadlines
    }

    pub(crate) fn arrived(&self) -> Moment {
        self.0.arrived
    }

    /// Whether both carry the same token.
    pub(crate) fn same_token(&self, other: &Bearer) -> bool {
        self.header_value().as_bytes() == other.header_value().as_bytes()
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer")
            .field("token", &"[redacted]")
            .field("ticket", &self.0.ticket)
            .field("expires_at", &self.expires_at())
            // What the server said beside it, scope and extras, may hold anything.
            .finish_non_exhaustive()
    }
}
