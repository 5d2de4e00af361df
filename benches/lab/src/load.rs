//! Many callers at once, and steady loads.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Barrier, watch},
    time::{self, MissedTickBehavior},
};

use crate::{
    contenders::{self, Profile, Role},
    drive::Driver,
    endpoint::{Endpoint, Manner},
};

/// The contenders that are driven through storms: ours and the peers, each as its documentation shows it.
pub fn storming() -> Vec<Profile> {
    let all = contenders::all().into_iter();
    all.filter(|profile| profile.base == contenders::TOWER && matches!(profile.role, Role::Ours | Role::Peer)).collect()
}

/// The same without aliri_tokens, whose constructor does what the others do at the first request.
pub fn cold() -> Vec<Profile> {
    storming().into_iter().filter(|profile| profile.name != "aliri_tokens").collect()
}

/// What many callers met who came at once and without a token.
pub struct Storm {
    pub requests: u64,
    /// The time until all were told.
    pub seconds: f64,
    pub failed: u64,
    pub told: u64,
}

/// Callers at once, without a token, each with this much patience. The first `cancelled` of them begin a little
/// earlier, and are dropped after 50 ms.
pub async fn storm(profile: &Profile, manner: Manner, callers: usize, cancelled: usize, patience: Duration) -> Storm {
    let endpoint = Endpoint::start(manner);
    let driver: Arc<dyn Driver> = contenders::cold(profile.name, &endpoint).await.into();
    let [failed, told] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
    let leaders: Vec<_> = (0..cancelled)
        .map(|_| {
            let driver = driver.clone();
            tokio::spawn(async move { time::timeout(Duration::from_millis(50), driver.send_one()).await.is_ok() })
        })
        .collect();
    if cancelled > 0 {
        time::sleep(Duration::from_millis(10)).await;
    }
    let seconds = at_once(callers, || {
        let (driver, failed, told) = (driver.clone(), failed.clone(), told.clone());
        async move {
            let sent = time::timeout(patience, driver.send_one()).await;
            told.fetch_add(u64::from(sent.is_ok()), Ordering::Relaxed);
            failed.fetch_add(u64::from(!matches!(sent, Ok(Ok(())))), Ordering::Relaxed);
        }
    })
    .await;
    for leader in leaders {
        let _ = leader.await;
    }
    let [failed, told] = [failed, told].map(|number| number.load(Ordering::Relaxed));
    Storm { requests: endpoint.requests(), seconds, failed, told }
}

/// The cost of waking this many tasks at once, which no provider can avoid. One task waits that long, and then wakes
/// all others.
pub async fn wake(tasks: usize, latency: Duration) -> f64 {
    let (sender, receiver) = watch::channel(false);
    let sender = Arc::new(Mutex::new(Some(sender)));
    at_once(tasks, || {
        let (sender, mut receiver) = (sender.clone(), receiver.clone());
        async move {
            let first = sender.lock().expect("no panic").take();
            match first {
                Some(sender) => {
                    time::sleep(latency).await;
                    sender.send_replace(true);
                }
                None => drop(receiver.wait_for(|told| *told).await),
            }
        }
    })
    .await
        - latency.as_secs_f64()
}

/// Seconds from the start of the first task to the end of the last. They start once all are ready.
pub async fn at_once<F: Future<Output = ()> + Send + 'static>(tasks: usize, task: impl Fn() -> F) -> f64 {
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

/// One request under load.
#[derive(Clone, Copy)]
pub struct Call {
    pub began: Instant,
    pub took: Duration,
    /// The time from when it was due to its end, including delays by other requests.
    pub late: Duration,
    /// It failed, or ran out of patience.
    pub failed: bool,
    pub told: bool,
}

/// Starts some requests in each interval, even if earlier ones have not ended.
pub async fn load(
    driver: Arc<dyn Driver>,
    interval: Duration,
    each: usize,
    time: Duration,
    patience: Duration,
) -> Vec<Call> {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let mut ticks = time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut running = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < time {
        let due = ticks.tick().await.into_std();
        for _ in 0..each {
            let (driver, calls) = (driver.clone(), calls.clone());
            running.push(tokio::spawn(async move {
                let began = Instant::now();
                let sent = time::timeout(patience, driver.send_one()).await;
                let (told, failed) = (sent.is_ok(), !matches!(sent, Ok(Ok(()))));
                let call = Call { began, took: began.elapsed(), late: due.elapsed(), failed, told };
                calls.lock().expect("no panic").push(call);
            }));
        }
    }
    for request in running {
        let _ = request.await;
    }
    std::mem::take(&mut *calls.lock().expect("no panic"))
}
