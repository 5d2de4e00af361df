//! Tokens with a wider scope, when the API asks for one.
//!
//! An API may want more than the token has, for one endpoint of many. It responds with 403, `insufficient_scope` and
//! the missing words (RFC 6750 section 3.1). Fetching the same token again would not help, so this is not an ordinary
//! rejection. It needs a test before the rejection, a wider request after it, and an end: a hostile API can invent
//! words without end.
//!
//! ```text
//! 403, insufficient_scope, scope="files:write"
//!  │
//!  ├─ ChallengeTest: new words? all allowed? below the limit? none refused before?
//!  │      no  ─► the caller gets the 403, nothing is fetched
//!  │      yes ─► the bearer becomes a suspect, a fetch begins
//!  │               asks for: usual scope + earlier steps + new words
//!  │               ├─ token    ─► the words are kept for all later fetches
//!  │               ├─ refused  ─► event; asks again without the new words, in the same fetch
//!  │               └─ outage   ─► the step leaves no trace
//! ```

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    oauth::{request::wire, scope},
    problem::{Problem, Problems},
    source::{Challenge, ChallengeTest, FetchContext, Identity},
    sync::{Mutex, lock},
};

/// How far a source goes when the API asks for a wider scope: HTTP 403 with `insufficient_scope` (RFC 6750 section
/// 3.1).
///
/// The provider then treats the response as a rejection. The next fetch asks for the scope so far and the words of the
/// challenge, never for less. While it is in progress, requests wait: one that is replayed needs the new token. The old
/// token is replaced, as the new one can do all that it could. If the fetch fails, the old one is back in service.
///
/// A step is not taken, and the caller gets the 403,
///
/// - when the challenge has no `scope`, or none but words that the source asked for already: another token would be
///   refused again,
/// - when the [limit](Self::at_most) is reached,
/// - when a word is not [allowed](Self::within), or the authorization server has refused it before.
///
/// If the authorization server refuses the wider scope, the fetch asks for the previous one again. So other requests
/// are not disturbed, and an event has the refusal. [`refresh_now`](crate::TokenProvider::refresh_now) forgets refusals
/// and starts counting again: call it after the client was given more rights.
///
/// ```
/// use bearer_token::oauth::{ClientAuth, ClientCredentials, StepUp, TokenEndpoint};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # #[cfg(feature = "http-transport")]
/// let source = TokenEndpoint::discover("https://as.example.com", ClientCredentials::new())
///     .client_auth(ClientAuth::basic("client-id", "client-secret"))
///     .scope("files:read")
///     .step_up(StepUp::at_most(3).within("files:write files:delete"))
///     .build()?;
/// # #[cfg(feature = "http-transport")] let _ = source;
/// # Ok(()) }
/// ```
///
/// The limit counts over the life of the source and not by the hour, so a loop between an API and its authorization
/// server ends.
#[derive(Clone, Debug)]
pub struct StepUp {
    limit: u32,
    within: Option<String>,
}

impl StepUp {
    /// Sets how many steps are taken during the life of the source. Refused ones count.
    ///
    /// Count the groups of permissions that the program can need: three is plenty for most. Zero is a problem at
    /// `build()`.
    pub fn at_most(limit: u32) -> Self {
        StepUp { limit, within: None }
    }

    /// Sets the words that may be added to the scope, separated by spaces. Default: any.
    ///
    /// The API chooses the words. If it may turn hostile, and the authorization server issues tokens that other APIs
    /// accept, name those that this API may have.
    ///
    /// A challenge with one word that is not in the list is not met at all. A token with the other words would be
    /// refused again.
    #[must_use]
    pub fn within(mut self, scope: impl Into<String>) -> Self {
        self.within = Some(scope.into());
        self
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        if self.limit == 0 {
            let problem = Problem::new("step_up", "found a limit of 0").expecting("at least 1, or no call of it");
            problems.add(problem);
        }
        if let Some(within) = &self.within {
            wire::check("step_up.within", within, problems);
        }
    }
}

/// The steps that one source has taken.
///
/// Shared by the endpoint and by the test that judges responses. The lock is held for list operations only.
pub(crate) struct Steps {
    rule: StepUp,
    state: Mutex<State>,
}

/// What the source has asked for, and what it was granted. `held` and `added` differ. What a server granted of its own
/// accord is held, but asked for only once a step makes it part of the union.
#[derive(Default)]
struct State {
    /// The words of the last request, and those that its response granted.
    held: Vec<String>,
    /// The words that steps have added.
    added: Vec<String>,
    /// The words that the authorization server has refused. They are not asked for again before `refresh_now`.
    refused: Vec<String>,
    /// How many steps were taken or refused.
    taken: u32,
}

/// The scope of one fetch.
pub(crate) struct Step {
    /// What to ask for.
    pub(crate) scope: String,
    /// The words that the API asks for beyond what the source held.
    wanted: Vec<String>,
}

impl Step {
    pub(crate) fn is_wider(&self) -> bool {
        !self.wanted.is_empty()
    }
}

impl Steps {
    pub(crate) fn new(rule: StepUp) -> Arc<Self> {
        Arc::new(Steps { rule, state: Mutex::new(State::default()) })
    }

    /// Adds the words that were added so far. So replicas that asked for more do not share with those that did not.
    pub(crate) fn identity(self: &Arc<Self>, identity: &mut Identity) {
        let steps = Arc::clone(self);
        identity.looked_up("step_up", move |_| {
            let mut added = lock(&steps.state).added.clone();
            added.sort_unstable();
            Box::pin(async move { Ok(Zeroizing::new(added.join(" ").into_bytes())) })
        });
    }

    /// The test for challenges that a step can meet.
    pub(crate) fn test(self: &Arc<Self>) -> ChallengeTest {
        let steps = Arc::clone(self);
        ChallengeTest::new(move |challenge| !steps.wanted(challenge, &lock(&steps.state)).is_empty())
    }

    /// What a fetch asks for: the usual scope, the words of earlier steps and, if the API asks for more, those too.
    ///
    /// Order: usual words first, then those of earlier steps, then the new ones. A server that cuts a long scope at its
    /// end then cuts the newest.
    pub(crate) fn begin(&self, usual: &str, cx: &FetchContext) -> Step {
        let mut state = lock(&self.state);
        if cx.reason().begins_anew() {
            state.refused.clear();
            state.taken = 0;
        }
        let wanted =
            cx.challenges().iter().map(|challenge| self.wanted(challenge, &state)).find(|words| !words.is_empty());
        let wanted = wanted.unwrap_or_default();
        if !wanted.is_empty() {
            // What the server granted of its own accord is part of the union.
            let held = std::mem::take(&mut state.held);
            scope::add(&mut state.added, held.iter().map(String::as_str));
            state.held = held;
        }
        let mut asked = Vec::new();
        scope::add(&mut asked, usual.split(' ').filter(|word| !word.is_empty()));
        scope::add(&mut asked, state.added.iter().map(String::as_str));
        state.held.clone_from(&asked);
        // A fetch that is dropped leaves no trace of its step.
        scope::add(&mut asked, wanted.iter().map(String::as_str));
        Step { scope: asked.join(" "), wanted }
    }

    /// Notes that a token arrived.
    pub(crate) fn took(&self, step: &Step, granted: Option<&str>) {
        let mut state = lock(&self.state);
        if step.is_wider() {
            state.taken = state.taken.saturating_add(1);
            scope::add(&mut state.added, step.wanted.iter().map(String::as_str));
            scope::add(&mut state.held, step.wanted.iter().map(String::as_str));
        }
        scope::add(&mut state.held, granted.and_then(scope::words).unwrap_or_default());
    }

    /// Notes the error of a fetch, and returns whether the server refused the step.
    pub(crate) fn is_refused(&self, step: &Step, error: &Error) -> bool {
        let is_verdict = error.kind() == ErrorKind::Refused && error.retry() == Retry::AfterChange;
        if !step.is_wider() || !is_verdict {
            return false;
        }
        let mut state = lock(&self.state);
        state.taken = state.taken.saturating_add(1);
        scope::add(&mut state.refused, step.wanted.iter().map(String::as_str));
        true
    }

    /// The words that a challenge asks for, if a step may be taken for it.
    ///
    /// Empty means that no step is taken, for whatever reason. The caller of the test needs no more than that.
    fn wanted(&self, challenge: &Challenge, state: &State) -> Vec<String> {
        let is_ours = challenge.is_scheme("Bearer") && challenge.parameter("error") == Some("insufficient_scope");
        if !is_ours || state.taken >= self.rule.limit {
            return Vec::new();
        }
        let Some(words) = challenge.parameter("scope").and_then(scope::words) else { return Vec::new() };
        let is_in = |list: &[String], word: &str| list.iter().any(|known| known == word);
        let new: Vec<_> = words.into_iter().filter(|word| !is_in(&state.held, word)).map(str::to_owned).collect();
        let allowed = |word: &String| {
            let within = self.rule.within.as_deref();
            within.is_none_or(|within| within.split(' ').any(|known| known == word)) && !is_in(&state.refused, word)
        };
        if new.iter().all(allowed) { new } else { Vec::new() }
    }
}
