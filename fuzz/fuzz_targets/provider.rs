//! A provider with any policy, and with clocks and a source that do anything.
//!
//! No expired or withdrawn token is sent, no fetch begins before the deadline of another one, and nothing overflows or
//! panics.
#![no_main]

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bearer_token::{
    AccessToken, Authorized, Backoff, Error, ErrorKind, FetchContext, Policy, Rejection, Retry, Ticket, TokenFuture,
    TokenProvider, TokenSource,
    platform::{BoxFuture, Clock, Entropy, Moment, Platform, Spawn},
};
use http::{
    HeaderMap, HeaderValue, Request,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use libfuzzer_sys::{
    arbitrary::{Result as Drawn, Unstructured},
    fuzz_target,
};

fuzz_target!(|data: &[u8]| {
    // The end of the input ends the life.
    let _ = live(&mut Unstructured::new(data));
});

/// The time after a flight's deadline in which no other may begin.
const GRACE: Duration = Duration::from_secs(1);

/// Everything around the provider.
#[derive(Default)]
struct World {
    monotonic: Duration,
    wall: Duration,
    outcomes: VecDeque<FetchOutcome>,
    /// Every token that the source returned, and its expiry.
    given: Vec<Given>,
    /// The deadlines of the fetches that are neither done nor dropped.
    live: Vec<Option<Duration>>,
    tasks: Vec<BoxFuture<()>>,
    refuses_tasks: bool,
}

struct Given {
    token: String,
    started: Moment,
    expiry: Expiry,
}

#[derive(Clone, Copy)]
enum Expiry {
    In(Duration),
    At(SystemTime),
    Never,
    Unknown,
}

#[derive(Clone, Copy)]
enum FetchOutcome {
    Token(Expiry),
    /// The same token as before, perhaps with another expiry.
    Again(Expiry),
    Error(ErrorKind, Retry),
    Nothing,
}

#[derive(Clone, Default)]
struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("nothing panics under it")
    }

    fn is_reached(&self, deadline: Duration) -> bool {
        self.world().monotonic >= deadline
    }
}

impl Clock for SharedWorld {
    fn now(&self) -> Moment {
        let world = self.world();
        Moment::new(world.monotonic, UNIX_EPOCH + world.wall)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        let clock = self.clone();
        Box::pin(poll_fn(move |_| if clock.is_reached(deadline) { Poll::Ready(()) } else { Poll::Pending }))
    }
}

impl Spawn for SharedWorld {
    fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
        let mut world = self.world();
        if world.refuses_tasks {
            return Err(task);
        }
        world.tasks.push(task);
        Ok(())
    }
}

struct Fixed(u8);

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        bytes.fill(self.0);
        Ok(())
    }
}

/// Counts a fetch as live until it is dropped.
struct RunningFetch(SharedWorld, usize);

impl Drop for RunningFetch {
    fn drop(&mut self) {
        self.0.world().live[self.1] = None;
    }
}

impl TokenSource for SharedWorld {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let _running = {
            let mut world = self.world();
            let (now, ends) = (world.monotonic, cx.deadline().monotonic());
            // A task that was not polled in time may begin late, beside its successor.
            if now < ends {
                for ends in world.live.iter().flatten() {
                    assert!(now >= ends.saturating_add(GRACE), "two fetches at a time");
                }
            }
            world.live.push(Some(ends));
            RunningFetch(self.clone(), world.live.len() - 1)
        };
        let outcome = self.world().outcomes.pop_front().unwrap_or(FetchOutcome::Nothing);
        let mut world = self.world();
        let (token, expiry) = match outcome {
            FetchOutcome::Token(expiry) => (format!("token-{}", world.given.len()), expiry),
            FetchOutcome::Again(expiry) => {
                (world.given.last().map_or_else(|| "token".to_owned(), |last| last.token.clone()), expiry)
            }
            FetchOutcome::Error(kind, retry) => {
                return Err(Error::new(kind, "the input asked for it").with_retry(retry));
            }
            FetchOutcome::Nothing => {
                drop(world);
                return std::future::pending().await;
            }
        };
        world.given.push(Given { token: token.clone(), started: cx.started(), expiry });
        let token = AccessToken::new(token);
        Ok(match expiry {
            Expiry::In(lifetime) => token.expires_in(lifetime),
            Expiry::At(time) => token.expires_at(time),
            Expiry::Never => token.never_expires(),
            Expiry::Unknown => token,
        })
    }
}

/// A time of any size; usual ones are more frequent.
fn time(u: &mut Unstructured<'_>) -> Drawn<Duration> {
    Ok(match u.int_in_range(0..=9_u8)? {
        0 => Duration::ZERO,
        1 => Duration::MAX,
        2 => Duration::from_nanos(u.arbitrary()?),
        3 => Duration::from_secs(u.arbitrary()?),
        4 => Duration::from_millis(u64::from(u.arbitrary::<u16>()?)),
        5 => Duration::from_secs(3_600),
        6 => Duration::from_secs(u64::from(u.arbitrary::<u16>()?)),
        _ => Duration::from_secs(u64::from(u.arbitrary::<u8>()?)),
    })
}

/// The time of day, within what the clock can read: `SystemTime` ends much later.
fn wall(time: Duration) -> SystemTime {
    UNIX_EPOCH.checked_add(time).unwrap_or(UNIX_EPOCH + Duration::from_secs(u32::MAX.into()))
}

fn expiry(u: &mut Unstructured<'_>, now: Duration) -> Drawn<Expiry> {
    Ok(match u.int_in_range(0..=5_u8)? {
        0 => Expiry::Never,
        1 => Expiry::Unknown,
        2 => Expiry::At(wall(time(u)?)),
        3 => Expiry::At(wall(now.saturating_add(time(u)?))),
        _ => Expiry::In(time(u)?),
    })
}

fn outcome(u: &mut Unstructured<'_>, now: Duration) -> Drawn<FetchOutcome> {
    Ok(match u.int_in_range(0..=6_u8)? {
        0 => FetchOutcome::Nothing,
        1 => {
            let kinds = [ErrorKind::Unavailable, ErrorKind::Refused, ErrorKind::Transport, ErrorKind::Config];
            let retry = match u.int_in_range(0..=2_u8)? {
                0 => Retry::AfterChange,
                1 => Retry::Later { after: None },
                _ => Retry::Later { after: Some(time(u)?) },
            };
            FetchOutcome::Error(*u.choose(&kinds)?, retry)
        }
        2 => FetchOutcome::Again(expiry(u, now)?),
        _ => FetchOutcome::Token(expiry(u, now)?),
    })
}

/// The policy, its default lifetime and its maximum lifetime.
fn policy(u: &mut Unstructured<'_>) -> Drawn<(Policy, Duration, Duration)> {
    if u.arbitrary()? {
        return Ok((Policy::default(), Duration::from_secs(300), Duration::from_secs(30 * 24 * 3_600)));
    }
    let (default, max) = (time(u)?, time(u)?);
    let policy = Policy::default()
        .reserve(time(u)?)
        .refresh_ahead(time(u)?)
        .jitter(u.arbitrary()?)
        .fetch_timeout(time(u)?)
        .refresh_timeout(time(u)?)
        .retry_after_limit(time(u)?)
        .transient_backoff(Backoff::new(time(u)?, time(u)?))
        .terminal_backoff(Backoff::new(time(u)?, time(u)?))
        .rejection_backoff(Backoff::new(time(u)?, time(u)?))
        .default_lifetime(default)
        .max_lifetime(max);
    Ok((policy, default, max))
}

/// Lives one provider's life.
fn live(u: &mut Unstructured<'_>) -> Drawn<()> {
    let shared = SharedWorld::default();
    shared.world().wall = Duration::from_secs(1_700_000_000);
    let (policy, default, max) = policy(u)?;
    shared.world().monotonic = time(u)?;
    let platform =
        Platform::system().with_clock(shared.clone()).with_spawn(shared.clone()).with_entropy(Fixed(u.arbitrary()?));
    let built = TokenProvider::builder(shared.clone())
        .allow_origin("https://api.example.com")
        .policy(policy)
        .platform(platform)
        .build();
    // An invalid policy is refused.
    let Ok(provider) = built else { return Ok(()) };
    let mut bench = Bench { shared, provider, default, max, waiting: Vec::new(), last: None };
    while !u.is_empty() {
        bench.step(u)?;
    }
    Ok(())
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Tasks own the source, and the source owns the tasks.
        let tasks = std::mem::take(&mut self.shared.world().tasks);
        drop(tasks);
    }
}

struct Bench {
    shared: SharedWorld,
    provider: TokenProvider,
    default: Duration,
    max: Duration,
    waiting: Vec<TokenFuture>,
    last: Option<(String, Ticket)>,
}

impl Bench {
    fn step(&mut self, u: &mut Unstructured<'_>) -> Drawn<()> {
        match u.int_in_range(0..=15_u8)? {
            0 | 1 => {
                let time = time(u)?;
                let mut world = self.shared.world();
                world.monotonic = world.monotonic.saturating_add(time);
                world.wall = world.wall.saturating_add(time).min(Duration::from_secs(u32::MAX.into()));
            }
            // The time of day may be set in either direction, independent of the monotonic clock.
            2 => self.shared.world().wall = time(u)?.min(Duration::from_secs(u64::from(u32::MAX) * 2)),
            3 | 4 => {
                let now = self.shared.world().wall;
                let outcome = outcome(u, now)?;
                self.shared.world().outcomes.push_back(outcome);
            }
            5 | 6 => drop(self.authorize()),
            7 | 8 => {
                self.waiting.push(self.provider.token());
                self.poll();
            }
            9 => {
                self.waiting.push(self.provider.refresh_now());
                self.poll();
            }
            10 => self.poll(),
            11 => self.run(),
            12 => {
                if !self.waiting.is_empty() {
                    let gone = u.choose_index(self.waiting.len())?;
                    drop(self.waiting.swap_remove(gone));
                }
            }
            13 => self.reject(u.arbitrary()?),
            14 => {
                let refuses = u.arbitrary()?;
                let mut world = self.shared.world();
                world.refuses_tasks = refuses;
                // A runtime that shuts down drops its tasks.
                let tasks = std::mem::take(&mut world.tasks);
                drop(world);
                drop(tasks);
            }
            _ => {
                let _ = self.provider.status();
                let _ = self.provider.cached();
            }
        }
        Ok(())
    }

    /// The token that a request carries, which must not have expired.
    fn authorize(&mut self) -> Option<String> {
        let mut request = Request::get("https://api.example.com/orders").body(()).expect("it is fixed");
        let authorized = self.provider.authorize(&mut request).expect("the origin is allowed");
        let value = request.headers().get(AUTHORIZATION);
        let Authorized::Inserted(ticket) = authorized else {
            assert!(value.is_none());
            return None;
        };
        let value = value.and_then(|value| value.to_str().ok()).expect("it carries a token");
        let token = value.strip_prefix("Bearer ").expect("the scheme").to_owned();
        let world = self.shared.world();
        let is_valid =
            world.given.iter().filter(|given| given.token == token).any(|given| self.is_valid(&world, given));
        assert!(is_valid, "{token} has expired");
        drop(world);
        self.last = Some((token.clone(), ticket));
        Some(token)
    }

    fn is_valid(&self, world: &World, given: &Given) -> bool {
        let said = match given.expiry {
            Expiry::Never => return true,
            Expiry::Unknown => self.default,
            Expiry::In(lifetime) => lifetime,
            Expiry::At(time) => time.duration_since(given.started.wall()).unwrap_or_default(),
        };
        let lifetime = said.min(self.max);
        let ends = given.started.monotonic().saturating_add(lifetime);
        let wall_ends = given.started.since_epoch().saturating_add(lifetime);
        // The latest reading of the clocks.
        let last = Duration::from_nanos(u64::MAX);
        world.monotonic.min(last) < ends && world.wall.min(last) < wall_ends
    }

    fn poll(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        self.waiting.retain_mut(|waiting| Pin::new(waiting).poll(&mut cx).is_pending());
    }

    fn run(&mut self) {
        let mut tasks = std::mem::take(&mut self.shared.world().tasks);
        let mut cx = Context::from_waker(Waker::noop());
        tasks.retain_mut(|task| task.as_mut().poll(&mut cx).is_pending());
        self.shared.world().tasks.extend(tasks);
    }

    fn reject(&mut self, challenged: bool) {
        let Some((token, ticket)) = self.last.clone() else { return };
        let mut headers = HeaderMap::new();
        if challenged {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer claims=e30"));
        }
        if ticket.reject(&headers) == Rejection::Renewing {
            assert_ne!(self.authorize(), Some(token), "it was just withdrawn");
        }
    }
}
