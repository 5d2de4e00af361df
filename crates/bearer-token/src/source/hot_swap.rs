//! A source whose credential is replaced while it is in use.
//!
//! ```text
//! replace(new)        fetch                       fetch
//!     |                 |                           |
//!     v                 v                           v
//! latest = new      new is refused: use old     new brings a token:
//! previous = old    CredentialKept              previous = none
//! in_use = Pending  in_use = Previous           CredentialReplaced, in_use = Latest
//! ```
//!
//! So a rotation needs no order between the server and its clients. Register the new credential, and hand it out.
//! Revoke the old one when every client has the new one, and says `Latest`. In a fleet one replica fetches for all, so
//! it is enough that one says so, and that all have the new one.

use std::{borrow::Cow, fmt, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    observe::{self, EventKind},
    source::{ChallengeTest, CredentialInUse, DynTokenSource, FetchContext, Identity, TokenSource},
    sync::{Mutex, lock},
    token::AccessToken,
    value::Value,
};

mod state;

use self::state::{Read, State, is_refusal};

/// The most often that a fetch reads the followed value, because other fetches have overtaken it.
const MOST_READS: u32 = 3;

/// A source with a new credential and, until that one works, the previous one.
///
/// A server does not always know a new secret or key when the program gets it. So each fetch tries the latest
/// credential first. If the server refuses it, the previous one is used, and the next fetch tries the latest again. The
/// first token that the latest one brings ends the previous one. The bearer in service stays there meanwhile.
///
/// A credential is replaced by a call, or it [follows a value](Self::following), such as a file:
///
/// ```
/// use bearer_token::{CredentialInUse, HotSwap, TokenProvider};
/// use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
///
/// # #[cfg(feature = "http-transport")]
/// # async fn example() -> Result<(), bearer_token::Error> {
/// let endpoint = |secret: &str| {
///     TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
///         .client_auth(ClientAuth::basic("orders", secret))
///         .build()
/// };
/// let source = HotSwap::new(endpoint("the old secret")?);
/// let provider = TokenProvider::builder(source.clone()).allow_origin("https://api.example.com").build()?;
///
/// // The application gets a new secret: exchange with it at once.
/// source.replace(endpoint("the new secret")?);
/// provider.refresh_now().await?;
/// if let CredentialInUse::Previous(error) = source.in_use() {
///     println!("the server does not know the new secret yet: {error}");
/// }
/// # Ok(()) }
/// ```
///
/// The new source may also be that of another account: another client, another `iss`. Replicas of a fleet then share
/// the tokens of the new account, and keep a token of the previous one for themselves.
///
/// Only a refusal that waiting cannot fix ([`Retry::AfterChange`]) falls back. An outage does not, nor does a mistake
/// in the configuration. If the previous one then fails for a cause that may pass, its error is returned, with the
/// refusal in it. Each retry in such an outage sends the refused credential first, too. Clones share the credentials.
#[derive(Clone)]
pub struct HotSwap(Arc<Inner>);

struct Inner {
    followed: Option<Followed>,
    state: Mutex<State>,
}

/// Where new credentials come from.
struct Followed {
    value: Value,
    content: Content,
    make: Box<Make>,
}

/// How a value is read: without stray newlines, or as it is.
#[derive(Clone, Copy)]
enum Content {
    Text,
    Bytes,
}

type Make = dyn Fn(&[u8]) -> Result<Arc<dyn DynTokenSource>, Error> + Send + Sync;

impl HotSwap {
    /// Creates a source with its first credential.
    pub fn new(source: impl TokenSource) -> Self {
        HotSwap::with(Arc::new(source), None, None)
    }

    /// Creates a source whose credential is this value, such as a file, which is read again before each fetch.
    ///
    /// `make` is called with the value: now, and after each change. If it fails then, an event has its error, and the
    /// credentials stay. To exchange with a new value at once, spawn
    /// [`TokenProvider::refresh_when_changed`](crate::TokenProvider::refresh_when_changed).
    ///
    /// # Errors
    ///
    /// The value's error, or that of `make`. Blocks while the value is read.
    pub fn following<S: TokenSource>(
        value: impl Into<Value>,
        make: impl Fn(&str) -> Result<S, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        HotSwap::follow_as(Content::Text, value.into(), move |bytes| {
            // It was read as a string.
            make(&String::from_utf8_lossy(bytes))
        })
    }

    /// Creates a source whose credential is a key, such as a PEM file. As [`following`](Self::following), but all bytes
    /// of the value count: a newline at its end too.
    ///
    /// # Errors
    ///
    /// The value's error, or that of `make`. Blocks while the value is read.
    ///
    /// ```
    /// use bearer_token::{HotSwap, Value};
    /// use bearer_token::jwt::{JwtTemplate, KeyReader};
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
    ///
    /// # #[cfg(feature = "http-transport")]
    /// # fn example() -> Result<HotSwap, bearer_token::Error> {
    /// let endpoint = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new());
    /// HotSwap::following_key(Value::file("/run/secrets/key.pem"), move |key| {
    ///     let template = JwtTemplate::builder(KeyReader::new().read(key)?).issuer("orders").subject("orders").build()?;
    ///     endpoint.clone().client_auth(ClientAuth::assertion("orders", template)).build()
    /// })
    /// # }
    /// ```
    pub fn following_key<S: TokenSource>(
        value: impl Into<Value>,
        make: impl Fn(&[u8]) -> Result<S, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        HotSwap::follow_as(Content::Bytes, value.into(), make)
    }

    fn follow_as<S: TokenSource>(
        content: Content,
        value: Value,
        make: impl Fn(&[u8]) -> Result<S, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let found = content.read_now(&value)?;
        let make: Box<Make> = Box::new(move |bytes| Ok(Arc::new(make(bytes)?)));
        let first = make(&found)?;
        Ok(HotSwap::with(first, Some(found), Some(Followed { value, content, make })))
    }

    fn with(first: Arc<dyn DynTokenSource>, content: Option<Zeroizing<Vec<u8>>>, followed: Option<Followed>) -> Self {
        HotSwap(Arc::new(Inner { followed, state: Mutex::new(State::new(first, content)) }))
    }

    /// Replaces the credential.
    ///
    /// The next fetch uses it. To fetch at once, call
    /// [`TokenProvider::refresh_now`](crate::TokenProvider::refresh_now), as an application does after it got a new
    /// secret. The previous credential is the last one that worked, also if several follow each other.
    ///
    /// In a fleet, spawn [`refresh_when_changed`](crate::TokenProvider::refresh_when_changed) in place of that call. Then
    /// one replica fetches with the new secret, and the others adopt its token.
    pub fn replace(&self, source: impl TokenSource) {
        let ended = lock(&self.0.state).replace(Arc::new(source));
        drop(ended);
    }

    /// Which credential brought the last token: for a status page, and to find out when the old secret can be deleted
    /// at the server. The [status](crate::ProviderStatus::credential) of the provider has it too.
    ///
    /// It is [`Latest`](CredentialInUse::Latest) while there was never another one. From a replacement until the new one
    /// brings a token or is refused, it is [`Pending`](CredentialInUse::Pending). A replica that adopts the token of
    /// another one (the feature `shared`) tries none, so it stays `Pending` until it fetches for itself.
    pub fn in_use(&self) -> CredentialInUse {
        lock(&self.0.state).in_use()
    }

    fn latest_identity(&self) -> Identity {
        let latest = lock(&self.0.state).latest();
        identity_of(&latest)
    }

    /// Looks at the followed value.
    async fn follow(&self, cx: &FetchContext) -> Result<(), Error> {
        let Some(Followed { value, content, make }) = &self.0.followed else { return Ok(()) };
        // One that was overtaken reads again: the other one may have got an older value, if the file hung.
        for _ in 0..MOST_READS {
            let number = lock(&self.0.state).begin_read();
            let found = content.read(value, cx).await?;
            match lock(&self.0.state).end_read(number, &found) {
                Read::Known => return Ok(()),
                Read::Overtaken => continue,
                Read::New => {}
            }
            let made = make(&found);
            let mut state = lock(&self.0.state);
            match state.end_read(number, &found) {
                Read::Known => return Ok(()),
                Read::Overtaken => continue,
                Read::New => state.note_read(number, found),
            }
            match made {
                Ok(source) => {
                    let ended = state.replace(source);
                    drop(state);
                    drop(ended);
                }
                Err(error) => {
                    state.note_unusable(error.clone());
                    drop(state);
                    observe::tell(EventKind::CredentialKept { error: &error });
                }
            }
            return Ok(());
        }
        Ok(())
    }
}

impl Content {
    fn read_now(self, value: &Value) -> Result<Zeroizing<Vec<u8>>, Error> {
        match self {
            Content::Text => value.read_now().map(into_bytes),
            Content::Bytes => value.read_bytes_now(),
        }
    }

    async fn read(self, value: &Value, cx: &FetchContext) -> Result<Zeroizing<Vec<u8>>, Error> {
        match self {
            Content::Text => value.read(cx).await.map(into_bytes),
            Content::Bytes => value.read_bytes(cx).await,
        }
    }
}

fn into_bytes(mut text: Zeroizing<String>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(std::mem::take(&mut *text).into_bytes())
}

impl TokenSource for HotSwap {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        self.follow(&cx).await?;
        let (latest, previous) = lock(&self.0.state).credentials();
        let error = match latest.clone().fetch(cx.clone()).await {
            Ok(token) => {
                // A source may have user code in its destructor, which runs without the lock.
                let ended = lock(&self.0.state).worked(&latest);
                if ended.is_some() {
                    observe::tell(EventKind::CredentialReplaced {});
                }
                return Ok(token);
            }
            Err(error) => error,
        };
        lock(&self.0.state).failed(&latest, &error);
        let Some(previous) = previous.filter(|_| is_refusal(&error)) else { return Err(error) };
        let token = match previous.clone().fetch(cx.clone()).await {
            Ok(token) => token,
            Err(passing) if passing.is_transient() => {
                // The refusal alone would be a permanent failure, and in a fleet one of all replicas.
                let name = passing.provider();
                let (passed, refused) = (passing.beside(name), error.beside(name));
                let message = format!(
                    "{passed}; it was asked for with the previous credential, since the latest one was refused: {refused}"
                );
                return Err(passing.with_context(message));
            }
            // If both fail for good, the latest one's error says what to change.
            Err(_) => return Err(error),
        };
        // Meanwhile another fetch may have got a token with the latest one, or another one may have arrived.
        if lock(&self.0.state).is_refused(&latest) {
            observe::tell(EventKind::CredentialKept { error: &error });
        }
        // Other replicas take the tokens of this source for those of its latest account.
        Ok(if is_same_account(&latest, &previous, &cx).await { token } else { token.not_shared() })
    }

    fn has_changed(&self) -> bool {
        let (latest, is_new) = {
            let state = lock(&self.0.state);
            (state.latest(), state.is_new())
        };
        is_new || self.0.followed.as_ref().is_some_and(|followed| followed.value.has_changed()) || latest.has_changed()
    }

    fn name(&self) -> Cow<'_, str> {
        let latest = lock(&self.0.state).latest();
        Cow::Owned(latest.name().into_owned())
    }

    fn challenge_test(&self) -> Option<ChallengeTest> {
        let latest = lock(&self.0.state).latest();
        latest.challenge_test()
    }

    fn credential_in_use(&self) -> Option<CredentialInUse> {
        Some(self.in_use())
    }

    /// All parts are those of the moment: a file may name another account.
    fn identity(&self, identity: &mut Identity) {
        let now = self.latest_identity();
        let is_known = now.unknown_parts().is_empty();
        now.unknown_parts().iter().for_each(|what| identity.unknown(what));
        let swap = self.clone();
        identity.nested(move |cx| {
            let swap = swap.clone();
            Box::pin(async move {
                // If the value cannot be read, the fetch says why. A token of another replica does not need it.
                drop(swap.follow(&cx).await);
                let latest = swap.latest_identity();
                match latest.unknown_parts().first().filter(|_| is_known) {
                    Some(what) => Err(incomparable(what)),
                    None => Ok(latest),
                }
            })
        });
        let swap = self.clone();
        identity.credential(move |cx| {
            let swap = swap.clone();
            Box::pin(async move {
                // Otherwise the verdict about the old credential would keep a new one from being tried.
                swap.follow(&cx).await?;
                let latest = lock(&swap.0.state).latest();
                let credentials = identity_of(&latest).credentials(&cx).await;
                if let Some(elsewhere) = cx.tried_elsewhere() {
                    elsewhere.then(move || lock(&swap.0.state).tried_elsewhere(&latest));
                }
                credentials
            })
        });
    }
}

fn identity_of(source: &Arc<dyn DynTokenSource>) -> Identity {
    let mut identity = Identity::default();
    source.identity(&mut identity);
    identity
}

/// Whether two credentials get interchangeable tokens, as far as their sources describe them.
async fn is_same_account(one: &Arc<dyn DynTokenSource>, other: &Arc<dyn DynTokenSource>, cx: &FetchContext) -> bool {
    let (one, other) = (identity_of(one), identity_of(other));
    matches!((one.canonical(cx).await, other.canonical(cx).await), (Ok(one), Ok(other)) if one == other)
}

fn incomparable(what: &str) -> Error {
    let message = format!(
        "found a new credential whose token requests cannot be compared with those of other replicas ({what}); expected one \
         of the same kind as before, or a name for the token (`Fleet::share_as`)"
    );
    Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange)
}

impl fmt::Debug for HotSwap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotSwap").field("in_use", &self.in_use()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests;
