//! The clock of the store is set back, as in a failover to a node whose clock is another one.

use super::*;
use crate::shared::tests::StepClock;

/// The period in which the server accepts a used refresh token again.
const PERIOD: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

type Host = SharedRefreshToken<MemorySharedStore>;

/// A world whose store has a clock of its own.
fn world() -> (World, StepClock) {
    let world = World::new();
    let clock = StepClock::new(world.clock.clone());
    let store = MemorySharedStore::on(Platform::system().with_clock(clock.clone()));
    (World { store, ..world }, clock)
}

/// A process that sent the token, and never saw the response.
async fn send_once(world: &World) -> Host {
    let host = world.host().reusable_within(PERIOD);
    host.put(&world.platform, Some(&token("1"))).await.unwrap();
    drop(world.begin(&host).await.unwrap());
    world.settle().await;
    host
}

#[tokio::test]
async fn a_process_that_knows_the_mark_counts_by_its_own_clock() {
    let (world, clock) = world();
    let sender = send_once(&world).await;
    // Another process sees the mark before the step.
    let witness = world.host().reusable_within(PERIOD);
    witness.load(&world.platform).await.unwrap();
    world.clock.advance(PERIOD);
    clock.set_back(PERIOD);
    for host in [&sender, &witness] {
        let error = world.begin(host).await.err().unwrap();
        assert!(error.to_string().contains("60 s ago"), "{error}");
        world.settle().await;
    }
    // A new process has the store's word alone.
    let newcomer = world.host().reusable_within(PERIOD);
    assert!(newcomer.may_resend(&newcomer.load_found(&world.platform).await.unwrap(), &world.platform));
}

#[tokio::test]
async fn a_step_within_the_period_prolongs_it_for_no_witness() {
    let (world, clock) = world();
    let sender = send_once(&world).await;
    world.clock.advance(PERIOD / 2);
    sender.load(&world.platform).await.unwrap();
    clock.set_back(HOUR);
    world.clock.advance(PERIOD / 4);
    world.begin(&sender.clone()).await.unwrap();
    world.settle().await;
    // Sent again, and the response is missing again: the period counts from the first request.
    world.clock.advance(PERIOD / 4);
    assert!(world.begin(&sender).await.is_err());
}

/// A process that started after the step, and sent the token again, had the store's word alone. So has its mark.
#[tokio::test]
async fn a_process_that_knows_the_token_counts_over_the_next_mark() {
    let (world, clock) = world();
    let sender = send_once(&world).await;
    clock.set_back(PERIOD / 3);
    world.clock.advance(PERIOD / 12 * 7);
    let newcomer = world.host().reusable_within(PERIOD);
    drop(world.begin(&newcomer).await.unwrap());
    world.settle().await;
    world.clock.advance(PERIOD / 12 * 5);
    let another = world.host().reusable_within(PERIOD);
    let found = another.load_found(&world.platform).await.unwrap();
    assert!(
        !found.content.sent_before.is_zero() && another.may_resend(&found, &world.platform),
        "it has its word, too"
    );
    let error = world.begin(&sender).await.err().unwrap();
    assert!(error.to_string().contains("60 s ago"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_mark_ends_though_the_clock_was_set_back() {
    let platform = Platform::system().with_clock(PausedClock::new());
    let clock = StepClock::new(PausedClock::new());
    let store = MemorySharedStore::on(Platform::system().with_clock(clock.clone()));
    let host = || {
        let host = SharedRefreshToken::new(store.clone(), SealingKeys::new(KEY), "consent");
        host.lease_for(LEASE).reusable_within(PERIOD)
    };
    let sender = host();
    sender.put(&platform, Some(&token("1"))).await.unwrap();
    let lease = sender.lease(&platform).await.unwrap();
    sender.prepare(&platform).await.unwrap();
    drop(lease);
    clock.set_back(HOUR);
    // By the store's clock alone the mark would be new for an hour.
    let begun = platform.now().monotonic();
    let other = host();
    let _lease = other.lease(&platform).await.unwrap();
    other.prepare(&platform).await.unwrap();
    let waited = platform.now().monotonic() - begun;
    assert!(waited <= LEASE + Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn l68_a_lease_of_hours_is_named_and_not_waited_for() {
    let (world, clock) = world();
    let (host, other) = (world.host(), world.host());
    host.put(&world.platform, Some(&token("1"))).await.unwrap();
    let lease = host.lease(&world.platform).await.unwrap();
    clock.set_back(HOUR);
    let Err(error) = other.lease(&world.platform).await else { panic!("it is held") };
    assert!(error.is_transient() && error.to_string().contains("lasts for 3615 s"), "{error}");
    drop(lease);
    world.settle().await;
    other.lease(&world.platform).await.unwrap();
}
