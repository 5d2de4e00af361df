//! How callers get on when the authorization server hangs, responds badly at first, or loses the caller that asked; and
//! what a revoked token costs.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bearer_token::{AccessToken, FetchContext, TokenProvider};
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use lab::{
    contenders::{self, Profile, Role},
    drive::Driver,
    endpoint::{Endpoint, First, Manner},
    load::{self, Call, Storm, at_once, load},
    report::Report,
    statistics::{is_quick, median},
    warm::{self, ORIGIN},
};
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt};
use tower_bearer::{BearerLayer, Replay};

const LATENCY: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime");
    let mut report = Report::new("recovery");
    cancelled(&mut report, &runtime);
    bad_at_first(&mut report, &runtime);
    hanging(&mut report, &runtime);
    revoked(&mut report, &runtime);
    report.finish()
}

/// The callers who came first are dropped while the endpoint works on their token request.
fn cancelled(report: &mut Report, runtime: &Runtime) {
    const CALLERS: usize = 100;
    const CANCELLED: usize = 10;

    let rounds = if is_quick() { 1 } else { 5 };
    let mut rows = Vec::new();
    let manner = Manner { delay: LATENCY, ..Manner::prompt() };
    for profile in load::cold() {
        let storm = |_| runtime.block_on(load::storm(&profile, manner, CALLERS, CANCELLED, Duration::from_secs(5)));
        let storms: Vec<Storm> = (0..rounds).map(storm).collect();
        let requests = storms.iter().map(|storm| storm.requests).max().unwrap_or_default();
        let millis = median(storms.iter().map(|storm| storm.seconds * 1e3));
        let failed: u64 = storms.iter().map(|storm| storm.failed).sum();
        rows.push(vec![profile.name.to_owned(), requests.to_string(), format!("{millis:.0}"), failed.to_string()]);
        if profile.role == Role::Ours {
            let limit = 1.2 * LATENCY.as_secs_f64() * 1e3;
            report.bar(
                "cancelled-leaders",
                &format!("{CANCELLED} first callers cancelled, {CALLERS} others"),
                format!("1 token request, all served within {limit:.0} ms"),
                format!("{requests}, {millis:.0} ms, {failed} failed"),
                requests == 1 && failed == 0 && millis <= limit,
            );
        }
    }
    report.text(format!(
        "**Cancelled leaders.** The endpoint takes {} ms. {CANCELLED} callers without a token are dropped after 50 ms; \
         {CALLERS} others came 10 ms after them. The most token requests of {rounds} rounds, the median time until the others \
         were served, and how many of them failed in any round.",
        LATENCY.as_millis()
    ));
    report.table(&["", "token requests", "ms", "failed"], rows);
}

/// A caller every 50 ms, while the first responses are no tokens.
fn bad_at_first(report: &mut Report, runtime: &Runtime) {
    const FIRST: &[First] = &[
        First::Respond(StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"server_error"}"#),
        First::Respond(StatusCode::OK, "<html>Down for maintenance</html>"),
    ];
    const TIME: Duration = Duration::from_secs(10);

    let manner = Manner { first: FIRST, ..Manner::prompt() };
    let mut rows = Vec::new();
    for (profile, requests, calls) in steady(runtime, manner, TIME, Duration::from_secs(20)) {
        let failed = calls.iter().filter(|call| call.failed).count();
        let served = first_served(&calls);
        rows.push(vec![
            profile.name.to_owned(),
            requests.to_string(),
            seconds(served),
            failed.to_string(),
            calls.len().to_string(),
        ]);
        if profile.role == Role::Ours {
            // The longest waits after one and two failures, and the time to the next caller.
            let limit = 1.0 + 2.0 + 0.1;
            report.bar(
                "bad-first-responses",
                "two bad first responses, then good ones",
                format!("3 token requests, served after at most 1 s and 2 s of waiting ({limit} s)"),
                format!("{requests}, {} s", seconds(served)),
                requests == 3 && served.is_some_and(|served| served <= limit),
            );
        }
    }
    report.text(format!(
        "**Bad first responses.** The endpoint responds with 500, then with a page of HTML and status 200, and from then on \
         well. A caller every 50 ms for {} s. Token requests, seconds until a caller was served, callers who failed, and all. \
         Contenders that send a token request for each caller get over it first, and are those which make an outage worse \
         (see Storms).",
        TIME.as_secs()
    ));
    report.table(&["", "token requests", "served after, s", "failed", "callers"], rows);
}

/// A caller every 50 ms, while the first token request never gets a response.
fn hanging(report: &mut Report, runtime: &Runtime) {
    const TIME: Duration = Duration::from_secs(40);

    let manner = Manner { first: &[First::Hang], ..Manner::prompt() };
    let mut rows = Vec::new();
    for (profile, requests, calls) in steady(runtime, manner, TIME, TIME) {
        let failed = calls.iter().filter(|call| call.told && call.failed).count();
        let never = calls.iter().filter(|call| !call.told).count();
        let longest = calls.iter().map(|call| call.took).max().unwrap_or_default();
        let served = first_served(&calls);
        rows.push(vec![
            profile.name.to_owned(),
            requests.to_string(),
            seconds(served),
            format!("{:.1}", longest.as_secs_f64()),
            failed.to_string(),
            never.to_string(),
        ]);
        if profile.role == Role::Ours {
            // The timeout of a fetch, the longest wait after a failure, and the time to the next caller.
            let limit = 10.0 + 1.0 + 0.2;
            report.bar(
                "hanging-endpoint",
                "the first token request hangs",
                format!("2 token requests, no caller waits longer than 10.1 s, served after at most {limit} s"),
                format!("{requests}, {:.1} s, {} s", longest.as_secs_f64(), seconds(served)),
                requests == 2
                    && longest <= Duration::from_millis(10_100)
                    && served.is_some_and(|served| served <= limit),
            );
        }
    }
    report.text(format!(
        "**A hanging endpoint.** The first token request never gets a response, and later ones get a token at once. A caller \
         every 50 ms for {0} s, each of whom waits up to {0} s. Token requests, seconds until the first caller was served, the \
         longest wait, callers who got an error, and callers who were never told. Ours gives a fetch up after 10 s, which \
         `Policy` changes.",
        TIME.as_secs()
    ));
    report.table(&["", "token requests", "served after, s", "longest wait, s", "errors", "never told"], rows);
}

/// All contenders at once, each with an endpoint of its own and a caller every 50 ms.
fn steady(runtime: &Runtime, manner: Manner, time: Duration, patience: Duration) -> Vec<(Profile, u64, Vec<Call>)> {
    runtime.block_on(async {
        let mut running = Vec::new();
        for profile in load::cold() {
            let endpoint = Endpoint::start(manner);
            let driver: Arc<dyn Driver> = contenders::cold(profile.name, &endpoint).await.into();
            running.push(tokio::spawn(async move {
                let calls = load(driver, Duration::from_millis(50), 1, time, patience).await;
                (profile, endpoint.requests(), calls)
            }));
        }
        let mut all = Vec::new();
        for one in running {
            all.push(one.await.expect("no panic"));
        }
        all
    })
}

/// Seconds from the first call to the first that was served.
fn first_served(calls: &[Call]) -> Option<f64> {
    let begun = calls.iter().map(|call| call.began).min()?;
    let served = calls.iter().filter(|call| !call.failed).map(|call| call.began + call.took).min()?;
    Some((served - begun).as_secs_f64())
}

fn seconds(time: Option<f64>) -> String {
    time.map_or("never".to_owned(), |time| format!("{time:.2}"))
}

/// An API that refuses the first token from some moment on.
#[derive(Clone, Default)]
struct Api(Arc<AtomicU64>);

impl Service<Request<()>> for Api {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let number = token.rsplit('-').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default();
        let mut response = Response::new(());
        if number < self.0.load(Ordering::Relaxed) {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        }
        ready(Ok(response))
    }
}

/// Many requests at once with a token that was revoked.
fn revoked(report: &mut Report, runtime: &Runtime) {
    const REQUESTS: usize = 1_000;

    let rounds = if is_quick() { 1 } else { 5 };
    let mut measured = Vec::new();
    for _ in 0..rounds {
        let fetches = Arc::new(AtomicU64::new(0));
        let counted = fetches.clone();
        let source = move |_cx: FetchContext| {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(LATENCY).await;
                Ok(AccessToken::new(format!("{}-{number}", warm::token())).expires_in(Duration::from_secs(3_600)))
            }
        };
        let provider = TokenProvider::builder(source).allow_origin(ORIGIN).build().expect("a provider");
        let api = Api::default();
        let layer = BearerLayer::new(provider.clone()).layer(api.clone());
        let service = tower::retry::RetryLayer::new(Replay::cloning()).layer(layer);
        let failed = Arc::new(AtomicU64::new(0));
        let took = runtime.block_on(async {
            provider.token().await.expect("a token");
            // Its age, because a bearer that is refused as soon as it was fetched is not the reason.
            tokio::time::sleep(Duration::from_millis(1_100)).await;
            api.0.store(1, Ordering::Relaxed);
            let started = Instant::now();
            at_once(REQUESTS, || {
                let (service, failed) = (service.clone(), failed.clone());
                async move {
                    let response = service.oneshot(warm::request()).await;
                    let served = response.is_ok_and(|response| response.status().is_success());
                    failed.fetch_add(u64::from(!served), Ordering::Relaxed);
                }
            })
            .await;
            started.elapsed()
        });
        measured.push((fetches.load(Ordering::Relaxed) - 1, failed.load(Ordering::Relaxed), took));
    }
    let fetches = measured.iter().map(|measured| measured.0).max().unwrap_or_default();
    let failed: u64 = measured.iter().map(|measured| measured.1).sum();
    let millis = median(measured.iter().map(|measured| measured.2.as_secs_f64() * 1e3));
    let limit = 1.2 * LATENCY.as_secs_f64() * 1e3;
    report.text(format!(
        "**A revoked token.** {REQUESTS} requests at once with a token that the API refuses from now on, a source that takes {} \
         ms, and `Replay`: {fetches} fetches at most, {failed} requests failed, all were served after {millis:.0} ms (the \
         median of {rounds}). No peer replays.",
        LATENCY.as_millis()
    ));
    report.bar(
        "replay-revoked",
        "a token is revoked, 1,000 requests are replayed",
        format!("1 fetch, 0 failed, within {limit:.0} ms"),
        format!("{fetches}, {failed}, {millis:.0} ms"),
        fetches == 1 && failed == 0 && millis <= limit,
    );
}
