//! Many callers without a token, at its expiry, and during a failure of the authorization server.

use std::{
    future::Future,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use lab::{
    contenders::{self, Profile, Role},
    drive::Driver,
    endpoint::{Endpoint, Manner},
    report::{Plot, Report},
    statistics::{median, quantile},
};
use tokio::{
    runtime::Runtime,
    sync::{Barrier, watch},
    time::{self, MissedTickBehavior},
};

/// The response time of the token endpoint.
const LATENCY: Duration = Duration::from_millis(250);
/// A request that waits longer counts as delayed.
const DELAYED: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime");
    let storming: Vec<Profile> = contenders::all()
        .into_iter()
        .filter(|profile| profile.base == contenders::TOWER && matches!(profile.role, Role::Ours | Role::Peer))
        .collect();
    let mut report = Report::new("storm");
    cold(&mut report, &runtime, &storming);
    failing(&mut report, &runtime, &storming);
    expiry(&mut report, &runtime, &storming);
    outage(&mut report, &runtime, &storming);
    report.finish()
}

/// Many callers at once without a token.
fn cold(report: &mut Report, runtime: &Runtime, storming: &[Profile]) {
    const ROUNDS: usize = 5;

    let mut rows = Vec::new();
    let wakes = [1_000, 10_000].map(|callers| median((0..ROUNDS).map(|_| runtime.block_on(wake(callers)))));
    let cells = wakes.iter().flat_map(|wake| [String::new(), format!("{:.0}", wake * 1e3), String::new()]);
    rows.push(["waking as many tasks".to_owned()].into_iter().chain(cells).collect());
    // This contender's constructor does what the others do at the first request.
    for profile in storming.iter().filter(|profile| profile.name != "aliri_tokens") {
        let rounds = if profile.role == Role::Ours { ROUNDS } else { 1 };
        let mut row = vec![profile.name.to_owned()];
        for (callers, wake) in [1_000, 10_000].into_iter().zip(wakes) {
            let storms: Vec<_> = (0..rounds).map(|_| runtime.block_on(storm(profile, callers))).collect();
            let requests = storms.iter().map(|storm| storm.requests).max().unwrap_or_default();
            let seconds = median(storms.iter().map(|storm| storm.seconds));
            let failed: u64 = storms.iter().map(|storm| storm.failed).sum();
            row.extend([requests.to_string(), format!("{:.0}", seconds * 1e3), failed.to_string()]);
            if profile.role == Role::Ours && callers == 10_000 {
                let served = seconds <= 1.2 * LATENCY.as_secs_f64() + wake;
                report.bar(
                    "storm-cold",
                    "cold storm, 10,000 callers",
                    format!("1 token request, all served within {:.0} ms", 1.2 * 250.0 + wake * 1e3),
                    format!("{requests}, {:.0} ms, {failed} failed", seconds * 1e3),
                    requests == 1 && failed == 0 && served,
                );
            }
        }
        rows.push(row);
    }
    report.text(format!(
        "**Cold callers.** The endpoint takes {} ms. Token requests, time until all were served, callers who failed; of \
         ours the median time of {ROUNDS} storms.",
        LATENCY.as_millis()
    ));
    report.table(&["", "requests, 1,000", "ms", "failed", "requests, 10,000", "ms", "failed"], rows);
}

struct Storm {
    requests: u64,
    seconds: f64,
    failed: u64,
}

async fn storm(profile: &Profile, callers: usize) -> Storm {
    let endpoint = Endpoint::start(Manner { delay: LATENCY, ..Manner::prompt() });
    let driver: Arc<dyn Driver> = contenders::cold(profile.name, &endpoint).await.into();
    let failed = Arc::new(AtomicU64::new(0));
    let seconds = at_once(callers, || {
        let (driver, failed) = (driver.clone(), failed.clone());
        async move {
            let sent = time::timeout(Duration::from_secs(60), driver.send_one()).await;
            if !matches!(sent, Ok(Ok(()))) {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .await;
    Storm { requests: endpoint.requests(), seconds, failed: failed.load(Ordering::Relaxed) }
}

/// The cost of waking this many tasks at once, which no provider can avoid. One task waits as
/// long as the endpoint takes, and then wakes all others.
async fn wake(tasks: usize) -> f64 {
    let (sender, receiver) = watch::channel(false);
    let sender = Arc::new(Mutex::new(Some(sender)));
    at_once(tasks, || {
        let (sender, mut receiver) = (sender.clone(), receiver.clone());
        async move {
            let first = sender.lock().expect("no panic").take();
            match first {
                Some(sender) => {
                    time::sleep(LATENCY).await;
                    sender.send_replace(true);
                }
                None => drop(receiver.wait_for(|told| *told).await),
            }
        }
    })
    .await
        - LATENCY.as_secs_f64()
}

/// Seconds from the start of the first task to the end of the last. They start once all are ready.
async fn at_once<F: Future<Output = ()> + Send + 'static>(tasks: usize, task: impl Fn() -> F) -> f64 {
    let barrier = Arc::new(Barrier::new(tasks));
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            let (task, barrier) = (task(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                let began = Instant::now();
                task.await;
                (began, Instant::now())
            })
        })
        .collect();
    let mut times = Vec::with_capacity(tasks);
    for handle in handles {
        times.push(handle.await.expect("no panic"));
    }
    let (began, ended) = (times.iter().map(|time| time.0).min(), times.iter().map(|time| time.1).max());
    began.zip(ended).map_or(f64::NAN, |(began, ended)| (ended - began).as_secs_f64())
}

/// Callers without a token while the endpoint responds with 503.
fn failing(report: &mut Report, runtime: &Runtime, storming: &[Profile]) {
    const CALLERS: usize = 100;
    const PATIENCE: Duration = Duration::from_secs(15);

    let mut rows = Vec::new();
    for profile in storming.iter().filter(|profile| profile.name != "aliri_tokens") {
        let endpoint = Endpoint::start(Manner { status: StatusCode::SERVICE_UNAVAILABLE, ..Manner::prompt() });
        let told = Arc::new(AtomicU64::new(0));
        let seconds = runtime.block_on(async {
            let driver: Arc<dyn Driver> = contenders::cold(profile.name, &endpoint).await.into();
            at_once(CALLERS, || {
                let (driver, told) = (driver.clone(), told.clone());
                async move {
                    if time::timeout(PATIENCE, driver.send_one()).await.is_ok() {
                        told.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
            .await
        });
        rows.push(vec![
            profile.name.to_owned(),
            endpoint.requests().to_string(),
            format!("{}", told.load(Ordering::Relaxed)),
            format!("{seconds:.2}"),
        ]);
    }
    report.text(format!(
        "**A failing endpoint.** {CALLERS} callers without a token, and the endpoint responds with 503 at once. Token requests, \
         callers who were told within {} s, seconds until then.",
        PATIENCE.as_secs()
    ));
    report.table(&["", "token requests", "told", "seconds"], rows);
}

/// A steady load while tokens expire.
fn expiry(report: &mut Report, runtime: &Runtime, storming: &[Profile]) {
    const PER_MILLISECOND: u64 = 2;
    const SECONDS: u64 = 20;

    let mut rows = Vec::new();
    let mut series = Vec::new();
    let all = contenders::all();
    let machine = all.iter().find(|profile| profile.role == Role::Base).expect("everyone is there");
    let mut by_the_machine = 0;
    for profile in [machine].into_iter().chain(storming) {
        let lifetime = profile.margin + Duration::from_secs(8);
        let endpoint = Endpoint::start(Manner { delay: LATENCY, lifetime, ..Manner::prompt() });
        let calls = runtime.block_on(async {
            let driver: Arc<dyn Driver> = contenders::cold(profile.name, &endpoint).await.into();
            let _ = driver.send_one().await;
            endpoint.take_times();
            load(driver, PER_MILLISECOND, Duration::from_secs(SECONDS)).await
        });
        let millis = |share| {
            let time = quantile(calls.iter().map(|call| call.took.as_secs_f64()), share) * 1e3;
            format!("{time:.2}")
        };
        let delayed = calls.iter().filter(|call| call.late > DELAYED).count();
        if profile.role == Role::Base {
            by_the_machine = delayed;
        }
        let failed = calls.iter().filter(|call| call.failed).count();
        rows.push(vec![
            profile.name.to_owned(),
            endpoint.requests().to_string(),
            millis(0.5),
            millis(0.99),
            millis(0.999),
            millis(1.0),
            delayed.to_string(),
            failed.to_string(),
        ]);
        series.push((profile.name.to_owned(), delayed as f64));
        if profile.role == Role::Ours {
            report.bar(
                "storm-expiry",
                "expiry under load, 2,000 requests/s, endpoint 250 ms",
                format!(
                    "no more requests delayed than without a token ({by_the_machine}), 0 failed, at least 2 refreshes"
                ),
                format!("{delayed}, {failed}, {}", endpoint.requests()),
                delayed <= by_the_machine && failed == 0 && endpoint.requests() >= 2,
            );
        }
    }
    report.text(format!(
        "**Expiry under load.** {} requests/s for {SECONDS} s, the endpoint takes {} ms, and tokens live for as long as a \
         contender needs to use each for about 8 s. Milliseconds that attaching the token took, and requests that ended more \
         than {} ms after they were due, for whatever reason; the first row is the machine's own share.",
        PER_MILLISECOND * 1_000,
        LATENCY.as_millis(),
        DELAYED.as_millis(),
    ));
    report.table(&["", "token requests", "p50", "p99", "p99.9", "max", "delayed", "failed"], rows);
    report.plot(Plot {
        name: "expiry".to_owned(),
        title: format!("Requests that ended more than {} ms late, of {}", DELAYED.as_millis(), SECONDS * 2_000),
        x: String::new(),
        y: "requests".to_owned(),
        labels: series.iter().map(|(name, _)| name.clone()).collect(),
        series: vec![("delayed".to_owned(), series.iter().enumerate().map(|(at, (_, y))| (at as f64, *y)).collect())],
    });
}

/// One request under load.
#[derive(Clone, Copy)]
struct Call {
    began: Instant,
    took: Duration,
    /// The time from when it was due to its end, including delays by other requests.
    late: Duration,
    failed: bool,
}

/// Starts this many requests each millisecond, even if earlier ones have not ended.
async fn load(driver: Arc<dyn Driver>, per_millisecond: u64, time: Duration) -> Vec<Call> {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let mut ticks = time::interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut running = Vec::new();
    for _ in 0..time.as_millis() {
        let due = ticks.tick().await.into_std();
        for _ in 0..per_millisecond {
            let (driver, calls) = (driver.clone(), calls.clone());
            running.push(tokio::spawn(async move {
                let began = Instant::now();
                let failed = !matches!(time::timeout(Duration::from_secs(20), driver.send_one()).await, Ok(Ok(())));
                let call = Call { began, took: began.elapsed(), late: due.elapsed(), failed };
                calls.lock().expect("no panic").push(call);
            }));
        }
    }
    for request in running {
        let _ = request.await;
    }
    std::mem::take(&mut *calls.lock().expect("no panic"))
}

/// The endpoint starts to fail while the token is valid, and keeps failing.
fn outage(report: &mut Report, runtime: &Runtime, storming: &[Profile]) {
    const AFTER: Duration = Duration::from_secs(6);
    /// The longest clock tick of Linux.
    const TICK: Duration = Duration::from_millis(10);

    // All contenders at once: the load is light, and some must be observed for more than a minute.
    let outcomes = runtime.block_on(async {
        let mut running = Vec::new();
        for &profile in storming {
            let lifetime = profile.margin + Duration::from_secs(12);
            let endpoint = Endpoint::start(Manner { lifetime, ..Manner::prompt() });
            let begun = Instant::now();
            let driver: Arc<dyn Driver> = contenders::cold(profile.name, &endpoint).await.into();
            running.push(tokio::spawn(async move {
                let _ = driver.send_one().await;
                endpoint.behave(Manner { status: StatusCode::SERVICE_UNAVAILABLE, ..Manner::prompt() });
                endpoint.take_times();
                // The last tenth is the reserve: a token that is sent then may expire on the way. A coarse clock shows
                // the moment of the fetch up to a tick early.
                let good = begun + lifetime.mul_f64(0.9) - TICK;
                let calls = load_slowly(driver, lifetime + AFTER).await;
                (profile, good, begun + lifetime, calls, endpoint.take_times())
            }));
        }
        let mut outcomes = Vec::new();
        for outcome in running {
            outcomes.push(outcome.await.expect("no panic"));
        }
        outcomes
    });

    let mut rows = Vec::new();
    for (profile, good, expired, calls, times) in outcomes {
        let failed = |from: Option<Instant>, until: Instant| {
            let inside = |call: &&Call| from.is_none_or(|from| call.began >= from) && call.began < until;
            let (all, failed) = calls
                .iter()
                .filter(inside)
                .fold((0, 0), |(all, failed), call| (all + 1, failed + u64::from(call.failed)));
            format!("{failed} of {all}")
        };
        let end = expired + AFTER;
        let before = times.iter().filter(|&&time| time < expired).count();
        rows.push(vec![
            profile.name.to_owned(),
            before.to_string(),
            failed(None, good),
            (times.len() - before).to_string(),
            failed(Some(expired), end),
        ]);
        if profile.role == Role::Ours {
            let lost = calls.iter().filter(|call| call.began < good && call.failed).count();
            let waits: Vec<f64> = times.windows(2).map(|two| (two[1] - two[0]).as_secs_f64()).collect();
            // 1 s, doubling, times a draw between one half and one; plus a coarse tick and the time to the next
            // request.
            let whole = |failures: usize| f64::powi(2.0, failures as i32);
            let in_time =
                |(failures, wait): (usize, &f64)| (whole(failures) / 2.0 - 0.02..whole(failures) + 0.25).contains(wait);
            // It does not give up either: a wait that ended before the load did would show a request.
            let silence = times.last().map_or(f64::INFINITY, |&last| (end - last).as_secs_f64());
            let as_told = waits.iter().enumerate().all(in_time) && silence < whole(waits.len()) + 0.25;
            let waits: Vec<_> = waits.iter().map(|wait| format!("{wait:.1}")).collect();
            report.bar(
                "storm-outage",
                "outage with a valid token",
                "0 failed requests; waits between token requests of half to whole 1 s, 2 s, 4 s, ..",
                format!("{lost} failed; {} s", waits.join(" s, ")),
                lost == 0 && as_told && times.len() > 1,
            );
        }
    }
    report.text(format!(
        "**Outage.** The endpoint answers 503 from just after the first token on; 200 requests/s, until {} s after that \
         token expired. Token requests and failed requests while it was good (but for its last tenth), and after.",
        AFTER.as_secs()
    ));
    report.table(&["", "token requests, valid", "failed, valid", "token requests, after", "failed, after"], rows);
}

/// The interval of requests: five milliseconds.
async fn load_slowly(driver: Arc<dyn Driver>, time: Duration) -> Vec<Call> {
    let mut ticks = time::interval(Duration::from_millis(5));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let mut running = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < time {
        let due = ticks.tick().await.into_std();
        let (driver, calls) = (driver.clone(), calls.clone());
        running.push(tokio::spawn(async move {
            let began = Instant::now();
            let failed = !matches!(time::timeout(Duration::from_secs(5), driver.send_one()).await, Ok(Ok(())));
            let call = Call { began, took: began.elapsed(), late: due.elapsed(), failed };
            calls.lock().expect("no panic").push(call);
        }));
    }
    for request in running {
        let _ = request.await;
    }
    std::mem::take(&mut *calls.lock().expect("no panic"))
}
