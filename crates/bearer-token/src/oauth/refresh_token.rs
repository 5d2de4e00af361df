//! The refresh token grant.
//!
//! A rotating refresh token is the most fragile credential there is: each use destroys it and creates the next one. If
//! the successor is lost, a person has to sign in again. So this grant is mostly about order. Each line must be done
//! before the next begins:
//!
//! ```text
//! 1  take the lease among the clones, then the store's      no two fetches send one token
//! 2  save a successor that an earlier fetch could not save  nothing newer is lost
//! 3  load, and select a token that is not known to be gone
//! 4  ask the store whether it could save                    before the token is used up
//! 5  send                                                   the token is used up from here on
//! 6  keep the successor in memory, before the first await   survives a dropped fetch
//! 7  save it, in a task of its own                          survives the fetch's deadline
//! 8  release both leases, then give out the access token
//! ```
//!
//! | file | what it has |
//! |---|---|
//! | `rotation.rs` | the state that clones share, and every call of the store |
//! | `select.rs` | which token to send and which to store: pure functions |
//! | `verdict.rs` | what a refusal says about the token: a table |

use std::{fmt, sync::Arc};

use crate::{
    error::Error,
    oauth::{Grant, Parameters, ResponseFields},
    platform::Platform,
    problem::Problem,
    secret::Secret,
    source::FetchContext,
    store::{RefreshTokenStore, StoredToken},
};

mod rotation;
mod select;
mod turns;
mod verdict;

pub(super) use self::rotation::Session;

use self::{
    rotation::RotationState,
    select::{Candidates, select, successor},
    turns::Turn,
    verdict::Verdict,
};

/// Exchanges a refresh token from a store for an access token: `grant_type=refresh_token` (RFC 6749 section 6).
///
/// It is for access that a person has consented to once. Most servers *rotate*: their response contains a new refresh
/// token, and the old one is used up. The server treats a second use of the old one as theft, and ends the whole
/// consent. So:
///
/// - A new refresh token is saved in the [store](RefreshTokenStore) **before** any caller gets the access token. If
///   saving fails, the fetch fails. The new token is kept in memory, and the next fetch saves it before anything else.
///   Saving continues by itself when the fetch reaches its deadline.
/// - A refresh token is never sent by two fetches at a time. Clones of this grant take turns, and so do processes if
///   their store supports it, as [`FileStore`](crate::store::FileStore) does. **Let providers that use one refresh
///   token use clones of one grant.**
/// - A request whose connection broke is not repeated in the same fetch, because the server may have received it. The
///   next fetch sends the same refresh token, because there is no other. Some servers allow such a retry. The same
///   holds for a crash before the new token was saved.
/// - An outage changes nothing in the store: a 5xx or 429, whatever error code is in its body.
/// - When the server refuses the token, the store is read once more, because another process may have replaced the
///   token. Then the refresh token counts as gone: it is not sent again for five minutes, unless
///   [`refresh_now`](crate::TokenProvider::refresh_now) asks for it. It stays in the store, because servers make
///   mistakes.
/// - Servers refuse in different words. `invalid_grant` is one of them, but so are `invalid_request` and a 400, 401,
///   403 or 422 without a known error code. A refusal of the client, the scope or the URL does not concern the refresh
///   token. Refusals of the client are `invalid_client`, `unauthorized_client`, and challenges for HTTP Basic.
/// - The user must then consent again. Until then, use [`or_else`](crate::TokenSource::or_else) to name a fallback. A
///   new refresh token in the store is found without a restart. Stores that [report
///   changes](RefreshTokenStore::has_changed), such as those of this crate, are noticed within a second. With others,
///   the next fetch finds it.
///
/// The scope can only become narrower (RFC 6749 section 6). Without a [scope](super::TokenEndpointBuilder::scope), the
/// whole consent is requested. Set one to request a part of it.
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
/// In addition to those of the [token endpoint](super::TokenEndpoint#errors):
///
/// | cause | kind | retry |
/// |---|---|---|
/// | there is no refresh token | [`Source`](crate::ErrorKind::Source) | after a change: a person has to consent |
/// | it is gone | [`Refused`](crate::ErrorKind::Refused), with the server's code if there is one | after a change: a person has to consent again |
/// | the store fails | the store's | as the store says |
///
/// # Which settings a server needs
///
/// | the server | set |
/// |---|---|
/// | rotates, as most do | nothing |
/// | returns no new refresh token, as Google does | [`reusable`](Self::reusable) |
/// | accepts the previous token for a while after a rotation (a grace period, or reuse interval) | [`reusable`](Self::reusable): a repeated request is within the period |
/// | may lose what it has just issued, in a failover | [`retry_previous`](Self::retry_previous) |
///
/// The refresh token itself may expire, or be bound to a maximum age of the session. Neither is in the response. The
/// first sign is a refusal, so alert on [`Refused`](crate::ErrorKind::Refused) with `invalid_grant`.
#[derive(Clone)]
pub struct RefreshToken {
    rotation: Arc<RotationState>,
    /// The refresh token to begin with. `None` if it was empty, as an unset variable of a template is.
    initial: Option<Secret>,
    reusable: bool,
    /// Whether the store keeps the predecessor until its successor was accepted.
    retry_previous: bool,
}

impl RefreshToken {
    /// Exchanges the refresh token in this store. Clones share it, and take turns.
    ///
    /// ```
    /// use bearer_token::{TokenProvider, oauth::{ClientAuth, RefreshToken, TokenEndpoint}, store::FileStore};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # #[cfg(feature = "http-transport")] {
    /// // Two APIs of one consent: clones of one grant, with a narrower scope each.
    /// let grant = RefreshToken::new(FileStore::new("/var/lib/sync/refresh-token.json"));
    /// let with_scope = |scope: &str| {
    ///     TokenEndpoint::builder("https://as.example.com/token", grant.clone())
    ///         .client_auth(ClientAuth::basic("sync", "client-secret"))
    ///         .scope(scope)
    ///         .build()
    /// };
    /// let mail = TokenProvider::builder(with_scope("mail.read")?);
    /// let files = TokenProvider::builder(with_scope("files.read")?);
    /// # let _ = (mail, files); }
    /// # Ok(()) }
    /// ```
    pub fn new(store: impl RefreshTokenStore) -> Self {
        RefreshToken {
            rotation: Arc::new(RotationState::new(store)),
            initial: None,
            reusable: false,
            retry_previous: false,
        }
    }

    /// Sets a refresh token to begin with, from a configuration for example.
    ///
    /// It is used while the store is empty, and when the token in the store is gone, unless that one descends from it.
    /// So after a new consent, the new token can be configured here.
    ///
    /// ```
    /// use bearer_token::{oauth::RefreshToken, store::FileStore};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // The first start takes the token from the environment, all later ones from the file.
    /// let grant = RefreshToken::new(FileStore::new("/var/lib/sync/refresh-token.json"));
    /// let grant = match std::env::var("INITIAL_REFRESH_TOKEN") {
    ///     Ok(token) => grant.initial(token),
    ///     Err(_) => grant,
    /// };
    /// # let _ = grant; Ok(()) }
    /// ```
    ///
    /// The store remembers which initial token its content descends from. So an old value that is still configured does
    /// no harm: it is recognised as used up, and is not sent.
    pub fn initial(mut self, refresh_token: impl Into<String>) -> Self {
        self.initial = Some(Secret::new(refresh_token)).filter(|token| !token.expose().is_empty());
        self
    }

    /// Declares that the server accepts the same refresh token again, because it does not rotate or allows a retry.
    ///
    /// A request whose connection broke is then repeated once in the same fetch.
    ///
    /// With a server that does rotate, a repeated request could end the consent: leave it off if you are not sure. The
    /// store is also not asked in advance whether it could save.
    pub fn reusable(mut self) -> Self {
        self.reusable = true;
        self
    }

    /// Keeps the previous refresh token in the store, and sends it if the last one is refused before it was ever
    /// accepted.
    ///
    /// It is for servers that may lose a token which they have just issued, for example in a failover, and still accept
    /// the previous one. With other servers it is harmless, unless they refuse a valid token by mistake.
    pub fn retry_previous(mut self) -> Self {
        self.retry_previous = true;
        self
    }

    /// Replaces the refresh token in the store, after a person has consented.
    ///
    /// Waits for a fetch in progress. A provider in a cool-down, because the previous token was gone, notices the new
    /// one within a second. The platform is usually [`Platform::system`].
    ///
    /// # Errors
    ///
    /// Returns the error of the store. Fails with kind [`Timeout`](crate::ErrorKind::Timeout) after a minute, if
    /// fetches hold the refresh token for so long, or the store does not respond.
    ///
    /// ```
    /// use bearer_token::{Error, oauth::RefreshToken, platform::Platform};
    ///
    /// /// Called by the page that ends a sign-in.
    /// async fn signed_in(grant: &RefreshToken, refresh_token: String) -> Result<(), Error> {
    ///     grant.replace(&Platform::system(), refresh_token).await
    /// }
    /// # let _ = signed_in;
    /// ```
    ///
    /// An access token of the previous consent stays in service until it expires. Call
    /// [`refresh_now`](crate::TokenProvider::refresh_now) to replace it at once.
    pub async fn replace(&self, platform: &Platform, refresh_token: impl Into<String>) -> Result<(), Error> {
        self.rotation.put(platform, Some(StoredToken::new(refresh_token))).await
    }

    /// Empties the store, after a person has signed out. It does not end the consent at the server.
    ///
    /// # Errors
    ///
    /// As [`replace`](Self::replace).
    ///
    /// To end the consent as well, call the server's revocation endpoint (RFC 7009) first, with the token that the
    /// store has.
    pub async fn clear(&self, platform: &Platform) -> Result<(), Error> {
        self.rotation.put(platform, None).await
    }
}

impl Grant for RefreshToken {
    /// Steps 1 to 4 of the module's list. The lease travels in the parameters' extensions, and ends when they are
    /// dropped or the save has ended.
    async fn parameters(&self, cx: &FetchContext) -> Result<Parameters, Error> {
        let platform = cx.platform();
        let lease = self.rotation.lease(platform, cx.deadline()).await?;
        self.rotation.save_earlier(platform, cx.deadline()).await?;
        let seen = self.rotation.load(platform).await?;
        let candidates =
            Candidates { stored: seen.as_ref(), initial: self.initial.as_ref(), retry_previous: self.retry_previous };
        let Some(token) = select(&candidates, |token| self.rotation.is_gone(token, cx)) else {
            return Err(self.rotation.gone(seen.is_some() || self.initial.is_some()));
        };
        let token = token.clone();
        let turn = if self.reusable { Turn::unmarked() } else { self.rotation.prepare(platform).await? };
        let mut parameters = Parameters::new("refresh_token").with_credential("refresh_token", token.expose());
        parameters.extensions_mut().insert(Arc::new(Session { turn, lease, seen, token }));
        Ok(parameters)
    }

    fn is_repeatable(&self) -> bool {
        self.reusable
    }

    fn has_changed(&self) -> bool {
        self.rotation.has_changed()
    }

    fn can_step_up(&self) -> bool {
        false
    }

    fn parameter_names(&self) -> Vec<&str> {
        vec!["refresh_token"]
    }

    fn problems(&self) -> Vec<Problem> {
        self.rotation.problems()
    }

    fn response_fields(&self) -> &[&str] {
        &["refresh_token"]
    }

    /// Steps 6 to 8. A response without a new refresh token means that the old one stays valid (RFC 6749 section 6).
    async fn on_response(&self, cx: &FetchContext, sent: &Parameters, response: &ResponseFields) -> Result<(), Error> {
        let Some(session) = sent.extensions().get::<Arc<Session>>() else { return Ok(()) };
        // Some servers send an empty string if there is no new one.
        let received = response.text("refresh_token").filter(|token| !token.is_empty());
        let next =
            successor(session.seen.as_ref(), &session.token, self.initial.as_ref(), received, self.retry_previous);
        RotationState::save(&self.rotation, cx.platform(), session, next).await
    }

    /// Notes a refresh token that is gone, and asks for another request. A verdict is noted before this returns, so the
    /// next `parameters` selects another token, or finds none. That is how a fetch looks once more into the store.
    fn should_retry(&self, cx: &FetchContext, sent: &Parameters, error: &Error) -> bool {
        let verdict = Verdict::of(error);
        if verdict == Verdict::Other {
            return false;
        }
        if let Some(session) = sent.extensions().get::<Arc<Session>>() {
            self.rotation.note_gone(&session.token, verdict, error, cx);
        }
        // The next request sends another refresh token, or the fetch ends because there is none.
        true
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken")
            .field("initial", &self.initial)
            .field("reusable", &self.reusable)
            .field("retry_previous", &self.retry_previous)
            .finish_non_exhaustive()
    }
}
