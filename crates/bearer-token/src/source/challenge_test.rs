//! Challenges that a source can meet although the token itself was not refused.
//!
//! `insufficient_scope` means that the token is good and too narrow. For most sources that is the end: they ask for the
//! same scope each time. A source that can ask for more says so by a test, and the provider then treats such a response
//! as a rejection.

use std::{fmt, sync::Arc};

use http::HeaderMap;

use crate::source::{Challenge, challenge::raw_challenges};

/// Judges a challenge that does not refuse the token itself: whether another token of the source can meet it. Made by
/// [`TokenSource::challenge_test`](crate::TokenSource::challenge_test).
///
/// It runs when a response arrives, so it must return within microseconds.
///
/// ```
/// use bearer_token::ChallengeTest;
///
/// let test = ChallengeTest::new(|challenge| challenge.parameter("error") == Some("insufficient_claims"));
/// # let _ = test;
/// ```
#[derive(Clone)]
pub struct ChallengeTest(Arc<dyn Fn(&Challenge) -> bool + Send + Sync>);

impl ChallengeTest {
    /// A test from a function. Challenges are untrusted input.
    pub fn new(test: impl Fn(&Challenge) -> bool + Send + Sync + 'static) -> Self {
        ChallengeTest(Arc::new(test))
    }

    /// The challenges that pass this test or another one.
    pub(crate) fn or(self, other: Self) -> Self {
        ChallengeTest::new(move |challenge| (self.0)(challenge) || (other.0)(challenge))
    }

    /// Whether one of the challenges of a response passes.
    pub(crate) fn passes(&self, response: &HeaderMap) -> bool {
        let mut found = false;
        raw_challenges(response, |challenge| found = found || (self.0)(&Challenge::from(challenge)));
        found
    }
}

impl fmt::Debug for ChallengeTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChallengeTest").finish_non_exhaustive()
    }
}
