//! The instructions of warm requests, by callgrind: `cargo run --release -p warm` fails if one has more than its ceiling.
//!
//! Instructions do not depend on what else the machine does, so this needs no quiet one. The benches (`benches/lab`)
//! have the nanoseconds, the peers, and the bars; this finds a warm request that became longer, in seconds. Without
//! valgrind it says that it was skipped. `warm NAME REQUESTS` sends the requests of one row, which is what valgrind runs.
//!
//! A ceiling is a twentieth above what was found when it was written: room for other versions of the compiler and of
//! libc, none for a second comparison of the origin. Lower it after a gain. Half of a ceiling is the least that is
//! believed, and half of what it is compared with usually takes: if nothing was counted, nothing is passed.
#![allow(clippy::expect_used, clippy::panic, reason = "a program of tests ends at what it did not expect")]

use std::{
    env,
    process::{Command, ExitCode},
};

use self::requests::run;

mod requests;

/// What a row's instructions are compared with, and the most that it may have beyond.
struct Row {
    name: &'static str,
    base: &'static str,
    ceiling: f64,
}

impl Row {
    /// The least that it may have beyond. Fewer were not counted, or are a gain for which the ceiling must be lowered.
    fn floor(&self) -> f64 {
        if self.ceiling <= SAME { -self.ceiling } else { self.ceiling / 2.0 }
    }
}

/// The ceiling of rows that do the same as what they are compared with, in code that is compiled once more.
const SAME: f64 = 8.0;

/// What rows are compared with, and half of its usual instructions.
const BASES: [(&str, f64); 3] = [("nothing", 1_571.0), ("layer", 1_870.0), ("no middleware", 7_230.0)];

const fn row(name: &'static str, base: &'static str, ceiling: u32) -> Row {
    Row { name, base, ceiling: ceiling as f64 }
}

const ROWS: [Row; 10] = [
    row("constant header", "nothing", 240),
    row("by hand", "nothing", 440),
    row("by hand, another header", "nothing", 635),
    row("layer", "nothing", 630),
    row("layer, with an observer", "layer", 8),
    row("layer, of a fleet", "layer", 8),
    row("layer, port in the URI", "layer", 370),
    row("layer, one key of many", "layer", 195),
    // The heap's own instructions differ by 160, with what was freed before.
    row("constant header in a middleware", "no middleware", 1_130),
    row("middleware", "no middleware", 1_400),
];

fn main() -> ExitCode {
    if let [_, name, requests] = &env::args().collect::<Vec<_>>()[..] {
        run(name, requests.parse().expect("a number of requests"));
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind is missing");
        return ExitCode::SUCCESS;
    }
    let mut is_passed = true;
    println!("| warm request | instructions | at least |\n|---|--:|--:|");
    for (name, least) in BASES {
        let all = instructions(name);
        let verdict = if all >= least { "" } else { " **not counted**" };
        println!("| {name} | {all:.1} | {least:.0}{verdict} |");
        is_passed &= all >= least;
    }
    println!("\n| warm request | by | instructions more | at least | ceiling |\n|---|---|--:|--:|--:|");
    for row in ROWS {
        let Row { name, base, ceiling } = row;
        let (more, floor) = (instructions(name) - instructions(base), row.floor());
        let is_within = (floor..=ceiling).contains(&more);
        let verdict = if is_within { "" } else { " **missed**" };
        println!("| {name} | {base} | {more:.1} | {floor:.0} | {ceiling:.0}{verdict} |");
        is_passed &= is_within;
    }
    if is_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The instructions of one request: what a thousand more of them take.
fn instructions(name: &str) -> f64 {
    let [few, many] = [1_000, 2_000].map(|requests| collected(name, requests));
    (many - few) / 1_000.0
}

fn collected(name: &str, requests: u32) -> f64 {
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--collect-atstart=no",
            "--toggle-collect=*hot_loop*",
        ])
        .arg(env::current_exe().expect("the path of this program"))
        .args([name, &requests.to_string()])
        .output()
        .expect("valgrind starts");
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match collected.filter(|_| output.status.success()) {
        Some(collected) => collected,
        None => panic!("{name}: {text}"),
    }
}
