//! The cost of attaching a cached token from many tasks at once.

use std::{
    hint,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use lab::{
    contenders::{self, Profile, Role},
    drive::Driver,
    report::{Plot, Report},
    statistics::{Runs, Turns, median, rounds},
};
use tokio::runtime::{self, Runtime};

const TASKS: [u64; 4] = [1, 2, 8, 64];
/// Requests in one turn, of all tasks together.
const REQUESTS: u64 = 64 * 640;
const ROUNDS: usize = 9;
/// A bar is judged by the median of so many runs.
const RUNS: usize = 5;

fn main() -> ExitCode {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let runtime = runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build().expect("a runtime");
    let contestants: Vec<(Profile, Box<dyn Driver>)> = contenders::all()
        .into_iter()
        .filter(|profile| profile.base == contenders::TOWER && profile.role != Role::PeerByHand)
        .map(|profile| (profile, runtime.block_on(contenders::warm(profile.name))))
        .collect();
    let before = line_moves_in_ns();
    let measured: Vec<Runs> = TASKS.iter().map(|&tasks| measure(&runtime, &contestants, tasks)).collect();
    let after = line_moves_in_ns();

    let mut report = Report::new("contention");
    let find = |role| contestants.iter().position(|(profile, _)| profile.role == role).expect("everyone is there");
    let (constant, ours) = (find(Role::Static), find(Role::Ours));
    let throughput = |runs: &Runs, one: usize| REQUESTS as f64 / runs.median(|turns| turns.seconds(one)) / 1e6;
    let ratio = |runs: &Runs, one: usize| runs.median(|turns| turns.ratio(constant, one));

    let head: Vec<String> = TASKS.iter().flat_map(|tasks| [format!("{tasks} tasks"), "ratio".to_owned()]).collect();
    let head: Vec<&str> = ["million requests/s"].into_iter().chain(head.iter().map(String::as_str)).collect();
    let rows = contestants.iter().enumerate().map(|(one, (profile, _))| {
        let cells = measured
            .iter()
            .flat_map(|runs| [format!("{:.2}", throughput(runs, one)), format!("{:.2}", ratio(runs, one))]);
        [profile.name.to_owned()].into_iter().chain(cells).collect()
    });
    report.table(&head, rows.collect());
    report.text(format!(
        "Medians of {RUNS} runs of {} rounds of {REQUESTS} requests on {cores} worker threads; the ratio is to the static layer's \
         throughput, and above 1 is faster. Half the distance between the quartiles of its times: {:.0} % of the median.",
        rounds(ROUNDS),
        median(measured.iter().map(|runs| runs.median(|turns| turns.noise(constant)))) * 100.0
    ));
    report.text(format!(
        "A cache line moved from one thread to the other in {before:.0} ns before these runs, and in {after:.0} ns after them. \
         That is what sharing a reference count costs, and so what there is to gain."
    ));
    report.plot(Plot {
        name: "contention".to_owned(),
        title: "Throughput by tasks, static layer = 1".to_owned(),
        x: "tasks".to_owned(),
        y: "throughput, static layer = 1".to_owned(),
        labels: TASKS.iter().map(u64::to_string).collect(),
        series: contestants
            .iter()
            .enumerate()
            .map(|(one, (profile, _))| {
                let points = measured.iter().enumerate().map(|(at, runs)| (at as f64, ratio(runs, one)));
                (profile.name.to_owned(), points.collect())
            })
            .collect(),
    });
    for (tasks, runs) in TASKS.iter().zip(&measured).filter(|(tasks, _)| **tasks >= 8) {
        let what = format!("contention, {tasks} tasks on {cores} cores, throughput by the static layer's");
        report.at_least(&format!("contention-{tasks}"), &what, 1.1, runs.each(|turns| turns.ratio(constant, ours)));
    }
    report.finish()
}

/// The time in which a cache line that one thread wrote is written by another one: half of a round trip, the median of some.
fn line_moves_in_ns() -> f64 {
    const TRIPS: u64 = 100_000;
    let round = || {
        let line = AtomicU64::new(0);
        let answer = |own: u64| {
            for turn in (own..2 * TRIPS).step_by(2) {
                while line.load(Ordering::Acquire) != turn {
                    hint::spin_loop();
                }
                line.store(turn + 1, Ordering::Release);
            }
        };
        let started = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| answer(1));
            answer(0);
        });
        started.elapsed().as_nanos() as f64 / (2 * TRIPS) as f64
    };
    median((0..9).map(|_| round()))
}

fn measure(runtime: &Runtime, contestants: &[(Profile, Box<dyn Driver>)], tasks: u64) -> Runs {
    Runs::take(RUNS, || {
        Turns::take(contestants.len(), rounds(ROUNDS), |one| {
            contestants[one].1.contend(runtime, tasks, REQUESTS / tasks)
        })
    })
}
