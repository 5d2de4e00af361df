//! Many callers without a token, at its expiry, and during a failure of the authorization server.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use lab::{
    contenders::{self, Profile, Role},
    drive::Driver,
    endpoint::{Endpoint, Manner},
    load::{self, Call, Storm, load},
    report::{Plot, Report},
    statistics::{is_quick, median, quantile},
};
use tokio::runtime::Runtime;

/// The response time of the token endpoint.
const LATENCY: Duration = Duration::from_millis(250);
/// A request that waits longer counts as delayed.
const DELAYED: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime");
    let mut report = Report::new("storm");
    cold(&mut report, &runtime);
    failing(&mut report, &runtime);
    expiry(&mut report, &runtime);
    outage(&mut report, &runtime);
    report.finish()
}

/// Many callers at once without a token.
fn cold(report: &mut Report, runtime: &Runtime) {
    let rounds = if is_quick() { 1 } else { 5 };
    let mut rows = Vec::new();
    let wakes =
        [1_000, 10_000].map(|callers| median((0..rounds).map(|_| runtime.block_on(load::wake(callers, LATENCY)))));
    let cells = wakes.iter().flat_map(|wake| [String::new(), format!("{:.0}", wake * 1e3), String::new()]);
    rows.push(["waking as many tasks".to_owned()].into_iter().chain(cells).collect());
    let manner = Manner { delay: LATENCY, ..Manner::prompt() };
    for profile in load::cold() {
        let mut row = vec![profile.name.to_owned()];
        for (callers, wake) in [1_000, 10_000].into_iter().zip(wakes) {
            let storm = |_| runtime.block_on(load::storm(&profile, manner, callers, 0, Duration::from_secs(60)));
            let storms: Vec<Storm> = (0..rounds).map(storm).collect();
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
        "**Cold callers.** The endpoint takes {} ms. The most token requests of {rounds} storms, the median time until all \
         were served, and callers who failed in any of them.",
        LATENCY.as_millis()
    ));
    report.table(&["", "requests, 1,000", "ms", "failed", "requests, 10,000", "ms", "failed"], rows);
}

/// Callers without a token while the endpoint responds with 503.
fn failing(report: &mut Report, runtime: &Runtime) {
    const CALLERS: usize = 100;
    const PATIENCE: Duration = Duration::from_secs(15);

    let mut rows = Vec::new();
    for profile in load::cold() {
        let manner = Manner { status: StatusCode::SERVICE_UNAVAILABLE, ..Manner::prompt() };
        let storm = runtime.block_on(load::storm(&profile, manner, CALLERS, 0, PATIENCE));
        rows.push(vec![
            profile.name.to_owned(),
            storm.requests.to_string(),
            storm.told.to_string(),
            format!("{:.2}", storm.seconds),
        ]);
    }
    report.text(format!(
        "**A failing endpoint.** {CALLERS} callers without a token, and the endpoint responds with 503 at once. Token requests, \
         callers who were told within {} s, seconds until then. One storm each: who is not told takes all of that time.",
        PATIENCE.as_secs()
    ));
    report.table(&["", "token requests", "told", "seconds"], rows);
}

/// A steady load while tokens expire.
fn expiry(report: &mut Report, runtime: &Runtime) {
    const PER_MILLISECOND: usize = 2;
    const SECONDS: u64 = 20;

    let mut rows = Vec::new();
    let mut series = Vec::new();
    let all = contenders::all();
    let machine = all.iter().find(|profile| profile.role == Role::Base).expect("everyone is there");
    let mut by_the_machine = 0;
    for profile in [*machine].into_iter().chain(load::storming()) {
        let lifetime = profile.margin + Duration::from_secs(8);
        let endpoint = Endpoint::start(Manner { delay: LATENCY, lifetime, ..Manner::prompt() });
        let calls = runtime.block_on(async {
            let driver: Arc<dyn Driver> = contenders::cold(profile.name, &endpoint).await.into();
            let _ = driver.send_one().await;
            endpoint.take_times();
            let (interval, time) = (Duration::from_millis(1), Duration::from_secs(SECONDS));
            load(driver, interval, PER_MILLISECOND, time, Duration::from_secs(20)).await
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

/// An outage, as one contender met it.
struct Outage {
    profile: Profile,
    begun: Instant,
    lifetime: Duration,
    calls: Vec<Call>,
    /// The arrivals of token requests after the first.
    times: Vec<Instant>,
}

/// The endpoint starts to fail while the token is valid, and keeps failing.
fn outage(report: &mut Report, runtime: &Runtime) {
    const AFTER: Duration = Duration::from_secs(6);

    // All contenders at once: the load is light, and some must be observed for more than a minute.
    let outcomes = runtime.block_on(async {
        let mut running = Vec::new();
        for profile in load::storming() {
            let lifetime = profile.margin + Duration::from_secs(12);
            let endpoint = Endpoint::start(Manner { lifetime, ..Manner::prompt() });
            let begun = Instant::now();
            let driver: Arc<dyn Driver> = contenders::cold(profile.name, &endpoint).await.into();
            running.push(tokio::spawn(async move {
                let _ = driver.send_one().await;
                endpoint.behave(Manner { status: StatusCode::SERVICE_UNAVAILABLE, ..Manner::prompt() });
                endpoint.take_times();
                let (interval, patience) = (Duration::from_millis(5), Duration::from_secs(5));
                let calls = load(driver, interval, 1, lifetime + AFTER, patience).await;
                Outage { profile, begun, lifetime, calls, times: endpoint.take_times() }
            }));
        }
        let mut outcomes = Vec::new();
        for outcome in running {
            outcomes.push(outcome.await.expect("no panic"));
        }
        outcomes
    });

    let mut rows = Vec::new();
    for outage in outcomes {
        let expired = outage.begun + outage.lifetime;
        let before = outage.times.iter().filter(|&&time| time < expired).count();
        let [all, lost] = outage.counted(|call| call.began < expired);
        let [all_after, lost_after] = outage.counted(|call| call.began >= expired && call.began < expired + AFTER);
        rows.push(vec![
            outage.profile.name.to_owned(),
            format!("{}", outage.lifetime.as_secs()),
            before.to_string(),
            format!("{lost} of {all}"),
            outage.lost_from().map_or("-".to_owned(), |from| format!("{from:.1}")),
            (outage.times.len() - before).to_string(),
            format!("{lost_after} of {all_after}"),
        ]);
        if outage.profile.role == Role::Ours {
            outage.judge(report, expired + AFTER);
        }
    }
    report.text(format!(
        "**Outage.** The endpoint answers 503 from just after the first token on; 200 requests/s, until {} s after that \
         token expired. The token's lifetime in seconds, token requests and failed requests while it was valid, the seconds \
         before its expiry from which requests failed, and the same counts after. Ours stops using a token 10 s before its \
         expiry, or a tenth of its lifetime if that is less, because a token that is sent then may expire on the way. In an \
         outage that is what a user loses; `Policy` makes it shorter.",
        AFTER.as_secs()
    ));
    report.table(
        &[
            "",
            "lifetime",
            "token requests, valid",
            "failed, valid",
            "s before the expiry",
            "token requests, after",
            "failed, after",
        ],
        rows,
    );
}

impl Outage {
    /// Such requests, and how many of them failed.
    fn counted(&self, is_such: impl Fn(&Call) -> bool) -> [usize; 2] {
        let failed = |call: &&Call| call.failed;
        let such: Vec<_> = self.calls.iter().filter(|&call| is_such(call)).collect();
        [such.len(), such.into_iter().filter(failed).count()]
    }

    /// The seconds from the first failed request to the token's expiry.
    fn lost_from(&self) -> Option<f64> {
        let expired = self.begun + self.lifetime;
        let first = self.calls.iter().filter(|call| call.failed && call.began < expired).map(|call| call.began).min();
        first.map(|first| (expired - first).as_secs_f64())
    }

    fn judge(&self, report: &mut Report, end: Instant) {
        /// The longest clock tick of Linux: a coarse clock shows the moment of the fetch up to a tick early.
        const TICK: f64 = 0.01;

        let tenth = self.lifetime.as_secs_f64() / 10.0;
        let lost = self.lost_from().unwrap_or_default();
        report.bar(
            "storm-outage-lost",
            "outage with a valid token, seconds of its life in which requests fail",
            format!("at most {tenth:.2} of {} (a tenth) and a clock tick", self.lifetime.as_secs()),
            format!("{lost:.2}"),
            lost <= tenth + TICK,
        );
        let waits: Vec<_> = self.times.windows(2).map(|two| (two[1], (two[1] - two[0]).as_secs_f64())).collect();
        // 1 s, doubling, times a draw between one half and one; plus a coarse tick and the time to the next request.
        let whole = |failures: usize| f64::powi(2.0, failures as i32);
        // A wait ends with the token that serves meanwhile: the next request needs another one.
        let served = self.lifetime.as_secs_f64() - tenth;
        let ends_with_it = |at: Instant| (served - TICK..served + 0.25).contains(&(at - self.begun).as_secs_f64());
        let in_time = |(failures, &(at, wait)): (usize, &(Instant, f64))| {
            let least = if ends_with_it(at) { 0.0 } else { whole(failures) / 2.0 - 0.02 };
            (least..whole(failures) + 0.25).contains(&wait)
        };
        // It does not give up either: a wait that ended before the load did would show a request.
        let silence = self.times.last().map_or(f64::INFINITY, |&last| (end - last).as_secs_f64());
        let as_told = waits.iter().enumerate().all(in_time) && silence < whole(waits.len()) + 0.25;
        let waits: Vec<_> = waits.iter().map(|(_, wait)| format!("{wait:.1}")).collect();
        report.bar(
            "storm-outage-waits",
            "outage with a valid token, waits between token requests",
            "half to whole 1 s, 2 s, 4 s, .., or less at the token's end",
            format!("{} s", waits.join(" s, ")),
            as_told && self.times.len() > 1,
        );
    }
}
