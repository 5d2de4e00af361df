//! What happens to the head of a request.
//!
//! The warm path is `insert_fresh`, and fits on one screen on purpose. It reads the clock and a front of the slot, and
//! writes one header; the origin was compared before. If anything is not as usual, it does nothing, and the other
//! functions here start from the beginning. Unusual are other spellings of an origin, requests that get no token, a
//! header of the caller's, a stale bearer, events, counting.
//!
//! # The order of the questions
//!
//! 1. Is the origin allowed, as it is spelled? (a comparison of bytes)
//! 2. If not: is it allowed in another spelling, or what becomes of the request? (`judge`)
//! 3. Does the head have several values of our header? Then the caller set it, and it goes out untouched.
//! 4. Is there a bearer that has not expired? Insert it; if it replaced a value of the caller's, put that back.
//! 5. Is it stale, and is the gate open? Then this request starts the refresh, after it was served.

use std::{fmt, sync::Arc};

use http::{HeaderMap, header::AUTHORIZATION};

use super::{Inner, Ticket};
use crate::{
    error::{Error, ErrorKind},
    observe::{CacheRead, EventKind, Text},
    platform::Moment,
    provider::{
        cache::{Cache, Copied, Inserted},
        schedule::Freshness,
    },
    resource::{injection::has_several_of, origin::Destination, origins::OriginVerdict, repetition::repeats},
};

/// What [`authorize`](crate::TokenProvider::authorize) did with a request.
///
/// An adapter has one arm for each:
///
/// ```
/// use bearer_token::{Authorized, Error, Ticket, TokenProvider};
///
/// /// Makes a request ready to be sent. The ticket, if there is one, belongs to its response.
/// async fn prepare(provider: &TokenProvider, request: &mut http::Request<()>) -> Result<Option<Ticket>, Error> {
///     Ok(match provider.authorize(request)? {
///         Authorized::Inserted(ticket) => Some(ticket),
///         Authorized::NotReady => provider.token().await?.attach(request.headers_mut()),
///         // It goes out as it is, so a 401 says nothing about our token.
///         _ => None,
///     })
/// }
/// # let _ = prepare;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Authorized {
    /// The request carries the bearer of this ticket.
    Inserted(Ticket),
    /// There is no usable bearer. Wait for [`token`](crate::TokenProvider::token), then
    /// [attach](crate::Bearer::attach) the bearer that it returns. Do not call `authorize` again: it never finds a
    /// bearer that is too short-lived to be kept.
    NotReady,
    /// The request goes out as it is. Either the caller set the `Authorization` header (or the one that
    /// [`Sending`](crate::Sending) names), or the request's origin gets no token.
    Passed,
}

impl Inner {
    /// Inserts the bearer in service if it is fresh, and if nothing else is to be decided.
    #[inline]
    pub(super) fn insert_fresh(&self, headers: &mut HeaderMap) -> Option<Ticket> {
        if has_several_of(&AUTHORIZATION, headers) { None } else { self.cache.insert_fresh(headers, self.clock.now()) }
    }

    /// Inserts the bearer in service.
    #[inline]
    pub(super) fn insert(self: &Arc<Self>, headers: &mut HeaderMap) -> Authorized {
        let (authorized, stale_at) = self.insert_only(headers, Cache::insert);
        if let Some(now) = stale_at {
            self.refresh(now);
        }
        authorized
    }

    /// Inserts the bearer in service, from a copy if there is one, and says if a refresh is due.
    #[inline]
    pub(super) fn insert_copied(
        &self,
        headers: &mut HeaderMap,
        copied: Option<&mut Copied>,
    ) -> (Authorized, Option<Moment>) {
        match copied {
            Some(copied) => self.insert_only(headers, |cache, headers, now| cache.insert_from(copied, headers, now)),
            None => self.insert_only(headers, Cache::insert),
        }
    }

    /// Inserts the bearer in service, and says if a refresh is due.
    #[inline]
    fn insert_only(
        &self,
        headers: &mut HeaderMap,
        insert: impl FnOnce(&Cache, &mut HeaderMap, Moment) -> Option<Inserted>,
    ) -> (Authorized, Option<Moment>) {
        if has_several_of(self.form.name(), headers) {
            return (Authorized::Passed, None);
        }
        let now = self.clock.now();
        let (ticket, freshness) = match insert(&self.cache, headers, now) {
            Some((ticket, freshness, true)) => (ticket, freshness),
            Some((_, _, false)) => return (Authorized::Passed, None),
            None if self.has_its_own(headers) => return (Authorized::Passed, None),
            None => return (Authorized::NotReady, None),
        };
        let is_due = freshness == Freshness::Stale && self.cache.wants_refresh(now);
        (Authorized::Inserted(ticket), is_due.then_some(now))
    }

    /// Whether the caller has set a credential, which goes out untouched.
    fn has_its_own(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(self.form.name())
    }

    /// Judges where a request goes. If it gets no token, returns what becomes of it: it goes out as it is, or not at
    /// all. A credential that the caller set is left untouched for every destination.
    #[inline]
    pub(super) fn without_token_for(
        &self,
        to: Destination<'_>,
        headers: &HeaderMap,
    ) -> Option<Result<Authorized, Error>> {
        if self.origins.allow_as_spelled(to) { None } else { self.judge(to, headers) }
    }

    #[cold]
    fn judge(&self, to: Destination<'_>, headers: &HeaderMap) -> Option<Result<Authorized, Error>> {
        let verdict = match &self.counted {
            None => self.origins.judge(to),
            Some(origins) if origins.allow_as_spelled(to) => OriginVerdict::Authorize,
            Some(origins) => origins.judge(to),
        };
        match verdict {
            OriginVerdict::Authorize => {
                if self.counted.is_some() && !self.has_its_own(headers) {
                    self.count_read();
                }
                return None;
            }
            OriginVerdict::Refuse(error) if !self.has_its_own(headers) => {
                let error = self.without_token(error).with_provider(&self.name);
                self.observers.tell(EventKind::RequestRefused { error: &error });
                return Some(Err(error));
            }
            OriginVerdict::Pass if self.observers.is_on() && !self.has_its_own(headers) => self.tell_of_passing(to),
            OriginVerdict::Pass | OriginVerdict::Refuse(_) => {}
        }
        Some(Ok(Authorized::Passed))
    }

    /// Tells what this request finds in the cache, for observers that count reads.
    fn count_read(&self) {
        let now = self.platform.now();
        let freshness = self.cache.read(|bearer| bearer.map(|bearer| bearer.deadlines.freshness(now)));
        let state = match freshness {
            Some(Freshness::Fresh) => CacheRead::Fresh,
            Some(Freshness::Stale) => CacheRead::Stale,
            Some(Freshness::Expired) | None => CacheRead::Missing,
        };
        self.observers.tell(EventKind::CacheRead { state });
    }

    /// Tells that a request goes out without a token, and whether it is the first one to its origin.
    fn tell_of_passing(&self, to: Destination<'_>) {
        // A CONNECT request has no origin. The request inside the tunnel is a separate one.
        let Some(origin) = to.origin() else { return };
        let is_first = self.passed.is_first(&origin);
        let shown = Shown { text: &origin, provider: self };
        self.observers.tell(EventKind::SentWithoutToken { origin: Text(&shown), is_first });
    }

    /// The error, unless it repeats the token. A redirect can point to a host whose name contains the token, and advice
    /// to allow that host would send the token there.
    fn without_token(&self, error: Error) -> Error {
        if !self.repeats_token(&error) {
            return error;
        }
        Error::new(
            ErrorKind::Origin,
            "the request goes to an origin that is not allowed, and whose name contains a part of the token, as after \
             a hostile redirect; expected an allowed origin: check where the URL is from",
        )
    }

    /// Whether a text has a part of any token that a request may carry now.
    fn repeats_token(&self, text: &dyn fmt::Display) -> bool {
        let text = text.to_string();
        let bearers = self.cache.known_bearers();
        bearers.iter().any(|bearer| bearer.secrets().any(|secret| repeats(&text, secret)))
    }
}

/// An origin for people to read, unless it repeats the token.
struct Shown<'a> {
    text: &'a dyn fmt::Display,
    provider: &'a Inner,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.provider.repeats_token(self.text) {
            return f.write_str("[withheld: it contains a part of the token]");
        }
        self.text.fmt(f)
    }
}
