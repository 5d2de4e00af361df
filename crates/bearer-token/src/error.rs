//! The crate's error type: cheap to clone, because one failed fetch is returned to every waiter.
//!
//! An [`Error`] travels far: from a source or a transport, through a flight, to every waiter, through adapters and
//! layers, into a log. On that way four parts keep their meaning, and each has another purpose:
//!
//! | part | question | set by |
//! |---|---|---|
//! | [`kind`](Error::kind) | which part failed? | the code that saw the failure |
//! | [`retry`](Error::retry) | does waiting help? | the kind, unless a response or a source knows better |
//! | [`problems`](Error::problems) | what has to change in the configuration? | builders and `check`s |
//! | [`source`](StdError::source) | what did the layer below say? | the code that wraps it |
//!
//! The provider reads the retry advice only: it decides how long the cool-down is. The kind is for people, labels and
//! adapters. So a source can return any kind and still control the retries.

use std::{borrow::Cow, error::Error as StdError, sync::Arc};

use crate::problem::Problem;

mod display;
mod kind;
mod problems;
mod provider_name;

pub use self::kind::{ErrorKind, Retry};
pub(crate) use self::provider_name::ProviderName;

/// An error of any type, as libraries pass them.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a request got no token, or must not carry one.
///
/// An error is a cheap clone of one shared value. It says what was found, what was expected, and what to change. Its
/// `Debug`, `Display` and [`source`](StdError::source) chain never contain a token, an assertion or a key, nor a string
/// that a server sent.
///
/// # What to do with it
///
/// 1. [`retry`](Self::retry) says [`Later`](Retry::Later): wait and call again. The provider waits for you: until the
///    cool-down is over, it returns the same error without a new fetch.
/// 2. It says [`AfterChange`](Retry::AfterChange): raise an alarm. A key, a permission or the configuration has to
///    change first. The provider still retries, rarely, so no restart is needed after the fix.
/// 3. The [`kind`](Self::kind) is [`Config`](ErrorKind::Config): print [`problems`](Self::problems), one per line, and
///    stop.
/// 4. Log it with `{error:#}`, which adds its causes. `{error}` is the sentence alone.
/// 5. Behind a client that wraps errors, get it back with [`find`](Self::find). In a gRPC service, end the call with
///    [`grpc_code`](Self::grpc_code).
///
/// ```
/// use bearer_token::{Error, ErrorKind, Retry};
///
/// let error = Error::new(ErrorKind::Source, "no response from the key vault");
/// assert_eq!(error.retry(), Retry::Later { after: None });
///
/// let error = error.with_context("the JWT cannot be signed");
/// assert_eq!(format!("{error}"), "the JWT cannot be signed");
/// assert_eq!(format!("{error:#}"), "the JWT cannot be signed: no response from the key vault");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

/// Everything that an [`Error`] says. It is shared by all clones, and copied when one of them is changed.
#[derive(Clone)]
struct Inner {
    /// Which part failed. It never changes after [`Error::new`]: context and names are added around it.
    kind: ErrorKind,
    /// One sentence without a final period: found, expected, what to change. It is the first part of `Display`.
    message: Cow<'static, str>,
    retry: Retry,
    /// The parts that only some errors have. They are kept together, and [`Error::with_context`] copies all of them.
    details: Details,
    /// Empty unless the kind is [`ErrorKind::Config`].
    problems: Vec<Problem>,
    /// The cause. An `Arc` because causes of other crates are not `Clone`, and an [`Error`] is.
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// Where the error came from, as far as that is known.
#[derive(Clone, Default)]
struct Details {
    /// The provider that is closest to the cause. An outer stage of a chain does not replace it.
    provider: Option<ProviderName>,
    /// The OAuth `error` code, only if it is one of the known ones: a hostile server could echo a secret in place of a
    /// code.
    oauth_code: Option<Cow<'static, str>>,
    /// The server's own words, already filtered. They are kept outside of the message, which is printed everywhere.
    server_description: Option<Box<str>>,
    /// The part of the response that decides what a refusal means for the clock, the scope and a refresh token.
    #[cfg(feature = "oauth")]
    refusal: Option<RefusalHead>,
    /// Whether the server has certainly not received the request. Then credentials that are accepted only once can be
    /// used again.
    #[cfg_attr(not(feature = "oauth"), allow(dead_code, reason = "asked by token endpoints"))]
    is_unsent: bool,
}

/// The parts of a refusal's head that decide what the refusal means.
#[cfg(feature = "oauth")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefusalHead {
    pub(crate) status: http::StatusCode,
    /// Whether the response asks the client to authenticate by HTTP Basic.
    pub(crate) asks_for_client: bool,
}

impl Error {
    /// Creates an error with the retry advice that is usual for its kind.
    ///
    /// For sources of your own. The message ends up in logs: keep secrets out of it.
    ///
    /// `Config`, `Origin`, `Signing` and `Refused` are [`AfterChange`](Retry::AfterChange), all others are
    /// [`Later`](Retry::Later) without a time. [`with_retry`](Self::with_retry) changes that.
    ///
    /// ```
    /// use bearer_token::{AccessToken, Error, ErrorKind, FetchContext, Retry, TokenProvider};
    ///
    /// let provider = TokenProvider::builder(async |_cx: FetchContext| {
    ///     match std::env::var("DEVICE_TOKEN") {
    ///         Ok(token) => Ok(AccessToken::new(token)),
    ///         // Found, expected, what to change. Without the advice, a source's error is retried every minute.
    ///         Err(_) => Err(Error::new(
    ///             ErrorKind::Source,
    ///             "found no variable `DEVICE_TOKEN`; expected the device's token: set it in the unit file",
    ///         )
    ///         .with_retry(Retry::AfterChange)),
    ///     }
    /// });
    /// # let _ = provider;
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let retry = match kind {
            ErrorKind::Config | ErrorKind::Origin | ErrorKind::Signing | ErrorKind::Refused => Retry::AfterChange,
            _ => Retry::Later { after: None },
        };
        Error(Arc::new(Inner {
            kind,
            message: message.into(),
            retry,
            details: Details::default(),
            problems: Vec::new(),
            source: None,
        }))
    }

    /// Wraps the error of a source of your own. The kind is [`Source`](ErrorKind::Source), which is retried.
    ///
    /// The sentence contains the error's own one, and the error becomes the [`source`](StdError::source). Both end up
    /// in logs: pass none that contains a secret.
    ///
    /// ```
    /// use bearer_token::{AccessToken, Error, FetchContext, TokenProvider};
    ///
    /// let provider = TokenProvider::builder(async |_cx: FetchContext| {
    ///     let token = std::fs::read_to_string("/run/vault/token").map_err(Error::other)?;
    ///     Ok(AccessToken::new(token.trim()))
    /// });
    /// # let _ = provider;
    /// let error = Error::other(std::io::Error::other("the vault is sealed"));
    /// assert_eq!(error.to_string(), "the token source failed: the vault is sealed");
    /// ```
    pub fn other(error: impl Into<BoxError>) -> Self {
        let error = error.into();
        Error::new(ErrorKind::Source, format!("the token source failed: {error}")).with_source(error)
    }

    /// Creates an error of kind [`Config`](ErrorKind::Config) that lists these problems.
    ///
    /// ```
    /// use bearer_token::{Error, Problem};
    ///
    /// let problem = Problem::new("vault.url", "found nothing").expecting("the URL of the key vault");
    /// let error = Error::config("the provider cannot be built", [problem]);
    /// assert_eq!(
    ///     error.to_string(),
    ///     "the provider cannot be built: vault.url: found nothing; expected the URL of the key vault"
    /// );
    /// ```
    pub fn config(message: impl Into<Cow<'static, str>>, problems: impl IntoIterator<Item = Problem>) -> Self {
        Error::new(ErrorKind::Config, message).map(|inner| inner.problems = problems.into_iter().collect())
    }

    /// Replaces the retry advice.
    ///
    /// A provider waits for at least `after`, up to [`Policy::retry_after_limit`](crate::Policy::retry_after_limit).
    /// Without `after`, its own backoff decides: from 1 s up to 60 s after `Later`, and from 5 s up to 5 min after
    /// `AfterChange`.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        self.map(|inner| inner.retry = retry)
    }

    /// Adds the cause, which [`source`](StdError::source) returns.
    ///
    /// The cause's own `Debug` and `Display` are printed wherever errors are: pass none that contains a secret.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        self.map(|inner| inner.source = Some(Arc::from(source.into())))
    }

    /// Replaces the message, and keeps this error as the cause.
    ///
    /// The new error has the same kind, retry advice, OAuth error code and problems.
    ///
    /// Use it where the caller knows something that the failing part did not: which file, which tenant, which step. The
    /// sentence of the cause is not repeated in the new message, because `{:#}` prints both.
    ///
    /// ```
    /// use bearer_token::{Error, ErrorKind};
    ///
    /// let cause = Error::new(ErrorKind::Refused, "the server refused the client").with_oauth_code("invalid_client");
    /// let error = cause.with_context("tenant `north` gets no token");
    /// assert_eq!(error.kind(), ErrorKind::Refused);
    /// assert_eq!(error.oauth_code(), Some("invalid_client"));
    /// assert_eq!(format!("{error:#}"), "tenant `north` gets no token: the server refused the client");
    /// ```
    #[must_use]
    pub fn with_context(self, message: impl Into<Cow<'static, str>>) -> Self {
        let inner = Inner { message: message.into(), source: None, ..(*self.0).clone() };
        Error(Arc::new(Inner { source: Some(Arc::new(self)), ..inner }))
    }

    /// Adds the OAuth error code of the response (RFC 6749 section 5.2).
    ///
    /// For transports and sources that speak OAuth themselves. Pass only codes that you have compared with a list. A
    /// server may send anything as its `error`, and `Debug` and events print the code.
    #[must_use]
    pub fn with_oauth_code(self, code: impl Into<Cow<'static, str>>) -> Self {
        self.map(|inner| inner.details.oauth_code = Some(code.into()))
    }

    /// Replaces the message.
    ///
    /// The cause and everything else stay. Used where a refusal is explained better once its surroundings are known,
    /// such as the audience that was sent.
    #[cfg(feature = "oauth")]
    pub(crate) fn with_message(self, message: impl Into<Cow<'static, str>>) -> Self {
        self.map(|inner| inner.message = message.into())
    }

    /// Adds the server's description of a refusal, which must be safe to show.
    ///
    /// The filter is in `oauth/response/description.rs`; this method does not repeat it.
    #[cfg(feature = "oauth")]
    pub(crate) fn with_server_description(self, description: Option<impl Into<Box<str>>>) -> Self {
        match description {
            Some(description) => self.map(|inner| inner.details.server_description = Some(description.into())),
            None => self,
        }
    }

    /// Adds the name of the provider that failed. A name that is there already stays, because it is closer to the
    /// cause.
    pub(crate) fn with_provider(self, name: &ProviderName) -> Self {
        if self.0.details.provider.is_some() {
            self
        } else {
            self.map(|inner| inner.details.provider = Some(name.clone()))
        }
    }

    /// Adds to the message that the provider with this name failed while another one needed its token. Nothing else
    /// changes.
    #[cfg(feature = "_json")]
    pub(crate) fn of_other(self, name: &str) -> Self {
        let is_named = self.0.details.provider.as_ref().is_some_and(|named| named.is_given() && named.as_str() == name);
        let message = match is_named {
            true => format!("the token of another provider is missing: {self}"),
            false => format!("the token of another provider is missing: {name}: {self}"),
        };
        // The sentence names it already.
        self.with_context(message).map(|inner| {
            inner.details.provider = inner.details.provider.take().map(|name| ProviderName::suggested(name.as_str()));
        })
    }

    /// Notes that the server has certainly not received the request.
    ///
    /// Only a transport can know this: name resolution failed, the port was closed, the handshake broke. A connection
    /// that broke later does not count, because the server may have acted on the request.
    #[allow(dead_code, reason = "noted by transports")]
    pub(crate) fn unsent(self) -> Self {
        self.map(|inner| inner.details.is_unsent = true)
    }

    /// Whether the server has certainly not received the request.
    #[cfg(feature = "oauth")]
    pub(crate) fn is_unsent(&self) -> bool {
        self.0.details.is_unsent
    }

    /// Adds the head of the response that refused the request.
    #[cfg(feature = "oauth")]
    pub(crate) fn with_refusal(self, head: RefusalHead) -> Self {
        self.map(|inner| inner.details.refusal = Some(head))
    }

    /// The head of the response that refused the request.
    #[cfg(feature = "oauth")]
    pub(crate) fn refusal(&self) -> Option<RefusalHead> {
        self.0.details.refusal
    }

    /// Finds the token error among the causes of another error.
    ///
    /// Clients and layers wrap the errors of the layers below them: tower's `Buffer`, retrying middlewares, your own.
    ///
    /// ```
    /// # use bearer_token::Error;
    /// # fn example(error: Box<dyn std::error::Error + Send + Sync>) {
    /// match Error::find(&*error) {
    ///     Some(error) if error.is_transient() => println!("try later: {error:#}"),
    ///     Some(error) => println!("fix the credential: {error:#}"),
    ///     None => println!("{error}"),
    /// }
    /// # }
    /// ```
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// The part that failed.
    ///
    /// To decide about a retry, use [`retry`](Self::retry) instead: the same kind can have either advice.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether a retry can help, and when.
    ///
    /// It is advice about the token request, not about the request to the API. While a provider cools down, it returns
    /// the same error at once, so a caller that retries in a loop causes no further token requests.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Whether the cause may pass by itself.
    pub fn is_transient(&self) -> bool {
        matches!(self.0.retry, Retry::Later { .. })
    }

    /// The gRPC status code for a call that got no token: 14 (`UNAVAILABLE`) if the cause may pass by itself, else 16
    /// (`UNAUTHENTICATED`).
    ///
    /// The codes follow the [retry advice](Error::retry), because callers and proxies usually retry only calls that
    /// ended with `UNAVAILABLE`. A source that ran out of time is 14 too: `DEADLINE_EXCEEDED` would mean that the
    /// call's own deadline had passed.
    ///
    /// See the [list of status codes](https://grpc.io/docs/guides/status-codes/).
    ///
    /// ```
    /// use bearer_token::{Error, ErrorKind};
    ///
    /// assert_eq!(Error::new(ErrorKind::Transport, "the authorization server cannot be reached").grpc_code(), 14);
    /// assert_eq!(Error::new(ErrorKind::Refused, "the authorization server refused the client").grpc_code(), 16);
    /// ```
    pub fn grpc_code(&self) -> i32 {
        if self.is_transient() { 14 } else { 16 }
    }

    /// The OAuth error code that the authorization server sent, such as `invalid_grant` (RFC 6749 section 5.2).
    ///
    /// It is `None` if the response had no code. It is also `None` if neither RFC 6749, RFC 8693, RFC 8707, RFC 9449
    /// nor a known provider defines the code. Common ones, and what they usually mean for a service:
    ///
    /// | code | usual meaning |
    /// |---|---|
    /// | `invalid_client` | wrong secret, unknown or expired key, wrong audience of the client's assertion |
    /// | `invalid_grant` | an assertion that is expired or was used before, a refresh token that was revoked |
    /// | `unauthorized_client` | the client may not use this grant |
    /// | `invalid_scope` | a scope that does not exist or was not given to the client |
    /// | `invalid_target` | an unknown `resource` or `audience` (RFC 8707 section 2) |
    ///
    /// ```
    /// use bearer_token::{Error, ErrorKind};
    ///
    /// /// Only this code means that a person has to sign in again.
    /// fn needs_sign_in(error: &Error) -> bool {
    ///     error.kind() == ErrorKind::Refused && error.oauth_code() == Some("invalid_grant")
    /// }
    ///
    /// let error = Error::new(ErrorKind::Refused, "the refresh token was revoked").with_oauth_code("invalid_grant");
    /// assert!(needs_sign_in(&error));
    /// ```
    pub fn oauth_code(&self) -> Option<&str> {
        self.0.details.oauth_code.as_deref()
    }

    /// The authorization server's own description of a refusal, for the developer who looks for its cause.
    ///
    /// It is the response's `error_description` (RFC 6749 section 5.2), or the similar field that the server uses
    /// instead. Neither `Display`, `Debug` nor [`source`](StdError::source) shows it, because it is untrusted input:
    /// show it only on request, and do not act on it. It is printable ASCII of at most 256 bytes. It is `None` if the
    /// server sent none. It is also `None` if it repeats a secret, a token, an assertion or a parameter of the request,
    /// or 12 bytes of one: as it is, form-encoded or in Base64. A hostile server can still disguise a secret in it.
    ///
    /// ```
    /// # fn example(error: &bearer_token::Error) {
    /// eprintln!("{error}");
    /// if let Some(description) = error.server_description() {
    ///     eprintln!("the server says: {description:?}");
    /// }
    /// # }
    /// ```
    pub fn server_description(&self) -> Option<&str> {
        self.0.details.server_description.as_deref()
    }

    /// The name of the provider that failed, if the error came from one.
    ///
    /// It is the name that [`TokenProviderBuilder::name`](crate::TokenProviderBuilder::name) gave, or the one that the
    /// source suggested. `Display` begins with a name that was given.
    pub fn provider(&self) -> Option<&str> {
        self.0.details.provider.as_ref().map(ProviderName::as_str)
    }

    /// Everything that is wrong with a configuration; empty for other kinds.
    ///
    /// ```
    /// use bearer_token::{StaticToken, TokenProvider};
    ///
    /// let builder = TokenProvider::builder(StaticToken::new("token")).allow_origin("api.example.com");
    /// let error = builder.allow_origin("ftp://files.example.com").build().unwrap_err();
    /// // Both mistakes are reported by one call of `build`.
    /// for problem in error.problems() {
    ///     eprintln!("{}: {}", problem.path(), problem.message());
    /// }
    /// assert_eq!(error.problems().len(), 2);
    /// ```
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// Whether both are clones of the same value.
    ///
    /// A source's change ends the cool-down of the failure that it was asked about, and not that of a later failure
    /// with the same sentence.
    pub(crate) fn is(&self, other: &Error) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Changes this clone only.
    ///
    /// If this is the only clone, nothing is copied. Otherwise the copy costs one allocation and a few reference
    /// counts, on a path that has failed anyway.
    fn map(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn grpc_code_follows_the_retry_advice() {
        for (kind, code) in [
            (ErrorKind::Config, 16),
            (ErrorKind::Origin, 16),
            (ErrorKind::Signing, 16),
            (ErrorKind::Refused, 16),
            (ErrorKind::Transport, 14),
            (ErrorKind::Timeout, 14),
            (ErrorKind::Unavailable, 14),
            (ErrorKind::Response, 14),
            (ErrorKind::Token, 14),
            (ErrorKind::Source, 14),
            (ErrorKind::Panicked, 14),
            (ErrorKind::Abandoned, 14),
        ] {
            let error = Error::new(kind, "what went wrong");
            assert_eq!(error.grpc_code(), code, "{kind:?}");
            assert_eq!(error.clone().with_retry(Retry::AfterChange).grpc_code(), 16, "{kind:?}");
            assert_eq!(error.with_retry(Retry::Later { after: None }).grpc_code(), 14, "{kind:?}");
        }
    }

    #[test]
    fn changing_a_clone_leaves_the_others_alone() {
        let first = Error::new(ErrorKind::Timeout, "no response in 10 s").with_source("reset by peer");
        let second = first.clone().with_retry(Retry::AfterChange);
        assert_eq!(first.retry(), Retry::Later { after: None });
        assert_eq!(second.retry(), Retry::AfterChange);
        assert_eq!(second.source().unwrap().to_string(), "reset by peer");
        assert!(!second.is(&first) && first.is(&first.clone()));
    }

    #[test]
    fn context_keeps_everything_but_the_sentence() {
        let after = Some(Duration::from_secs(7));
        let cause = Error::new(ErrorKind::Unavailable, "the server is busy")
            .with_retry(Retry::Later { after })
            .with_oauth_code("slow_down");
        let error = cause.clone().with_context("the exchange failed");
        assert_eq!((error.kind(), error.retry()), (cause.kind(), cause.retry()));
        assert_eq!(error.oauth_code(), Some("slow_down"));
        assert!(Error::find(error.source().unwrap()).unwrap().is(&cause));

        let cause = Error::config("no", [Problem::new("url", "found nothing")]);
        assert_eq!(cause.clone().with_context("not at all").problems(), cause.problems());
    }
}
