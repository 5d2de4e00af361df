//! The replicas, their callers, and what must hold for each request.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bearer_token::{
    Authorized, Error, ErrorKind, Policy, TokenProvider,
    platform::{BoxFuture, Clock, Moment},
    shared::{Fleet as SharedFleet, SealingKeys},
};
use http::{HeaderMap, Request, header::AUTHORIZATION};

use super::{
    LIFE, REPLICAS, SECOND,
    server::{Server, Verdict},
    store::FaultyStore,
    world::{Executor, Runtime, World, lock},
};

/// A provider does not send a token that ends sooner.
const RESERVE: Duration = Duration::from_secs(11);

/// What a call of the store takes at most, by which lives are told too short or too long.
const SLACK: Duration = Duration::from_millis(100);

/// The time of a fetch.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What happened, for the tables.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Course {
    pub(crate) requests: u64,
    pub(crate) exchanges: usize,
    /// Exchanges while the newest token was in the first half of its life.
    pub(crate) needless: usize,
    pub(crate) failed: u64,
    /// Requests of a replica that had no token and stood still until their time was over. They are not among the
    /// failed.
    pub(crate) stood_still: u64,
    pub(crate) rejected: u64,
    /// Tokens that were sent after their end, because the store's clock was set back. They are rejected, too.
    pub(crate) expired: u64,
    pub(crate) store_calls: u64,
}

impl Course {
    pub(crate) fn add(&mut self, other: Course) {
        self.requests += other.requests;
        self.exchanges += other.exchanges;
        self.needless += other.needless;
        self.failed += other.failed;
        self.stood_still += other.stood_still;
        self.rejected += other.rejected;
        self.expired += other.expired;
        self.store_calls += other.store_calls;
    }
}

/// The replicas of a program, each a runtime of its own with a clock of its own.
pub(crate) struct Fleet {
    seed: u64,
    pub(crate) world: World,
    pub(crate) server: Arc<Server>,
    pub(crate) store: FaultyStore,
    executor: Executor,
    runtimes: Vec<Runtime>,
    next_runtime: Runtime,
    counts: Arc<Mutex<Counts>>,
    over: Arc<AtomicBool>,
}

#[derive(Default)]
struct Counts {
    course: Course,
    /// When a replica went on that had stood still for longer than a fetch may take.
    went_on: BTreeMap<Runtime, Duration>,
    wrong: Vec<String>,
}

impl Fleet {
    pub(crate) fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let mut fleet = Fleet {
            seed,
            server: Server::new(world.clone()),
            store: FaultyStore::new(world.clone()),
            executor: Executor::new(world.clone()),
            world,
            runtimes: Vec::new(),
            next_runtime: 1,
            counts: Arc::default(),
            over: Arc::default(),
        };
        for _ in 0..REPLICAS {
            fleet.start();
        }
        fleet
    }

    /// A replica starts.
    fn start(&mut self) {
        let runtime = self.next_runtime;
        self.next_runtime += 1;
        self.runtimes.push(runtime);
        let replica = Replica::new(self, runtime);
        self.executor.spawn(runtime, Box::pin(replica.live()));
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.executor.run_for(time, || {});
        self.check();
    }

    /// A replica ends in the middle of what it does, and another one starts.
    pub(crate) fn crash(&mut self) {
        let place = self.in_the_middle();
        let runtime = self.runtimes.swap_remove(place);
        self.executor.shut_down(runtime);
        self.start();
    }

    /// A replica stands still for about so long, and goes on.
    pub(crate) fn pause(&mut self, mean: Duration) {
        let place = self.in_the_middle();
        let runtime = self.runtimes[place];
        self.executor.stop_driving(runtime);
        let time = self.world.about(mean);
        self.run_for(time);
        if time > TIMEOUT {
            lock(&self.counts).went_on.insert(runtime, self.world.moment().truth);
        }
        self.executor.drive_again();
    }

    fn in_the_middle(&mut self) -> usize {
        let started = self.executor.run_steps(2_000 + self.world.below(2_000), true);
        let place = started.and_then(|runtime| self.runtimes.iter().position(|one| *one == runtime));
        self.executor.run_steps(self.world.below(40), false);
        place.unwrap_or_else(|| usize::try_from(self.world.below(self.runtimes.len() as u64)).unwrap())
    }

    #[allow(clippy::needless_pass_by_value, reason = "callers format a sentence")]
    pub(crate) fn require(&self, holds: bool, what: String) {
        assert!(holds, "CHAOS_SEED={}: {what}", self.seed);
    }

    fn check(&self) {
        let counts = lock(&self.counts);
        self.require(counts.wrong.is_empty(), format!("{:?}", counts.wrong));
    }

    /// All requests end, and what happened.
    pub(crate) fn end(&mut self) -> Course {
        self.over.store(true, Ordering::Relaxed);
        self.run_for(SECOND * 120);
        let attempts = self.server.attempts();
        let mut course = lock(&self.counts).course;
        course.exchanges = attempts.len();
        course.needless = attempts.iter().filter(|attempt| attempt.left > LIFE / 2).count();
        course.store_calls = self.store.calls();
        course
    }
}

/// A clock whose time of day is off.
struct Off {
    world: World,
    ahead: Duration,
}

impl Clock for Off {
    fn now(&self) -> Moment {
        let now = self.world.now();
        Moment::new(now.monotonic(), now.wall() + self.ahead)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        self.world.sleep_until(deadline)
    }
}

struct Replica {
    runtime: Runtime,
    world: World,
    server: Arc<Server>,
    store: FaultyStore,
    provider: TokenProvider,
    counts: Arc<Mutex<Counts>>,
    over: Arc<AtomicBool>,
    /// The last token that was sent, by number.
    last: Option<usize>,
}

impl Replica {
    fn new(fleet: &Fleet, runtime: Runtime) -> Self {
        // Up to two hours between two of them.
        let ahead = SECOND * u32::try_from(fleet.world.below(7_200)).unwrap();
        let clock = Off { world: fleet.world.clone(), ahead };
        let platform = fleet.world.platform().with_clock(clock);
        let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
        let store = fleet.store.connect();
        let shared = SharedFleet::builder(store.clone(), keys).build().unwrap();
        let server = fleet.server.clone();
        let source = move |cx| {
            let server = server.clone();
            async move { server.exchange(cx).await }
        };
        let provider = TokenProvider::builder(shared.share_as("orders", source))
            .allow_origin("https://api.example.com")
            .policy(Policy::default())
            .platform(platform)
            .build()
            .unwrap();
        let (world, server) = (fleet.world.clone(), fleet.server.clone());
        let (counts, over) = (fleet.counts.clone(), fleet.over.clone());
        Replica { runtime, world, server, store, provider, counts, over, last: None }
    }

    async fn live(mut self) {
        while !self.over.load(Ordering::Relaxed) {
            self.world.sleep(self.world.about(SECOND * 5)).await;
            self.request().await;
        }
    }

    async fn request(&mut self) {
        lock(&self.counts).course.requests += 1;
        let mut request = Request::get("https://api.example.com/orders").body(()).unwrap();
        let before = self.last;
        let (token, ticket) = match self.provider.authorize(&mut request) {
            Ok(Authorized::Inserted(ticket)) => {
                let value = request.headers()[AUTHORIZATION].to_str().unwrap().to_owned();
                (value.trim_start_matches("Bearer ").to_owned(), ticket)
            }
            Ok(_) => match self.provider.token().await {
                Ok(bearer) => (bearer.secret().to_owned(), bearer.ticket()),
                Err(error) => return self.failed(before, &error),
            },
            Err(error) => return self.failed(before, &error),
        };
        let number: usize = token.trim_start_matches('t').parse().unwrap();
        match self.server.verdict(number) {
            Verdict::Good => {}
            verdict if verdict == Verdict::Revoked || self.seems_younger(verdict, number) => {
                self.count_rejected(verdict);
                self.world.sleep(self.world.about(SECOND / 10)).await;
                ticket.reject(&HeaderMap::new());
            }
            verdict => self.accuse(format!("token {number} was sent: {verdict:?}")),
        }
        let is_older = |last: &usize| self.server.is_older(number, *last);
        // A record that seems younger may win over a newer token that no record has.
        let seems_newer = |last: &usize| {
            let issued = self.server.issued(number).at;
            self.store.told_of(issued).is_some_and(|(_, until)| until > self.server.issued(*last).until() - SLACK)
        };
        let goes_back =
            |last: &usize| is_older(last) && self.server.verdict(*last) == Verdict::Good && !seems_newer(last);
        if let Some(last) = self.last.filter(goes_back) {
            self.accuse(format!("a replica went back from token {last} to {number}"));
        }
        self.last = Some(number);
    }

    fn count_rejected(&self, verdict: Verdict) {
        let course = &mut lock(&self.counts).course;
        course.rejected += 1;
        course.expired += u64::from(verdict == Verdict::Expired);
    }

    /// Whether the replica cannot know that its token has ended: the store told it of a longer life, which is not over.
    fn seems_younger(&self, verdict: Verdict, number: usize) -> bool {
        let told = || self.store.told_of(self.server.issued(number).at);
        verdict == Verdict::Expired && told().is_some_and(|(_, until)| self.world.moment().truth < until)
    }

    /// Whether the replica cannot know that its token is good: the store told it of a shorter life, which is over.
    fn seems_older(&self, number: usize) -> bool {
        let told = self.store.told_of(self.server.issued(number).at);
        told.is_some_and(|(until, _)| until < self.world.moment().truth + RESERVE)
    }

    /// A request without a token, of a replica whose last one was this.
    fn failed(&self, last: Option<usize>, error: &Error) {
        if self.stood_still() && last.is_none_or(|last| !self.server.is_good_for(last, RESERVE)) {
            lock(&self.counts).course.stood_still += 1;
            return;
        }
        lock(&self.counts).course.failed += 1;
        let is_good = |last: &usize| self.server.is_good_for(*last, RESERVE) && !self.seems_older(*last);
        if let Some(last) = last.filter(is_good) {
            self.accuse(format!("a request failed although token {last} is good: {error}"));
        }
        // A lease that was left behind, and seems to last for up to half a minute. After its wait in vain, the replica is in a
        // cool-down.
        let waited = error.kind() == ErrorKind::Timeout && self.store.was_told_of_an_ended_lease(TIMEOUT);
        if !self.server.failed_lately() && !waited {
            self.accuse(format!("a request failed although the server is there: {error}"));
        }
    }

    /// Whether it just went on, after a time in which a fetch ends. Requests fail for the first cool-down then.
    fn stood_still(&self) -> bool {
        let went_on = lock(&self.counts).went_on.get(&self.runtime).copied();
        went_on.is_some_and(|at| self.world.moment().truth < at + SECOND * 2)
    }

    #[allow(clippy::needless_pass_by_value, reason = "callers format a sentence")]
    fn accuse(&self, what: String) {
        lock(&self.counts).wrong.push(format!("{what}, at {:?}", self.world.moment().truth));
    }
}
