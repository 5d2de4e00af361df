//! A holder that is stopped past its lease, and continues: its save is fenced, each time.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bearer_token::{
    AccessToken, Error, FetchContext, FetchReason, TokenSource,
    platform::Platform,
    shared::{Fleet, SealingKeys, Shared},
    store::{Down, Fence, Leased, MemorySharedStore, Order, Saved, SharedStore, Snapshot, StoreKey, Version},
};
use bearer_token_testing::ManualClock;
use fastrand::Rng;

use super::{LIFE, prepare};

/// The time of a fetch. The lease of a replica without a token is half of it.
const TIMEOUT: Duration = Duration::from_secs(10);
const RUNS: u64 = 1_000;

/// Where the holder is stopped.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Place {
    /// The authorization server holds its response.
    Exchange,
    /// Its save is on the way to the store.
    Save,
}

/// A point that is passed when the test says so.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicBool>);

impl Gate {
    async fn pass(&self) {
        poll_fn(|_| if self.0.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn open(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A store that counts the saves which it fenced. Saves of this connection wait at the gate, if there is one.
#[derive(Clone)]
struct Counting {
    store: MemorySharedStore,
    fenced: Arc<AtomicUsize>,
    save: Option<Gate>,
}

impl SharedStore for Counting {
    const ORDER: Order = Order::LosesWrites;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        self.store.read(key).await
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        self.store.lease(key, seen, ttl).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        if let Some(gate) = &self.save {
            gate.pass().await;
        }
        let saved = self.store.save(key, record, life, fence, seen).await?;
        if saved == Saved::Fenced {
            self.fenced.fetch_add(1, Ordering::Relaxed);
        }
        Ok(saved)
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        self.store.release(key, fence).await
    }
}

/// A replica whose token has this name, and comes when the gate is open.
fn replica(store: &Counting, name: &'static str, exchange: &Gate) -> Shared {
    let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
    let exchange = exchange.clone();
    let source = move |_cx: FetchContext| {
        let exchange = exchange.clone();
        async move {
            exchange.pass().await;
            Ok(AccessToken::new(name).expires_in(LIFE))
        }
    };
    Fleet::builder(store.clone(), keys).build().unwrap().share_as("orders", source)
}

fn poll<T>(future: &mut Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn name(result: Poll<Result<AccessToken, Error>>) -> String {
    let Poll::Ready(result) = result else { panic!("it waits") };
    result.unwrap().secret().to_owned()
}

/// One run. Returns how many saves were fenced.
fn stopped(seed: u64) -> usize {
    let (mut chance, clock) = (Rng::with_seed(seed), ManualClock::new());
    let platform = Platform::system().with_clock(clock.clone());
    let cx = |platform: &Platform| FetchContext::new(platform.clone(), TIMEOUT, FetchReason::Missing);
    let place = if chance.bool() { Place::Exchange } else { Place::Save };
    let (exchange, save) = (Gate::default(), Gate::default());
    let store =
        Counting { store: MemorySharedStore::on(platform.clone()), fenced: Arc::default(), save: Some(save.clone()) };
    let holder = replica(&store, "of-the-holder", &exchange);
    let mut held = pin!(holder.fetch(cx(&platform)));
    if place == Place::Save {
        exchange.open();
    }
    assert!(poll(&mut held).is_pending(), "{place:?}");
    // It is stopped for longer than its lease, and for less than a call or a fetch takes.
    let millis = u64::try_from((TIMEOUT / 2).as_millis()).unwrap();
    clock.advance(Duration::from_millis(chance.u64(millis + 1..2 * millis - 500)));
    let (next, next_exchange) = (Counting { save: None, ..store.clone() }, Gate::default());
    let successor = replica(&next, "of-the-successor", &next_exchange);
    let mut succeeds = pin!(successor.fetch(cx(&platform)));
    assert!(poll(&mut succeeds).is_pending(), "it has the lease, and exchanges");
    let is_saved = chance.bool();
    if is_saved {
        next_exchange.open();
        assert_eq!(name(poll(&mut succeeds)), "of-the-successor");
    }
    // It continues.
    exchange.open();
    save.open();
    let of_holder = name(poll(&mut held));
    assert_eq!(of_holder == "of-the-successor", is_saved, "{seed}: {place:?}");
    next_exchange.open();
    if !is_saved {
        assert_eq!(name(poll(&mut succeeds)), "of-the-successor");
    }
    // What is shared is the successor's.
    let third = replica(&next, "of-a-third", &Gate::default());
    assert_eq!(name(poll(&mut pin!(third.fetch(cx(&platform))))), "of-the-successor");
    store.fenced.load(Ordering::Relaxed)
}

#[test]
fn l61_a_holder_stopped_past_its_lease_is_fenced_each_time() {
    prepare();
    let fenced: usize = (1..=RUNS).map(stopped).sum();
    println!("stopped past its lease and continued: {fenced} of {RUNS} saves are fenced");
    assert_eq!(fenced as u64, RUNS);
}
