//! What must hold whatever happens, checked against a model that knows what the source brought and nothing of the
//! library's insides.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use bearer_token::{Error, ErrorKind, FetchContext, FetchReason, Rejection, Retry, TokenProvider, platform::Moment};

use super::world::{TrueMoment, World, lock};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The first thing that went wrong, and what was seen.
#[derive(Default)]
pub(crate) struct Oracle {
    wrong: Mutex<Option<String>>,
    seen: Mutex<Seen>,
}

/// How much of everything there was: a test that sees nothing proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) sent: u64,
    pub(crate) waited: u64,
    pub(crate) cancelled: u64,
    pub(crate) refused: u64,
    pub(crate) foreign: u64,
    pub(crate) fetches: u64,
    pub(crate) failures: u64,
    pub(crate) timeouts: u64,
    pub(crate) abandoned: u64,
    pub(crate) rejected: u64,
    pub(crate) renewing: u64,
    pub(crate) superseded: u64,
    pub(crate) declined: u64,
    pub(crate) born_short: u64,
    pub(crate) forgiven: u64,
    pub(crate) outages: u64,
    pub(crate) unsure: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: Seen) {
        self.sent += other.sent;
        self.waited += other.waited;
        self.cancelled += other.cancelled;
        self.refused += other.refused;
        self.foreign += other.foreign;
        self.fetches += other.fetches;
        self.failures += other.failures;
        self.timeouts += other.timeouts;
        self.abandoned += other.abandoned;
        self.rejected += other.rejected;
        self.renewing += other.renewing;
        self.superseded += other.superseded;
        self.declined += other.declined;
        self.born_short += other.born_short;
        self.forgiven += other.forgiven;
        self.outages += other.outages;
        self.unsure += other.unsure;
    }

    /// Whether there was some of everything.
    pub(crate) fn is_everything(&self) -> bool {
        let all = [
            self.sent,
            self.waited,
            self.cancelled,
            self.refused,
            self.foreign,
            self.fetches,
            self.failures,
            self.timeouts,
            self.abandoned,
            self.rejected,
            self.renewing,
            self.superseded,
            self.declined,
            self.born_short,
            self.forgiven,
            self.outages,
            self.unsure,
        ];
        all.into_iter().all(|count| count > 0)
    }
}

impl Oracle {
    pub(crate) fn see(&self, what: impl FnOnce(&mut Seen)) {
        what(&mut lock(&self.seen));
    }

    pub(crate) fn seen(&self) -> Seen {
        *lock(&self.seen)
    }

    pub(crate) fn accuse(&self, what: impl fmt::Display) {
        lock(&self.wrong).get_or_insert_with(|| what.to_string());
    }

    pub(crate) fn wrong(&self) -> Option<String> {
        lock(&self.wrong).clone()
    }
}

/// What is known of one provider from outside.
pub(crate) struct Model {
    world: World,
    oracle: Arc<Oracle>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The latest tokens.
    tokens: BTreeMap<String, Token>,
    order: VecDeque<String>,
    /// What must be in service.
    current: Option<String>,
    withdrawn: Withdrawn,
    /// A fetch ended perhaps too late to count: the next observer reads what is in service.
    unsure: bool,
    running: BTreeMap<u64, Flying>,
    next_fetch: u64,
    failures: u32,
    /// Before this no fetch may start, unless it was asked for.
    closed_until: Duration,
    /// The last failure waits for a change; the key has changed since the last fetch began.
    terminal: bool,
    changed: bool,
    last_landing: Duration,
    last_abandoned: Duration,
    /// When the last renewal ended that a rejection certainly forced, and the last one that may have been forced.
    forced: Option<Duration>,
    perhaps_forced: Option<Duration>,
    /// No refresh in the background may begin before.
    quiet_until: Duration,
    outage: Option<Outage>,
    abandoned: u64,
}

struct Token {
    /// For each response that contained it: when it was requested, and how long it lives.
    issued: Vec<(TrueMoment, Duration)>,
    arrived: Option<(TrueMoment, bool)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Withdrawn {
    #[default]
    No,
    Yes,
    /// Both are legal: its renewal was abandoned during a cool-down, or it was rejected when only one of the responses
    /// that brought it said that it was still usable.
    Maybe,
}

struct Flying {
    overdue: Duration,
    reason: FetchReason,
}

struct Outage {
    since: Duration,
    fetches: u64,
    excused: u64,
}

/// How long the docs of `Policy` say that a token is never sent at its end.
fn kept_back(lifetime: Duration) -> Duration {
    (10 * SECOND).min(lifetime / 10)
}

impl Token {
    /// Whether it may be sent, by both clocks of the machine, if any one response is right.
    fn is_usable(&self, now: Moment) -> bool {
        self.issued.iter().any(|(asked, lifetime)| is_usable(asked, *lifetime, now))
    }

    /// Whether it may be sent, whichever response is right.
    fn is_surely_usable(&self, now: Moment) -> bool {
        self.issued.iter().all(|(asked, lifetime)| is_usable(asked, *lifetime, now))
    }

    /// What the server thinks. The machine can know better only as far as its clocks tell: it may have slept, which the
    /// monotonic clock does not show, and by as much as its time of day was set back, that does not show it either.
    fn is_expired_for_the_server(&self, moment: &TrueMoment) -> bool {
        self.issued.iter().all(|(asked, lifetime)| {
            let age = moment.truth - asked.truth;
            let slept = moment.slept - asked.slept;
            let by_wall = moment.now.since_epoch().saturating_sub(asked.now.since_epoch());
            let hidden = age.saturating_sub(by_wall).min(slept);
            age >= *lifetime + hidden
        })
    }
}

fn is_usable(asked: &TrueMoment, lifetime: Duration, now: Moment) -> bool {
    let deadline = asked.now.after(lifetime - kept_back(lifetime));
    now.monotonic() < deadline.monotonic() && now.since_epoch() < deadline.since_epoch()
}

impl Model {
    pub(crate) fn new(world: World, oracle: Arc<Oracle>) -> Self {
        Model { world, oracle, state: Mutex::default() }
    }

    pub(crate) fn oracle(&self) -> &Oracle {
        &self.oracle
    }

    fn accuse(&self, what: impl fmt::Display) {
        let moment = self.world.moment();
        self.oracle.accuse(format!("{what} (at {:?} by the monotonic clock)", moment.now.monotonic()));
    }

    // What the source does.

    pub(crate) fn fetch_started(&self, cx: &FetchContext) -> u64 {
        let moment = self.world.moment();
        let (started, overdue) = (cx.started().monotonic(), cx.deadline().monotonic() + SECOND);
        let mut state = lock(&self.state);
        self.oracle.see(|seen| seen.fetches += 1);
        if moment.now.monotonic() >= overdue {
            self.accuse("a fetch was begun whose time was over before");
        }
        if state.running.values().any(|other| moment.now.monotonic() < other.overdue) {
            self.accuse("two fetches at a time");
        }
        // A fetch that ended after the decision says nothing about it.
        if state.last_landing <= started && !state.unsure {
            self.judge_start(&mut state, cx.reason(), started, cx.started());
        }
        // It reads the key again.
        state.changed = false;
        if let Some(outage) = &mut state.outage {
            outage.fetches += 1;
            outage.excused += u64::from(cx.reason() == FetchReason::Requested);
        }
        state.next_fetch += 1;
        let id = state.next_fetch;
        state.running.insert(id, Flying { overdue, reason: cx.reason() });
        id
    }

    fn judge_start(&self, state: &mut State, reason: FetchReason, started: Duration, now: Moment) {
        if reason != FetchReason::Requested && started < state.closed_until {
            if state.terminal && state.changed {
                state.closed_until = started;
                self.oracle.see(|seen| seen.forgiven += 1);
                if let Some(outage) = &mut state.outage {
                    outage.excused += 1;
                }
            } else {
                let early = state.closed_until - started;
                self.accuse(format!("a fetch ({reason:?}) {early:?} before the cool-down could end"));
            }
        }
        match reason {
            FetchReason::Missing if state.withdrawn == Withdrawn::No && state.surely_usable(now).is_some() => {
                self.accuse("a fetch because there is no token, though there was one");
            }
            FetchReason::Stale if started < state.quiet_until => {
                self.accuse("a refresh right after the one that brought nothing better");
            }
            FetchReason::Rejected if state.forced.is_some_and(|ended| started < ended + 5 * SECOND) => {
                self.accuse("a rejection forced a renewal less than 5 s after the last one");
            }
            _ => {}
        }
    }

    /// The server responds: the token's lifetime for the provider, counted from the start of its request.
    pub(crate) fn issued(&self, token: &str, asked: TrueMoment, lifetime: Duration) {
        let mut state = lock(&self.state);
        if let Some(known) = state.tokens.get_mut(token) {
            known.issued.push((asked, lifetime));
            return;
        }
        state.order.push_back(token.to_owned());
        state.tokens.insert(token.to_owned(), Token { issued: vec![(asked, lifetime)], arrived: None });
        // Those that may still be sent are among the latest.
        if state.order.len() > 64
            && let Some(oldest) = state.order.pop_front()
        {
            state.tokens.remove(&oldest);
        }
    }

    pub(crate) fn fetch_ended(&self, id: u64, result: Result<&str, &Error>) {
        match result {
            Ok(token) => self.arrived(id, token),
            Err(error) => self.failed(id, error.retry()),
        }
    }

    /// A fetch was dropped before it ended: at its deadline, or because the caller that drove it was dropped.
    pub(crate) fn fetch_dropped(&self, id: u64, cx: &FetchContext) {
        let now = self.world.moment().now;
        if !self.world.is_closing() && now.monotonic() >= cx.deadline().monotonic() {
            self.oracle.see(|seen| seen.timeouts += 1);
            return self.failed(id, Retry::Later { after: None });
        }
        self.oracle.see(|seen| seen.abandoned += 1);
        let mut state = lock(&self.state);
        state.running.remove(&id);
        state.abandoned += 1;
        state.last_abandoned = now.monotonic();
        // Another may follow at once, and may be forced by the same rejection.
        state.forced = None;
        if state.failures > 0 && state.withdrawn == Withdrawn::Yes {
            state.withdrawn = Withdrawn::Maybe;
        }
        if let Some(outage) = &mut state.outage {
            outage.excused += 1;
        }
    }

    fn arrived(&self, id: u64, token: &str) {
        let moment = self.world.moment();
        let now = moment.now;
        let mut state = lock(&self.state);
        let Some(flying) = state.running.remove(&id) else { return };
        state.failures = 0;
        state.closed_until = Duration::ZERO;
        state.last_landing = now.monotonic();
        let Some(new) = state.tokens.get(token) else {
            return self.accuse("the source gave a token that the server never issued");
        };
        let (short, sure) = (!new.is_usable(now), new.is_surely_usable(now));
        let again = state.current.as_deref() == Some(token);
        let earliest = new.issued.iter().map(|(asked, lifetime)| asked.now.monotonic() + *lifetime / 2).max();
        // Born stale, or nothing new: there is a pause. Otherwise it is fresh for half of its life.
        state.quiet_until = earliest.unwrap_or_default().min(now.monotonic() + SECOND / 2);
        if let Some(new) = state.tokens.get_mut(token) {
            new.arrived = Some((moment, short));
        }
        if now.monotonic() >= flying.overdue {
            state.doubt(&self.oracle);
            return;
        }
        state.note_renewal(flying.reason, now.monotonic());
        // One that cannot be kept is no reason to give up one that is good, unless that was rejected.
        let kept = state.surely_usable(now).is_some() && state.withdrawn == Withdrawn::No;
        if again && !sure {
            state.doubt(&self.oracle);
        } else if !(short && kept) {
            state.current = Some(token.to_owned());
        }
        state.withdrawn = Withdrawn::No;
    }

    fn failed(&self, id: u64, retry: Retry) {
        let moment = self.world.moment().now;
        let now = moment.monotonic();
        let mut state = lock(&self.state);
        let Some(flying) = state.running.remove(&id) else { return };
        self.oracle.see(|seen| seen.failures += 1);
        state.last_landing = now;
        if now >= flying.overdue {
            if state.withdrawn == Withdrawn::Yes {
                state.withdrawn = Withdrawn::Maybe;
            }
            return;
        }
        state.note_renewal(flying.reason, now);
        state.failures += 1;
        state.withdrawn = Withdrawn::No;
        let doubled =
            |first: Duration, limit: Duration| first.saturating_mul(1 << (state.failures - 1).min(16)).min(limit);
        let (wait, least) = match retry {
            Retry::Later { after } => {
                let asked = after.unwrap_or_default().min(60 * MINUTE);
                ((doubled(SECOND, MINUTE) / 2).max(asked), (SECOND / 2).max(asked))
            }
            _ => (doubled(5 * SECOND, 5 * MINUTE), 5 * SECOND),
        };
        // It may end with the token that is in service, but a first failure's wait is the least.
        let wait = state.least_left(moment).map_or(wait, |left| wait.min(left.max(least)));
        state.terminal = retry == Retry::AfterChange;
        state.closed_until = state.closed_until.max(now + wait);
    }

    // What callers see.

    /// A request goes out with this token. It was made at `since`, and may have waited.
    pub(crate) fn sent(&self, provider: &TokenProvider, token: &str, since: Duration) {
        let moment = self.world.moment();
        let now = moment.now;
        self.oracle.see(|seen| seen.sent += 1);
        let mut state = self.observe(provider);
        let Some(sent) = state.tokens.get(token) else {
            return self.accuse("a request carries a token that this provider never got, or got long ago");
        };
        let Some((arrived, short)) = sent.arrived else {
            return self.accuse("a request carries a token whose fetch has not ended");
        };
        let usable = sent.is_usable(now);
        if !usable {
            // One fetch serves its waiters, however short the lifetime (L14), even if the token expires before they
            // are polled: a runtime may stand still, and a service may have no room. Later callers never get it.
            let waited = since <= arrived.truth;
            let late = arrived.now.after(10 * SECOND).is_past(now);
            if !waited || late {
                return self.accuse(format!(
                    "a token was sent past its expiry (born short: {short}, waited for: {waited}, late: {late})"
                ));
            }
            self.oracle.see(|seen| seen.born_short += u64::from(short));
        } else if sent.is_expired_for_the_server(&moment) {
            return self.accuse("a token was sent that had expired for the server, and the clocks told");
        }
        let newer = state.surely_usable(now).is_some_and(|current| current != token);
        if newer && state.withdrawn == Withdrawn::No {
            return self.accuse("an old token was sent though a newer one is in service");
        }
        state.settle_doubt(now);
        if usable && state.current.as_deref() == Some(token) && state.withdrawn == Withdrawn::Yes {
            self.accuse("a rejected token was sent while its renewal is on its way");
        }
    }

    /// A request found no token to go out with at once.
    pub(crate) fn not_ready(&self, provider: &TokenProvider) {
        let now = self.world.moment().now;
        let mut state = self.observe(provider);
        state.settle_doubt(now);
        self.oracle.see(|seen| seen.waited += 1);
        if state.withdrawn == Withdrawn::No && state.surely_usable(now).is_some() {
            self.accuse("a request has to wait though there is a usable token");
        }
    }

    /// A waiter was woken now, and all runtimes were driven: a fetch must have ended now.
    pub(crate) fn woken(&self) {
        let now = self.world.moment().now.monotonic();
        let state = lock(&self.state);
        if now != state.last_landing && now != state.last_abandoned {
            let late = now - state.last_landing.max(state.last_abandoned);
            self.accuse(format!("a waiter was woken {late:?} too late"));
        }
    }

    /// A request got an error instead of a token.
    pub(crate) fn refused(&self, provider: &TokenProvider, kind: ErrorKind) {
        let now = self.world.moment().now;
        let state = self.observe(provider);
        self.oracle.see(|seen| seen.refused += 1);
        if state.surely_usable(now).is_some() {
            self.accuse(format!(
                "a request was refused ({kind:?}) though there is a usable token (withdrawn: {:?})",
                state.withdrawn
            ));
        }
    }

    /// The API refused a token, and the provider was told.
    pub(crate) fn rejected(&self, provider: &TokenProvider, token: &str, outcome: Rejection) {
        let now = self.world.moment().now;
        let mut state = self.observe(provider);
        self.oracle.see(|seen| {
            seen.rejected += 1;
            match outcome {
                Rejection::Renewing => seen.renewing += 1,
                Rejection::Superseded => seen.superseded += 1,
                Rejection::Declined => seen.declined += 1,
                _ => {}
            }
        });
        if state.current.as_deref() != Some(token) || state.surely_usable(now).is_none() {
            let is_other = state.current.as_deref().is_some_and(|current| current != token);
            if outcome == Rejection::Renewing && !is_other && state.withdrawn == Withdrawn::No {
                state.withdrawn = Withdrawn::Maybe;
            }
            return;
        }
        match outcome {
            Rejection::Renewing if state.withdrawn == Withdrawn::No => state.withdrawn = Withdrawn::Yes,
            Rejection::Renewing => {}
            Rejection::Superseded => self.accuse("the token in service was said to be superseded"),
            Rejection::Declined => {
                let failing =
                    now.monotonic() < state.closed_until.max(state.last_landing + 60 * MINUTE) && state.failures > 0;
                let ended = state.forced.max(state.perhaps_forced);
                let braked = ended.is_some_and(|ended| now.monotonic() < ended + 5 * MINUTE);
                if !failing && !braked && state.abandoned == 0 {
                    self.accuse("a rejection was declined without a reason");
                }
            }
            other => self.accuse(format!("an outcome that is unknown here: {other:?}")),
        }
    }

    // What happens around it.

    /// The key that the source signs with was replaced.
    pub(crate) fn key_changed(&self) {
        lock(&self.state).changed = true;
    }

    /// From now on every token request fails.
    pub(crate) fn outage_begins(&self) {
        let since = self.world.moment().now.monotonic();
        lock(&self.state).outage = Some(Outage { since, fetches: 0, excused: 0 });
    }

    pub(crate) fn outage_ends(&self) {
        let now = self.world.moment().now.monotonic();
        let Some(outage) = lock(&self.state).outage.take() else { return };
        self.oracle.see(|seen| seen.outages += 1);
        // The shortest waits that the policy allows: 0.5 s, 1 s, .. 30 s, and so on. One of them may end with the
        // token.
        let (mut left, mut wait, mut allowed) = (now - outage.since, SECOND / 2, 3);
        while left >= wait {
            left -= wait;
            wait = (2 * wait).min(30 * SECOND);
            allowed += 1;
        }
        if outage.fetches > allowed + 2 * outage.excused {
            let Outage { fetches, excused, .. } = outage;
            self.accuse(format!("{fetches} fetches in an outage that allows {allowed}, and {excused} more"));
        }
    }

    /// It ends here: what the model remembers is none of the provider's memory.
    pub(crate) fn forget(&self) {
        *lock(&self.state) = State::default();
    }

    fn observe(&self, provider: &TokenProvider) -> std::sync::MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        if std::mem::take(&mut state.unsure) {
            state.current = provider.cached().map(|bearer| bearer.secret().to_owned());
        }
        state
    }
}

impl State {
    /// The token that must be in service, if it may certainly be sent.
    fn surely_usable(&self, now: Moment) -> Option<&str> {
        let current = self.current.as_deref().filter(|_| !self.unsure)?;
        self.tokens.get(current)?.is_surely_usable(now).then_some(current)
    }

    /// The shortest time for which the token in service may still be sent, if there is one that may.
    fn least_left(&self, now: Moment) -> Option<Duration> {
        if self.unsure {
            return Some(Duration::ZERO);
        }
        let issued = &self.tokens.get(self.current.as_deref()?)?.issued;
        let usable = issued.iter().filter(|(asked, lifetime)| is_usable(asked, *lifetime, now));
        usable.map(|(asked, lifetime)| asked.now.after(*lifetime - kept_back(*lifetime)).remaining(now)).min()
    }

    /// Notes the end of a fetch that a rejection forced, or may have forced.
    fn note_renewal(&mut self, reason: FetchReason, now: Duration) {
        if reason == FetchReason::Rejected || self.withdrawn == Withdrawn::Yes {
            self.forced = Some(now);
        } else if self.withdrawn == Withdrawn::Maybe {
            self.perhaps_forced = Some(now);
        }
    }

    fn doubt(&mut self, oracle: &Oracle) {
        self.unsure = true;
        self.withdrawn = Withdrawn::Maybe;
        oracle.see(|seen| seen.unsure += 1);
    }

    /// With nothing on its way and a failure behind it, a renewal may have been given up.
    fn settle_doubt(&mut self, now: Moment) {
        let flying = self.running.values().any(|flying| now.monotonic() < flying.overdue);
        if self.withdrawn == Withdrawn::Yes && self.failures > 0 && !flying {
            self.withdrawn = Withdrawn::Maybe;
        }
    }
}
