//! A minted token made ready to send.
//!
//! Sealing does once, when a token arrives, what each request would have to do otherwise. It checks the characters, and
//! makes the header value, the deadlines, and the number by which the token is rejected. What a request reads of it is
//! three words and a pointer.
//!
//! A bearer is immutable. If a source returns the same token with a later expiry, a new value replaces it, with the
//! same generation. A rejection of one is a rejection of the other.

use std::{
    collections::BTreeMap,
    fmt,
    mem::offset_of,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    platform::Moment,
    provider::{
        schedule::Deadlines,
        ticket::{Generation, ProviderId, Ticket},
    },
    resource::injection::Credential,
    token::{AccessToken, Adopted, LastToken, Recorded},
};

/// A minted token made ready to send: the header value, its expiry, and further members of the response.
///
/// A clone shares everything. `Debug` shows neither the token nor what a server said beside it.
///
/// ```
/// use bearer_token::{AccessToken, FetchContext, TokenProvider};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
/// let provider = TokenProvider::builder(async |_cx: FetchContext| {
///     let token = AccessToken::new("2YotnFZFEjr1zCsicMWpAA").expires_in(Duration::from_secs(3600));
///     Ok(token.scope("orders:read").extra("instance_url", "https://eu.example.com"))
/// })
/// .build()?;
/// let bearer = provider.token().await?;
/// assert_eq!(bearer.header_value(), "Bearer 2YotnFZFEjr1zCsicMWpAA");
/// assert!(bearer.header_value().is_sensitive());
/// assert_eq!(bearer.scope(), Some("orders:read"));
/// assert_eq!(bearer.extra("instance_url"), Some("https://eu.example.com"));
/// assert!(!format!("{bearer:?}").contains("2YotnFZFEjr1zCsicMWpAA"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Bearer(Arc<Sealed>);

/// The one shared value behind every clone of a bearer; what the cache keeps.
///
/// What a warm request reads is in the first cache line. With many tenants, each line is a miss.
#[repr(C, align(64))]
pub(crate) struct Sealed {
    pub(crate) credential: Credential,
    pub(crate) ticket: Ticket,
    pub(crate) deadlines: Deadlines,
    /// When its fetch ended.
    arrived: Moment,
    /// The time from which a refusal by the API counts as a rejection: see [`Sending::settle`](crate::Sending::settle).
    settled: Moment,
    /// Its place in a record, if replicas share it.
    recorded: Option<Recorded>,
    /// Whether another replica had fetched it.
    adopted: Option<Adopted>,
    scope: Option<String>,
    extras: BTreeMap<String, String>,
}

// Up to the deadline for the refresh.
const _: () = assert!(offset_of!(Sealed, deadlines) + size_of::<Moment>() <= 64);

impl Bearer {
    /// Makes a token ready to send.
    pub(crate) fn seal(
        token: AccessToken,
        credential: Credential,
        provider: ProviderId,
        deadlines: Deadlines,
        arrived: Moment,
        settling_time: Duration,
    ) -> Self {
        let ticket = Ticket::new(provider, Generation::next());
        let inherited = token.inherited();
        let recorded = inherited.and_then(|inherited| inherited.recorded.clone());
        let adopted = inherited.and_then(|inherited| inherited.adopted);
        let (scope, extras) = token.into_details();
        let settled = arrived.after(settling_time);
        Bearer(Arc::new(Sealed { credential, deadlines, ticket, arrived, settled, recorded, adopted, scope, extras }))
    }

    /// The same bearer with the deadlines of another one, its fixed headers, and its place in a record. Used when the
    /// source returned the same token again.
    pub(crate) fn extended(&self, again: &Bearer) -> Self {
        self.with(again, *again.deadlines(), again.arrived())
    }

    /// The same bearer with the fixed headers of another one, which has the same token, and with its place in a record.
    pub(crate) fn with_headers_and_record_of(&self, again: &Bearer) -> Self {
        self.with(again, *self.deadlines(), self.arrived())
    }

    /// The same bearer with a copy of its headers for each group of threads, if it has only one yet.
    pub(crate) fn shared_out(&self) -> Option<Self> {
        let Sealed { credential, ticket, deadlines, arrived, settled, recorded, adopted, scope, extras } = &*self.0;
        let single = Some(credential).filter(|credential| credential.is_single())?;
        // The header was legal before.
        let credential = single.shared_out().ok()?;
        let (ticket, deadlines, arrived, settled) = (*ticket, *deadlines, *arrived, *settled);
        let (recorded, adopted, scope, extras) = (recorded.clone(), *adopted, scope.clone(), extras.clone());
        Some(Bearer(Arc::new(Sealed {
            credential,
            ticket,
            deadlines,
            arrived,
            settled,
            recorded,
            adopted,
            scope,
            extras,
        })))
    }

    /// The same token, scope and extras with other parts. The ticket stays, and so does the time at which it settled.
    fn with(&self, again: &Bearer, deadlines: Deadlines, arrived: Moment) -> Self {
        let Sealed { ticket, settled, scope, extras, .. } = &*self.0;
        let (ticket, settled, scope, extras) = (*ticket, *settled, scope.clone(), extras.clone());
        let (credential, recorded, adopted) = (again.0.credential.clone(), again.0.recorded.clone(), again.0.adopted);
        Bearer(Arc::new(Sealed { credential, deadlines, ticket, arrived, settled, recorded, adopted, scope, extras }))
    }

    /// What a source may know of it.
    pub(crate) fn as_last(&self) -> LastToken {
        LastToken::new(self.0.recorded.clone(), self.deadlines().expires)
    }

    /// What is known of it if no token request was made for it.
    pub(crate) fn adopted(&self) -> Option<Adopted> {
        self.0.adopted
    }

    pub(crate) fn from_sealed(sealed: Arc<Sealed>) -> Self {
        Bearer(sealed)
    }

    pub(crate) fn sealed(&self) -> Arc<Sealed> {
        self.0.clone()
    }

    /// Inserts the bearer into the head of a request that [waited](crate::TokenProvider::token) for it.
    ///
    /// Returns the ticket that can [reject](Ticket::reject) the bearer. Returns `None`, and changes nothing, if the
    /// caller already set that header. This method does not check the request's origin. Call
    /// [`authorize`](crate::TokenProvider::authorize) first, which does.
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

    /// All headers that the bearer consists of: the one that contains the token, and the fixed ones of
    /// [`Sending`](crate::Sending). All are marked sensitive. For clients whose requests are not `http`'s.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let fixed = self.0.credential.fixed().iter().map(|(name, value)| (name, value));
        std::iter::once((self.header_name(), self.header_value())).chain(fixed)
    }

    /// The name of the header that contains the token: `authorization`, unless [`Sending`](crate::Sending) says
    /// otherwise.
    pub fn header_name(&self) -> &HeaderName {
        self.0.credential.name()
    }

    /// The value of that header: the scheme and the token (RFC 6750 section 2.1). It is marked sensitive.
    pub fn header_value(&self) -> &HeaderValue {
        self.0.credential.value()
    }

    /// The token itself, without its scheme. Handle with care.
    pub fn secret(&self) -> &str {
        self.0.credential.secret()
    }

    /// The time of day at which the token expires, if it is known. The token is not sent in its last seconds.
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

    /// The strings that no message may repeat: the token, and fixed headers that may be secrets.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.credential.secrets()
    }

    /// Whether the API has had the time to learn of the token.
    pub(crate) fn is_settled(&self, now: Moment) -> bool {
        self.0.settled.is_past(now)
    }

    /// Whether both have the same fixed headers and the same place in a record.
    pub(crate) fn has_headers_and_record_of(&self, other: &Bearer) -> bool {
        self.0.credential.fixed() == other.0.credential.fixed() && self.0.recorded == other.0.recorded
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
