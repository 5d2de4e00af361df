//! The refresh token grant.

use std::{fmt, sync::Arc};

use crate::{
    error::{Error, ErrorKind},
    oauth::{Grant, Parameters, ResponseFields},
    platform::Platform,
    secret::Secret,
    source::FetchContext,
    store::{RefreshTokenStore, StoredToken},
};

mod lease_queue;
mod rotation;
mod select;

use self::{
    rotation::{RotationState, Session},
    select::{Wanted, select, successor},
};

/// A refresh token from a store is exchanged for a token: `grant_type=refresh_token` (RFC 6749 section 6).
///
/// For access that a person has consented to once. Most servers *rotate*: their answer carries a new refresh token, and
/// the old one is used up; using it again is taken for theft, and ends the whole consent. So:
///
/// - A new refresh token is saved in the [store](RefreshTokenStore) **before** anybody gets the access token. If that
///   fails, the fetch fails; the new one stays in memory, and is saved before anything else happens at the next fetch.
///   Saving goes on by itself when the fetch runs into its deadline.
/// - A refresh token is never sent by two at a time: clones of this grant take turns, and so do processes whose store can
///   do that, as [`FileStore`](crate::store::FileStore) can. **Let providers that use one refresh token use clones of one
///   grant.**
/// - A request whose connection broke is not made again in the same fetch: the server may have seen it. The next fetch
///   sends the same refresh token, since there is no other; where the server allows such a retry, all is well. The same
///   goes for a crash before the new one was saved.
/// - An outage, a 5xx or 429 with whatever error code inside, changes nothing in the store.
/// - When the server refuses it (`invalid_grant`), the store is looked at once more, as another process may have been
///   faster. Then the refresh token counts as gone, and is not sent again for five minutes, unless
///   [`refresh_now`](crate::TokenProvider::refresh_now) asks for it. It stays in the store: servers err, too. A person
///   has to consent again; until then there can be [another source](crate::TokenSource::or_else). A new refresh token in
///   the store is found without a restart: within a second where the store [tells](RefreshTokenStore::has_changed), as those
///   of this crate do, and at the next fetch elsewhere.
///
/// The scope can only become less (RFC 6749 section 6): leave the [scope](super::TokenEndpointBuilder::scope) away to get
/// what was consented to, or ask for a part of it.
///
/// ```
/// use bearer_token::{TokenProvider, store::FileStore};
/// use bearer_token::oauth::{ClientAuth, RefreshToken, TokenEndpoint};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # #[cfg(feature = "http-transport")] {
/// let grant = RefreshToken::new(FileStore::new("/var/lib/reporting/refresh-token.json"));
/// let source = TokenEndpoint::builder("https://as.example.com/token", grant)
///     .client_auth(ClientAuth::basic("reporting", "client-secret"))
///     .build()?;
/// let provider = TokenProvider::builder(source).allow_origin("https://api.example.com").build()?;
/// # }
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Beside those of the [token endpoint](super::TokenEndpoint#errors):
///
/// | | kind | retry |
/// |---|---|---|
/// | there is no refresh token | [`Source`](ErrorKind::Source) | after a change: somebody has to consent |
/// | it is gone | [`Refused`](ErrorKind::Refused), with the server's code | after a change: somebody has to consent again |
/// | the store fails | the store's | as the store says |
#[derive(Clone)]
pub struct RefreshToken {
    keeper: Arc<RotationState>,
    initial: Option<Secret>,
    reusable: bool,
    retry_previous: bool,
}

impl RefreshToken {
    /// Exchanges what is in the store. A clone shares it, and takes turns.
    pub fn new(store: impl RefreshTokenStore) -> Self {
        RefreshToken {
            keeper: Arc::new(RotationState::new(store)),
            initial: None,
            reusable: false,
            retry_previous: false,
        }
    }

    /// A refresh token to begin with, from a configuration for example: for when the store is empty, and for when what
    /// is in the store is gone, unless that came from this one. So a new one can be configured after a new consent.
    pub fn initial(mut self, refresh_token: impl Into<String>) -> Self {
        self.initial = Some(Secret::new(refresh_token)).filter(|token| !token.expose().is_empty());
        self
    }

    /// The server takes the same refresh token again, because it does not rotate, or allows a retry: a request whose
    /// connection broke is made once more in the same fetch.
    pub fn reusable(mut self) -> Self {
        self.reusable = true;
        self
    }

    /// Keeps the refresh token before the last one in the store, and tries it when the last one is refused before it was
    /// ever taken. For servers that may forget what they have just answered, as after a failover, and still know the one
    /// before. At others this changes nothing that is not lost already, unless they refuse by mistake.
    pub fn retry_previous(mut self) -> Self {
        self.retry_previous = true;
        self
    }

    /// Puts a refresh token into the store in place of what is there: after a person has consented.
    ///
    /// Waits for a fetch in progress. A provider that is cooling down because the one before was gone finds it within a
    /// second. The platform is [`Platform::system`], usually.
    ///
    /// # Errors
    ///
    /// What the store reports.
    pub async fn replace(&self, platform: &Platform, refresh_token: impl Into<String>) -> Result<(), Error> {
        self.keeper.put(platform, Some(StoredToken::new(refresh_token))).await
    }

    /// Empties the store: after a person has signed out. It does not end anything at the server.
    ///
    /// # Errors
    ///
    /// What the store reports.
    pub async fn clear(&self, platform: &Platform) -> Result<(), Error> {
        self.keeper.put(platform, None).await
    }
}

impl Grant for RefreshToken {
    async fn parameters(&self, cx: &FetchContext) -> Result<Parameters, Error> {
        let platform = cx.platform();
        let place = self.keeper.lease(platform, cx.deadline()).await?;
        self.keeper.save_pending(platform).await?;
        let seen = self.keeper.load(platform).await?;
        let wanted =
            Wanted { stored: seen.as_ref(), initial: self.initial.as_ref(), retry_previous: self.retry_previous };
        let Some(token) = select(&wanted, |token| self.keeper.is_gone(token, cx)) else {
            return Err(self.keeper.gone(seen.is_some() || self.initial.is_some()));
        };
        if !self.reusable {
            self.keeper.prepare(platform).await?;
        }
        let token = token.clone();
        let mut parameters = Parameters::new("refresh_token").with("refresh_token", token.expose());
        parameters.extensions_mut().insert(Arc::new(Session { place, seen, token }));
        Ok(parameters)
    }

    fn is_repeatable(&self) -> bool {
        self.reusable
    }

    fn has_changed(&self) -> bool {
        self.keeper.has_changed()
    }

    fn response_fields(&self) -> &[&str] {
        &["refresh_token"]
    }

    async fn on_response(&self, cx: &FetchContext, sent: &Parameters, answer: &ResponseFields) -> Result<(), Error> {
        let Some(session) = sent.extensions().get::<Arc<Session>>() else { return Ok(()) };
        // Some servers send an empty text for "none".
        let answered = answer.text("refresh_token").filter(|token| !token.is_empty());
        let next =
            successor(session.seen.as_ref(), &session.token, self.initial.as_ref(), answered, self.retry_previous);
        RotationState::save(&self.keeper, cx.platform(), session, next).await
    }

    fn should_retry(&self, cx: &FetchContext, sent: &Parameters, error: &Error) -> bool {
        let refused = error.kind() == ErrorKind::Refused && error.oauth_code().is_some_and(|code| GONE.contains(&code));
        if let Some(session) = sent.extensions().get::<Arc<Session>>().filter(|_| refused) {
            self.keeper.note_gone(&session.token, error, cx);
        }
        // With another one, or to say that there is none.
        refused
    }
}

/// The error codes that are about the refresh token itself: RFC 6749 section 5.2, and the words of GitHub and others.
const GONE: [&str; 4] = ["invalid_grant", "bad_refresh_token", "expired_token", "invalid_token"];

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken")
            .field("initial", &self.initial)
            .field("reusable", &self.reusable)
            .field("retry_previous", &self.retry_previous)
            .finish_non_exhaustive()
    }
}
