//! Client authentication with an assertion that was made elsewhere.
//!
//! This is workload identity federation. A platform (Kubernetes, a cloud, SPIFFE) issues a token for the workload, and
//! the authorization server accepts it in place of a secret. The program holds no long-lived credential at all. The
//! assertion is not ours to sign, so it may be sent as often as its issuer allows. Nothing is cached here: a
//! [`TokenProvider`](crate::TokenProvider) or the file behind it decides.

use std::{sync::Arc, time::SystemTime};

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    problem::Problem,
    source::{DynTokenSource, FetchContext, Identity, TokenSource},
    token::{AccessToken, Expiry, jwt_times::jwt_expiry},
    value::Value,
};

/// The source of a client's assertions.
#[derive(Clone)]
pub(crate) struct AssertionSource {
    client_id: String,
    origin: Origin,
}

/// Where the assertions come from. A value is a source as well, but it can describe itself: replicas that read the same
/// file have the same identity.
#[derive(Clone)]
enum Origin {
    Source(Arc<dyn DynTokenSource>),
    Value(Value),
}

impl AssertionSource {
    pub(crate) fn new(client_id: String, source: impl TokenSource) -> Self {
        AssertionSource { client_id, origin: Origin::Source(Arc::new(source)) }
    }

    pub(crate) fn of_value(client_id: String, value: Value) -> Self {
        AssertionSource { client_id, origin: Origin::Value(value) }
    }

    /// What is wrong with it, as far as that can be known at once.
    pub(crate) fn problem(&self, path: &str) -> Option<Problem> {
        match &self.origin {
            Origin::Source(_) => None,
            Origin::Value(value) => value.assertion_problem(path),
        }
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Adds a value as the credential. A source is not asked only to compare it.
    pub(crate) fn identity(&self, identity: &mut Identity) {
        let Origin::Value(value) = &self.origin else { return };
        let value = value.clone();
        identity.credential(move |cx| {
            let value = value.clone();
            Box::pin(async move { Ok(Zeroizing::new(value.read(&cx).await?.as_bytes().to_vec())) })
        });
    }

    /// The assertion for one request.
    ///
    /// An error keeps the kind and the advice of its origin. A file that is missing waits for a change, an outage of
    /// another server does not.
    pub(crate) async fn get(&self, cx: &FetchContext) -> Result<AccessToken, Error> {
        let assertion = match &self.origin {
            Origin::Source(source) => Arc::clone(source).fetch(cx.clone()).await?,
            Origin::Value(value) => {
                let text = value.read(cx).await.map_err(|error| {
                    let message = format!("the client assertion is missing: {error}");
                    error.with_context(message)
                })?;
                AccessToken::new(text.as_str())
            }
        };
        check(&assertion, cx.platform().now().wall())?;
        Ok(assertion)
    }

    pub(crate) fn has_changed(&self) -> bool {
        match &self.origin {
            Origin::Source(source) => source.has_changed(),
            Origin::Value(value) => value.has_changed(),
        }
    }
}

/// Refuses an assertion that the server would refuse with a less clear error.
///
/// The `exp` is read by this machine's clock, without tolerance: a token that expires in this second would be refused
/// on arrival.
fn check(assertion: &AccessToken, now: SystemTime) -> Result<(), Error> {
    let expires = match assertion.expiry() {
        Expiry::At(time) => Some(time),
        Expiry::Unknown | Expiry::Never | Expiry::In(_) => jwt_expiry(assertion.secret()),
    };
    let problem = if assertion.secret().is_empty() {
        "found an empty client assertion; expected a JWT: check the source of client assertions"
    } else if expires.is_some_and(|expires| expires <= now) {
        "found a client assertion that has expired; expected a new one in time: check the source of client assertions, \
         and the clock of this machine"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Token, problem).with_retry(Retry::AfterChange))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn l20_an_assertion_that_has_expired_is_not_sent() {
        // {"exp":1700000000}
        const JWT: &str = "e30.eyJleHAiOjE3MDAwMDAwMDB9.c2ln";
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        for (assertion, now, good) in [
            (AccessToken::new(JWT), 1_699_999_999, true),
            (AccessToken::new(JWT), 1_700_000_000, false),
            (AccessToken::new(JWT).never_expires(), 1_700_000_000, false),
            (AccessToken::new("opaque"), 1_700_000_000, true),
            (AccessToken::new("opaque").expires_at(at(5)), 4, true),
            (AccessToken::new("opaque").expires_at(at(5)), 5, false),
            (AccessToken::new(""), 0, false),
        ] {
            let checked = check(&assertion, at(now));
            assert_eq!(checked.is_ok(), good, "{assertion:?} at {now}");
            if let Err(error) = checked {
                assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Token, false));
            }
        }
    }
}
