//! A simulated fleet, as seen by the authorization server.

use std::{
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use bearer_token::{AccessToken, Authorized, Destination, Error, ErrorKind, FetchContext, Policy, TokenProvider};
use http::{HeaderMap, header::AUTHORIZATION};

use crate::{
    store::{ModelStore, Sharing, exchange_time},
    world::World,
};

/// The start of a fleet, and the events in its life.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) instances: usize,
    pub(crate) lifetime: Duration,
    pub(crate) time: Duration,
    /// The number of waves and the time between two; otherwise all start together.
    pub(crate) waves: Option<(usize, Duration)>,
    /// The period in which the authorization server fails.
    pub(crate) outage: Option<(Duration, Duration)>,
    pub(crate) jitter: bool,
    /// Each instance sends a request this often.
    pub(crate) between: Duration,
    /// Whether the instances share one token.
    pub(crate) sharing: Option<Sharing>,
}

/// The result of a simulation.
pub(crate) struct Course {
    /// Token requests in each window.
    pub(crate) windows: Vec<u32>,
    /// Requests of instances without a token.
    pub(crate) unserved: u64,
    /// Requests that the API rejected.
    pub(crate) rejected: u64,
    /// Calls of the shared store.
    pub(crate) store_calls: u64,
    /// The longest time for which a request waited for a token.
    pub(crate) longest_wait: Duration,
    instances: usize,
    lifetime: Duration,
    /// The start of the last instance.
    started: Duration,
    outage: Option<(Duration, Duration)>,
}

pub(crate) const WINDOW: Duration = Duration::from_secs(60);

struct Instance {
    provider: TokenProvider,
    starts: Duration,
}

pub(crate) fn run(plan: &Plan) -> anyhow::Result<Course> {
    static FIRST: Once = Once::new();
    if plan.sharing.is_some() {
        // The first seal of a process gathers randomness. Another simulation would wait for it in real time.
        FIRST.call_once(|| drop(simulate(&Plan { instances: 1, time: plan.between, ..*plan })));
    }
    simulate(plan)
}

fn simulate(plan: &Plan) -> anyhow::Result<Course> {
    let world = World::new();
    let windows = plan.time.as_secs().div_ceil(WINDOW.as_secs());
    let seen = Arc::new(Mutex::new(vec![0; usize::try_from(windows)?]));
    let store = plan.sharing.map(|sharing| ModelStore::new(&world, sharing));
    let fleet: Vec<Instance> = (0..plan.instances)
        .map(|number| instance(plan, &world, &seen, store.as_ref(), number))
        .collect::<Result<_, _>>()?;
    let started = fleet.iter().map(|instance| instance.starts).max().unwrap_or_default() + plan.between;

    let (mut rejected, waits) = (0, Arc::new(Mutex::new(Waits::default())));
    let revoked = plan.sharing.and_then(|sharing| sharing.revoked);
    let mut now = Duration::ZERO;
    while now < plan.time {
        for (number, instance) in fleet.iter().enumerate().filter(|(_, instance)| instance.starts <= now) {
            // Spread evenly over the time between two requests, and always the same.
            world.run_until(now + plan.between / u32::try_from(fleet.len())? * u32::try_from(number)?);
            rejected += u64::from(request(&world, &instance.provider, revoked, &waits)?);
        }
        now += plan.between;
    }
    // The last requests end.
    world.run_until(plan.time + plan.between);
    let windows = lock(&seen).clone();
    let Waits { unserved, longest } = *lock(&waits);
    let Plan { instances, lifetime, outage, .. } = *plan;
    let store_calls = store.map_or(0, |store| store.calls());
    let longest_wait = longest;
    Ok(Course { windows, unserved, rejected, store_calls, longest_wait, instances, lifetime, started, outage })
}

fn instance(
    plan: &Plan,
    world: &World,
    seen: &Arc<Mutex<Vec<u32>>>,
    store: Option<&ModelStore>,
    number: usize,
) -> Result<Instance, Error> {
    let (lifetime, outage) = (plan.lifetime, plan.outage);
    let (here, seen, is_sharing) = (world.clone(), seen.clone(), store.is_some());
    let source = move |_cx: FetchContext| {
        let time = here.time();
        let window = (time.as_secs() / WINDOW.as_secs()) as usize;
        if let Some(count) = lock(&seen).get_mut(window) {
            *count += 1;
        }
        let here = here.clone();
        async move {
            if is_sharing {
                here.sleep(exchange_time(&here)).await;
            }
            if outage.is_some_and(|(from, until)| (from..until).contains(&time)) {
                return Err(Error::new(ErrorKind::Unavailable, "the authorization server is down"));
            }
            Ok(AccessToken::new(format!("{number}-{}", here.time().as_secs())).expires_in(lifetime))
        }
    };
    let provider = match store {
        Some(store) => TokenProvider::builder(store.fleet()?.share_as("orders", source)),
        None => TokenProvider::builder(source),
    };
    let provider = provider
        .allow_origin("https://api.example.com")
        .policy(Policy::default().jitter(plan.jitter))
        .platform(world.platform())
        .build()?;
    let starts = plan.waves.map_or(Duration::ZERO, |(waves, between)| {
        between * u32::try_from(number * waves / plan.instances).unwrap_or_default()
    });
    Ok(Instance { provider, starts })
}

/// What became of the requests that waited for a token.
#[derive(Clone, Copy, Default)]
struct Waits {
    /// There was none.
    unserved: u64,
    longest: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends one request of an instance, to an API that rejects tokens from before a time. Returns whether it was rejected.
fn request(
    world: &World,
    provider: &TokenProvider,
    revoked: Option<Duration>,
    waits: &Arc<Mutex<Waits>>,
) -> Result<bool, Error> {
    let mut headers = HeaderMap::new();
    let authorized = provider.authorize_headers(Destination::new("https", "api.example.com"), &mut headers)?;
    let is_rejected = match authorized {
        Authorized::NotReady => {
            let (here, token, waits, begun) = (world.clone(), provider.token(), waits.clone(), world.time());
            world.start(Box::pin(async move {
                let is_served = token.await.is_ok();
                let mut waits = lock(&waits);
                waits.unserved += u64::from(!is_served);
                waits.longest = waits.longest.max(here.time() - begun);
            }));
            false
        }
        Authorized::Inserted(ticket) if is_revoked(&headers, revoked, world.time()) => {
            ticket.reject(&HeaderMap::new());
            true
        }
        _ => false,
    };
    world.run_tasks();
    Ok(is_rejected)
}

/// Whether the token was issued before the revocation, which has happened. Its last part is the second of its issue.
fn is_revoked(headers: &HeaderMap, revoked: Option<Duration>, now: Duration) -> bool {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let issued = value.rsplit('-').next().and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    revoked.is_some_and(|revoked| now >= revoked && issued.is_some_and(|issued| issued < revoked))
}

impl Course {
    /// Token requests in an average window, without the start and the outage.
    pub(crate) fn mean(&self) -> f64 {
        let quiet = |window: &usize| {
            let at = WINDOW * u32::try_from(*window).unwrap_or(u32::MAX);
            at >= self.started && self.outage.is_none_or(|(from, until)| at < from || at >= until)
        };
        let counted: Vec<u32> = (0..self.windows.len()).filter(quiet).map(|window| self.windows[window]).collect();
        f64::from(counted.iter().sum::<u32>()) / counted.len() as f64
    }

    /// The fullest window of the first cycle, which ends when the first token of every instance has expired. None has
    /// renewed its second one by then.
    pub(crate) fn first_cycle(&self) -> Option<f64> {
        self.peak(self.started, self.started + self.lifetime)
    }

    pub(crate) fn tenth_cycle_on(&self) -> Option<f64> {
        self.peak(self.started + 9 * self.cycle(), Duration::MAX)
    }

    /// The fullest window between these times, by the mean.
    pub(crate) fn peak(&self, from: Duration, until: Duration) -> Option<f64> {
        let window = |time: Duration| (time.as_secs().div_ceil(WINDOW.as_secs())) as usize;
        let range = window(from)..window(until).min(self.windows.len());
        let peak = self.windows.get(range)?.iter().max()?;
        Some(f64::from(*peak) / self.mean())
    }

    /// Token requests between these times.
    pub(crate) fn requests(&self, from: Duration, until: Duration) -> u32 {
        let window = |time: Duration| (time.as_secs() / WINDOW.as_secs()) as usize;
        self.windows.get(window(from)..window(until)).unwrap_or_default().iter().sum()
    }

    /// The average time between two token requests of an instance.
    fn cycle(&self) -> Duration {
        WINDOW.mul_f64(self.instances as f64 / self.mean())
    }
}
