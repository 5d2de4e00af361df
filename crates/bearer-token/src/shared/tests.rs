//! Replicas over one store, in tokio's paused time.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::*;
use crate::{
    error::{ErrorKind, Retry},
    platform::{BoxFuture, Clock, Moment, Platform, Spawn},
    store::{Down, Fence, Leased, MemorySharedStore, Order, Saved, Snapshot, StoreKey, Version},
    test_support::PausedClock,
    token::{FetchReason, LastToken},
};

mod accounts;
mod clock_steps;
mod contents;
mod events;
mod faults;
mod identity;
mod last_token;
mod life;
#[cfg(feature = "http-transport")]
mod names;
mod outages;
mod rejections;
mod revocations;
mod roll_out;
mod rotation;
mod secrets;

const KEY: &str = "bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=";
const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);
/// What a slow save takes.
const SLOW: Duration = Duration::from_millis(50);

/// What the authorization server does, and how often it was asked.
#[derive(Clone, Default)]
struct Server(Arc<ServerInner>);

#[derive(Default)]
struct ServerInner {
    requests: AtomicUsize,
    /// Milliseconds.
    takes: AtomicU32,
    failures: Mutex<VecDeque<Error>>,
}

impl Server {
    fn requests(&self) -> usize {
        self.0.requests.load(Ordering::Relaxed)
    }

    fn takes(&self, time: Duration) {
        self.0.takes.store(u32::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    fn fails_with(&self, error: Error) {
        self.0.failures.lock().unwrap().push_back(error);
    }

    async fn respond(self, cx: FetchContext) -> Result<AccessToken, Error> {
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let takes = Duration::from_millis(self.0.takes.load(Ordering::Relaxed).into());
        cx.platform().sleep_until(cx.platform().now().monotonic() + takes).await;
        match self.0.failures.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => Ok(AccessToken::new(format!("MARKER-{number}")).expires_in(HOUR).extra("url", "MARKER-url")),
        }
    }
}

/// A source of that server, which has a credential.
struct Client {
    server: Server,
    credential: &'static str,
}

impl TokenSource for Client {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        self.server.clone().respond(cx).await
    }

    fn identity(&self, identity: &mut Identity) {
        let credential = self.credential;
        identity.text("client", "orders");
        identity.credential(move |_| Box::pin(async move { Ok(zeroize::Zeroizing::new(credential.into())) }));
    }
}

/// A store that can be told to fail.
#[derive(Clone)]
struct Faulty {
    platform: Platform,
    store: MemorySharedStore,
    fault: Arc<Mutex<Option<Fault>>>,
    calls: Arc<AtomicUsize>,
    /// The key under which something else is.
    foreign: Arc<Mutex<Option<StoreKey>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// It refuses at once.
    Refuses,
    /// It never answers.
    Hangs,
    /// It answers leases and reads, and its saves are refused.
    RefusesSaves,
    /// It saves, and the reply is lost.
    LosesReplies,
    /// Its saves take a moment.
    SlowSaves,
    /// It says at once that something has changed.
    HintsForNothing,
    /// It answers reads, and what writes never ends: a database whose standby is lost.
    WritesHang,
    /// It answers reads and leases, and its saves never end.
    SavesHang,
    /// It says that each lease is held, and ends now.
    HeldForNothing,
    /// It shows each lease another record than the one that was read.
    AlwaysNewer,
}

impl Faulty {
    fn set(&self, fault: impl Into<Option<Fault>>) {
        *self.fault.lock().unwrap() = fault.into();
    }

    fn has(&self, fault: Fault) -> bool {
        *self.fault.lock().unwrap() == Some(fault)
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    async fn hang_if(&self, faults: &[Fault]) {
        if faults.iter().any(|fault| self.has(*fault)) {
            std::future::pending::<()>().await;
        }
    }

    async fn check(&self) -> Result<(), Down> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.has(Fault::Hangs) {
            std::future::pending::<()>().await;
        }
        if self.has(Fault::Refuses) { Err(Down::new("the connection was refused")) } else { Ok(()) }
    }
}

impl SharedStore for Faulty {
    const ORDER: Order = Order::LosesWrites;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        self.check().await?;
        if self.foreign.lock().unwrap().as_ref() == Some(key) {
            return Err(Down::new("it is a list").for_this_key());
        }
        self.store.read(key).await
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        self.check().await?;
        self.hang_if(&[Fault::WritesHang]).await;
        if self.has(Fault::HeldForNothing) {
            return Ok(Leased::Held(Duration::ZERO));
        }
        let leased = self.store.lease(key, seen, ttl).await?;
        Ok(match (leased, self.has(Fault::AlwaysNewer)) {
            (Leased::Granted(fence), true) => {
                self.store.release(key, fence).await?;
                Leased::Newer(Snapshot::new(b"a record".to_vec(), Version::new(fence.get()), HOUR))
            }
            (leased, _) => leased,
        })
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        self.check().await?;
        self.hang_if(&[Fault::WritesHang, Fault::SavesHang]).await;
        if self.has(Fault::SlowSaves) {
            self.platform.sleep_until(self.platform.now().monotonic() + SLOW).await;
        }
        if self.has(Fault::RefusesSaves) {
            return Err(Down::new("the disk is full"));
        }
        let saved = self.store.save(key, record, life, fence, seen).await;
        if self.has(Fault::LosesReplies) { Err(Down::new("the connection broke")) } else { saved }
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        self.check().await?;
        self.hang_if(&[Fault::WritesHang]).await;
        self.store.release(key, fence).await
    }

    async fn changed(&self, platform: &Platform, _: &StoreKey, _: Version, within: Duration) {
        if !self.has(Fault::HintsForNothing) {
            platform.sleep_until(platform.now().monotonic() + within).await;
        }
    }
}

/// A shared source, with the memory of its provider.
#[derive(Clone, Debug)]
struct Replica {
    source: Shared,
    last: Arc<Mutex<Option<LastToken>>>,
}

impl From<Shared> for Replica {
    fn from(source: Shared) -> Self {
        Replica { source, last: Arc::default() }
    }
}

impl Replica {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let (last, started) = (self.last.lock().unwrap().clone(), cx.started());
        let token = TokenSource::fetch(&self.source, cx.with_last(last)).await?;
        *self.last.lock().unwrap() = Some(LastToken::of(&token, started));
        Ok(token)
    }

    /// Another provider of the same source, which has no token yet.
    fn another_provider(&self) -> Replica {
        self.source.clone().into()
    }
}

/// A server and a store, and the time in which they live.
struct World {
    platform: Platform,
    server: Server,
    store: Faulty,
    store_clock: StepClock,
}

/// The name of a source's record.
async fn name_of(shared: &Shared) -> StoreKey {
    let world = World::new();
    let ring = shared.0.fleet.0.keys.ring(&world.platform).await.unwrap();
    let identity = shared.0.identity.canonical(&world.cx(FetchReason::Missing)).await.unwrap();
    ring.store_key(&shared.0.fleet.0.namespace, &identity)
}

impl World {
    fn new() -> Self {
        let platform = Platform::system().with_clock(PausedClock::new());
        let store_clock = StepClock::new(PausedClock::new());
        let store = Faulty {
            platform: platform.clone(),
            store: MemorySharedStore::on(Platform::system().with_clock(store_clock.clone())),
            fault: Arc::default(),
            calls: Arc::default(),
            foreign: Arc::default(),
        };
        World { platform, server: Server::default(), store, store_clock }
    }

    fn fleet(&self) -> Fleet {
        Fleet::builder(self.store.clone(), SealingKeys::new(KEY)).build().unwrap()
    }

    /// A process of its own.
    fn replica(&self) -> Replica {
        self.replica_with("the usual secret")
    }

    fn replica_with(&self, credential: &'static str) -> Replica {
        self.fleet().share(Client { server: self.server.clone(), credential }).unwrap().into()
    }

    /// A process with another way to the server.
    fn replica_at(&self, server: &Server) -> Replica {
        self.fleet().share(Client { server: server.clone(), credential: "the usual secret" }).unwrap().into()
    }

    fn cx(&self, reason: FetchReason) -> FetchContext {
        FetchContext::new(self.platform.clone(), SECOND * 10, reason)
    }

    async fn fetch(&self, replica: &Replica, reason: FetchReason) -> Result<AccessToken, Error> {
        replica.fetch(self.cx(reason)).await
    }

    /// The number in the token.
    async fn token(&self, replica: &Replica, reason: FetchReason) -> u32 {
        self.fetch(replica, reason).await.unwrap().secret().strip_prefix("MARKER-").unwrap().parse().unwrap()
    }

    /// Begins a fetch in a task of its own.
    fn begin(&self, replica: &Replica, reason: FetchReason) -> tokio::task::JoinHandle<Result<AccessToken, Error>> {
        let (replica, cx) = (replica.clone(), self.cx(reason));
        #[allow(clippy::disallowed_methods, reason = "a process of its own")]
        tokio::spawn(async move { replica.fetch(cx).await })
    }

    async fn pass(&self, time: Duration) {
        self.platform.sleep_until(self.platform.now().monotonic() + time).await;
    }

    fn now(&self) -> Duration {
        self.platform.now().monotonic()
    }
}

/// A clock of a store, which can be stepped.
#[derive(Clone)]
pub(in crate::shared) struct StepClock {
    clock: Arc<dyn Clock>,
    ahead: Arc<Mutex<Duration>>,
}

impl StepClock {
    /// It begins a day ahead of another one.
    pub(in crate::shared) fn new(clock: impl Clock) -> Self {
        StepClock { clock: Arc::new(clock), ahead: Arc::new(Mutex::new(HOUR * 24)) }
    }

    pub(in crate::shared) fn set_back(&self, time: Duration) {
        *self.ahead.lock().unwrap() -= time;
    }

    pub(in crate::shared) fn set_ahead(&self, time: Duration) {
        *self.ahead.lock().unwrap() += time;
    }
}

impl Clock for StepClock {
    fn now(&self) -> Moment {
        let now = self.clock.now();
        Moment::new(now.monotonic() + *self.ahead.lock().unwrap(), now.wall())
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        let ahead = *self.ahead.lock().unwrap();
        self.clock.sleep_until(deadline.saturating_sub(ahead))
    }
}

/// A runtime that starts no tasks, as one that is gone.
struct NoTasks;

impl Spawn for NoTasks {
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        Err(task)
    }
}
