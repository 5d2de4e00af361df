//! Tenants come and go, fail, hang and are revoked, in virtual time, beside an oracle.

use bearer_token::ErrorKind;

use super::*;

const TENANTS: u64 = 60;
const BOUND: usize = 24;
const STEPS: usize = 8_000;

/// What the world does to the tenants.
#[derive(Default)]
struct World {
    fails: Vec<bool>,
    hangs: Vec<bool>,
    /// Fetches in progress, by tenant.
    running: Vec<u64>,
    peak: Vec<u64>,
    served: u64,
}

type Shared = Arc<Mutex<World>>;

/// Counts a fetch for as long as its future exists.
struct Running(Shared, usize);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().unwrap().running[self.1] -= 1;
    }
}

async fn fetch(world: Shared, tenant: u64) -> Result<AccessToken, Error> {
    let place = tenant as usize;
    {
        let mut world = world.lock().unwrap();
        world.running[place] += 1;
        world.peak[place] = world.peak[place].max(world.running[place]);
    }
    let _running = Running(world.clone(), place);
    tokio::task::yield_now().await;
    if world.lock().unwrap().hangs[place] {
        std::future::pending::<()>().await;
    }
    let mut world = world.lock().unwrap();
    if world.fails[place] {
        return Err(Error::new(ErrorKind::Unavailable, format!("tenant {tenant} is down")));
    }
    world.served += 1;
    Ok(AccessToken::new(format!("{tenant}.{}", world.served)).expires_in(300 * SECOND))
}

async fn run(seed: u64) -> (u64, u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let bench = Bench::new();
    let count = TENANTS as usize;
    let world: Shared = Arc::new(Mutex::new(World {
        fails: vec![false; count],
        hangs: vec![false; count],
        running: vec![0; count],
        peak: vec![0; count],
        served: 0,
    }));
    let (shared, platform) = (world.clone(), bench.platform.clone());
    let tenants = KeyedProviders::<u64>::builder(move |&tenant| {
        let world = shared.clone();
        Ok(TokenProvider::builder(move |_cx: FetchContext| fetch(world.clone(), tenant))
            .allow_origin("https://api.example.com")
            .platform(platform.clone()))
    })
    .max_providers(BOUND)
    .max_idle(120 * SECOND)
    .max_concurrent_fetches(16)
    .platform(bench.platform.clone())
    .build()
    .unwrap();

    let (mut requests, mut waits) = (0, 0);
    let mut waiting: Vec<(u64, bearer_token::TokenFuture)> = Vec::new();
    for _ in 0..STEPS {
        let tenant = random.u64(0..TENANTS);
        match random.u8(0..20) {
            0 => world.lock().unwrap().fails[tenant as usize] ^= true,
            1 => world.lock().unwrap().hangs[tenant as usize] = random.u8(0..4) == 0,
            2 => bench.clock.advance(Duration::from_millis(random.u64(0..20_000))),
            3 => tenants.evict_idle(),
            _ => {
                let mut request = Request::get("https://api.example.com/").body(()).unwrap();
                match tenants.authorize(&tenant, &mut request) {
                    Ok(Authorized::Inserted(ticket)) => {
                        requests += 1;
                        let sent = request.headers()[AUTHORIZATION].to_str().unwrap();
                        let owner = sent.trim_start_matches("Bearer ").split('.').next();
                        assert_eq!(owner, Some(tenant.to_string().as_str()), "seed {seed}: another tenant's token");
                        if random.u8(0..50) == 0 {
                            ticket.reject(&http::HeaderMap::new());
                        }
                    }
                    Ok(_) => {
                        if let Ok(token) = tenants.token(&tenant) {
                            waiting.push((tenant, token));
                        }
                    }
                    // The map is full of providers that callers wait for.
                    Err(error) => assert!(error.is_transient(), "seed {seed}: {error}"),
                }
            }
        }
        tokio::task::yield_now().await;
        waiting.retain_mut(|(tenant, token)| match poll_once(token) {
            Poll::Pending => random.u8(0..100) != 0,
            Poll::Ready(Ok(bearer)) => {
                waits += 1;
                assert!(bearer.secret().starts_with(&format!("{tenant}.")), "seed {seed}: another tenant's token");
                false
            }
            Poll::Ready(Err(_)) => false,
        });
        assert!(tenants.len() <= BOUND, "seed {seed}");
    }
    // Every waiter ends.
    for _ in 0..40 {
        bench.clock.advance(10 * SECOND);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        world.lock().unwrap().hangs.fill(false);
        waiting.retain_mut(|(_, token)| poll_once(token).is_pending());
    }
    assert!(waiting.is_empty(), "seed {seed}: {} waiters never ended", waiting.len());
    let world = world.lock().unwrap();
    assert_eq!(world.peak.iter().max(), Some(&1), "seed {seed}: two fetches of one tenant at a time");
    (requests, waits)
}

#[tokio::test]
async fn no_request_ever_carries_another_tenants_token() {
    let (mut requests, mut waits) = (0, 0);
    for seed in 0..6 {
        let (more, more_waits) = run(seed).await;
        (requests, waits) = (requests + more, waits + more_waits);
    }
    // A run in which little happens proves little.
    assert!(requests > 3_000 && waits > 3_000, "{requests} requests, {waits} waits");
}
