//! A source that follows a test's script.

use std::{
    collections::VecDeque,
    fmt, future, panic,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bearer_token::{AccessToken, Error, FetchContext, FetchReason, TokenSource};

use crate::{
    gate::{Gate, Gates},
    tally::Tally,
};

/// A source that takes one outcome from its script for each fetch, and counts fetches.
///
/// Clones are the same source: give one to the provider, and keep one. After the end of the script every fetch has the
/// outcome set with [`otherwise`](Self::otherwise), by default [`Outcome::numbered`].
///
/// ```
/// use bearer_token::{ErrorKind, Error, FetchContext, FetchReason, TokenSource, platform::Platform};
/// use bearer_token_testing::{Outcome, ScriptedSource};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let script = ScriptedSource::new();
/// script.push(Outcome::token("first").expires_in(Duration::from_secs(60)));
/// script.push(Outcome::error(Error::new(ErrorKind::Unavailable, "the authorization server is down")));
///
/// let fetch = || {
///     let cx = FetchContext::new(Platform::system(), Duration::from_secs(10), FetchReason::Missing);
///     script.fetch(cx)
/// };
/// assert_eq!(fetch().await.unwrap().secret(), "first");
/// assert_eq!(fetch().await.unwrap_err().kind(), ErrorKind::Unavailable);
/// assert_eq!(fetch().await.unwrap().secret(), "token-3");
/// assert_eq!(script.count().started, 3);
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ScriptedSource(Arc<ScriptInner>);

#[derive(Default)]
struct ScriptInner {
    script: Mutex<Script>,
    gates: Gates,
    counts: Tally<FetchCounts>,
}

#[derive(Default)]
struct Script {
    outcomes: VecDeque<Outcome>,
    otherwise: Outcome,
    reasons: Vec<FetchReason>,
}

/// Counts of the fetches of a [`ScriptedSource`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchCounts {
    /// Fetches that were started.
    pub started: u64,
    /// Fetches in progress.
    pub running: u64,
    /// The highest number of fetches that were in progress at once.
    pub peak: u64,
    /// Fetches that ended with a token, an error or a panic.
    pub finished: u64,
    /// Fetches that were dropped before they ended.
    pub aborted: u64,
}

/// The outcome of one fetch of a [`ScriptedSource`].
#[derive(Clone)]
pub struct Outcome {
    effect: FetchEffect,
    lifetime: Lifetime,
    refresh_in: Option<Duration>,
    delay: Option<Duration>,
}

#[derive(Clone)]
enum FetchEffect {
    Token(String),
    Numbered,
    Error(Error),
    Hang,
    Panic,
    Call(Arc<Call>),
}

type Call = dyn Fn(&FetchContext) -> Result<AccessToken, Error> + Send + Sync;

#[derive(Clone, Copy, Debug)]
enum Lifetime {
    Unknown,
    Never,
    In(Duration),
    At(SystemTime),
}

impl Outcome {
    /// A token whose lifetime the source does not know.
    pub fn token(token: impl Into<String>) -> Self {
        Outcome::of(FetchEffect::Token(token.into()))
    }

    /// A token named after its fetch: `token-1`, `token-2`, and so on. It lives for an hour.
    pub fn numbered() -> Self {
        Outcome::of(FetchEffect::Numbered).expires_in(Duration::from_secs(3600))
    }

    /// A failure with this error.
    pub fn error(error: Error) -> Self {
        Outcome::of(FetchEffect::Error(error))
    }

    /// A fetch that runs until it is dropped.
    pub fn hang() -> Self {
        Outcome::of(FetchEffect::Hang)
    }

    /// A panic, without the usual message on standard error.
    pub fn panic() -> Self {
        Outcome::of(FetchEffect::Panic)
    }

    /// The result of a function, which is called at the end of the fetch.
    pub fn call(function: impl Fn(&FetchContext) -> Result<AccessToken, Error> + Send + Sync + 'static) -> Self {
        Outcome::of(FetchEffect::Call(Arc::new(function)))
    }

    /// Sets the token's lifetime.
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = Lifetime::In(lifetime);
        self
    }

    /// Sets the time at which the token expires.
    #[must_use]
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.lifetime = Lifetime::At(time);
        self
    }

    /// Makes the token valid until it is rejected.
    #[must_use]
    pub fn never_expires(mut self) -> Self {
        self.lifetime = Lifetime::Never;
        self
    }

    /// Hints at when to get the next token, as [`AccessToken::refresh_in`] does.
    #[must_use]
    pub fn refresh_in(mut self, time: Duration) -> Self {
        self.refresh_in = Some(time);
        self
    }

    /// Delays the outcome by this time, by the clock of the fetch's platform.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    fn of(effect: FetchEffect) -> Self {
        Outcome { effect, lifetime: Lifetime::Unknown, refresh_in: None, delay: None }
    }

    async fn happen(self, cx: &FetchContext, number: u64, running: &mut RunningFetch) -> Result<AccessToken, Error> {
        if let Some(delay) = self.delay {
            let deadline = cx.platform().now().monotonic().saturating_add(delay);
            cx.platform().sleep_until(deadline).await;
        }
        let token = match self.effect {
            FetchEffect::Token(token) => AccessToken::new(token),
            FetchEffect::Numbered => AccessToken::new(format!("token-{number}")),
            FetchEffect::Error(error) => return Err(error),
            FetchEffect::Hang => future::pending().await,
            FetchEffect::Panic => {
                running.finished = true;
                // Not `panic!`: a panic that a test wants needs no report.
                panic::resume_unwind(Box::new("the script of the source asked for a panic"))
            }
            FetchEffect::Call(function) => return function(cx),
        };
        let token = match self.refresh_in {
            Some(time) => token.refresh_in(time),
            None => token,
        };
        Ok(match self.lifetime {
            Lifetime::Unknown => token,
            Lifetime::Never => token.never_expires(),
            Lifetime::In(lifetime) => token.expires_in(lifetime),
            Lifetime::At(time) => token.expires_at(time),
        })
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Outcome::numbered()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match &self.effect {
            FetchEffect::Token(_) => "token",
            FetchEffect::Numbered => "numbered",
            FetchEffect::Error(_) => "error",
            FetchEffect::Hang => "hang",
            FetchEffect::Panic => "panic",
            FetchEffect::Call(_) => "call",
        };
        f.debug_struct("Outcome")
            .field("effect", &effect)
            .field("lifetime", &self.lifetime)
            .field("refresh_in", &self.refresh_in)
            .field("delay", &self.delay)
            .finish()
    }
}

impl ScriptedSource {
    /// Creates a source with an empty script.
    pub fn new() -> Self {
        ScriptedSource::default()
    }

    /// Adds an outcome to the end of the script. Each fetch takes the first outcome when it starts.
    pub fn push(&self, outcome: Outcome) {
        self.script().outcomes.push_back(outcome);
    }

    /// Sets the outcome of fetches after the end of the script.
    pub fn otherwise(&self, outcome: Outcome) {
        self.script().otherwise = outcome;
    }

    /// Holds fetches that start from now on at the gate, before their outcome.
    pub fn hold(&self) -> Gate {
        self.0.gates.hold()
    }

    /// The current counts, consistent with each other.
    pub fn count(&self) -> FetchCounts {
        self.0.counts.get()
    }

    /// The reason of each fetch, in order.
    pub fn reasons(&self) -> Vec<FetchReason> {
        self.script().reasons.clone()
    }

    /// Waits until the counts satisfy the condition, and returns them.
    ///
    /// There is no deadline: add one where the test could hang. Works inside and outside a runtime.
    pub async fn wait_for(&self, reached: impl FnMut(&FetchCounts) -> bool + Send) -> FetchCounts {
        self.0.counts.wait_for(reached).await
    }

    /// Waits until this many fetches were started; see [`wait_for`](Self::wait_for).
    pub async fn wait_for_fetches(&self, started: u64) {
        self.wait_for(|counts| counts.started >= started).await;
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenSource for ScriptedSource {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let arrival = self.0.gates.arrive();
        let (outcome, number) = {
            let mut script = self.script();
            script.reasons.push(cx.reason());
            let outcome = script.outcomes.pop_front().unwrap_or_else(|| script.otherwise.clone());
            (outcome, script.reasons.len() as u64)
        };
        let mut running = RunningFetch::start(&self.0);
        arrival.pass().await;
        let result = outcome.happen(&cx, number, &mut running).await;
        running.finished = true;
        result
    }
}

impl fmt::Debug for ScriptedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedSource").field("counts", &self.count()).finish_non_exhaustive()
    }
}

/// Counts a fetch, even when it is dropped.
struct RunningFetch {
    shared: Arc<ScriptInner>,
    finished: bool,
}

impl RunningFetch {
    fn start(shared: &Arc<ScriptInner>) -> Self {
        shared.counts.update(|counts| {
            counts.started += 1;
            counts.running += 1;
            counts.peak = counts.peak.max(counts.running);
        });
        RunningFetch { shared: Arc::clone(shared), finished: false }
    }
}

impl Drop for RunningFetch {
    fn drop(&mut self) {
        self.shared.counts.update(|counts| {
            counts.running -= 1;
            *(if self.finished { &mut counts.finished } else { &mut counts.aborted }) += 1;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task};

    use bearer_token::{ErrorKind, platform::Platform};

    use super::*;
    use crate::ManualClock;

    fn context(clock: &ManualClock, reason: FetchReason) -> FetchContext {
        FetchContext::new(Platform::system().with_clock(clock.clone()), Duration::from_secs(10), reason)
    }

    fn poll<F: Future>(fetch: std::pin::Pin<&mut F>) -> task::Poll<F::Output> {
        fetch.poll(&mut task::Context::from_waker(task::Waker::noop()))
    }

    #[tokio::test]
    async fn the_default_outcome_follows_the_script() {
        let (script, clock) = (ScriptedSource::new(), ManualClock::new());
        script.push(Outcome::token("first"));
        script.push(Outcome::error(Error::new(ErrorKind::Refused, "no")));
        script.push(Outcome::call(|cx| Ok(AccessToken::new(format!("{:?}", cx.reason())))));
        let fetch = async |reason| script.fetch(context(&clock, reason)).await.map(|token| token.secret().to_owned());
        assert_eq!(fetch(FetchReason::Missing).await.unwrap(), "first");
        assert_eq!(fetch(FetchReason::Stale).await.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(fetch(FetchReason::Rejected).await.unwrap(), "Rejected");
        assert_eq!(fetch(FetchReason::Requested).await.unwrap(), "token-4");
        script.otherwise(Outcome::token("last"));
        assert_eq!(fetch(FetchReason::Missing).await.unwrap(), "last");
        let reasons = [FetchReason::Missing, FetchReason::Stale, FetchReason::Rejected, FetchReason::Requested];
        assert_eq!(script.reasons(), [&reasons[..], &reasons[..1]].concat());
        let expected = FetchCounts { started: 5, running: 0, peak: 1, finished: 5, aborted: 0 };
        assert_eq!(script.count(), expected);
    }

    #[test]
    fn held_fetches_wait_and_dropped_ones_are_counted() {
        let (script, clock) = (ScriptedSource::new(), ManualClock::new());
        let gate = script.hold();
        let mut held = pin!(script.fetch(context(&clock, FetchReason::Missing)));
        let mut dropped = Box::pin(script.fetch(context(&clock, FetchReason::Missing)));
        assert!(poll(held.as_mut()).is_pending() && poll(dropped.as_mut()).is_pending());
        assert!(poll(pin!(script.wait_for_fetches(2))).is_ready());
        assert!(poll(pin!(script.wait_for_fetches(3))).is_pending());
        drop(dropped);
        gate.release();
        assert!(poll(held).is_ready());
        assert_eq!(script.count(), FetchCounts { started: 2, running: 0, peak: 2, finished: 1, aborted: 1 });
    }

    #[test]
    fn delays_use_the_clock_of_the_platform() {
        let (script, clock) = (ScriptedSource::new(), ManualClock::new());
        script.push(Outcome::token("late").after(Duration::from_secs(3)));
        script.push(Outcome::hang());
        let mut late = pin!(script.fetch(context(&clock, FetchReason::Missing)));
        let mut never = pin!(script.fetch(context(&clock, FetchReason::Missing)));
        assert!(poll(late.as_mut()).is_pending() && poll(never.as_mut()).is_pending());
        clock.advance(Duration::from_secs(2));
        assert!(poll(late.as_mut()).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(poll(late).is_ready());
        clock.advance(Duration::from_secs(1_000_000));
        assert!(poll(never).is_pending());
    }

    #[test]
    fn a_panic_ends_only_its_fetch() {
        let (script, clock) = (ScriptedSource::new(), ManualClock::new());
        script.push(Outcome::panic());
        let fetch = || poll(pin!(script.fetch(context(&clock, FetchReason::Missing)))).is_ready();
        assert!(panic::catch_unwind(panic::AssertUnwindSafe(fetch)).is_err());
        assert!(fetch());
        assert_eq!(script.count(), FetchCounts { started: 2, running: 0, peak: 1, finished: 2, aborted: 0 });
    }

    #[test]
    fn l38_no_token_of_the_script_is_printed() {
        let outcome = Outcome::token("planted-marker");
        let script = ScriptedSource::new();
        script.push(outcome.clone());
        assert!(!format!("{outcome:?} {script:?}").contains("planted-marker"));
    }
}
