//! Ten thousand instances of a service, each with a provider of its own, in virtual time: how evenly do their token
//! requests reach the authorization server?
//!
//! `cargo run --release --example fleet` prints the table and checks its bars; with a directory as argument it also
//! draws the plots into it. It prints at its end; every run gives the same numbers.

mod chart;
mod simulation;
mod store;
#[cfg(test)]
mod tests;
mod world;

use std::{env, path::PathBuf, process::ExitCode, thread, time::Duration};

use anyhow::Context;

use self::{
    simulation::{Course, Plan},
    store::Sharing,
};

const INSTANCES: usize = 10_000;
const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
/// The moment at which instances without jitter refresh for the eighth time, so the outage affects them too.
const OUTAGE: (Duration, Duration) = (Duration::from_secs(380 * 60), Duration::from_secs(390 * 60));
/// The time of a refresh of the shared token is in it, whatever the draws.
const LONG_OUTAGE: (Duration, Duration) = (Duration::from_secs(380 * 60), Duration::from_secs(420 * 60));

fn main() -> anyhow::Result<ExitCode> {
    let plots = env::args_os().nth(1).map(PathBuf::from);
    let between = MINUTE;
    let (instances, lifetime, time) = (INSTANCES, HOUR, 10 * HOUR);
    let plan = Plan { instances, lifetime, time, waves: None, outage: None, jitter: true, between, sharing: None };
    let waves = Some((10, MINUTE));
    let fleets = [
        ("started together", plan),
        ("started together, without jitter", Plan { jitter: false, ..plan }),
        ("ten waves in ten minutes", Plan { waves, ..plan }),
        ("ten waves, without jitter", Plan { waves, jitter: false, ..plan }),
        ("outage of ten minutes", Plan { outage: Some(OUTAGE), ..plan }),
        ("outage, without jitter", Plan { outage: Some(OUTAGE), jitter: false, ..plan }),
    ];
    let courses = run(&fleets)?;

    println!(
        "{INSTANCES} instances, tokens that live for an hour, a request every minute each, {} hours. Token requests \
         in 60 s windows, as multiples of the mean; the start itself, when every instance needs its first token, is left \
         out.\n",
        plan.time.as_secs() / 3_600,
    );
    println!("| fleet | mean | first cycle | from the tenth | outage | after it | requests without a token |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for ((name, plan), course) in fleets.iter().zip(&courses) {
        let multiple = |peak: Option<f64>| peak.map_or_else(|| "-".to_owned(), |peak| format!("{peak:.1}"));
        println!(
            "| {name} | {:.0} | {} | {} | {} | {} | {} |",
            course.mean(),
            multiple(course.first_cycle()),
            // The outage is in this window.
            multiple(course.tenth_cycle_on().filter(|_| plan.outage.is_none())),
            multiple(plan.outage.and_then(|(from, until)| course.peak(from, until))),
            multiple(plan.outage.and_then(|(_, until)| course.peak(until, until + HOUR))),
            course.unserved,
        );
    }
    let sharing = Sharing { lost: 1_000, down: None, revoked: None };
    let plan = Plan { sharing: Some(sharing), time: 8 * HOUR, ..plan };
    let shared = [
        ("one token, no trouble", Plan { sharing: Some(Sharing { lost: u64::MAX / 4, ..sharing }), ..plan }),
        ("one in 1,000 calls of the store is lost", plan),
        ("and an outage of 40 minutes", Plan { outage: Some(LONG_OUTAGE), ..plan }),
        ("and a revocation", Plan { sharing: Some(Sharing { revoked: Some(5 * HOUR), ..sharing }), ..plan }),
        (
            "and the store is down for an hour",
            Plan { sharing: Some(Sharing { down: Some((5 * HOUR, 6 * HOUR)), ..sharing }), ..plan },
        ),
    ];
    let shared_courses = run(&shared)?;
    println!("\nThe same instances, sharing one token through a store, {} hours.\n", plan.time.as_secs() / 3_600);
    println!(
        "| fleet | token requests | calls of the store | rejected requests | requests without a token | longest wait |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    for ((name, _), course) in shared.iter().zip(&shared_courses) {
        let requests = course.requests(Duration::ZERO, plan.time);
        let Course { store_calls, rejected, unserved, longest_wait, .. } = course;
        let longest = longest_wait.as_millis();
        println!("| {name} | {requests} | {store_calls} | {rejected} | {unserved} | {longest} ms |");
    }
    if let Some(directory) = plots {
        let names = [
            "fleet-shared",
            "fleet-shared-lost",
            "fleet-shared-outage",
            "fleet-shared-revocation",
            "fleet-shared-down",
        ];
        std::fs::create_dir_all(&directory)?;
        for ((file, (name, _)), course) in names.iter().zip(&shared).zip(&shared_courses) {
            chart::draw_shared(&directory.join(format!("{file}.svg")), &format!("10,000 instances: {name}"), course)?;
        }
        draw(&directory, &courses).with_context(|| format!("drawing into {}", directory.display()))?;
    }

    println!("\n| bar | expected | found | reached |\n|---|--:|--:|--:|");
    let mut reached = true;
    let judged = |(_, plan): &&(&str, Plan)| plan.jitter && plan.outage.is_none();
    for ((name, _), course) in fleets.iter().zip(&courses).filter(|(fleet, _)| judged(fleet)) {
        for (when, limit, found) in
            [("first cycle", 4.0, course.first_cycle()), ("from the tenth cycle", 2.0, course.tenth_cycle_on())]
        {
            let found = found.unwrap_or(f64::NAN);
            let yes = found <= limit;
            reached &= yes;
            let reached = if yes { "yes" } else { "**no**" };
            println!("| fleet of 10,000, {name}, {when}, by the mean | at most {limit} | {found:.2} | {reached} |");
        }
    }
    Ok(if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Each fleet has its own world, so fleets can run at the same time.
fn run(fleets: &[(&str, Plan)]) -> anyhow::Result<Vec<Course>> {
    thread::scope(|scope| {
        let running: Vec<_> = fleets.iter().map(|(_, plan)| scope.spawn(|| simulation::run(plan))).collect();
        running
            .into_iter()
            .map(|fleet| fleet.join().map_err(|_panic| anyhow::anyhow!("a simulation panicked"))?)
            .collect()
    })
}

fn draw(directory: &std::path::Path, courses: &[Course]) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)?;
    let names = [
        ("fleet-together", "10,000 instances, started together"),
        ("fleet-waves", "10,000 instances, started in ten waves"),
        ("fleet-outage", "10,000 instances, authorization server down from 6:20 to 6:30"),
    ];
    for ((name, title), pair) in names.iter().zip(courses.chunks(2)) {
        if let [with, without] = pair {
            chart::draw(&directory.join(format!("{name}.svg")), title, with, without)?;
        }
    }
    Ok(())
}
