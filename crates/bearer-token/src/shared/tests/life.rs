//! While everything works.

use super::*;
use crate::{
    Authorized, Policy, TokenProvider,
    platform::{Clock, Moment},
};

#[tokio::test(start_paused = true)]
async fn l41_many_cold_replicas_make_one_request() {
    let world = World::new();
    world.server.takes(SECOND);
    let tasks: Vec<_> = (0..50).map(|_| world.begin(&world.replica(), FetchReason::Missing)).collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap().secret(), "MARKER-1");
    }
    assert_eq!(world.server.requests(), 1);
    assert!(world.now() < Duration::from_millis(1_300), "they noticed within a poll: {:?}", world.now());
}

#[tokio::test(start_paused = true)]
async fn a_token_arrives_with_its_remaining_life_and_everything_else() {
    let world = World::new();
    world.token(&world.replica(), FetchReason::Missing).await;
    world.pass(HOUR / 4).await;
    let provider = TokenProvider::builder(world.replica().source).platform(world.platform.clone()).build().unwrap();
    let bearer = provider.token().await.unwrap();
    assert_eq!((bearer.secret(), bearer.extra("url")), ("MARKER-1", Some("MARKER-url")));
    let left = bearer.expires_at().unwrap().duration_since(world.platform.now().wall()).unwrap();
    let difference = left.abs_diff(HOUR / 4 * 3);
    assert!(difference < Duration::from_millis(5), "{left:?}");
    assert_eq!(world.server.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn l67_all_replicas_refresh_at_the_time_of_one_draw() {
    let world = World::new();
    let policy = Policy::default();
    let replica = || {
        let provider =
            TokenProvider::builder(world.replica().source).policy(policy.clone()).platform(world.platform.clone());
        provider.build().unwrap()
    };
    let replicas: Vec<_> = (0..20).map(|_| replica()).collect();
    for lifetime in 1..=5 {
        for replica in &replicas {
            assert_eq!(replica.token().await.unwrap().secret(), format!("MARKER-{lifetime}"));
        }
        // Requests come all the time, until one replica refreshes.
        let from = world.now();
        while world.server.requests() == lifetime {
            world.pass(SECOND).await;
            for replica in &replicas {
                replica.token().await.unwrap();
            }
            assert!(world.now() < from + HOUR, "nothing is refreshed");
        }
        // The draw takes a fifth at most, and the refresh begins at a fifth before the end (here: 12 min).
        let after = world.now() - from;
        assert!(after >= HOUR / 5 * 3 - SECOND * 10 && after <= HOUR / 5 * 4 + SECOND, "{after:?}");
        // The others look again soon.
        for _ in 0..5 {
            world.pass(SECOND).await;
            for replica in &replicas {
                replica.token().await.unwrap();
            }
        }
        assert_eq!(world.server.requests(), lifetime + 1, "one request for all");
    }
}

#[tokio::test(start_paused = true)]
async fn l64_a_warm_request_never_asks_the_store() {
    let world = World::new();
    let builder = TokenProvider::builder(world.replica().source).platform(world.platform.clone());
    let provider = builder.allow_origin("https://api.example.com").build().unwrap();
    provider.token().await.unwrap();
    let calls = world.store.calls();
    assert!(calls > 0);
    world.store.set(Fault::Hangs);
    for _ in 0..600 {
        world.pass(SECOND).await;
        let before = world.now();
        // Not even a task of its own asks: time passes for all of them before the next request.
        assert_eq!(provider.token().await.unwrap().secret(), "MARKER-1");
        let mut request = http::Request::get("https://api.example.com/orders").body(()).unwrap();
        assert!(matches!(provider.authorize(&mut request), Ok(Authorized::Inserted(_))));
        assert_eq!(world.now(), before, "nothing is waited for");
    }
    assert_eq!(world.store.calls(), calls);
}

/// A host whose time of day is wrong.
struct WrongTime {
    clock: PausedClock,
    is_ahead: bool,
}

impl Clock for WrongTime {
    fn now(&self) -> Moment {
        let now = self.clock.now();
        let wall = if self.is_ahead { now.wall() + HOUR } else { now.wall() - HOUR };
        Moment::new(now.monotonic(), wall)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        self.clock.sleep_until(deadline)
    }
}

#[tokio::test(start_paused = true)]
async fn l68_hosts_whose_clocks_are_an_hour_off_share_a_token() {
    let world = World::new();
    let wrong = |is_ahead| Platform::system().with_clock(WrongTime { clock: PausedClock::new(), is_ahead });
    let hosts: Vec<_> = [world.platform.clone(), wrong(true), wrong(false)]
        .into_iter()
        .map(|platform| {
            let provider = TokenProvider::builder(world.replica().source).platform(platform.clone()).build().unwrap();
            (provider, platform)
        })
        .collect();
    for lifetime in 1..=3 {
        for (provider, platform) in &hosts {
            let bearer = provider.token().await.unwrap();
            assert_eq!(bearer.secret(), format!("MARKER-{lifetime}"));
            let left = bearer.expires_at().unwrap().duration_since(platform.now().wall()).unwrap();
            assert!(left.abs_diff(HOUR) < SECOND * 30, "{left:?}");
        }
        let from = world.now();
        while world.server.requests() == lifetime {
            world.pass(SECOND).await;
            for (provider, _) in &hosts {
                provider.token().await.unwrap();
            }
            assert!(world.now() < from + HOUR, "nothing is refreshed");
        }
        assert!(world.now() > from + HOUR / 2, "{:?}", world.now() - from);
        // The others look again soon.
        for _ in 0..5 {
            world.pass(SECOND).await;
            for (provider, _) in &hosts {
                provider.token().await.unwrap();
            }
        }
        assert_eq!(world.server.requests(), lifetime + 1, "one request for all");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_replica_goes_on_while_another_one_refreshes() {
    let world = World::new();
    let (one, other) = (world.replica(), world.replica());
    for replica in [&one, &other] {
        world.token(replica, FetchReason::Missing).await;
    }
    world.server.takes(SECOND * 5);
    let refresh = world.begin(&one, FetchReason::Stale);
    world.pass(SECOND).await;
    let before = world.now();
    assert_eq!(world.token(&other, FetchReason::Stale).await, 1, "its own token");
    assert_eq!(world.now(), before, "it did not wait");
    assert_eq!(refresh.await.unwrap().unwrap().secret(), "MARKER-2");
    assert_eq!(world.token(&other, FetchReason::Stale).await, 2);
    assert_eq!(world.server.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_looked_up_before_it_is_fetched() {
    let world = World::new();
    let replicas: Vec<_> = (0..10).map(|_| world.replica()).collect();
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Missing).await, 1);
    }
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Rejected).await, 2);
    }
    assert_eq!(world.server.requests(), 2, "one request for one revocation");
    // All at once.
    world.server.takes(SECOND);
    let tasks: Vec<_> = replicas.iter().map(|replica| world.begin(replica, FetchReason::Rejected)).collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap().secret(), "MARKER-3");
    }
    assert_eq!(world.server.requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_application_asks_for_is_a_new_one() {
    let world = World::new();
    let (one, other) = (world.replica(), world.replica());
    world.token(&one, FetchReason::Missing).await;
    assert_eq!(world.token(&other, FetchReason::Requested).await, 2);
    world.server.takes(SECOND);
    let first = world.begin(&one, FetchReason::Requested);
    world.pass(SECOND / 2).await;
    let second = world.begin(&other, FetchReason::Requested);
    for task in [first, second] {
        assert_eq!(task.await.unwrap().unwrap().secret(), "MARKER-3", "the second one waits for the first one's");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_without_life_is_not_shared() {
    let world = World::new();
    let requests = Arc::new(AtomicUsize::new(0));
    for number in 1..=2 {
        let requests = requests.clone();
        let source = world.fleet().share_as("short", move |_cx: FetchContext| {
            requests.fetch_add(1, Ordering::Relaxed);
            async { Ok(AccessToken::new("token").expires_in(Duration::ZERO)) }
        });
        world.fetch(&source.into(), FetchReason::Missing).await.unwrap();
        assert_eq!(world.store.calls(), number * 3, "a read, a lease, a release");
    }
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_never_expires_is_shared_too() {
    let world = World::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let replica = || {
        let requests = requests.clone();
        world.fleet().share_as("static", move |_cx: FetchContext| {
            requests.fetch_add(1, Ordering::Relaxed);
            async { Ok(AccessToken::new("token").never_expires()) }
        })
    };
    for _ in 0..3 {
        world.fetch(&replica().into(), FetchReason::Missing).await.unwrap();
        world.pass(HOUR).await;
    }
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}
