//! A source with a second source for its permanent failures.
//!
//! | the first source | the other one | the fetch |
//! |---|---|---|
//! | gives a token | is not asked | that token |
//! | fails, and waiting may help | is not asked | that error |
//! | fails for good, by its configuration or an origin | is not asked | that error |
//! | fails for good otherwise | gives a token | that token, and the event `FellBack` |
//! | fails for good otherwise | fails | its error, with the first one's message in it |

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{
    error::{Error, ErrorKind, Retry},
    observe::{self, EventKind},
    source::{ChallengeTest, CredentialInUse, DynTokenSource, FetchContext, Identity, TokenSource},
    token::AccessToken,
};

/// Uses a primary source, and a fallback while the primary fails permanently. Made by [`TokenSource::or_else`].
///
/// Every fetch tries the primary source first, so it is used again as soon as it works. An error is *permanent* if
/// waiting cannot fix it ([`Retry::AfterChange`]): a refresh token that is gone, a credential that is refused, a JWT
/// that cannot be signed. The fallback is **not** used
///
/// - for an error that may pass by itself, such as an outage, a broken connection or a panic: the provider retries
///   anyway, and an outage is no reason for other credentials;
/// - for a mistake in the configuration ([`Config`](ErrorKind::Config), [`Origin`](ErrorKind::Origin)): otherwise it
///   would go unnoticed.
///
/// If the fallback fails too, its error is returned, with the message of the primary source in it. Both share the
/// fetch's deadline. For another rule, write a source of your own: an `async` closure that uses two.
///
/// ```
/// use bearer_token::{AccessToken, Error, ErrorKind, FetchContext, StaticToken, TokenProvider, TokenSource};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let of_alice = async |_cx: FetchContext| -> Result<AccessToken, Error> {
///     Err(Error::new(ErrorKind::Refused, "her consent has ended"))
/// };
/// let provider = TokenProvider::builder(of_alice.or_else(StaticToken::new("of-the-service"))).build()?;
/// assert_eq!(provider.token().await?.secret(), "of-the-service");
/// # Ok(()) }
/// ```
///
/// The rights of the two may differ. Whether a request should go out with the other rights is a decision of yours:
/// alert on the event.
#[derive(Clone)]
pub struct Fallback {
    first: Arc<dyn DynTokenSource>,
    other: Arc<dyn DynTokenSource>,
}

impl Fallback {
    /// The source of [`TokenSource::or_else`].
    pub(crate) fn new(first: impl TokenSource, other: impl TokenSource) -> Self {
        Fallback { first: Arc::new(first), other: Arc::new(other) }
    }
}

impl TokenSource for Fallback {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let first = match Arc::clone(&self.first).fetch(cx.clone()).await {
            Err(error) if is_permanent(&error) => error,
            result => return result,
        };
        observe::tell(EventKind::FellBack { error: &first });
        Arc::clone(&self.other).fetch(cx).await.map_err(|other| {
            let message = format!("{other}; before that, the primary source failed: {first}");
            other.with_context(message)
        })
    }

    fn has_changed(&self) -> bool {
        self.first.has_changed() || self.other.has_changed()
    }

    fn name(&self) -> Cow<'_, str> {
        self.first.name()
    }

    fn identity(&self, identity: &mut Identity) {
        self.first.identity(identity);
        identity.text("fallback", "");
        self.other.identity(identity);
    }

    /// A challenge that either source can meet.
    fn challenge_test(&self) -> Option<ChallengeTest> {
        match (self.first.challenge_test(), self.other.challenge_test()) {
            (Some(first), Some(other)) => Some(first.or(other)),
            (first, other) => first.or(other),
        }
    }

    /// Asks the first source. If it does not replace its credential, asks the other one.
    fn credential_in_use(&self) -> Option<CredentialInUse> {
        self.first.credential_in_use().or_else(|| self.other.credential_in_use())
    }
}

/// Whether the fallback is to be used for this error.
fn is_permanent(error: &Error) -> bool {
    error.retry() == Retry::AfterChange && !matches!(error.kind(), ErrorKind::Config | ErrorKind::Origin)
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error as _, time::Duration};

    use super::*;
    use crate::{platform::Platform, token::FetchReason};

    fn failing(kind: ErrorKind, retry: Retry) -> impl TokenSource {
        move |_cx: FetchContext| async move { Err(Error::new(kind, "the first words").with_retry(retry)) }
    }

    async fn fetch(source: impl TokenSource) -> Result<String, Error> {
        let cx = FetchContext::new(Platform::system(), Duration::from_secs(10), FetchReason::Missing);
        source.fetch(cx).await.map(|token| token.secret().to_owned())
    }

    #[tokio::test]
    async fn only_a_permanent_failure_uses_the_fallback() {
        let later = Retry::Later { after: None };
        for (kind, retry, falls) in [
            (ErrorKind::Refused, Retry::AfterChange, true),
            (ErrorKind::Source, Retry::AfterChange, true),
            (ErrorKind::Signing, Retry::AfterChange, true),
            (ErrorKind::Refused, Retry::Later { after: Some(Duration::from_secs(5)) }, false),
            (ErrorKind::Unavailable, later, false),
            (ErrorKind::Transport, later, false),
            (ErrorKind::Timeout, later, false),
            (ErrorKind::Response, later, false),
            (ErrorKind::Config, Retry::AfterChange, false),
            (ErrorKind::Origin, Retry::AfterChange, false),
        ] {
            let source = failing(kind, retry).or_else(async |_cx: FetchContext| Ok(AccessToken::new("other")));
            match fetch(source).await {
                Ok(token) => assert!(falls && token == "other", "{kind:?}"),
                Err(error) => assert!(!falls && error.kind() == kind, "{kind:?}"),
            }
        }
        let source = (async |_cx: FetchContext| Ok(AccessToken::new("first")))
            .or_else(failing(ErrorKind::Refused, Retry::AfterChange));
        assert_eq!(fetch(source).await.unwrap(), "first");
    }

    #[tokio::test]
    async fn when_both_fail_the_error_names_both() {
        let source = failing(ErrorKind::Refused, Retry::AfterChange).or_else(async |_cx: FetchContext| {
            let later = Retry::Later { after: Some(Duration::from_secs(7)) };
            Err(Error::new(ErrorKind::Unavailable, "the other words").with_retry(later).with_oauth_code("slow_down"))
        });
        let error = fetch(source).await.unwrap_err();
        assert_eq!((error.kind(), error.oauth_code()), (ErrorKind::Unavailable, Some("slow_down")));
        assert_eq!(error.retry(), Retry::Later { after: Some(Duration::from_secs(7)) });
        let text = error.to_string();
        assert!(text.contains("the other words") && text.contains("the first words"), "{text}");
        assert!(error.source().is_some());
    }

    #[tokio::test]
    async fn three_sources_are_tried_in_order() {
        let source = failing(ErrorKind::Refused, Retry::AfterChange)
            .or_else(failing(ErrorKind::Source, Retry::AfterChange))
            .or_else(async |_cx: FetchContext| Ok(AccessToken::new("third")));
        assert_eq!(fetch(source).await.unwrap(), "third");
    }

    #[test]
    fn it_has_changed_when_either_source_has() {
        struct Says(bool);
        impl TokenSource for Says {
            async fn fetch(&self, _cx: FetchContext) -> Result<AccessToken, Error> {
                Ok(AccessToken::new("token"))
            }

            fn has_changed(&self) -> bool {
                self.0
            }
        }
        for (first, other) in [(false, false), (false, true), (true, false)] {
            let either = Says(first).or_else(Says(other));
            assert_eq!(TokenSource::has_changed(&either), first || other);
        }
    }
}
