//! The replica of the model against the real source: the same answers must lead to the same calls and the same end.
//!
//! One replica, in every state of its own token and for every reason to fetch; every sequence of answers of a store and
//! a server, where a flight is shown at most one newer record and is kept waiting once or until it gives up. The replica
//! may stand still before an answer, until the time of its flight is over.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bearer_token::{
    AccessToken, Error, ErrorKind, FetchContext, FetchReason, Retry, TokenSource,
    platform::Platform,
    shared::{Fleet, SealingKeys, Shared},
    store::{Down, Fence, Leased as RealLeased, Order, Saved as RealSaved, SharedStore, StoreKey, Version},
};
use bearer_token_testing::ManualClock;

use super::{
    replica::{Answer, Call, Ended, Reason, Replica},
    rules::{
        CLOCK_STEP, COOL_DOWN, Content, FLIGHT, Held, LIFE, MARGIN, Of, PATIENCE, Rules, SHORT_LEASE, SOUND, STALE,
        Snapshot, Tick,
    },
    store::{Leased, Saved},
};

mod left_out;

/// A step of the model's clock.
const TICK: Duration = Duration::from_secs(60);
/// The real lease outlasts the flight by this.
const REAL_MARGIN: Duration = Duration::from_secs(5);
/// A real token is not sent in the last part of its life.
const REAL_RESERVE: Duration = Duration::from_secs(10);

/// The numbers of replicas in the records of the model. Real ones are random.
const ITSELF: u8 = 1;
const OTHER: u8 = 2;

/// What the real source asks.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Asked {
    Read,
    Lease { seen: u64, ttl: Duration },
    Exchange,
    Save { record: Vec<u8>, life: Duration, fence: u64, seen: u64 },
    Release { fence: u64 },
    Change,
}

/// What it is answered.
#[derive(Clone, Debug)]
enum Reply {
    Down,
    Read(Option<bearer_token::store::Snapshot>),
    Leased(RealLeased),
    Saved(RealSaved),
    Done,
    Token(u8),
    Refused,
    NoConnection,
}

/// Where calls lie until they are answered.
#[derive(Clone, Default)]
struct Desk(Arc<Mutex<(Option<Asked>, Option<Reply>)>>);

impl Desk {
    fn lock(&self) -> MutexGuard<'_, (Option<Asked>, Option<Reply>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, asked: Asked) -> Reply {
        self.lock().0 = Some(asked);
        poll_fn(|_| self.lock().1.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    async fn ask_store<T>(&self, asked: Asked, answer: impl FnOnce(Reply) -> Option<T>) -> Result<T, Down> {
        let reply = self.ask(asked).await;
        answer(reply).ok_or_else(|| Down::new("the store is not there"))
    }
}

impl SharedStore for Desk {
    const ORDER: Order = Order::LosesWrites;

    async fn read(&self, _key: &StoreKey) -> Result<Option<bearer_token::store::Snapshot>, Down> {
        self.ask_store(Asked::Read, |reply| if let Reply::Read(found) = reply { Some(found) } else { None }).await
    }

    async fn lease(&self, _key: &StoreKey, seen: Version, ttl: Duration) -> Result<RealLeased, Down> {
        let asked = Asked::Lease { seen: seen.get(), ttl };
        self.ask_store(asked, |reply| if let Reply::Leased(leased) = reply { Some(leased) } else { None }).await
    }

    async fn save(
        &self,
        _key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<RealSaved, Down> {
        let asked = Asked::Save { record: record.to_vec(), life, fence: fence.get(), seen: seen.get() };
        self.ask_store(asked, |reply| if let Reply::Saved(saved) = reply { Some(saved) } else { None }).await
    }

    async fn release(&self, _key: &StoreKey, fence: Fence) -> Result<(), Down> {
        let asked = Asked::Release { fence: fence.get() };
        self.ask_store(asked, |reply| matches!(reply, Reply::Done).then_some(())).await
    }

    /// Notifies at the next tick, so that the source asks once per tick as the model does.
    async fn changed(&self, _platform: &Platform, _key: &StoreKey, _since: Version, _within: Duration) {
        self.ask(Asked::Change).await;
    }
}

/// A real source on a clock and a desk of its own.
struct Real {
    desk: Desk,
    clock: ManualClock,
    source: Shared,
    /// The token that it gave last, as its provider remembers it.
    last: Option<AccessToken>,
}

type RealFlight = Pin<Box<dyn Future<Output = Result<AccessToken, Error>> + Send>>;

enum Next {
    Asked(Asked),
    Ended(Result<AccessToken, Error>),
}

impl Real {
    fn new(keys: &SealingKeys) -> Self {
        let desk = Desk::default();
        let server = desk.clone();
        let source = move |cx: FetchContext| {
            let server = server.clone();
            async move {
                match server.ask(Asked::Exchange).await {
                    Reply::Token(number) => {
                        let token = AccessToken::new(number.to_string()).expires_in(TICK * LIFE.into());
                        Ok(token.issued(cx.platform().now()))
                    }
                    reply => {
                        let is_reached = !matches!(reply, Reply::NoConnection);
                        let kind = if is_reached { ErrorKind::Unavailable } else { ErrorKind::Transport };
                        let retry = Retry::Later { after: Some(TICK * COOL_DOWN.into()) };
                        Err(Error::new(kind, "the server is down").with_retry(retry))
                    }
                }
            }
        };
        let fleet = Fleet::builder(desk.clone(), keys.clone()).build().unwrap();
        Real { desk, clock: ManualClock::new(), source: fleet.share_as("orders", source), last: None }
    }

    fn begin(&self, reason: Reason) -> RealFlight {
        let reason = match reason {
            Reason::Missing => FetchReason::Missing,
            Reason::Stale => FetchReason::Stale,
            Reason::Rejected => FetchReason::Rejected,
        };
        let platform = Platform::system().with_clock(self.clock.clone());
        let cx = FetchContext::new(platform, TICK * FLIGHT.into(), reason);
        let cx = match &self.last {
            Some(last) => cx.with_last_token(last),
            None => cx,
        };
        let source = self.source.clone();
        Box::pin(async move { source.fetch(cx).await })
    }

    fn next(&self, flight: &mut RealFlight, reply: Option<Reply>) -> Next {
        self.desk.lock().1 = reply;
        match flight.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Next::Ended(result),
            Poll::Pending => Next::Asked(self.desk.lock().0.take().unwrap()),
        }
    }

    /// Plays a flight whose answers are known. Gives what it saves, if it does.
    fn play(&self, reason: Reason, replies: &[Reply]) -> (Option<(Vec<u8>, Duration)>, Next) {
        let (mut flight, mut saved) = (self.begin(reason), None);
        let mut next = self.next(&mut flight, None);
        for reply in replies {
            next = self.next(&mut flight, Some(reply.clone()));
            if let Next::Asked(Asked::Save { record, life, .. }) = &next {
                saved = Some((record.clone(), *life));
            }
        }
        (saved, next)
    }
}

/// Records, sealed by real sources.
struct Mint {
    keys: SealingKeys,
    records: BTreeMap<Content, (Vec<u8>, Duration)>,
}

impl Mint {
    fn new() -> Self {
        let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
        Mint { keys, records: BTreeMap::new() }
    }

    fn snapshot(&mut self, model: Snapshot) -> bearer_token::store::Snapshot {
        let Snapshot { content, version } = model;
        // Failures were saved so long ago.
        let passed = if content.has_failed { COOL_DOWN - content.cool_down } else { 0 };
        let (record, life) = match content {
            Content { token: None, has_failed: false, .. } => (b"no record of this fleet".to_vec(), TICK),
            _ => {
                let keys = self.keys.clone();
                let found = self.records.entry(content).or_insert_with(|| seal(&keys, content, passed));
                found.clone()
            }
        };
        let life = if let (Some(held), false) = (content.token, content.has_failed) {
            TICK * held.until.into()
        } else {
            life - TICK * passed.into()
        };
        bearer_token::store::Snapshot::new(record, Version::new(version.into()), life)
    }
}

/// A record as a replica saves it, with the life that it gives it.
fn seal(keys: &SealingKeys, content: Content, passed: Tick) -> (Vec<u8>, Duration) {
    let granted = |fence: u8| Reply::Leased(RealLeased::Granted(Fence::new(fence.into())));
    let token = content.token.map(|held| {
        let replies = [Reply::Read(None), granted(held.number), Reply::Token(held.number)];
        Real::new(keys).play(Reason::Missing, &replies).0.unwrap()
    });
    if !content.has_failed {
        return token.unwrap();
    }
    let found = token.zip(content.token).map(|((record, _), held)| {
        let life = TICK * (held.until + passed).into();
        bearer_token::store::Snapshot::new(record, Version::new(held.number.into()), life)
    });
    // A replica that was rejected does not adopt the token that it never had.
    let failure = if content.of == Of::All { Reply::Refused } else { Reply::NoConnection };
    Real::new(keys).play(Reason::Rejected, &[Reply::Read(found), granted(200), failure]).0.unwrap()
}

/// The choices of a schedule, and the next schedule.
#[derive(Default)]
struct Choices {
    made: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    fn choose(&mut self, of: usize) -> usize {
        if self.at == self.made.len() {
            self.made.push((0, of));
        }
        let (choice, _) = self.made[self.at];
        self.at += 1;
        choice
    }

    /// Whether no schedule has come to this point before.
    fn is_new(&self) -> bool {
        self.at == self.made.len()
    }

    fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, of)) = self.made.pop() {
            if choice + 1 < of {
                self.made.push((choice + 1, of));
                return true;
            }
        }
        false
    }
}

/// What a record may be, next to the replica's own token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    None,
    Newer,
    Same,
    Older,
    CoolDown,
    CoolDownAndNewer,
    CoolDownAndSame,
    /// Another replica had no connection.
    CoolDownOfAnother,
    Remembered,
    RememberedAndSame,
    Unreadable,
    /// A token in the record that was there when a lease seemed to last for hours.
    Doubted,
}

/// Both replicas, and what they are told.
struct Pair<'a> {
    rules: &'a Rules,
    mint: &'a mut Mint,
    model: Replica,
    real: Real,
    now: Tick,
    /// The next fence, number of a token and version.
    next: u8,
    told: Vec<String>,
    kinds: &'a mut BTreeSet<String>,
}

impl Pair<'_> {
    fn tell(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.kinds.insert(what.clone());
        self.told.push(what);
    }

    fn pass(&mut self, ticks: Tick) {
        self.now += ticks;
        self.real.clock.advance(TICK * ticks.into());
    }

    fn number(&mut self) -> u8 {
        self.next += 1;
        self.next
    }

    /// A record of this kind, for both.
    fn record(&mut self, kind: Kind) -> (Option<Snapshot>, Option<bearer_token::store::Snapshot>) {
        let own = self.model.own.map(|own| Held { until: own.held.until.saturating_sub(self.now), ..own.held });
        // One that has expired lives on in a record that a pause delayed.
        let own = own.map(|held| Held { until: if held.until == 0 { 2 } else { held.until }, ..held });
        let token = match kind {
            Kind::Newer | Kind::Doubted => Some(Held { number: self.number(), until: LIFE }),
            // It was there when the failure was saved.
            Kind::CoolDownAndNewer => Some(Held { number: self.number(), until: LIFE - COOL_DOWN }),
            Kind::Same | Kind::CoolDownAndSame | Kind::RememberedAndSame => own,
            Kind::Older => {
                let older = own.map(|held| Held { number: held.number - 1, until: held.until - 1 });
                older.filter(|held| held.until > 0)
            }
            Kind::None | Kind::CoolDown | Kind::CoolDownOfAnother | Kind::Remembered | Kind::Unreadable => None,
        };
        let cool_down = match kind {
            Kind::CoolDown | Kind::CoolDownAndNewer | Kind::CoolDownAndSame | Kind::CoolDownOfAnother => 1,
            _ => 0,
        };
        let has_failed = cool_down > 0 || [Kind::Remembered, Kind::RememberedAndSame].contains(&kind);
        if kind == Kind::Doubted && self.model.doubts.version == 0 {
            return (None, None);
        }
        if token.is_none() && !has_failed && kind != Kind::Unreadable {
            return (None, None);
        }
        let version = if kind == Kind::Doubted { self.model.doubts.version } else { self.number() };
        let of = if kind == Kind::CoolDownOfAnother { Of::One(OTHER) } else { Of::All };
        let snapshot = Snapshot { content: Content { token, cool_down, has_failed, of }, version };
        (Some(snapshot), Some(self.mint.snapshot(snapshot)))
    }

    /// A flight of both.
    fn fly(&mut self, reason: Reason, choices: &mut Choices) {
        const READ: [Kind; 12] = [
            Kind::None,
            Kind::Newer,
            Kind::Same,
            Kind::Older,
            Kind::CoolDown,
            Kind::CoolDownAndNewer,
            Kind::CoolDownAndSame,
            Kind::CoolDownOfAnother,
            Kind::Remembered,
            Kind::RememberedAndSame,
            Kind::Unreadable,
            Kind::Doubted,
        ];
        const CHANGED: [Kind; 4] = [Kind::Newer, Kind::Same, Kind::CoolDown, Kind::Unreadable];
        self.tell(format!("{reason:?}"));
        self.model.begins(self.rules, self.now, reason);
        let mut flight = self.real.begin(reason);
        let mut next = self.real.next(&mut flight, None);
        // How often the record changes, and whether the lease is held until the replica gives up.
        let (mut newer, mut is_held) = (0, None);
        loop {
            let call = self.model.flight.unwrap().call;
            let asked = match next {
                Next::Asked(asked) => asked,
                Next::Ended(result) => panic!("the real one ends with {result:?} before {call:?}: {:?}", self.told),
            };
            self.compare(call, &asked, choices.is_new());
            // A flight that has waited or looked again is late in the same ways.
            let may_be_late = newer == 0 && is_held.is_none() && !matches!(call, Call::Sleep { .. });
            let is_late = may_be_late && choices.choose(2) == 1;
            if is_late {
                self.tell("late");
                self.model.stands_still(self.now);
                self.pass(self.model.flight.unwrap().until() + 1 - self.now);
            }
            let (answer, reply) = match call {
                Call::Read | Call::ReadAgain => {
                    let read = if call == Call::Read { &READ[..] } else { &CHANGED[..] };
                    if let Some(kind) = read.get(choices.choose(read.len() + 1)) {
                        self.tell(format!("read {kind:?}"));
                        let (model, real) = self.record(*kind);
                        (Answer::Read(model), Reply::Read(real))
                    } else {
                        self.tell("read down");
                        (Answer::Down, Reply::Down)
                    }
                }
                Call::Lease { .. } => {
                    let of = if newer == 0 { 5 + CHANGED.len() } else { 5 };
                    match (is_held, choices.choose(if is_held == Some(true) { 1 } else { of })) {
                        (None, 4) => {
                            // The clock of the store was set back.
                            self.tell("held for hours");
                            let held = RealLeased::Held(TICK * u32::from(CLOCK_STEP));
                            (Answer::Leased(Leased::Held(CLOCK_STEP)), Reply::Leased(held))
                        }
                        (Some(true), _) | (None, 2..=3) => {
                            // Held once, or until the replica gives up; for some ticks or for one.
                            let is_forever = is_held == Some(true) || choices.choose(2) == 1;
                            is_held = Some(is_forever);
                            let ticks = if is_forever { 3 } else { 1 };
                            self.tell(format!("held for {ticks}"));
                            let held = RealLeased::Held(TICK * u32::from(ticks));
                            (Answer::Leased(Leased::Held(ticks)), Reply::Leased(held))
                        }
                        (_, 1) | (Some(_), 2..=4) => {
                            self.tell("lease down");
                            (Answer::Down, Reply::Down)
                        }
                        (_, 0) => {
                            self.tell("granted");
                            let fence = self.number();
                            let granted = RealLeased::Granted(Fence::new(fence.into()));
                            (Answer::Leased(Leased::Granted(fence)), Reply::Leased(granted))
                        }
                        (_, choice) => {
                            newer += 1;
                            let kind = CHANGED[choice - 5];
                            self.tell(format!("newer {kind:?}"));
                            match self.record(kind) {
                                (Some(model), Some(real)) => {
                                    (Answer::Leased(Leased::Newer(model)), Reply::Leased(RealLeased::Newer(real)))
                                }
                                _ => (Answer::Down, Reply::Down),
                            }
                        }
                    }
                }
                Call::Exchange { lease, until } => {
                    // A real one that is as late as the flight has no time to be saved.
                    let is_slow = !is_late
                        && choices.choose(2) == 1
                        && until > self.now
                        && self.now + 1 < self.model.flight.unwrap().until();
                    self.pass(is_slow.into());
                    let outcome = choices.choose(3);
                    if outcome == 0 {
                        self.tell(if is_slow { "token after a tick" } else { "token" });
                        let number = match lease {
                            // Generations are the fences of leases; in the model they are the numbers of tokens.
                            Some(lease) => lease.fence,
                            None => self.number(),
                        };
                        let held = Held { number, until: self.now + LIFE };
                        (Answer::Exchanged(Some(held)), Reply::Token(number))
                    } else if outcome == 2 {
                        self.tell(if is_slow { "no connection after a tick" } else { "no connection" });
                        (Answer::NoConnection, Reply::NoConnection)
                    } else {
                        self.tell(if is_slow { "refused after a tick" } else { "refused" });
                        (Answer::Exchanged(None), Reply::Refused)
                    }
                }
                Call::Save { .. } => match choices.choose(3 + CHANGED.len()) {
                    0 => {
                        self.tell("saved");
                        let version = Version::new(self.number().into());
                        (Answer::Saved(Saved::Done { again: false }), Reply::Saved(RealSaved::Saved(version)))
                    }
                    1 => {
                        self.tell("fenced");
                        (Answer::Saved(Saved::Fenced), Reply::Saved(RealSaved::Fenced))
                    }
                    2 => {
                        // Also if the save took effect and its reply was lost. The next flight finds the token, or
                        // none.
                        self.tell("save down");
                        (Answer::Down, Reply::Down)
                    }
                    choice => {
                        let kind = CHANGED[choice - 3];
                        self.tell(format!("changed {kind:?}"));
                        match self.record(kind) {
                            (Some(model), Some(real)) => {
                                (Answer::Saved(Saved::Changed(model)), Reply::Saved(RealSaved::Changed(real)))
                            }
                            _ => (Answer::Down, Reply::Down),
                        }
                    }
                },
                Call::Release { .. } => match choices.choose(2) {
                    0 => {
                        self.tell("released");
                        (Answer::Released, Reply::Done)
                    }
                    _ => {
                        self.tell("release down");
                        (Answer::Down, Reply::Down)
                    }
                },
                Call::Sleep { until } => {
                    self.pass(until - self.now);
                    (Answer::Woken, Reply::Done)
                }
            };
            let ended = self.model.hears(self.rules, self.now, answer).map(|(ended, _)| ended);
            next = self.real.next(&mut flight, Some(reply));
            if let Some(ended) = ended {
                self.compare_ends(ended, &next);
                if let Next::Ended(Ok(token)) = next {
                    self.real.last = Some(token);
                }
                self.tell(match ended {
                    Ended::Served(_) => "served",
                    Ended::Failed => "failed",
                    Ended::WaitedInVain => "waited in vain",
                });
                return;
            }
            if is_late {
                self.compare_a_flight_that_goes_on(&next);
                return;
            }
        }
    }

    fn compare(&mut self, call: Call, asked: &Asked, is_new: bool) {
        let is_same = match (call, asked) {
            (Call::Read | Call::ReadAgain, Asked::Read) => true,
            (Call::Lease { seen, ttl }, Asked::Lease { seen: real_seen, ttl: real_ttl }) => {
                let left = self.model.flight.unwrap().until().saturating_sub(self.now);
                let whole = TICK * left.into() + REAL_MARGIN;
                let expected = if ttl == left + MARGIN {
                    whole
                } else {
                    // What is left of the token that the others have, and half of a flight, or what is left of the time
                    // for which they wait.
                    let covered = (TICK * (ttl - SHORT_LEASE).into()).saturating_sub(REAL_RESERVE);
                    let patience = TICK * left.saturating_sub(FLIGHT - PATIENCE).into();
                    let half = TICK * FLIGHT.into() / 2;
                    let fetch = TICK * FLIGHT.into();
                    let uncovered = if patience > fetch / 4 { half.min(patience - fetch / 10) } else { half };
                    whole.min(covered + uncovered)
                };
                (u64::from(seen), expected) == (*real_seen, *real_ttl)
            }
            (Call::Exchange { .. }, Asked::Exchange) => true,
            (Call::Save { content, lease }, Asked::Save { record, life, fence, seen }) => {
                let life_is_same =
                    content.has_failed || content.token.is_some_and(|held| TICK * held.until.into() == *life);
                let expected = (content.token.map(|held| held.number), content.has_failed_for(OTHER));
                life_is_same
                    && (!is_new || self.contents(record, *life) == expected)
                    && (u64::from(lease.fence), u64::from(lease.seen)) == (*fence, *seen)
            }
            (Call::Release { fence, .. }, Asked::Release { fence: real }) => u64::from(fence) == *real,
            (Call::Sleep { .. }, Asked::Change) => true,
            _ => false,
        };
        assert!(is_same, "the model calls {call:?}, the real one {asked:?}: {:?}", self.told);
    }

    /// The token and whether there is a cool-down, as a new replica finds them. No record says that it is its own.
    fn contents(&self, record: &[u8], life: Duration) -> (Option<u8>, bool) {
        let found = bearer_token::store::Snapshot::new(record.to_vec(), Version::new(1), life);
        let look = |reason| Real::new(&self.mint.keys).play(reason, &[Reply::Read(Some(found.clone()))]).1;
        let token = match look(Reason::Missing) {
            Next::Ended(Ok(token)) => Some(token.secret().parse().unwrap()),
            _ => None,
        };
        (token, matches!(look(Reason::Rejected), Next::Ended(Err(_))))
    }

    /// The provider drops a flight that is late and waits for more. So it must have no token yet.
    fn compare_a_flight_that_goes_on(&mut self, next: &Next) {
        let call = self.model.flight.unwrap().call;
        match next {
            Next::Asked(asked) => {
                // For how long it asks for the lease does not matter any more.
                if !matches!((call, asked), (Call::Lease { .. }, Asked::Lease { .. })) {
                    self.compare(call, asked, false);
                }
                assert!(!self.model.flight.unwrap().has_fetched(), "the token is lost: {:?}", self.told);
            }
            // It has noticed by itself.
            Next::Ended(Err(error)) => assert_eq!(error.kind(), ErrorKind::Timeout, "{:?}", self.told),
            Next::Ended(Ok(_)) => panic!("the real one ends with a token, the model calls {call:?}: {:?}", self.told),
        }
    }

    fn compare_ends(&self, ended: Ended, next: &Next) {
        let is_same = match (ended, next) {
            (Ended::Served(own), Next::Ended(Ok(token))) => token.secret() == own.held.number.to_string(),
            (Ended::Failed, Next::Ended(Err(error))) => {
                [ErrorKind::Unavailable, ErrorKind::Transport].contains(&error.kind())
            }
            (Ended::WaitedInVain, Next::Ended(Err(error))) => error.kind() == ErrorKind::Timeout,
            _ => false,
        };
        let real = match next {
            Next::Asked(asked) => format!("{asked:?}"),
            Next::Ended(result) => format!("{result:?}"),
        };
        assert!(is_same, "the model ends with {ended:?}, the real one with {real}: {:?}", self.told);
    }
}

/// How the replica came to its token, as the choices of its first flight. Every second choice is about being late.
const BEFORE: [(&str, &[usize]); 6] = [
    ("none", &[]),
    ("adopted", &[0, 1]),
    ("fetched and saved", &[0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("fetched, and the save failed", &[0, 0, 0, 0, 0, 0, 0, 0, 2]),
    ("fetched without the store", &[0, 12, 0, 0, 0]),
    ("fetched alone because of a lease of hours", &[0, 8, 0, 4, 0, 0, 0]),
];

/// Plays every schedule. Gives their number, and the kinds of answers and ends.
fn play_all(rules: &Rules) -> (usize, BTreeSet<String>) {
    play_from(rules, &BEFORE)
}

fn play_from(rules: &Rules, starts: &[(&str, &[usize])]) -> (usize, BTreeSet<String>) {
    let (mut mint, mut kinds, mut schedules) = (Mint::new(), BTreeSet::new(), 0);
    for (before, first) in starts.iter().copied() {
        for (reason, after) in [
            (Reason::Missing, LIFE),
            (Reason::Stale, LIFE - STALE),
            (Reason::Stale, LIFE - 1),
            (Reason::Rejected, COOL_DOWN + 1),
        ] {
            if first.is_empty() && reason != Reason::Missing {
                continue;
            }
            let mut choices = Choices::default();
            loop {
                let (model, real) = (Replica { number: ITSELF, ..Replica::default() }, Real::new(&mint.keys));
                let mut pair = Pair {
                    rules,
                    mint: &mut mint,
                    model,
                    real,
                    now: 0,
                    next: 10,
                    told: vec![before.into()],
                    kinds: &mut kinds,
                };
                if !first.is_empty() {
                    let made = first.iter().map(|choice| (*choice, 1)).collect();
                    pair.fly(Reason::Missing, &mut Choices { made, at: 0 });
                    pair.pass(after);
                }
                pair.fly(reason, &mut choices);
                schedules += 1;
                if !choices.next() {
                    break;
                }
            }
        }
    }
    (schedules, kinds)
}

#[test]
fn the_model_and_the_real_source_do_the_same() {
    let (schedules, kinds) = play_all(&SOUND);
    println!("{schedules} schedules, answers and ends: {kinds:?}");
    assert!(schedules > 3_000, "{schedules}");
    assert_eq!(kinds.len(), 44, "{kinds:?}");
}

/// The comparison notices what a late answer changes.
#[test]
#[should_panic(expected = "the real one")]
fn a_model_whose_late_flights_go_on_differs() {
    play_all(&Rules { late_flights_end: false, ..SOUND });
}

#[test]
#[should_panic(expected = "the real one")]
fn a_model_that_believes_a_record_of_before_the_step_differs() {
    play_from(&Rules { old_records_are_doubted: false, ..SOUND }, &BEFORE[5..]);
}

#[test]
#[should_panic(expected = "the real one")]
fn a_model_that_leaves_a_store_out_until_the_lease_ends_differs() {
    play_from(&Rules { doubted_stores_are_asked: false, ..SOUND }, &BEFORE[5..]);
}

#[test]
#[should_panic(expected = "the model ends with")]
fn a_model_that_takes_its_expired_token_again_differs() {
    play_all(&Rules { expired_is_refused: false, ..SOUND });
}
